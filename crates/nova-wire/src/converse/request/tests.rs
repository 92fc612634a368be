use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;
use crate::messages;

/// What a Messages client's request is on the wire, and what of it is lost.
#[track_caller]
fn check(request: Value, quirks: Value, expected: Value, lost: &[&str]) {
    let quirks: Quirks = serde_json::from_value(quirks).unwrap();
    let (body, dropped) = written(&request, &quirks).unwrap();
    assert_eq!(body, expected, "{body:#}");
    assert_eq!(dropped, lost);
}

fn written(request: &Value, quirks: &Quirks) -> Result<(Value, Vec<String>), BadRequest> {
    let request = messages::request::read(request.to_string().as_bytes()).unwrap();
    let target = Target { dialect: Dialect::Converse, model: "m", quirks, max_output: Some(4096) };
    let mut dropped = Vec::new();
    let body = write(&request, &target, &mut dropped)?;
    Ok((serde_json::from_slice(&body).unwrap(), dropped))
}

/// What the catalogue says of Bedrock.
fn bedrock() -> Value {
    json!({ "tool_choice": ["auto", "required", "named"], "documents": true, "thinking_switch": "none" })
}

#[test]
fn a_conversation_with_tools_is_spelled_anew() {
    check(
        json!({
            "model": "m",
            "max_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop_sequences": ["END"],
            "system": "Be brief.",
            "stream": true,
            "tools": [{ "name": "get", "description": "Gets.", "input_schema": { "type": "object", "properties": {} } }],
            "tool_choice": { "type": "any" },
            "messages": [
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": [
                    { "type": "text", "text": "Looking." },
                    { "type": "tool_use", "id": "t1", "name": "get", "input": { "a": 1 } },
                    { "type": "tool_use", "id": "t2", "name": "get", "input": {} },
                ] },
                { "role": "user", "content": [
                    { "type": "tool_result", "tool_use_id": "t2", "content": "", "is_error": true },
                    { "type": "tool_result", "tool_use_id": "t1", "content": [
                        { "type": "text", "text": "one" },
                        { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AA==" } },
                    ] },
                ] },
            ],
        }),
        bedrock(),
        json!({
            "messages": [
                { "role": "user", "content": [{ "text": "Hi" }] },
                { "role": "assistant", "content": [
                    { "text": "Looking." },
                    { "toolUse": { "toolUseId": "t1", "name": "get", "input": { "a": 1 } } },
                    { "toolUse": { "toolUseId": "t2", "name": "get", "input": {} } },
                ] },
                { "role": "user", "content": [
                    { "toolResult": { "toolUseId": "t1", "content": [
                        { "text": "one" },
                        { "image": { "format": "png", "source": { "bytes": "AA==" } } },
                    ], "status": "success" } },
                    { "toolResult": { "toolUseId": "t2", "content": [{ "text": "[no output]" }], "status": "error" } },
                ] },
            ],
            "system": [{ "text": "Be brief." }],
            "inferenceConfig": { "maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"] },
            "toolConfig": {
                "tools": [{ "toolSpec": {
                    "name": "get",
                    "description": "Gets.",
                    "inputSchema": { "json": { "type": "object", "properties": {} } },
                } }],
                "toolChoice": { "any": {} },
            },
        }),
        &[],
    );
}

#[test]
fn tools_that_were_called_are_named_where_none_is_offered() {
    let history = json!([
        { "role": "user", "content": "Hi" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "get", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": "1" }] },
    ]);
    let spelled = json!([
        { "role": "user", "content": [{ "text": "Hi" }] },
        { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "t1", "name": "get", "input": {} } }] },
        { "role": "user", "content": [
            { "toolResult": { "toolUseId": "t1", "content": [{ "text": "1" }], "status": "success" } },
        ] },
    ]);
    let named = json!({ "tools": [{ "toolSpec": { "name": "get", "inputSchema": { "json": { "type": "object" } } } }] });
    let expected = json!({
        "messages": spelled,
        "inferenceConfig": { "maxTokens": 9 },
        "toolConfig": named,
    });
    check(json!({ "max_tokens": 9, "messages": history }), bedrock(), expected.clone(), &[]);
    let forbidden = json!({
        "max_tokens": 9,
        "messages": history,
        "tools": [{ "name": "get", "input_schema": { "type": "object", "properties": {} } }],
        "tool_choice": { "type": "none" },
    });
    check(forbidden, bedrock(), expected, &["tools"]);
}

#[test]
fn thoughts_caches_and_documents_have_words_of_their_own() {
    let mark = json!({ "type": "ephemeral" });
    let mut quirks = bedrock();
    quirks["cache_control"] = json!(true);
    quirks["thinking_switch"] = json!("budget");
    quirks["replay_thinking"] = json!("accepted");
    check(
        json!({
            "max_tokens": 3000,
            "thinking": { "type": "enabled", "budget_tokens": 2000 },
            "system": [{ "type": "text", "text": "Rules.", "cache_control": mark }],
            "tools": [{ "name": "f", "input_schema": { "type": "object", "properties": {} }, "cache_control": mark }],
            "messages": [
                { "role": "user", "content": [
                    { "type": "document", "title": "Q3  report/é.pdf", "source":
                        { "type": "base64", "media_type": "application/pdf", "data": "AA==" } },
                    { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "hi" } },
                ] },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "Hm.", "signature": "sig" },
                    { "type": "redacted_thinking", "data": "ZZ" },
                    { "type": "text", "text": "Yes." },
                ] },
                { "role": "user", "content": "More." },
            ],
        }),
        quirks,
        json!({
            "messages": [
                { "role": "user", "content": [
                    { "text": "See the document." },
                    { "document": { "format": "pdf", "name": "Q3 report pdf", "source": { "bytes": "AA==" } } },
                    { "document": { "format": "txt", "name": "document", "source": { "bytes": "aGk=" } } },
                ] },
                { "role": "assistant", "content": [
                    { "reasoningContent": { "reasoningText": { "text": "Hm.", "signature": "sig" } } },
                    { "reasoningContent": { "redactedContent": "ZZ" } },
                    { "text": "Yes." },
                ] },
                { "role": "user", "content": [{ "text": "More." }] },
            ],
            "system": [{ "text": "Rules." }, { "cachePoint": { "type": "default" } }],
            "inferenceConfig": { "maxTokens": 3000 },
            "toolConfig": { "tools": [
                { "toolSpec": { "name": "f", "inputSchema": { "json": { "type": "object", "properties": {} } } } },
                { "cachePoint": { "type": "default" } },
            ] },
            "additionalModelRequestFields": { "thinking": { "type": "enabled", "budget_tokens": 2000 } },
        }),
        &[],
    );
}

#[test]
fn what_only_the_model_reads_goes_to_the_model() {
    let mut quirks = bedrock();
    quirks["thinking_switch"] = json!("effort");
    quirks["json_schema"] = json!("native");
    quirks["set"] = json!({ "guardrailConfig": { "guardrailIdentifier": "g" } });
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    check(
        json!({
            "max_tokens": 9,
            "top_k": 5,
            "metadata": { "user_id": "u" },
            "output_config": { "effort": "high", "format": { "type": "json_schema", "schema": schema } },
            "thinking": { "type": "adaptive" },
            "messages": [{ "role": "user", "content": "Hi" }],
        }),
        quirks,
        json!({
            "messages": [{ "role": "user", "content": [{ "text": "Hi" }] }],
            "inferenceConfig": { "maxTokens": 9 },
            "outputConfig": { "textFormat": { "type": "json_schema", "structure": { "jsonSchema": {
                "name": "answer", "schema": schema.to_string(),
            } } } },
            "additionalModelRequestFields": { "top_k": 5, "reasoning_effort": "high" },
            "guardrailConfig": { "guardrailIdentifier": "g" },
        }),
        &["user"],
    );
}

#[test]
fn what_is_not_sent_along_is_refused_before_it_is_sent() {
    let refused = |source: Value, kind: &str| {
        let message = json!({ "role": "user", "content": [{ "type": kind, "source": source }] });
        let request = json!({ "max_tokens": 9, "messages": [message] });
        let quirks = serde_json::from_value(bedrock()).unwrap();
        let error = written(&request, &quirks).unwrap_err();
        assert_eq!((error.path.as_str(), error.code), ("messages[0].content[0]", "unsupported"), "{error}");
    };
    refused(json!({ "type": "url", "url": "https://x/y.png" }), "image");
    refused(json!({ "type": "file", "file_id": "f" }), "image");
    refused(json!({ "type": "url", "url": "https://x/y.pdf" }), "document");
}
