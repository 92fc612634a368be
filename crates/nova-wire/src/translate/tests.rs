use bytes::Bytes;

use super::*;
use crate::error::ErrorClass;
use crate::hub::request::Part;
use crate::quirks::{MaxTokensField, ThinkingSwitch, ToolChoiceForm};

fn target(quirks: &Quirks) -> Target<'_> {
    Target { dialect: Dialect::Chat, model: "up", quirks, max_output: Some(100) }
}

/// A chat request to a chat upstream.
fn check_request(quirks: &Quirks, body: &str, expected: &str, dropped: &[&str]) {
    let peek = Peek::read(Dialect::Chat, body.as_bytes()).expect("a good body");
    let out = request(Dialect::Chat, body.as_bytes(), &peek, &target(quirks)).expect("can be asked");
    assert_eq!(String::from_utf8_lossy(&out.body), expected);
    assert_eq!(out.dropped, dropped);
    assert!(!out.hub);
}

const MESSAGES: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

#[test]
fn the_model_changes_and_nothing_else() {
    let body = format!(r#"{{ "model" : "m" , {MESSAGES}, "x":[1.0, 2e3] }}"#);
    let expected = format!(r#"{{ "model" : "up" , {MESSAGES}, "x":[1.0, 2e3] }}"#);
    check_request(&Quirks::default(), &body, &expected, &[]);
}

#[test]
fn a_stream_asks_for_usage_even_where_the_client_did_not() {
    let quirks = Quirks::default();
    let ask = r#""stream_options":{"include_usage":true}"#;
    let body = |rest: &str| format!(r#"{{"model":"m",{MESSAGES},"stream":true{rest}}}"#);
    let sent = |rest: &str| format!(r#"{{"model":"up",{MESSAGES},"stream":true{rest}}}"#);
    check_request(&quirks, &body(""), &format!(r#"{{{ask},{}"#, &sent("")[1..]), &[]);
    check_request(&quirks, &body(&format!(",{ask}")), &sent(&format!(",{ask}")), &[]);
    check_request(&quirks, &body(r#","stream_options":null"#), &sent(&format!(",{ask}")), &[]);
    let other = r#","stream_options":{"include_obfuscation":false,"include_usage":false}"#;
    let both = r#","stream_options":{"include_obfuscation":false,"include_usage":true}"#;
    check_request(&quirks, &body(other), &sent(both), &[]);
    let cannot = Quirks { stream_options: Some(false), ..Quirks::default() };
    check_request(&cannot, &body(""), &sent(""), &[]);
    check_request(&cannot, &body(&format!(",{ask}")), &sent(""), &["stream_options"]);
}

#[test]
fn quirks_are_spliced_and_what_is_lost_is_named() {
    let quirks = Quirks {
        max_tokens_field: Some(MaxTokensField::MaxCompletionTokens),
        drop: Some(vec!["logit_bias".into(), "user".into()]),
        rename: Some([("seed".to_owned(), "random_seed".to_owned())].into()),
        set: Some([("reasoning_split".to_owned(), serde_json::Value::Bool(true))].into()),
        min_temperature: Some(0.01),
        tool_choice: Some(vec![ToolChoiceForm::Auto]),
        parallel_tool_calls: Some(false),
        ..Quirks::default()
    };
    let body = format!(
        r#"{{"model":"m","max_tokens":500,"seed":7,"user":"u","temperature":0,{MESSAGES},"tool_choice":"required","parallel_tool_calls":false}}"#
    );
    // The bound is renamed and lowered in one edit.
    let expected = format!(
        r#"{{"reasoning_split":true,"model":"up","max_completion_tokens":100,"random_seed":7,"temperature":0.01,{MESSAGES}}}"#
    );
    check_request(&quirks, &body, &expected, &["user", "temperature", "parallel_tool_calls", "tool_choice"]);
    let deepseek = Quirks {
        no_forced_tool_when_thinking: Some(true),
        thinking_default_on: Some(true),
        ..Quirks::default()
    };
    let forced = |rest: &str| format!(r#"{{"model":"m",{MESSAGES},"tools":[{{"type":"function"}}]{rest}}}"#);
    let sent = |rest: &str| forced(rest).replace("\"m\"", "\"up\"");
    let required = r#","tool_choice":"required""#;
    check_request(&deepseek, &forced(required), &sent(""), &["tool_choice"]);
    let off = format!(r#","thinking":{{"type":"disabled"}}{required}"#);
    check_request(&deepseek, &forced(&off), &sent(&off), &[]);
    let any = Quirks { tool_choice_required: Some("any".into()), ..Quirks::default() };
    let body = format!(r#"{{"model":"m",{MESSAGES},"tool_choice":"required"}}"#);
    check_request(&any, &body, &format!(r#"{{"model":"up",{MESSAGES},"tool_choice":"any"}}"#), &[]);
}

fn context(quirks: Quirks, include_usage: bool) -> ReplyContext {
    ReplyContext {
        hub: false,
        model: "asked".into(),
        id: "0a".into(),
        include_usage,
        prompt_estimate: 3,
        quirks: quirks.into(),
        ..crate::support::context(Dialect::Chat)
    }
}

/// What came out of a relay.
struct Relayed {
    text: String,
    meter: Meter,
    error: Option<UpstreamError>,
}

fn relay(ctx: ReplyContext, pieces: &[&[u8]]) -> Relayed {
    let mut relay = StreamRelay::new(ctx);
    let mut out = Vec::new();
    for piece in pieces {
        relay.push(&Bytes::copy_from_slice(piece), &mut out);
        assert!(out.is_empty() || relay.meter().content_started, "nothing leaves before the content");
    }
    relay.finish(&mut out);
    Relayed {
        text: String::from_utf8(out.concat()).expect("text"),
        meter: relay.meter().clone(),
        error: relay.error().cloned(),
    }
}

/// Relays a stream whole and byte by byte; both must agree.
fn check_stream(quirks: &Quirks, stream: &str, expected: &str) -> Relayed {
    let whole = relay(context(quirks.clone(), false), &[stream.as_bytes()]);
    assert_eq!(whole.text, expected);
    let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
    let split = relay(context(quirks.clone(), false), &bytes);
    assert_eq!(split.text, expected, "byte by byte");
    assert_eq!((split.meter, split.error), (whole.meter.clone(), whole.error.clone()));
    whole
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"model\":\"real\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}\n\n";

#[test]
fn a_stream_is_passed_on_byte_for_byte_and_counted() {
    let content = [
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"a\"b"}"#, "null"),
        ": note\n\n".to_owned(),
        chunk(r#"{"content":"c"}"#, "null"),
        chunk("{}", "\"stop\""),
    ]
    .concat();
    let done = "data: [DONE]\n\n";
    let seen =
        check_stream(&Quirks::default(), &format!("{content}{USAGE}{done}"), &format!("{content}{done}"));
    assert_eq!(seen.error, None);
    assert_eq!(seen.meter.finish, Some(Finish::Stop));
    assert_eq!(seen.meter.output_bytes, 5);
    assert_eq!(seen.meter.usage, Some(Usage { input: 5, output: 2, ..Usage::default() }));
    assert_eq!(seen.meter.upstream_model.as_deref(), Some("real"));
    let all = format!("{content}{USAGE}{done}");
    assert_eq!(
        relay(context(Quirks::default(), true), &[all.as_bytes()]).text,
        all,
        "the client asked for usage"
    );
}

#[test]
fn a_missing_end_mark_is_added_and_a_missing_end_is_an_error() {
    let begun = chunk(r#"{"content":"a"}"#, "null");
    let ended = format!("{begun}{}", chunk("{}", "\"stop\""));
    let seen = check_stream(&Quirks::default(), &ended, &format!("{ended}data: [DONE]\n\n"));
    assert_eq!(seen.error, None);
    let seen = check_stream(&Quirks::default(), &begun, &begun);
    assert_eq!(seen.error.expect("a cut").class, ErrorClass::Cut);
    let lenient = Quirks { no_finish_reason: Some(true), ..Quirks::default() };
    assert_eq!(check_stream(&lenient, &begun, &format!("{begun}data: [DONE]\n\n")).error, None);
    let unterminated = format!("{ended}data: [DONE]");
    assert_eq!(check_stream(&Quirks::default(), &unterminated, &format!("{unterminated}\n\n")).error, None);
    assert_eq!(check_stream(&Quirks::default(), "", "").error.expect("a cut").class, ErrorClass::Cut);
}

#[test]
fn nothing_of_a_failure_is_passed_on() {
    let begun = chunk(r#"{"content":"a"}"#, "null");
    for failure in [
        "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n",
        "data: {\"error\":{\"message\":\"m\",\"code\":502},\"choices\":[]}\n\n",
        "data: {\"base_resp\":{\"status_code\":1002,\"status_msg\":\"m\"}}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"insufficient_system_resource\"}]}\n\n",
        "event: error\ndata: what?\n\n",
    ] {
        let stream = format!("{begun}{failure}{begun}data: [DONE]\n\n");
        assert!(check_stream(&Quirks::default(), &stream, &begun).error.is_some(), "{failure}");
        assert!(check_stream(&Quirks::default(), failure, "").error.is_some(), "{failure}");
    }
}

#[test]
fn an_event_that_cannot_be_read_is_skipped_and_counted() {
    let begun = chunk(r#"{"content":"a"}"#, "null");
    let end = chunk("{}", "\"stop\"");
    let bad = "data: {\"choices\":[{\"delta\"\n\n";
    let seen = check_stream(
        &Quirks::default(),
        &format!("{bad}{begun}{bad}{end}data: [DONE]\n\n"),
        &format!("{begun}{end}data: [DONE]\n\n"),
    );
    assert_eq!(seen.meter.bad_events, 2);
}

#[test]
fn neighbouring_events_leave_in_one_piece() {
    let text = chunk(r#"{"content":"a"}"#, "null").repeat(5);
    let mut relay = StreamRelay::new(context(Quirks::default(), false));
    let mut out = Vec::new();
    let bytes = Bytes::from(text.into_bytes());
    relay.push(&bytes, &mut out);
    assert_eq!(out.len(), 1);
    assert!(std::ptr::eq(out[0].as_ptr(), bytes.as_ptr()), "and are not copied");
}

#[test]
fn what_is_held_back_is_bounded() {
    let role = chunk(r#"{"role":"assistant"}"#, "null");
    let mut relay = StreamRelay::new(context(Quirks::default(), false));
    let mut out = Vec::new();
    let bytes = Bytes::from(role.repeat(100).into_bytes());
    let pushes = (0..100).take_while(|_| {
        relay.push(&bytes, &mut out);
        out.is_empty()
    });
    assert!((10..40).contains(&pushes.count()));
    assert!(relay.meter().content_started, "from here on no other upstream can be tried");
}

#[test]
fn a_whole_answer_is_passed_on_and_counted() {
    let body = br#" {"model":"real","choices":[{"message":{"content":"abc","reasoning_content":"d"},"finish_reason":"length"}],
        "usage":{"prompt_tokens":5,"completion_tokens":2,"cost":0.5},"base_resp":{"status_code":0}}"#;
    let answer = reply(&context(Quirks::default(), false), body).expect("an answer");
    assert_eq!(answer.body, body);
    assert_eq!(answer.meter.finish, Some(Finish::Length));
    assert_eq!(answer.meter.output_bytes, 4);
    assert_eq!(answer.meter.usage, Some(Usage { input: 5, output: 2, ..Usage::default() }));
    assert_eq!(answer.meter.upstream_cost_usd, Some(0.5));
    for body in [
        &b""[..],
        b"<html>",
        b"[]",
        b"{}",
        b"{\"choices\":[]}",
        b"{\"choices\":[{}],\"error\":{\"message\":\"m\"}}",
        b"{\"base_resp\":{\"status_code\":1008},\"choices\":null}",
        b"{\"choices\":[{\"finish_reason\":\"network_error\"}]}",
    ] {
        assert!(
            reply(&context(Quirks::default(), false), body).is_err(),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

/// A chat request with a call of a tool, to a chat upstream that wants thinking back.
fn replayed(message: &str, replay: ReplayThinking, thought: Option<&str>) -> Value {
    let body = format!(
        r#"{{"model":"m","odd":1,"messages":[{{"role":"user","content":"hi"}},{message},{{"role":"tool","tool_call_id":"a","content":"r"}}]}}"#
    );
    let quirks = Quirks { replay_thinking: Some(replay), ..Quirks::default() };
    let peek = Peek::read(Dialect::Chat, body.as_bytes()).expect("a good body");
    let recall = |id: &str| {
        let text = thought.filter(|_| id == "a")?.to_owned();
        Some(Arc::new(Thought {
            provider: "p".into(),
            parts: vec![Part::Thinking { text, signature: None }],
            calls: vec![("a".into(), None)],
        }))
    };
    let past = Past { provider: "p", recall: Some(&recall) };
    let out =
        request_after(Dialect::Chat, body.as_bytes(), &peek, &target(&quirks), &past).expect("a request");
    assert!(!out.hub, "the answer is passed through");
    serde_json::from_slice(&out.body).expect("JSON")
}

#[test]
fn thinking_that_a_chat_client_forgot_is_put_back() {
    let call = r#""tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    let bare = format!(r#"{{"role":"assistant","content":null,{call}}}"#);
    let blank = format!(r#"{{"role":"assistant","content":"",{call},"reasoning_content":""}}"#);
    let own = format!(r#"{{"role":"assistant","content":null,{call},"reasoning_content":"mine"}}"#);
    let check = |message: &str, replay, thought, expected: Value| {
        let sent = replayed(message, replay, thought);
        assert_eq!(sent["messages"][1]["reasoning_content"], expected);
        assert_eq!(sent["odd"], 1, "what we do not know stays");
    };
    for message in [&bare, &blank] {
        check(message, ReplayThinking::Required, Some("why"), "why".into());
        check(message, ReplayThinking::Accepted, Some("why"), "why".into());
        check(message, ReplayThinking::Required, None, " ".into());
    }
    check(&own, ReplayThinking::Required, Some("why"), "mine".into());
    check(&bare, ReplayThinking::Forbidden, Some("why"), Value::Null);
}

#[test]
fn a_thought_that_is_passed_through_is_kept() {
    let quirks = Quirks { replay_thinking: Some(ReplayThinking::Required), ..Quirks::default() };
    let ctx = || ReplyContext { provider: "p".into(), ..context(quirks.clone(), false) };
    let check = |thought: Option<Box<Thought>>| {
        let thought = thought.expect("a thought");
        assert_eq!(thought.parts, [Part::Thinking { text: "why".into(), signature: None }]);
        assert_eq!(thought.calls, [("a".to_owned(), None)]);
    };
    let whole = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"","reasoning_content":"why","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    check(reply(&ctx(), whole.as_bytes()).expect("an answer").meter.thought);
    let deltas = [
        r#"{"reasoning_content":"wh"}"#,
        r#"{"reasoning_content":"y","content":null}"#,
        r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
    ];
    let mut relay = StreamRelay::new(ctx());
    let mut out = Vec::new();
    for delta in deltas {
        let event =
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n");
        relay.push(&Bytes::from(event), &mut out);
        assert_eq!(relay.take_thought(), None);
    }
    relay.push(
        &Bytes::from_static(
            b"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        ),
        &mut out,
    );
    check(relay.take_thought());
}

#[test]
fn a_tagged_signature_never_leaves_to_another_provider() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"ns1.deepseek."},{"type":"text","text":"x"}]},{"role":"user","content":"go on"}]}"#;
    let quirks = Quirks::default();
    let peek = Peek::read(Dialect::Messages, body.as_bytes()).expect("a good body");
    let target = Target { dialect: Dialect::Messages, model: "up", quirks: &quirks, max_output: None };
    let past = Past { provider: "anthropic", recall: None };
    let out = request_after(Dialect::Messages, body.as_bytes(), &peek, &target, &past).expect("a request");
    let sent = String::from_utf8(out.body).expect("text");
    assert!(!sent.contains("ns1.") && !sent.contains("thinking") && !out.hub, "{sent}");
}

#[test]
fn a_client_of_the_first_form_of_calls_gets_that_form() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi"}],"functions":[{"name":"f","parameters":{"type":"object"}}],"function_call":{"name":"f"}}"#;
    let peek = Peek::read(Dialect::Chat, body).expect("a good body");
    let quirks = Quirks::default();
    let target = Target { dialect: Dialect::Messages, model: "up", quirks: &quirks, max_output: Some(100) };
    let out = request(Dialect::Chat, body, &peek, &target).expect("a request");
    let sent: Value = serde_json::from_slice(&out.body).expect("JSON");
    assert_eq!(sent["tools"][0]["name"], "f");
    assert_eq!(sent["tool_choice"]["disable_parallel_tool_use"], true);
    let ctx = ReplyContext {
        upstream: Dialect::Messages,
        hub: true,
        names: out.names,
        ..context(Quirks::default(), false)
    };
    let whole = br#"{"id":"m","type":"message","role":"assistant","model":"up","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}"#;
    let answer = reply(&ctx, whole).expect("an answer").body;
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let choice = &answer["choices"][0];
    assert_eq!(
        choice["message"]["function_call"],
        serde_json::json!({"name": "f", "arguments": r#"{"a":1}"#})
    );
    assert_eq!(
        (&choice["message"]["tool_calls"], &choice["finish_reason"]),
        (&Value::Null, &"function_call".into())
    );
    let events: &[u8] = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":1}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let mut relay = StreamRelay::new(ctx);
    let mut out = Vec::new();
    relay.push(&Bytes::from_static(events), &mut out);
    relay.finish(&mut out);
    let told = String::from_utf8(out.concat()).expect("text");
    for part in [
        r#"{"function_call":{"name":"f","arguments":""}}"#,
        r#"{"function_call":{"arguments":"{}"}}"#,
        r#""finish_reason":"function_call""#,
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("tool_calls"), "{told}");
}

#[test]
fn a_picture_that_a_tool_gave_does_not_end_a_conversation_with_a_model_that_reads_text() {
    let chat = r#"{"model":"m","messages":[{"role":"user","content":"look"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#;
    let messages = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"look"},{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}]}"#;
    let responses = r#"{"model":"m","input":[{"role":"user","content":"look"},{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}"#;
    for (client, body) in
        [(Dialect::Chat, chat), (Dialect::Messages, messages), (Dialect::Responses, responses)]
    {
        let peek = Peek::read(client, body.as_bytes()).expect("a good body");
        assert!(peek.has_result_images && !peek.has_images, "{client}");
        for dialect in [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
            let quirks = Quirks { images: Some(Images::None), ..Quirks::default() };
            let target = Target { dialect, model: "up", quirks: &quirks, max_output: None };
            let out = request(client, body.as_bytes(), &peek, &target).expect("a request");
            let sent = String::from_utf8(out.body).expect("text");
            assert!(sent.contains("cannot read") && !sent.contains("AAAA"), "{client} to {dialect}: {sent}");
            assert!(out.dropped.contains(&"image".to_owned()), "{client} to {dialect}");
        }
    }
    let asked = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}"#;
    let peek = Peek::read(Dialect::Chat, asked.as_bytes()).expect("a good body");
    assert!(peek.has_images && !peek.has_result_images, "a picture that a person shows has to be seen");
}

#[test]
fn encrypted_reasoning_goes_back_for_clients_that_cannot_carry_it() {
    let whole = br#"{"id":"resp_1","object":"response","status":"completed","model":"up","output":[{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"sealed"},{"id":"fc_1","type":"function_call","call_id":"a","name":"f","arguments":"{}","status":"completed"}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}"#;
    let ctx = ReplyContext {
        upstream: Dialect::Responses,
        hub: true,
        provider: "openai".into(),
        ..context(Quirks::default(), false)
    };
    let events: &[u8] = b"event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"model\":\"up\",\"output\":[]}}\n\n\
        event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"\"}}\n\n\
        event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"sealed\"}}\n\n\
        event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"\"}}\n\n\
        event: response.function_call_arguments.done\ndata: {\"type\":\"response.function_call_arguments.done\",\"output_index\":1,\"arguments\":\"{}\"}\n\n\
        event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":1,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\",\"status\":\"completed\"}}\n\n\
        event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"model\":\"up\",\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1,\"total_tokens\":2}}}\n\n";
    let mut relay = StreamRelay::new(ctx.clone());
    relay.push(&Bytes::from_static(events), &mut Vec::new());
    let streamed = relay.take_thought().expect("a thought");
    let thought = Arc::new(*reply(&ctx, whole).expect("an answer").meter.thought.expect("a thought"));
    assert_eq!(*streamed, *thought);
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"r"}]}"#;
    let peek = Peek::read(Dialect::Chat, body.as_bytes()).expect("a good body");
    let quirks = Quirks::default();
    let target = Target { dialect: Dialect::Responses, model: "up", quirks: &quirks, max_output: None };
    let recall = |id: &str| (id == "a").then(|| Arc::clone(&thought));
    let past = Past { provider: "openai", recall: Some(&recall) };
    let out = request_after(Dialect::Chat, body.as_bytes(), &peek, &target, &past).expect("a request");
    let sent: Value = serde_json::from_slice(&out.body).expect("JSON");
    assert_eq!(sent["input"][1]["encrypted_content"], "sealed", "{sent}");
}

#[test]
fn the_form_is_found_in_the_field_that_says_it() {
    let schema = serde_json::json!({"type": "object", "required": ["a"]});
    let check = |client: Dialect, body: String| {
        let Format::JsonSchema { schema: found, .. } = wanted_format(client, body.as_bytes()) else {
            panic!("no schema in {body}");
        };
        assert_eq!(found["required"], schema["required"], "{client}");
    };
    check(
        Dialect::Chat,
        format!(r#"{{"response_format":{{"type":"json_schema","json_schema":{{"schema":{schema}}}}}}}"#),
    );
    check(
        Dialect::Messages,
        format!(r#"{{"output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}}}"#),
    );
    check(Dialect::Messages, format!(r#"{{"output_format":{{"type":"json_schema","schema":{schema}}}}}"#));
    check(
        Dialect::Responses,
        format!(r#"{{"text":{{"format":{{"type":"json_schema","name":"n","schema":{schema}}}}}}}"#),
    );
    check(
        Dialect::Gemini,
        format!(
            r#"{{"generation_config":{{"responseMimeType":"application/json","responseJsonSchema":{schema}}}}}"#
        ),
    );
    for body in ["{}", "[", r#"{"response_format":7}"#, r#"{"response_format":{"type":"text"}}"#] {
        assert_eq!(wanted_format(Dialect::Chat, body.as_bytes()), Format::Text, "{body}");
    }
}

#[test]
fn the_name_of_a_model_switches_thinking_on_and_off_in_the_upstreams_own_way() {
    let check = |dialect: Dialect, quirks: Quirks, thinking: bool, (body, expected): (&str, &str)| {
        let peek = Peek::read(dialect, body.as_bytes()).unwrap().thinking_as(Some(thinking));
        let target = Target { dialect, model: "up", quirks: &quirks, max_output: Some(9000) };
        let out = request(dialect, body.as_bytes(), &peek, &target).unwrap();
        assert_eq!(String::from_utf8_lossy(&out.body), expected);
        assert!(!out.hub);
    };
    let switch = |switch| Quirks { thinking_switch: Some(switch), ..Quirks::default() };
    let chat = |fields: &str| format!(r#"{{{fields}"model":"up", {MESSAGES},"x":1.0}}"#);
    let plain = format!(r#"{{"model":"m", {MESSAGES},"x":1.0}}"#);
    let cases = [
        (
            ThinkingSwitch::ThinkingType,
            r#""thinking":{"type":"enabled"},"#,
            r#""thinking":{"type":"disabled"},"#,
        ),
        (ThinkingSwitch::EnableThinking, r#""enable_thinking":true,"#, r#""enable_thinking":false,"#),
        (ThinkingSwitch::Reasoning, r#""reasoning":{"enabled":true},"#, r#""reasoning":{"enabled":false},"#),
        (ThinkingSwitch::Effort, r#""reasoning_effort":"medium","#, ""),
    ];
    for (form, on, off) in cases {
        check(Dialect::Chat, switch(form), true, (&plain, &chat(on)));
        check(Dialect::Chat, switch(form), false, (&plain, &chat(off)));
    }
    // What the body says of it gives way, but how much it says stays.
    let said = format!(r#"{{"model":"m","enable_thinking":false,"reasoning_effort":"high",{MESSAGES}}}"#);
    let sent = format!(r#"{{"model":"up","reasoning_effort":"medium",{MESSAGES}}}"#);
    check(Dialect::Chat, switch(ThinkingSwitch::Effort), true, (&said, &sent));
    let high = format!(r#"{{"model":"m","reasoning_effort":"high",{MESSAGES}}}"#);
    check(Dialect::Chat, switch(ThinkingSwitch::Effort), true, (&high, &high.replace("\"m\"", "\"up\"")));
    let body =
        |fields: &str| format!(r#"{{{fields}"model":"m","max_tokens":5000,"temperature":0.5,{MESSAGES}}}"#);
    let on = r#"{"thinking":{"type":"enabled","budget_tokens":4096},"model":"up","max_tokens":5000,"messages":[{"role":"user","content":"hi"}]}"#;
    check(Dialect::Messages, switch(ThinkingSwitch::Budget), true, (&body(""), on));
    let off = body(r#""thinking":{"type":"disabled"},"#).replace("\"m\"", "\"up\"");
    check(Dialect::Messages, switch(ThinkingSwitch::Budget), false, (&body(""), &off));
    let gemini = r#"{"contents":[{"parts":[{"text":"Hi"}]}],"generation_config":{"maxOutputTokens":9}}"#;
    let off = r#"{"generationConfig":{"maxOutputTokens":9,"thinkingConfig":{"thinkingBudget":0}},"contents":[{"parts":[{"text":"Hi"}]}]}"#;
    check(Dialect::Gemini, switch(ThinkingSwitch::Budget), false, (gemini, off));
    let efforts = || Quirks { efforts: Some(vec!["none".into(), "low".into()]), ..Quirks::default() };
    let responses = r#"{"model":"m","input":"Hi","reasoning":{"effort":"low"}}"#;
    let off = r#"{"model":"up","input":"Hi","reasoning":{"effort":"none"}}"#;
    check(Dialect::Responses, efforts(), false, (responses, off));
}

#[test]
fn an_answer_ends_at_a_stop_sequence_that_the_upstream_does_not_take() {
    let quirks = Quirks { max_stop: Some(1), ..Quirks::default() };
    let body = br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stop_sequences":["one","END"]}"#;
    let peek = Peek::read(Dialect::Messages, body).expect("a good body");
    let out = request(Dialect::Messages, body, &peek, &target(&quirks)).expect("can be asked");
    let sent: serde_json::Value = serde_json::from_slice(&out.body).expect("JSON");
    assert_eq!(
        (&sent["stop"], &out.stops, &out.dropped),
        (&serde_json::json!(["one"]), &vec!["END".to_owned()], &vec![])
    );
    let context = || ReplyContext {
        hub: true,
        client: Dialect::Messages,
        stops: out.stops.clone(),
        ..context(quirks.clone(), true)
    };
    let whole = br#"{"id":"c","model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"a END b"},"finish_reason":"length"}],"usage":{"prompt_tokens":5,"completion_tokens":3}}"#;
    let reply = reply(&context(), whole).expect("an answer");
    let shown: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
    assert_eq!(
        (&shown["content"][0]["text"], &shown["stop_reason"], &shown["stop_sequence"]),
        (&"a ".into(), &"stop_sequence".into(), &"END".into())
    );
    assert_eq!(reply.meter.usage.map(|usage| usage.output), Some(3), "what was written is paid for");
    let stream = [
        chunk(r#"{"content":"a E"}"#, "null"),
        chunk(r#"{"content":"ND b"}"#, "null"),
        chunk("{}", "\"length\""),
    ];
    let streamed = relay(context(), &[stream.concat().as_bytes()]);
    assert_eq!(streamed.error, None);
    assert_eq!(streamed.meter.finish, Some(Finish::StopSequence(Some("END".to_owned()))));
    assert!(streamed.text.contains(r#""text":"a ""#) && !streamed.text.contains(" b"), "{}", streamed.text);
    assert!(streamed.text.contains(r#""stop_sequence":"END""#), "{}", streamed.text);
}
