use std::io;
use std::path::Path;

use insta::assert_snapshot;
use nova_route::{DeploymentId, Facts, Health};

use super::*;

/// Files that were trained.
mod artefacts;
/// Addresses with places, and credentials of several parts.
mod clouds;
/// All that can be wrong with a file, as its reader is told.
mod faults;
/// What other files of the repository say about the configuration.
mod files;
/// Presets: what is wrong with them, and what is not.
mod presets;
/// Rules, and what the seeds' own choose.
mod rules;
/// Shadow traffic.
mod shadows;

/// All that is wrong with a text, as a terminal shows it.
fn check(yaml: &str) -> String {
    check_with(yaml, &Env::of([]))
}

fn check_with(yaml: &str, env: &Env) -> String {
    match Config::parse("nova.yaml", yaml, env) {
        Ok(_) => "no errors".into(),
        Err(problems) => problems.to_string(),
    }
}

fn parse(yaml: &str, env: &Env) -> Config {
    Config::parse("nova.yaml", yaml, env).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The deployments of a configuration: name, upstream model, priority and weight, credential, mounts.
fn deployments(config: &Config) -> String {
    let line = |deployment: &Deployment| {
        let mounts: Vec<String> =
            deployment.mounts.iter().map(|mount| format!("{} {}", mount.dialect, mount.endpoint)).collect();
        let credential = deployment.credential.as_ref().map_or("none", |credential| credential.id().as_str());
        let Deployment { name, upstream_model, priority, weight, .. } = deployment;
        format!("{name}: {upstream_model} {priority}/{weight} {credential} {}", mounts.join(", "))
    };
    config.deployments.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_at_all_is_a_configuration() {
    for nothing in
        ["", "\n", "# only a comment\n", "---\n", "{}", "null", "providers:\nkeys:\ntimeouts:\n", "\u{feff}"]
    {
        assert_eq!(check(nothing), "no errors", "{nothing:?}");
    }
    let config = Config::defaults(&Env::of([])).unwrap();
    assert_eq!(config.listen, DEFAULT_LISTEN);
    assert!(config.deployments.is_empty());
    assert_eq!(config.limits.body_bytes, 32 << 20);
}

#[test]
fn a_credential_in_the_environment_is_all_that_a_provider_needs() {
    let config =
        Config::defaults(&Env::of([("MOONSHOT_API_KEY", "sk-planted"), ("OPENAI_API_KEY", "")])).unwrap();
    assert!(config.deployments.iter().all(|deployment| &*deployment.provider == "moonshot"));
    let plan = nova_route::plan(
        &config.table().unwrap(),
        &Facts { model: "Kimi-2.6", ..Facts::default() },
        &|_: DeploymentId| Health::Good,
        0,
    );
    let first = plan.unwrap().attempts[0].deployment;
    let deployment = &config.deployments[first.index()];
    assert_eq!(&*deployment.model, "kimi-k2.6");
    assert!(deployment.price.is_some());
    assert!(!format!("{config:?}").contains("planted"));
}

#[test]
fn references_are_filled_after_parsing_and_missing_ones_are_named() {
    assert_snapshot!(check("credentials:\n  deepseek:\n    - key: ${DEEPSEEK_API_KEY}\n"), @"
    error: the environment variable `DEEPSEEK_API_KEY` is not set
      --> nova.yaml:3:12
      |
    3 |     - key: ${DEEPSEEK_API_KEY}
      |            ^^^^^^^^^^^^^^^^^^^
    hint: set `DEEPSEEK_API_KEY`, or take what needs it out of the file
    ");
    assert_snapshot!(check("data_dir: ${HOME\n"), @"
    error: a `${` is not closed
      --> nova.yaml:1:11
      |
    1 | data_dir: ${HOME
      |           ^^^^^^
    hint: write `${NAME}`, or `$${` for a plain `${`
    ");
    assert_snapshot!(check("data_dir: ${file:secret}\nlisten: ${}\n"), @"
    error: the file `secret` cannot be read: entity not found
      --> nova.yaml:1:11
      |
    1 | data_dir: ${file:secret}
      |           ^^^^^^^^^^^^^^

    error: `${}` names no variable
      --> nova.yaml:2:9
      |
    2 | listen: ${}
      |         ^^^
    hint: write `${NAME}` or `${file:/path}`, or `$${` for a plain `${`
    ");
    assert_snapshot!(check("limits: { max_in_flight: ${N} }\n"), @r#"
    error: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'
      --> nova.yaml:1:27
      |
    1 | limits: { max_in_flight: ${N} }
      |                           ^
    hint: within `{…}`, write `"${NAME}"` in quotes
    "#);
    // What a variable holds is a value, never a part of the document.
    let env = Env::of([("X", "a, b]\nlisten: 0.0.0.0:1"), ("N", "7"), ("T", "5s")]);
    let config =
        parse("data_dir: ${X}\nlimits: { max_in_flight: \"${N}\" }\ntimeouts:\n  idle: ${T}\n", &env);
    assert_eq!(config.data_dir.as_deref(), Some(Path::new("a, b]\nlisten: 0.0.0.0:1")));
    assert_eq!(config.limits.max_in_flight, Some(7));
    assert_eq!(parse("data_dir: a$${b}/${N}-${N}\n", &env).data_dir.as_deref(), Some(Path::new("a${b}/7-7")));
    let env = Env::new(
        |_| None,
        |path| match path.to_str() {
            Some("etc/secrets/deepseek") => Ok("sk-planted\n".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        },
    );
    let yaml = "credentials: { deepseek: [{ key: \"${file:secrets/deepseek}\" }] }";
    let config = Config::parse("etc/nova.yaml", yaml, &env).unwrap();
    assert!(config.deployments.iter().all(|deployment| deployment.credential.is_some()));
    assert!(!config.deployments.is_empty());
}

#[test]
fn a_secret_is_in_no_message() {
    let env = Env::of([("SECRET", "planted\nsecret"), ("NUMBER", "planted")]);
    let yaml = "credentials:
  deepseek:
    - { name: a, key: planted-literal, wieght: 3 }
    - { name: b, key: \"${SECRET}\" }
database: ${SECRET}
limits: { requests_per_minute: \"${NUMBER}\", body_bytes: \"${NUMBER}\" }
telemetry: { log_format: \"${NUMBER}\" }
listen: ${SECRET}
";
    let shown = check_with(yaml, &env);
    assert_snapshot!(shown, @r#"
    error: there is no key `wieght` here
      --> nova.yaml:3:40
      |
    3 |     - { name: a, key: ***************, wieght: 3 }
      |                                        ^^^^^^
    hint: did you mean `weight`?

    error: the credential holds a character that a header cannot carry
      --> nova.yaml:4:23
      |
    4 |     - { name: b, key: "${SECRET}" }
      |                       ^^^^^^^^^^^
    hint: check it for a line break at its end

    error: this is not the URL of a database
      --> nova.yaml:5:11
      |
    5 | database: ${SECRET}
      |           ^^^^^^^^^
    hint: begin with `sqlite:///` and a path, or with `postgres://`

    error: what `${…}` stands for cannot be used here
      --> nova.yaml:6:32
      |
    6 | limits: { requests_per_minute: "${NUMBER}", body_bytes: "${NUMBER}" }
      |                                ^^^^^^^^^^^

    error: what `${…}` stands for cannot be used here
      --> nova.yaml:6:57
      |
    6 | limits: { requests_per_minute: "${NUMBER}", body_bytes: "${NUMBER}" }
      |                                                         ^^^^^^^^^^^

    error: what `${…}` stands for cannot be used here
      --> nova.yaml:7:26
      |
    7 | telemetry: { log_format: "${NUMBER}" }
      |                          ^^^^^^^^^^^

    error: `***` is not an address and a port
      --> nova.yaml:8:9
      |
    8 | listen: ${SECRET}
      |         ^^^^^^^^^
    hint: write it as `127.0.0.1:6682` or `[::1]:6682`
    "#);
    let config = parse("credentials: { deepseek: [{ key: planted-literal }] }\n", &env);
    assert!(!format!("{config:?}").contains("planted"));
    assert_eq!(config.warnings.len(), 1);
    assert_eq!(config.warnings[0].message, "a secret is written out in the file");
}

#[test]
fn an_address_that_others_can_reach_must_be_allowed() {
    assert_snapshot!(check("listen: 0.0.0.0:6682\n"), @"
    error: `0.0.0.0:6682` can be reached by other machines
      --> nova.yaml:1:9
      |
    1 | listen: 0.0.0.0:6682
      |         ^^^^^^^^^^^^
    hint: put a TLS proxy in front, or write `allow_remote: true`
    ");
    assert_eq!(check("listen: \"[::1]:80\"\n"), "no errors");
    assert_eq!(check("listen: 0.0.0.0:6682\nallow_remote: true\n"), "no errors");
    assert_eq!(check_with("listen: 0.0.0.0:6682\n", &Env::of([]).allowing_remote(true)), "no errors");
}

#[test]
fn rules_are_kept_as_they_are_written_and_their_models_checked() {
    assert_snapshot!(check(
        "route:
  - { if: task == \"x\", use: kimi-2.9 }
  - { use: kimi-2.6 }
  - { if: \"\", use: kimi-2.6, fallback: nobody }
routes:
  - { match: context_length > 1 }
  - { default: deepseek-v4-pro, model: kimi-2.6 }
  - {}
"
    ), @r#"
    error: there are rules under `route` and under `routes`
      --> nova.yaml:2:29
      |
    2 |   - { if: task == "x", use: kimi-2.9 }
      |                             ^^^^^^^^
    hint: write all of them in one form

    error: there is no model `kimi-2.9`
      --> nova.yaml:2:29
      |
    2 |   - { if: task == "x", use: kimi-2.9 }
      |                             ^^^^^^^^
    hint: did you mean `kimi-2.6`, `kimi-2.5` or `kimi-k3`?

    error: the condition is empty
      --> nova.yaml:4:12
      |
    4 |   - { if: "", use: kimi-2.6, fallback: nobody }
      |            ^
    hint: leave the key out for a rule that always holds

    error: this rule is never reached: one before it always holds
      --> nova.yaml:4:20
      |
    4 |   - { if: "", use: kimi-2.6, fallback: nobody }
      |                    ^^^^^^^^
    hint: move the rule on line 3 behind it

    error: there is no model `nobody`
      --> nova.yaml:4:40
      |
    4 |   - { if: "", use: kimi-2.6, fallback: nobody }
      |                                        ^^^^^^
    hint: add it to `models:`

    error: a rule has `match` and `model`, or `default`
      --> nova.yaml:6:5
      |
    6 |   - { match: context_length > 1 }
      |     ^
    hint: write `- match: CONDITION` with `model: NAME` below it, or `- default: NAME`

    error: a rule has `match` and `model`, or `default`
      --> nova.yaml:7:5
      |
    7 |   - { default: deepseek-v4-pro, model: kimi-2.6 }
      |     ^
    hint: write `- match: CONDITION` with `model: NAME` below it, or `- default: NAME`

    error: a rule has `match` and `model`, or `default`
      --> nova.yaml:8:5
      |
    8 |   - {}
      |     ^
    hint: write `- match: CONDITION` with `model: NAME` below it, or `- default: NAME`
    "#);
    let yaml =
        "routes:\n  - match: context_length > 80000\n    model: kimi-2.6\n  - default: deepseek-v4-pro\n";
    let rules = parse(yaml, &Env::of([])).rules;
    let shown: Vec<_> = rules
        .iter()
        .map(|rule| (rule.condition.as_ref().map(|it| it.text()), &*rule.model, rule.line))
        .collect();
    assert_eq!(shown, [(Some("context_length > 80000"), "kimi-2.6", 2), (None, "deepseek-v4-pro", 4)]);
}

#[test]
fn keys_are_checked_for_form_name_and_models() {
    assert_snapshot!(check_with(
        "keys:
  - { name: a, key: \"${KEY}\", models: [kimi-2.6] }
  - { name: a, key: \"${SHORT}\", models: [kimi-2.66] }
",
        &Env::of([("KEY", "nsk_0123456789abcdef"), ("SHORT", "sk-1")])
    ), @r#"
    error: there are two keys of the name `a`
      --> nova.yaml:3:13
      |
    3 |   - { name: a, key: "${SHORT}", models: [kimi-2.66] }
      |             ^

    error: a key begins with `nsk_` and has 16 letters or digits more
      --> nova.yaml:3:21
      |
    3 |   - { name: a, key: "${SHORT}", models: [kimi-2.66] }
      |                     ^^^^^^^^^^
    hint: `novastack keys create NAME` makes one

    error: there is no model `kimi-2.66`
      --> nova.yaml:3:42
      |
    3 |   - { name: a, key: "${SHORT}", models: [kimi-2.66] }
      |                                          ^^^^^^^^^
    hint: did you mean `kimi-2.6` or `kimi-2.5`?
    "#);
}

#[test]
fn every_credential_of_a_provider_is_a_deployment_of_its_own() {
    let env = Env::of([
        ("A", "sk-a"),
        ("B", "sk-b"),
        ("DASHSCOPE_API_KEY", "sk-d"),
        ("DEEPSEEK_API_KEY", "sk-other"),
    ]);
    let yaml = "credentials:
  deepseek: [{ name: a, key: \"${A}\", weight: 3 }, { key: \"${B}\" }]
deployments:
  - { model: DeepSeek-V4-Pro, provider: deepseek, weight: 2 }
  - { model: deepseek-v4-pro, provider: dashscope, priority: 1, upstream_model: ds-pro, base_url: \"http://127.0.0.1:9/v1\" }
  - { model: deepseek-v4-pro, provider: deepseek, credential: a, priority: 2 }
";
    let config = parse(yaml, &env);
    let shown = deployments(&config);
    let of_model =
        shown.lines().filter(|line| line.contains("deepseek-v4-pro")).collect::<Vec<_>>().join("\n");
    assert_snapshot!(of_model, @"
    deepseek/deepseek-v4-pro@a: deepseek-v4-pro 0/6 deepseek/a chat https://api.deepseek.com/chat/completions, messages https://api.deepseek.com/anthropic/v1/messages, responses https://api.deepseek.com/responses
    deepseek/deepseek-v4-pro@2: deepseek-v4-pro 0/2 deepseek/2 chat https://api.deepseek.com/chat/completions, messages https://api.deepseek.com/anthropic/v1/messages, responses https://api.deepseek.com/responses
    dashscope/deepseek-v4-pro: ds-pro 1/1 dashscope chat http://127.0.0.1:9/v1/compatible-mode/v1/chat/completions, messages http://127.0.0.1:9/v1/apps/anthropic/v1/messages, responses http://127.0.0.1:9/v1/api/v2/apps/protocols/compatible-mode/v1/responses
    deepseek/deepseek-v4-pro@a#2: deepseek-v4-pro 2/3 deepseek/a chat https://api.deepseek.com/chat/completions, messages https://api.deepseek.com/anthropic/v1/messages, responses https://api.deepseek.com/responses
    ");
    // Other models of the provider keep what the catalogue says.
    assert!(shown.contains("deepseek/deepseek-v4-flash@a: deepseek-v4-flash 0/3 deepseek/a"));
}

#[test]
fn a_server_of_ones_own_needs_an_address_and_a_model() {
    let yaml = "providers:
  vllm: { base_url: http://127.0.0.1:8000/v1 }
  west: { like: vllm, base_url: http://127.0.0.1:8001/v1, credential_env: [WEST_KEY] }
models:
  my-llama: { offers: [{ provider: vllm, model: meta-llama/Llama-3.3-70B-Instruct }, { provider: west }] }
";
    assert_snapshot!(deployments(&parse(yaml, &Env::of([]))), @"vllm/my-llama: meta-llama/Llama-3.3-70B-Instruct 0/1 none chat http://127.0.0.1:8000/v1/chat/completions, messages http://127.0.0.1:8000/v1/messages, responses http://127.0.0.1:8000/v1/responses");
    let config = parse(yaml, &Env::of([("WEST_KEY", "sk-w")]));
    assert_eq!(config.deployments.len(), 2);
    assert_eq!(config.deployments[1].upstream_model, "my-llama");
    let bad = yaml.replace("http://127.0.0.1:8000/v1", "127.0.0.1:8000");
    assert!(check(&bad).contains("nova.yaml:2:"), "{}", check(&bad));
}

#[test]
fn the_local_engine_is_attached_once_it_runs() {
    let mut config = parse("engine: { name: house-model, threads: 2 }\n", &Env::of([]));
    let engine =
        LocalEngine { base_url: "http://127.0.0.1:4000/v1".into(), token: Some("t".to_owned().into()) };
    config.attach_engine(&engine).unwrap();
    config.attach_engine(&engine).unwrap();
    assert_snapshot!(deployments(&config), @"local/house-model: house-model 0/1 local chat http://127.0.0.1:4000/v1/chat/completions");
    let table = config.table().unwrap();
    let facts = Facts { model: "House-Model", has_tools: false, ..Facts::default() };
    assert!(nova_route::plan(&table, &facts, &|_: nova_route::DeploymentId| Health::Good, 0).is_ok());
}

#[test]
fn auto_means_the_default_model() {
    let config = parse("default_model: kimi-2.6\naliases: { quick: deepseek-v4-flash }\n", &Env::of([]));
    let table = config.table().unwrap();
    for (name, expected) in [
        ("auto", "kimi-k2.6"),
        ("DEFAULT", "kimi-k2.6"),
        ("Quick", "deepseek-v4-flash"),
        ("Claude-Opus-4.7", "claude-opus-4-7"),
    ] {
        assert_eq!(table.find(name).and_then(|index| table.name(index)), Some(expected), "{name}");
    }
}

#[test]
fn streams_can_be_kept_plain() {
    assert!(parse("", &Env::of([])).streaming_beta);
    assert!(!parse("streaming_beta: false", &Env::of([])).streaming_beta);
    assert!(!parse("streaming_beta: true", &Env::of([("DISABLE_STREAMING_BETA", "1")])).streaming_beta);
}
