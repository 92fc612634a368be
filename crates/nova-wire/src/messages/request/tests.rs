use proptest::prelude::*;
use serde_json::{Value, json};

use super::{read, write};
use crate::hub::request::{Format, Part, Request, Role, Source, Thinking, Tool, ToolCall, ToolChoice, Turn};
use crate::messages::support::target;
use crate::quirks::{Images, JsonSchemaSupport, Quirks, ReplayThinking, ThinkingSwitch, ToolChoiceForm};
use crate::support::repository;

fn text(text: &str) -> Part {
    Part::Text { text: text.to_owned(), cache: None }
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn::new(role, parts)
}

fn user(words: &str) -> Turn {
    turn(Role::User, vec![text(words)])
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        ..ToolCall::default()
    })
}

fn result(id: &str, words: &str) -> Part {
    Part::ToolResult { id: id.to_owned(), parts: vec![text(words)], is_error: false, cache: None }
}

fn tool(name: &str, parameters: Value) -> Tool {
    Tool { name: name.to_owned(), parameters: Some(parameters), ..Tool::default() }
}

fn asking() -> Request {
    Request { turns: vec![user("hi")], max_tokens: Some(8000), ..Request::default() }
}

fn written(request: &Request, quirks: &Quirks) -> (Value, Vec<String>) {
    let mut dropped = Vec::new();
    let body = write(request, &target(quirks), &mut dropped).expect("a request that can be written");
    (serde_json::from_slice(&body).expect("JSON"), dropped)
}

/// Checks the fields named in `expected` (`null`: not there) and what was dropped.
#[track_caller]
fn check(request: &Request, quirks: &Quirks, expected: &Value, dropped: &[&str]) {
    let (body, lost) = written(request, quirks);
    for (field, value) in expected.as_object().expect("an object") {
        let found = body.get(field).cloned().unwrap_or(Value::Null);
        assert_eq!(&found, value, "`{field}` of {body:#}");
    }
    assert_eq!(lost, dropped, "{body:#}");
}

#[test]
fn sampling_keeps_to_the_dialects_bounds() {
    let base = Quirks::default();
    let request = Request { temperature: Some(1.7), top_p: Some(0.5), top_k: Some(3), ..asking() };
    check(&request, &base, &json!({"temperature": 1.0, "top_p": 0.5, "top_k": 3}), &[]);
    let low = Quirks { min_temperature: Some(0.25), ..Quirks::default() };
    check(&Request { temperature: Some(0.0), ..asking() }, &low, &json!({"temperature": 0.25}), &[]);
    let none = Quirks { drop: Some(vec!["temperature".to_owned(), "top_p".to_owned()]), ..Quirks::default() };
    check(&request, &none, &json!({"temperature": null, "top_p": null}), &["temperature", "top_p"]);
    let thinking = Request { thinking: Thinking::Budget(2000), ..request };
    check(&thinking, &base, &json!({"temperature": null, "top_p": null, "top_k": null}), &["top_p", "top_k"]);
    let cool = Request { temperature: Some(0.5), thinking: Thinking::Budget(2000), ..asking() };
    check(&cool, &base, &json!({"temperature": null}), &["temperature"]);
    let stop: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
    check(&Request { stop, ..asking() }, &base, &json!({"stop_sequences": ["a", "b"]}), &[]);
}

#[test]
fn a_bound_on_the_answer_is_always_there() {
    let quirks = Quirks::default();
    for (asked, most, expected) in [
        (None, None, 4096),
        (None, Some(8192), 8192),
        (Some(100), Some(50), 50),
        (Some(0), None, 1),
        (Some(7), Some(50), 7),
    ] {
        let request = Request { max_tokens: asked, ..asking() };
        let mut target = target(&quirks);
        target.max_output = most;
        let body = write(&request, &target, &mut Vec::new()).expect("a body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["max_tokens"], expected, "{asked:?} of {most:?}");
    }
}

#[test]
fn thinking_is_asked_for_in_the_targets_form() {
    let adaptive = |effort: &str| Thinking::Adaptive { effort: Some(effort.to_owned()) };
    let switch = |switch| Quirks { thinking_switch: Some(switch), ..Quirks::default() };
    let own = Quirks::default();
    let (budget, effort, none) =
        (switch(ThinkingSwitch::Budget), switch(ThinkingSwitch::Adaptive), switch(ThinkingSwitch::None));
    for (thinking, quirks, written, config, dropped) in [
        (Thinking::Unsaid, &own, json!(null), json!(null), &[][..]),
        (Thinking::Off, &own, json!({"type": "disabled"}), json!(null), &[]),
        (adaptive("none"), &budget, json!({"type": "disabled"}), json!(null), &[]),
        (Thinking::Budget(3000), &own, json!({"type": "enabled", "budget_tokens": 3000}), json!(null), &[]),
        (Thinking::Budget(10), &own, json!({"type": "enabled", "budget_tokens": 1024}), json!(null), &[]),
        (Thinking::Budget(9000), &own, json!({"type": "enabled", "budget_tokens": 7999}), json!(null), &[]),
        (adaptive("high"), &own, json!({"type": "adaptive"}), json!({"effort": "high"}), &[]),
        (adaptive("xhigh"), &own, json!({"type": "adaptive"}), json!({"effort": "high"}), &[]),
        (adaptive("minimal"), &own, json!({"type": "adaptive"}), json!({"effort": "low"}), &[]),
        (Thinking::Adaptive { effort: None }, &own, json!({"type": "adaptive"}), json!(null), &[]),
        (adaptive("medium"), &budget, json!({"type": "enabled", "budget_tokens": 2048}), json!(null), &[]),
        (Thinking::Budget(3000), &effort, json!({"type": "adaptive"}), json!({"effort": "medium"}), &[]),
        (adaptive("high"), &none, json!(null), json!(null), &["reasoning_effort"]),
    ] {
        let request = Request { thinking, ..asking() };
        check(&request, quirks, &json!({"thinking": written, "output_config": config}), dropped);
    }
}

#[test]
fn thinking_is_given_up_where_it_cannot_be_had() {
    let base = Request { thinking: Thinking::Budget(2000), ..asking() };
    let lost = &["reasoning_effort"][..];
    let own = Quirks::default();
    let nothing = json!({"thinking": null});
    check(&Request { max_tokens: Some(1024), ..base.clone() }, &own, &nothing, lost);
    let forced = Request {
        tools: vec![tool("f", json!({"type": "object"}))],
        tool_choice: Some(ToolChoice::Required),
        ..base.clone()
    };
    check(&forced, &own, &json!({"thinking": null, "tool_choice": {"type": "any"}}), lost);
    let default_on = Quirks { thinking_default_on: Some(true), ..Quirks::default() };
    check(&forced, &default_on, &json!({"thinking": {"type": "disabled"}}), lost);
    let both = Quirks { no_forced_tool_when_thinking: Some(false), ..Quirks::default() };
    check(&forced, &both, &json!({"tool_choice": {"type": "any"}}), &[]);
    // The last calls came from a model that signs nothing.
    let history = vec![
        user("hi"),
        turn(
            Role::Assistant,
            vec![Part::Thinking { text: "hm".to_owned(), signature: None }, call("a", "{}")],
        ),
        turn(Role::User, vec![result("a", "1")]),
    ];
    let switched = Request { turns: history.clone(), ..base.clone() };
    check(&switched, &own, &nothing, &["reasoning_effort", "reasoning_content"]);
    let adaptive = Request { thinking: Thinking::Adaptive { effort: None }, ..switched };
    check(&adaptive, &own, &json!({"thinking": {"type": "adaptive"}}), &["reasoning_content"]);
    // A turn without calls is under no such rule.
    let mut later = history;
    later.extend([turn(Role::Assistant, vec![text("done")]), user("more")]);
    let (body, _) = written(&Request { turns: later, ..base }, &own);
    assert_eq!(body["thinking"]["type"], "enabled");
}

#[test]
fn an_always_thinking_model_is_not_forced_to_a_tool() {
    let request = Request {
        tools: vec![tool("f", json!({}))],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        ..asking()
    };
    let thinks = |switch, default_on| Quirks {
        thinking_switch: Some(switch),
        thinking_default_on: Some(default_on),
        no_forced_tool_when_thinking: Some(true),
        ..Quirks::default()
    };
    let effort = || Request { thinking: Thinking::Adaptive { effort: None }, ..request.clone() };
    let off = || Request { thinking: Thinking::Off, ..asking() };
    let (auto, named) = (json!({"type": "auto"}), json!({"type": "tool", "name": "f"}));
    // It cannot be switched off, so the choice gives way.
    for switch in [ThinkingSwitch::None, ThinkingSwitch::Adaptive] {
        let always = thinks(switch, true);
        check(&request, &always, &json!({"tool_choice": auto, "thinking": null}), &["tool_choice"]);
        check(&off(), &always, &json!({"thinking": null}), &["reasoning_effort"]);
    }
    let expected = json!({"tool_choice": auto, "thinking": {"type": "adaptive"}});
    check(&effort(), &thinks(ThinkingSwitch::Adaptive, true), &expected, &["tool_choice"]);
    // It can, and nobody asked for the thinking.
    let expected = json!({"tool_choice": named, "thinking": {"type": "disabled"}});
    check(&request, &thinks(ThinkingSwitch::Budget, true), &expected, &[]);
    check(&effort(), &thinks(ThinkingSwitch::Budget, true), &expected, &["reasoning_effort"]);
    let expected = json!({"tool_choice": named, "thinking": null});
    check(&request, &thinks(ThinkingSwitch::Adaptive, false), &expected, &[]);
}

#[test]
fn tools_are_written_as_anthropic_demands() {
    let quirks = Quirks::default();
    for (parameters, schema) in [
        (json!(null), json!({"type": "object", "properties": {}})),
        (json!({}), json!({"type": "object", "properties": {}})),
        (json!({"type": "object"}), json!({"type": "object", "properties": {}})),
        (json!({"properties": {"a": {}}}), json!({"type": "object", "properties": {"a": {}}})),
        (
            json!({"type": "string"}),
            json!({"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}),
        ),
    ] {
        let request = Request { tools: vec![tool("my.tool", parameters)], ..asking() };
        let expected =
            json!({"tools": [{"name": "ns1_my-dtool", "input_schema": schema}], "tool_choice": null});
        check(&request, &quirks, &expected, &[]);
    }
    let strict = Tool { strict: Some(true), ..tool("f", json!({"type": "object", "properties": {"a": {}}})) };
    let request = Request { tools: vec![strict.clone(); 20], ..asking() };
    let (body, dropped) = written(&request, &quirks);
    assert_eq!((&body["tools"][19]["strict"], dropped.len()), (&json!(true), 0));
    assert_eq!(body["tools"][0]["input_schema"]["additionalProperties"], false);
    let (body, dropped) = written(&Request { tools: vec![strict; 21], ..asking() }, &quirks);
    assert_eq!((&body["tools"][0]["strict"], dropped), (&Value::Null, vec!["tools.strict".to_owned()]));
    let recursive = json!({"type": "object", "properties": {"a": {"$ref": "#"}}});
    let (body, _) = written(
        &Request { tools: vec![Tool { strict: Some(true), ..tool("f", recursive) }], ..asking() },
        &quirks,
    );
    assert_eq!(body["tools"][0]["strict"], Value::Null);
    let foreign =
        Tool { foreign: Some(json!({"type": "custom", "custom": {"name": "g"}})), ..tool("g", json!({})) };
    check(&Request { tools: vec![foreign], ..asking() }, &quirks, &json!({"tools": null}), &["tools[0]"]);
    let long = Request { tools: vec![tool(&"n".repeat(129), json!({}))], ..asking() };
    let error = write(&long, &target(&quirks), &mut Vec::new()).expect_err("too long a name");
    assert_eq!(error.path, "tools[0].function.name");
}

#[test]
fn a_tool_choice_is_bent_to_what_the_target_takes() {
    let only = |forms: &[ToolChoiceForm]| Quirks { tool_choice: Some(forms.to_vec()), ..Quirks::default() };
    let (auto, required) =
        (only(&[ToolChoiceForm::Auto]), only(&[ToolChoiceForm::Auto, ToolChoiceForm::Required]));
    let own = Quirks::default();
    let named = || Some(ToolChoice::Named("f".to_owned()));
    for (choice, parallel, quirks, expected, dropped) in [
        (None, None, &own, json!(null), &[][..]),
        (None, Some(true), &own, json!(null), &[]),
        (None, Some(false), &own, json!({"type": "auto", "disable_parallel_tool_use": true}), &[]),
        (
            named(),
            Some(false),
            &own,
            json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true}),
            &[],
        ),
        (Some(ToolChoice::None), Some(false), &own, json!({"type": "none"}), &[]),
        (named(), None, &required, json!({"type": "any"}), &["tool_choice"]),
        (named(), None, &auto, json!({"type": "auto"}), &["tool_choice"]),
        (Some(ToolChoice::None), None, &auto, json!(null), &["tools"]),
    ] {
        let request = Request {
            tools: vec![tool("f", json!({}))],
            tool_choice: choice,
            parallel_tools: parallel,
            ..asking()
        };
        check(&request, quirks, &json!({"tool_choice": expected}), dropped);
    }
    let toolless = Request { tool_choice: Some(ToolChoice::Required), ..asking() };
    check(&toolless, &own, &json!({"tool_choice": null, "tools": null}), &["tool_choice"]);
}

#[test]
fn a_conversation_is_put_in_order() {
    let system = |words: &str| turn(Role::System, vec![text(words)]);
    let assistant = |parts| turn(Role::Assistant, parts);
    let own = Quirks::default();
    let mid = Quirks { mid_system: Some(true), ..Quirks::default() };
    let answer = |id: &str, words: &str| json!({"type": "tool_result", "tool_use_id": id, "content": words});
    let used = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let said = |words: &str| json!({"type": "text", "text": words});
    for (turns, quirks, expected) in [
        (vec![], &own, json!([{"role": "user", "content": "."}])),
        (
            vec![system("s"), assistant(vec![text("hello ")])],
            &own,
            json!([{"role": "user", "content": "."}, {"role": "assistant", "content": "hello"}]),
        ),
        (
            vec![
                user("a"),
                turn(Role::User, vec![text("")]),
                user("b"),
                assistant(vec![text(" ")]),
                user("c"),
            ],
            &own,
            json!([{"role": "user", "content": [said("a"), said("b"), said("c")]}]),
        ),
        (
            vec![user("a"), system("s"), assistant(vec![text("b")]), system("t"), user("c")],
            &mid,
            json!([
                {"role": "user", "content": "a"},
                {"role": "system", "content": "s"},
                {"role": "assistant", "content": "b"},
                {"role": "system", "content": "t"},
                {"role": "user", "content": "c"},
            ]),
        ),
        (
            vec![
                user("a"),
                assistant(vec![call("x", ""), call("y", "{}")]),
                system("s"),
                turn(Role::User, vec![result("y", "2")]),
                turn(Role::User, vec![text("so"), result("x", "1")]),
            ],
            &mid,
            json!([
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [used("x"), used("y")]},
                {"role": "user", "content": [answer("x", "1"), answer("y", "2"), said("s"), said("so")]},
            ]),
        ),
        (
            vec![user("a"), assistant(vec![call("x", "{}")]), assistant(vec![call("x", "{}")])],
            &own,
            json!([
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [used("x"), used("x_2")]},
                {"role": "user", "content": [answer("x", "[no result]"), answer("x_2", "[no result]")]},
            ]),
        ),
    ] {
        check(&Request { turns, ..asking() }, quirks, &json!({"messages": expected}), &[]);
    }
    let leading = Request { turns: vec![system("a"), system("b"), user("c")], ..asking() };
    check(&leading, &own, &json!({"system": "a\n\nb"}), &[]);
}

#[test]
fn arguments_become_an_object() {
    for (arguments, input) in [
        ("", json!({})),
        (" ", json!({})),
        ("null", json!({})),
        ("{\"a\":1}", json!({"a": 1})),
        ("[1]", json!({"value": [1]})),
        ("{\"a\":", json!({"value": "{\"a\":"})),
    ] {
        let turns = vec![user("a"), turn(Role::Assistant, vec![call("x", arguments)])];
        let (body, _) = written(&Request { turns, ..asking() }, &Quirks::default());
        assert_eq!(body["messages"][1]["content"][0]["input"], input, "{arguments}");
    }
}

#[test]
fn what_a_model_cannot_read_is_refused_by_its_place() {
    let image = |source| Part::Image { source, detail: None, cache: None };
    let base64 = |kind: &str| Source::Base64 { media_type: kind.to_owned(), data: "AA==".to_owned() };
    let document = |source| Part::Document { source, name: None, cache: None };
    let own = Quirks::default();
    let blind = Quirks { images: Some(Images::None), ..Quirks::default() };
    let inline = Quirks { images: Some(Images::Data), ..Quirks::default() };
    let foreign = Part::Foreign { kind: "input_audio".to_owned(), value: json!({"type": "input_audio"}) };
    for (part, quirks, fits) in [
        (image(base64("image/png")), &own, true),
        (image(base64("image/JPG")), &own, true),
        (image(base64("image/tiff")), &own, false),
        (image(Source::Url("https://example.org/a.png".to_owned())), &own, true),
        (image(Source::Url("https://example.org/a.png".to_owned())), &inline, false),
        (image(base64("image/png")), &blind, false),
        (document(base64("application/pdf")), &own, true),
        (document(base64("text/csv")), &own, true),
        (document(base64("application/zip")), &own, false),
        (foreign, &own, false),
    ] {
        let request = Request { turns: vec![user("a"), turn(Role::User, vec![text("b"), part])], ..asking() };
        match write(&request, &target(quirks), &mut Vec::new()) {
            Ok(_) => assert!(fits, "{request:?}"),
            Err(error) => {
                assert!(!fits, "{error:?}");
                assert_eq!((error.path.as_str(), error.code), ("messages[1].content[1]", "unsupported"));
            }
        }
    }
}

#[test]
fn thoughts_go_back_as_the_target_wants_them() {
    let thought = |signature: Option<&str>| Part::Thinking {
        text: "hm".to_owned(),
        signature: signature.map(str::to_owned),
    };
    let replay = |replay| Quirks { replay_thinking: Some(replay), ..Quirks::default() };
    let own = Quirks::default();
    let (required, forbidden) = (replay(ReplayThinking::Required), replay(ReplayThinking::Forbidden));
    for (signature, quirks, expected) in [
        (Some("s"), &own, Some("s")),
        (None, &own, None),
        (None, &required, Some("")),
        (None, &replay(ReplayThinking::Accepted), None),
        (Some("s"), &forbidden, None),
    ] {
        let turns = vec![user("a"), turn(Role::Assistant, vec![thought(signature), text("b")]), user("c")];
        let (body, dropped) = written(&Request { turns, ..asking() }, quirks);
        let block = &body["messages"][1]["content"][0];
        assert_eq!(block["signature"].as_str(), expected, "{body:#}");
        assert_eq!(dropped.is_empty(), expected.is_some());
    }
}

#[test]
fn a_form_of_the_answer_is_a_field_or_an_instruction() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let format = Format::JsonSchema { name: "x".to_owned(), schema, strict: None };
    let request = Request { format, ..asking() };
    let closed =
        json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
    check(
        &request,
        &Quirks::default(),
        &json!({"output_config": {"format": {"type": "json_schema", "schema": closed}}, "system": null}),
        &[],
    );
    let prompt = Quirks { json_schema: Some(JsonSchemaSupport::Prompt), ..Quirks::default() };
    let (body, dropped) = written(&request, &prompt);
    assert!(body["system"].as_str().is_some_and(|words| words.contains("\"a\"")), "{body:#}");
    assert_eq!((dropped, &body["output_config"]), (vec!["response_format".to_owned()], &Value::Null));
    let (body, _) = written(&Request { format: Format::JsonObject, ..asking() }, &Quirks::default());
    assert!(body["system"].is_string());
}

#[test]
fn wrong_bodies_are_refused_by_their_place() {
    for (body, path, code) in [
        ("{", "", "invalid_json"),
        ("[]", "", "invalid_type"),
        ("{}", "messages", "missing_field"),
        (r#"{"messages":{}}"#, "messages", "invalid_type"),
        (r#"{"messages":[3]}"#, "messages[0]", "invalid_type"),
        (r#"{"messages":[{"role":"user"}]}"#, "messages[0].content", "missing_field"),
        (r#"{"messages":[{"role":"tool","content":""}]}"#, "messages[0].role", "invalid_value"),
        (r#"{"messages":[{"role":"user","content":3}]}"#, "messages[0].content", "invalid_type"),
        (r#"{"messages":[{"role":"user","content":[{}]}]}"#, "messages[0].content[0].type", "missing_field"),
        (r#"{"messages":[],"max_tokens":"1"}"#, "max_tokens", "invalid_type"),
        (r#"{"messages":[],"max_tokens":-1}"#, "max_tokens", "invalid_type"),
        (r#"{"messages":[],"stream":1}"#, "stream", "invalid_type"),
        (r#"{"messages":[],"stop_sequences":[1]}"#, "stop_sequences[0]", "invalid_type"),
        (r#"{"messages":[],"tools":[{}]}"#, "tools[0].name", "missing_field"),
        (r#"{"messages":[],"tool_choice":{"type":"x"}}"#, "tool_choice.type", "invalid_value"),
        (r#"{"messages":[],"system":[{"type":"text","text":1}]}"#, "system[0].text", "invalid_type"),
    ] {
        let error = read(body.as_bytes()).expect_err(body);
        assert_eq!((error.path.as_str(), error.code), (path, code), "{body}: {error}");
        assert!(!error.message.is_empty());
    }
    for body in [
        r#"{"messages":[{"role":"user","content":null,"novel":1}],"novel":{"a":[]},"max_tokens":10.0}"#,
        r#"{"messages":[],"temperature":null,"tools":null,"thinking":{"type":"novel","x":1}}"#,
    ] {
        assert!(read(body.as_bytes()).is_ok(), "{body}");
    }
}

/// A conversation as a client of Messages keeps it: turns alternate and every call has its result.
fn conversation() -> impl Strategy<Value = Request> {
    let words = "[a-zA-Z.:é]{1,8}";
    let calls = proptest::collection::vec(("[a-z.:]{1,6}", proptest::bool::ANY), 0..3);
    let rounds = proptest::collection::vec((words, words, calls, proptest::option::of("[a-z]{1,5}")), 1..4);
    let rest = (proptest::option::of(0u8..=64), proptest::bool::ANY, proptest::option::of(words), 0u8..4);
    (rounds, rest).prop_map(|(rounds, (temperature, stream, user_name, kind))| {
        let mut turns = vec![turn(Role::System, vec![text("rules")])];
        let mut results: Vec<Part> = Vec::new();
        for (round, (asked, said, calls, thought)) in rounds.into_iter().enumerate() {
            results.push(text(&asked));
            turns.push(turn(Role::User, std::mem::take(&mut results)));
            let mut parts: Vec<Part> = thought
                .map(|text| Part::Thinking { signature: Some(text.clone()), text })
                .into_iter()
                .chain([text(&said)])
                .collect();
            for (at, (id, is_error)) in calls.into_iter().enumerate() {
                let id = format!("{id}{round}{at}");
                parts.push(call(&id, "{\"a\":1}"));
                results.push(Part::ToolResult { id, parts: vec![text("ok")], is_error, cache: None });
            }
            turns.push(turn(Role::Assistant, parts));
        }
        results.push(text("end"));
        turns.push(turn(Role::User, results));
        let thinking = match kind {
            0 => Thinking::Off,
            1 => Thinking::Adaptive { effort: Some("low".to_owned()) },
            _ => Thinking::Unsaid,
        };
        Request {
            turns,
            tools: vec![tool("f", json!({"type": "object", "properties": {}}))],
            tool_choice: (kind == 3).then_some(ToolChoice::Required),
            parallel_tools: (kind == 3).then_some(false),
            max_tokens: Some(5000),
            // Fractions that JSON keeps exactly.
            temperature: temperature.filter(|_| kind != 1).map(|step| f64::from(step) / 64.0),
            stop: vec!["END".to_owned()],
            thinking,
            stream,
            include_usage: true,
            user: user_name,
            extra: [("container".to_owned(), json!("c")), ("novel".to_owned(), json!([1]))]
                .into_iter()
                .collect(),
            ..Request::default()
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_and_read_again_is_the_same(request in conversation()) {
        let mut dropped = Vec::new();
        let body = write(&request, &target(&Quirks::default()), &mut dropped).expect("a body");
        prop_assert_eq!(&dropped, &Vec::<String>::new());
        prop_assert_eq!(read(&body).expect("a request"), request);
    }

    #[test]
    fn no_body_makes_it_panic_and_whatever_is_read_is_written_in_order(
        roles in proptest::collection::vec((0usize..3, 0usize..7), 0..8),
    ) {
        let blocks = [
            json!([]),
            json!("words"),
            json!([{"type": "text", "text": ""}]),
            json!([{"type": "tool_use", "id": "a", "name": "f", "input": {}}]),
            json!([{"type": "tool_result", "tool_use_id": "a", "content": "r"}]),
            json!([{"type": "tool_use", "id": "b", "name": "f"}, {"type": "tool_use", "id": "a", "name": "f"}]),
            json!([{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "x "}]),
        ];
        let messages: Vec<Value> = roles
            .iter()
            .map(|(role, block)| json!({"role": (["user", "assistant", "system"][*role]), "content": (blocks[*block])}))
            .collect();
        // A result whose call does not stand before it is refused.
        let Ok(request) = read(json!({"messages": messages}).to_string().as_bytes()) else { return Ok(()) };
        // Instructions that are calls are refused; everything else is put in order.
        if let Ok(body) = write(&request, &target(&Quirks::default()), &mut Vec::new()) {
            in_order(&serde_json::from_slice(&body).expect("JSON"))?;
        }
    }

    #[test]
    fn any_bytes_are_refused_or_read(body in "[\\[\\]{}:,\"a-z0-9é\\\\]{0,60}") {
        let _ = read(body.as_bytes());
    }
}

/// Anthropic's rules of order.
fn in_order(body: &Value) -> Result<(), TestCaseError> {
    let messages = body["messages"].as_array().expect("messages");
    let mut open: Vec<String> = Vec::new();
    let mut used = std::collections::HashSet::new();
    for (at, message) in messages.iter().enumerate() {
        prop_assert_eq!(&message["role"], ["user", "assistant"][at % 2], "{:#}", body);
        let none = Vec::new();
        let blocks = message["content"].as_array().unwrap_or(&none);
        let ids = |kind: &str, field: &str| -> Vec<String> {
            let blocks = blocks.iter().filter(|block| block["type"] == kind);
            blocks.map(|block| block[field].as_str().expect("an id").to_owned()).collect()
        };
        prop_assert_eq!(&ids("tool_result", "tool_use_id"), &open, "{:#}", body);
        for (block, id) in blocks.iter().zip(&open) {
            prop_assert_eq!(block["tool_use_id"].as_str(), Some(id.as_str()), "results come first");
        }
        open = ids("tool_use", "id");
        prop_assert!(open.iter().all(|id| used.insert(id.clone())), "ids are unique: {:#}", body);
        prop_assert!(blocks.iter().all(|block| block["text"] != ""), "no text is empty");
    }
    prop_assert!(open.is_empty(), "the last calls are answered");
    Ok(())
}

#[test]
fn recorded_requests_are_read_and_written_in_order() {
    let Ok(folder) = std::fs::read_dir(repository().join("../shared/fixtures/anthropic")) else {
        println!("skipped: ../shared/fixtures/anthropic is absent");
        return;
    };
    let mut seen = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.starts_with("messages-") || !name.ends_with(".req.json") {
            continue;
        }
        let recorded: Value = serde_json::from_slice(&std::fs::read(&path).expect("bytes")).expect("JSON");
        let body = recorded.get("body").unwrap_or(&recorded);
        if body.get("messages").is_none() {
            continue;
        }
        seen += 1;
        let request = read(body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (written, _) = written(&request, &Quirks::default());
        in_order(&written).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Reading and writing once more changes nothing.
        let again = read(written.to_string().as_bytes()).expect("what was written can be read");
        assert_eq!(self::written(&again, &Quirks::default()).0, written, "{name}");
    }
    assert!(seen >= 10, "only {seen} requests were found");
}
