//! `cargo xtask bench`: what a request costs, what the gateway adds to its latency, and what an open stream holds.
//!
//! Invariant: every target is asked the same requests in the same run, in turn (A B C, A B C, …), so that a change of the
//! machine's mood meets all of them; a wrong or cut answer ends the run, so that nobody is fast by failing.
//!
//! Reading order: [`run`] starts a release build of this program with enough file descriptors; [`measure`] is the plan;
//! `load` makes the requests over `http`, `process` reads what they cost, `targets` starts who is measured,
//! `engine` runs the local engine's own benchmark, `report` prints.

mod engine;
mod http;
mod load;
mod process;
mod report;
mod stats;
mod targets;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

use crate::metadata::Graph;
use crate::shell;
use http::Connection;
use load::{Ask, Timing};
use process::Reading;
use report::{Figures, Setting};
use stats::percentile;
use targets::{Places, Target};

#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Who is measured, beside the mock upstream itself
    #[arg(long, value_delimiter = ',', default_value = "nginx,novastack,litellm")]
    targets: Vec<String>,
    /// What is measured
    #[arg(long, value_delimiter = ',', default_value = "cpu,latency,memory,engine,wire,route")]
    what: Vec<String>,
    /// How often each target has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long each turn lasts
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Requests in flight where CPU is measured
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// Requests a second where latency is measured
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Open streams where memory is measured (a tenth of them for LiteLLM)
    #[arg(long, default_value_t = 5_000)]
    streams: usize,
    /// Also load novastack for so long and watch its memory
    #[arg(long, default_value_t = 0.0)]
    minutes: f64,
    /// Set by the outer run
    #[arg(long, hide = true)]
    inside: bool,
}

/// Builds the product and this program for release, then runs the measurement in it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = shell::root()?;
    let target = Graph::read(&root)?.target_directory;
    if options.inside {
        return measure(options, &target);
    }
    for (given, known) in [
        (&options.targets, &["nginx", "novastack", "litellm"][..]),
        (&options.what, &["cpu", "latency", "memory", "engine", "wire", "route"][..]),
    ] {
        if let Some(unknown) = given.iter().find(|given| !known.contains(&given.as_str())) {
            bail!("`{unknown}` is not known\nhint: choose from {}", known.join(", "));
        }
    }
    let mut build = shell::cargo();
    build.args([
        "build",
        "--release",
        "--quiet",
        "--locked",
        "--bins",
        "--example",
        "bench",
        "--example",
        "wire",
        "--example",
        "route",
    ]);
    shell::run(
        build
            .args([
                "-p",
                "novastack",
                "-p",
                "xtask",
                "-p",
                "nova-engine",
                "-p",
                "nova-wire",
                "-p",
                "nova-route",
            ])
            .current_dir(&root),
    )?;
    // Thousands of streams are as many file descriptors, twice over in a proxy; children inherit the limit.
    let mut inner = Command::new("sh");
    inner.args(["-c", "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -H -n)\"; exec \"$@\"", "sh"]);
    inner
        .arg(target.join("release/xtask"))
        .args(std::env::args_os().skip(1))
        .arg("--inside")
        .current_dir(&root);
    shell::run(&mut inner)
}

fn measure(options: &Options, target: &Path) -> Result<()> {
    let places = Places {
        novastack: target.join("release/novastack"),
        venv: shell::root()?.join("target/bench/venv"),
        work: target.join("bench/work"),
    };
    std::fs::create_dir_all(&places.work)?;
    let machine = report::machine();
    let wants = |what: &str| options.what.iter().any(|wanted| wanted == what);
    let mut setting = Setting {
        rounds: options.rounds,
        seconds: options.seconds,
        in_flight: options.in_flight,
        rate: options.rate,
        lateness_p99_us: Vec::new(),
    };
    let mock = Target::mock(&places, "direct", Duration::ZERO)?;
    let proxies =
        options.targets.iter().map(|name| start(name, &places, &mock)).collect::<Result<Vec<_>>>()?;
    let everyone: Vec<&Target> = std::iter::once(&mock).chain(&proxies).collect();
    let mut all: Vec<Figures> = everyone.iter().map(|target| figures(target)).collect();
    for round in 1..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        for (target, figures) in everyone.iter().zip(&mut all) {
            if wants("cpu") {
                cost(target, options, figures)?;
            }
            if wants("latency") {
                setting.lateness_p99_us.extend(latency(target, options, round as u64, figures)?);
            }
        }
    }
    if options.minutes > 0.0
        && let Some(at) = everyone.iter().position(|target| target.name == "novastack")
    {
        all[at].growth = growth(everyone[at], options)?;
    }
    drop(proxies);
    if wants("memory") {
        for name in &options.targets {
            let found = all.iter_mut().find(|figures| figures.name == *name);
            memory(name, &places, options, found.context("every target has its figures")?)?;
        }
    }
    let engine = if wants("engine") { engine::measure(&target.join("release"))? } else { Vec::new() };
    print!("{}", report::table(&machine, &setting, &all));
    for speed in &engine {
        let (prefill, decode) = (speed.prefill_per_cpu_second, speed.decode_per_cpu_second);
        println!(
            "engine, {:2} sequences: {decode:.0} tokens written and {prefill:.0} read per CPU second",
            speed.sequences
        );
    }
    // `crates/nova-wire/examples/wire.rs` and `crates/nova-route/examples/route.rs` say what their figures are.
    let example = |name: &str| match wants(name) {
        true => shell::output(&mut Command::new(target.join("release/examples").join(name))),
        false => Ok(String::new()),
    };
    let (wire, route) = (example("wire")?, example("route")?);
    print!("{wire}{route}");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let path = target.join(format!("bench/{now}.json"));
    let mut json = report::json(&machine, &setting, &all);
    json["engine"] = engine::json(&engine);
    json["wire"] = wire.lines().skip(1).collect();
    json["route"] = route.lines().skip(1).collect();
    std::fs::write(&path, format!("{json:#}\n"))?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn start(name: &str, places: &Places, upstream: &Target) -> Result<Target> {
    match name {
        "nginx" => Target::nginx(places, upstream),
        "novastack" => Target::novastack(places, upstream),
        "litellm" => Target::litellm(places, upstream),
        _ => bail!("`{name}` is not known"),
    }
}

fn figures(target: &Target) -> Figures {
    Figures { name: target.name.to_owned(), version: target.version.clone(), ..Figures::default() }
}

/// CPU per request with a number of requests always in flight, whole and streamed.
fn cost(target: &Target, options: &Options, figures: &mut Figures) -> Result<()> {
    for stream in [false, true] {
        let ask = target.ask(stream);
        let turn = || -> Result<(f64, f64)> {
            let before = Reading::of(target.pid())?;
            let start = Instant::now();
            let answered =
                load::closed(&ask, options.in_flight, Duration::from_secs_f64(options.seconds))? as f64;
            let rate = answered / start.elapsed().as_secs_f64();
            let spent = Reading::of(target.pid())?.cpu_ns_since(&before) as f64 / 1e3;
            Ok((spent / answered, rate))
        };
        load::closed(&ask, options.in_flight, Duration::from_millis(200))?; // connections open, caches warm
        let (cpu_us, rate) = turn().with_context(|| format!("`{}` failed under load", target.name))?;
        let (costs, rates) = if stream {
            (&mut figures.streamed_cpu_us, &mut figures.streamed_rate)
        } else {
            (&mut figures.unary_cpu_us, &mut figures.unary_rate)
        };
        costs.push(cpu_us);
        rates.push(rate);
    }
    Ok(())
}

/// Latency at a fixed rate of arrivals, whole and to the first byte of a stream; returns how late the generator was.
fn latency(target: &Target, options: &Options, seed: u64, figures: &mut Figures) -> Result<Vec<f64>> {
    let due = load::arrivals(options.rate, Duration::from_secs_f64(options.seconds), seed);
    let mut lateness = Vec::new();
    for stream in [false, true] {
        let ask: Ask = target.ask(stream);
        let timings =
            load::open(&ask, &due, 64).with_context(|| format!("`{}` failed under load", target.name))?;
        let share = |pick: fn(&Timing) -> f64, share: f64| {
            percentile(&timings.iter().map(pick).collect::<Vec<_>>(), share)
        };
        if stream {
            figures.first_p50_us.push(share(|timing| timing.first, 0.5));
            figures.first_p99_us.push(share(|timing| timing.first, 0.99));
        } else {
            figures.unary_p50_us.push(share(|timing| timing.done, 0.5));
            figures.unary_p99_us.push(share(|timing| timing.done, 0.99));
        }
        // A slow target holds its connections, and what is late then is the target's doing; the mock is never slow.
        if target.name == "direct" {
            lateness.push(share(|timing| timing.late, 0.99));
        }
    }
    Ok(lateness)
}

/// Resident memory per open stream, in front of a mock that takes its time between tokens.
///
/// A gateway may hold an answer back until its first token, which comes when all streams are asked for; they stay open,
/// silent, for a token's time after that.
fn memory(name: &str, places: &Places, options: &Options, figures: &mut Figures) -> Result<()> {
    let slow = Target::mock(places, "slow mock", Duration::from_secs(10))?;
    let target = start(name, places, &slow)?;
    let streams = if name == "litellm" { options.streams / 10 } else { options.streams };
    let ask = target.ask(true);
    let before = Reading::of(target.pid())?.resident_kb as f64;
    let held = hold(&ask, streams)?;
    let after = Reading::of(target.pid())?.resident_kb as f64;
    drop(held);
    figures.idle_kb = Some(before);
    figures.held_streams = streams;
    figures.kb_per_stream = Some((after - before) / streams as f64);
    Ok(())
}

/// Opens so many streams, and returns when each has begun.
fn hold(ask: &Ask, streams: usize) -> Result<Vec<Connection>> {
    let mut held = Vec::with_capacity(streams);
    for _ in 0..streams {
        let mut connection = Connection::open(ask.to)?;
        connection.send(&ask.request)?;
        held.push(connection);
    }
    for connection in &mut held {
        let status = connection.first_chunk().context("a stream did not begin")?;
        if status != 200 {
            bail!("status {status} for a stream");
        }
    }
    Ok(held)
}

/// Resident memory under steady load, in samples of seconds and KB.
fn growth(target: &Target, options: &Options) -> Result<Vec<(f64, f64)>> {
    let whole = Duration::from_secs_f64(options.minutes * 60.0);
    let half = options.in_flight.div_ceil(2);
    std::thread::scope(|scope| {
        let loads = [false, true].map(|stream| {
            let ask = target.ask(stream);
            scope.spawn(move || load::closed(&ask, half, whole))
        });
        let start = Instant::now();
        let mut samples = Vec::new();
        while start.elapsed() < whole && loads.iter().all(|load| !load.is_finished()) {
            std::thread::park_timeout(
                (whole / 60).clamp(Duration::from_millis(500), Duration::from_secs(10)),
            );
            samples.push((start.elapsed().as_secs_f64(), Reading::of(target.pid())?.resident_kb as f64));
        }
        for load in loads {
            load.join().ok().context("a worker of the load generator ended early")??;
        }
        Ok(samples)
    })
}
