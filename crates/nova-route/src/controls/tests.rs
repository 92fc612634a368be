use serde_json::{Value, json};

use super::*;

fn preferences(json: Value) -> Preferences {
    serde_json::from_value(json).unwrap()
}

fn price(yaml: (&str, &str)) -> Price {
    let amount = |text: &str| nova_catalog::PerMillion::new(text.parse().unwrap());
    let rates =
        nova_catalog::price::Rates { input: amount(yaml.0), output: amount(yaml.1), ..Default::default() };
    Price { rates, ..Price::default() }
}

fn tags(json: Value) -> Tags {
    let part = |name: &str| json[name].clone();
    Tags {
        data_collection: serde_json::from_value(part("data_collection")).unwrap(),
        zdr: part("zdr").as_bool(),
        region: part("region").as_str().map(str::to_owned),
        quantization: serde_json::from_value(part("quantization")).unwrap(),
    }
}

#[test]
fn what_is_not_demanded_in_vain_is_let_through_and_the_rest_says_by_which_preference() {
    let check = |asked: Value, known: Value, priced: Option<(&str, &str)>, expected: Option<&str>| {
        let (tags, price) = (tags(known), priced.map(price));
        let offered = Offered {
            name: "deepseek/deepseek-v4-pro@main",
            provider: "deepseek",
            provider_name: "DeepSeek",
            provider_aliases: &["deep-seek-ai".into()],
            price: price.as_ref(),
            tags: &tags,
        };
        let why = preferences(asked.clone()).refuses(&offered, 1000);
        let field =
            why.map(|why| serde_json::to_value(why).unwrap()["preference"].as_str().unwrap().to_owned());
        assert_eq!(field.as_deref(), expected, "{asked}");
    };
    let nothing = || json!({});
    check(json!({}), nothing(), None, None);
    for name in ["deepseek", "DeepSeek", "DEEPSEEK", "Deep-Seek-AI", "deepseek/deepseek-v4-pro@main"] {
        check(json!({ "only": [name] }), nothing(), None, None);
        check(json!({ "ignore": [name] }), nothing(), None, Some("ignore"));
        check(json!({ "order": [name], "allow_fallbacks": false }), nothing(), None, None);
    }
    check(json!({ "only": ["openrouter"] }), nothing(), None, Some("only"));
    check(json!({ "only": [] }), nothing(), None, None);
    check(json!({ "only": ["deepseek/eu"] }), json!({ "region": "EU" }), None, None);
    check(json!({ "only": ["deep-seek-ai/eu"] }), json!({ "region": "EU" }), None, None);
    check(json!({ "only": ["deepseek/fp8"] }), json!({ "quantization": "fp8" }), None, None);
    check(json!({ "only": ["deepseek/us"] }), json!({ "region": "eu" }), None, Some("only"));
    check(json!({ "order": ["groq"] }), nothing(), None, None);
    check(json!({ "order": ["groq"], "allow_fallbacks": false }), nothing(), None, Some("order"));
    check(json!({ "allow_fallbacks": false }), nothing(), None, None);
    check(json!({ "data_collection": "allow" }), nothing(), None, None);
    check(json!({ "data_collection": "deny" }), nothing(), None, Some("data_collection"));
    check(
        json!({ "data_collection": "deny" }),
        json!({ "data_collection": "allow" }),
        None,
        Some("data_collection"),
    );
    check(json!({ "data_collection": "deny" }), json!({ "data_collection": "deny" }), None, None);
    check(json!({ "data_collection": "deny" }), json!({ "zdr": true }), None, None);
    check(json!({ "zdr": true }), json!({ "data_collection": "deny" }), None, Some("zdr"));
    check(json!({ "zdr": true }), json!({ "zdr": true }), None, None);
    check(json!({ "zdr": false }), nothing(), None, None);
    check(json!({ "quantizations": ["fp8"] }), json!({ "quantization": "fp8" }), None, None);
    check(
        json!({ "quantizations": ["bf16"] }),
        json!({ "quantization": "fp8" }),
        None,
        Some("quantizations"),
    );
    check(json!({ "quantizations": ["bf16"] }), nothing(), None, Some("quantizations"));
    check(json!({ "quantizations": ["bf16", "unknown"] }), nothing(), None, None);
    let most = |field: &str, dollars: Value| json!({ "max_price": { field: dollars } });
    check(most("prompt", json!(1)), nothing(), Some(("1", "2")), None);
    check(most("prompt", json!(0.99)), nothing(), Some(("1", "2")), Some("prompt_price"));
    check(most("completion", json!("1.5")), nothing(), Some(("1", "2")), Some("completion_price"));
    check(most("request", json!(0)), nothing(), Some(("1", "2")), None);
    check(most("prompt", json!(1)), nothing(), None, Some("unknown_price"));
    check(most("image", json!(0)), nothing(), None, None);
}

#[test]
fn deployments_are_ordered_by_list_then_pace_then_what_is_sorted_by() {
    let check = |asked: Value, paces: [Pace; 3], expected: [usize; 3]| {
        let preferences = preferences(asked.clone());
        let tags = Tags::default();
        let rank = |place: usize| {
            let provider = ["a", "b", "c"][place];
            let it = Offered {
                name: provider,
                provider,
                provider_name: provider,
                provider_aliases: &[],
                price: None,
                tags: &tags,
            };
            preferences.rank(&it, &paces[place])
        };
        let mut order = [0, 1, 2];
        order.sort_by(|&one, &other| rank(one).order(&rank(other)));
        assert_eq!(order, expected, "{asked}");
    };
    let nothing = [Pace::default(); 3];
    check(json!({}), nothing, [0, 1, 2]);
    check(json!({ "order": ["c", "B"] }), nothing, [2, 1, 0]);
    let paces = [
        Pace { cost: Some(3.0), ttft_ms: Some(900.0), tokens_per_s: Some(30.0), p95_ttft_ms: Some(2000.0) },
        Pace::default(),
        Pace { cost: Some(1.0), ttft_ms: Some(2000.0), tokens_per_s: Some(90.0), p95_ttft_ms: Some(9000.0) },
    ];
    check(json!({ "sort": "price" }), paces, [2, 0, 1]);
    check(json!({ "sort": "latency" }), paces, [0, 2, 1]);
    check(json!({ "sort": { "by": "throughput", "partition": "none" } }), paces, [2, 0, 1]);
    check(json!({ "sort": "price", "order": ["b"] }), paces, [1, 2, 0]);
    check(json!({ "preferred_max_latency": 1 }), paces, [0, 1, 2]);
    check(json!({ "preferred_max_latency": { "p50": 0.5 } }), paces, [1, 0, 2]);
    check(json!({ "preferred_max_latency": { "p90": 5 } }), paces, [0, 1, 2]);
    check(json!({ "preferred_min_throughput": 50 }), paces, [1, 2, 0]);
    check(json!({ "preferred_min_throughput": 50, "sort": "price" }), paces, [2, 1, 0]);
}

#[test]
fn a_field_that_is_wrong_is_told() {
    let check = |asked: Value, expected: &str| {
        let error = serde_json::from_value::<Preferences>(asked).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(json!({ "sort": "cheap" }), "expected `price`, `throughput` or `latency`");
    check(json!({ "sort": { "by": "cheap" } }), "unknown variant `cheap`");
    check(json!({ "only": "a" }), "expected a sequence");
    check(json!({ "max_price": { "prompt": -1 } }), "expected an amount of US dollars");
    check(json!({ "max_price": { "tokens": 1 } }), "unknown field `tokens`");
    check(json!({ "preferred_max_latency": -1 }), "not negative");
    check(json!({ "max_latency": "1" }), "not negative");
    check(json!({ "data_collection": "no" }), "unknown variant `no`");
    check(json!({ "srot": "price" }), "unknown field `srot`");
}

#[test]
fn a_request_says_only_what_it_changes_of_a_preset() {
    let preset = Controls {
        fallbacks: Some(vec!["a".into()]),
        provider: preferences(json!({ "only": ["x", "y"], "zdr": true })),
    };
    let request =
        Controls { fallbacks: None, provider: preferences(json!({ "only": ["x"], "sort": "price" })) };
    let both = request.over(&preset);
    assert_eq!(both.fallbacks, preset.fallbacks);
    assert_eq!(both.provider, preferences(json!({ "only": ["x"], "zdr": true, "sort": "price" })));
}

#[test]
fn controls_are_read_from_what_was_written_of_them() {
    let controls = Controls {
        fallbacks: Some(vec!["a".into()]),
        provider: preferences(json!({
            "order": ["x"], "sort": { "by": "price", "partition": "none" }, "max_price": { "prompt": 0.1 },
            "max_latency": { "p99": 9.5 }, "preferred_max_latency": 1.1, "preferred_min_throughput": { "p50": 0.7 }, "quantizations": ["fp8"],
        })),
    };
    let written = serde_json::to_string(&controls).unwrap();
    assert_eq!(serde_json::from_str::<Controls>(&written).unwrap(), controls, "{written}");
}

#[test]
fn suffixes_are_taken_off_names_that_are_not_known_with_them() {
    let check = |name: &str, base: &str, sort: Option<Sort>, thinking: Option<bool>| {
        let is_known = |name: &str| ["qwen3:8b", "odd:floor"].contains(&name);
        assert_eq!(suffixed(name, is_known), (base, Suffixes { sort, thinking }), "{name}");
    };
    check("deepseek-v4-pro", "deepseek-v4-pro", None, None);
    check("deepseek-v4-pro:floor", "deepseek-v4-pro", Some(Sort::Price), None);
    check("deepseek-v4-pro:NITRO", "deepseek-v4-pro", Some(Sort::Throughput), None);
    check("m:nitro:thinking", "m", Some(Sort::Throughput), Some(true));
    check("m:thinking:nothink", "m", None, Some(false));
    check("qwen3:8b", "qwen3:8b", None, None);
    check("qwen3:8b:nothink", "qwen3:8b", None, Some(false));
    check("odd:floor", "odd:floor", None, None);
    check("odd:floor:floor", "odd:floor", Some(Sort::Price), None);
    check("auto:cheap:thinking", "auto:cheap", None, Some(true));
    check("m:free", "m:free", None, None);
    check(":floor", ":floor", None, None);
    check("", "", None, None);
}
