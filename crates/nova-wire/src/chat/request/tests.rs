use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;
use crate::hub::request::{Format, Part, Request, Role, Source, Thinking, Tool, ToolCall, ToolChoice, Turn};
use crate::quirks::{
    Images, JsonSchemaSupport, MaxTokensField, Quirks, ReplayThinking, SystemRole, ThinkingSwitch,
    ToolChoiceForm, ToolIds,
};
use crate::translate::Target;

fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Chat, model: "up", quirks, max_output: Some(1000) }
}

/// Reads a chat body and writes it for a chat upstream; gives the new body and what was dropped.
fn through(quirks: &Quirks, body: &Value) -> (Value, Vec<String>) {
    let request = read(body.to_string().as_bytes()).expect("a good body");
    let mut dropped = Vec::new();
    let out = write(&request, &target(quirks), &mut dropped).expect("can be asked");
    (serde_json::from_slice(&out).expect("JSON"), dropped)
}

fn user(text: &str) -> Value {
    json!([{"role": "user", "content": text}])
}

/// Checks some fields of what is sent, `null` for a field that must not be there.
fn check(quirks: &Quirks, mut body: Value, expected: &Value, dropped: &[&str]) {
    if body.get("messages").is_none() {
        body["messages"] = user("hi");
    }
    let (out, lost) = through(quirks, &body);
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(&out[name], value, "{name} of {out} for {body}");
    }
    assert_eq!(lost, dropped, "{body}");
}

#[test]
fn the_bound_on_tokens_goes_by_its_name_and_its_limit() {
    let quirks = |field| Quirks { max_tokens_field: field, ..Quirks::default() };
    let new = quirks(Some(MaxTokensField::MaxCompletionTokens));
    check(&new, json!({"max_tokens": 5}), &json!({"max_completion_tokens": 5, "max_tokens": null}), &[]);
    check(&new, json!({"max_tokens": 5000}), &json!({"max_completion_tokens": 1000}), &[]);
    check(&quirks(None), json!({"max_completion_tokens": 5}), &json!({"max_tokens": 5}), &[]);
}

#[test]
fn sampling_keeps_to_what_the_upstream_takes() {
    let quirks = Quirks {
        min_temperature: Some(0.01),
        max_temperature: Some(1.0),
        drop: Some(vec!["top_p".into()]),
        rename: Some([("seed".to_owned(), "random_seed".to_owned())].into()),
        set: Some([("reasoning_split".to_owned(), true.into())].into()),
        ..Quirks::default()
    };
    check(&quirks, json!({"temperature": 0}), &json!({"temperature": 0.01}), &["temperature"]);
    check(&quirks, json!({"temperature": 1.5}), &json!({"temperature": 1.0}), &["temperature"]);
    check(&quirks, json!({"temperature": 0.5}), &json!({"temperature": 0.5, "reasoning_split": true}), &[]);
    check(&quirks, json!({"stop": ["a", "b"]}), &json!({"stop": ["a", "b"]}), &[]);
    check(&quirks, json!({"stop": "a"}), &json!({"stop": ["a"]}), &[]);
    check(
        &quirks,
        json!({"top_p": 0.5, "seed": 7}),
        &json!({"top_p": null, "random_seed": 7, "seed": null}),
        &["top_p"],
    );
    check(&quirks, json!({"top_k": 4, "n": 2}), &json!({"top_k": null, "n": null}), &["n", "top_k"]);
    let long = "u".repeat(80);
    let (out, _) = through(&quirks, &json!({"messages": user("hi"), "user": long}));
    assert_eq!(out["user"].as_str().map(str::len), Some(37));
}

#[test]
fn a_stream_asks_for_usage_where_it_may() {
    let ask = json!({"stream_options": {"include_usage": true}, "stream": true});
    check(&Quirks::default(), json!({"stream": true}), &ask, &[]);
    let cannot = Quirks { stream_options: Some(false), ..Quirks::default() };
    check(&cannot, json!({"stream": true}), &json!({"stream": true, "stream_options": null}), &[]);
    check(&Quirks::default(), json!({}), &json!({"stream": null, "stream_options": null}), &[]);
}

#[test]
fn a_tool_choice_is_weakened_to_what_is_allowed() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let ask = |choice: Value| json!({"tools": tools, "tool_choice": choice, "messages": user("hi")});
    let named = json!({"type": "function", "function": {"name": "f"}});
    let plain = Quirks::default();
    check(&plain, ask(named.clone()), &json!({"tool_choice": named}), &[]);
    let mistral = Quirks { tool_choice_required: Some("any".into()), ..Quirks::default() };
    check(&mistral, ask("required".into()), &json!({"tool_choice": "any"}), &[]);
    let zhipu = Quirks {
        tool_choice: Some(vec![ToolChoiceForm::Auto]),
        parallel_tool_calls: Some(false),
        ..Quirks::default()
    };
    check(&zhipu, ask("auto".into()), &json!({"tool_choice": "auto"}), &[]);
    check(&zhipu, ask("none".into()), &json!({"tool_choice": null, "tools": null}), &[]);
    check(
        &zhipu,
        ask(named.clone()),
        &json!({"tool_choice": null, "messages": [
            {"role": "system", "content": "Answer with a call of the tool `f`."}, {"role": "user", "content": "hi"}]}),
        &["tool_choice"],
    );
    let deepseek = Quirks {
        no_forced_tool_when_thinking: Some(true),
        thinking_default_on: Some(true),
        thinking_switch: Some(ThinkingSwitch::ThinkingType),
        ..Quirks::default()
    };
    check(&deepseek, ask("required".into()), &json!({"tool_choice": null}), &["tool_choice"]);
    let mut off = ask("required".into());
    off["reasoning_effort"] = "none".into();
    check(&deepseek, off, &json!({"tool_choice": "required", "thinking": {"type": "disabled"}}), &[]);
    // An empty schema is spelled out, and nothing of tools is sent without tools.
    let schema = json!({"type": "object", "properties": {}});
    check(
        &plain,
        ask("auto".into()),
        &json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}),
        &[],
    );
    check(
        &plain,
        json!({"tool_choice": "none", "parallel_tool_calls": false}),
        &json!({"tool_choice": null, "parallel_tool_calls": null}),
        &[],
    );
    let mut parallel = ask("auto".into());
    parallel["parallel_tool_calls"] = false.into();
    check(&zhipu, parallel, &json!({"parallel_tool_calls": null}), &["parallel_tool_calls"]);
}

#[test]
fn thinking_is_switched_in_the_upstreams_way() {
    let quirks = |switch, efforts: &[&str]| Quirks {
        thinking_switch: Some(switch),
        efforts: (!efforts.is_empty()).then(|| efforts.iter().map(|word| (*word).to_owned()).collect()),
        ..Quirks::default()
    };
    let effort = quirks(ThinkingSwitch::Effort, &[]);
    check(&effort, json!({"reasoning_effort": "xhigh"}), &json!({"reasoning_effort": "high"}), &[]);
    check(
        &effort,
        json!({"thinking": {"type": "enabled", "budget_tokens": 3000}}),
        &json!({"reasoning_effort": "medium", "thinking": null}),
        &[],
    );
    check(&effort, json!({"thinking": {"type": "disabled"}}), &json!({"reasoning_effort": null}), &[]);
    let none = quirks(ThinkingSwitch::Effort, &["none", "low"]);
    check(
        &none,
        json!({"enable_thinking": false}),
        &json!({"reasoning_effort": "none", "enable_thinking": null}),
        &[],
    );
    let kind = quirks(ThinkingSwitch::ThinkingType, &["low", "high", "max"]);
    check(
        &kind,
        json!({"reasoning_effort": "xhigh"}),
        &json!({"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        &[],
    );
    check(
        &kind,
        json!({"reasoning_effort": "none"}),
        &json!({"thinking": {"type": "disabled"}, "reasoning_effort": null}),
        &[],
    );
    let qwen = quirks(ThinkingSwitch::EnableThinking, &[]);
    check(
        &qwen,
        json!({"reasoning": {"max_tokens": 99}}),
        &json!({"enable_thinking": true, "thinking_budget": 99, "reasoning": null}),
        &[],
    );
    let router = quirks(ThinkingSwitch::Reasoning, &[]);
    check(
        &router,
        json!({"reasoning_effort": "low"}),
        &json!({"reasoning": {"effort": "low"}, "reasoning_effort": null}),
        &[],
    );
    check(&router, json!({"thinking_budget": 9}), &json!({"reasoning": {"max_tokens": 9}}), &[]);
    let never = quirks(ThinkingSwitch::None, &[]);
    check(&never, json!({"reasoning_effort": "low"}), &json!({"reasoning_effort": null}), &["thinking"]);
    check(&never, json!({"reasoning_effort": "none"}), &json!({"reasoning_effort": null}), &[]);
    check(&effort, json!({}), &json!({"reasoning_effort": null}), &[]);
}

#[test]
fn a_schema_goes_down_the_ladder_of_what_is_known() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format =
        json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}});
    let ask = json!({"response_format": format});
    let support = |json_schema| Quirks { json_schema: Some(json_schema), ..Quirks::default() };
    check(&Quirks::default(), ask.clone(), &json!({"response_format": format}), &[]);
    for (level, expected) in [
        (JsonSchemaSupport::JsonObject, json!({"type": "json_object"})),
        (JsonSchemaSupport::Prompt, Value::Null),
    ] {
        check(&support(level), ask.clone(), &json!({"response_format": expected}), &[]);
        let mut body = ask.clone();
        body["messages"] = user("hi");
        let (out, _) = through(&support(level), &body);
        let hint = out["messages"][0]["content"].as_str().expect("instructions");
        assert!(hint.contains("JSON schema") && hint.contains(r#""a":{"type":"string"}"#), "{hint}");
    }
}

/// The messages that are sent for these.
fn check_messages(quirks: &Quirks, messages: Value, expected: &Value, dropped: &[&str]) {
    let body = json!({"messages": messages});
    let (out, lost) = through(quirks, &body);
    assert_eq!(&out["messages"], expected, "{body}");
    assert_eq!(lost, dropped);
}

#[test]
fn instructions_stand_where_the_upstream_wants_them() {
    let messages = json!([{"role": "system", "content": "a"}, {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"}, {"role": "system", "content": "d"}, {"role": "user", "content": "e"}]);
    let expected = |role: &str| {
        json!([{"role": role, "content": "a\n\nb"}, {"role": "user", "content": "c"},
        {"role": role, "content": "d"}, {"role": "user", "content": "e"}])
    };
    check_messages(&Quirks::default(), messages.clone(), &expected("system"), &[]);
    for (role, word) in [(SystemRole::Developer, "developer"), (SystemRole::User, "user")] {
        let quirks = Quirks { system_role: Some(role), ..Quirks::default() };
        check_messages(&quirks, messages.clone(), &expected(word), &[]);
    }
    let first_only = Quirks { mid_system: Some(false), ..Quirks::default() };
    let folded = json!([{"role": "system", "content": "a\n\nb"}, {"role": "user", "content": "c"}, {"role": "user", "content": "d\n\ne"}]);
    check_messages(&first_only, messages, &folded, &[]);
}

fn calls(ids: &[&str]) -> Value {
    let calls: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}}))
        .collect();
    json!({"role": "assistant", "content": "", "tool_calls": calls})
}

fn result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

#[test]
fn results_stand_behind_their_calls_in_their_order() {
    let plain = Quirks::default();
    let user = json!({"role": "user", "content": "go"});
    check_messages(
        &plain,
        json!([calls(&["x", "y"]), result("y", "2"), {"role": "system", "content": "s"}, result("x", "1"), user]),
        &json!([calls(&["x", "y"]), result("x", "1"), result("y", "2"), {"role": "system", "content": "s"}, user]),
        &[],
    );
    check_messages(
        &plain,
        json!([calls(&["x"]), user]),
        &json!([calls(&["x"]), result("x", "[no result]"), user]),
        &[],
    );
    let orphan = json!({"messages": [calls(&["x"]), result("z", "lost"), result("x", ""), user]}).to_string();
    let refused = read(orphan.as_bytes()).expect_err("a result without a call");
    assert_eq!(refused.path, "messages[1].tool_call_id");
    check_messages(&plain, json!([user, calls(&["x"])]), &json!([user, calls(&["x"])]), &[]);
    let nine = Quirks { tool_ids: Some(ToolIds::Nine), ..Quirks::default() };
    let (out, _) = through(
        &nine,
        &json!({"messages": [calls(&["functions.f:0", "abcdefghi"]), result("functions.f:0", "1"), result("abcdefghi", "2")]}),
    );
    let id = out["messages"][0]["tool_calls"][0]["id"].as_str().expect("an id");
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(out["messages"][1]["tool_call_id"], id);
    assert_eq!(out["messages"][2]["tool_call_id"], "abcdefghi");
}

#[test]
fn a_conversation_of_many_calls_is_written_in_one_pass() {
    // Twenty thousand calls and results: a search for each would take minutes.
    let ids: Vec<String> = (0..20_000).map(|at| format!("call_{at}")).collect();
    let spelled: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut messages = vec![calls(&spelled)];
    messages.extend(ids.iter().rev().map(|id| result(id, id)));
    let (out, _) = through(&Quirks::default(), &json!({"messages": messages}));
    assert_eq!(out["messages"][20_000]["content"], "call_19999");
}

#[test]
fn thinking_goes_back_as_the_upstream_wants_it() {
    let messages = json!([{"role": "assistant", "content": "a", "reasoning_content": "t"}, {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"}]);
    let quirks = |replay| Quirks { replay_thinking: Some(replay), ..Quirks::default() };
    let thoughts = |quirks: &Quirks| {
        let (out, dropped) = through(quirks, &json!({"messages": messages}));
        let field = |at: usize| out["messages"][at]["reasoning_content"].as_str().map(str::to_owned);
        (field(0), field(2), dropped)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(thoughts(&quirks(ReplayThinking::Required)), (text("t"), text(" "), vec![]));
    assert_eq!(thoughts(&quirks(ReplayThinking::Accepted)), (text("t"), None, vec![]));
    assert_eq!(thoughts(&quirks(ReplayThinking::Forbidden)), (None, None, vec!["thinking".to_owned()]));
    let details =
        Quirks { thinking_field: Some("reasoning_details".into()), ..quirks(ReplayThinking::Accepted) };
    let (out, _) = through(&details, &json!({"messages": messages}));
    assert_eq!(out["messages"][0]["reasoning_details"][0]["text"], "t");
}

#[test]
fn images_and_documents_go_where_they_can_be_read() {
    let with = |part: Value| json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, part]}]});
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let refused = |quirks: &Quirks, body: &Value| {
        let request = read(body.to_string().as_bytes()).expect("a good body");
        let error = write(&request, &target(quirks), &mut Vec::new()).expect_err("cannot be asked");
        assert_eq!(error.code, "unsupported");
    };
    let sent = |quirks: &Quirks, body: &Value| through(quirks, body).0["messages"][0]["content"][1].clone();
    let (data, url) = (image("data:image/png;base64,QUJD"), image("https://a/b.png"));
    assert_eq!(sent(&Quirks::default(), &with(data.clone())), data);
    assert_eq!(sent(&Quirks::default(), &with(url.clone())), url);
    let inline = Quirks { images: Some(Images::Data), ..Quirks::default() };
    assert_eq!(sent(&inline, &with(data.clone())), data);
    refused(&inline, &with(url));
    refused(&Quirks { images: Some(Images::None), ..Quirks::default() }, &with(data));
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QUJD"}});
    refused(&Quirks::default(), &with(file.clone()));
    assert_eq!(sent(&Quirks { documents: Some(true), ..Quirks::default() }, &with(file.clone())), file);
}

#[test]
fn an_answer_that_was_begun_is_continued_or_refused() {
    let body = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
    let request = read(body.to_string().as_bytes()).expect("a good body");
    assert!(write(&request, &target(&Quirks::default()), &mut Vec::new()).is_err());
    let partial = Quirks { prefill: Some("partial".into()), ..Quirks::default() };
    let (out, _) = through(&partial, &body);
    assert_eq!(out["messages"][1], json!({"role": "assistant", "content": "b", "partial": true}));
}

#[test]
fn legacy_functions_are_tools() {
    let body = json!({"functions": [{"name": "f", "parameters": {"type": "object"}}], "function_call": {"name": "f"},
        "messages": [{"role": "user", "content": "a"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"}]});
    let (out, dropped) = through(&Quirks::default(), &body);
    assert_eq!(out["tools"][0]["function"]["name"], "f");
    assert_eq!(out["tool_choice"]["function"]["name"], "f");
    assert_eq!(out["messages"][1]["tool_calls"][0]["id"], "f");
    assert_eq!(out["messages"][2], json!({"role": "tool", "tool_call_id": "f", "content": "1"}));
    assert!(out.get("functions").is_none() && dropped.is_empty());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |body: &str, path: &str| {
        assert_eq!(read(body.as_bytes()).expect_err(body).path, path, "{body}");
    };
    check("[]", "");
    check(r#"{"messages":[{"role":"robot"}]}"#, "messages[0].role");
    check(r#"{"messages":[{"role":"tool","content":"x"}]}"#, "messages[0].tool_call_id");
    check(
        r#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#,
        "messages[0].content[0].image_url",
    );
    check(
        r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}"#,
        "messages[0].tool_calls[0].id",
    );
    check(r#"{"tools":[{"type":"function"}]}"#, "tools[0].function");
    check(r#"{"tools":{}}"#, "tools");
    check(r#"{"tool_choice":"must"}"#, "tool_choice");
    check(r#"{"temperature":"hot"}"#, "temperature");
    check(r#"{"stop":[1]}"#, "stop[0]");
    check(r#"{"response_format":{"type":"xml"}}"#, "response_format.type");
}

fn any_part() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => "[a-z]{1,5}".prop_map(|text| Part::Text { text, cache: None }),
        1 => "[a-z]{1,5}".prop_map(|data| Part::Image {
            source: Source::Base64 { media_type: "image/png".into(), data }, detail: None, cache: None }),
        1 => "[a-z]{1,5}".prop_map(|path| Part::Image { source: Source::Url(format!("https://{path}")), detail: None, cache: None }),
        1 => "[a-z]{1,5}".prop_map(|data| Part::Document {
            source: Source::Base64 { media_type: "application/pdf".into(), data }, name: Some("a.pdf".into()), cache: None }),
    ]
}

/// A question, an answer with its calls, and their results.
fn any_round() -> impl Strategy<Value = Vec<Turn>> {
    let thinking = proptest::option::of("[a-z]{1,5}");
    (proptest::collection::vec(any_part(), 1..3), thinking, "[a-z]{1,5}", 0usize..3).prop_map(
        |(said, thinking, answer, calls)| {
            let mut parts: Vec<Part> =
                thinking.into_iter().map(|text| Part::Thinking { text, signature: None }).collect();
            parts.push(Part::Text { text: answer, cache: None });
            let ids: Vec<String> = (0..calls).map(|at| format!("call_{at}")).collect();
            let call = |id: &String| {
                Part::ToolCall(ToolCall {
                    id: id.clone(),
                    name: "f".into(),
                    arguments: "{}".into(),
                    ..ToolCall::default()
                })
            };
            parts.extend(ids.iter().map(call));
            let result = |id: &String| Part::ToolResult {
                id: id.clone(),
                parts: vec![Part::Text { text: "r".into(), cache: None }],
                is_error: false,
                cache: None,
            };
            let mut turns = vec![Turn::new(Role::User, said), Turn::new(Role::Assistant, parts)];
            if !ids.is_empty() {
                turns.push(Turn::new(Role::User, ids.iter().map(result).collect()));
            }
            turns
        },
    )
}

fn any_request() -> impl Strategy<Value = Request> {
    let tool = "[a-z]{1,5}".prop_map(|name| Tool {
        name,
        description: Some("d".into()),
        parameters: Some(json!({"type": "object", "properties": {}})),
        strict: Some(true),
        ..Tool::default()
    });
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        Just(ToolChoice::Named("f".into()))
    ];
    let thinking = prop_oneof![
        Just(Thinking::Unsaid),
        Just(Thinking::Off),
        Just(Thinking::Adaptive { effort: Some("low".into()) })
    ];
    let format = prop_oneof![
        Just(Format::Text),
        Just(Format::JsonSchema { name: "n".into(), schema: json!({"type": "object"}), strict: Some(true) }),
    ];
    let rounds = proptest::collection::vec(any_round(), 0..3);
    let tools = (
        proptest::collection::vec(tool, 1..3),
        proptest::option::of(choice),
        proptest::option::of(any::<bool>()),
    );
    let numbers = (
        proptest::option::of(1u64..1000),
        proptest::option::of(0u32..8),
        proptest::collection::vec("[a-z]{1,3}", 0..3),
    );
    (rounds, tools, numbers, thinking, format, any::<bool>(), proptest::option::of("[a-z]{1,8}")).prop_map(
        |(
            rounds,
            (tools, tool_choice, parallel_tools),
            (max_tokens, temperature, stop),
            thinking,
            format,
            stream,
            user,
        )| {
            let mut turns = vec![Turn::new(Role::System, vec![Part::Text { text: "s".into(), cache: None }])];
            turns.extend(rounds.into_iter().flatten());
            turns.push(Turn::new(Role::User, vec![Part::Text { text: "end".into(), cache: None }]));
            // Only the last turn of a round without calls is followed by a user's turn of its own.
            Request {
                legacy_functions: false,
                turns,
                tools,
                tool_choice,
                parallel_tools,
                max_tokens,
                temperature: temperature.map(|eighths| f64::from(eighths) / 8.0),
                top_p: temperature.map(|eighths| f64::from(eighths) / 8.0),
                top_k: None,
                stop,
                thinking,
                format,
                stream,
                include_usage: stream,
                user,
                extra: [("seed".to_owned(), json!(7))].into_iter().collect(),
            }
        },
    )
}

/// Two texts that stand next to each other are one: a plain string is how chat says both.
fn with_joined_texts(mut request: Request) -> Request {
    for turn in &mut request.turns {
        let plain = turn.parts.iter().all(|part| matches!(part, Part::Text { .. }));
        if plain && turn.parts.len() > 1 {
            let texts: Vec<String> = turn
                .parts
                .iter()
                .filter_map(|part| match part {
                    Part::Text { text, .. } => Some(text.clone()),
                    _ => None,
                })
                .collect();
            turn.parts = vec![Part::Text { text: texts.join("\n\n"), cache: None }];
        }
    }
    request
}

proptest! {
    #[test]
    fn a_request_that_is_written_reads_as_it_was(request in any_request()) {
        let quirks = Quirks {
            documents: Some(true),
            replay_thinking: Some(ReplayThinking::Accepted),
            efforts: Some(vec!["none".into(), "low".into()]),
            ..Quirks::default()
        };
        let mut dropped = Vec::new();
        let body = write(&request, &target(&quirks), &mut dropped).expect("can be asked");
        prop_assert_eq!(dropped, Vec::<String>::new());
        prop_assert_eq!(read(&body).expect("reads"), with_joined_texts(request));
    }
}
