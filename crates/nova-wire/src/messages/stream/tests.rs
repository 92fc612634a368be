use proptest::prelude::*;

use crate::hub::delta::Delta;
use crate::hub::reply::Finish;
use crate::hub::request::Mark;
use crate::messages::grammar::{Block, Said, assert_messages_grammar};
use crate::messages::stream::{Observer, Writer};
use crate::messages::support::{context, deltas, framed, written};
use crate::quirks::Quirks;
use crate::sse::Decoder;
use crate::support::repository;
use crate::translate::{Meter, ReplyContext};
use crate::usage::Usage;
use crate::{ErrorClass, ErrorView};

fn text(text: &str) -> Delta {
    Delta::Text(text.to_owned())
}

fn thought(text: &str) -> Delta {
    Delta::Thinking(text.to_owned())
}

fn tool(index: u32) -> Delta {
    Delta::ToolStart { index, id: format!("call_{index}"), name: "f".to_owned(), mark: Mark::default() }
}

fn args(index: u32, json: &str) -> Delta {
    Delta::ToolArguments { index, json: json.to_owned() }
}

/// Blocks in short: `T` text, `H` thought with its signature, `R` redacted, `F` call.
fn short(said: &Said) -> String {
    let block = |block: &Block| match block {
        Block::Text(text) => format!("T({text})"),
        Block::Thinking { text, signature } => format!("H({text}|{signature})"),
        Block::Redacted(data) => format!("R({data})"),
        Block::Tool { id, json, .. } => format!("F({id}|{json})"),
    };
    said.blocks.iter().map(block).collect()
}

#[track_caller]
fn check(deltas: &[Delta], blocks: &str, stop: &str) {
    let said = assert_messages_grammar(&written(deltas));
    assert_eq!(short(&said), blocks, "{deltas:?}");
    assert_eq!(said.stop.expect("a clean end").0, stop, "{deltas:?}");
}

#[test]
fn deltas_become_blocks_of_their_kind() {
    let stop = || Delta::Finish(Finish::Stop);
    check(&[], "", "end_turn");
    check(&[text("a"), text("b"), stop()], "T(ab)", "end_turn");
    check(&[thought("h"), text("a"), thought("i"), tool(0), stop()], "H(h|)T(a)H(i|)F(call_0|)", "tool_use");
    check(
        &[thought("h"), Delta::Signature("s".to_owned()), thought("i"), text("a")],
        "H(h|s)H(i|)T(a)",
        "end_turn",
    );
    check(&[Delta::Signature("s".to_owned()), text("a")], "H(|s)T(a)", "end_turn");
    check(&[Delta::RedactedThinking("x".to_owned()), text("a")], "R(x)T(a)", "end_turn");
    check(&[Delta::Refusal("no".to_owned()), stop()], "T(no)", "refusal");
    check(&[text("a"), Delta::Finish(Finish::Length), stop()], "T(a)", "max_tokens");
    check(&[text("a"), stop(), stop()], "T(a)", "end_turn");
}

#[test]
fn interleaved_calls_become_one_block_after_the_other() {
    check(
        &[
            tool(0),
            args(0, "{\"a\""),
            tool(1),
            args(1, "{\"b\""),
            args(0, ":1}"),
            args(1, ":2}"),
            Delta::Finish(Finish::ToolCalls),
        ],
        "F(call_0|{\"a\":1})F(call_1|{\"b\":2})",
        "tool_use",
    );
    // Text that comes while a call is open waits for its end, and is not lost.
    check(
        &[
            tool(7),
            args(7, "{"),
            text("so"),
            text(" on"),
            args(7, "}"),
            Delta::ToolEnd { index: 7 },
            text("!"),
        ],
        "F(call_7|{})T(so on!)",
        "tool_use",
    );
    // A call that waited and is not complete goes on as it comes.
    check(
        &[tool(0), tool(1), args(1, "{"), Delta::ToolEnd { index: 0 }, args(1, "}"), tool(2)],
        "F(call_0|)F(call_1|{})F(call_2|)",
        "tool_use",
    );
    check(&[args(3, "{}"), Delta::ToolEnd { index: 3 }, text("a")], "T(a)", "end_turn");
}

#[test]
fn the_first_and_the_last_event_count() {
    let usage = Usage { input: 5, cache_read: 2, cache_write: 1, output: 9, reasoning: 3 };
    let out = written(&[
        Delta::Start { model: None, usage: None },
        Delta::Start { model: None, usage: None },
        text("a"),
        Delta::Ping,
        Delta::Usage(Usage { output: 1, ..usage }),
        Delta::Usage(usage),
        Delta::Finish(Finish::StopSequence(Some("END".to_owned()))),
    ]);
    let said = assert_messages_grammar(&out);
    assert_eq!(said.stop, Some(("stop_sequence".to_owned(), Some("END".to_owned()))));
    assert_eq!(said.pings, 2, "one of ours, one of the upstream's");
    assert_eq!(
        said.usage,
        serde_json::json!({
            "input_tokens": 5,
            "cache_read_input_tokens": 2,
            "cache_creation_input_tokens": 1,
            "output_tokens": 9,
            "output_tokens_details": {"thinking_tokens": 3},
        })
    );
    let start = String::from_utf8_lossy(&out).lines().nth(1).expect("a line").to_owned();
    assert!(start.contains("\"input_tokens\":42"), "the estimate stands in: {start}");
}

#[test]
fn thinking_is_kept_from_those_who_did_not_ask() {
    let (mut writer, mut out) =
        (Writer::new(&ReplyContext { want_thinking: false, ..context() }), Vec::new());
    for delta in [thought("h"), Delta::Signature("s".to_owned()), text("a")] {
        writer.delta(delta, &mut out);
    }
    writer.finish(&mut out);
    assert_eq!(short(&assert_messages_grammar(&out)), "T(a)");
}

#[test]
fn a_failed_answer_ends_in_an_error_and_nothing_else() {
    let view = ErrorView {
        status: 502,
        openai_type: "api_error",
        openai_code: None,
        anthropic_type: "api_error",
        message: "cut",
        param: None,
        request_id: "req_1",
    };
    let (mut writer, mut out) = (Writer::new(&context()), Vec::new());
    writer.delta(text("a"), &mut out);
    writer.fail(&view, &mut out);
    writer.fail(&view, &mut out);
    writer.delta(text("b"), &mut out);
    writer.finish(&mut out);
    let said = assert_messages_grammar(&out);
    assert_eq!((short(&said).as_str(), said.stop), ("T(a)", None));
}

#[test]
fn odd_events_are_read_or_skipped() {
    let stream = "event: ping\ndata: {\"type\":\"ping\"}\n\n: comment\n\ndata: {oops\n\ndata: 3\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":9,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n\n\
        data: {\"type\":\"novelty\"}\n\n\
        data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{}}\n\n";
    let (read, bad) = deltas(stream.as_bytes(), &[usize::MAX]);
    assert_eq!(read, [Delta::Ping, text("a"), Delta::Finish(Finish::Stop), Delta::End]);
    assert_eq!(bad, 2);
    let (read, _) = deltas(b"event: error\ndata: {\"message\":\"Overloaded\"}\n\n", &[usize::MAX]);
    assert!(matches!(&read[..], [Delta::Error(error)] if error.class == ErrorClass::Overloaded), "{read:?}");
    let whole = br#"{"type":"message","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn"}"#;
    let (read, _) = deltas(whole, &[usize::MAX]);
    assert_eq!(short(&assert_messages_grammar(&written(&read))), "T(a)");
    assert_eq!(read.last(), Some(&Delta::End));
}

/// What the observer makes of a stream.
fn observed(stream: &[u8]) -> (Meter, bool, bool) {
    let (mut decoder, mut observer, mut meter) =
        (Decoder::new(), Observer::new(&Quirks::default()), Meter::default());
    decoder.push(&bytes::Bytes::copy_from_slice(stream)).expect("no event is too long");
    let (mut end, mut failed) = (false, false);
    let mut see = |event: &crate::sse::Event<'_>| {
        let seen = observer.event(event, &mut meter);
        end |= seen.end;
        failed |= seen.error.is_some();
        meter.content_started |= seen.content;
    };
    while let Some(event) = decoder.next_event() {
        see(&event);
    }
    decoder.finish();
    while let Some(event) = decoder.next_event() {
        see(&event);
    }
    (meter, end, failed)
}

#[test]
fn recorded_streams_are_read_written_and_observed_alike() {
    let shared = repository().join("../shared/fixtures/anthropic");
    let Ok(folder) = std::fs::read_dir(shared) else {
        println!("skipped: ../shared/fixtures/anthropic is absent");
        return;
    };
    let mut seen = 0;
    for entry in folder {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let stream = if name.ends_with(".chunks.txt") {
            framed(&std::fs::read_to_string(&path).expect("text"))
        } else if name.ends_with(".sse") {
            std::fs::read(&path).expect("bytes")
        } else {
            continue;
        };
        seen += 1;
        let (hub, bad) = deltas(&stream, &[usize::MAX]);
        assert_eq!(bad, 0, "{name}");
        for sizes in [&[1][..], &[2, 13, 5], &[100]] {
            assert_eq!(deltas(&stream, sizes).0, hub, "{name} in pieces of {sizes:?}");
        }
        let (meter, end, failed) = observed(&stream);
        if name.contains("spliced") {
            assert!(failed && matches!(hub.last(), Some(Delta::Error(_))), "{name}");
            continue;
        }
        assert!(end && !failed, "{name}: {meter:?} {failed}");
        assert_eq!(hub.last(), Some(&Delta::End), "{name}");
        let usage = hub.iter().rev().find_map(|delta| match delta {
            Delta::Usage(usage) => Some(*usage),
            Delta::Start { usage, .. } => *usage,
            _ => None,
        });
        assert_eq!(meter.usage, usage, "{name}");
        let finish = hub.iter().rev().find_map(|delta| match delta {
            Delta::Finish(finish) => Some(finish.clone()),
            _ => None,
        });
        assert!(finish.is_some(), "{name}");
        assert_eq!(meter.finish, finish, "{name}");
        let out = written(&hub);
        let said = assert_messages_grammar(&out);
        // What was written is read as the same answer.
        let again = assert_messages_grammar(&written(&deltas(&out, &[usize::MAX]).0));
        assert_eq!(short(&again), short(&said), "{name}");
        assert_eq!(again.stop, said.stop, "{name}");
    }
    assert!(seen >= 30, "only {seen} streams were found");
}

/// A step of an upstream that keeps no order: which kind of piece, and for which call.
fn steps() -> impl Strategy<Value = Vec<(u8, usize, String)>> {
    proptest::collection::vec((0u8..12, 0usize..4, "[a-z\"\\\\é\n]{1,5}"), 0..40)
}

#[derive(Default)]
struct Expected {
    deltas: Vec<Delta>,
    text: String,
    thoughts: String,
    calls: Vec<(String, bool)>,
}

fn expected(steps: Vec<(u8, usize, String)>) -> Expected {
    let mut all = Expected::default();
    for (kind, at, piece) in steps {
        let open: Vec<usize> = (0..all.calls.len()).filter(|at| !all.calls[*at].1).collect();
        let call = open.get(at % open.len().max(1)).copied();
        let index = |call: usize| u32::try_from(call * 3).expect("few calls");
        match (kind, call) {
            (0..=2, _) => {
                all.text.push_str(&piece);
                all.deltas.push(Delta::Text(piece));
            }
            (3 | 4, _) => {
                all.thoughts.push_str(&piece);
                all.deltas.push(Delta::Thinking(piece));
            }
            (5, _) => all.deltas.push(Delta::Signature(piece)),
            (6, _) => {
                all.deltas.push(tool(index(all.calls.len())));
                all.calls.push((String::new(), false));
            }
            (7..=9, Some(call)) => {
                all.calls[call].0.push_str(&piece);
                all.deltas.push(args(index(call), &piece));
            }
            (10, Some(call)) => {
                all.calls[call].1 = true;
                all.deltas.push(Delta::ToolEnd { index: index(call) });
            }
            _ => all.deltas.push(Delta::Ping),
        }
    }
    all
}

proptest! {
    #[test]
    fn any_order_of_pieces_keeps_the_grammar_and_every_byte(steps in steps()) {
        let expected = expected(steps);
        let said = assert_messages_grammar(&written(&expected.deltas));
        let (mut text, mut thoughts, mut calls) = (String::new(), String::new(), Vec::new());
        for block in said.blocks {
            match block {
                Block::Text(piece) => text.push_str(&piece),
                Block::Thinking { text, .. } => thoughts.push_str(&text),
                Block::Redacted(_) => {}
                Block::Tool { json, .. } => calls.push(json),
            }
        }
        prop_assert_eq!(text, expected.text);
        prop_assert_eq!(thoughts, expected.thoughts);
        let json: Vec<String> = expected.calls.into_iter().map(|(json, _)| json).collect();
        prop_assert_eq!(calls, json);
    }

    #[test]
    fn a_stream_cut_anywhere_never_looks_whole(cut in 0usize..400) {
        let whole = written(&[text("hello"), tool(0), args(0, "{\"a\":1}"), Delta::Finish(Finish::ToolCalls)]);
        let text = String::from_utf8(whole).expect("text");
        let end = text.find("event: message_delta").expect("an end");
        let (read, _) = deltas(&text.as_bytes()[..cut.min(end)], &[usize::MAX]);
        let told = read.iter().any(|delta| matches!(delta, Delta::Finish(_) | Delta::End));
        prop_assert!(!told, "{:?}", read);
    }

    #[test]
    fn no_bytes_make_the_reader_or_the_observer_panic(
        stream in "(data: ?|event: |error|message_|\\{\"type\":\"(message_start|content_block_delta|content_block_start|message)\",|\"index\":[0-9]{1,12}|\"delta\":|\\}|é|\n){0,30}",
    ) {
        let _ = deltas(stream.as_bytes(), &[3]);
        let _ = observed(stream.as_bytes());
    }
}
