//! The import graph: which crate may name which, and how much comes from outside.

use super::{Finding, Tree};
use crate::metadata::Package;

/// An arrow means "may depend on". Development dependencies may use `nova-testkit` besides.
const EDGES: [(&str, &[&str]); 12] = [
    (
        "novastack",
        &[
            "nova-gateway",
            "nova-engine",
            "nova-ledger",
            "nova-upstream",
            "nova-catalog",
            "nova-wire",
            "nova-route",
            "nova-limit",
            "nova-eval",
        ],
    ),
    (
        "nova-gateway",
        &["nova-route", "nova-limit", "nova-ledger", "nova-upstream", "nova-catalog", "nova-wire"],
    ),
    ("nova-engine", &[]),
    ("nova-eval", &["nova-route", "nova-catalog"]),
    ("nova-route", &["nova-catalog"]),
    ("nova-limit", &[]),
    ("nova-ledger", &["nova-catalog", "nova-wire"]),
    ("nova-upstream", &["nova-catalog", "nova-wire"]),
    ("nova-catalog", &["nova-wire"]),
    ("nova-wire", &[]),
    ("nova-testkit", &[]),
    ("xtask", &[]),
];

/// No IO, no clock, no randomness: time and seeds are arguments.
pub(super) const PURE: [&str; 5] = ["nova-wire", "nova-catalog", "nova-route", "nova-limit", "nova-eval"];

/// Pulled in at any depth, these bring a runtime, sockets or a database.
const IO: [&str; 7] = ["tokio", "hyper", "axum", "sqlx", "mio", "socket2", "rustls"];

/// Named directly, these bring randomness. (At a depth, a hash map's seed needs them.)
const RANDOMNESS: [&str; 4] = ["rand", "getrandom", "fastrand", "uuid"];

/// External crates that only some of ours may name in `[dependencies]`.
const OWNERS: [(&str, &[&str]); 4] = [
    ("sqlx", &["nova-ledger"]),
    ("axum", &["nova-gateway", "nova-engine"]),
    ("rustls", &["nova-upstream", "nova-gateway"]),
    ("nova-testkit", &[]),
];

/// Packages in Cargo.lock. Peers hold 588 to 897.
const BUDGET: usize = 320;

const ARCHITECTURE: &str =
    "the edges stand in ARCHITECTURE.md; a new one needs a decision record under docs/adr";

pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.graph.ours() {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package.name) else {
            findings.push(at(
                tree,
                package,
                "",
                "the crate has no row in the table of edges".to_owned(),
                ARCHITECTURE,
            ));
            continue;
        };
        let ours = |name: &&String| tree.graph.ours().any(|other| other.name == **name);
        for wanted in package.normal.iter().filter(ours).filter(|name| !allowed.contains(&name.as_str())) {
            let message = format!("`{}` may not depend on `{wanted}`", package.name);
            findings.push(at(tree, package, wanted, message, ARCHITECTURE));
        }
        let development = |name: &&String| !allowed.contains(&name.as_str()) && *name != "nova-testkit";
        for wanted in
            package.dev.iter().filter(ours).filter(development).filter(|name| **name != package.name)
        {
            let message = format!("the tests of `{}` may not depend on `{wanted}`", package.name);
            findings.push(at(tree, package, wanted, message, ARCHITECTURE));
        }
    }
    findings
}

pub(super) fn purity(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hint =
        "pure crates take time, seeds and bytes as arguments; IO belongs into nova-ledger or nova-upstream";
    for package in tree.graph.ours().filter(|package| PURE.contains(&package.name.as_str())) {
        let all = tree.graph.closure(package);
        for banned in IO.iter().filter(|name| all.contains(*name)) {
            let message = format!("the pure crate `{}` pulls in `{banned}`", package.name);
            findings.push(at(tree, package, banned, message, hint));
        }
        for banned in RANDOMNESS.iter().filter(|name| package.normal.iter().any(|normal| normal == *name)) {
            let message = format!("the pure crate `{}` depends on `{banned}`", package.name);
            findings.push(at(tree, package, banned, message, hint));
        }
    }
    findings
}

pub(super) fn owners(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (external, owners) in OWNERS {
        for package in tree.graph.ours().filter(|package| !owners.contains(&package.name.as_str())) {
            if package.normal.iter().any(|name| name == external) && package.name != "nova-testkit" {
                let message = format!("`{}` may not depend on `{external}`", package.name);
                findings.push(at(tree, package, external, message, "go through the crate that owns it"));
            }
        }
    }
    findings
}

pub(super) fn budget(tree: &Tree) -> Vec<Finding> {
    let Some(lock) = tree.file("Cargo.lock") else { return Vec::new() };
    let packages = lock.text.lines().filter(|line| *line == "[[package]]").count();
    if packages <= BUDGET {
        return Vec::new();
    }
    let message = format!("{packages} packages, and the budget is {BUDGET}");
    let hint = "`cargo tree --duplicates` and `cargo tree -i NAME` show what brought them; a crate must be worth its cost";
    vec![Finding { path: lock.path.clone(), line: None, message, hint }]
}

/// A finding in the crate's manifest, on the line that names the dependency.
fn at(tree: &Tree, package: &Package, dependency: &str, message: String, hint: &'static str) -> Finding {
    let path = format!("crates/{}/Cargo.toml", package.name);
    let manifest = tree.file(&path).map_or("", |file| file.text.as_str());
    let names =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    let line = manifest.lines().position(names).map(|at| at + 1);
    Finding { path, line, message, hint }
}
