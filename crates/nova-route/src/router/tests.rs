use std::sync::Arc;

use insta::assert_snapshot;
use nova_catalog::{NanoUsd, PerMillion, Price};
use proptest::prelude::*;

use super::*;
use crate::{Candidate, DeploymentId, Health, ModelEntry, Needs, NoRoute, Plan, Table, TableBuilder, plan};

fn entry(condition: &str, model: &str, fallback: &[&str]) -> RuleEntry {
    RuleEntry {
        condition: (!condition.is_empty()).then(|| Condition::parse(condition).unwrap()),
        model: model.into(),
        fallback: fallback.iter().map(|&name| name.into()).collect(),
    }
}

fn model(id: u32, name: &str, images: bool, fallbacks: &[&str]) -> ModelEntry {
    let mut price = Price::default();
    // One US dollar per million tokens of a prompt, and as many more as the place says.
    price.rates.input = PerMillion::new(NanoUsd::from_nanos(1_000_000_000 * i64::from(id + 1)));
    let candidate = Candidate {
        id: DeploymentId(id),
        name: format!("d{id}"),
        provider: "p".into(),
        upstream_model: name.into(),
        priority: 0,
        weight: 1,
        price: Some(Arc::new(price)),
        ..Candidate::default()
    };
    ModelEntry {
        name: name.into(),
        images,
        tools: true,
        context: Some(100_000),
        deployments: vec![candidate],
        fallbacks: fallbacks.iter().map(|&name| name.into()).collect(),
        ..ModelEntry::default()
    }
}

fn table(rules: Vec<RuleEntry>, default: Option<&str>) -> Table {
    let mut builder = TableBuilder::default();
    builder.model(model(0, "small", false, &["middle"]));
    builder.model(model(1, "middle", true, &[]));
    builder.model(model(2, "large", true, &[]));
    builder.model(model(3, "last", true, &[]));
    builder.default_fallback(vec!["last".into()]);
    builder.rules(vec!["auto".into()], rules, default.map(str::to_owned));
    builder.build().unwrap()
}

fn planned(table: &Table, facts: Facts<'_>) -> Result<Plan, NoRoute> {
    plan(table, &facts, &|_: DeploymentId| Health::Good, 0)
}

fn show(table: &Table, facts: Facts<'_>) -> String {
    match planned(table, facts) {
        Err(no) => no.to_string(),
        Ok(plan) => {
            let tried = plan.attempts.iter().map(|attempt| format!("{}: {}", attempt.model, attempt.why));
            let left = plan.removed.iter().map(|(id, why)| format!("not {}: {why}", id.0));
            tried.chain(left).collect::<Vec<_>>().join("\n")
        }
    }
}

fn auto<'a>() -> Facts<'a> {
    Facts { model: "Auto", ..Facts::default() }
}

#[test]
fn the_first_rule_that_holds_is_followed_by_its_fallbacks_its_models_and_the_default() {
    let rules = || vec![entry("stream", "small", &["large"]), entry("has_tools", "large", &[])];
    let stream = Facts { stream: true, has_tools: true, ..auto() };
    assert_snapshot!(show(&table(rules(), Some("middle")), stream), @"
    small: rule 1 chooses its model
    large: rule 1 falls back to its model
    middle: it serves a fallback of that model
    last: it serves the default fallback
    ");
    assert_snapshot!(show(&table(rules(), Some("middle")), Facts { has_tools: true, ..auto() }), @"
    large: rule 2 chooses its model
    middle: it serves what no rule is about
    last: it serves the default fallback
    ");
    assert_snapshot!(show(&table(rules(), Some("small")), auto()), @"
    small: it serves what no rule is about
    middle: it serves a fallback of that model
    last: it serves the default fallback
    ");
    // All of them are as good as unknown, so the cheapest is enough.
    assert_snapshot!(show(&table(rules(), None), auto()), @"
    small: it is chosen by `capable`
    middle: it is chosen by `capable`
    large: it is chosen by `capable`
    last: it is chosen by `capable`
    ");
    let last = vec![entry("stream", "small", &[]), entry("", "large", &["middle"])];
    assert_snapshot!(show(&table(last, Some("small")), stream), @"
    small: rule 1 chooses its model
    middle: it serves a fallback of that model
    large: it serves what no rule is about
    last: it serves the default fallback
    ");
}

#[test]
fn rules_choose_only_for_those_who_ask_for_no_model() {
    let table = table(vec![entry("true", "large", &[])], None);
    assert_eq!(planned(&table, auto()).unwrap().by, Why::Rule { rule: 1 });
    for name in ["small", "p/small"] {
        let plan = planned(&table, Facts { model: name, ..Facts::default() }).unwrap();
        assert_eq!((&*plan.asked, plan.by), ("small", Why::Asked));
    }
    assert!(matches!(
        planned(&table, Facts { model: "autos", ..Facts::default() }),
        Err(NoRoute::Unknown { .. })
    ));
}

#[test]
fn what_a_key_or_a_request_cannot_use_is_left_out_of_a_rules_list() {
    let table = table(vec![entry("", "small", &["large"])], None);
    assert_snapshot!(show(&table, Facts { has_images: true, ..auto() }), @"
    large: rule 1 falls back to its model
    middle: it serves a fallback of that model
    last: it serves the default fallback
    not 0: its model cannot take images
    ");
    let allowed = ["large".to_owned()];
    assert_snapshot!(show(&table, Facts { allowed_models: Some(&allowed), ..auto() }), @"
    large: rule 1 falls back to its model
    not 0: the key may not use its model
    not 1: the key may not use its model
    not 3: the key may not use its model
    ");
    let none = ["nobody".to_owned()];
    assert_snapshot!(show(&table, Facts { allowed_models: Some(&none), ..auto() }), @"the key may not use this model");
}

#[test]
fn what_a_request_would_cost_is_that_of_the_rules_own_model() {
    let rules = vec![entry("est_cost > 0.25", "middle", &[]), entry("est_cost > 0.25", "large", &[])];
    let table = table(rules, Some("small"));
    let facts = Facts { prompt_tokens: 100_000, now_ms: Some(0), ..auto() };
    // A tenth of a million tokens at two dollars, and at three.
    let judged = table.judged(&facts, &|_: DeploymentId| Health::Good);
    let costs: Vec<(bool, Option<f64>)> = judged.iter().map(|rule| (rule.holds, rule.est_cost)).collect();
    assert_eq!(costs, [(false, Some(0.2)), (true, Some(0.3))]);
    assert_eq!(planned(&table, facts).unwrap().by, Why::Rule { rule: 2 });
    assert_eq!(planned(&table, auto()).unwrap().by, Why::Rest);
}

#[test]
fn what_rules_ask_for_is_known_before() {
    let table =
        table(vec![entry("task == 'a'", "small", &[]), entry("metadata.x == 'a'", "large", &[])], None);
    let all = Needs { task: None, text: true, metadata: true, session: true, choice: true, quality: true };
    assert_eq!(table.needs("AUTO"), all);
    assert_eq!(table.needs("auto:fast"), Needs { metadata: false, quality: false, ..all });
    assert_eq!(table.needs("auto:best"), Needs { metadata: false, ..all });
    assert_eq!(table.needs("auto/code"), Needs { task: Some("code"), text: false, ..all });
    assert_eq!(table.needs("small"), Needs::default());
    assert_eq!(table.needs("nothing"), Needs::default());
    let weighs = |rule: &str, default: Option<&str>| {
        self::table(vec![entry("stream", rule, &[])], default).needs("auto").quality
    };
    let of_rules = [("small", Some("large")), ("auto:cheap", Some("large")), ("auto:best", Some("large"))];
    assert_eq!(of_rules.map(|(rule, default)| weighs(rule, default)), [false, false, true]);
    assert!(weighs("small", None), "where no rule holds a mode ranks");
    let named = Facts { model: "small", ..Facts::default() };
    assert!(table.judged(&named, &|_: DeploymentId| Health::Good).is_empty());
}

proptest! {
    #[test]
    fn a_rules_plan_holds_nothing_that_a_filter_excludes(
        stream: bool, has_images: bool, has_tools: bool, tokens in 0..300_000u64, allowed in prop::option::of(prop::collection::vec(0..4usize, 0..3)),
    ) {
        let rules = vec![entry("stream", "small", &["large"]), entry("context_length > 100k", "middle", &[])];
        let table = table(rules, Some("small"));
        let names = ["small", "middle", "large", "last"];
        let allowed: Option<Vec<String>> = allowed.map(|list| list.into_iter().map(|at| names[at].to_owned()).collect());
        let facts = Facts { stream, has_images, has_tools, prompt_tokens: tokens, allowed_models: allowed.as_deref(), ..auto() };
        let Ok(plan) = planned(&table, facts) else { return Ok(()) };
        prop_assert!(!plan.attempts.is_empty());
        for attempt in &plan.attempts {
            prop_assert!(!has_images || &*attempt.model != "small");
            prop_assert!(allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|name| **name == *attempt.model)));
        }
        // The same facts give the same plan.
        prop_assert_eq!(planned(&table, facts).unwrap(), plan);
    }
}
