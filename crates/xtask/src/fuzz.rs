//! Building the fuzz targets under `fuzz/` and running each for a while.
//!
//! The layout is cargo-fuzz's, so `cargo fuzz run TARGET` works where it and a nightly compiler are installed (and adds
//! the address sanitizer). Neither is needed here: libFuzzer brings its own runtime, built with the C++ compiler, and the
//! compiler pass that counts coverage is reachable from stable Rust. Ours is safe Rust, where panics, hangs and memory
//! that grows without bound are what there is to find; libFuzzer reports all three.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// What cargo-fuzz passes as well, less the sanitizers: coverage counters, comparisons, checks left on.
const FLAGS: [&str; 9] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Only these targets
    targets: Vec<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// At most this many inputs for each target
    #[arg(long)]
    runs: Option<u64>,
}

impl Options {
    /// What CI can afford: every seed, and then mutations of them for a few seconds.
    pub(crate) fn brief() -> Options {
        Options { targets: Vec::new(), seconds: 5, runs: Some(50_000) }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let root = shell::root()?;
    let folder = root.join("fuzz");
    let known = names(&folder.join("fuzz_targets"), "rs")?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no fuzz target `{unknown}`\nhint: the targets are {}", known.join(", "));
    }
    let work = crate::metadata::Graph::read(&root)?.target_directory.join("fuzz");
    let host = host()?;
    let chosen = if options.targets.is_empty() { &known } else { &options.targets };
    build(&folder, &work, &host, chosen)?;
    let mut failed = Vec::new();
    for target in chosen {
        let program = work.join(&host).join("release").join(target);
        if !run_one(&folder, &work, &program, target, options)? {
            failed.push(target.as_str());
        }
    }
    if !failed.is_empty() {
        bail!(
            "inputs that these fuzz targets do not survive were found: {}\n\
             hint: they lie under fuzz/artifacts/; make each a test case first, then mend the code",
            failed.join(", ")
        );
    }
    Ok(())
}

/// With a target triple the flags reach the targets and what they depend on, but no build script.
fn build(folder: &Path, work: &Path, host: &str, targets: &[String]) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--quiet", "--release", "--locked", "--target", host, "--target-dir"]).arg(work);
    cargo.args(targets.iter().flat_map(|target| ["--bin", target]));
    cargo.current_dir(folder).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}")).env_remove("RUSTFLAGS");
    shell::run(&mut cargo)
        .context("hint: when fuzz/Cargo.lock is stale, `cargo update --workspace` in fuzz/ mends it")
}

/// Runs the seeds and then mutations of them; returns whether all of them survived.
fn run_one(folder: &Path, work: &Path, program: &Path, target: &str, options: &Options) -> Result<bool> {
    let found = work.join("corpus").join(target);
    let artifacts = folder.join("artifacts").join(target);
    std::fs::create_dir_all(&found)?;
    std::fs::create_dir_all(&artifacts)?;
    let mut fuzzer = Command::new(program);
    fuzzer.arg(&found);
    let seeds = folder.join("seeds").join(target);
    if seeds.is_dir() {
        fuzzer.arg(seeds);
    }
    fuzzer.arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzzer.arg(format!("-max_total_time={}", options.seconds));
    fuzzer.args(["-seed=1", "-timeout=5", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]);
    if let Some(runs) = options.runs {
        fuzzer.arg(format!("-runs={runs}"));
    }
    let done = fuzzer.output().with_context(|| format!("the fuzz target `{target}` could not be started"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        println!("{said}");
        return Ok(false);
    }
    let executed = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("{target}: {} inputs, none failed", executed.unwrap_or("?").trim());
    Ok(true)
}

fn host() -> Result<String> {
    let version = shell::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// Names of the files with this ending, sorted.
fn names(folder: &Path, ending: &str) -> Result<Vec<String>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("`{}` could not be read", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let named = paths.filter(|path: &PathBuf| path.extension().is_some_and(|own| own == ending));
    let mut names: Vec<String> =
        named.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}
