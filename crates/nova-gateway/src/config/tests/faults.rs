use insta::assert_snapshot;

use super::*;

#[test]
fn all_errors_are_found_at_once_each_with_its_line() {
    assert_snapshot!(check(
        "listen: 6682
timout: 5s
timeouts:
  connect: 5
  idle: 10 parsecs
limits: { body_bytes: 32MB, requests_per_minute: many, max_in_flight: -1 }
telemetry:
  log_format: xml
fallbacks:
  deepseek-v4-por: kimi-2.6
"
    ), @"
    error: `6682` is not an address and a port
      --> nova.yaml:1:9
      |
    1 | listen: 6682
      |         ^^^^
    hint: write it as `127.0.0.1:6682` or `[::1]:6682`

    error: there is no key `timout` here
      --> nova.yaml:2:1
      |
    2 | timout: 5s
      | ^^^^^^
    hint: did you mean `timeouts`?

    error: `5` has no unit
      --> nova.yaml:4:12
      |
    4 |   connect: 5
      |            ^
    hint: write `ms`, `s`, `m` or `h` behind the number, as in `5s`

    error: `10 parsecs` has an unknown unit `parsecs`
      --> nova.yaml:5:9
      |
    5 |   idle: 10 parsecs
      |         ^^^^^^^^^^
    hint: write `ms`, `s`, `m` or `h` behind the number, as in `5s`

    error: expected a whole number from 0 to 4294967295, found `many`
      --> nova.yaml:6:50
      |
    6 | limits: { body_bytes: 32MB, requests_per_minute: many, max_in_flight: -1 }
      |                                                  ^^^^

    error: expected a whole number from 0 to 4294967295, found `-1`
      --> nova.yaml:6:71
      |
    6 | limits: { body_bytes: 32MB, requests_per_minute: many, max_in_flight: -1 }
      |                                                                       ^^

    error: `xml` is not one of the words that may stand here
      --> nova.yaml:8:15
      |
    8 |   log_format: xml
      |               ^^^
    hint: write `auto`, `pretty` or `json`
    ");
}

#[test]
fn what_is_not_yaml_is_named_where_it_stops() {
    assert_snapshot!(check("listen: [127.0.0.1\naliases: {}\n"), @"
    error: this is not YAML: illegal placement of ':' indicator
      --> nova.yaml:2:8
      |
    2 | aliases: {}
      |        ^
    ");
    assert_snapshot!(check("aliases:\n  a: b: c\n"), @"
    error: this is not YAML: mapping values are not allowed in this context
      --> nova.yaml:2:7
      |
    2 |   a: b: c
      |       ^
    ");
    assert_snapshot!(check("\tlisten: x\n"), @"
    error: `x` is not an address and a port
      --> nova.yaml:1:10
      |
    1 |  listen: x
      |          ^
    hint: write it as `127.0.0.1:6682` or `[::1]:6682`
    ");
    assert_snapshot!(check("listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n"), @"
    error: a second document begins here
      --> nova.yaml:2:1
      |
    2 | ---
      | ^^^
    hint: a configuration is one document: leave out `---`
    ");
    assert_snapshot!(check("- listen\n"), @"
    error: a configuration is a map of keys
      --> nova.yaml:1:1
      |
    1 | - listen
      | ^
    hint: begin with a key, such as `listen: 127.0.0.1:6682`
    ");
}

#[test]
fn keys_are_unique_texts_that_are_known() {
    assert_snapshot!(check("retry: { max_attempts: 3 }\nlimits: {}\nretry: { max_attempts: 4 }\n"), @"
    error: `retry` is there twice
      --> nova.yaml:3:1
      |
    3 | retry: { max_attempts: 4 }
      | ^^^^^
    hint: it is already on line 1
    ");
    assert_snapshot!(check("? [a, b]\n: c\n"), @"
    error: a key must be a text
      --> nova.yaml:1:3
      |
    1 | ? [a, b]
      |   ^
    ");
    assert_snapshot!(check("base: &base { total: 1m }\ntimeouts: { <<: *base }\n"), @"
    error: there is no key `base` here
      --> nova.yaml:1:1
      |
    1 | base: &base { total: 1m }
      | ^^^^
    hint: `docs/reference/configuration.md` lists all keys

    error: merge keys are not supported
      --> nova.yaml:2:13
      |
    2 | timeouts: { <<: *base }
      |             ^^
    hint: write the entries out
    ");
    assert_snapshot!(check("listen: !secret x\n"), @"
    error: `x` is not an address and a port
      --> nova.yaml:1:17
      |
    1 | listen: !secret x
      |                 ^
    hint: write it as `127.0.0.1:6682` or `[::1]:6682`

    error: the tag `!secret` means nothing here
      --> nova.yaml:1:17
      |
    1 | listen: !secret x
      |                 ^
    hint: write the value without it
    ");
    assert_snapshot!(check("deployments: [{ model: deepseek-v4-pro, provder: deepseek }]\n"), @"
    error: there is no key `provder` here
      --> nova.yaml:1:41
      |
    1 | deployments: [{ model: deepseek-v4-pro, provder: deepseek }]
      |                                         ^^^^^^^
    hint: did you mean `provider`?
    ");
    assert_snapshot!(check("deployments: [{ provider: deepseek }]\n"), @"
    error: the key `model` is missing
      --> nova.yaml:1:15
      |
    1 | deployments: [{ provider: deepseek }]
      |               ^
    ");
}

#[test]
fn values_of_the_wrong_type_are_told_what_is_expected() {
    assert_snapshot!(check("providers: [deepseek]\n"), @"
    error: expected a map of entries by name, found a list
      --> nova.yaml:1:12
      |
    1 | providers: [deepseek]
      |            ^
    ");
    assert_snapshot!(check("allow_remote: yes\nstreaming_beta: 1\n"), @"
    error: expected `true` or `false`, found `yes`
      --> nova.yaml:1:15
      |
    1 | allow_remote: yes
      |               ^^^

    error: expected `true` or `false`, found `1`
      --> nova.yaml:2:17
      |
    2 | streaming_beta: 1
      |                 ^
    ");
    assert_snapshot!(check("retry: { max_attempts: 0, base_ms: 1.5, attempts_per_deployment: \"2\" }\n"), @r#"
    error: at least `1` is needed here
      --> nova.yaml:1:24
      |
    1 | retry: { max_attempts: 0, base_ms: 1.5, attempts_per_deployment: "2" }
      |                        ^

    error: expected a whole number from 0 to 4294967295, found `1.5`
      --> nova.yaml:1:36
      |
    1 | retry: { max_attempts: 0, base_ms: 1.5, attempts_per_deployment: "2" }
      |                                    ^^^

    error: expected a whole number from 0 to 4294967295, found `2`
      --> nova.yaml:1:66
      |
    1 | retry: { max_attempts: 0, base_ms: 1.5, attempts_per_deployment: "2" }
      |                                                                  ^^^
    hint: in quotes, a number is a text
    "#);
    assert_snapshot!(check("default_fallback: { a: b }\n"), @"
    error: expected a name, or a list of names, found a map
      --> nova.yaml:1:19
      |
    1 | default_fallback: { a: b }
      |                   ^
    ");
    assert_snapshot!(check("engine: { threads: 99999999999 }\n"), @"
    error: expected a whole number from 0 to 4294967295, found `99999999999`
      --> nova.yaml:1:20
      |
    1 | engine: { threads: 99999999999 }
      |                    ^^^^^^^^^^^
    ");
    assert_snapshot!(check("telemetry: { log_level: verbose }\n"), @"
    error: `verbose` is not a level
      --> nova.yaml:1:25
      |
    1 | telemetry: { log_level: verbose }
      |                         ^^^^^^^
    hint: write `info` or `debug`
    ");
    assert_snapshot!(check("database: mysql://root:hunter2@db/nova\n"), @"
    error: this is not the URL of a database
      --> nova.yaml:1:11
      |
    1 | database: mysql://************@db/nova
      |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: begin with `sqlite:///` and a path, or with `postgres://`
    ");
    assert_snapshot!(check("providers: { p: { base_url: http://x/v1, auth: { heder: x-key } } }\n"), @"
    error: `heder` is not one of the words that may stand here
      --> nova.yaml:1:50
      |
    1 | providers: { p: { base_url: http://x/v1, auth: { heder: x-key } } }
      |                                                  ^^^^^
    hint: did you mean `header`?
    ");
}

#[test]
fn names_that_nobody_has_get_the_nearest() {
    assert_snapshot!(check(
        "aliases: { fast: qwen3-235B-a22, deepseek-v4-pro: kimi-2.6, faster: fast }
fallbacks: { kimi-2.6: [kimi-2.6, minimax-2.8], Kimi-K2.6: qwen3-235b }
default_model: deepsek-v4-pro
credentials: { deepsek: [{ key: \"${K}\" }] }
deployments:
  - { model: kimi-2.6, provider: moonshoot }
  - { model: kimi-2.6, provider: moonshot }
  - { model: kimi-2.6, provider: vllm }
"
    ), @r#"
    error: there is no model `qwen3-235B-a22`
      --> nova.yaml:1:18
      |
    1 | aliases: { fast: qwen3-235B-a22, deepseek-v4-pro: kimi-2.6, faster: fast }
      |                  ^^^^^^^^^^^^^^
    hint: did you mean `qwen3-235b-a22b` or `qwen3-30b-a3b`?

    error: `deepseek-v4-pro` is the own name of a model, it cannot be an alias
      --> nova.yaml:1:34
      |
    1 | aliases: { fast: qwen3-235B-a22, deepseek-v4-pro: kimi-2.6, faster: fast }
      |                                  ^^^^^^^^^^^^^^^
    hint: use another name, or change the model in `models:`

    error: `fast` is an alias itself
      --> nova.yaml:1:69
      |
    1 | aliases: { fast: qwen3-235B-a22, deepseek-v4-pro: kimi-2.6, faster: fast }
      |                                                                     ^^^^
    hint: name the model

    error: `kimi-2.6` falls back to itself
      --> nova.yaml:2:25
      |
    2 | fallbacks: { kimi-2.6: [kimi-2.6, minimax-2.8], Kimi-K2.6: qwen3-235b }
      |                         ^^^^^^^^

    error: there is no model `minimax-2.8`
      --> nova.yaml:2:35
      |
    2 | fallbacks: { kimi-2.6: [kimi-2.6, minimax-2.8], Kimi-K2.6: qwen3-235b }
      |                                   ^^^^^^^^^^^
    hint: did you mean `minimax-2.7`, `minimax-2.5` or `minimax-2.1`?

    error: the fallbacks of `kimi-k2.6` are there twice
      --> nova.yaml:2:49
      |
    2 | fallbacks: { kimi-2.6: [kimi-2.6, minimax-2.8], Kimi-K2.6: qwen3-235b }
      |                                                 ^^^^^^^^^

    error: there is no model `deepsek-v4-pro`
      --> nova.yaml:3:16
      |
    3 | default_model: deepsek-v4-pro
      |                ^^^^^^^^^^^^^^
    hint: did you mean `deepseek-v4-pro`?

    error: there is no provider `deepsek`
      --> nova.yaml:4:16
      |
    4 | credentials: { deepsek: [{ key: "${K}" }] }
      |                ^^^^^^^
    hint: did you mean `deepseek`?

    error: the environment variable `K` is not set
      --> nova.yaml:4:33
      |
    4 | credentials: { deepsek: [{ key: "${K}" }] }
      |                                 ^^^^^^
    hint: set `K`, or take what needs it out of the file

    error: there is no provider `moonshoot`
      --> nova.yaml:6:34
      |
    6 |   - { model: kimi-2.6, provider: moonshoot }
      |                                  ^^^^^^^^^
    hint: did you mean `moonshot`?

    error: provider `moonshot` has no credential
      --> nova.yaml:7:34
      |
    7 |   - { model: kimi-2.6, provider: moonshot }
      |                                  ^^^^^^^^
    hint: set `MOONSHOT_API_KEY`, or add one to `credentials:`

    error: it is not known where provider `vllm` is reached
      --> nova.yaml:8:34
      |
    8 |   - { model: kimi-2.6, provider: vllm }
      |                                  ^^^^
    hint: write `base_url:` below it
    "#);
}

#[test]
fn what_was_cut_out_causes_no_second_error() {
    // The model is wrong, so nobody may be told that there is no such model.
    assert_snapshot!(check("models: { mine: { context: big, offers: 3 } }\naliases: { me: mine }\n"), @"
    error: expected a whole number, found `big`
      --> nova.yaml:1:28
      |
    1 | models: { mine: { context: big, offers: 3 } }
      |                            ^^^

    error: expected a list, found `3`
      --> nova.yaml:1:41
      |
    1 | models: { mine: { context: big, offers: 3 } }
      |                                         ^
    ");
    assert_snapshot!(check("keys: [{ name: a, key: \"${MISSING}\" }]\n"), @r#"
    error: the environment variable `MISSING` is not set
      --> nova.yaml:1:24
      |
    1 | keys: [{ name: a, key: "${MISSING}" }]
      |                        ^^^^^^^^^^^^
    hint: set `MISSING`, or take what needs it out of the file
    "#);
}

#[test]
fn a_hostile_document_is_refused_in_bounded_time() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        laughs.push_str(&format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(", ")));
    }
    assert!(check(&laughs).contains("more than 200000 values"));
    assert!(check(&"[".repeat(100_000)).contains("nova.yaml:1:"));
    assert!(check(&format!("a: {}", "{a: ".repeat(200))).contains("nova.yaml:1:"));
    assert!(check("a: &a [*a]\n").contains("stands inside of what it stands for"));
    assert!(check(&"x: 1\n".repeat(3_000)).contains("is there twice"));
    assert!(check(&format!("# {}", "x".repeat(MAX_BYTES))).contains("larger than 4 MiB"));
    let wide = format!("listen: {}\n", "9".repeat(500));
    assert!(check(&wide).lines().all(|line| line.chars().count() < 700));
}

#[test]
fn metrics_need_a_name_of_their_own_and_a_scale() {
    assert_snapshot!(check("feedback:
  metrics:
    score: { worst: 1, best: 5 }
    a b: { worst: 1, best: 5 }
    stars: { worst: 2, best: 2 }
    nps: { worst: 0 }
"), @"
    error: `score` has its own scale
      --> nova.yaml:3:5
      |
    3 |     score: { worst: 1, best: 5 }
      |     ^^^^^
    hint: use another name

    error: `a b` is no name of a metric
      --> nova.yaml:4:5
      |
    4 |     a b: { worst: 1, best: 5 }
      |     ^^^
    hint: use up to 64 letters, digits, `_`, `-` and `.`

    error: from 2 to 2 is no scale
      --> nova.yaml:5:30
      |
    5 |     stars: { worst: 2, best: 2 }
      |                              ^
    hint: write two different numbers, such as `{ worst: 1, best: 5 }`

    error: the key `best` is missing
      --> nova.yaml:6:10
      |
    6 |     nps: { worst: 0 }
      |          ^
    ");
}

#[test]
fn a_budget_has_an_amount_and_a_span() {
    let budget = |budget: &str| {
        check(&format!("keys:\n  - name: a\n    key: nsk_0123456789abcdefghij\n    budget: {budget}\n"))
    };
    assert_eq!(budget("{ usd: 5, per: week }"), "no errors");
    assert_snapshot!(budget("{ usd: 0, per: year }"), @"
    error: `0` is not an amount between 0.000000001 and 1000000
      --> nova.yaml:4:20
      |
    4 |     budget: { usd: 0, per: year }
      |                    ^
    hint: write US dollars, as in `0.002`

    error: there is no span of time `year`
      --> nova.yaml:4:28
      |
    4 |     budget: { usd: 0, per: year }
      |                            ^^^^
    hint: write `day`, `week`, `month` or `total`
    ");
    assert_snapshot!(budget("{ usd: 5 }"), @"
    error: the key `per` is missing
      --> nova.yaml:4:13
      |
    4 |     budget: { usd: 5 }
      |             ^
    ");
}
