use serde_json::{Value, json};

use super::*;

/// What a body is taken for on each path, with and without the version header.
fn taken(body: &Value, versioned: bool) -> [Dialect; 3] {
    let text = body.to_string();
    [Dialect::Chat, Dialect::Messages, Dialect::Responses]
        .map(|path| Peek::read_any(path, versioned, text.as_bytes()).0)
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn hello() -> Value {
    json!({ "model": "m", "messages": [{ "role": "user", "content": "Hi" }] })
}

const OF_PATH: [Dialect; 3] = [Dialect::Chat, Dialect::Messages, Dialect::Chat];
const CHAT: [Dialect; 3] = [Dialect::Chat; 3];
const MESSAGES: [Dialect; 3] = [Dialect::Messages; 3];
const RESPONSES: [Dialect; 3] = [Dialect::Responses; 3];
const GEMINI: [Dialect; 3] = [Dialect::Gemini; 3];

#[test]
fn a_body_that_could_be_either_is_what_its_path_says() {
    let check = |more: Value| assert_eq!(taken(&with(hello(), &more), false), OF_PATH, "{more}");
    check(json!({}));
    check(json!({ "max_tokens": 10, "temperature": 0.5, "stream": true, "top_p": 1, "metadata": {} }));
    check(json!({ "thinking": { "type": "enabled" }, "top_k": 3, "tools": [] }));
    check(json!({ "system": null, "stop": null, "response_format": null }));
    check(json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Hi" }] }] }));
    // Claude Code puts the system's words among the messages.
    let system = json!({ "role": "system", "content": "Be brief." });
    check(json!({ "max_tokens": 10, "messages": [system, { "role": "user", "content": "Hi" }] }));
    // Both have said something: nobody can know.
    check(json!({ "system": "Be brief.", "response_format": { "type": "text" }, "max_tokens": 1 }));
}

#[test]
fn messages_bodies_are_recognised_on_every_path() {
    let check = |more: Value| assert_eq!(taken(&with(hello(), &more), false), MESSAGES, "{more}");
    check(json!({ "system": "Be brief.", "max_tokens": 10 }));
    check(json!({ "system": [{ "type": "text", "text": "Be brief." }] }));
    check(json!({ "stop_sequences": ["x"] }));
    check(json!({ "output_config": { "effort": "low" } }));
    check(json!({ "tools": [{ "name": "f", "input_schema": { "type": "object" } }] }));
    check(
        json!({ "tools": [{ "type": "web_search_20250305", "name": "s" }, { "name": "f", "input_schema": {} }] }),
    );
    let part = |part: Value| json!({ "messages": [{ "role": "user", "content": [part] }] });
    check(part(json!({ "type": "tool_result", "tool_use_id": "t", "content": "1" })));
    check(part(json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} })));
    check(part(json!({ "type": "image", "source": { "type": "url", "url": "https://a/b.png" } })));
    check(part(json!({ "type": "thinking", "thinking": "…", "signature": "s" })));
}

#[test]
fn chat_bodies_are_recognised_on_every_path() {
    let check = |more: Value| assert_eq!(taken(&with(hello(), &more), false), CHAT, "{more}");
    check(json!({ "response_format": { "type": "json_object" } }));
    check(json!({ "stream": true, "stream_options": { "include_usage": true } }));
    check(json!({ "max_completion_tokens": 10 }));
    check(json!({ "stop": "x" }));
    check(json!({ "tools": [{ "type": "function", "function": { "name": "f" } }] }));
    let user = json!({ "role": "user", "content": "Hi" });
    check(json!({ "messages": [{ "role": "system", "content": "Be brief." }, user] }));
    check(json!({ "max_tokens": 9, "messages": [{ "role": "developer", "content": "Be brief." }, user] }));
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    check(
        json!({ "max_tokens": 9, "messages": [user, { "role": "assistant", "content": null, "tool_calls": [call] }] }),
    );
    check(
        json!({ "max_tokens": 9, "messages": [user, { "role": "tool", "tool_call_id": "c", "content": "1" }] }),
    );
    let image = json!({ "type": "image_url", "image_url": { "url": "https://a/b.png" } });
    check(json!({ "max_tokens": 9, "messages": [{ "role": "user", "content": [image] }] }));
}

#[test]
fn responses_and_gemini_bodies_are_recognised_by_their_main_field() {
    let check = |body: Value, dialects: [Dialect; 3]| assert_eq!(taken(&body, false), dialects, "{body}");
    check(json!({ "model": "m", "input": "Hi" }), RESPONSES);
    check(
        json!({ "model": "m", "input": [{ "role": "user", "content": "Hi" }], "instructions": "…" }),
        RESPONSES,
    );
    check(json!({ "model": "m", "contents": [{ "parts": [{ "text": "Hi" }] }] }), GEMINI);
    check(with(hello(), &json!({ "input": "Hi" })), [Dialect::Chat, Dialect::Messages, Dialect::Responses]);
}

#[test]
fn the_version_header_speaks_for_messages_unless_the_body_speaks_against_it() {
    assert_eq!(taken(&hello(), true), MESSAGES);
    let check = |more: Value, dialects: [Dialect; 3]| {
        assert_eq!(taken(&with(hello(), &more), true), dialects, "{more}");
    };
    check(json!({ "response_format": { "type": "json_object" } }), OF_PATH);
    check(
        json!({ "messages": [{ "role": "system", "content": "…" }, { "role": "user", "content": "Hi" }] }),
        MESSAGES,
    );
}

#[test]
fn broken_bodies_are_told_off_in_the_dialect_of_their_path() {
    let check = |path: Dialect, body: &str, dialect: Dialect, code: &str| {
        let (taken, read) = Peek::read_any(path, false, body.as_bytes());
        assert_eq!((taken, read.unwrap_err().code), (dialect, code), "{body}");
    };
    check(Dialect::Chat, "{", Dialect::Chat, "invalid_json");
    check(Dialect::Chat, r#"{"model":"m"}"#, Dialect::Chat, "missing_field");
    check(Dialect::Messages, r#"{"model":"m"}"#, Dialect::Messages, "missing_field");
    check(
        Dialect::Chat,
        r#"{"system":"…","messages":[{"role":"user"}]}"#,
        Dialect::Messages,
        "missing_field",
    );
    check(Dialect::Responses, r#"{"messages":[]}"#, Dialect::Chat, "invalid_value");
}

#[test]
fn a_gemini_body_on_another_path_says_its_model_itself() {
    let body = json!({ "model": "m", "contents": [{ "parts": [{ "text": "Hi" }] }] }).to_string();
    assert_eq!(Peek::read_any(Dialect::Chat, false, body.as_bytes()).1.unwrap().model, "m");
}

/// Fields of every dialect, right and wrong.
const FIELDS: [&str; 16] = [
    r#""model":"m""#,
    r#""messages":[{"role":"user","content":"Hi"}]"#,
    r#""messages":[{"role":"system","content":"…"},{"role":"tool","content":"1","tool_call_id":"c"}]"#,
    r#""messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":{}}]}]"#,
    r#""messages":[7]"#,
    r#""input":"Hi""#,
    r#""input":[{"type":"message","role":"user","content":"Hi"}]"#,
    r#""contents":[{"parts":[{"text":"Hi"}]}]"#,
    r#""system":"Be brief.""#,
    r#""max_tokens":7"#,
    r#""tools":[{"name":"f","input_schema":{}}]"#,
    r#""tools":[{"type":"function","function":{"name":"f"}}]"#,
    r#""response_format":{"type":"json_object"}"#,
    r#""stop":"x""#,
    r#""stream":true"#,
    r#""tools":null"#,
];

proptest::proptest! {
    #[test]
    fn a_body_is_read_as_its_dialect_reads_it(places in proptest::collection::vec(0..FIELDS.len(), 0..7), versioned: bool) {
        let fields: Vec<&str> = places.into_iter().map(|place| FIELDS[place]).collect();
        let body = format!("{{{}}}", fields.join(","));
        for path in [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
            let (dialect, read) = Peek::read_any(path, versioned, body.as_bytes());
            let mut direct = Peek::read(dialect, body.as_bytes());
            if let (Ok(read), Ok(direct)) = (&read, &mut direct) {
                direct.model.clone_from(&read.model);
            }
            proptest::prop_assert_eq!(read, direct, "{}", body);
            let again = Peek::read_any(dialect, versioned, body.as_bytes()).0;
            proptest::prop_assert_eq!(again, dialect, "what was recognised stays what it is: {}", body);
        }
    }
}
