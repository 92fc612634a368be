//! Streams: what is read of any provider, what is written for any client, and what the meter sees.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Observer, Reader};
use crate::error::ErrorView;
use crate::hub::delta::Delta;
use crate::hub::reply::Finish;
use crate::hub::request::Mark;
use crate::quirks::Quirks;
use crate::responses::grammar::assert_responses_grammar;
use crate::responses::stream::Writer;
use crate::responses::support::{context, deltas, framed, written};
use crate::sse::Decoder;
use crate::translate::{Meter, Seen};
use crate::usage::Usage;

fn read(events: &[Value]) -> Vec<Delta> {
    let stream = framed(events);
    let (whole, bad) = deltas(&stream, &[usize::MAX]);
    assert_eq!(bad, 0);
    for sizes in [&[1][..], &[7, 3], &[64]] {
        assert_eq!(deltas(&stream, sizes), (whole.clone(), 0), "in pieces of {sizes:?}");
    }
    whole
}

fn created() -> Value {
    json!({"type": "response.created", "response": {"status": "in_progress", "model": "gpt-5", "output": []}})
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": {"status": "completed", "output": [],
        "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
                  "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 14}}})
}

fn start() -> Delta {
    Delta::Start { model: Some("gpt-5".into()), usage: None }
}

fn ended(finish: Finish) -> [Delta; 3] {
    let usage = Usage { input: 5, cache_read: 4, cache_write: 0, output: 5, reasoning: 2 };
    [Delta::Usage(usage), Delta::Finish(finish), Delta::End]
}

/// What the reader makes of these events between the first and the last.
#[track_caller]
fn check(events: &[Value], finish: Finish, expected: &[Delta]) {
    let mut all = vec![created()];
    all.extend(events.iter().cloned());
    all.push(completed());
    let mut wanted = vec![start()];
    wanted.extend(expected.iter().cloned());
    wanted.extend(ended(finish));
    assert_eq!(read(&all), wanted);
}

fn added(place: u64, item: Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": place, "item": item})
}

fn done(place: u64, item: Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": place, "item": item})
}

fn tool_start(index: u32, id: &str, name: &str, mark: Mark) -> Delta {
    Delta::ToolStart { index, id: id.into(), name: name.into(), mark }
}

fn arguments(index: u32, json: &str) -> Delta {
    Delta::ToolArguments { index, json: json.into() }
}

#[test]
fn items_are_told_apart_by_their_place_whatever_their_ids() {
    let piece = |id: &str, place: u64, text: &str| {
        json!({"type": "response.output_text.delta", "item_id": id, "output_index": place,
               "content_index": 0, "delta": text})
    };
    check(
        &[
            added(0, json!({"type": "reasoning", "id": "1", "summary": []})),
            json!({"type": "response.reasoning_text.delta", "item_id": "2", "output_index": 0, "content_index": 0, "delta": "hm"}),
            // OpenRouter begins the next item before the last one is done.
            added(1, json!({"type": "message", "id": "3", "content": []})),
            piece("4", 1, "Hel"),
            json!({"type": "response.reasoning_text.done", "item_id": "5", "output_index": 0, "content_index": 0, "text": "hm"}),
            done(
                0,
                json!({"type": "reasoning", "id": "6", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}),
            ),
            piece("7", 1, "lo"),
            done(
                1,
                json!({"type": "message", "id": "8", "content": [{"type": "output_text", "text": "Hello"}]}),
            ),
        ],
        Finish::Stop,
        &[Delta::Thinking("hm".into()), Delta::Text("Hel".into()), Delta::Text("lo".into())],
    );
}

#[test]
fn what_is_said_only_at_the_end_is_not_lost() {
    let call =
        json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"});
    let open = json!({"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""});
    let expected =
        [tool_start(0, "c", "f", Mark::default()), arguments(0, "{\"a\":1}"), Delta::ToolEnd { index: 0 }];
    let whole =
        json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"a\":1}"});
    check(&[added(0, open.clone()), whole, done(0, call.clone())], Finish::ToolCalls, &expected);
    check(&[added(0, open.clone()), done(0, call.clone())], Finish::ToolCalls, &expected);
    check(&[done(0, call.clone())], Finish::ToolCalls, &expected);
    // The item may begin with its arguments, and have them in pieces all the same.
    let piece =
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"a\":1}"});
    check(&[added(0, call.clone()), piece, done(0, call.clone())], Finish::ToolCalls, &expected);

    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "Hi"}]});
    check(&[done(0, message.clone())], Finish::Stop, &[Delta::Text("Hi".into())]);
    let text =
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hi"});
    let empty = json!({"type": "message", "content": []});
    check(&[added(0, empty), text, done(0, message.clone())], Finish::Stop, &[Delta::Text("Hi".into())]);

    let mut end = completed();
    end["response"]["output"] = json!([message, call]);
    let deltas = read(&[created(), end]);
    assert_eq!(deltas[1], Delta::Text("Hi".into()));
    assert_eq!(deltas[2..5], expected);
    assert_eq!(deltas[5..], ended(Finish::ToolCalls));
}

#[test]
fn thoughts_come_once_and_with_their_signature() {
    let summary = |kind: &str, index: u64, field: &str, text: &str| {
        json!({"type": format!("response.reasoning_summary_text.{kind}"), "output_index": 0,
               "summary_index": index, field: text})
    };
    let open = json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "half"});
    let item = json!({"type": "reasoning", "id": "rs", "encrypted_content": "enc",
        "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]});
    check(
        &[
            added(0, open.clone()),
            summary("delta", 0, "delta", "a"),
            summary("done", 0, "text", "a"),
            summary("delta", 1, "delta", "b"),
            // The same again, in the other form.
            json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}),
            done(0, item.clone()),
        ],
        Finish::Stop,
        &[Delta::Thinking("a".into()), Delta::Thinking("\n\nb".into()), Delta::Signature("enc".into())],
    );
    check(
        &[added(0, open.clone()), done(0, item)],
        Finish::Stop,
        &[Delta::Thinking("a\n\nb".into()), Delta::Signature("enc".into())],
    );
    let sealed = json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "enc"});
    check(&[added(0, open), done(0, sealed)], Finish::Stop, &[Delta::RedactedThinking("enc".into())]);
}

#[test]
fn free_text_becomes_arguments() {
    let item = |input: &str| json!({"type": "custom_tool_call", "id": "ct", "call_id": "c", "name": "sql", "input": input});
    let piece = |text: &str| json!({"type": "response.custom_tool_call_input.delta", "output_index": 0, "delta": text});
    let mark = Mark { custom: true, ..Mark::default() };
    check(
        &[added(0, item("")), piece("SELECT "), piece("\"a\""), done(0, item("SELECT \"a\""))],
        Finish::ToolCalls,
        &[
            tool_start(0, "c", "sql", mark.clone()),
            arguments(0, "{\"input\":\"SELECT "),
            arguments(0, "\\\"a\\\""),
            arguments(0, "\"}"),
            Delta::ToolEnd { index: 0 },
        ],
    );
    check(
        &[added(0, item("")), done(0, item("x"))],
        Finish::ToolCalls,
        &[tool_start(0, "c", "sql", mark), arguments(0, "{\"input\":\"x\"}"), Delta::ToolEnd { index: 0 }],
    );
}

#[test]
fn a_leaked_wrapper_is_taken_off() {
    let wrapped = "{\"tool_uses\":[{\"recipient_name\":\"functions.a\",\"parameters\":{\"x\":1}},\
                   {\"recipient_name\":\"functions.b\",\"parameters\":{}}]}";
    let item = |name: &str, arguments: &str| json!({"type": "function_call", "call_id": "c", "name": name, "arguments": arguments});
    let events = |name: &str, arguments: &str| {
        let piece =
            json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": arguments});
        [added(0, item(name, "")), piece, done(0, item(name, arguments))]
    };
    let unwrapped = [
        tool_start(0, "c", "a", Mark::default()),
        arguments(0, "{\"x\":1}"),
        Delta::ToolEnd { index: 0 },
        tool_start(1, "c_2", "b", Mark::default()),
        arguments(1, "{}"),
        Delta::ToolEnd { index: 1 },
    ];
    check(&events("multi_tool_use.parallel", wrapped), Finish::ToolCalls, &unwrapped);
    check(&events("parallel", wrapped), Finish::ToolCalls, &unwrapped);
    // A tool of the client's own that has this name.
    let own = "{\"tool_uses\":[1]}";
    let expected =
        [tool_start(0, "c", "parallel", Mark::default()), arguments(0, own), Delta::ToolEnd { index: 0 }];
    check(&events("parallel", own), Finish::ToolCalls, &expected);
    check(
        &events("f", wrapped),
        Finish::ToolCalls,
        &[tool_start(0, "c", "f", Mark::default()), arguments(0, wrapped), Delta::ToolEnd { index: 0 }],
    );
}

#[test]
fn tools_of_the_provider_are_no_calls() {
    check(
        &[
            added(0, json!({"type": "mcp_call", "name": "f", "arguments": ""})),
            json!({"type": "response.mcp_call_arguments.delta", "output_index": 0, "delta": "{}"}),
            done(0, json!({"type": "mcp_call", "name": "f", "arguments": "{}", "output": "x"})),
            json!({"type": "response.web_search_call.searching", "output_index": 1}),
        ],
        Finish::Stop,
        &[],
    );
}

#[test]
fn an_answer_that_was_cut_says_why() {
    let check = |reason: Value, status: Value, finish: Finish| {
        let event = json!({"type": "response.incomplete", "response": {"status": status, "incomplete_details": reason}});
        let deltas = read(&[created(), event]);
        assert_eq!(deltas[1..], [Delta::Finish(finish), Delta::End]);
    };
    check(json!({"reason": "max_output_tokens"}), json!("incomplete"), Finish::Length);
    check(json!({"reason": "content_filter"}), json!("incomplete"), Finish::Filter);
    check(Value::Null, json!("incomplete"), Finish::Length);
    check(Value::Null, Value::Null, Finish::Length);
    let open = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""});
    let piece =
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{\"a\":"});
    let end = json!({"type": "response.incomplete", "response": {"status": "incomplete"}});
    let deltas = read(&[created(), added(0, open), piece, end]);
    let expected = [
        tool_start(0, "c", "f", Mark::default()),
        arguments(0, "{\"a\":"),
        Delta::Finish(Finish::Length),
        Delta::End,
    ];
    assert_eq!(deltas[1..], expected);
}

#[test]
fn failures_inside_the_stream_are_told() {
    let check = |event: Value, class: &str, code: &str| {
        let deltas = read(&[created(), event.clone(), completed()]);
        let Some(Delta::Error(error)) = deltas.last() else { panic!("{event}: {deltas:?}") };
        assert_eq!((error.class.as_str(), error.code.as_deref()), (class, Some(code)), "{event}");
        let (mut observer, mut meter) = (Observer::new(&Quirks::default()), Meter::default());
        let seen = observed(&mut observer, &mut meter, &framed(&[event]));
        assert_eq!(seen[0].error.as_ref(), Some(error), "observed and read");
    };
    let quota = json!({"type": "insufficient_quota", "code": "insufficient_quota", "message": "You exceeded your quota", "param": null});
    check(json!({"type": "error", "sequence_number": 2, "error": quota}), "balance", "insufficient_quota");
    check(
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": null}),
        "rate",
        "rate_limit_exceeded",
    );
    check(
        json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "oops"}}}),
        "server",
        "server_error",
    );
    check(
        json!({"type": "response.failed", "response": {"status": "failed", "error": null}}),
        "server",
        "failed",
    );
}

/// What the observer says of each event that is not blank.
fn observed(observer: &mut Observer, meter: &mut Meter, stream: &[u8]) -> Vec<Seen> {
    let mut decoder = Decoder::new();
    decoder.push(&Bytes::copy_from_slice(stream)).expect("short");
    let mut all = Vec::new();
    while let Some(event) = decoder.next_event() {
        if !event.is_blank() {
            let seen = observer.event(&event, meter);
            meter.content_started |= seen.content;
            all.push(seen);
        }
    }
    all
}

#[test]
fn the_observer_counts_without_reading_what_passes() {
    let mut stream = framed(&[
        created(),
        added(0, json!({"type": "message", "content": []})),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "a\"response\"\n", "logprobs": []}),
    ]);
    stream.extend_from_slice(b"data: {broken\n\n");
    stream.extend(framed(&[
        added(1, json!({"type": "function_call", "name": "f", "arguments": ""})),
        json!({"type": "response.function_call_arguments.delta", "output_index": 1, "delta": "{}"}),
        completed(),
    ]));
    stream.extend_from_slice(b"data: [DONE]\n\n");
    let (mut observer, mut meter) = (Observer::new(&Quirks::default()), Meter::default());
    let seen = observed(&mut observer, &mut meter, &stream);
    let content: Vec<bool> = seen.iter().map(|seen| seen.content).collect();
    assert_eq!(content, [false, false, true, false, true, true, true, false]);
    assert!(seen[3].bad && seen[6].end && !seen[5].end);
    assert_eq!(observer.passed(), 7);
    assert_eq!(meter.output_bytes, 15 + 2, "as they stand in the JSON");
    assert_eq!(meter.bad_events, 1);
    assert_eq!(meter.finish, Some(Finish::ToolCalls), "although the last event names no items");
    assert_eq!(meter.upstream_model.as_deref(), Some("gpt-5"));
    assert_eq!(meter.usage.map(|usage| usage.prompt()), Some(9));
}

#[test]
fn calls_that_arrive_in_turns_leave_one_after_another() {
    let stream = written(
        &context(),
        &[
            start(),
            Delta::Text("Let me ".into()),
            Delta::Text("see.".into()),
            tool_start(0, "a", "f", Mark::default()),
            tool_start(1, "", "g", Mark { namespace: Some("space".into()), ..Mark::default() }),
            arguments(1, "{\"y\""),
            arguments(0, "{\"x\":1}"),
            Delta::Text("Done.".into()),
            arguments(1, ":2}"),
            Delta::ToolEnd { index: 0 },
            Delta::ToolEnd { index: 1 },
            Delta::Finish(Finish::ToolCalls),
            Delta::End,
        ],
    );
    let said = assert_responses_grammar(&stream);
    let expected = [
        json!({"type": "message", "id": "msg_abc_0", "status": "completed", "role": "assistant", "content":
            [{"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}]}),
        json!({"type": "function_call", "id": "fc_abc_1", "status": "completed", "call_id": "a", "name": "f",
               "arguments": "{\"x\":1}"}),
        json!({"type": "function_call", "id": "fc_abc_2", "status": "completed", "call_id": "call_abc_2",
               "name": "g", "namespace": "space", "arguments": "{\"y\":2}"}),
        json!({"type": "message", "id": "msg_abc_3", "status": "completed", "role": "assistant", "content":
            [{"type": "output_text", "text": "Done.", "annotations": [], "logprobs": []}]}),
    ];
    assert_eq!(said.items, expected);
    assert_eq!(said.response["status"], "completed");
}

#[test]
fn half_of_a_call_is_no_whole_call() {
    let cut = |json: &str, ended: bool| {
        let mut deltas = vec![tool_start(0, "a", "f", Mark::default())];
        deltas.extend((!json.is_empty()).then(|| arguments(0, json)));
        deltas.extend(ended.then_some(Delta::ToolEnd { index: 0 }));
        deltas.push(Delta::Finish(Finish::Length));
        let said = assert_responses_grammar(&written(&context(), &deltas));
        assert_eq!(said.response["status"], "incomplete");
        assert_eq!(said.response["incomplete_details"]["reason"], "max_output_tokens");
        (said.items[0]["status"].clone(), said.items[0]["arguments"].clone())
    };
    assert_eq!(cut("{\"a\":", false), (json!("incomplete"), json!("{\"a\":")));
    // Chat's readers say that a call is complete before they say that the answer was cut.
    assert_eq!(cut("{\"a\":", true), (json!("incomplete"), json!("{\"a\":")));
    assert_eq!(cut("", true), (json!("incomplete"), json!("")));
    assert_eq!(cut("{\"a\":1}", true), (json!("completed"), json!("{\"a\":1}")));
    let whole = [tool_start(0, "a", "f", Mark::default()), Delta::ToolEnd { index: 0 }];
    let said = assert_responses_grammar(&written(&context(), &whole));
    assert_eq!(said.items[0]["arguments"], "{}", "a call without arguments has an object");
}

#[test]
fn thoughts_and_their_signatures_are_items() {
    let said = assert_responses_grammar(&written(
        &context(),
        &[
            Delta::Thinking("I ".into()),
            Delta::Thinking("think".into()),
            Delta::Signature("sig".into()),
            Delta::Thinking("again".into()),
            Delta::RedactedThinking("sealed".into()),
            Delta::Signature("bare".into()),
            tool_start(0, "a", "f", Mark { signature: Some("call".into()), ..Mark::default() }),
            Delta::Refusal("No.".into()),
            Delta::Text("Sorry.".into()),
            Delta::ToolEnd { index: 0 },
        ],
    ));
    let thought = |at: usize, text: &str| json!({"type": "reasoning", "id": format!("rs_abc_{at}"), "summary": [{"type": "summary_text", "text": text}]});
    let signed = |mut item: Value, signature: &str| {
        item["encrypted_content"] = signature.into();
        item
    };
    assert_eq!(said.items[0], signed(thought(0, "I think"), "sig"));
    assert_eq!(said.items[1], thought(1, "again"));
    assert_eq!(
        said.items[2],
        json!({"type": "reasoning", "id": "rs_abc_2", "summary": [], "encrypted_content": "sealed"})
    );
    assert_eq!(
        said.items[3],
        signed(thought(3, ""), "bare"),
        "a signature alone is told from a sealed thought"
    );
    assert_eq!(said.items[4]["encrypted_content"], "ns1..call");
    assert_eq!(said.items[5]["type"], "function_call");
    assert_eq!(said.items[6]["content"][0], json!({"type": "refusal", "refusal": "No."}));
    assert_eq!(said.items[6]["content"][1]["text"], "Sorry.");
}

#[test]
fn tools_without_json_get_their_own_items() {
    let mut ctx = context();
    ctx.echo.insert(
        "tools".into(),
        json!([{"type": "local_shell"}, {"type": "tool_search", "execution": "client"}, {"type": "apply_patch"}]),
    );
    let custom = Mark { custom: true, ..Mark::default() };
    let said = assert_responses_grammar(&written(
        &ctx,
        &[
            tool_start(0, "p", "apply_patch", custom),
            arguments(0, "{\"input\":\"*** Begin"),
            arguments(0, " Patch\\n\"}"),
            Delta::ToolEnd { index: 0 },
            tool_start(1, "l", "local_shell", Mark::default()),
            arguments(1, "{\"command\":[\"ls\"]}"),
            Delta::ToolEnd { index: 1 },
            tool_start(2, "s", "tool_search", Mark::default()),
            arguments(2, "{\"query\":\"mail\"}"),
            Delta::ToolEnd { index: 2 },
            tool_start(3, "x", "apply_patch", Mark::default()),
            arguments(3, "{\"diff\":1}"),
        ],
    ));
    assert_eq!(said.items[0]["type"], "custom_tool_call");
    assert_eq!(said.items[0]["input"], "*** Begin Patch\n");
    assert_eq!(said.pieces[0], 2, "free text streams as it comes");
    let shell = json!({"type": "local_shell_call", "id": "lsh_abc_1", "call_id": "l", "status": "completed",
        "action": {"command": ["ls"], "type": "exec", "env": {}}});
    assert_eq!(said.items[1], shell);
    let search = json!({"type": "tool_search_call", "id": "tsc_abc_2", "call_id": "s", "status": "completed",
        "arguments": {"query": "mail"}, "execution": "client"});
    assert_eq!(said.items[2], search);
    assert_eq!(said.items[3]["type"], "function_call", "what fits no item is shown as it is");
}

#[test]
fn an_answer_says_again_what_the_request_asked() {
    let mut ctx = context();
    ctx.echo.insert("text".into(), json!({"verbosity": "low"}));
    ctx.echo.insert("store".into(), json!(true));
    let said =
        assert_responses_grammar(&written(&ctx, &[Delta::Text("a".into()), Delta::Finish(Finish::Stop)]));
    assert_eq!(said.response["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
    assert_eq!(said.response["store"], true);
    assert_eq!(said.response["model"], "nova");
    assert_eq!(said.response["usage"], Value::Null, "nobody counted");
}

#[test]
fn a_failure_ends_the_stream_in_its_grammar() {
    let view = ErrorView {
        status: 502,
        openai_type: "api_error",
        openai_code: None,
        anthropic_type: "api_error",
        message: "the provider broke off",
        param: None,
        request_id: "req",
    };
    let (mut writer, mut out) = (Writer::new(&context()), Vec::new());
    writer.delta(Delta::Text("a".into()), &mut out);
    writer.fail(&view, &mut out);
    writer.fail(&view, &mut out);
    writer.finish(&mut out);
    let said = assert_responses_grammar(&out);
    assert_eq!(said.response["error"], json!({"code": "api_error", "message": "the provider broke off"}));
    let alone = crate::error::event(crate::Dialect::Responses, &view);
    assert_eq!(assert_responses_grammar(&alone).response["error"]["code"], "api_error");
}

fn any_delta() -> impl Strategy<Value = Delta> {
    prop_oneof![
        "[a-z\"é]{1,3}".prop_map(Delta::Text),
        "[a-z]{1,3}".prop_map(Delta::Refusal),
        "[a-z\n]{1,3}".prop_map(Delta::Thinking),
        "[a-z]{1,3}".prop_map(Delta::Signature),
        "[a-z]{1,3}".prop_map(Delta::RedactedThinking),
        (0u32..3, any::<bool>(), proptest::option::of("[a-z]{2}")).prop_map(|(index, custom, namespace)| {
            tool_start(index, "c", "f", Mark { custom, namespace, signature: None })
        }),
        (0u32..3, "[{}\"a:\\\\]{1,4}").prop_map(|(index, json)| arguments(index, &json)),
        (0u32..3).prop_map(|index| Delta::ToolEnd { index }),
        Just(Delta::Ping),
        Just(Delta::Finish(Finish::Length)),
        Just(Delta::Finish(Finish::ToolCalls)),
    ]
}

/// All text, thinking and refusals of some deltas.
fn spoken(deltas: &[Delta]) -> (String, String, String) {
    let (mut text, mut thinking, mut refusal) = (String::new(), String::new(), String::new());
    for delta in deltas {
        match delta {
            Delta::Text(more) => text.push_str(more),
            Delta::Thinking(more) => thinking.push_str(more),
            Delta::Refusal(more) => refusal.push_str(more),
            _ => {}
        }
    }
    (text, thinking, refusal)
}

proptest! {
    #[test]
    fn whatever_comes_the_grammar_holds_and_nothing_is_lost(
        deltas in proptest::collection::vec(any_delta(), 0..16),
    ) {
        let stream = written(&context(), &deltas);
        assert_responses_grammar(&stream);
        let (again, bad) = super::tests::deltas(&stream, &[usize::MAX]);
        prop_assert_eq!(bad, 0);
        prop_assert_eq!(spoken(&again), spoken(&deltas));
        let calls = |all: &[Delta]| all.iter().filter(|delta| matches!(delta, Delta::ToolStart { .. })).count();
        prop_assert_eq!(calls(&again), calls(&deltas));
    }

    #[test]
    fn any_events_are_survived(
        text in "(data: |event: error|\n|\\{|\\}|\"type\":\"response.output_item.(added|done)\"|\"item\":|\"output_index\":|\"type\":\"function_call\"|\"delta\":|,|null|1|\"a\"){0,40}",
    ) {
        let mut decoder = Decoder::new();
        decoder.push(&Bytes::from(text)).expect("short");
        let (mut reader, mut observer) = (Reader::new(&Quirks::default()), Observer::new(&Quirks::default()));
        let (mut out, mut meter) = (Vec::new(), Meter::default());
        while let Some(event) = decoder.next_event() {
            let unread = reader.event(&event, &mut out).is_err();
            let seen = observer.event(&event, &mut meter);
            prop_assert!(!seen.bad || unread || !out.is_empty());
        }
    }
}
