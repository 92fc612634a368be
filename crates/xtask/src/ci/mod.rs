//! `cargo xtask ci`: every check, cheapest first.
//!
//! Invariant: a failing step does not stop the others, and any failure fails the whole; the last line is
//! `N passed, N failed, N skipped` over all tests that were counted.
//!
//! Reading order: [`STEPS`] is the whole of it; `tally` reads counts from the runners' summaries, `licences` checks what
//! `deny.toml` says.

mod licences;
mod tally;

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::metadata::Graph;
use crate::{fuzz, generate, shell, tidy};
use tally::Tally;

struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

/// What a step leaves behind beside its output; an error is a failure of its own, beside failed tests.
type Step = fn(&Workspace) -> Result<Tally>;

const STEPS: [(&str, &str, Step); 9] = [
    ("fmt", "sources are formatted", fmt),
    ("tidy", "the rules of the tree (`cargo xtask tidy`)", rules),
    ("deny", "licences, banned crates and sources (deny.toml)", deny),
    ("clippy", "lints, with warnings denied", clippy),
    ("test", "units, properties, golden cases and integration, by nextest", test),
    ("generated", "generated files are fresh (`cargo xtask gen --check`)", generated),
    ("doc", "documentation builds, with warnings denied", doc),
    ("contract", "SDKs and programs talk to the binary (contract/)", contract),
    ("fuzz", "fuzz targets build, and run for a while on seeds and mutations", fuzz_briefly),
];

pub(crate) fn list() {
    for (name, what, _) in STEPS {
        println!("{name:10} {what}");
    }
}

/// Runs the steps of these names, or all; returns whether everything passed.
pub(crate) fn run(chosen: &[String]) -> Result<bool> {
    if let Some(unknown) = chosen.iter().find(|name| STEPS.iter().all(|(step, ..)| step != name)) {
        let names: Vec<_> = STEPS.iter().map(|(name, ..)| *name).collect();
        bail!("there is no step `{unknown}`\nhint: the steps are {}", names.join(", "));
    }
    let root = shell::root()?;
    let target = Graph::read(&root)?.target_directory;
    let workspace = Workspace { root, target };
    let mut total = Tally::default();
    let mut report = Vec::new();
    let mut failed = Vec::new();
    for (name, what, step) in STEPS {
        if !chosen.is_empty() && !chosen.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("── {name}: {what}");
        let start = Instant::now();
        let (ok, note) = match step(&workspace) {
            Ok(tally) => {
                total = total.plus(&tally);
                (tally.failed == 0, tally.summary.unwrap_or_default())
            }
            Err(error) => {
                println!("error: {error:#}");
                // A step that fails without a failed test, such as formatting, counts as one failure.
                total.failed += 1;
                (false, String::new())
            }
        };
        if !ok {
            failed.push(name);
        }
        let word = if ok { "ok" } else { "FAILED" };
        report.push(format!("{name:10} {word:6} {:7.1} s  {note}", start.elapsed().as_secs_f64()));
    }
    println!("── all steps");
    for line in report {
        println!("{}", line.trim_end());
    }
    if !failed.is_empty() {
        println!("hint: `cargo xtask ci {}` repeats what failed", failed.join(" "));
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    Ok(failed.is_empty())
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Command {
    let mut cargo = shell::cargo();
    cargo.args(args).current_dir(&workspace.root);
    cargo
}

fn fmt(workspace: &Workspace) -> Result<Tally> {
    let formatted = shell::run(&mut cargo(workspace, &["fmt", "--all", "--", "--check", "-l"]));
    formatted.context("run `cargo fmt --all`").map(|()| Tally::default())
}

fn rules(_: &Workspace) -> Result<Tally> {
    tidy::run().map(|()| Tally::default())
}

/// `cargo deny` where it is installed. Building it takes longer than everything else here together, so nothing installs
/// it, and otherwise the same lists of deny.toml are checked against `cargo metadata`.
fn deny(workspace: &Workspace) -> Result<Tally> {
    if shell::have("cargo-deny", "--version") {
        println!("by cargo-deny");
        shell::run(&mut cargo(workspace, &["deny", "--workspace", "check", "licenses", "bans", "sources"]))?;
    } else {
        println!("by our own reading of deny.toml, as cargo-deny is not installed");
        licences::check(&workspace.root)?;
    }
    Ok(Tally::default())
}

fn clippy(workspace: &Workspace) -> Result<Tally> {
    let args = ["clippy", "--quiet", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::run(&mut cargo(workspace, &args)).map(|()| Tally::default())
}

fn test(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    let args = ["nextest", "run", "--locked", "--workspace", "--cargo-quiet", "--no-tests=pass"];
    let ok = shell::watch(&mut cargo(workspace, &args), |line| tally.read_nextest(line))?;
    if !ok && tally.failed == 0 {
        bail!("the tests did not build or did not start");
    }
    Ok(tally)
}

/// The binary as the tests built it. The same selection of packages and targets means the same features, so that nothing
/// is built twice.
fn binary(workspace: &Workspace) -> Result<PathBuf> {
    shell::run(&mut cargo(workspace, &["build", "--quiet", "--locked", "--workspace", "--bins", "--tests"]))?;
    Ok(workspace.target.join("debug/novastack"))
}

fn generated(workspace: &Workspace) -> Result<Tally> {
    generate::run_with(&workspace.root, &binary(workspace)?, true).map(|()| Tally::default())
}

fn doc(workspace: &Workspace) -> Result<Tally> {
    let mut doc = cargo(workspace, &["doc", "--quiet", "--locked", "--no-deps", "--workspace"]);
    shell::run(doc.env("RUSTDOCFLAGS", "-D warnings")).map(|()| Tally::default())
}

fn contract(workspace: &Workspace) -> Result<Tally> {
    let python = workspace.root.join(".venv/bin/python");
    if !python.exists() {
        bail!("`.venv` is missing\nhint: run `scripts/setup`");
    }
    let mut pytest = Command::new(python);
    pytest
        .args(["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "contract"])
        .current_dir(&workspace.root);
    pytest.env("NOVASTACK_BINARY", binary(workspace)?).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut tally = Tally::default();
    let ok = shell::watch(&mut pytest, |line| tally.read_pytest(line))?;
    if !ok && tally.failed == 0 {
        bail!("the contract tests did not start");
    }
    Ok(tally)
}

fn fuzz_briefly(_: &Workspace) -> Result<Tally> {
    fuzz::run(&fuzz::Options::brief()).map(|()| Tally::default())
}
