//! Shadows: what is wrong with them, and what is read of them.

use super::{check, parse};
use crate::config::{Env, Traffic};

fn shadow(model: &str, to: &str, percent: &str, rest: &str) -> String {
    format!("shadows:\n  - {{ name: s, model: {model}, to: {to}, percent: {percent}, {rest} }}\n")
}

#[test]
fn what_a_shadow_says_must_make_sense() {
    let expect = |yaml: &str, expected: &str| {
        let shown = check(yaml);
        assert!(shown.contains(expected) && shown.contains("nova.yaml:2:"), "{yaml}\n{shown}");
    };
    let budget = "budget_per_day: 2";
    expect(&shadow("deepseek-v4-pr", "kimi-2.6", "1", budget), "did you mean `deepseek-v4-pro`");
    expect(&shadow("auto", "kimi-2.66", "1", budget), "there is no model `kimi-2.66`");
    expect(&shadow("kimi-2.6", "KIMI-2.6", "1", budget), "`KIMI-2.6` would be its own shadow");
    expect(&shadow("auto", "kimi-2.6", "101", budget), "`101` is not between 0 and 100");
    expect(&shadow("auto", "kimi-2.6", "-1", budget), "`-1` is not between 0 and 100");
    expect(&shadow("auto", "kimi-2.6", "1", "budget_per_day: 0"), "hint: write US dollars");
    expect(&shadow("auto", "kimi-2.6", "1", "budget_per_day: 2, max_in_flight: 0"), "at least `1`");
    expect(&shadow("auto", "kimi-2.6", "1", "budget_per_day: 2, if: has_tool"), "has_tools");
    expect(&shadow("auto", "kimi-2.6", "1", "budget_per_day: 2, if: est_cost < 1"), "not known to a shadow");
    expect(&shadow("auto", "kimi-2.6", "1", "budget: 2"), "budget_per_day");
    let twice = shadow("auto", "kimi-2.6", "1", budget);
    let second = twice.lines().nth(1).unwrap();
    assert!(check(&format!("{twice}{second}\n")).contains("there are two shadows `s`"));
}

#[test]
fn a_shadow_follows_a_model_by_any_name_or_the_gateways_own_choices() {
    let traffic = |model: &str| {
        let yaml = shadow(model, "kimi-2.6", "0.5", "budget_per_day: 2");
        let shadow = parse(&yaml, &Env::of([])).shadows.remove(0);
        assert_eq!((shadow.per_million, shadow.budget_per_day.nanos()), (5_000, 2_000_000_000));
        assert_eq!(shadow.max_in_flight, 4);
        shadow.traffic
    };
    assert_eq!(traffic("AUTO"), Traffic::Auto);
    assert_eq!(traffic("default"), Traffic::Auto);
    assert_eq!(traffic("DeepSeek-V4-Pro"), Traffic::Model("deepseek-v4-pro".into()));
}

#[test]
fn a_judge_is_a_model_that_judges_all_answers_unless_said_otherwise() {
    let judge = |judge: &str| shadow("auto", "kimi-2.6", "1", &format!("budget_per_day: 2, judge: {judge}"));
    let read = |text: &str| parse(&judge(text), &Env::of([])).shadows.remove(0).judge.unwrap();
    let all = read("{ model: Claude-Opus-4.7 }");
    assert_eq!((all.model.as_str(), all.per_million, all.criteria), ("claude-opus-4-7", 1_000_000, None));
    let some = read("{ model: kimi-2.6, percent: 20, criteria: brevity }");
    assert_eq!((some.per_million, some.criteria.as_deref()), (200_000, Some("brevity")));
    let wrong = |text: &str, expected: &str| {
        let shown = check(&judge(text));
        assert!(shown.contains(expected), "{text}\n{shown}");
    };
    wrong("{ model: kimi-2.66 }", "there is no model `kimi-2.66`");
    wrong("{ model: kimi-2.6, percent: 101 }", "`101` is not between 0 and 100");
    wrong("{ percent: 1 }", "the key `model` is missing");
}
