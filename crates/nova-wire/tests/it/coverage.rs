//! `fixtures/coverage.json` says which golden case, or where none can hold it which test, stands for each row of the
//! translation tables and each known trap. Here it is held against what is there.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::support::repository;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coverage {
    traps: Vec<Entry>,
    rows: std::collections::BTreeMap<String, Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The trap's number.
    n: Option<u32>,
    what: String,
    /// Folders and files below `fixtures/`.
    #[serde(default)]
    cases: Vec<String>,
    /// Tests of what no translation is: `path::name`.
    #[serde(default)]
    tests: Vec<String>,
    /// What of it is left out on purpose.
    left_out: Option<String>,
}

/// How many traps there are.
const TRAPS: u32 = 60;

#[test]
fn every_trap_and_every_row_has_its_case() {
    let root = repository();
    let text = std::fs::read_to_string(root.join("fixtures/coverage.json")).expect("a table");
    let coverage: Coverage = serde_json::from_str(&text).expect("a table");
    let numbers: Vec<Option<u32>> = coverage.traps.iter().map(|trap| trap.n).collect();
    assert_eq!(numbers, (1..=TRAPS).map(Some).collect::<Vec<_>>());
    assert!(coverage.rows.len() >= 8 && coverage.rows.values().all(|rows| rows.len() >= 4));
    for entry in coverage.traps.iter().chain(coverage.rows.values().flatten()) {
        let what = &entry.what;
        assert!(!entry.cases.is_empty() || !entry.tests.is_empty(), "{what}: nothing shows it");
        assert!(entry.left_out.as_ref().is_none_or(|why| !why.is_empty()), "{what}");
        let once: BTreeSet<&String> = entry.cases.iter().collect();
        assert_eq!(once.len(), entry.cases.len(), "{what}: a case is there twice");
        for case in &entry.cases {
            assert!(root.join("fixtures").join(case).exists(), "{what}: there is no `fixtures/{case}`");
        }
        for test in &entry.tests {
            let (file, name) = test.split_once("::").expect("a path and a name");
            let code = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            assert!(code.contains(&format!("fn {name}(")), "{what}: there is no test `{test}`");
        }
    }
}
