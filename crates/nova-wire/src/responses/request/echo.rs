//! What an answer repeats of its request.

use serde_json::{Map, Value};

use crate::splice;

/// The fields that a response object has from its request.
const REPEATED: [&str; 20] = [
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The fields of a request that its answer repeats. Those that are missing or null are left out;
/// [`crate::peek`] has accepted the body.
pub fn echo(body: &[u8]) -> Map<String, Value> {
    let Ok(fields) = splice::fields(body) else { return Map::new() };
    let mut echo = Map::new();
    for field in fields.into_iter().filter(|field| REPEATED.contains(&field.name.as_str())) {
        // The conversation, by far the largest field, is never parsed here.
        match serde_json::from_slice(&body[field.value]) {
            Ok(Value::Null) | Err(_) => {}
            Ok(value) => {
                echo.insert(field.name, value);
            }
        }
    }
    echo
}
