//! Whole answers: what is read and written means the same, whole and as a stream.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{cost_usd, meter, read, write};
use crate::hub::delta::Delta;
use crate::hub::reply::{Finish, Reply, ReplyPart};
use crate::hub::request::{Mark, ToolCall};
use crate::quirks::Quirks;
use crate::responses::grammar::assert_responses_grammar;
use crate::responses::support::{context, deltas, framed, written};
use crate::usage::Usage;

fn hub(answer: &Value) -> Reply {
    read(answer.to_string().as_bytes(), &Quirks::default()).expect("an answer")
}

#[test]
fn failures_inside_a_success_are_told() {
    let check = |answer: &str, class: &str| {
        let error = read(answer.as_bytes(), &Quirks::default()).expect_err(answer);
        assert_eq!(error.class.as_str(), class, "{answer}: {error}");
        let passed = meter(answer.as_bytes()).expect_err(answer);
        assert_eq!(passed, error, "passed on and read");
    };
    check("", "garbage");
    check("<html>", "garbage");
    check("[]", "garbage");
    check(r#"{"status":"completed"}"#, "garbage");
    check(r#"{"status":"completed","output":{}}"#, "garbage");
    check(r#"{"code":"invalid-argument","error":"Incorrect API key provided."}"#, "auth");
    check(r#"{"detail":"Could not parse your authentication token."}"#, "server");
    check(
        r#"{"status":"failed","output":[],"error":{"code":"rate_limit_exceeded","message":"slow"}}"#,
        "rate",
    );
    check(r#"{"status":"cancelled","output":[],"error":null}"#, "server");
}

#[test]
fn the_meter_sees_what_a_reader_sees() {
    let usage = json!({"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 12, "cost": 0.5});
    let answer = json!({"model": "gpt", "status": "completed", "error": null, "usage": usage, "output": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "abc"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "de", "annotations": [{"text": "no"}]}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "web_search_call", "action": {}}, 7]});
    let seen = meter(answer.to_string().as_bytes()).expect("an answer");
    let reply = hub(&answer);
    assert_eq!((seen.usage, seen.finish), (reply.usage, Some(Finish::ToolCalls)));
    assert_eq!(reply.finish, Finish::ToolCalls);
    assert_eq!(seen.usage.map(|usage| (usage.prompt(), usage.cache_read, usage.reasoning)), Some((9, 4, 1)));
    assert_eq!((seen.output_bytes, seen.content_started), (7, true));
    assert_eq!(seen.upstream_model.as_deref(), Some("gpt"));
    assert_eq!(seen.upstream_cost_usd, Some(0.5));
    assert_eq!(cost_usd(answer.to_string().as_bytes()), Some(0.5));
    let short =
        json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []});
    assert_eq!(meter(short.to_string().as_bytes()).expect("an answer").finish, Some(Finish::Filter));
}

#[test]
fn ids_of_calls_are_there_and_each_once() {
    let call =
        |id: &str| ReplyPart::ToolCall(ToolCall { id: id.into(), name: "f".into(), ..ToolCall::default() });
    let reply = Reply { parts: vec![call("a"), call("a"), call("")], ..Reply::default() };
    let answer: Value = serde_json::from_slice(&write(&reply, &context())).expect("JSON");
    let ids: Vec<&Value> =
        answer["output"].as_array().expect("items").iter().map(|item| &item["call_id"]).collect();
    assert_eq!(ids, ["a", "a_2", "call_abc_2"]);
    assert_eq!(answer["output"][0]["arguments"], "{}");
}

fn any_part() -> impl Strategy<Value = ReplyPart> {
    let text = || "[a-zé\"\n]{1,6}";
    prop_oneof![
        text().prop_map(ReplyPart::Text),
        text().prop_map(ReplyPart::Refusal),
        ("[a-z]{0,4}", proptest::option::of("[a-z]{1,4}"))
            .prop_filter("a thought says something", |(text, signature)| !text.is_empty()
                || signature.is_some())
            .prop_map(|(text, signature)| ReplyPart::Thinking { text, signature }),
        "[a-z]{1,4}".prop_map(|data| ReplyPart::RedactedThinking { data }),
        (text(), any::<bool>(), proptest::option::of("[a-z]{1,3}")).prop_map(|(input, custom, namespace)| {
            let arguments = json!({ "input": input }).to_string();
            let mark = Mark { custom, namespace, signature: None };
            ReplyPart::ToolCall(ToolCall { id: String::new(), name: "f".into(), arguments, mark })
        }),
    ]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let cut = prop_oneof![Just(Finish::Stop), Just(Finish::Length), Just(Finish::Filter)];
    (proptest::collection::vec(any_part(), 0..6), cut, 0u64..99, 0u64..99).prop_map(
        |(mut parts, finish, input, output)| {
            for (at, part) in parts.iter_mut().enumerate() {
                if let ReplyPart::ToolCall(call) = part {
                    call.id = format!("call_{at}");
                }
            }
            let calls = parts.iter().any(|part| matches!(part, ReplyPart::ToolCall(_)));
            Reply {
                parts,
                finish: if calls && finish == Finish::Stop { Finish::ToolCalls } else { finish },
                usage: Some(Usage { input, output, ..Usage::default() }),
                model: Some("nova".into()),
            }
        },
    )
}

/// The answer as the deltas of a stream.
fn streamed(reply: &Reply) -> Vec<Delta> {
    let mut all = vec![Delta::Start { model: reply.model.clone(), usage: None }];
    for (index, part) in reply.parts.iter().enumerate() {
        let index = u32::try_from(index).expect("few parts");
        match part.clone() {
            ReplyPart::Text(text) => all.push(Delta::Text(text)),
            ReplyPart::Refusal(text) => all.push(Delta::Refusal(text)),
            ReplyPart::Thinking { text, signature } => {
                all.extend((!text.is_empty()).then_some(Delta::Thinking(text)));
                all.extend(signature.map(Delta::Signature));
            }
            ReplyPart::RedactedThinking { data } => all.push(Delta::RedactedThinking(data)),
            ReplyPart::Citation(citation) => all.push(Delta::Citation(Box::new(citation))),
            ReplyPart::Image(image) => all.push(Delta::Image(image)),
            ReplyPart::ToolCall(call) => {
                all.push(Delta::ToolStart { index, id: call.id, name: call.name, mark: call.mark });
                all.push(Delta::ToolArguments { index, json: call.arguments });
                all.push(Delta::ToolEnd { index });
            }
        }
    }
    all.extend(reply.usage.map(Delta::Usage));
    all.extend([Delta::Finish(reply.finish.clone()), Delta::End]);
    all
}

proptest! {
    #[test]
    fn an_answer_that_is_written_and_read_means_the_same(reply in any_reply()) {
        prop_assert_eq!(read(&write(&reply, &context()), &Quirks::default()), Ok(reply));
    }

    #[test]
    fn a_stream_says_what_the_whole_answer_says(reply in any_reply(), sizes in proptest::collection::vec(1usize..60, 1..5)) {
        let stream = written(&context(), &streamed(&reply));
        let said = assert_responses_grammar(&stream);
        let mut again = hub(&said.response);
        // Neighbouring pieces of one kind are one in a stream.
        let joined = |parts: &[ReplyPart]| {
            let mut all: Vec<ReplyPart> = Vec::new();
            for part in parts {
                match (all.last_mut(), part) {
                    (Some(ReplyPart::Text(last)), ReplyPart::Text(more))
                    | (Some(ReplyPart::Refusal(last)), ReplyPart::Refusal(more)) => last.push_str(more),
                    (Some(ReplyPart::Thinking { text, signature: signature @ None }), ReplyPart::Thinking { text: more, signature: own }) => {
                        text.push_str(more);
                        signature.clone_from(own);
                    }
                    (_, part) => all.push(part.clone()),
                }
            }
            all
        };
        again.parts = joined(&again.parts);
        let expected = Reply { parts: joined(&reply.parts), ..reply };
        prop_assert_eq!(again, expected);
        prop_assert_eq!(deltas(&stream, &sizes), deltas(&stream, &[usize::MAX]));
    }

    #[test]
    fn any_answer_is_survived(text in "(\\{|\\}|\\[|\\]|\"output\":|\"type\":|\"reasoning\"|\"function_call\"|\"summary\":|\"content\":|\"text\":|\"usage\":|,|null|7|\"a\"){0,30}") {
        let read = read(text.as_bytes(), &Quirks::default());
        let seen = meter(text.as_bytes());
        prop_assert_eq!(read.is_ok(), seen.is_ok());
        let event = json!({"type": "response.completed", "response": text});
        deltas(&framed(&[event]), &[usize::MAX]);
    }
}
