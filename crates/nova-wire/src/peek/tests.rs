use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn chat(body: &str) -> Result<Peek, BadRequest> {
    Peek::read(Dialect::Chat, body.as_bytes())
}

#[test]
fn the_fields_of_a_chat_request_are_read() {
    let body = r#" {"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"x"}}]}],
        "mod\u0065l" : "gpt-\u0035" , "stream":true,"stream_options":{"include_usage":true},"max_tokens":7,
        "max_completion_tokens":9,"tools":[{"type":"function"}],"response_format":{"type":"json_object"},
        "reasoning_effort":"low","unknown":[1.5e-3,{"a":null}]} "#;
    let peek = chat(body).expect("a good body");
    assert_eq!(peek.model, "gpt-5");
    assert_eq!(&body[peek.model_span.clone()], r#""gpt-\u0035""#);
    assert_eq!(&body[peek.stream_options_span.clone().expect("there")], r#"{"include_usage":true}"#);
    assert!(peek.stream && peek.include_usage && peek.has_tools && peek.has_images);
    assert!(peek.has_schema && peek.wants_thinking);
    assert_eq!((peek.max_tokens, peek.messages), (Some(7), 1));
}

#[test]
fn absent_and_null_fields_mean_nothing() {
    let peek = chat(
        r#"{"model":"m","messages":[{"role":"assistant","content":null}],"stream":null,"stream_options":null,
        "max_tokens":null,"tools":null,"response_format":{"type":"text"},"thinking":{"type":"disabled"}}"#,
    )
    .expect("a good body");
    assert!(!peek.stream && !peek.include_usage && !peek.has_tools && !peek.has_schema);
    assert!(!peek.wants_thinking && !peek.has_images);
    assert!(peek.stream_options_span.is_some(), "it stands there and must not be added again");
}

#[test]
fn the_fields_of_other_dialects_are_read() {
    let body = r#"{"model":"m","max_tokens":5,"system":"s","thinking":{"type":"enabled","budget_tokens":1024},
        "messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{}}]}]}],
        "output_config":{"format":{"type":"json_schema"}}}"#;
    let peek = Peek::read(Dialect::Messages, body.as_bytes()).expect("a good body");
    assert!(peek.has_result_images && !peek.has_images && peek.has_schema && peek.wants_thinking);
    let body = r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}],"max_output_tokens":16}"#;
    let peek = Peek::read(Dialect::Responses, body.as_bytes()).expect("a good body");
    assert!(peek.has_images);
    assert_eq!(peek.max_tokens, Some(16));
    let peek = Peek::read(Dialect::Responses, br#"{"model":"m","input":"hi"}"#).expect("a good body");
    assert_eq!(peek.messages, 1);
}

#[test]
fn a_responses_conversation_may_be_stored_and_its_items_have_any_shape() {
    let peek = |body: &str| Peek::read(Dialect::Responses, body.as_bytes());
    for body in [
        r#"{"model":"m","previous_response_id":"resp_1"}"#,
        r#"{"model":"m","prompt":{"id":"p"},"input":[]}"#,
        r#"{"model":"m","input":[{"type":"shell_call_output","output":[{"stdout":"a"}]},{"type":"reasoning","content":null}]}"#,
    ] {
        assert!(peek(body).is_ok(), "{body}");
    }
    for (body, code) in [
        (r#"{"model":"m"}"#, "missing_field"),
        (r#"{"model":"m","previous_response_id":null}"#, "missing_field"),
        (r#"{"model":"m","input":[]}"#, "invalid_value"),
        (r#"{"model":"m","input":7}"#, "invalid_type"),
    ] {
        let error = peek(body).expect_err(body);
        assert_eq!((error.path.as_str(), error.code), ("input", code), "{body}");
    }
    let image = r#"{"model":"m","input":[{"type":"function_call_output","output":[{"detail":"high","type":"input_image"}]}]}"#;
    let seen = peek(image).expect("a good body");
    assert!(seen.has_result_images && !seen.has_images);
    let schema =
        |kind: &str| format!(r#"{{"model":"m","input":"a","text":{{"format":{{"type":"{kind}"}}}}}}"#);
    assert!(peek(&schema("json_schema")).expect("a good body").has_schema);
    assert!(!peek(&schema("text")).expect("a good body").has_schema);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |body: &str, path: &str, code: &str| {
        let error = chat(body).expect_err(body);
        assert_eq!((error.path.as_str(), error.code), (path, code), "{body}: {error}");
    };
    check("", "", "invalid_json");
    check("[]", "", "invalid_type");
    check("{\"model\":\"m\"", "", "invalid_json");
    check(r#"{"messages":[]}"#, "messages", "invalid_value");
    check(r#"{"messages":[{"role":"user","content":"x"}]}"#, "model", "missing_field");
    check(r#"{"model":"m"}"#, "messages", "missing_field");
    check(r#"{"model":7,"messages":[]}"#, "model", "invalid_type");
    check(r#"{"model":"","messages":[]}"#, "model", "invalid_value");
    check(r#"{"model":"m","mod\u0065l":"n"}"#, "model", "duplicate_field");
    check(r#"{"stream":true,"stream":true}"#, "stream", "duplicate_field");
    check(r#"{"stream":"yes"}"#, "stream", "invalid_type");
    check(r#"{"max_tokens":-1}"#, "max_tokens", "invalid_value");
    check(r#"{"max_tokens":"9"}"#, "max_tokens", "invalid_type");
    check(r#"{"messages":"hi"}"#, "messages", "invalid_type");
    check(r#"{"messages":[7]}"#, "messages[0]", "invalid_type");
    check(r#"{"messages":[{"content":"x"}]}"#, "messages[0].role", "missing_field");
    check(r#"{"messages":[{"role":"user","content":7}]}"#, "messages[0].content", "invalid_type");
    let parts = r#"{"messages":[{"role":"a"},{"role":"user","content":[{"type":"text"},{"type":4}]}]}"#;
    check(parts, "messages[1].content[1].type", "invalid_type");
    check(r#"{"messages":[{"role":"user","content":[{}]}]}"#, "messages[0].content[0].type", "missing_field");
    check(r#"{"x":"\ud800","model":"\ud800"}"#, "model", "invalid_value");
    check("{\"x\":\"a\u{1}\"}", "x", "invalid_json");
    check(r#"{"x":01}"#, "", "invalid_json");
    check(r#"{"x":"\q"}"#, "x", "invalid_json");
    check(r#"{"x":[1,]}"#, "x[1]", "invalid_json");
    check(r#"{"model":"m","messages":[{"role":"u"}]} x"#, "", "invalid_json");
    let deep = format!(r#"{{"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(chat(&deep).expect_err("too deep").code, "too_deep");
    let error = Peek::read(Dialect::Chat, b"{\"x\":\"\xff\"}").expect_err("no UTF-8");
    assert_eq!(error.code, "invalid_json");
    assert!(error.message.contains("offset 6"), "{error}");
}

#[test]
fn the_estimate_goes_by_script() {
    let tokens = |text: &str| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
        chat(&body).expect("a good body").prompt_estimate
    };
    let empty = tokens("");
    assert_eq!(tokens(&"word ".repeat(80)) - empty, 100);
    assert_eq!(tokens(&"字".repeat(300)) - empty, 200);
    assert_eq!(tokens(&"я".repeat(300)) - empty, 150);
    assert_eq!(tokens(&"QUJD".repeat(9_000)) - empty, 1_000, "inline data counts as one image");
}

/// Any JSON value of moderate size.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        "\\PC{0,12}".prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z\"\\\\é]{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_writes_is_accepted(value in any_json()) {
        let body = json!({"extra": value, "model": "m", "messages": [{"role": "user"}]});
        let plain = chat(&body.to_string());
        prop_assert!(plain.is_ok(), "{:?}", plain);
        let pretty = serde_json::to_string_pretty(&body).expect("JSON");
        prop_assert_eq!(chat(&pretty).expect("as well").prompt_estimate, plain.expect("ok").prompt_estimate);
    }

    #[test]
    fn what_is_accepted_serde_reads(text in "[\\[\\]{}:,\"\\\\ue0-9.+\\-tnfals ]{0,24}") {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"u"}}],"x":{text}}}"#);
        let ours = chat(&body).map_err(|error| error.code);
        let serde = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert!(ours.is_err() || serde, "{}", body);
        prop_assert!(!serde || ours != Err("invalid_json"), "{}", body);
    }
}

#[test]
fn the_fields_of_a_gemini_request_are_read_in_either_spelling() {
    let gemini = |body: &str| Peek::read(Dialect::Gemini, body.as_bytes());
    let camel = r#"{"contents":[{"role":"user","parts":[{"text":"hi"},{"inlineData":{"mimeType":"image/png","data":"AA"}}]},
        {"role":"model"}],"tools":[{"functionDeclarations":[]}],"generationConfig":{"maxOutputTokens":7,
        "responseMimeType":"application/json","thinkingConfig":{"includeThoughts":true}},"model":"ignored"}"#;
    let snake = camel
        .replace("inlineData", "inline_data")
        .replace("mimeType", "mime_type")
        .replace("generationConfig", "generation_config")
        .replace("maxOutputTokens", "max_output_tokens")
        .replace("responseMimeType", "response_mime_type")
        .replace("thinkingConfig", "thinking_config")
        .replace("includeThoughts", "include_thoughts");
    for body in [camel, &snake] {
        let peek = gemini(body).expect("a good body");
        assert!(peek.has_tools && peek.has_images && peek.has_schema && peek.wants_thinking);
        assert_eq!((peek.max_tokens, peek.messages, peek.model.as_str()), (Some(7), 2, ""));
        assert!(!peek.stream && peek.prompt_estimate > 0);
    }
    let one = gemini(
        r#"{"contents":{"parts":{"functionResponse":{"parts":[{"fileData":{"mime_type":"image/png"}}]}}}}"#,
    )
    .expect("one content by itself");
    assert!(one.has_result_images && !one.has_images && one.messages == 1);
    assert!(!one.has_tools && !one.has_schema && !one.wants_thinking);
    for (body, path, code) in [
        ("{}", "contents", "missing_field"),
        (r#"{"contents":[]}"#, "contents", "invalid_value"),
        (r#"{"contents":null}"#, "contents", "invalid_type"),
        (r#"{"contents":["hi"]}"#, "contents[0]", "invalid_type"),
        (r#"{"contents":[{}],"contents":[{}]}"#, "contents", "duplicate_field"),
        (
            r#"{"contents":[{}],"generationConfig":{},"generation_config":{}}"#,
            "generation_config",
            "duplicate_field",
        ),
        (
            r#"{"contents":[{}],"generationConfig":{"maxOutputTokens":0}}"#,
            "generationConfig.maxOutputTokens",
            "invalid_value",
        ),
    ] {
        let error = gemini(body).expect_err(body);
        assert_eq!((error.path.as_str(), error.code), (path, code), "{body}: {error}");
    }
}
