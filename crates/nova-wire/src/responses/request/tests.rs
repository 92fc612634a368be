//! Requests: what is read of a client, what is written for an upstream, and that both mean the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{echo, own, read, write};
use crate::hub::request::{
    Format, Mark, Part, Request, Role, Source, Thinking, Tool, ToolCall, ToolChoice, Turn,
};
use crate::quirks::{Quirks, ToolChoiceForm};
use crate::responses::support::target;

fn hub(body: Value) -> Request {
    read(body.to_string().as_bytes()).expect("a good body")
}

/// The body for an upstream with these quirks, and what it could not carry.
fn sent(request: &Request, quirks: &Quirks) -> (Value, Vec<String>) {
    let mut dropped = Vec::new();
    let body = write(request, &target(quirks), &mut dropped).expect("it can be written");
    (serde_json::from_slice(&body).expect("JSON"), dropped)
}

fn quirks(yaml: Value) -> Quirks {
    serde_json::from_value(yaml).expect("quirks")
}

fn said(text: &str) -> Part {
    Part::Text { text: text.into(), cache: None }
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn::new(role, parts)
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), ..ToolCall::default() }
}

#[test]
fn what_the_model_made_without_interruption_is_one_turn() {
    let request = hub(json!({"model": "m", "input": [
        {"role": "user", "content": "Go."},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}], "encrypted_content": "enc"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Both."}]},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "2", "name": "g", "namespace": "n", "input": "x\"y"},
        {"type": "custom_tool_call_output", "call_id": "2", "output": [{"type": "input_text", "text": "two"}]},
        {"type": "function_call_output", "call_id": "1", "output": "one"},
        {"role": "assistant", "content": "Done."},
    ]}));
    let mut second = call("2", "g", "{\"input\":\"x\\\"y\"}");
    second.mark = Mark { namespace: Some("n".into()), custom: true, signature: None };
    let result = |id: &str, text: &str| Part::ToolResult {
        id: id.into(),
        parts: vec![said(text)],
        is_error: false,
        cache: None,
    };
    let expected = [
        turn(Role::User, vec![said("Go.")]),
        turn(
            Role::Assistant,
            vec![
                Part::Thinking { text: "a\n\nb".into(), signature: Some("enc".into()) },
                said("Both."),
                Part::ToolCall(call("1", "f", "{}")),
                Part::ToolCall(second),
            ],
        ),
        turn(Role::User, vec![result("2", "two"), result("1", "one")]),
        turn(Role::Assistant, vec![said("Done.")]),
    ];
    assert_eq!(request.turns, expected);
}

#[test]
fn a_signature_before_a_call_is_the_calls() {
    let request = hub(json!({"model": "m", "input": [
        {"type": "reasoning", "summary": [], "encrypted_content": "ns1..ns1.gemini.sig"},
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "f", "arguments": "{}"},
    ]}));
    let signatures: Vec<Option<&str>> = request.turns[0]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolCall(call) => call.mark.signature.as_deref(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(signatures, [Some("ns1.gemini.sig"), None]);
}

#[test]
fn tools_that_a_search_found_can_be_called() {
    let request = hub(
        json!({"model": "m", "tools": [{"type": "tool_search", "execution": "client"}], "input": [
            {"type": "tool_search_call", "call_id": "1", "execution": "client", "arguments": {"query": "mail"}},
            {"type": "tool_search_output", "call_id": "1", "execution": "client", "tools": [
                {"type": "function", "name": "send"},
                {"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "get"}, {"type": "function", "name": "get"}]}]},
        ]}),
    );
    let names: Vec<(&str, Option<&str>)> =
        request.tools.iter().map(|tool| (tool.name.as_str(), tool.namespace.as_deref())).collect();
    assert_eq!(names, [("tool_search", None), ("send", None), ("get", Some("mcp"))]);
}

#[test]
fn allowed_tools_are_the_only_ones() {
    let tools = json!([
        {"type": "function", "name": "a"},
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}]},
        {"type": "web_search"},
    ]);
    let check = |allowed: Value, left: &[(&str, Option<&str>)]| {
        let choice = json!({"type": "allowed_tools", "mode": "auto", "tools": allowed});
        let request = hub(json!({"model": "m", "input": "a", "tools": tools, "tool_choice": choice}));
        let names: Vec<(&str, Option<&str>)> =
            request.tools.iter().map(|tool| (tool.name.as_str(), tool.namespace.as_deref())).collect();
        assert_eq!((names.as_slice(), request.tool_choice), (left, Some(ToolChoice::Auto)), "{allowed}");
    };
    check(json!([{"type": "function", "name": "a"}]), &[("a", None), ("a", Some("n"))]);
    check(json!([{"type": "function", "name": "a", "namespace": "n"}]), &[("a", Some("n"))]);
    check(json!([{"type": "namespace", "name": "n"}]), &[("a", Some("n")), ("b", Some("n"))]);
    check(
        json!([{"type": "web_search"}, {"type": "function", "name": "b"}]),
        &[("b", Some("n")), ("web_search", None)],
    );
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let check = |fields: Value, path: &str, code: &str| {
        let mut body = json!({"model": "m", "input": "a"});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let error = read(body.to_string().as_bytes()).expect_err(&body.to_string());
        assert_eq!((error.path.as_str(), error.code), (path, code), "{body}: {error}");
        assert!(error.message.contains(path) || path == "previous_response_id", "{error}");
    };
    check(json!({"input": null}), "input", "missing_field");
    check(json!({"input": 7}), "input", "invalid_type");
    check(json!({"input": ["a"]}), "input[0]", "invalid_type");
    check(json!({"input": [{}]}), "input[0].type", "missing_field");
    check(json!({"input": [{"type": "message"}]}), "input[0].role", "missing_field");
    check(json!({"input": [{"role": "user", "content": 7}]}), "input[0].content", "invalid_type");
    check(json!({"input": [{"role": "user", "content": [7]}]}), "input[0].content[0]", "invalid_type");
    let part = |part: Value| json!({"input": [{"role": "user", "content": ["a", part]}]});
    check(part(json!({"type": 1})), "input[0].content[1].type", "invalid_type");
    check(part(json!({"type": "input_text"})), "input[0].content[1].text", "missing_field");
    check(part(json!({"type": "input_image"})), "input[0].content[1].image_url", "missing_field");
    check(
        part(json!({"type": "input_image", "image_url": {"u": 1}})),
        "input[0].content[1].image_url.url",
        "missing_field",
    );
    check(
        part(json!({"type": "input_file", "filename": "a"})),
        "input[0].content[1].file_data",
        "missing_field",
    );
    check(json!({"input": [{"type": "function_call", "call_id": "c"}]}), "input[0].name", "missing_field");
    check(json!({"input": [{"type": "function_call", "name": "f"}]}), "input[0].call_id", "missing_field");
    check(
        json!({"input": [{"type": "function_call", "name": "f", "call_id": "c", "arguments": 1}]}),
        "input[0].arguments",
        "invalid_type",
    );
    check(
        json!({"input": [{"type": "custom_tool_call", "name": "f", "call_id": "c"}]}),
        "input[0].input",
        "missing_field",
    );
    check(
        json!({"input": [{"type": "function_call_output", "call_id": "c"}]}),
        "input[0].call_id",
        "invalid_value",
    );
    check(
        json!({"input": [{"type": "reasoning", "summary": [{"text": 1}]}]}),
        "input[0].summary[0].text",
        "invalid_type",
    );
    check(json!({"input": [{"type": "shell_call", "call_id": "c"}]}), "input[0].action", "missing_field");
    check(json!({"tools": {}}), "tools", "invalid_type");
    check(json!({"tools": [{"type": "function", "name": ""}]}), "tools[0].name", "invalid_value");
    check(
        json!({"tools": [{"type": "function", "name": "f", "parameters": []}]}),
        "tools[0].parameters",
        "invalid_type",
    );
    check(
        json!({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "namespace"}]}]}),
        "tools[0].tools[0].type",
        "invalid_value",
    );
    check(json!({"tool_choice": "some"}), "tool_choice", "invalid_value");
    check(json!({"tool_choice": {"type": "function"}}), "tool_choice.name", "missing_field");
    check(
        json!({"tool_choice": {"type": "allowed_tools", "mode": "never"}}),
        "tool_choice.mode",
        "invalid_value",
    );
    check(json!({"text": {"format": {"type": "json_schema"}}}), "text.format.schema", "missing_field");
    check(json!({"reasoning": {"effort": 1}}), "reasoning.effort", "invalid_type");
    check(json!({"max_output_tokens": -1}), "max_output_tokens", "invalid_type");
    check(json!({"previous_response_id": "resp_1"}), "previous_response_id", "previous_response_not_found");
    check(json!({"conversation": {"id": "c"}}), "conversation", "unsupported");
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = format!("{{\"model\":\"m\",\"input\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    assert_eq!(read(deep.as_bytes()).expect_err("too deep").code, "invalid_json");
    let items: Vec<Value> = (0..5_000)
        .flat_map(|at| {
            let id = at.to_string();
            [
                json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}),
                json!({"type": "function_call_output", "call_id": id, "output": ""}),
            ]
        })
        .collect();
    let request = hub(json!({"model": "m", "input": items}));
    let (body, _) = sent(&request, &Quirks::default());
    assert_eq!(body["input"].as_array().map(Vec::len), Some(10_000));
}

#[test]
fn thinking_is_asked_for_in_the_upstreams_words() {
    let check = |thinking: Thinking, of: Value, reasoning: Value, include: bool, dropped: &[&str]| {
        let request = Request { thinking: thinking.clone(), ..Request::default() };
        let (body, lost) = sent(&request, &quirks(of));
        assert_eq!(body["reasoning"], reasoning, "{thinking:?}");
        assert_eq!(body.get("include").is_some(), include, "{thinking:?}");
        assert_eq!(lost, dropped, "{thinking:?}");
    };
    let adaptive = |effort: &str| Thinking::Adaptive { effort: Some(effort.into()) };
    check(Thinking::Unsaid, json!({}), Value::Null, false, &[]);
    check(Thinking::Unsaid, json!({"efforts": ["low"]}), Value::Null, true, &[]);
    check(adaptive("low"), json!({}), json!({"effort": "low", "summary": "auto"}), true, &[]);
    check(
        adaptive("max"),
        json!({"efforts": ["none", "low", "xhigh"]}),
        json!({"effort": "xhigh", "summary": "auto"}),
        true,
        &[],
    );
    check(
        adaptive("odd"),
        json!({"efforts": ["odd"]}),
        json!({"effort": "odd", "summary": "auto"}),
        true,
        &[],
    );
    check(adaptive("low"), json!({"drop": ["reasoning.summary"]}), json!({"effort": "low"}), true, &[]);
    check(Thinking::Adaptive { effort: None }, json!({}), json!({"summary": "auto"}), true, &[]);
    check(Thinking::Budget(5000), json!({}), json!({"effort": "medium", "summary": "auto"}), true, &[]);
    check(Thinking::Off, json!({"efforts": ["none", "low"]}), json!({"effort": "none"}), false, &[]);
    check(Thinking::Off, json!({"thinking_default_on": true}), Value::Null, false, &["thinking"]);
    check(adaptive("low"), json!({"thinking_switch": "none"}), Value::Null, false, &["thinking"]);
}

#[test]
fn what_an_upstream_refuses_is_bent_or_named() {
    let request = Request {
        turns: vec![turn(Role::User, vec![said("a")])],
        tools: vec![Tool { name: "f".into(), ..Tool::default() }],
        tool_choice: Some(ToolChoice::Named("f".into())),
        parallel_tools: Some(true),
        max_tokens: Some(3),
        temperature: Some(1.5),
        top_k: Some(4),
        user: Some("u".repeat(70)),
        format: Format::JsonSchema { name: "s".into(), schema: json!({"type": "object"}), strict: None },
        ..Request::default()
    };
    let (body, dropped) = sent(&request, &Quirks::default());
    assert_eq!(dropped, ["top_k"]);
    assert_eq!((&body["max_output_tokens"], &body["temperature"]), (&json!(16), &json!(1.5)));
    assert_eq!(body["tools"][0]["strict"], false, "the dialect's default is not the client's");
    assert_eq!(body["text"]["format"]["strict"], false);
    assert!(body["user"].as_str().is_some_and(|user| user.len() <= 64));
    assert_eq!((&body["store"], body.get("include")), (&json!(false), None));
    let narrow = Quirks {
        tool_choice: Some(vec![ToolChoiceForm::Auto]),
        ..quirks(json!({"parallel_tool_calls": false, "max_temperature": 1.0, "json_schema": "prompt",
            "drop": ["user"], "rename": {"top_k": "k"}, "set": {"extra": 1}}))
    };
    let (body, dropped) = sent(&request, &narrow);
    assert_eq!(dropped, ["parallel_tool_calls", "tool_choice", "temperature", "user"]);
    assert_eq!((&body["k"], &body["extra"], &body["temperature"]), (&json!(4), &json!(1), &json!(1.0)));
    assert_eq!(body.get("tool_choice"), None);
    let hints = body["input"].to_string();
    assert!(hints.contains("call of the tool `f`") && hints.contains("JSON schema"), "{hints}");
}

#[test]
fn results_stand_behind_their_calls_and_orphans_are_said() {
    let result = |id: &str, is_error: bool| Part::ToolResult {
        id: id.into(),
        parts: vec![said(id)],
        is_error,
        cache: None,
    };
    let request = Request {
        turns: vec![
            turn(
                Role::Assistant,
                vec![Part::ToolCall(call("a", "f", "")), Part::ToolCall(call("b", "f", "{\"x\":1}"))],
            ),
            turn(Role::System, vec![said("mind")]),
            turn(Role::User, vec![result("c", false), result("b", true)]),
            turn(Role::Assistant, vec![Part::ToolCall(call(&"d".repeat(70), "f", "{"))]),
        ],
        ..Request::default()
    };
    let (body, _) = sent(&request, &Quirks::default());
    let items = body["input"].as_array().expect("items");
    let kinds: Vec<&str> = items.iter().filter_map(|item| item["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            "function_call",
            "function_call",
            "function_call_output",
            "function_call_output",
            "message",
            "message",
            "function_call"
        ]
    );
    assert_eq!((&items[2]["call_id"], &items[2]["output"]), (&json!("a"), &json!("[no result]")));
    assert_eq!((&items[3]["call_id"], &items[3]["output"]), (&json!("b"), &json!("Error: b")));
    assert_eq!(items[5]["content"][0]["text"], "c", "an answer to no call is something that was said");
    assert_eq!(items[0]["arguments"], "{}");
    assert!(items[6]["call_id"].as_str().is_some_and(|id| id.len() <= 64));
}

#[test]
fn only_what_the_upstream_signed_goes_back_to_it() {
    let body = json!({"model": "m", "x": 1, "input": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "ns1.openai.enc"},
        {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": "b"}], "encrypted_content": "ns1.anthropic.sig"},
        {"type": "reasoning", "id": "rs_4", "summary": [], "encrypted_content": "ns1..ns1.gemini.sig"},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
    ]});
    let check = |replays: bool, expected: Value| {
        let out = own(body.to_string().as_bytes(), "openai", replays).expect("a body");
        let out: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!((&out["input"], &out["x"]), (&expected, &json!(1)));
    };
    let (first, last) = (&body["input"][0], &body["input"][4]);
    let second = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "a"}], "encrypted_content": "enc"});
    check(false, json!([first, second, last]));
    check(
        true,
        json!([first, second, {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}]}, last]),
    );
    for odd in [json!({"model": "m", "input": "ns1.x.y"}), json!({"model": "m"})] {
        let odd = odd.to_string();
        assert_eq!(own(odd.as_bytes(), "openai", false).as_deref(), Ok(odd.as_bytes()));
    }
}

#[test]
fn an_answer_repeats_the_fields_of_its_request() {
    let body = json!({"model": "m", "input": [1], "store": true, "tools": [{"type": "local_shell"}], "user": null, "odd": 1});
    let repeated = Value::Object(echo(body.to_string().as_bytes()));
    assert_eq!(repeated, json!({"store": true, "tools": [{"type": "local_shell"}]}));
    assert!(echo(b"no json").is_empty());
}

fn any_source() -> impl Strategy<Value = Source> {
    prop_oneof![
        "[a-z]{1,4}".prop_map(|data| Source::Base64 { media_type: "image/png".into(), data }),
        "https://[a-z]{1,4}".prop_map(Source::Url),
        "file_[a-z]{1,4}".prop_map(Source::File),
    ]
}

fn any_said() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => "[a-zé\"]{1,6}".prop_map(|text| said(&text)),
        1 => any_source().prop_map(|source| Part::Image { source, detail: None, cache: None }),
        1 => any_source().prop_map(|source| Part::Document { source, name: Some("a.png".into()), cache: None }),
    ]
}

/// An assistant's turn and the results of its calls.
fn any_exchange() -> impl Strategy<Value = Vec<Turn>> {
    let thought = prop_oneof![
        "[a-z]{1,4}".prop_map(|data| Part::RedactedThinking { data }),
        ("[a-z]{1,4}", "[a-z]{1,4}")
            .prop_map(|(text, signature)| Part::Thinking { text, signature: Some(signature) }),
    ];
    let one = (
        any::<bool>(),
        "[a-z]{1,6}",
        proptest::option::of("[a-z]{1,3}"),
        proptest::collection::vec(any_said(), 0..3),
    );
    (proptest::option::of(thought), "[a-z]{1,6}", any::<bool>(), proptest::collection::vec(one, 0..3))
        .prop_map(|(thought, text, refuses, calls)| {
            let spoken = if refuses { Part::Refusal { text } } else { said(&text) };
            let mut parts: Vec<Part> = thought.into_iter().chain([spoken]).collect();
            let mut results = Vec::new();
            for (at, (custom, input, namespace, output)) in calls.into_iter().enumerate() {
                let id = format!("call_{at}");
                let arguments = json!({ "input": input }).to_string();
                let mark = Mark { custom, namespace, signature: None };
                parts.push(Part::ToolCall(ToolCall { id: id.clone(), name: "f".into(), arguments, mark }));
                results.push(Part::ToolResult { id, parts: output, is_error: false, cache: None });
            }
            let mut turns = vec![turn(Role::Assistant, parts)];
            turns.extend((!results.is_empty()).then(|| turn(Role::User, results)));
            // The next speaker, so that no two turns of the model meet.
            turns.push(turn(Role::User, vec![said("Go on.")]));
            turns
        })
}

fn any_tool() -> impl Strategy<Value = Tool> {
    let custom =
        prop_oneof![Just(Value::Null), Just(json!({"type": "grammar", "syntax": "lark", "definition": "x"}))];
    (
        "[a-z]{1,8}",
        proptest::option::of("[a-z]{1,8}"),
        any::<bool>(),
        proptest::option::of(custom),
        any::<bool>(),
    )
        .prop_map(|(name, description, strict, custom, foreign)| {
            if foreign {
                let value = json!({"type": "web_search", "size": "low"});
                return Tool { name: "web_search".into(), foreign: Some(value), ..Tool::default() };
            }
            let function = custom.is_none();
            Tool {
                name,
                description,
                parameters: function.then(|| json!({"type": "object", "properties": {"b": {}, "a": {}}})),
                strict: function.then_some(strict),
                custom,
                ..Tool::default()
            }
        })
}

fn any_request() -> impl Strategy<Value = Request> {
    let exchanges = proptest::collection::vec(any_exchange(), 0..3);
    let first = (proptest::option::of("[a-z]{1,6}"), proptest::collection::vec(any_said(), 1..3));
    let format = prop_oneof![
        Just(Format::Text),
        Just(Format::JsonSchema { name: "s".into(), schema: json!({"type": "object"}), strict: Some(true) }),
    ];
    let thinking = prop_oneof![
        Just(Thinking::Unsaid),
        Just(Thinking::Off),
        Just(Thinking::Adaptive { effort: Some("high".into()) }),
    ];
    let numbers = (
        proptest::option::of(16u64..9999),
        proptest::option::of((0u8..8).prop_map(|quarters| f64::from(quarters) / 4.0)),
        any::<bool>(),
    );
    (first, exchanges, proptest::collection::vec(any_tool(), 0..4), format, thinking, numbers).prop_map(
        |((system, user), exchanges, tools, format, thinking, (max_tokens, temperature, stream))| {
            let system = system.map(|text| turn(Role::System, vec![said(&text)]));
            let turns =
                system.into_iter().chain([turn(Role::User, user)]).chain(exchanges.into_iter().flatten());
            Request {
                turns: turns.collect(),
                tool_choice: (!tools.is_empty()).then_some(ToolChoice::Required),
                parallel_tools: (!tools.is_empty()).then_some(false),
                tools,
                max_tokens,
                temperature,
                stream,
                format,
                thinking,
                include_usage: true,
                ..Request::default()
            }
        },
    )
}

proptest! {
    #[test]
    fn a_request_that_is_written_and_read_means_the_same(request in any_request()) {
        let quirks = quirks(json!({"efforts": ["none", "low", "medium", "high"]}));
        let (body, dropped) = sent(&request, &quirks);
        prop_assert_eq!(dropped, Vec::<String>::new());
        let mut again = hub(body);
        // What this gateway asks of an upstream by itself.
        again.extra.remove("store");
        again.extra.remove("reasoning.summary");
        prop_assert_eq!(again, request);
    }
}
