//! How fast the engine is on one machine: tokens per second of processor time, which other programs disturb least.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::unbounded_channel;

use crate::backend::Isa;
use crate::engine::{EngineOptions, load_bounded};
use crate::error::EngineError;
use crate::gauges::Gauges;
use crate::generate::Sampling;
use crate::runner::{Job, PROMPT_ROWS};

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct BenchCase {
    /// Sequences computed together.
    pub sequences: usize,
    /// Tokens of each prompt.
    pub prompt: usize,
    /// Tokens of each answer.
    pub answer: usize,
}

/// What was measured. Rates are tokens of all sequences together.
#[derive(Debug, Clone, Copy)]
pub struct BenchResult {
    /// The case that was run.
    pub case: BenchCase,
    /// How long reading and packing the model took, by the clock.
    pub load_seconds: f64,
    /// Prompt tokens per second of processor time.
    pub prefill_per_cpu_second: f64,
    /// Answer tokens per second of processor time.
    pub decode_per_cpu_second: f64,
    /// Answer tokens per second of the clock.
    pub decode_per_second: f64,
}

/// Loads the model of `options` and runs `cases`, one after the other.
///
/// # Errors
/// Those of loading a model.
pub fn bench(options: &EngineOptions, cases: &[BenchCase]) -> Result<Vec<BenchResult>, EngineError> {
    cases.iter().map(|case| run(options, *case)).collect()
}

fn run(options: &EngineOptions, case: BenchCase) -> Result<BenchResult, EngineError> {
    let options = EngineOptions { max_sequences: case.sequences, ..options.clone() };
    let begun = Instant::now();
    let (loaded, mut runner) =
        load_bounded(&options, Arc::new(Gauges::default()), PROMPT_ROWS, Isa::detect())?;
    let load_seconds = begun.elapsed().as_secs_f64();
    let words = loaded.tokenizer.vocabulary() as u32;
    let mut receivers = Vec::new();
    for sequence in 0..case.sequences {
        let (events, receiver) = unbounded_channel();
        // Any ids will do: speed does not depend on what they say.
        let token = |i: usize| (i * 131 + sequence * 7) as u32 % words;
        runner.take(Job {
            prompt: (0..case.prompt).map(token).collect(),
            max_tokens: case.answer + 1,
            sampling: Sampling { temperature: 0.0, top_p: 1.0, top_k: 0, seed: 0 },
            stops: Vec::new(),
            ignore_end: true,
            events,
        });
        receivers.push(receiver);
    }
    let cpu = cpu_seconds();
    while runner.is_reading() {
        runner.step();
    }
    let prefill = cpu_seconds() - cpu;
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    let mut tokens = 0;
    while !runner.is_idle() {
        tokens += runner.step();
    }
    let (decode, clock) = (cpu_seconds() - cpu, clock.elapsed().as_secs_f64());
    Ok(BenchResult {
        case,
        load_seconds,
        prefill_per_cpu_second: (case.sequences * case.prompt) as f64 / prefill,
        decode_per_cpu_second: tokens as f64 / decode,
        decode_per_second: tokens as f64 / clock,
    })
}

/// Processor time of this process so far, all threads, from Linux's `/proc/self/schedstat` of each thread (nanoseconds);
/// `NaN` where there is none.
fn cpu_seconds() -> f64 {
    let thread = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    match std::fs::read_dir("/proc/self/task") {
        Ok(threads) => threads.filter_map(thread).sum::<f64>() * 1e-9,
        Err(_) => f64::NAN,
    }
}
