//! For every rule: a tree in which it must fail, and one beside it in which it must not.

use super::*;
use crate::metadata::Package;

fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files.iter().map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() });
    Tree { files: files.collect(), ..Tree::default() }
}

fn ours(name: &str, normal: &[&str]) -> Package {
    let normal: Vec<String> = normal.iter().map(|name| (*name).to_owned()).collect();
    Package { name: name.to_owned(), ours: true, resolved: normal.clone(), normal, ..Package::default() }
}

fn external(name: &str, resolved: &[&str]) -> Package {
    Package { ours: false, ..ours(name, resolved) }
}

fn with_packages(packages: Vec<Package>) -> Tree {
    let manifest = |package: &Package| {
        let lines = package.normal.iter().map(|name| format!("{name}.workspace = true\n"));
        let text = format!("[dependencies]\n{}", lines.collect::<String>());
        File { path: format!("crates/{}/Cargo.toml", package.name), text }
    };
    let files = packages.iter().filter(|package| package.ours).map(manifest).collect();
    Tree { files, graph: Graph { packages, ..Graph::default() }, machine_paths: Vec::new() }
}

/// Checks that the rule finds exactly these places, written as `path:line`.
#[track_caller]
fn check(rule: Rule, tree: &Tree, expected: &[&str]) {
    let found: Vec<String> = rule(tree)
        .into_iter()
        .map(|finding| match finding.line {
            Some(line) => format!("{}:{line}", finding.path),
            None => finding.path,
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn an_edge_that_is_not_in_the_table_is_found() {
    let wrong = vec![
        ours("nova-route", &["serde", "nova-ledger"]),
        ours("nova-ledger", &["nova-wire"]),
        ours("nova-wire", &[]),
    ];
    check(graph::edges, &with_packages(wrong), &["crates/nova-route/Cargo.toml:3"]);
    check(graph::edges, &with_packages(vec![ours("nova-new", &[])]), &["crates/nova-new/Cargo.toml"]);
    let mut tests = ours("nova-limit", &[]);
    tests.dev = vec!["nova-testkit".to_owned(), "nova-gateway".to_owned()];
    let tests = vec![tests, ours("nova-testkit", &[]), ours("nova-gateway", &[])];
    check(graph::edges, &with_packages(tests), &["crates/nova-limit/Cargo.toml"]);
    check(
        graph::edges,
        &with_packages(vec![ours("nova-catalog", &["nova-wire"]), ours("nova-wire", &[])]),
        &[],
    );
}

#[test]
fn io_in_a_pure_crate_is_found_at_any_depth() {
    let deep = vec![ours("nova-wire", &["middle"]), external("middle", &["tokio"]), external("tokio", &[])];
    check(graph::purity, &with_packages(deep), &["crates/nova-wire/Cargo.toml"]);
    check(
        graph::purity,
        &with_packages(vec![ours("nova-route", &["getrandom"])]),
        &["crates/nova-route/Cargo.toml:2"],
    );
    // A dependency of a dependency may seed its hash maps; the rim may do as it likes.
    let fine =
        vec![ours("nova-wire", &["map"]), external("map", &["getrandom"]), ours("nova-upstream", &["tokio"])];
    check(graph::purity, &with_packages(fine), &[]);
}

#[test]
fn the_database_and_the_web_framework_have_owners() {
    check(
        graph::owners,
        &with_packages(vec![ours("nova-gateway", &["sqlx"])]),
        &["crates/nova-gateway/Cargo.toml:2"],
    );
    check(
        graph::owners,
        &with_packages(vec![ours("novastack", &["axum"])]),
        &["crates/novastack/Cargo.toml:2"],
    );
    check(
        graph::owners,
        &with_packages(vec![ours("nova-ledger", &["nova-testkit"])]),
        &["crates/nova-ledger/Cargo.toml:2"],
    );
    check(
        graph::owners,
        &with_packages(vec![ours("nova-ledger", &["sqlx"]), ours("nova-engine", &["axum"])]),
        &[],
    );
}

#[test]
fn the_package_budget_counts_the_lock_file() {
    let full = "[[package]]\nname = \"a\"\n".repeat(320);
    check(graph::budget, &tree(&[("Cargo.lock", &full)]), &[]);
    check(graph::budget, &tree(&[("Cargo.lock", &format!("{full}[[package]]\n"))]), &["Cargo.lock"]);
}

#[test]
fn a_clock_in_a_pure_crate_is_found_and_one_in_its_tests_is_not() {
    let text = "// Instant::now is forbidden\nlet url = \"http://x\"; let t = Instant::now();\n\n#[cfg(test)]\nmod tests {\n    std::fs::read(p);\n}\n";
    let files = [
        ("crates/nova-limit/src/bucket.rs", text),
        ("crates/nova-limit/src/bucket/tests.rs", "std::fs::read(p);"),
        ("crates/nova-limit/tests/it/main.rs", "std::env::var(p);"),
        ("crates/nova-limit/src/gate.rs", "#[cfg(test)]\nmod golden;\nmod real;"),
        ("crates/nova-limit/src/gate/golden.rs", "std::fs::read(p);"),
        ("crates/nova-limit/src/gate/golden/deep.rs", "std::fs::read(p);"),
        ("crates/nova-limit/src/gate/real.rs", "std::fs::read(p);"),
        ("crates/nova-upstream/src/timer.rs", "Instant::now();"),
        (
            "crates/nova-wire/src/lib.rs",
            "use std::collections::HashMap;\nlet s = std::time::SystemTime::now();",
        ),
    ];
    check(
        source::clocks,
        &tree(&files),
        &[
            "crates/nova-limit/src/bucket.rs:2",
            "crates/nova-limit/src/gate/real.rs:1",
            "crates/nova-wire/src/lib.rs:2",
        ],
    );
}

#[test]
fn a_connection_outside_nova_upstream_is_found() {
    let connect = "let s = TcpStream::connect(address).await?;";
    let files = [
        ("crates/nova-upstream/src/dial.rs", connect),
        ("crates/nova-testkit/src/lib.rs", connect),
        ("crates/nova-gateway/tests/it/main.rs", connect),
        ("crates/novastack/src/commands/doctor.rs", connect),
    ];
    check(source::connections, &tree(&files), &["crates/novastack/src/commands/doctor.rs:1"]);
}

#[test]
fn unsafe_code_outside_the_kernels_is_found() {
    let files = [
        ("crates/nova-engine/src/backend/avx512.rs", "unsafe { x() }"),
        (
            "crates/nova-engine/src/server.rs",
            "// unsafe would be\n#![deny(unsafe_code)]\nlet a = unsafe { x() };",
        ),
    ];
    check(source::unsafe_code, &tree(&files), &["crates/nova-engine/src/server.rs:3"]);
}

#[test]
fn ignored_and_badly_named_tests_are_found() {
    let text = "#[test]\n#[ignore = \"slow\"]\nfn test_it_works() {}\n#[test]\nfn tests_are_sentences() {}\nfn test_helper() {}\n";
    check(
        source::tests,
        &tree(&[("crates/a/src/tests.rs", text)]),
        &["crates/a/src/tests.rs:2", "crates/a/src/tests.rs:3"],
    );
}

#[test]
fn a_sleep_on_real_time_in_a_test_is_found() {
    let sleep = "tokio::time::sleep(SECOND).await;";
    let paused = "#[tokio::test(start_paused = true)]\ntokio::time::sleep(SECOND).await;";
    let files = [
        ("crates/a/tests/it/main.rs", sleep),
        ("crates/a/src/b/tests.rs", paused),
        ("crates/a/src/b.rs", sleep),
    ];
    check(source::sleeps, &tree(&files), &["crates/a/tests/it/main.rs:1"]);
}

#[test]
fn a_long_file_is_a_note_and_then_a_finding() {
    let lines = |count: usize| "x\n".repeat(count);
    let (short, long, too_long) = (lines(500), lines(1_000), lines(1_001));
    let tree =
        tree(&[("a.rs", short.as_str()), ("b.rs", &long), ("c.py", &too_long), ("Cargo.lock", &too_long)]);
    check(size::files, &tree, &["c.py"]);
    assert_eq!(size::notes(&tree).len(), 2);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "[a](ARCHITECTURE.md#crates) [b](docs) [c](https://example.com/x) [d](#here) [e](gone.md)\n```\n[f](gone.md)\n```\n`[g](gone.md)`\n";
    let page = "[up](../README.md) [out](../../shared/x.md)\n[ok](./guide.md)";
    let files = [("README.md", text), ("ARCHITECTURE.md", ""), ("docs/guide.md", page)];
    check(docs::links, &tree(&files), &["README.md:1", "docs/guide.md:1"]);
}

#[test]
fn a_path_of_one_machine_is_found() {
    let text = "see /src/nova/README.md\nsee ../src/nova\nsee /src/novae\n/home/ann/x\n$HOME/root/x\n";
    let tree = Tree {
        machine_paths: vec!["/src/nova".to_owned()],
        ..tree(&[("a.md", text), ("b.sh", "ls /root/x\n")])
    };
    check(docs::machine_paths, &tree, &["a.md:1", "a.md:4", "b.sh:1"]);
}

#[test]
fn a_registry_host_is_found() {
    let files = [
        ("scripts/setup", "pip install -i https://pypi.org/simple x\n"),
        ("a.md", "from PyPI and crates.io\n"),
    ];
    check(docs::registry_hosts, &tree(&files), &["scripts/setup:1"]);
}

#[test]
fn a_fixture_that_no_test_reads_is_found() {
    let test =
        "for case in folders(\"fixtures/chat\") {}\nread(\"fixtures/messages/tools\");\nnamed(\"errors\");";
    let files = [
        ("fixtures/chat/unary/request.json", "{}"),
        ("fixtures/messages/tools/request.json", "{}"),
        ("fixtures/messages/thinking/request.json", "{}"),
        ("fixtures/errors/body.json", "{}"),
        ("crates/nova-wire/tests/it/main.rs", test),
    ];
    check(docs::fixtures, &tree(&files), &["fixtures/messages/thinking"]);
}

#[test]
fn the_rules_and_their_names_are_distinct() {
    let names: std::collections::BTreeSet<_> = RULES.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), RULES.len());
}
