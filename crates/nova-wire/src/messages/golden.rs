//! Golden cases: `fixtures/messages/<case>/`.
//!
//! A case holds any of `request.json`, `reply.json` and `stream.sse`, as a client or a provider sends
//! them. Beside each stands what it is in the hub (`*.hub.txt`) and what the hub is when it is written
//! again (`*.out.json`, `*.out.sse`), to the target in `target.json` if there is one.
//! `UPDATE_EXPECT=1` writes them anew.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::grammar::assert_messages_grammar;
use super::support::{context, deltas, target, written};
use super::{reply, request};
use crate::hub::delta::Delta;
use crate::quirks::Quirks;
use crate::support::repository;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Aim {
    quirks: Quirks,
    max_output: Option<u64>,
}

#[track_caller]
fn check(case: &str) {
    let folder = repository().join("fixtures/messages").join(case);
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let mut any = false;
    if let Some(body) = read("request.json") {
        any = true;
        let aim: Aim = read("target.json")
            .map_or_else(Aim::default, |text| serde_json::from_slice(&text).expect("a target"));
        let hub = request::read(&body);
        compare(&folder, "request.hub.txt", &format!("{hub:#?}\n"));
        if let Ok(hub) = hub {
            let mut target = target(&aim.quirks);
            target.max_output = aim.max_output;
            let mut dropped = Vec::new();
            let out = match request::write(&hub, &target, &mut dropped) {
                Ok(body) => json!({ "body": json_of(&body), "dropped": dropped }),
                Err(error) => json!({ "error": { "path": error.path, "message": error.message } }),
            };
            compare(&folder, "request.out.json", &pretty(&out));
        }
    }
    if let Some(body) = read("reply.json") {
        any = true;
        let hub = reply::read(&body, &Quirks::default());
        compare(&folder, "reply.hub.txt", &format!("{hub:#?}\n"));
        if let Ok(hub) = hub {
            compare(&folder, "reply.out.json", &pretty(&json_of(&reply::write(&hub, &context()))));
        }
    }
    if let Some(stream) = read("stream.sse") {
        any = true;
        let (hub, bad) = deltas(&stream, &[usize::MAX]);
        for sizes in [&[1][..], &[7, 3], &[64]] {
            assert_eq!(deltas(&stream, sizes), (hub.clone(), bad), "{case} in pieces of {sizes:?}");
        }
        let lines: String = hub.iter().map(|delta| format!("{delta:?}\n")).collect();
        compare(&folder, "stream.hub.txt", &format!("{lines}bad events: {bad}\n"));
        if !hub.iter().any(|delta| matches!(delta, Delta::Error(_))) {
            let out = written(&hub);
            assert_messages_grammar(&out);
            compare(&folder, "stream.out.sse", &String::from_utf8(out).expect("text"));
        }
    }
    assert!(any, "{case} holds no input");
}

#[track_caller]
fn compare(folder: &Path, name: &str, actual: &str) {
    let path = folder.join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, actual).expect("the fixture can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let equal = match (name.ends_with(".json"), serde_json::from_str::<Value>(&expected)) {
        // The order of keys means nothing.
        (true, Ok(expected)) => expected == json_of(actual.as_bytes()),
        _ => expected == actual,
    };
    assert!(equal, "{} is not\n{actual}\nUPDATE_EXPECT=1 writes it anew", path.display());
}

fn json_of(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

const CASES: &[&str] = &[
    "cache-marks",
    "claude-code-turn",
    "compaction-stream",
    "documents",
    "done-mark-stream",
    "duplicate-start-stream",
    "empty-answer",
    "error-stream",
    "kimi-usage-stream",
    "no-documents",
    "parallel-tools-stream",
    "refusal",
    "server-tools",
    "spliced-start-stream",
    "thinking-and-tools",
    "tool-results",
    "wrong-type",
];

#[test]
fn messages_are_read_and_written_as_the_cases_say() {
    for case in CASES {
        check(case);
    }
}

#[test]
fn every_case_is_checked() {
    let folder = repository().join("fixtures/messages");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .expect("the fixtures are there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, CASES);
}
