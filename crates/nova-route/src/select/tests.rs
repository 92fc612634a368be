use std::collections::BTreeMap;
use std::fmt::Write as _;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::plan::Preference;
use crate::{Candidate, Controls, ModelEntry, TableBuilder, TableError};

fn candidate(id: u32, provider: &str, priority: u32, weight: u32) -> Candidate {
    let upstream_model = format!("{provider}/upstream-{id}");
    Candidate {
        id: DeploymentId(id),
        name: format!("d{id}"),
        provider: provider.into(),
        upstream_model,
        priority,
        weight,
        ..Candidate::default()
    }
}

fn model(name: &str, aliases: &[&str], deployments: Vec<Candidate>, fallbacks: &[&str]) -> ModelEntry {
    ModelEntry {
        name: name.into(),
        aliases: aliases.iter().map(|&alias| alias.into()).collect(),
        images: false,
        tools: true,
        context: Some(100_000),
        deployments,
        fallbacks: fallbacks.iter().map(|&name| name.into()).collect(),
        max_output: None,
    }
}

/// Four models of the kind that the examples configure.
fn table() -> Table {
    let mut builder = TableBuilder::default();
    let deepseek = vec![candidate(0, "deepseek", 0, 1), candidate(1, "openrouter", 1, 1)];
    builder.model(model("deepseek-v4-pro", &["deepseek-chat"], deepseek, &["kimi-2.6"]));
    let kimi = model("kimi-2.6", &["kimi-k2.6"], vec![candidate(2, "moonshot", 0, 1)], &[]);
    builder.model(ModelEntry { images: true, context: Some(250_000), ..kimi });
    builder.model(model("qwen3-235b", &["Qwen3-235B-A22B"], vec![candidate(3, "dashscope", 0, 1)], &[]));
    builder.model(model("claude-opus-4.7", &[], vec![], &[]));
    let tiny = model("tiny", &[], vec![candidate(4, "local", 0, 1)], &[]);
    builder.model(ModelEntry { tools: false, ..tiny });
    builder.default_fallback(vec!["qwen3-235b".into()]).max_attempts(4);
    builder.build().unwrap()
}

fn show(plan: &Result<Plan, NoRoute>) -> String {
    let plan = match plan {
        Ok(plan) => plan,
        Err(no) => return format!("{no}: {no:?}"),
    };
    let mut shown = plan.asked.to_string();
    for Attempt { deployment, model, why, demoted } in &plan.attempts {
        write!(shown, "\n{} {model}: {why}", deployment.0).unwrap();
        if let Some(demoted) = demoted {
            write!(shown, "; later, because {demoted}").unwrap();
        }
    }
    for (deployment, why) in &plan.removed {
        write!(shown, "\nnot {}: {why}", deployment.0).unwrap();
    }
    shown
}

/// The plan for a model's name, with some deployments resting.
fn check<'a>(name: &'a str, resting: &[u32], facts: Facts<'a>) -> String {
    let health = |id: DeploymentId| if resting.contains(&id.0) { Health::Open } else { Health::Good };
    show(&plan(&table(), &Facts { model: name, ..facts }, &health, 1))
}

#[test]
fn the_model_comes_first_then_its_fallback_then_the_default() {
    assert_snapshot!(check("deepseek-v4-pro", &[], Facts::default()), @"
    deepseek-v4-pro
    0 deepseek-v4-pro: it serves the model that was asked for
    1 deepseek-v4-pro: it serves the model that was asked for
    2 kimi-2.6: it serves a fallback of that model
    3 qwen3-235b: it serves the default fallback
    ");
    assert_snapshot!(check("qwen3-235b", &[], Facts::default()), @"
    qwen3-235b
    3 qwen3-235b: it serves the model that was asked for
    ");
}

/// The plan for a request that has controls.
fn controlled(name: &str, fallbacks: Option<&[&str]>, provider: serde_json::Value) -> String {
    let fallbacks = fallbacks.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    let controls = Controls { fallbacks, provider: serde_json::from_value(provider).unwrap() };
    check(name, &[], Facts { controls: Some(&controls), ..Facts::default() })
}

#[test]
fn a_request_names_what_to_fall_back_to_and_who_may_answer() {
    let none = || serde_json::json!({});
    assert_snapshot!(controlled("deepseek-v4-pro", Some(&["Kimi-2.6", "openrouter/deepseek-v4-pro", "nothing"]), none()), @"
    deepseek-v4-pro
    0 deepseek-v4-pro: it serves the model that was asked for
    1 deepseek-v4-pro: it serves the model that was asked for
    2 kimi-2.6: it serves a fallback of that model
    ");
    assert_snapshot!(controlled("openrouter/deepseek-v4-pro", Some(&["deepseek-v4-pro"]), none()), @"
    deepseek-v4-pro
    1 deepseek-v4-pro: it serves the model that was asked for
    0 deepseek-v4-pro: it serves a fallback of that model
    ");
    assert_snapshot!(controlled("deepseek-v4-pro", Some(&[]), serde_json::json!({ "order": ["OpenRouter"] })), @"
    deepseek-v4-pro
    1 deepseek-v4-pro: it serves the model that was asked for
    0 deepseek-v4-pro: it serves the model that was asked for
    ");
    assert_snapshot!(controlled("deepseek-v4-pro", None, serde_json::json!({ "allow_fallbacks": false })), @"
    deepseek-v4-pro
    0 deepseek-v4-pro: it serves the model that was asked for
    not 1: `provider.allow_fallbacks` is false, and another provider comes first
    ");
    assert_snapshot!(controlled("deepseek-v4-pro", None, serde_json::json!({ "ignore": ["deepseek", "dashscope"] })), @"
    deepseek-v4-pro
    1 deepseek-v4-pro: it serves the model that was asked for
    2 kimi-2.6: it serves a fallback of that model
    not 0: `provider.ignore` names its provider
    not 3: `provider.ignore` names its provider
    ");
    assert_snapshot!(controlled("qwen3-235b", None, serde_json::json!({ "zdr": true })), @"no deployment of this model is as the request wants it: Unwanted { removed: [(DeploymentId(3), Preference { preference: Zdr })] }");
}

#[test]
fn a_bound_on_the_first_token_removes_who_is_known_to_be_later() {
    /// The first deployment is fast on most days, the second is not, and of the others nothing is known.
    struct Timed;

    impl World for Timed {
        fn signals(&self, id: DeploymentId) -> Signals {
            let (ttft_ms, p95_ttft_ms) =
                [(900.0, 6_000.0), (2_500.0, 3_000.0)].get(id.index()).copied().unzip();
            Signals { ttft_ms, p95_ttft_ms, ..Signals::default() }
        }
    }

    let left = |most: serde_json::Value| {
        let provider = serde_json::from_value(serde_json::json!({ "max_latency": most })).unwrap();
        let controls = Controls { fallbacks: None, provider };
        let facts = Facts { model: "deepseek-v4-pro", controls: Some(&controls), ..Facts::default() };
        let plan = plan(&table(), &facts, &Timed, 1).unwrap();
        let late = Why::Preference { preference: Preference::Latency };
        assert!(plan.removed.iter().all(|(_, why)| *why == late), "{:?}", plan.removed);
        plan.attempts.iter().map(|attempt| attempt.deployment.0).collect::<Vec<_>>()
    };
    assert_eq!(left(serde_json::json!(1)), [0, 2, 3]);
    assert_eq!(left(serde_json::json!({ "p90": 5 })), [1, 2, 3]);
    assert_eq!(left(serde_json::json!(0.5)), [2, 3], "who is not known yet may answer");
    assert_eq!(left(serde_json::json!({ "p50": 3, "p99": 7 })), [0, 1, 2, 3]);
}

#[test]
fn a_pattern_serves_each_name_that_it_stands_for() {
    let mut builder = TableBuilder::default();
    builder.model(model("claude-opus-5", &[], vec![candidate(0, "anthropic", 0, 1)], &[]));
    builder.model(model("anthropic/*", &[], vec![candidate(1, "openrouter", 0, 1)], &[]));
    builder.model(model("*", &[], vec![candidate(2, "other", 0, 1)], &["claude-opus-5"]));
    builder.alias("gpt-4*", "claude-opus-5");
    let table = builder.build().unwrap();
    let plan_of = |name: &str, controls: Option<&Controls>, allowed_models: Option<&[String]>| {
        let health = |_: DeploymentId| Health::Good;
        let facts = Facts { model: name, controls, allowed_models, ..Facts::default() };
        show(&plan(&table, &facts, &health, 1))
    };
    let check = |name: &str, expected: &str| {
        let plan = plan_of(name, None, None);
        assert_eq!(plan.lines().take(2).collect::<Vec<_>>().join("; "), expected);
    };
    check("claude-opus-5", "claude-opus-5; 0 claude-opus-5: it serves the model that was asked for");
    check(
        "Anthropic/Claude-X",
        "anthropic/Claude-X; 1 anthropic/Claude-X: it serves the model that was asked for",
    );
    check("GPT-4.1-mini", "claude-opus-5; 0 claude-opus-5: it serves the model that was asked for");
    check(
        "other/claude-opus-5",
        "other/claude-opus-5; 2 other/claude-opus-5: it serves the model that was asked for",
    );
    assert!(plan_of("auto", None, None).starts_with("claude-opus-5\n0 "), "{}", plan_of("auto", None, None));
    let fallbacks = Some(vec!["anthropic/b".to_owned(), "anthropic/a".to_owned(), "anthropic/c".to_owned()]);
    let controls = Controls { fallbacks, ..Controls::default() };
    assert_snapshot!(plan_of("anthropic/a", Some(&controls), None), @"
    anthropic/a
    1 anthropic/a: it serves the model that was asked for
    1 anthropic/b: it serves a fallback of that model
    1 anthropic/c: it serves a fallback of that model
    ");
    let may = |allowed: &str, name: &str| {
        let allowed = [allowed.to_owned()];
        !plan_of(name, None, Some(&allowed)).contains("NotAllowed")
    };
    assert!(may("anthropic/*", "anthropic/a") && may("Anthropic/A", "anthropic/a"));
    assert!(!may("anthropic/b", "anthropic/a") && !may("anthropic/a", "x"));
    assert!(may("claude-*", "claude-opus-5") && !may("claude-*", "x"));
}

#[test]
fn any_spelling_and_any_alias_finds_the_model() {
    for name in ["deepseek-v4-pro", "DeepSeek-V4-Pro", "DEEPSEEK_V4.PRO", "deepseek-chat", "DeepSeek Chat"] {
        assert!(check(name, &[], Facts::default()).starts_with("deepseek-v4-pro\n0 "), "{name}");
    }
}

#[test]
fn a_named_provider_is_the_only_one() {
    assert_snapshot!(check("openrouter/DeepSeek-V4-Pro", &[], Facts::default()), @"
    deepseek-v4-pro
    1 deepseek-v4-pro: it serves the model that was asked for
    not 0: the request names another provider
    ");
    let by_upstream_name = check("OpenRouter/openrouter/Upstream-1", &[], Facts::default());
    assert_eq!(by_upstream_name, check("openrouter/deepseek-v4-pro", &[], Facts::default()));
    assert_snapshot!(check("moonshot/deepseek-v4-pro", &[], Facts::default()), @"no deployment of this model is configured: NoDeployment");
    assert_snapshot!(check("nobody/deepseek-v4-pro", &[], Facts::default()), @r#"no model has this name: Unknown { nearest: ["deepseek-v4-pro"] }"#);
}

#[test]
fn what_rests_is_tried_last_and_never_forgotten() {
    assert_snapshot!(check("deepseek-v4-pro", &[0, 2], Facts::default()), @"
    deepseek-v4-pro
    1 deepseek-v4-pro: it serves the model that was asked for
    3 qwen3-235b: it serves the default fallback
    0 deepseek-v4-pro: it serves the model that was asked for; later, because it rests after repeated failures
    2 kimi-2.6: it serves a fallback of that model; later, because it rests after repeated failures
    ");
    assert_snapshot!(check("qwen3-235b", &[3], Facts::default()), @"
    qwen3-235b
    3 qwen3-235b: it serves the model that was asked for; later, because it rests after repeated failures
    ");
}

#[test]
fn images_go_only_to_models_that_read_them() {
    let facts = Facts { has_images: true, ..Facts::default() };
    assert_snapshot!(check("deepseek-v4-pro", &[], facts), @"
    deepseek-v4-pro
    2 kimi-2.6: it serves a fallback of that model
    not 0: its model cannot take images
    not 1: its model cannot take images
    not 3: its model cannot take images
    ");
    assert_snapshot!(check("qwen3-235b", &[], facts), @"no deployment of this model can take images: Incapable { missing: Images }");
    let facts = Facts { has_tools: true, ..Facts::default() };
    assert_snapshot!(check("local/tiny", &[], facts), @"no deployment of this model can take tools: Incapable { missing: Tools }");
}

#[test]
fn a_prompt_that_is_clearly_too_long_goes_where_it_fits_first() {
    let short = Facts { prompt_tokens: 124_999, ..Facts::default() };
    assert!(check("deepseek-v4-pro", &[], short).starts_with("deepseek-v4-pro\n0 "));
    let long = Facts { prompt_tokens: 125_001, ..Facts::default() };
    assert_snapshot!(check("deepseek-v4-pro", &[], long), @"
    deepseek-v4-pro
    2 kimi-2.6: it serves a fallback of that model
    0 deepseek-v4-pro: it serves the model that was asked for; later, because the prompt is longer than its context of 100000 tokens
    1 deepseek-v4-pro: it serves the model that was asked for; later, because the prompt is longer than its context of 100000 tokens
    3 qwen3-235b: it serves the default fallback; later, because the prompt is longer than its context of 100000 tokens
    ");
}

#[test]
fn a_key_reaches_only_the_models_that_it_may_use() {
    let only = ["DeepSeek-Chat".to_owned(), "no-such-model".to_owned()];
    let facts = Facts { allowed_models: Some(&only), ..Facts::default() };
    assert_snapshot!(check("deepseek-v4-pro", &[], facts), @"
    deepseek-v4-pro
    0 deepseek-v4-pro: it serves the model that was asked for
    1 deepseek-v4-pro: it serves the model that was asked for
    not 2: the key may not use its model
    not 3: the key may not use its model
    ");
    assert_snapshot!(check("kimi-2.6", &[], facts), @"the key may not use this model: NotAllowed");
    assert_snapshot!(check("kimi-2.7", &[], facts), @"no model has this name: Unknown { nearest: [] }");
}

#[test]
fn an_unknown_name_gets_the_nearest() {
    assert_snapshot!(check("deepseek-v4-por", &[], Facts::default()), @r#"no model has this name: Unknown { nearest: ["deepseek-v4-pro"] }"#);
    assert_snapshot!(check("claude-opus", &[], Facts::default()), @r#"no model has this name: Unknown { nearest: ["claude-opus-4.7"] }"#);
    assert_snapshot!(check(&"deepseek".repeat(10_000), &[], Facts::default()), @"no model has this name: Unknown { nearest: [] }");
}

#[test]
fn a_model_without_a_deployment_is_served_by_its_fallback_only() {
    assert_snapshot!(check("claude-opus-4.7", &[], Facts::default()), @"
    claude-opus-4.7
    3 qwen3-235b: it serves the default fallback
    ");
    let mut builder = TableBuilder::default();
    builder.model(model("claude-opus-4.7", &[], vec![], &[]));
    let none = plan(
        &builder.build().unwrap(),
        &Facts { model: "claude-opus-4-7", ..Facts::default() },
        &|_| Health::Good,
        0,
    );
    assert_eq!(none, Err(NoRoute::NoDeployment));
}

#[test]
fn a_plan_is_bounded_and_says_what_it_left_out() {
    let mut builder = TableBuilder::default();
    builder.model(model("m", &[], (0..5).map(|id| candidate(id, "p", id, 1)).collect(), &[])).max_attempts(2);
    let plan =
        plan(&builder.build().unwrap(), &Facts { model: "m", ..Facts::default() }, &|_| Health::Good, 0);
    assert_snapshot!(show(&plan), @"
    m
    0 m: it serves the model that was asked for
    1 m: it serves the model that was asked for
    not 2: a plan has at most 2 attempts
    not 3: a plan has at most 2 attempts
    not 4: a plan has at most 2 attempts
    ");
}

#[test]
fn equal_deployments_are_spread_by_weight() {
    let mut builder = TableBuilder::default();
    let deployments = vec![
        candidate(0, "a", 0, 1),
        candidate(1, "b", 0, 3),
        candidate(2, "c", 0, 0),
        candidate(3, "d", 0, 6),
    ];
    builder.model(model("m", &[], deployments, &[]));
    let table = builder.build().unwrap();
    let facts = Facts { model: "m", ..Facts::default() };
    let mut first = BTreeMap::new();
    for seed in 0..10_000 {
        let plan = plan(&table, &facts, &|_| Health::Good, seed).unwrap();
        assert_eq!(plan.attempts.len(), 4);
        assert_eq!(plan.attempts[3].deployment, DeploymentId(2));
        *first.entry(plan.attempts[0].deployment.0).or_insert(0_u32) += 1;
    }
    // Seeds are fixed, so these counts are too; they lie within 3 % of 1 : 3 : 6.
    for (id, expected) in [(0, 1_000), (1, 3_000), (3, 6_000)] {
        assert!(first[&id].abs_diff(expected) < 300, "{first:?}");
    }
}

#[test]
fn a_name_belongs_to_one_model() {
    let mut builder = TableBuilder::default();
    builder.model(model("a", &["x"], vec![], &[])).model(model("b", &["X"], vec![], &[]));
    let taken = TableError::Taken { name: "X".into(), first: "a".into(), second: "b".into() };
    assert_eq!(builder.build().unwrap_err(), taken);

    let mut builder = TableBuilder::default();
    builder.model(model("a", &[], vec![], &["nobody"]));
    assert_eq!(builder.build().unwrap_err(), TableError::Unknown { name: "nobody".into() });
}

#[test]
fn an_operators_alias_wins_over_a_catalogued_one() {
    let mut builder = TableBuilder::default();
    builder.model(model("a", &["gpt-4o"], vec![], &[])).model(model("b", &["bee"], vec![], &[]));
    builder.alias("gpt-4o", "bee").alias("mine", "gpt-4o-mini");
    assert_eq!(builder.build().unwrap_err(), TableError::Unknown { name: "gpt-4o-mini".into() });

    let mut builder = TableBuilder::default();
    builder.model(model("a", &["gpt-4o"], vec![], &[])).model(model("b", &["bee"], vec![], &[]));
    builder.alias("GPT-4o", "bee");
    let table = builder.build().unwrap();
    assert_eq!(table.find("gpt-4o"), Some(1));
    assert_eq!(table.name(1), Some("b"));
}

#[test]
fn a_plan_explains_itself_as_json() {
    let health = |id: DeploymentId| if id.0 == 0 { Health::Open } else { Health::Good };
    let facts = Facts { model: "deepseek/deepseek-chat", ..Facts::default() };
    let plan = plan(&table(), &facts, &health, 0).unwrap();
    assert_snapshot!(serde_json::to_string(&plan).unwrap(), @r#"{"asked":"deepseek-v4-pro","by":{"reason":"asked"},"attempts":[{"deployment":0,"model":"deepseek-v4-pro","why":{"reason":"asked"},"demoted":{"reason":"resting"}}],"removed":[[1,{"reason":"other_provider"}]]}"#);
}

proptest! {
    #[test]
    fn a_plan_is_bounded_repeatable_and_names_nothing_twice(
        name in "(deepseek/)?(deepseek-v4-pro|Kimi_2.6|qwen3-235b|tiny|.{0,12})",
        resting in 0_u8..32,
        (has_images, has_tools, seed) in any::<(bool, bool, u64)>(),
        prompt_tokens in 0_u64..400_000,
    ) {
        let table = table();
        let health = |id: DeploymentId| if resting >> id.0 & 1 == 1 { Health::Open } else { Health::Good };
        let facts = Facts { model: &name, prompt_tokens, has_images, has_tools, ..Facts::default() };
        let once = plan(&table, &facts, &health, seed);
        prop_assert_eq!(&once, &plan(&table, &facts, &health, seed));
        if let Ok(plan) = once {
            prop_assert!((1..=4).contains(&plan.attempts.len()));
            let mut ids: Vec<_> = plan.attempts.iter().map(|attempt| attempt.deployment).collect();
            ids.extend(plan.removed.iter().map(|(id, _)| *id));
            let count = ids.len();
            ids.sort();
            ids.dedup();
            prop_assert_eq!(ids.len(), count);
            let rests = plan.attempts.iter().map(|attempt| health(attempt.deployment) == Health::Open);
            prop_assert!(rests.is_sorted());
        }
    }
}
