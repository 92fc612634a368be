use std::sync::Arc;

use insta::assert_snapshot;
use nova_catalog::{NanoUsd, PerMillion, Price};
use proptest::prelude::*;

use super::*;
use crate::{
    Candidate, Choosing, Controls, Estimate, Facts, Health, ModelEntry, NoRoute, Plan, Preferences, Signals,
    Table, TableBuilder, Why, World, plan,
};

fn offer(cost: f64, low: f64) -> Offer {
    Offer { cost, quality: low + 0.1, low, ttft_ms: None, tokens_per_s: None }
}

#[test]
fn each_mode_ranks_by_what_it_is_about() {
    let offers = [
        Offer { ttft_ms: Some(900.0), tokens_per_s: Some(40.0), ..offer(0.010, 0.80) },
        Offer { ttft_ms: Some(300.0), tokens_per_s: Some(90.0), ..offer(0.002, 0.73) },
        Offer { ttft_ms: Some(500.0), tokens_per_s: None, ..offer(0.001, 0.50) },
        offer(f64::INFINITY, 0.60),
        Offer { ttft_ms: Some(700.0), tokens_per_s: Some(95.0), ..offer(0.003, 0.73) },
    ];
    let check = |mode: Mode, expected: [u32; 5]| {
        assert_eq!(rank(&Aim::of(mode), &offers).0, expected, "{mode:?}");
    };
    // Surely good enough is 0.72: the cheapest of those, then the surest of the rest.
    check(Mode::Capable, [1, 4, 0, 3, 2]);
    check(Mode::Cheap, [2, 1, 4, 0, 3]);
    check(Mode::Fast, [1, 2, 4, 0, 3]);
    check(Mode::Throughput, [4, 1, 0, 2, 3]);
    check(Mode::Best, [0, 1, 4, 3, 2]);
    let budget = |quality_per_usd| rank(&Aim { quality_per_usd, ..Aim::of(Mode::Budget) }, &offers).0;
    assert_eq!(budget(0.0), [0, 1, 4, 2, 3]);
    assert_eq!(budget(20.0), [1, 4, 0, 2, 3]);
    assert_eq!(budget(1_000.0), [2, 1, 4, 0, 3]);
    assert_eq!(rank(&Aim::of(Mode::Capable), &[]).0, [0; 0]);
    let strict = Aim { enough: 1.0, ..Aim::of(Mode::Capable) };
    assert_eq!(rank(&strict, &offers), (vec![0, 1, 4, 3, 2], Some(0.8)));
}

#[test]
fn a_small_share_is_explored_and_never_what_is_far_too_dear() {
    let offers = [
        offer(0.001, 0.8),
        offer(0.002, 0.7),
        offer(0.02, 0.9),
        offer(0.009, 0.1),
        offer(f64::INFINITY, 0.9),
    ];
    let explored_by = |explore: f32, mode: Mode| {
        let aim = Aim { explore, ..Aim::of(mode) };
        let mut counts = [0; 6];
        for seed in 0..100_000 {
            let place = explored(&aim, &offers, &mut balance::Draws(seed));
            counts[place.unwrap_or(5)] += 1;
        }
        counts
    };
    let counts = explored_by(0.01, Mode::Capable);
    assert!((800..1_200).contains(&(counts[1] + counts[3])), "{counts:?}");
    assert!(counts[1] > 350 && counts[3] > 350 && counts[0] + counts[2] + counts[4] == 0, "{counts:?}");
    assert!(explored_by(1.0, Mode::Capable)[5] > 97_700, "at most two of a hundred");
    assert_eq!([explored_by(0.0, Mode::Capable)[5], explored_by(1.0, Mode::Best)[5]], [100_000; 2]);
}

#[test]
fn modes_have_one_word_each() {
    for (mode, word) in Mode::ALL {
        assert_eq!((Mode::named(&word.to_uppercase()), mode.word()), (Some(mode), word));
    }
    assert_eq!(Mode::named("nothing"), None);
}

/// What a test knows of its four models: dollars per million tokens of prompt and answer, quality, what it reads.
const MODELS: [(&str, i64, f32, bool); 4] =
    [("flash", 1, 0.70, false), ("pro", 4, 0.85, false), ("max", 20, 0.90, true), ("local", 0, 0.40, false)];

fn price(dollars: i64) -> Option<Arc<Price>> {
    let mut price = Price::default();
    price.rates.input = PerMillion::new(NanoUsd::from_nanos(dollars * 1_000_000_000));
    price.rates.output = price.rates.input;
    price.rates.cache_read = Some(PerMillion::new(NanoUsd::from_nanos(dollars * 100_000_000)));
    Some(Arc::new(price))
}

fn candidate(id: u32, dollars: i64) -> Candidate {
    Candidate {
        id: DeploymentId(id),
        name: format!("d{id}"),
        provider: format!("p{id}"),
        upstream_model: format!("m{id}"),
        priority: 0,
        weight: 1,
        price: price(dollars),
        ..Candidate::default()
    }
}

fn table(extra: Option<Candidate>, choosing: Choosing) -> Table {
    let mut builder = TableBuilder::default();
    for (id, (name, dollars, _, images)) in (0..).zip(MODELS) {
        let mut deployments = vec![candidate(id, dollars)];
        if name == "pro" {
            deployments.extend(extra.clone());
        }
        builder.model(ModelEntry {
            name: name.into(),
            images,
            tools: name != "local",
            context: Some(if name == "flash" { 10_000 } else { 100_000 }),
            max_output: Some(if name == "flash" { 1_000 } else { 8_000 }),
            deployments,
            ..ModelEntry::default()
        });
    }
    builder.choosing(choosing);
    builder.build().unwrap()
}

/// Knows the quality of [`MODELS`], who is unwell, which deployment has seen this session, and which one would lose
/// something of the request.
#[derive(Default)]
struct Known {
    unwell: Vec<(u32, Health)>,
    warm: Option<(u32, u64)>,
    loses: Option<u32>,
}

impl World for Known {
    fn signals(&self, deployment: DeploymentId) -> Signals {
        let unwell = self.unwell.iter().find(|(id, _)| *id == deployment.0);
        let warm = self.warm.filter(|(id, _)| *id == deployment.0);
        Signals {
            health: unwell.map_or(Health::Good, |(_, health)| *health),
            cached_tokens: warm.map_or(0, |(_, tokens)| tokens),
            loses: self.loses == Some(deployment.0),
            ..Signals::default()
        }
    }

    fn estimate(&self, model: usize, task: Option<&str>) -> Estimate {
        // Everybody chats well.
        let quality = if task == Some("chat") { 0.9 } else { MODELS[model].2 };
        Estimate { output_tokens: 1_000.0, quality, low: quality - 0.05, measured: true }
    }
}

fn asked(name: &str) -> Facts<'_> {
    Facts { model: name, prompt_tokens: 1_000, now_ms: Some(0), ..Facts::default() }
}

fn show(plan: &Result<Plan, NoRoute>) -> String {
    let plan = match plan {
        Ok(plan) => plan,
        Err(no) => return no.to_string(),
    };
    let mut lines: Vec<String> = Vec::new();
    for scored in plan.choice.iter().flat_map(|choice| &choice.ranked) {
        let cost = scored.cost.map_or_else(|| "?".to_owned(), |cost| cost.total.to_string());
        lines.push(format!("{} {cost} {:.2}", scored.model, scored.low));
    }
    let removed = plan.removed.iter().map(|(id, why)| format!("not {}: {why}", id.0));
    lines.extend(removed);
    lines.join("\n")
}

#[test]
fn auto_takes_the_cheapest_that_is_surely_good_enough() {
    let table = table(None, Choosing::default());
    let chosen = |facts: Facts<'_>| show(&plan(&table, &facts, &Known::default(), 0));
    assert_snapshot!(chosen(asked("auto")), @"
    pro $0.008 0.80
    max $0.04 0.85
    flash $0.002 0.65
    local $0.00 0.35
    ");
    // A free model does for small talk.
    assert_snapshot!(chosen(asked("auto/chat")), @"
    local $0.00 0.85
    flash $0.002 0.85
    pro $0.008 0.85
    max $0.04 0.85
    ");
    assert_eq!(chosen(Facts { task: Some("chat"), ..asked("AUTO") }), chosen(asked("auto/chat")));
    assert_snapshot!(chosen(Facts { has_images: true, ..asked("auto:cheap") }), @"
    max $0.04 0.85
    not 0: its model cannot take images
    not 1: its model cannot take images
    not 3: its model cannot take images
    ");
    assert_snapshot!(chosen(Facts { max_tokens: Some(2_000), prompt_tokens: 9_500, ..asked("auto:cheap") }), @"
    local $0.00 0.35
    pro $0.042 0.80
    max $0.21 0.85
    not 0: the prompt is longer than its context of 10000 tokens
    ");
    assert_snapshot!(chosen(Facts { max_tokens: Some(2_000), ..asked("auto:best") }), @"
    max $0.04 0.85
    pro $0.008 0.80
    local $0.00 0.35
    not 0: its answers have at most 1000 tokens
    ");
    assert_snapshot!(chosen(Facts { budget: Some(0.01), ..asked("auto:best") }), @"
    pro $0.008 0.80
    flash $0.002 0.65
    local $0.00 0.35
    not 2: the request should cost more there than it may
    ");
    assert_snapshot!(chosen(Facts { has_images: true, budget: Some(0.01), ..asked("auto") }), @"no model can serve this request: of the last one, its model cannot take images");
    assert_snapshot!(chosen(asked("auto:nothing")), @"no model has this name");
}

#[test]
fn the_choice_is_made_among_the_models_that_the_operator_names() {
    let choosing =
        Choosing { mode: Mode::Cheap, models: vec!["max".into(), "pro".into()], ..Choosing::default() };
    let table = table(None, choosing);
    assert_snapshot!(show(&plan(&table, &asked("auto"), &Known::default(), 0)), @"
    pro $0.008 0.80
    max $0.04 0.85
    ");
    // Who names a model gets it all the same.
    assert!(plan(&table, &asked("local"), &Known::default(), 0).is_ok());
}

#[test]
fn a_session_stays_where_its_cache_is_while_that_saves_money() {
    let dearer = Candidate { id: DeploymentId(4), ..candidate(4, 5) };
    let table = table(Some(dearer), Choosing { models: vec!["pro".into()], ..Choosing::default() });
    let first = |warm: Option<(u32, u64)>, unwell: Vec<(u32, Health)>| {
        let facts = Facts { prompt_tokens: 50_000, ..asked("auto") };
        plan(&table, &facts, &Known { warm, unwell, ..Known::default() }, 7).unwrap().attempts[0].deployment.0
    };
    assert_eq!(first(None, vec![]), 1);
    assert_eq!(first(Some((4, 40_000)), vec![]), 4);
    assert_eq!(first(Some((4, 100)), vec![]), 1, "the saving is smaller than the difference in price");
    for health in [Health::Open, Health::Limited] {
        assert_eq!(first(Some((4, 40_000)), vec![(4, health)]), 1);
    }
}

#[test]
fn what_is_unwell_is_ranked_behind_all_and_judges_nobody() {
    let table = table(None, Choosing::default());
    let known = Known { unwell: vec![(2, Health::Open), (1, Health::Limited)], ..Known::default() };
    let plan = plan(&table, &asked("auto"), &known, 0).unwrap();
    let tried: Vec<(&str, Option<Why>)> =
        plan.attempts.iter().map(|attempt| (&*attempt.model, attempt.demoted)).collect();
    let expected =
        [("flash", None), ("local", None), ("pro", Some(Why::Limited)), ("max", Some(Why::Resting))];
    assert_eq!((tried.as_slice(), &*plan.asked), (expected.as_slice(), "flash"));
}

proptest! {
    #[test]
    fn no_plan_holds_what_a_hard_filter_excludes(
        mode in 0..Mode::ALL.len(),
        (has_images, has_tools) in any::<(bool, bool)>(),
        prompt_tokens in 0..120_000_u64,
        max_tokens in prop::option::of(0..10_000_u64),
        budget in prop::option::of(0.0..0.1_f64),
        allowed in prop::option::of(prop::collection::vec(0..4_usize, 0..4)),
        (demands, loses) in (any::<bool>(), 0..4_u32),
        seed: u64,
    ) {
        let table = table(None, Choosing::default());
        let provider = Preferences { require_parameters: Some(demands), ..Preferences::default() };
        let controls = Controls { provider, ..Controls::default() };
        let known = Known { loses: Some(loses), ..Known::default() };
        let name = format!("auto:{}", Mode::ALL[mode].1);
        let allowed: Option<Vec<String>> =
            allowed.map(|allowed| allowed.into_iter().map(|at| MODELS[at].0.to_owned()).collect());
        let facts = Facts {
            model: &name, has_images, has_tools, prompt_tokens, max_tokens, budget,
            allowed_models: allowed.as_deref(), now_ms: Some(0), controls: Some(&controls), ..Facts::default()
        };
        let Ok(plan) = plan(&table, &facts, &known, seed) else { return Ok(()) };
        let choice = plan.choice.as_ref().unwrap();
        for attempt in &plan.attempts {
            let flash = &*attempt.model == "flash";
            prop_assert!(!demands || attempt.deployment.0 != loses);
            prop_assert!(!has_images || &*attempt.model == "max");
            prop_assert!(!has_tools || &*attempt.model != "local");
            let context = if flash { 10_000 } else { 100_000 };
            prop_assert!(prompt_tokens + max_tokens.unwrap_or(0) <= context);
            prop_assert!(!flash || max_tokens.is_none_or(|asked| asked <= 1_000));
            prop_assert!(allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|name| **name == *attempt.model)));
            let scored = choice.ranked.iter().find(|scored| scored.deployment == attempt.deployment).unwrap();
            prop_assert!(budget.is_none_or(|budget| scored.cost.unwrap().usd() <= budget));
        }
    }

    #[test]
    fn another_deployment_that_is_cheaper_never_raises_the_expected_cost(
        dollars in 0..4_i64, prompt_tokens in 0..90_000_u64, seed: u64,
    ) {
        let facts = Facts { prompt_tokens, ..asked("auto") };
        let expected = |extra: Option<Candidate>| {
            let plan = plan(&table(extra, Choosing::default()), &facts, &Known::default(), seed).unwrap();
            plan.choice.unwrap().ranked[0].cost.unwrap().total
        };
        prop_assert!(expected(Some(candidate(4, dollars))) <= expected(None));
    }
}
