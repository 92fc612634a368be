//! Golden cases: `fixtures/chat/<case>/`, and the same for `responses`, `gemini` and `converse`.
//!
//! A case holds any of `request.json` (of a client), `reply.json` and `stream.sse` (of a provider), all
//! in the dialect `from` of its `case.json` (that of the folder unless it says otherwise). Beside them
//! stands what they become in every dialect, `to-chat.request.json` and so on. `UPDATE_EXPECT=1` writes
//! them anew.
//!
//! Nobody asks in Converse, so a request there is one of the dialect `from`, and stands in `to-converse.request.json`
//! alone. Its streams are binary: `stream.jsonl` has an event in each line, and `damage` is a byte to spoil.

use std::collections::BTreeSet;
use std::path::Path;

use nova_wire::{Dialect, Peek, Quirks, Target, translate};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::converse::{frame, framed};
use crate::grammar::said;
use crate::support::{DIALECTS, context, relay_any_way, repository};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Case {
    from: Option<Dialect>,
    /// How the upstream deviates.
    quirks: Quirks,
    /// A byte of the stream that is not as it was sent.
    damage: Option<usize>,
}

fn check(dialect: Dialect, name: &str) {
    let folder = repository().join("fixtures").join(dialect.as_str()).join(name);
    let read = |file: &str| std::fs::read(folder.join(file)).ok();
    let case: Case =
        read("case.json").map_or_else(Case::default, |text| serde_json::from_slice(&text).expect("a case"));
    let mut files = BTreeSet::from(["case.json".to_owned()]);
    if let (Dialect::Converse, Some(body)) = (dialect, read("request.json")) {
        let from = case.from.expect("Converse has no clients");
        compare(&folder.join("to-converse.request.json"), &request(from, dialect, &body, &case.quirks));
        files.extend(["request.json", "to-converse.request.json"].map(str::to_owned));
    } else {
        files.extend(check_pairs(&folder, dialect, &case));
    }
    assert!(files.len() > 1, "{name} holds no input");
    for entry in std::fs::read_dir(&folder).expect("the case is there") {
        let file = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(files.contains(&file), "{name}/{file} is read by no test");
    }
}

/// Every translation of a case; the names of its files.
fn check_pairs(folder: &Path, dialect: Dialect, case: &Case) -> BTreeSet<String> {
    let name = &folder.display().to_string();
    let read = |file: &str| std::fs::read(folder.join(file)).ok();
    let from = case.from.unwrap_or(dialect);
    let mut files = BTreeSet::new();
    for to in DIALECTS {
        let quirks = Quirks { normalise: Some(true), ..case.quirks.clone() };
        let mut expect = |input: &str, actual: String| {
            files.insert(input.to_owned());
            let file = format!("to-{to}.{input}");
            compare(&folder.join(&file), &actual);
            files.insert(file);
        };
        if let Some(body) = read("request.json") {
            expect("request.json", request(from, to, &body, &quirks));
        }
        if let Some(body) = read("reply.json") {
            let answer = match translate::reply(&context(to, from, &quirks), &body) {
                Ok(reply) => serde_json::from_slice(&reply.body).expect("JSON"),
                Err(error) => json!({"error": error.to_string()}),
            };
            expect("reply.json", format!("{answer:#}\n"));
        }
        let binary = read("stream.jsonl").map(|lines| frames(&lines, case.damage));
        let source = if binary.is_some() { "stream.jsonl" } else { "stream.sse" };
        if let Some(stream) = binary.or_else(|| read("stream.sse")) {
            files.insert(source.to_owned());
            let relayed = relay_any_way(&context(to, from, &quirks), &stream, name);
            let text = match relayed.error {
                Some(error) => format!("{}: error {error}\n", relayed.text),
                None => {
                    said(to, &relayed.text, name);
                    relayed.text
                }
            };
            let file = format!("to-{to}.stream.sse");
            compare(&folder.join(&file), &text);
            files.insert(file);
        }
    }
    files
}

/// The frames of AWS's event stream that hold these events. `exception:` before a name makes an exception of it.
fn frames(lines: &[u8], damage: Option<usize>) -> Vec<u8> {
    let mut frames = Vec::new();
    for line in std::str::from_utf8(lines).expect("text").lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let (name, payload) = event.as_object().and_then(|event| event.iter().next()).expect("an event");
        match name.strip_prefix("exception:") {
            Some(kind) => {
                let named = [(":exception-type", kind), (":message-type", "exception")];
                frames.extend(framed(named, &payload.to_string()));
            }
            None => frames.extend(frame(name, &payload.to_string())),
        }
    }
    if let Some(at) = damage {
        frames[at] ^= 1;
    }
    frames
}

fn request(from: Dialect, to: Dialect, body: &[u8], quirks: &Quirks) -> String {
    let outcome = Peek::read(from, body).and_then(|peek| {
        let target = Target { dialect: to, model: "upstream-model", quirks, max_output: Some(8192) };
        translate::request(from, body, &peek, &target)
    });
    let json = match outcome {
        Ok(out) => {
            let body: Value = serde_json::from_slice(&out.body).expect("JSON");
            json!({"body": body, "dropped": out.dropped})
        }
        Err(error) => json!({"error": {"path": error.path, "message": error.message, "code": error.code}}),
    };
    format!("{json:#}\n")
}

fn compare(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, actual).expect("the fixture can be written");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let same = parsed(&expected) == parsed(actual);
    assert!(same, "{} is not\n{actual}\nUPDATE_EXPECT=1 writes it anew", path.display());
}

/// A file as JSON, or each of its lines: the order of keys means nothing.
fn parsed(text: &str) -> Vec<Result<Value, &str>> {
    let line = |line| -> Result<Value, &str> {
        let data = str::strip_prefix(line, "data: ").unwrap_or(line);
        serde_json::from_str(data).map_err(|_| line)
    };
    serde_json::from_str(text).map_or_else(|_| text.lines().map(line).collect(), |whole| vec![Ok(whole)])
}

#[test]
fn translations_are_as_the_cases_say() {
    let all = [
        (Dialect::Chat, "fixtures/chat"),
        (Dialect::Responses, "fixtures/responses"),
        (Dialect::Gemini, "fixtures/gemini"),
        (Dialect::Converse, "fixtures/converse"),
    ];
    for (dialect, folder) in all {
        let folder = repository().join(folder);
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("fixtures") {
            check(dialect, &entry.expect("an entry").file_name().to_string_lossy());
            count += 1;
        }
        assert!(count >= 15, "only {count} cases");
    }
}
