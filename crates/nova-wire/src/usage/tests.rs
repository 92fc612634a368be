use proptest::prelude::*;
use serde_json::json;

use super::*;

fn usage(input: u64, cache_read: u64, cache_write: u64, output: u64, reasoning: u64) -> Usage {
    Usage { input, cache_read, cache_write, output, reasoning }
}

#[test]
fn chat_usage_is_read_under_every_name() {
    let check = |json: Value, expected: Option<Usage>| {
        assert_eq!(from_chat(&json, None), expected, "{json}");
    };
    check(json!({"prompt_tokens": 10, "completion_tokens": 5}), Some(usage(10, 0, 0, 5, 0)));
    let openai = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}});
    check(openai, Some(usage(6, 4, 0, 5, 3)));
    let deepseek = json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8,
        "prompt_cache_miss_tokens": 2});
    check(deepseek, Some(usage(2, 8, 0, 5, 0)));
    let dashscope = json!({"prompt_tokens": 10, "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_creation_input_tokens": 6}});
    check(dashscope, Some(usage(3, 1, 6, 5, 0)));
    let moonshot = json!({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 7});
    check(moonshot, Some(usage(3, 7, 0, 5, 0)));
    let mistral = json!({"prompt_tokens": 10, "completion_tokens": 5, "num_cached_tokens": 7});
    check(mistral, Some(usage(3, 7, 0, 5, 0)));
    let xai = json!({"prompt_tokens": 10, "completion_tokens": 35, "total_tokens": 420,
        "completion_tokens_details": {"reasoning_tokens": 375}});
    check(xai, Some(usage(10, 0, 0, 410, 375)));
    check(json!(null), None);
    check(json!({"total_tokens": 0, "total_characters": 0}), None);
    check(json!({"prompt_tokens": null, "completion_tokens": "7"}), None);
    check(json!({"prompt_tokens": 3.0, "completion_tokens": -7}), Some(usage(3, 0, 0, 0, 0)));
}

#[test]
fn a_quirk_decides_whether_reasoning_stands_outside() {
    let json = json!({"prompt_tokens": 1, "completion_tokens": 2, "reasoning_tokens": 3});
    assert_eq!(from_chat(&json, Some(true)), Some(usage(1, 0, 0, 5, 3)));
    assert_eq!(from_chat(&json, Some(false)), Some(usage(1, 0, 0, 2, 2)));
}

#[test]
fn later_messages_usage_replaces_what_it_names() {
    let start = from_messages(&json!({"input_tokens": 900, "output_tokens": 1}), None);
    assert_eq!(start, Some(usage(900, 0, 0, 1, 0)));
    let only_output = from_messages(&json!({"output_tokens": 30}), start);
    assert_eq!(only_output, Some(usage(900, 0, 0, 30, 0)));
    let split = json!({"input_tokens": 100, "cache_read_input_tokens": 800, "output_tokens": 30,
        "cache_creation_input_tokens": null, "output_tokens_details": {"thinking_tokens": 12}});
    assert_eq!(from_messages(&split, start), Some(usage(100, 800, 0, 30, 12)));
    assert_eq!(from_messages(&json!({}), start), start);
    assert_eq!(from_messages(&json!(null), None), None);
}

#[test]
fn a_cost_that_the_provider_states_is_read() {
    assert_eq!(cost_usd(&json!({"cost": 0.25})), Some(0.25));
    assert_eq!(cost_usd(&json!({"cost": {"total_cost": 0.006}})), Some(0.006));
    assert_eq!(cost_usd(&json!({"cost_in_usd_ticks": 5_000_000_000_u64})), Some(0.5));
    assert_eq!(cost_usd(&json!({"cost": -1})), None);
    assert_eq!(cost_usd(&json!({"cost": null})), None);
}

proptest! {
    #[test]
    fn no_count_is_lost_or_counted_twice(
        prompt in any::<u32>(), read in any::<u32>(), write in any::<u32>(), output in any::<u32>(), reasoning in any::<u32>(),
    ) {
        let json = json!({"prompt_tokens": prompt, "completion_tokens": output,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": write},
            "completion_tokens_details": {"reasoning_tokens": reasoning}});
        let usage = from_chat(&json, None).expect("counts");
        prop_assert_eq!(usage.prompt(), u64::from(prompt));
        prop_assert_eq!(usage.output, u64::from(output));
        prop_assert!(usage.reasoning <= usage.output);
        prop_assert_eq!(usage.total(), u64::from(prompt) + u64::from(output));
    }
}
