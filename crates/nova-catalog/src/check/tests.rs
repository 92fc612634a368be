use std::sync::LazyLock;

use crate::catalog::Catalog;
use crate::raw::RawCatalog;
use crate::yaml;

static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| Catalog::builtin().unwrap());

/// Lays a configuration over the built-in catalogue and compares all problems.
fn check(text: &str, expected: &[&str]) {
    let raw: RawCatalog = match yaml::read("nova.yaml", text) {
        Ok(raw) => raw,
        Err(error) => return assert_eq!(error.to_string(), expected.join("\n"), "{text}"),
    };
    let error = BUILTIN.with(&raw, "nova.yaml").unwrap_err();
    let problems: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, expected, "{text}");
}

#[test]
fn all_problems_are_said_at_once_with_their_places() {
    check(
        "providers:
  house:
    like: vlm
    base_url: ftp://10.0.0.7
models:
  mine:
    aliases: [gpt-5]
    context: 0
    offers:
      - provider: deepsek
        price: { input: -1, output: 2 }
",
        &[
            "nova.yaml:3:11: providers.house.like: there is no provider `vlm`\nhint: did you mean `vllm`?",
            "nova.yaml:4:15: providers.house.base_url: `ftp://10.0.0.7` is no address that begins with \
             `http://` or `https://`",
            "nova.yaml:2:3: providers.house.endpoints: there is none that requests can be sent to\n\
             hint: give `endpoints:` with `dialect: chat` or `dialect: messages`, or `like:`",
            "nova.yaml:6:3: models.mine.context: must be more than 0",
            "nova.yaml:10:19: models.mine.offers[0].provider: there is no provider `deepsek`\n\
             hint: did you mean `deepseek`?",
            "nova.yaml:10:19: models.mine.offers[0].price.input: `-$1.00` is negative",
            "nova.yaml:7:15: models.mine.aliases: `gpt-5` is a name of `gpt-5` already\n\
             hint: letter case does not matter in names",
        ],
    );
}

fn check_provider(fields: &str, expected: &str) {
    check(&format!("providers:\n  p: {{ {fields} }}\n"), &[expected]);
}

#[test]
fn providers_that_cannot_work_are_refused() {
    let chat = "endpoints: [{ dialect: chat }]";
    let url = |url: &str, problem: &str| {
        let expected = format!("nova.yaml:2:50: providers.p.base_url: {problem}");
        check_provider(&format!("{chat}, base_url: \"{url}\""), &expected);
    };
    url("http://", "`http://` names no host");
    url("https://h?x=1", "`https://h?x=1` has a query or fragment, which has no place here");
    url("http://h/a b", "`http://h/a b` holds a space or a letter that no address has");
    url("http://me:secret@h", "it holds a user name: credentials have their own place in the configuration");
    check_provider(
        &format!("{chat}, headers: {{ Authorization: x }}"),
        "nova.yaml:2:3: providers.p.headers.authorization: is set by the gateway",
    );
    check_provider(
        &format!("{chat}, credential_env: [\"sk-1234\"]"),
        "nova.yaml:2:3: providers.p.credential_env: names an environment variable: letters, digits and `_`",
    );
    check_provider(
        &format!("{chat}, auth: {{ header: \"x key\" }}"),
        "nova.yaml:2:3: providers.p.auth.header: `x key` is no name of a header",
    );
    check_provider(
        "endpoints: [{ dialect: chat, path: v1 }]",
        "nova.yaml:2:43: providers.p.endpoints[0].path: `v1` is no path: it begins with `/` and has no spaces",
    );
    check_provider(
        "endpoints: [{ dialect: chat }, { dialect: chat }]",
        "nova.yaml:2:3: providers.p.endpoints[1]: `chat` is there twice",
    );
    check_provider(
        &format!("{chat}, models_of: zhipu"),
        "nova.yaml:2:51: providers.p.models_of: `zhipu` has no models of its own\n\
         hint: name `zai`, which `zhipu` has its models of",
    );
    check(
        "providers:\n  a: { like: b }\n  b: { like: a, endpoints: [{ dialect: chat }] }\n",
        &[
            "nova.yaml:3:14: providers.a.like: `a` is like itself",
            "nova.yaml:2:14: providers.b.like: `b` is like itself",
        ],
    );
    check(
        "providers:\n  p:\n    base_url: http://h\n    endpoints: [{ dialect: chat, base_url: http://i }]\n",
        &["nova.yaml:3:15: providers.p.base_url: has no effect: every endpoint has its own\n\
           hint: give `endpoints:` too, without their `base_url`"],
    );
}

fn check_price(price: &str, expected: &[&str]) {
    let text = format!("models:\n  m:\n    offers:\n      - provider: local\n        price: {price}\n");
    let place = "nova.yaml:4:19: models.m.offers[0].price";
    let expected: Vec<_> = expected.iter().map(|problem| format!("{place}{problem}")).collect();
    check(&text, &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn prices_that_cannot_be_meant_are_refused() {
    let tier = |above| format!("{{ above: {above}, input: 1, output: 1 }}");
    check_price(
        &format!("{{ input: 1, output: 1, tiers: [{}, {}] }}", tier(5), tier(5)),
        &[".tiers[1].above: `5` is not above `5`: thresholds rise"],
    );
    check_price(
        &format!("{{ input: 1, output: 1, per_request: -0.5, tiers: [{}] }}", tier(0)),
        &[".tiers[0].above: `0` is not above `0`: thresholds rise", ".per_request: `-$0.50` is negative"],
    );
    check_price(
        "{ input: 1, output: 1, off_peak: { windows: [{}] } }",
        &[".off_peak: needs either `percent` or `rates`"],
    );
    check_price(
        "{ input: 1, output: 1, off_peak: { percent: 5000, windows: [{}] } }",
        &[".off_peak.percent: `5000` is more than 1000"],
    );
    check_price(
        "{ input: 1, output: 1, off_peak: { percent: 50, windows: [] } }",
        &[".off_peak.windows: is empty: there is no such hour"],
    );
}

#[test]
fn hours_are_spans_of_one_day() {
    for span in
        ["22:00-06:00", "10:00-10:00", "10:00", "10-12", "1:00-2:00", "00:00-24:01", "-", "10:00-25:00"]
    {
        let text = format!(
            "models:\n  m:\n    offers:\n      - provider: local\n        price:\n          input: 1\n          \
             output: 1\n          off_peak:\n            percent: 50\n            windows:\n              \
             - hours: [\"{span}\"]\n"
        );
        let expected = format!(
            "nova.yaml:11:25: models.m.offers[0].price.off_peak.windows: `{span}` is no span of one day: write \
             `10:00-24:00`, and two spans across midnight"
        );
        check(&text, &[&expected]);
    }
}

#[test]
fn models_that_cannot_be_meant_are_refused() {
    check(
        "models:\n  m: { capabilities: [forced_tools], offers: [{ provider: local }] }\n",
        &["nova.yaml:2:3: models.m.capabilities: `forced_tools` and `parallel_tools` need `tools`"],
    );
    check(
        "models:\n  m: { quality: { source: '', scores: { code: 101 } }, offers: [{ provider: local }] }\n",
        &[
            "nova.yaml:2:3: models.m.quality.source: is empty: a number without its measurement says nothing",
            "nova.yaml:2:3: models.m.quality.scores.code: `101` is more than 100 points",
        ],
    );
    check(
        "models:\n  m: { deprecated: soon, offers: [{ provider: local }, { provider: local }] }\n",
        &[
            "nova.yaml:2:68: models.m.offers[1]: `local` offers `m` twice",
            "nova.yaml:2:20: models.m.deprecated: `soon` is no date: write `2026-11-21`",
        ],
    );
    check(
        "models:\n  m: {}\n",
        &["nova.yaml:2:3: models.m.offers: nobody offers this model\nhint: add `offers: [{provider: …}]`"],
    );
    check(
        "models:\n  m: { offers: [{ provider: local }] }\n  M: { offers: [{ provider: local }] }\n",
        &[
            "nova.yaml:3:3: models.M: `M` was given before, as `m`\nhint: letter case does not matter in names",
        ],
    );
    check(
        "models:\n  m: { aliases: [one, One], offers: [{ provider: local }] }\n",
        &["nova.yaml:2:23: models.m.aliases: `One` is a name of `m` already\n\
           hint: letter case does not matter in names"],
    );
}

#[test]
fn documents_that_cannot_be_read_say_where() {
    check(
        "models:\n  m:\n    contxt: 5\n",
        &["nova.yaml:3:5: unknown field `contxt`, expected one of name, family, aliases, context, \
           max_output, capabilities, thinking, quality, deprecated, offers, source, checked"],
    );
    check("models:\n  m: {}\n  m: {}\n", &["nova.yaml:3:3: duplicate mapping key `m` is not allowed here"]);
    check(
        "models:\n  m:\n    offers:\n      - { provider: p, price: cheap }\n",
        &["nova.yaml:4:24: invalid value: string \"cheap\", expected `free`, `unknown`, or a map of rates"],
    );
    check(
        "models:\n  m:\n    offers:\n      - provider: p\n        price: { input: 1e-3, output: 1 }\n",
        &["nova.yaml:5:25: `1e-3` is no decimal number: write digits with at most one point, as in `0.435`"],
    );
}

#[test]
fn rows_of_the_catalogue_itself_must_be_complete() {
    let error = Catalog::from_yaml(
        "providers:\n  p: { endpoints: [{ dialect: chat }] }\n",
        "models:\n  m: { offers: [{ provider: p }] }\n",
    )
    .unwrap_err();
    let problems: Vec<_> = error.problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = [
        "providers.p.source",
        "providers.p.checked",
        "models.m.context",
        "models.m.capabilities",
        "models.m.source",
        "models.m.checked",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn prices_are_read_digit_by_digit() {
    let text = "
models:
  m:
    offers:
      - provider: local
        price: { input: 0.1, output: \"0.30\", cache_read: 0.000000001, cache_write: 9000000000.000000001 }
";
    let raw: RawCatalog = yaml::read("nova.yaml", text).unwrap();
    let catalog = BUILTIN.with(&raw, "nova.yaml").unwrap();
    let rates = catalog.model("m").unwrap().offers[0].price.as_ref().unwrap().rates;
    assert_eq!(rates.input.price().nanos(), 100_000_000);
    assert_eq!(rates.output.price().nanos(), 300_000_000);
    assert_eq!(rates.cache_read.unwrap().price().nanos(), 1);
    assert_eq!(rates.cache_write.unwrap().price().nanos(), 9_000_000_000_000_000_001);
}

#[test]
fn the_schema_describes_every_field_and_takes_numbers_and_words_as_prices() {
    let schema = serde_json::to_value(schemars::schema_for!(RawCatalog)).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, definition) in definitions {
        for (field, described) in definition["properties"].as_object().into_iter().flatten() {
            let refers = described.get("$ref").is_some() || described.get("anyOf").is_some();
            assert!(described.get("description").is_some() || refers, "{name}.{field} says nothing");
        }
    }
    assert!(definitions["RawTariff"].to_string().contains("unknown"));
    assert_eq!(schema["properties"]["models"]["additionalProperties"]["$ref"], "#/$defs/RawModel");
}
