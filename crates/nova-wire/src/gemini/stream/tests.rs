use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Writer;
use crate::dialect::Dialect;
use crate::error::ErrorClass;
use crate::gemini::reply;
use crate::gemini::reply::tests::any_reply;
use crate::gemini::support::{chunks, context, deltas, framed, written};
use crate::hub::delta::Delta;
use crate::hub::reply::{Finish, Reply, ReplyPart};
use crate::hub::request::Mark;
use crate::quirks::Quirks;
use crate::translate::{Meter, ReplyContext, StreamRelay, keep_alive};
use crate::usage::Usage;

fn start(index: u32, id: &str) -> Delta {
    Delta::ToolStart { index, id: id.to_owned(), name: "f".to_owned(), mark: Mark::default() }
}

fn arguments(index: u32, json: &str) -> Delta {
    Delta::ToolArguments { index, json: json.to_owned() }
}

/// The parts of all chunks, in order.
fn parts(stream: &[u8]) -> Vec<Value> {
    let parts = |chunk: &Value| chunk["candidates"][0]["content"]["parts"].as_array().cloned();
    chunks(stream).iter().filter_map(parts).flatten().collect()
}

#[test]
fn interleaved_calls_come_out_whole_and_in_order() {
    let out = written(&[
        start(0, "a"),
        start(1, ""),
        arguments(1, "{\"n\":"),
        arguments(0, "{\"n\":"),
        Delta::Text("aside".to_owned()),
        arguments(1, "2}"),
        Delta::ToolEnd { index: 1 },
        arguments(0, "1}"),
        Delta::ToolEnd { index: 0 },
        // A number that is used again is another call.
        start(0, "c"),
        Delta::Finish(Finish::ToolCalls),
    ]);
    let call = |id: &str, args: Value| json!({"functionCall": {"id": id, "name": "f", "args": args}});
    assert_eq!(
        parts(&out),
        [
            json!({"text": "aside"}),
            call("a", json!({"n": 1})),
            call("call_abc_1", json!({"n": 2})),
            call("c", json!({})),
            json!({"text": ""}),
        ]
    );
    let all = chunks(&out);
    let ends: Vec<bool> =
        all.iter().map(|chunk| chunk["candidates"][0].get("finishReason").is_some()).collect();
    assert_eq!(ends, [false, false, false, false, true], "one end, the last");
}

#[test]
fn a_call_that_the_limit_cut_is_not_carried_out() {
    for (json, given) in [("{\"n\":1", 0), ("", 0), ("{\"n\":1}", 1)] {
        let mut deltas = vec![start(0, "a")];
        deltas.extend((!json.is_empty()).then(|| arguments(0, json)));
        deltas.push(Delta::Finish(Finish::Length));
        let out = written(&deltas);
        assert_eq!(parts(&out).len(), given + 1, "{json}");
        let last = chunks(&out).pop().expect("an end");
        assert_eq!(last["candidates"][0]["finishReason"], "MAX_TOKENS");
    }
}

#[test]
fn thoughts_are_shown_to_those_who_asked() {
    let deltas = [
        Delta::Thinking("hm".to_owned()),
        Delta::Signature("c2ln".to_owned()),
        Delta::RedactedThinking("secret".to_owned()),
        Delta::Text("a\u{2028}b".to_owned()),
        Delta::Ping,
        Delta::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
        Delta::Finish(Finish::Stop),
    ];
    let shown = written(&deltas);
    assert_eq!(
        parts(&shown),
        [
            json!({"text": "hm", "thought": true}),
            json!({"text": "", "thought": true, "thoughtSignature": "c2ln"}),
            json!({"text": "a\u{2028}b"}),
            json!({"text": ""}),
        ]
    );
    let (mut writer, mut out) =
        (Writer::new(&ReplyContext { want_thinking: false, ..context() }), Vec::new());
    deltas.into_iter().for_each(|delta| writer.delta(delta, &mut out));
    writer.finish(&mut out);
    assert_eq!(parts(&out), [json!({"text": "a\u{2028}b"}), json!({"text": ""})]);
    assert_eq!(chunks(&out)[1]["usageMetadata"]["totalTokenCount"], 7);
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains("a\\u2028b"), "the SDK for JavaScript takes the letter for a line's end");
    assert!(text.contains("\r\n\r\n\r\ndata: "), "a sign of life is a blank line");
    assert_eq!(&keep_alive(Dialect::Gemini)[..], b"\r\n");
}

/// What a client of the same dialect gets, whose bytes are passed on.
fn passed(stream: &[u8], sizes: &[usize]) -> (Vec<u8>, Meter, Option<ErrorClass>) {
    let mut relay = StreamRelay::new(ReplyContext { hub: false, ..context() });
    let (mut out, mut rest) = (Vec::new(), stream);
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        relay.push(&Bytes::copy_from_slice(piece), &mut out);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    relay.finish(&mut out);
    (out.concat(), relay.meter().clone(), relay.error().map(|error| error.class))
}

#[test]
fn a_stream_that_is_passed_on_keeps_its_bytes_and_is_counted() {
    let stream = framed(
        r#"{"candidates":[{"content":{"parts":[{"text":"h\u00e9","thought":true}]}}],"modelVersion":"g","usageMetadata":{"promptTokenCount":9}}
        {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2ln"}]}}]}
        {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":2}}
        {"candidates":[{"content":{"parts":[]}}],"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
    );
    for sizes in [&[usize::MAX][..], &[1], &[7, 3]] {
        let (out, meter, error) = passed(&stream, sizes);
        assert_eq!((&out[..], error), (&stream[..], None), "pieces of {sizes:?}");
        assert_eq!(meter.finish, Some(Finish::ToolCalls));
        assert_eq!(meter.usage, Some(Usage { input: 9, output: 5, reasoning: 2, ..Usage::default() }));
        assert_eq!(meter.upstream_model.as_deref(), Some("g"));
        assert!(meter.content_started && meter.output_bytes == 7 + 22, "{}", meter.output_bytes);
    }
}

#[test]
fn failures_of_a_stream_that_is_passed_on_are_seen() {
    let text = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"#;
    let check = |lines: &str, class: Option<ErrorClass>| {
        assert_eq!(passed(&framed(lines), &[usize::MAX]).2, class, "{lines}");
        let (hub, _) = deltas(&framed(lines), &[usize::MAX]);
        let failed = hub.iter().find_map(|delta| match delta {
            Delta::Error(error) => Some(error.class),
            _ => None,
        });
        let unfinished = !hub.iter().any(|delta| matches!(delta, Delta::Finish(_)));
        assert_eq!(failed.or(unfinished.then_some(ErrorClass::Cut)), class, "{lines}");
    };
    check(text, Some(ErrorClass::Cut));
    check(&format!("{text}\n[DONE]"), Some(ErrorClass::Cut));
    check(
        &format!("{text}\n{}", r#"{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}"#),
        Some(ErrorClass::Overloaded),
    );
    check(r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#, Some(ErrorClass::Server));
    check(r#"{"candidates":[{"index":0,"finishReason":"STOP","content":3}]}"#, None);
    check(r#"{"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"no"}}"#, None);
    check(
        r#"[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"finishReason":"STOP"}]}]"#,
        None,
    );
    check("{broken\n7\n{\"candidates\":[{\"finishReason\":\"STOP\"}]}\n[DONE]", None);
}

#[test]
fn an_answer_cannot_have_calls_without_end() {
    let call = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]}}]}"#;
    let (hub, _) = deltas(&framed(&format!("{call}\n").repeat(1025)), &[usize::MAX]);
    assert_eq!(hub.iter().filter(|delta| matches!(delta, Delta::ToolEnd { .. })).count(), 1024);
    assert!(matches!(hub.last(), Some(Delta::Error(error)) if error.class == ErrorClass::Garbage));
}

/// The deltas of a whole answer, with its texts in two pieces.
fn pieces(reply: &Reply) -> Vec<Delta> {
    let mut out = vec![Delta::Start { model: reply.model.clone(), usage: None }];
    for (index, part) in (0..).zip(&reply.parts) {
        let halves = |text: &str| {
            let (one, two) = text.split_at(text.char_indices().nth(1).map_or(text.len(), |(at, _)| at));
            [one, two].map(str::to_owned).into_iter().filter(|half| !half.is_empty())
        };
        match part {
            ReplyPart::Text(text) => out.extend(halves(text).map(Delta::Text)),
            ReplyPart::Refusal(text) => out.extend(halves(text).map(Delta::Refusal)),
            ReplyPart::Thinking { text, signature } => {
                out.extend(halves(text).map(Delta::Thinking));
                out.extend(signature.clone().map(Delta::Signature));
            }
            ReplyPart::RedactedThinking { data } => out.push(Delta::RedactedThinking(data.clone())),
            ReplyPart::Citation(citation) => out.push(Delta::Citation(Box::new(citation.clone()))),
            ReplyPart::Image(image) => out.push(Delta::Image(image.clone())),
            ReplyPart::ToolCall(call) => {
                let (id, name, mark) = (call.id.clone(), call.name.clone(), call.mark.clone());
                out.push(Delta::ToolStart { index, id, name, mark });
                out.extend(halves(&call.arguments).map(|json| Delta::ToolArguments { index, json }));
                out.push(Delta::ToolEnd { index });
            }
        }
    }
    out.extend(reply.usage.map(Delta::Usage));
    out.push(Delta::Finish(reply.finish.clone()));
    out
}

proptest! {
    #[test]
    fn a_stream_that_is_written_is_read_as_it_was(
        reply in any_reply(),
        sizes in proptest::collection::vec(1usize..60, 1..6),
    ) {
        let stream = written(&pieces(&reply));
        let whole = Value::Array(chunks(&stream)).to_string();
        prop_assert_eq!(reply::read(whole.as_bytes(), &Quirks::default()).expect("an answer"), reply.clone());
        prop_assert_eq!(deltas(&stream, &sizes), deltas(&stream, &[usize::MAX]));
        let (out, meter, error) = passed(&stream, &sizes);
        prop_assert_eq!((out, error), (stream, None));
        prop_assert_eq!(meter.usage, reply.usage);
        prop_assert_eq!(meter.finish, Some(reply.finish));
    }
}
