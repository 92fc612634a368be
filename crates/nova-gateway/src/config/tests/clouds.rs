use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use insta::assert_snapshot;
use nova_wire::Dialect;

use super::super::*;
use super::{check_with, deployments, parse};

/// The deployments of one model, from the environment alone.
fn of_model(model: &str, variables: &[(&str, &str)]) -> String {
    let mut config = Config::defaults(&Env::of(variables.iter().copied())).unwrap();
    config.deployments.retain(|deployment| &*deployment.model == model);
    deployments(&config)
}

#[test]
fn the_environment_is_enough_for_every_cloud() {
    let key = ("AZURE_OPENAI_API_KEY", "k");
    assert_snapshot!(of_model("gpt-5.5", &[key, ("AZURE_OPENAI_RESOURCE", "my-res")]), @"azure/gpt-5.5: gpt-5.5 1/1 azure chat https://my-res.openai.azure.com/openai/v1/chat/completions, responses https://my-res.openai.azure.com/openai/v1/responses");
    assert_snapshot!(of_model("gpt-5.5", &[key, ("AZURE_OPENAI_ENDPOINT", "https://other.example/")]), @"azure/gpt-5.5: gpt-5.5 1/1 azure chat https://other.example/openai/v1/chat/completions, responses https://other.example/openai/v1/responses");
    let aws = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "eu-west-1")];
    assert_snapshot!(of_model("nova-pro", &aws), @"bedrock/nova-pro: us.amazon.nova-pro-v1:0 0/1 bedrock converse https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.amazon.nova-pro-v1%3A0/converse");
    assert_snapshot!(of_model("claude-haiku-4-5", &aws), @"bedrock/claude-haiku-4-5: global.anthropic.claude-haiku-4-5-20251001-v1:0 2/1 bedrock messages https://bedrock-runtime.eu-west-1.amazonaws.com/model/global.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke");
    let google = [("GOOGLE_ACCESS_TOKEN", "t"), ("GOOGLE_CLOUD_PROJECT", "p-1")];
    assert_snapshot!(of_model("claude-sonnet-5", &google), @"vertex/claude-sonnet-5: claude-sonnet-5 2/1 vertex messages https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/anthropic/models/claude-sonnet-5:rawPredict");
    let west = [google[0], google[1], ("GOOGLE_CLOUD_LOCATION", "us-west1")];
    assert_snapshot!(of_model("gemini-3.8-flash", &west), @"vertex/gemini-3.8-flash: gemini-3.8-flash 1/1 vertex gemini https://us-west1-aiplatform.googleapis.com/v1/projects/p-1/locations/us-west1/publishers/google/models/gemini-3.8-flash:generateContent");
}

#[test]
fn a_profile_of_aws_is_read_where_one_is_named() {
    let made = |profile: Option<&'static str>| {
        let variable = move |name: &str| match name {
            "AWS_PROFILE" => profile.map(str::to_owned),
            "AWS_REGION" => Some("eu-west-1".to_owned()),
            "HOME" => Some("~".to_owned()),
            _ => None,
        };
        let file = |path: &Path| match path == Path::new("~/.aws/credentials") {
            true => Ok("[work]\naws_access_key_id = AKIA\naws_secret_access_key = s\n[sso]\nsso_session = x"
                .to_owned()),
            false => Err(io::ErrorKind::NotFound.into()),
        };
        let mut config = Config::defaults(&Env::new(variable, file)).unwrap();
        config.deployments.retain(|deployment| &*deployment.model == "nova-pro");
        config.deployments.len()
    };
    assert_eq!(made(Some("work")), 1);
    // Whoever named no profile, or one without a key, has it for other programs.
    assert_eq!([made(None), made(Some("sso")), made(Some("absent"))], [0, 0, 0]);
}

#[test]
fn half_of_what_a_cloud_needs_makes_no_deployment_and_no_error() {
    for variables in [
        &[("AZURE_OPENAI_API_KEY", "k")][..],
        &[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")],
        &[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_REGION", "eu-west-1")],
        &[("AWS_REGION", "eu-west-1")],
        &[("GOOGLE_ACCESS_TOKEN", "t")],
        &[("GOOGLE_APPLICATION_CREDENTIALS", "/absent.json")],
    ] {
        let config = Config::defaults(&Env::of(variables.iter().copied())).unwrap();
        assert_eq!(deployments(&config), "", "{variables:?}");
    }
}

#[test]
fn a_file_of_google_is_read_only_where_it_can_be_used() {
    let variable = |name: &str| match name {
        "GOOGLE_APPLICATION_CREDENTIALS" => Some("/key.json".to_owned()),
        "GOOGLE_CLOUD_PROJECT" => Some("p-1".to_owned()),
        _ => None,
    };
    let read = |text: &'static str| {
        Env::new(variable, move |path| match path == Path::new("/key.json") {
            true => Ok(text.to_owned()),
            false => Err(io::ErrorKind::NotFound.into()),
        })
    };
    assert_snapshot!(check_with("", &read("{\"type\": \"authorized_user\", \"refresh_token\": \"planted\"}")), @"
    error: the environment variable `GOOGLE_APPLICATION_CREDENTIALS` cannot be used: the service account's key cannot be used: its `type` is not `service_account`
      --> nova.yaml
    hint: give the JSON file that Google made for it
    ");
}

/// Everything that any provider of the catalogue reads from the environment.
fn everything() -> Env {
    Env::new(
        |name| match name {
            name if name.ends_with("_ENDPOINT") => Some("https://azure.example".to_owned()),
            "GOOGLE_APPLICATION_CREDENTIALS" => None,
            _ => Some("some-value".to_owned()),
        },
        |_| Err(io::ErrorKind::NotFound.into()),
    )
}

#[test]
fn every_offer_of_the_catalogue_is_a_deployment_with_all_its_mounts() {
    let config = Config::defaults(&everything()).unwrap();
    let mut dialects = BTreeSet::new();
    for model in config.catalog.models() {
        for offer in model.offers.iter().filter(|offer| offer.provider != LOCAL_PROVIDER) {
            let provider = config.catalog.provider(&offer.provider).unwrap();
            let made = config
                .deployments
                .iter()
                .find(|deployment| *deployment.model == *model.id && *deployment.provider == *offer.provider);
            let made = made.unwrap_or_else(|| panic!("{} of {}", model.id, offer.provider));
            let spoken: Vec<Dialect> = provider
                .endpoints
                .iter()
                .map(|endpoint| endpoint.dialect)
                .filter(|dialect| offer.speaks(*dialect))
                .collect();
            assert_eq!(
                made.mounts.iter().map(|mount| mount.dialect).collect::<Vec<_>>(),
                spoken,
                "{}",
                made.name
            );
            for mount in &made.mounts {
                for endpoint in [Some(&mount.endpoint), mount.stream_endpoint.as_ref()].into_iter().flatten()
                {
                    assert!(!endpoint.to_string().contains(['{', '}']), "{endpoint}");
                }
                dialects.insert(mount.dialect);
            }
            assert!(made.credential.is_some(), "{}", made.name);
        }
    }
    assert_eq!(dialects.len(), 5, "{dialects:?}");
}

#[test]
fn what_is_missing_or_wrong_is_said_at_its_place() {
    let check = |yaml: &str| check_with(yaml, &Env::of([("AWS_REGION", "eu/west")]));
    assert_snapshot!(check(""), @"
    error: the environment variable `AWS_REGION` cannot stand in an address of provider `bedrock`
      --> nova.yaml
    hint: letters, digits, `.`, `_` and `-` can
    ");
    let check = |yaml: &str| check_with(yaml, &Env::of([]));
    assert_snapshot!(check("deployments: [{ model: gpt-5.5, provider: azure }]\n"), @"
    error: it is not known where provider `azure` is reached: `resource` is missing
      --> nova.yaml:1:43
      |
    1 | deployments: [{ model: gpt-5.5, provider: azure }]
      |                                           ^^^^^
    hint: set `AZURE_OPENAI_RESOURCE`, or write `parameters: { resource: … }` for it under `providers:`
    ");
    assert_snapshot!(check("providers: { azure: { parameters: { resource: a/b } } }\n"), @"
    error: `providers.azure.parameters.resource`: `a/b` cannot stand in an address: letters, digits, `.`, `_` and `-`
      --> nova.yaml:1:14
      |
    1 | providers: { azure: { parameters: { resource: a/b } } }
      |              ^^^^^
    ");
    let house = "providers:
  x:
    base_url: https://x
    endpoints:
      - { dialect: gemini, path: '/{where}/{model}:go' }
";
    assert_snapshot!(check(house), @"
    error: `providers.x.endpoints`: nothing fills `{where}` in its address
      --> nova.yaml:2:3
      |
    2 |   x:
      |   ^
    hint: add `where:` to `parameters:`

    error: `providers.x.endpoints[0].path`: `gemini` streams at another path, which is missing
      --> nova.yaml:5:34
      |
    5 |       - { dialect: gemini, path: '/{where}/{model}:go' }
      |                                  ^^^^^^^^^^^^^^^^^^^^^
    hint: give `stream_path:` beside `path:`
    ");
    assert_snapshot!(check("credentials: { bedrock: [{ access_key_id: AKIA }] }\n"), @"
    error: this is no whole credential
      --> nova.yaml:1:43
      |
    1 | credentials: { bedrock: [{ access_key_id: AKIA }] }
      |                                           ^^^^
    hint: give `key:` alone, or `access_key_id:` and `secret_access_key:` for AWS
    ");
    assert_snapshot!(check("credentials: { openai: [{ access_key_id: a, secret_access_key: b }] }\n"), @"
    error: provider `openai` takes no key of AWS
      --> nova.yaml:1:64
      |
    1 | credentials: { openai: [{ access_key_id: a, secret_access_key: b }] }
      |                                                                ^
    hint: give `key:`
    ");
}

#[test]
fn a_credential_for_a_provider_that_cannot_be_reached_is_warned_of() {
    let config = parse("credentials: { azure: [{ key: k }] }\n", &Env::of([]));
    let warnings: Vec<&str> = config.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(
        warnings.contains(&"it is not known where provider `azure` is reached: `resource` is missing"),
        "{warnings:?}"
    );
}

#[test]
fn a_cloud_of_ones_own_is_yaml_alone() {
    let yaml = "providers:
  house:
    base_url: https://{site}.house.example
    parameters: { site: { env: [HOUSE_SITE], default: main } }
    endpoints:
      - dialect: converse
      - { dialect: messages, path: '/m/{model}:one', stream_path: '/m/{model}:many' }
    auth: { header: x-house }
    credential_env: [HOUSE_KEY]
models:
  m: { offers: [{ provider: house, model: 'v/m:1' }] }
";
    let config = parse(yaml, &Env::of([("HOUSE_KEY", "k")]));
    assert_snapshot!(deployments(&config), @"house/m: v/m:1 0/1 house converse https://main.house.example/model/v%2Fm%3A1/converse, messages https://main.house.example/m/v%2Fm%3A1:one");
    let streams: Vec<String> = config.deployments[0]
        .mounts
        .iter()
        .map(|mount| mount.stream_endpoint.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(
        streams,
        [
            "https://main.house.example/model/v%2Fm%3A1/converse-stream",
            "https://main.house.example/m/v%2Fm%3A1:many"
        ]
    );
    let moved = parse(yaml, &Env::of([("HOUSE_KEY", "k"), ("HOUSE_SITE", "west")]));
    assert!(deployments(&moved).contains("https://west.house.example/"), "{}", deployments(&moved));
}

#[test]
fn an_address_that_says_v1_twice_is_warned_of() {
    let told = |base: &str| {
        let yaml = format!(
            "providers: {{ anthropic: {{ endpoints: [{{ dialect: messages, base_url: '{base}' }}] }} }}\n\
             credentials: {{ anthropic: [{{ name: a, key: k }}] }}\n"
        );
        let config = Config::parse("test.yaml", &yaml, &Env::of([])).unwrap();
        config.warnings.iter().any(|warning| warning.message.contains("`/v1` twice"))
    };
    assert!(told("http://127.0.0.1:1/v1"));
    assert!(!told("http://127.0.0.1:1"));
}
