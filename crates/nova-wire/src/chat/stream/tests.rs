use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::hub::reply::Finish;
use crate::hub::request::Mark;
use crate::quirks::Quirks;
use crate::sse::Decoder;
use crate::translate::{Meter, ReplyContext};
use crate::usage::Usage;

/// A delta in a few letters.
fn short(delta: &Delta) -> String {
    match delta {
        Delta::Start { model, .. } => format!("start {}", model.as_deref().unwrap_or("-")),
        Delta::Thinking(text) => format!("think {text}"),
        Delta::Signature(text) => format!("sign {text}"),
        Delta::RedactedThinking(text) => format!("redacted {text}"),
        Delta::Text(text) => format!("text {text}"),
        Delta::Citation(citation) => format!("cite {} {:?}", citation.url, citation.span),
        Delta::Image(image) => format!("image {}", image.media_type),
        Delta::Refusal(text) => format!("refuse {text}"),
        Delta::ToolStart { index, id, name, .. } => format!("call{index} {id} {name}"),
        Delta::ToolArguments { index, json } => format!("args{index} {json}"),
        Delta::ToolEnd { index } => format!("end{index}"),
        Delta::Usage(usage) => format!("usage {}+{}", usage.prompt(), usage.output),
        Delta::Finish(finish) => format!("finish {}", finish.as_str()),
        Delta::Error(error) => format!("error {}", error.message),
        Delta::Ping => "ping".to_owned(),
        Delta::End => "done".to_owned(),
    }
}

fn deltas(quirks: &Quirks, stream: &str) -> (Vec<Delta>, u64) {
    let (mut decoder, mut reader, mut out, mut bad) = (Decoder::new(), Reader::new(quirks), Vec::new(), 0);
    decoder.push(&Bytes::copy_from_slice(stream.as_bytes())).expect("short");
    while let Some(event) = decoder.next_event() {
        bad += u64::from(reader.event(&event, &mut out).is_err());
    }
    reader.end(&mut out);
    (out, bad)
}

/// The deltas of a stream whose chunks are given as their first choice, or whole where they say so.
fn check(quirks: &Quirks, chunks: &[&str], expected: &[&str]) {
    let stream: String = chunks
        .iter()
        .map(|chunk| match chunk.strip_prefix("whole ") {
            Some(whole) => format!("{whole}\n\n"),
            None => format!("data: {{\"choices\":[{chunk}]}}\n\n"),
        })
        .collect();
    let (deltas, bad) = deltas(quirks, &stream);
    let got: Vec<String> =
        deltas.iter().filter(|delta| !matches!(delta, Delta::Start { .. })).map(short).collect();
    assert_eq!(got, expected, "{chunks:#?}");
    assert_eq!(bad, 0, "{chunks:#?}");
}

fn plain(chunks: &[&str], expected: &[&str]) {
    check(&Quirks::default(), chunks, expected);
}

const STOP: &str = r#"{"delta":{},"finish_reason":"stop"}"#;
const DONE: &str = "whole data: [DONE]";

#[test]
fn text_and_the_end_are_read() {
    plain(
        &[r#"{"delta":{"role":"assistant","content":""}}"#, r#"{"delta":{"content":"a"}}"#, STOP, DONE],
        &["text a", "finish stop", "done"],
    );
    let (all, _) =
        deltas(&Quirks::default(), "data: {\"model\":\"m\",\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n");
    assert_eq!(all.iter().map(short).collect::<Vec<_>>(), ["start m"]);
    plain(&[r#"{"delta":{"content":"a"},"finish_reason":""}"#, DONE], &["text a", "finish stop", "done"]);
    plain(&[r#"{"delta":{"content":"a"}}"#], &["text a"]);
    plain(&["whole : OPENROUTER PROCESSING", STOP], &["ping", "finish stop"]);
}

#[test]
fn finish_reasons_are_understood_and_said_once() {
    let finish = |word: &str, expected: &str| {
        plain(&[&format!(r#"{{"delta":{{}},"finish_reason":"{word}"}}"#)], &[&format!("finish {expected}")]);
    };
    finish("stop", "stop");
    finish("eos", "stop");
    finish("length", "length");
    finish("function_call", "tool_calls");
    finish("content_filter", "filter");
    finish("sensitive", "filter");
    finish("something_new", "stop");
    plain(&[STOP, STOP, r#"{"delta":{},"finish_reason":"length"}"#], &["finish stop"]);
    plain(&[r#"{"delta":{},"finish_reason":"stop","stop_reason":"END"}"#], &["finish stop_sequence"]);
    plain(
        &[r#"{"delta":{},"finish_reason":"tool_calls","native_finish_reason":"max_output_tokens"}"#],
        &["finish length"],
    );
    plain(
        &[r#"{"delta":{},"finish_reason":"network_error"}"#, STOP],
        &["error the provider ended the answer with `network_error`"],
    );
}

#[test]
fn thinking_is_read_once_from_whichever_field_it_is_in() {
    plain(
        &[
            r#"{"delta":{"content":null,"reasoning_content":"a"}}"#,
            r#"{"delta":{"content":"","reasoning":"b"}}"#,
            r#"{"delta":{"reasoning_content":"c","reasoning_details":[{"type":"reasoning.text","text":"c"}]}}"#,
            r#"{"delta":{"reasoning_details":[{"type":"reasoning.summary","summary":"d"},{"signature":"s"}]}}"#,
            r#"{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"e"}]}],"p":"abc"}}"#,
            r#"{"delta":{"content":[{"type":"text","text":"f"}]}}"#,
        ],
        &["think a", "think b", "think c", "think d", "sign s", "think e", "text f"],
    );
}

#[test]
fn think_tags_are_split_off_where_the_provider_writes_them() {
    let quirks = Quirks { think_tags: Some(true), ..Quirks::default() };
    let chunks = [
        r#"{"delta":{"content":"<thi"}}"#,
        r#"{"delta":{"content":"nk>a</th"}}"#,
        r#"{"delta":{"content":"ink>b"}}"#,
    ];
    check(&quirks, &chunks, &["think a", "text b"]);
    plain(&chunks[..1], &["text <thi"]);
    let cut = [r#"{"delta":{"content":"<think>a</th"}}"#, r#"{"delta":{},"finish_reason":"length"}"#, DONE];
    check(&quirks, &cut, &["think a", "finish length", "think </th", "done"]);
}

#[test]
fn tool_calls_are_put_together_however_they_are_cut() {
    let call = |json: &str| format!(r#"{{"delta":{{"tool_calls":[{json}]}}}}"#);
    let begin = call(r#"{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":""}}"#);
    // OpenAI; then vLLM and DashScope, which repeat empty ids and names.
    for rest in [
        r#"{"index":0,"function":{"arguments":"{}"}}"#,
        r#"{"index":0,"id":"","function":{"name":"","arguments":"{}"}}"#,
    ] {
        plain(
            &[&begin, &call(rest), r#"{"delta":{},"finish_reason":"tool_calls"}"#],
            &["call0 x f", "args0 {}", "end0", "finish tool_calls"],
        );
    }
    // Groq, xAI, Mistral and Ollama: all at once, two in one chunk, and "stop" at the end.
    let whole = r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"y","function":{"name":"g","arguments":"{\"a\":1}"}}"#;
    plain(
        &[&call(whole), STOP],
        &["call0 x f", "args0 {}", "end0", "call1 y g", r#"args1 {"a":1}"#, "end1", "finish tool_calls"],
    );
    // No index: a new id is a new call, and so is a new name behind a complete call.
    let bare = r#"{"id":"x","function":{"name":"f","arguments":"{}"}},{"id":"y","function":{"name":"g","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}"#;
    plain(
        &[&call(bare)],
        &["call0 x f", "args0 {}", "end0", "call1 y g", "args1 {}", "end1", "call2  g", "args2 {}", "end2"],
    );
    // The same index for two calls.
    let same = r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"y","function":{"name":"f","arguments":"{}"}}"#;
    plain(&[&call(same)], &["call0 x f", "args0 {}", "end0", "call1 y f", "args1 {}", "end1"]);
    // Interleaved.
    let (a, b) = (
        r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}"#,
        r#"{"index":1,"id":"y","function":{"name":"g","arguments":"{"}}"#,
    );
    let (c, d) =
        (r#"{"index":0,"function":{"arguments":"}"}}"#, r#"{"index":1,"function":{"arguments":"}"}}"#);
    plain(
        &[&call(a), &call(b), &call(c), &call(d)],
        &["call0 x f", "args0 {", "call1 y g", "args1 {", "args0 }", "args1 }", "end0", "end1"],
    );
    // The name comes late; the arguments are an object; the arguments are all said again.
    plain(
        &[
            &call(r#"{"index":0,"id":"x","function":{"arguments":"{"}}"#),
            &call(r#"{"index":0,"function":{"name":"f","arguments":"}"}}"#),
        ],
        &["call0 x f", "args0 {}", "end0"],
    );
    plain(
        &[&call(r#"{"index":0,"id":"x","function":{"name":"f","arguments":{"a":1}}}"#)],
        &["call0 x f", r#"args0 {"a":1}"#, "end0"],
    );
    let repeats = [
        r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\""}}"#,
        r#"{"index":0,"function":{"arguments":"{\"a\":1"}}"#,
        r#"{"index":0,"function":{"arguments":"{\"a\":1}"}}"#,
    ]
    .map(call);
    plain(
        &[&repeats[0], &repeats[1], &repeats[2]],
        &["call0 x f", r#"args0 {"a""#, "args0 :1", "args0 }", "end0"],
    );
    let nested = [
        r#"{"index":0,"id":"x","function":{"name":"f","arguments":"{\"a\":"}}"#,
        r#"{"index":0,"function":{"arguments":"{\"a\":1}}"}}"#,
    ]
    .map(call);
    plain(&[&nested[0], &nested[1]], &["call0 x f", r#"args0 {"a":"#, r#"args0 {"a":1}}"#, "end0"]);
    // The legacy form.
    plain(
        &[
            r#"{"delta":{"function_call":{"name":"f","arguments":""}}}"#,
            r#"{"delta":{"function_call":{"arguments":"{}"}},"finish_reason":"function_call"}"#,
        ],
        &["call0  f", "args0 {}", "end0", "finish tool_calls"],
    );
}

#[test]
fn usage_is_read_wherever_it_stands() {
    let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":4}"#;
    plain(&[&format!("whole data: {{\"choices\":[],{usage}}}")], &["usage 3+4"]);
    plain(&[&format!(r#"{{"delta":{{}},"finish_reason":"stop",{usage}}}"#)], &["usage 3+4", "finish stop"]);
    plain(&["whole data: {\"choices\":[],\"usage\":null}"], &[]);
}

#[test]
fn failures_inside_a_stream_end_it() {
    for failure in [
        r#"whole data: {"error":{"message":"m"}}"#,
        "whole event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"code\":\"tool_use_failed\"}}",
        r#"whole data: {"base_resp":{"status_code":1002,"status_msg":"m"},"choices":null}"#,
    ] {
        let (out, _) =
            deltas(&Quirks::default(), &format!("{}\n\ndata: {{\"choices\":[{STOP}]}}\n\n", &failure[6..]));
        assert!(matches!(out[..], [Delta::Error(_)]), "{failure}: {out:?}");
    }
    plain(&[r#"whole data: {"error":null,"base_resp":{"status_code":0},"choices":[]}"#], &[]);
}

#[test]
fn an_answer_with_endless_calls_is_no_answer() {
    let call = r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#;
    let (out, _) = deltas(&Quirks::default(), &format!("{call}\n\n").repeat(2000));
    assert!(matches!(out.last(), Some(Delta::Error(_))));
    assert_eq!(out.iter().filter(|delta| matches!(delta, Delta::ToolStart { .. })).count(), 1024);
}

#[test]
fn a_last_chunk_with_the_whole_message_is_not_said_twice() {
    let last = r#"{"message":{"content":"abc","reasoning_content":"t"},"finish_reason":"stop"}"#;
    plain(
        &[r#"{"delta":{"reasoning_content":"t"}}"#, r#"{"delta":{"content":"ab"}}"#, last],
        &["think t", "text ab", "text c", "finish stop"],
    );
    plain(&[last], &["think t", "text abc", "finish stop"]);
    plain(&[r#"{"delta":{"content":"ab"},"message":{"content":"ab"}}"#], &["text ab"]);
}

#[test]
fn what_is_no_chunk_is_a_bad_event() {
    for event in ["data: {\"choices\":[\n\n", "data: 7\n\n", "data: hello\n\n"] {
        assert_eq!(deltas(&Quirks::default(), event), (Vec::new(), 1), "{event}");
    }
}

pub(crate) fn context(include_usage: bool, want_thinking: bool) -> ReplyContext {
    ReplyContext {
        upstream: Dialect::Messages,
        model: "asked".into(),
        id: "0a".into(),
        created: 7,
        include_usage,
        want_thinking,
        prompt_estimate: 0,
        ..crate::support::context(Dialect::Chat)
    }
}

fn written(ctx: &ReplyContext, deltas: Vec<Delta>) -> String {
    let (mut writer, mut out) = (Writer::new(ctx), Vec::new());
    for delta in deltas {
        writer.delta(delta, &mut out);
    }
    writer.finish(&mut out);
    writer.finish(&mut out);
    String::from_utf8(out).expect("text")
}

/// The chunks of a stream; checks what every one of them must have.
fn chunks(stream: &str) -> Vec<Value> {
    let mut events: Vec<&str> =
        stream.split_terminator("\n\n").filter(|event| !event.starts_with(':')).collect();
    assert_eq!(events.pop(), Some("data: [DONE]"), "{stream}");
    let chunks: Vec<Value> = events
        .iter()
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON"))
        .collect();
    for chunk in &chunks {
        assert_eq!(chunk["id"], "chatcmpl-0a");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(chunk["created"], 7);
        assert_eq!(chunk["model"], "asked");
        assert!(chunk["system_fingerprint"].is_string());
    }
    chunks
}

/// What OpenAI's clients rely on.
fn check_grammar(stream: &str, include_usage: bool) {
    let mut chunks = chunks(stream);
    if include_usage {
        let last = chunks.pop().expect("usage");
        assert_eq!(last["choices"], Value::Array(Vec::new()));
        assert!(last["usage"]["total_tokens"].is_u64());
    }
    let finishes = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).count();
    assert_eq!(finishes, 1, "{stream}");
    assert!(chunks.last().expect("an end")["choices"][0]["finish_reason"].is_string());
    let mut known = 0;
    for (at, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk["usage"], Value::Null);
        let delta = &chunk["choices"][0]["delta"];
        assert_eq!(delta.get("role").is_some(), at == 0, "{stream}");
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().expect("an index");
            if call.get("id").is_some() {
                assert_eq!(index, known, "calls are numbered in order");
                known += 1;
                assert!(!call["id"].as_str().expect("an id").is_empty());
                assert_eq!(call["type"], "function");
            } else {
                assert!(index < known, "arguments follow their call");
            }
        }
    }
}

#[test]
fn chunks_are_written_as_openai_writes_them() {
    let deltas = vec![
        Delta::Start { model: Some("real".into()), usage: None },
        Delta::Thinking("t".into()),
        Delta::Text("a\"b".into()),
        Delta::ToolStart { index: 4, id: "x".into(), name: "f".into(), mark: Mark::default() },
        Delta::ToolEnd { index: 4 },
        Delta::Usage(Usage { input: 1, cache_read: 2, output: 3, ..Usage::default() }),
        Delta::Finish(Finish::ToolCalls),
        Delta::End,
    ];
    let stream = written(&context(true, true), deltas.clone());
    let bodies: Vec<Value> = chunks(&stream).iter().map(|chunk| chunk["choices"].clone()).collect();
    let body = |delta: Value| json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]);
    let call = json!({"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": ""}});
    assert_eq!(
        bodies,
        [
            body(json!({"role": "assistant", "content": ""})),
            body(json!({"reasoning_content": "t"})),
            body(json!({"content": "a\"b"})),
            body(json!({"tool_calls": [call]})),
            body(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})),
            json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "tool_calls"}]),
            json!([]),
        ]
    );
    assert_eq!(chunks(&stream)[6]["usage"]["prompt_tokens"], 3);
    check_grammar(&stream, true);
    let hidden = written(&context(false, false), deltas);
    check_grammar(&hidden, false);
    assert!(!hidden.contains("reasoning"), "{hidden}");
    check_grammar(&written(&context(false, false), Vec::new()), false);
}

#[test]
fn the_writer_is_read_back_by_reader_and_observer() {
    let deltas_in = vec![
        Delta::Thinking("t".into()),
        Delta::Signature("s".into()),
        Delta::Text("a".into()),
        Delta::Refusal("no".into()),
        Delta::ToolStart { index: 0, id: "x".into(), name: "f".into(), mark: Mark::default() },
        Delta::ToolArguments { index: 0, json: "{\"a\":".into() },
        Delta::ToolArguments { index: 0, json: "1}".into() },
        Delta::ToolEnd { index: 0 },
        Delta::Finish(Finish::ToolCalls),
        Delta::Usage(Usage { input: 1, cache_write: 2, output: 3, reasoning: 1, cache_read: 9 }),
        Delta::End,
    ];
    let stream = written(&context(true, true), deltas_in.clone());
    let (out, bad) = deltas(&Quirks::default(), &stream);
    let start = Delta::Start { model: Some("asked".into()), usage: None };
    let expected: Vec<Delta> = std::iter::once(start).chain(deltas_in).collect();
    assert_eq!((out, bad), (expected, 0));
    let (mut decoder, mut observer, mut meter) =
        (Decoder::new(), Observer::new(&Quirks::default()), Meter::default());
    decoder.push(&Bytes::from(stream.into_bytes())).expect("short");
    while let Some(event) = decoder.next_event() {
        meter.content_started |= observer.event(&event, &mut meter).content;
    }
    assert_eq!(meter.finish, Some(Finish::ToolCalls));
    assert_eq!(meter.usage.map(|usage| usage.total()), Some(15));
    assert!(meter.content_started && meter.bad_events == 0);
}

/// Any delta, in no sensible order.
pub(crate) fn any_delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        Just(Delta::Start { model: None, usage: None }),
        "[a-z]{1,3}".prop_map(Delta::Thinking),
        "[a-z]{1,3}".prop_map(Delta::Signature),
        "[a-z]{1,3}".prop_map(Delta::RedactedThinking),
        "[a-z]{1,3}".prop_map(Delta::Text),
        "[a-z]{1,3}".prop_map(Delta::Refusal),
        (0u32..3, "[a-z]{0,2}").prop_map(|(index, id)| Delta::ToolStart {
            index,
            id,
            name: "f".into(),
            mark: Mark::default()
        }),
        (0u32..3, "[a-z0-9{}\"]{1,3}").prop_map(|(index, json)| Delta::ToolArguments { index, json }),
        (0u32..3).prop_map(|index| Delta::ToolEnd { index }),
        (0u64..9).prop_map(|output| Delta::Usage(Usage { output, ..Usage::default() })),
        Just(Delta::Finish(Finish::Stop)),
        Just(Delta::Ping),
    ]
}

proptest! {
    #[test]
    fn any_order_of_deltas_keeps_the_grammar(
        deltas in proptest::collection::vec(any_delta(), 0..24),
        include_usage in any::<bool>(),
        want_thinking in any::<bool>(),
    ) {
        check_grammar(&written(&context(include_usage, want_thinking), deltas), include_usage);
    }
}
