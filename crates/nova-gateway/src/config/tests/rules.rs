use std::path::Path;

use insta::assert_snapshot;
use nova_route::choose::Mode;
use nova_route::{Classifier, DeploymentId, Facts, Health, Why};

use super::{check, parse};
use crate::config::{Config, Env};

#[test]
fn what_is_wrong_in_a_condition_is_shown_at_its_place() {
    assert_snapshot!(check(
        r#"route:
  - if: tsk == "reasoning" and stream > 3
    use: kimi-2.6
  - if: 'context_length > "100"'
    use: kimi-2.6
  - { if: "weekday == 'Monday'", use: kimi-2.6 }
  - if: "task == \"a\" and blorp"
    use: kimi-2.6
  - if: >-
      stream and
      blorp
    use: kimi-2.6
default_model: kimi-2.6
"#
    ), @r#"
    error: there is no `tsk`
      --> nova.yaml:2:9
      |
    2 |   - if: tsk == "reasoning" and stream > 3
      |         ^^^
    hint: did you mean `task`?

    error: `stream` is a yes or no
      --> nova.yaml:2:41
      |
    2 |   - if: tsk == "reasoning" and stream > 3
      |                                         ^
    hint: write `stream` or `not stream`

    error: `context_length` is a number and `"100"` a text
      --> nova.yaml:4:27
      |
    4 |   - if: 'context_length > "100"'
      |                           ^^^^^
    hint: write `100`

    error: `weekday` is never `"Monday"`
      --> nova.yaml:6:23
      |
    6 |   - { if: "weekday == 'Monday'", use: kimi-2.6 }
      |                       ^^^^^^^^
    hint: write one of `"mon"`, `"tue"`, `"wed"`, `"thu"`, `"fri"`, `"sat"`, `"sun"`

    error: there is no `blorp`
      --> nova.yaml:7:9
      |
    7 |   - if: "task == \"a\" and blorp"
      |         ^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: docs/guides/routing.md lists the names; texts stand in quotes

    error: there is no `blorp`
      --> nova.yaml:10:7
       |
    10 |       stream and
       |       ^^^^^^^^^^
    hint: docs/guides/routing.md lists the names; texts stand in quotes
    "#);
}

#[test]
fn rules_that_nothing_reaches_are_refused() {
    assert_snapshot!(check(
        r#"routes:
  - match: context_length > 80k
    model: kimi-2.6
  - match: context_length > 100_000 and stream
    model: deepseek-v4-pro
  - match: 80000 < context_length
    model: deepseek-v4-pro
  - match: turns > 3 and turns < 3
    model: deepseek-v4-pro
  - default: deepseek-v4-pro
  - match: stream
    model: deepseek-v4-pro
"#
    ), @"
    error: this rule is never reached: wherever it holds, the one on line 2 does, too
      --> nova.yaml:4:12
      |
    4 |   - match: context_length > 100_000 and stream
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: put the narrower rule first, or leave it out

    error: this rule is never reached: the one on line 2 has the same condition
      --> nova.yaml:6:12
      |
    6 |   - match: 80000 < context_length
      |            ^^^^^^^^^^^^^^^^^^^^^^
    hint: put the narrower rule first, or leave it out

    error: this condition never holds
      --> nova.yaml:8:12
      |
    8 |   - match: turns > 3 and turns < 3
      |            ^^^^^^^^^^^^^^^^^^^^^^^
    hint: its parts exclude each other: write `or`, or change one

    error: this rule is never reached: one before it always holds
      --> nova.yaml:12:12
       |
    12 |     model: deepseek-v4-pro
       |            ^^^^^^^^^^^^^^^
    hint: move the rule on line 10 behind it
    ");
}

#[test]
fn rules_that_their_model_can_never_meet_are_refused() {
    assert_snapshot!(check(
        r#"route:
  - if: context_length > 200k
    use: qwen3-235b
  - if: has_images and task == "chat"
    use: deepseek-v4-pro
routing: { classifier: keyword }
default_model: kimi-2.6
"#
    ), @"
    error: `qwen3-235b-a22b` takes prompts of up to 129024 tokens, and this rule sends it only longer ones
      --> nova.yaml:3:10
      |
    3 |     use: qwen3-235b
      |          ^^^^^^^^^^
    hint: choose a model with a longer context, or lower the bound

    error: `deepseek-v4-pro` reads no images, and this rule sends it only requests with such
      --> nova.yaml:5:10
      |
    5 |     use: deepseek-v4-pro
      |          ^^^^^^^^^^^^^^^
    hint: choose another model, or correct its `capabilities` under `models:`

    error: there is no classifier `keyword`
      --> nova.yaml:6:24
      |
    6 | routing: { classifier: keyword }
      |                        ^^^^^^^
    hint: did you mean `keywords`?
    ");
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let warnings = |yaml: &str| {
        let config = parse(yaml, &Env::of([]));
        config.warnings.iter().map(|warning| warning.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(warnings("route: [{ if: stream, use: kimi-2.6 }]"), [""; 0]);
    assert_eq!(warnings("route: [{ if: stream, use: kimi-2.6 }, { use: kimi-2.6 }]"), [""; 0]);
    assert_eq!(
        warnings("route: [{ if: stream, use: kimi-2.6 }, { use: kimi-2.6 }]\ndefault_model: qwen3-235b"),
        ["`default_model` is not used: the last rule always holds and chooses `kimi-2.6`"]
    );
    assert_eq!(
        warnings(
            "route: [{ if: context_length > 200k, use: kimi-2.6, fallback: qwen3-235b }]\ndefault_model: qwen3-235b"
        ),
        ["`qwen3-235b-a22b` takes prompts of up to 129024 tokens, and this rule sends it only longer ones"]
    );
    assert_eq!(
        warnings("route: [{ if: stream, use: kimi-2.6 }, { use: kimi-2.6 }]\naliases: { Auto: qwen3-235b }"),
        ["no rule is asked for `auto`, because it is an alias"]
    );
}

/// Everything the seeds name has a credential.
fn example(name: &str) -> Config {
    let variable = |name: &str| {
        ["DEEPSEEK_API_KEY", "MOONSHOT_API_KEY", "DASHSCOPE_API_KEY", "ANTHROPIC_API_KEY"]
            .contains(&name)
            .then(|| format!("sk-{name}"))
    };
    let env = Env::new(variable, |path| std::fs::read_to_string(path));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    let config = Config::load(&file, &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    config
}

/// The models that are tried for `auto`, in order, and what chose the first.
fn chosen(config: &Config, facts: &Facts<'_>) -> String {
    let table = config.table().unwrap();
    for name in ["auto", "AUTO", "default"] {
        assert!(table.needs(name).choice);
    }
    let plan = match nova_route::plan(&table, facts, &|_: DeploymentId| Health::Good, 0) {
        Ok(plan) => plan,
        Err(no) => return no.to_string(),
    };
    let mut models: Vec<&str> = plan.attempts.iter().map(|attempt| &*attempt.model).collect();
    models.dedup();
    format!("{}: {}", plan.by, models.join(", "))
}

#[test]
fn seed_001_sends_long_documents_to_kimi_and_cheap_reasoning_to_deepseek() {
    let config = example("seed-001.yaml");
    let check = |task: Option<&'static str>, prompt_tokens: u64, budget: Option<f64>, expected: &str| {
        let facts = Facts { model: "auto", task, prompt_tokens, budget, ..Facts::default() };
        assert_eq!(chosen(&config, &facts), expected, "{task:?} {prompt_tokens} {budget:?}");
    };
    let rest = "it serves what no rule is about: qwen3-235b-a22b";
    check(Some("long_document_qa"), 100_001, None, "rule 1 chooses its model: kimi-k2.6, qwen3-235b-a22b");
    check(Some("long_document_qa"), 100_000, None, rest);
    check(Some("chat"), 100_001, None, rest);
    check(
        Some("reasoning"),
        5_000,
        Some(0.0004),
        "rule 2 chooses its model: deepseek-v4-pro, qwen3-235b-a22b",
    );
    check(Some("reasoning"), 5_000, Some(0.0005), rest);
    check(Some("reasoning"), 5_000, None, rest);
    check(None, 5_000, Some(0.0004), rest);
    // Who names a model gets it, whatever the rules say.
    let facts = Facts {
        model: "deepseek-v4-pro",
        task: Some("long_document_qa"),
        prompt_tokens: 200_000,
        ..Facts::default()
    };
    assert_eq!(chosen(&config, &facts), "it serves the model that was asked for: deepseek-v4-pro");
}

#[test]
fn seed_002_sends_long_prompts_to_kimi_reasoning_to_qwen_and_the_rest_to_deepseek() {
    let config = example("seed-002.yaml");
    let check = |task: Option<&'static str>, prompt_tokens: u64, expected: &str| {
        let facts = Facts { model: "auto", task, prompt_tokens, ..Facts::default() };
        assert_eq!(chosen(&config, &facts), expected, "{task:?} {prompt_tokens}");
    };
    check(None, 80_001, "rule 1 chooses its model: kimi-k2.6, deepseek-v4-pro");
    check(Some("reasoning"), 80_001, "rule 1 chooses its model: kimi-k2.6, deepseek-v4-pro");
    check(Some("reasoning"), 80_000, "rule 2 chooses its model: qwen3-235b-a22b, deepseek-v4-pro");
    check(Some("chat"), 80_000, "rule 3 chooses its model: deepseek-v4-pro");
    check(None, 1, "rule 3 chooses its model: deepseek-v4-pro");
}

#[test]
fn seed_003_sends_code_to_deepseek_prose_to_claude_and_the_rest_to_qwen() {
    let config = example("seed-003.yaml");
    assert_eq!(config.classifier, Classifier::Keywords);
    let check = |said: &str, expected: &str| {
        let facts = Facts { model: "auto", task: config.classifier.task(said), ..Facts::default() };
        assert_eq!(chosen(&config, &facts), expected, "{said}");
    };
    check(
        "Debug this Python function that's causing a memory leak",
        "rule 1 chooses its model: deepseek-v4-pro, qwen3-235b-a22b",
    );
    check(
        "Write a short story about an AI discovering emotions",
        "rule 2 chooses its model: claude-opus-4-7, qwen3-235b-a22b",
    );
    check("Summarize this quarter", "rule 3 chooses its model: qwen3-235b-a22b");
    check("Hello", "rule 3 chooses its model: qwen3-235b-a22b");
}

#[test]
fn without_a_default_a_mode_chooses_where_no_rule_holds() {
    let config = parse("route: [{ if: stream, use: kimi-2.6 }]", &Env::of([("MOONSHOT_API_KEY", "sk-a")]));
    let facts = Facts { model: "auto", ..Facts::default() };
    let plan =
        nova_route::plan(&config.table().unwrap(), &facts, &|_: DeploymentId| Health::Good, 0).unwrap();
    assert_eq!(plan.by, Why::Mode { mode: Mode::Capable });
}
