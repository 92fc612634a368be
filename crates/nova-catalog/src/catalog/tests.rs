use std::collections::{HashMap, HashSet};

use nova_wire::quirks::{Images, ReplayThinking, ThinkingSwitch};
use nova_wire::{Dialect, Usage};

use super::*;
use crate::model::Thinking;
use crate::money::NanoUsd;
use crate::price::Price;

/// 2026-11-20 08:00 UTC, a Friday in peak hours, and 12:00, off peak.
const PEAK: i64 = 1_795_161_600_000;
const OFF_PEAK: i64 = PEAK + 4 * 3_600_000;

fn builtin() -> Catalog {
    Catalog::builtin().unwrap()
}

fn overlay(text: &str) -> RawCatalog {
    yaml::read("nova.yaml", text).unwrap()
}

#[test]
fn every_spelling_of_the_seeds_finds_its_model() {
    let catalog = builtin();
    let check = |name: &str, id: &str| {
        assert_eq!(catalog.model(name).map(|model| model.id.as_str()), Some(id), "{name}");
    };
    for name in ["deepseek-v4-pro", "DeepSeek-V4-Pro", "deepseek"] {
        check(name, "deepseek-v4-pro");
    }
    for name in ["kimi-2.6", "kimi-k2.6", "Kimi-2.6"] {
        check(name, "kimi-k2.6");
    }
    for name in ["minimax-2.7", "MiniMax-M2.7", "minimax-m2.7"] {
        check(name, "minimax-m2.7");
    }
    for name in ["qwen3-235b", "Qwen3-235B-A22B", "qwen"] {
        check(name, "qwen3-235b-a22b");
    }
    for name in ["Claude-Opus-4.7", "claude-opus-4-7", "Claude Opus 4.7", "claude"] {
        check(name, "claude-opus-4-7");
    }
    check("deepseek-v4-flash", "deepseek-v4-flash");
    check("nova-local-mini", "nova-local-mini");
}

#[test]
fn a_name_may_say_the_provider() {
    let catalog = builtin();
    let check = |name: &str, expected: Option<(&str, Option<&str>)>| {
        let found = catalog.resolve(name);
        let found =
            found.map(|found| (found.model.id.as_str(), found.offer.map(|offer| offer.provider.as_str())));
        assert_eq!(found, expected, "{name}");
    };
    check("deepseek/deepseek-v4-pro", Some(("deepseek-v4-pro", Some("deepseek"))));
    check("DashScope/DeepSeek-V4-Pro", Some(("deepseek-v4-pro", Some("dashscope"))));
    check("groq/openai/gpt-oss-120b", Some(("gpt-oss-120b", Some("groq"))));
    check("openai/gpt-oss-120b", Some(("gpt-oss-120b", None)));
    check("openrouter/anthropic/claude-haiku-4.5", Some(("claude-haiku-4-5", Some("openrouter"))));
    check("deepseek-v4-pro", Some(("deepseek-v4-pro", None)));
    check("openai/deepseek-v4-pro", None);
    check("nobody/deepseek-v4-pro", None);
    check("deepseek/", None);
    check("", None);
}

#[test]
fn every_name_of_every_model_finds_that_model_in_any_case() {
    let catalog = builtin();
    for model in catalog.models() {
        assert_eq!(model.id, model.id.to_ascii_lowercase(), "ids of the catalogue are lower-case");
        for name in model.names() {
            assert_eq!(catalog.model(&name.to_uppercase()).unwrap().id, model.id, "{name}");
        }
        for offer in &model.offers {
            let qualified = format!("{}/{}", offer.provider, offer.upstream_model);
            let found = catalog.resolve(&qualified).unwrap();
            assert_eq!((&found.model.id, found.offer), (&model.id, Some(offer)), "{qualified}");
        }
    }
}

#[test]
fn every_row_has_its_source_its_date_and_what_routing_needs() {
    let catalog = builtin();
    for provider in catalog.providers() {
        assert!(provider.checked.is_some() && !provider.source.is_empty(), "{}", provider.id);
        assert!(!provider.endpoints.is_empty(), "{}", provider.id);
    }
    for model in catalog.models() {
        assert!(model.checked.is_some() && !model.source.is_empty(), "{}", model.id);
        assert!(model.context.is_some_and(|context| context >= 8_192), "{}", model.id);
        assert!(!model.is_retired("2026-11-21".parse().unwrap()), "{} is retired", model.id);
        for offer in &model.offers {
            let provider = catalog.provider(&offer.provider).unwrap();
            let spoken: Vec<_> =
                provider.endpoints.iter().filter(|endpoint| offer.speaks(endpoint.dialect)).collect();
            assert!(!spoken.is_empty(), "{} of {} speaks nothing", model.id, provider.id);
            for endpoint in spoken {
                let text_only = offer.quirks_at(endpoint).images == Some(Images::None);
                assert!(text_only || model.capabilities.images, "{} would be sent images", model.id);
            }
        }
    }
}

#[test]
fn all_providers_of_the_plan_are_there() {
    let catalog = builtin();
    let check = |id: &str, env: &str, chat: Option<&str>, messages: Option<&str>| {
        let provider = catalog.provider(id).unwrap();
        let url = |dialect| provider.endpoint(dialect).and_then(super::super::provider::Endpoint::url);
        assert!(provider.credential_env.iter().any(|name| name == env), "{id}");
        assert_eq!(url(Dialect::Chat).as_deref(), chat, "{id}");
        assert_eq!(url(Dialect::Messages).as_deref(), messages, "{id}");
    };
    check(
        "deepseek",
        "DEEPSEEK_API_KEY",
        Some("https://api.deepseek.com/chat/completions"),
        Some("https://api.deepseek.com/anthropic/v1/messages"),
    );
    check(
        "moonshot-cn",
        "MOONSHOT_CN_API_KEY",
        Some("https://api.moonshot.cn/v1/chat/completions"),
        Some("https://api.moonshot.cn/anthropic/v1/messages"),
    );
    check(
        "minimax",
        "MINIMAX_API_KEY",
        Some("https://api.minimax.io/v1/chat/completions"),
        Some("https://api.minimax.io/anthropic/v1/messages"),
    );
    check(
        "dashscope",
        "DASHSCOPE_API_KEY",
        Some("https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions"),
        Some("https://dashscope-intl.aliyuncs.com/apps/anthropic/v1/messages"),
    );
    check(
        "zhipu",
        "ZHIPU_API_KEY",
        Some("https://open.bigmodel.cn/api/paas/v4/chat/completions"),
        Some("https://open.bigmodel.cn/api/anthropic/v1/messages"),
    );
    check("anthropic", "ANTHROPIC_API_KEY", None, Some("https://api.anthropic.com/v1/messages"));
    check("openai", "OPENAI_API_KEY", Some("https://api.openai.com/v1/chat/completions"), None);
    check(
        "gemini",
        "GOOGLE_API_KEY",
        Some("https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
        None,
    );
    for (id, env) in [
        ("moonshot", "MOONSHOT_API_KEY"),
        ("zai", "ZAI_API_KEY"),
        ("openrouter", "OPENROUTER_API_KEY"),
        ("groq", "GROQ_API_KEY"),
        ("mistral", "MISTRAL_API_KEY"),
        ("xai", "XAI_API_KEY"),
    ] {
        assert_eq!(catalog.provider(id).unwrap().credential_env, [env]);
    }
    for id in ["vllm", "sglang", "llama-cpp", "ollama", "openai-compatible", "anthropic-compatible", "local"]
    {
        assert!(catalog.provider(id).unwrap().needs_base_url(), "{id}");
    }
}

#[test]
fn no_credential_is_read_for_two_providers() {
    let catalog = builtin();
    let mut seen: HashMap<&String, Option<&String>> = HashMap::new();
    for provider in catalog.providers() {
        let host = provider.endpoints[0].base_url.as_ref();
        for name in &provider.credential_env {
            let other = seen.insert(name, host);
            assert!(other.is_none_or(|other| other == host), "{name} would be sent to two companies");
        }
    }
}

#[test]
fn deepseek_costs_half_off_peak() {
    let catalog = builtin();
    let usage = Usage { input: 1_000, cache_read: 10_000, output: 500, ..Usage::default() };
    let check = |name: &str, at_ms, dollars: &str| {
        let offer = catalog.model(name).unwrap().offer("deepseek").unwrap();
        let cost = offer.price.as_ref().unwrap().cost(&usage, at_ms);
        assert_eq!(cost, dollars.parse().unwrap(), "{name}");
    };
    check("deepseek-v4-pro", PEAK, "0.00374");
    check("deepseek-v4-pro", OFF_PEAK, "0.00187");
    check("deepseek-v4-flash", PEAK, "0.00096");
    check("deepseek-v4-flash", OFF_PEAK, "0.00048");
}

#[test]
fn tiers_and_free_and_unknown_prices_come_out_of_the_catalogue() {
    let catalog = builtin();
    let price = |name: &str| catalog.model(name).unwrap().offers[0].price.clone();
    let prompt = |input| Usage { input, ..Usage::default() };
    let haiku = price("claude-haiku-5.5").unwrap();
    assert_eq!(haiku.cost(&prompt(100_000), PEAK), "0.01".parse().unwrap());
    assert_eq!(haiku.cost(&prompt(100_001), PEAK), "0.0500005".parse().unwrap());
    assert!(price("nova-local-mini").unwrap().is_free());
    assert_eq!(price("qwen3-235b"), None);
    let m27 = price("minimax-2.7").unwrap();
    assert_eq!(m27.upper_bound(1_000_000, 0), "0.375".parse().unwrap());
}

#[test]
fn quirks_of_provider_endpoint_and_offer_lie_over_each_other() {
    let catalog = builtin();
    let at = |name: &str, dialect| {
        let found = catalog.resolve(name).unwrap();
        let offer = found.offer.unwrap_or(&found.model.offers[0]);
        let provider = catalog.provider(&offer.provider).unwrap();
        offer.quirks_at(provider.endpoint(dialect).unwrap())
    };
    let deepseek = at("deepseek-v4-pro", Dialect::Chat);
    assert_eq!(deepseek.replay_thinking, Some(ReplayThinking::Required));
    assert_eq!(deepseek.images, Some(Images::None));
    assert_eq!(at("deepseek-v4-pro", Dialect::Messages).thinking_switch, Some(ThinkingSwitch::Budget));

    assert!(at("kimi-2.6", Dialect::Chat).drops("temperature"));
    assert!(!at("moonshot-v1-8k", Dialect::Chat).drops("temperature"));
    assert_eq!(at("kimi-k3", Dialect::Chat).thinking_switch, Some(ThinkingSwitch::Effort));
    assert_eq!(at("kimi-k3", Dialect::Messages).thinking_switch, Some(ThinkingSwitch::Budget));
    assert_eq!(at("moonshot-cn/kimi-k3", Dialect::Chat), at("moonshot/kimi-k3", Dialect::Chat));

    let qwen = at("qwen", Dialect::Chat);
    assert_eq!(qwen.set.unwrap()["enable_thinking"], false);
    assert!(at("gpt-5.5", Dialect::Chat).drops("stop"));
    assert!(!at("gpt-4o", Dialect::Chat).drops("stop"));
}

#[test]
fn twins_offer_the_same_models_at_prices_that_are_not_known() {
    let catalog = builtin();
    let offers = &catalog.model("kimi-2.6").unwrap().offers;
    let seen: Vec<_> = offers.iter().map(|offer| (offer.provider.as_str(), offer.price.is_some())).collect();
    assert_eq!(seen, [("moonshot", true), ("moonshot-cn", false)]);
}

#[test]
fn wrong_names_find_the_ones_that_were_meant() {
    let catalog = builtin();
    let check = |name: &str, expected: &str| {
        assert_eq!(catalog.nearest(name, 1), [expected], "{name}");
    };
    check("deepsek-v4-pro", "deepseek-v4-pro");
    check("kimi2.6", "kimi-2.6");
    check("Claude-Opus-47", "claude-opus-4-7");
    check("deepseek/deepseek-v4-pr", "deepseek-v4-pro");
    let several = catalog.nearest("claude-opus-4", 3);
    let models: HashSet<_> = several.iter().map(|name| &catalog.model(name).unwrap().id).collect();
    assert_eq!(models.len(), 3, "{several:?}");
    assert!(catalog.nearest("text-embedding-ada", 3).is_empty());
}

/// The whole of what somebody writes to add a provider and a model: no code.
const ADDED: &str = r#"
providers:
  house:
    like: vllm
    base_url: http://10.0.0.7:8000/v1/
    credential_env: [HOUSE_KEY]
    headers: { X-Team: research }
    quirks: { max_stop: 4 }
models:
  house-coder:
    aliases: [coder]
    context: 65536
    offers:
      - provider: house
        model: Qwen/Qwen3-Coder
        price: { input: 0.10, output: "0.40", off_peak: { percent: 50, windows: [{ hours: ["00:00-09:00"] }] } }
        quirks: { drop: [seed] }
"#;

#[test]
fn a_provider_and_a_model_are_added_by_yaml_alone() {
    let catalog = builtin().with(&overlay(ADDED), "nova.yaml").unwrap();
    let model = catalog.model("Coder").unwrap();
    let offer = &model.offers[0];
    let provider = catalog.provider(&offer.provider).unwrap();
    let endpoint = provider.endpoint(Dialect::Messages).unwrap();
    assert_eq!(endpoint.url().unwrap(), "http://10.0.0.7:8000/v1/messages");
    assert_eq!(provider.headers, [("x-team".to_owned(), "research".to_owned())]);
    assert_eq!(provider.credential_env, ["HOUSE_KEY"]);
    let quirks = offer.quirks_at(endpoint);
    assert!(quirks.drops("seed"));
    assert_eq!((quirks.max_stop, quirks.documents), (Some(4), Some(false)));
    let usage = Usage { input: 1_000_000, output: 1_000_000, ..Usage::default() };
    let cost = |at_ms| offer.price.as_ref().unwrap().cost(&usage, at_ms);
    assert_eq!(cost(OFF_PEAK), "0.5".parse().unwrap());
    assert_eq!(cost(PEAK), "0.25".parse().unwrap());
    assert!(catalog.model("deepseek").is_some(), "the rest is still there");
}

#[test]
fn a_complete_catalogue_can_be_made_of_two_documents() {
    let providers = "
providers:
  acme: { base_url: https://acme.example/v1, endpoints: [{ dialect: chat }], source: s, checked: 2026-01-02 }
";
    let models = "
models:
  acme-1:
    context: 1000
    capabilities: []
    offers: [{ provider: acme, price: { input: 1, output: 2, tiers: [{ above: 100, input: 2, output: 4 }] } }]
    source: s
    checked: 2026-01-02
";
    let catalog = Catalog::from_yaml(providers, models).unwrap();
    let price: &Price = catalog.model("ACME-1").unwrap().offers[0].price.as_ref().unwrap();
    assert_eq!(price.cost(&Usage { input: 101, ..Usage::default() }, 0), NanoUsd::from_nanos(202_000));
    assert_eq!(catalog.models().count(), 1);
}

#[test]
fn a_configuration_changes_what_it_names_and_nothing_else() {
    let text = r#"
providers:
  deepseek: { base_url: "https://proxy.example/deepseek" }
models:
  DeepSeek-V4-Pro:
    aliases: [claude, house-default]
    max_output: 8192
    offers:
      - { provider: deepseek, price: { input: 1, output: 2 } }
      - { provider: DashScope }
"#;
    let before = builtin();
    let after = before.with(&overlay(text), "nova.yaml").unwrap();
    let url = |catalog: &Catalog, dialect| {
        catalog.provider("deepseek").unwrap().endpoint(dialect).unwrap().url().unwrap()
    };
    assert_eq!(url(&after, Dialect::Messages), "https://proxy.example/deepseek/anthropic/v1/messages");
    assert_eq!(url(&before, Dialect::Messages), "https://api.deepseek.com/anthropic/v1/messages");

    let model = after.model("claude").unwrap();
    assert_eq!((model.id.as_str(), model.max_output), ("deepseek-v4-pro", Some(8192)));
    assert_eq!(model.context, Some(1_000_000));
    assert_eq!(model.capabilities.thinking, Thinking::Optional);
    assert_eq!(after.model("claude-opus-4.7").unwrap().id, "claude-opus-4-7");
    assert_eq!(after.model("deepseek").unwrap().id, "deepseek-v4-pro");

    let offers: Vec<_> = model.offers.iter().map(|offer| offer.provider.as_str()).collect();
    assert_eq!(offers, ["deepseek", "dashscope", "dashscope-cn"]);
    let dashscope = before.model("deepseek-v4-pro").unwrap().offer("dashscope").unwrap();
    assert_eq!(model.offers[1].price, dashscope.price, "what is not given again is kept");
    let usage = Usage { input: 1_000_000, ..Usage::default() };
    assert_eq!(model.offers[0].price.as_ref().unwrap().cost(&usage, OFF_PEAK), "1".parse().unwrap());
}

#[test]
fn endpoints_that_are_given_replace_all_and_keep_their_quirks() {
    let text = "
providers:
  deepseek:
    endpoints: [{ dialect: chat, base_url: https://eu.example, path: /v2/chat }]
";
    let catalog = builtin().with(&overlay(text), "nova.yaml").unwrap();
    let provider = catalog.provider("deepseek").unwrap();
    assert_eq!(provider.endpoints.len(), 1, "nothing goes to the old address any more");
    assert_eq!(provider.endpoints[0].url().unwrap(), "https://eu.example/v2/chat");
    assert_eq!(provider.endpoints[0].quirks.replay_thinking, Some(ReplayThinking::Required));
}

#[test]
fn likeness_brings_no_credential() {
    let text = "{ providers: { proxy: { like: deepseek, base_url: https://proxy.example } } }";
    let catalog = builtin().with(&overlay(text), "nova.yaml").unwrap();
    assert!(catalog.provider("proxy").unwrap().credential_env.is_empty());
}

#[test]
fn every_example_of_the_guide_is_right() {
    let guide = include_str!("../../../../docs/guides/adding-a-provider.md");
    let examples: Vec<_> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let text = if example.starts_with("price:") {
            let price = example.replace('\n', "\n        ");
            format!("models:\n  m:\n    offers:\n      - provider: local\n        {price}")
        } else {
            example.to_owned()
        };
        builtin().with(&overlay(&text), "guide").unwrap();
    }
}
