//! Presets: what is read of them, and what is wrong with them.

use super::check;
use crate::config::{Config, Env};

#[test]
fn what_a_preset_names_must_be_there() {
    let check = |yaml: &str, expected: &str| {
        let shown = match Config::parse("nova.yaml", yaml, &Env::of([])) {
            Ok(config) => format!("{:?}", config.warnings),
            Err(problems) => problems.to_string(),
        };
        assert!(shown.contains(expected), "{yaml}\n{shown}");
    };
    let preset = |rest: &str| format!("presets:\n  a:\n    {rest}\n");
    check(&preset("model: deepseek-v4-pr"), "did you mean `deepseek-v4-pro`");
    check(&preset("model: deepseek-v4-pr:thinking"), "there is no model `deepseek-v4-pr`");
    check(&preset("fallbacks: [deepseek-v4-pr]"), "there is no model `deepseek-v4-pr`");
    check(&preset("fallbacks: [deepseek-v4-pro:floor]"), "a fallback has no suffix of its own");
    check(&preset("provider: { srot: price }"), "did you mean `sort`");
    check(&preset("provider: { sort: cheap }"), "`price`, `throughput` or `latency`");
    check(&preset("parameters: { temprature: 1 }"), "did you mean `temperature`");
    check(&preset("provider: { only: [depseek] }"), "did you mean `deepseek`?");
    check("presets: { \"a/b\": {} }", "`a/b` is no name of a preset");
    check("presets: { a.b: {}, A_B: {} }", "`a.b` and `A_B` are one name");
}

#[test]
fn a_model_may_have_suffixes_or_be_left_to_the_gateway_or_to_the_request() {
    for model in ["deepseek-v4-pro:nitro:thinking", "DeepSeek-V4-Pro", "auto", "auto:cheap", "~"] {
        let yaml = format!("presets: {{ a: {{ model: \"{model}\" }} }}").replace("\"~\"", "~");
        assert_eq!(check(&yaml), "no errors", "{model}");
    }
}

#[test]
fn a_name_that_stands_for_many_can_be_asked_for_and_no_more() {
    let entry = "providers: { p: { base_url: 'http://127.0.0.1:1/v1' } }\nmodels: { \"a/*\": { offers: [{ provider: p }] } }\ncredentials: { p: [{ key: k }] }\n";
    let found = |rest: &str| check(&format!("{entry}{rest}"));
    assert_eq!(
        found("aliases: { \"gpt-4*\": kimi-k2.6 }\ndeployments: [{ model: a/*, provider: p }]"),
        "no errors"
    );
    for rest in [
        "default_model: a/*",
        "default_fallback: a/*",
        "fallbacks: { kimi-k2.6: a/* }",
        "aliases: { b: a/* }",
    ] {
        assert!(found(rest).contains("`a/*` stands for many models"), "{rest}\n{}", found(rest));
    }
    assert!(found("aliases: { \"*b*\": kimi-k2.6 }").contains("more than one `*`"));
    assert!(check("models: { \"*a*\": { offers: [{ provider: vllm }] } }").contains("more than one `*`"));
}
