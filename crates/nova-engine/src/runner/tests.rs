//! The model as a whole: against llama.cpp's own answers where the weights are there, against itself everywhere.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{Bounds, Event, Finish, Job, Runner};
use crate::engine::{EngineOptions, Loaded, load_bounded};
use crate::gauges::Gauges;
use crate::generate::Sampling;
use crate::model::{Cache, Piece};
use crate::template::TemplateMessage;
use crate::tokenizer::Tokenizer;

const GREEDY: Sampling = Sampling { temperature: 0.0, top_p: 1.0, top_k: 0, seed: 0 };

/// One line of `greedy.jsonl`: what llama.cpp made of a prompt.
#[derive(Deserialize)]
struct Reference {
    user: String,
    prompt_ids: Vec<u32>,
    greedy_ids: Vec<u32>,
}

/// The weights, if this machine has them.
fn weights() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let default = || Some(home()?.join(".local/share/novastack/models").join(crate::MODEL_FILE));
    let path = std::env::var_os("NOVASTACK_MODEL").map(PathBuf::from).or_else(default)?;
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: `{}` is absent", path.display());
    None
}

fn references() -> Option<Vec<Reference>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/engine/greedy.jsonl");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: ../shared/engine/greedy.jsonl is absent");
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn loaded(path: PathBuf, prompt_rows: usize) -> (Arc<Loaded>, Runner) {
    let options = EngineOptions { threads: Some(2), ..EngineOptions::new(path) };
    load_bounded(&options, Arc::new(Gauges::default()), prompt_rows).unwrap()
}

fn job(prompt: &[u32], max_tokens: usize, sampling: Sampling) -> (Job, UnboundedReceiver<Event>) {
    let (events, receiver) = unbounded_channel();
    (Job { prompt: prompt.to_vec(), max_tokens, sampling, stops: Vec::new(), ignore_end: false, events }, receiver)
}

/// Reads each reference answer token by token, whatever we would have said, and returns for each place how much more
/// likely (in logits) our favourite was than llama.cpp's.
fn gaps(runner: &mut Runner, references: &[Reference]) -> Vec<f32> {
    let longest = references.iter().map(|reference| reference.greedy_ids.len()).max().unwrap_or(0);
    let mut caches: Vec<Cache> = references.iter().map(|_| Cache::default()).collect();
    let mut gaps = Vec::new();
    for i in 0..longest {
        let there = references.iter().zip(&mut caches).filter(|(reference, _)| i < reference.greedy_ids.len());
        let (wanted, mut pieces): (Vec<u32>, Vec<Piece<'_>>) = there
            .map(|(reference, cache)| {
                let tokens = if i == 0 { &reference.prompt_ids[..] } else { &reference.greedy_ids[i - 1..i] };
                (reference.greedy_ids[i], Piece { tokens, cache, logits: true })
            })
            .unzip();
        for (logits, wanted) in runner.model.run(&mut pieces).iter().zip(wanted) {
            let most = logits.iter().copied().fold(f32::MIN, f32::max);
            gaps.push(most - logits[wanted as usize]);
        }
    }
    gaps
}

/// Runs one prompt to its end and returns the ids that followed it.
fn ids(runner: &mut Runner, prompt: &[u32], max_tokens: usize) -> Vec<u32> {
    let (job, _events) = job(prompt, max_tokens, GREEDY);
    let id = runner.next_id;
    runner.take(job);
    let mut tokens = Vec::new();
    while !runner.is_idle() {
        runner.step();
        if let Some(sequence) = runner.sequences.get(&id) {
            tokens.clone_from(&sequence.tokens);
        }
    }
    tokens.split_off(prompt.len())
}

#[test]
fn greedy_answers_agree_with_llama_cpp() {
    let (Some(path), Some(references)) = (weights(), references()) else { return };
    let (_, mut runner) = loaded(path, 512);
    let (mut sixteen, mut all) = (0, 0);
    for Reference { user, prompt_ids, greedy_ids } in &references {
        let ours = ids(&mut runner, prompt_ids, greedy_ids.len() + 1);
        let same = ours.iter().zip(greedy_ids).take_while(|(a, b)| a == b).count();
        println!("{same:3} of {:3} ids equal: {user}", greedy_ids.len());
        sixteen += usize::from(same >= greedy_ids.len().min(16));
        all += usize::from(same == greedy_ids.len());
    }
    println!("first 16 equal: {sixteen} of {}; all equal: {all}", references.len());
    assert!(sixteen >= 13);
}

#[test]
fn where_llama_cpp_says_something_else_it_is_a_near_tie() {
    let (Some(path), Some(references)) = (weights(), references()) else { return };
    let (_, mut runner) = loaded(path, 512);
    let gaps = gaps(&mut runner, &references);
    let other: Vec<f32> = gaps.iter().copied().filter(|gap| *gap > 0.0).collect();
    let largest = other.iter().copied().fold(0.0, f32::max);
    println!("{} of {} tokens differ, by at most {largest:.3} logits: {other:.3?}", other.len(), gaps.len());
    assert!(other.len() * 20 < gaps.len() && largest < 0.5);
}
