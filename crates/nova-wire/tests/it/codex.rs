//! Codex, which speaks Responses only, before a provider of another dialect: its tools go there as
//! functions and come back as what Codex knows them by, on this turn and on the next.

use nova_wire::{Dialect, Peek, Quirks, ReplyContext, Target, translate};
use serde_json::{Value, json};

use crate::grammar::said;
use crate::support::{context, relay_any_way};

/// What Codex offers.
fn tools() -> Value {
    let function = |name: &str| json!({"type": "function", "name": name, "strict": false, "parameters": {"type": "object", "properties": {}}});
    json!([
        function("exec_command"),
        {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}},
        {"type": "namespace", "name": "agents", "description": "Others.", "tools": [function("wait")]},
        {"type": "web_search"},
    ])
}

/// What the upstream gets, and what is needed to bring its answer back.
fn sent(upstream: Dialect, input: Value) -> (Value, ReplyContext) {
    let body = json!({"model": "asked", "stream": true, "store": false, "tools": tools(), "input": input,
        "reasoning": {"effort": "medium"}, "include": ["reasoning.encrypted_content"]});
    let body = body.to_string().into_bytes();
    let peek = Peek::read(Dialect::Responses, &body).expect("a good body");
    let quirks = Quirks::default();
    let target = Target { dialect: upstream, model: "up", quirks: &quirks, max_output: None };
    let out = translate::request(Dialect::Responses, &body, &peek, &target).expect("it can be translated");
    let ctx =
        ReplyContext { names: out.names, echo: out.echo, ..context(Dialect::Responses, upstream, &quirks) };
    (serde_json::from_slice(&out.body).expect("JSON"), ctx)
}

/// The names of the tools that a chat upstream is offered.
fn offered(body: &Value) -> Vec<&str> {
    let tools = body["tools"].as_array().expect("tools");
    tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).collect()
}

/// The calls of all of its tools, as a chat provider streams them.
fn calls() -> String {
    let call = |index: u8, name: &str, arguments: &str| {
        let chunk = json!({"model": "up", "choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": index, "id": format!("c{index}"), "type": "function", "function": {"name": name, "arguments": arguments}}]}}]});
        format!("data: {chunk}\n\n")
    };
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
    [
        call(0, "exec_command", "{\"cmd\":\"ls\"}"),
        call(1, "apply_patch", "{\"input\":\"*** Begin Patch\\n\"}"),
        call(2, "tool_search", "{\"query\":\"mail\"}"),
        call(3, "agents__wait", "{}"),
        format!("data: {end}\n\ndata: [DONE]\n\n"),
    ]
    .concat()
}

#[test]
fn every_kind_of_tool_makes_the_round() {
    let first =
        json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go."}]}]);
    let (body, ctx) = sent(Dialect::Chat, first.clone());
    assert_eq!(offered(&body), ["exec_command", "apply_patch", "tool_search", "agents__wait"]);

    let stream = relay_any_way(&ctx, calls().as_bytes(), "calls").text;
    said(Dialect::Responses, &stream, "calls");
    let last = stream.rsplit("data: ").next().expect("an event");
    let answer: Value = serde_json::from_str(last.trim()).expect("JSON");
    let output = answer["response"]["output"].as_array().expect("items").clone();
    let shown: Vec<[&Value; 4]> = output
        .iter()
        .map(|item| [&item["type"], &item["name"], &item["namespace"], &item["call_id"]])
        .collect();
    let null = Value::Null;
    assert_eq!(
        shown,
        [
            [&json!("function_call"), &json!("exec_command"), &null, &json!("c0")],
            [&json!("custom_tool_call"), &json!("apply_patch"), &null, &json!("c1")],
            [&json!("tool_search_call"), &null, &null, &json!("c2")],
            [&json!("function_call"), &json!("wait"), &json!("agents"), &json!("c3")],
        ]
    );
    assert_eq!(output[1]["input"], "*** Begin Patch\n");
    assert_eq!(output[2]["arguments"], json!({"query": "mail"}));
    assert_eq!(answer["response"]["tools"], tools(), "the answer repeats what was asked");

    // The whole answer says the same.
    let message =
        json!({"tool_calls": [{"id": "c3", "function": {"name": "agents__wait", "arguments": "{}"}}]});
    let whole = json!({"choices": [{"message": message, "finish_reason": "tool_calls"}]});
    let reply = translate::reply(&ctx, whole.to_string().as_bytes()).expect("an answer");
    let reply: Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(
        (&reply["output"][0]["name"], &reply["output"][0]["namespace"]),
        (&json!("wait"), &json!("agents"))
    );

    let results = json!([
        {"type": "function_call_output", "call_id": "c0", "output": "a"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "b"},
        {"type": "tool_search_output", "call_id": "c2", "execution": "client", "tools": [
            {"type": "namespace", "name": "mail", "tools": [{"type": "function", "name": "send"}]}]},
        {"type": "function_call_output", "call_id": "c3", "output": "d"},
    ]);
    let lists = [first, Value::Array(output), results];
    let input: Vec<Value> = lists.iter().flat_map(|list| list.as_array().expect("items").clone()).collect();
    let (body, _) = sent(Dialect::Chat, Value::Array(input));
    assert_eq!(offered(&body).last(), Some(&"mail__send"));
    let messages = body["messages"].as_array().expect("messages");
    let replayed: Vec<&Value> = messages[1]["tool_calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| &call["function"]["name"])
        .collect();
    assert_eq!(replayed, ["exec_command", "apply_patch", "tool_search", "agents__wait"]);
    assert_eq!(messages[1]["tool_calls"][1]["function"]["arguments"], "{\"input\":\"*** Begin Patch\\n\"}");
    let answered: Vec<&Value> = messages[2..].iter().map(|message| &message["tool_call_id"]).collect();
    assert_eq!(answered, ["c0", "c1", "c2", "c3"]);
}

#[test]
fn an_upstream_of_its_own_dialect_gets_the_tools_as_they_are() {
    let body = json!({"model": "asked", "tools": tools(), "input": "Go."}).to_string().into_bytes();
    let peek = Peek::read(Dialect::Responses, &body).expect("a good body");
    for normalise in [None, Some(true)] {
        let quirks = Quirks { normalise, ..Quirks::default() };
        let target = Target { dialect: Dialect::Responses, model: "up", quirks: &quirks, max_output: None };
        let out = translate::request(Dialect::Responses, &body, &peek, &target).expect("a body");
        let sent: Value = serde_json::from_slice(&out.body).expect("JSON");
        let kinds = |tools: &Value| -> Vec<Value> {
            tools.as_array().expect("tools").iter().map(|tool| tool["type"].clone()).collect()
        };
        assert_eq!(kinds(&sent["tools"]), kinds(&tools()));
        assert_eq!(out.hub, normalise.is_some());
        assert!(out.dropped.is_empty(), "{:?}", out.dropped);
    }
}
