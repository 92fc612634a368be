//! What Rust sources may name.

use super::graph::PURE;
use super::{File, Finding, Tree, has_word};

/// Whoever calls these is not pure: the same arguments would give another answer tomorrow.
const IMPURE: [&str; 10] = [
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "UNIX_EPOCH",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "RandomState::new",
];

const OUTBOUND: [&str; 8] = [
    "TcpStream::connect",
    "UnixStream::connect",
    "TcpSocket::new",
    "UdpSocket::bind",
    "HttpConnector",
    "client::legacy",
    "client::conn",
    "lookup_host",
];

/// The only place whose speed is worth `unsafe`: the engine's kernels.
const UNSAFE_ALLOWED: &str = "crates/nova-engine/src/backend/";

pub(super) fn clocks(tree: &Tree) -> Vec<Finding> {
    let pure = tree.shipped().into_iter().filter(|(name, _)| PURE.contains(name)).map(|(_, file)| file);
    naming(
        pure,
        &IMPURE,
        "a pure crate",
        "take what is needed as an argument; the caller at the rim reads it",
    )
}

pub(super) fn connections(tree: &Tree) -> Vec<Finding> {
    let others =
        tree.shipped().into_iter().filter(|(name, _)| *name != "nova-upstream").map(|(_, file)| file);
    naming(others, &OUTBOUND, "a crate other than nova-upstream", "send through `nova_upstream::Client`")
}

pub(super) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let others = tree
        .rust()
        .filter(|file| !file.path.starts_with(UNSAFE_ALLOWED) && !file.path.contains("xtask/src/tidy/"));
    naming(
        others,
        &["unsafe"],
        "a file outside the engine's kernels",
        "kernels live under crates/nova-engine/src/backend",
    )
}

fn naming<'a>(
    files: impl Iterator<Item = &'a File>,
    words: &[&str],
    who: &str,
    hint: &'static str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        for (line, code) in file.code() {
            for word in words.iter().filter(|word| has_word(code, word)) {
                findings.push(file.finding(line, format!("{who} names `{word}`"), hint));
            }
        }
    }
    findings
}

pub(super) fn tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let mut attributes = Vec::new();
        for (at, line) in file.text.lines().map(str::trim).enumerate() {
            if line.starts_with("#[ignore") {
                findings.push(file.finding(
                    at + 1,
                    "a test is ignored",
                    "mend it or delete it; CI runs every test",
                ));
            }
            if line.starts_with("#[") {
                attributes.push(line);
                continue;
            }
            let is_test = attributes
                .drain(..)
                .any(|attribute| attribute.contains("test]") || attribute.contains("test("));
            if is_test && line.trim_start_matches("async ").starts_with("fn test_") {
                findings.push(file.finding(
                    at + 1,
                    "a test is named `test_…`",
                    "say what is true, as a sentence",
                ));
            }
        }
    }
    findings
}

/// Sleeping is fine on paused time, which jumps; a file that pauses time anywhere is trusted with it.
pub(super) fn sleeps(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hint = "wait for the condition itself, or pause tokio's time where no socket is needed";
    let is_test = |file: &&File| file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
    for file in tree.rust().filter(is_test).filter(|file| !file.text.contains("start_paused")) {
        for (line, code) in file.code() {
            if ["thread::sleep", "time::sleep"].iter().any(|sleep| has_word(code, sleep)) {
                findings.push(file.finding(line, "a test sleeps", hint));
            }
        }
    }
    findings
}
