//! The model thread: takes jobs, plans steps, runs the model, sends text.
//!
//! It owns the model and all sequences, so nothing here is shared but the channels. It sleeps in the channel when there is
//! nothing to do. A sequence ends when it is done or when the receiver of its events is gone, which is looked at before
//! every step.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::Receiver;

use tokio::sync::mpsc::UnboundedSender;

use crate::gauges::Gauges;
use crate::generate::{Sampler, Sampling, TextStream};
use crate::model::{BLOCK_TOKENS, Cache, Forward, Piece};
use crate::scheduler::{Limits, Plan, Scheduler, SequenceId, Share};
use crate::tokenizer::Tokenizer;

/// Prompt rows of one step: enough to be efficient, few enough that answers do not stutter.
pub(crate) const PROMPT_ROWS: usize = 512;

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The model's end token or a stop string.
    Stop,
    /// `max_tokens` or the end of the context.
    Length,
}

/// What a sequence tells whoever asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Text that follows what came before; never empty.
    Text(String),
    /// The last event. `generated` counts every token that was sampled, the end token too.
    Done { finish: Finish, generated: usize },
}

/// One answer to make.
#[derive(Debug)]
pub(crate) struct Job {
    /// At least one token, fewer than the context holds.
    pub(crate) prompt: Vec<u32>,
    /// At least 1; the context bounds it too.
    pub(crate) max_tokens: usize,
    pub(crate) sampling: Sampling,
    pub(crate) stops: Vec<String>,
    /// Go on after an end token: for benchmarks, which need answers of a known length.
    pub(crate) ignore_end: bool,
    /// Dropping the receiver cancels the job. Unbounded, because `max_tokens` bounds what is sent.
    pub(crate) events: UnboundedSender<Event>,
}

/// What the model thread can be told.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Job),
    /// Finish what was taken, then end.
    Stop,
}

struct Sequence {
    tokens: Vec<u32>,
    cache: Cache,
    sampler: Sampler,
    text: TextStream,
    generated: usize,
    max_tokens: usize,
    ignore_end: bool,
    events: UnboundedSender<Event>,
}

/// The model thread's state.
pub(crate) struct Runner {
    model: Forward,
    tokenizer: Arc<Tokenizer>,
    gauges: Arc<Gauges>,
    context: usize,
    scheduler: Scheduler,
    sequences: BTreeMap<SequenceId, Sequence>,
    next_id: SequenceId,
}

impl Runner {
    pub(crate) fn new(
        model: Forward,
        tokenizer: Arc<Tokenizer>,
        gauges: Arc<Gauges>,
        bounds: Bounds,
    ) -> Self {
        let limits = Limits {
            sequences: bounds.sequences,
            prompt_rows: bounds.prompt_rows,
            block: BLOCK_TOKENS,
            blocks: bounds.cache_tokens.max(bounds.context).div_ceil(BLOCK_TOKENS),
        };
        gauges.cache_blocks_total.store(limits.blocks, Relaxed);
        let scheduler = Scheduler::new(limits);
        let context = bounds.context;
        Self { model, tokenizer, gauges, context, scheduler, sequences: BTreeMap::new(), next_id: 0 }
    }

    /// Works until told to stop, or until nobody can send commands any more.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let mut stopping = false;
        loop {
            if self.scheduler.is_empty() {
                self.publish();
                match commands.recv() {
                    Ok(Command::Run(job)) => self.take(job),
                    Ok(Command::Stop) | Err(_) => return,
                }
            }
            while let Ok(command) = commands.try_recv() {
                match command {
                    Command::Run(job) => self.take(job),
                    Command::Stop => stopping = true,
                }
            }
            self.drop_cancelled();
            self.step();
            if stopping && self.scheduler.is_empty() {
                return self.publish();
            }
        }
    }

    /// Takes a job into the queue.
    pub(crate) fn take(&mut self, job: Job) {
        let id = self.next_id;
        self.next_id += 1;
        let room = self.context.saturating_sub(job.prompt.len());
        self.scheduler.submit(id, job.prompt.len());
        let sequence = Sequence {
            tokens: job.prompt,
            cache: Cache::default(),
            sampler: Sampler::new(job.sampling),
            text: TextStream::new(job.stops),
            generated: 0,
            max_tokens: job.max_tokens.min(room),
            ignore_end: job.ignore_end,
            events: job.events,
        };
        self.sequences.insert(id, sequence);
    }

    /// Forgets sequences that nobody listens to any more.
    pub(crate) fn drop_cancelled(&mut self) {
        let gone = self.sequences.extract_if(.., |_, sequence| sequence.events.is_closed());
        for (id, _) in gone {
            self.scheduler.remove(id);
            self.gauges.cancelled.fetch_add(1, Relaxed);
        }
    }

    /// One forward pass over whatever the scheduler planned. Returns how many tokens were sampled.
    pub(crate) fn step(&mut self) -> usize {
        let Plan { shares, dropped } = self.scheduler.plan();
        for id in dropped {
            if let Some(sequence) = self.sequences.get_mut(&id) {
                sequence.cache = Cache::default();
            }
            self.gauges.recomputed.fetch_add(1, Relaxed);
        }
        self.publish();
        // Taken out of the map while they run, because the pass borrows all their caches at once.
        let take = |share: Share| self.sequences.remove(&share.id).map(|sequence| (share, sequence));
        let mut active: Vec<_> = shares.into_iter().filter_map(take).collect();
        let mut pieces: Vec<_> = active.iter_mut().map(|(share, sequence)| sequence.piece(*share)).collect();
        if pieces.is_empty() {
            return 0;
        }
        let rows: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
        let mut logits = self.model.run(&mut pieces).into_iter();
        self.gauges.steps.fetch_add(1, Relaxed);
        self.gauges.rows.fetch_add(rows as u64, Relaxed);
        let sampled = logits.len();
        for (share, sequence) in active {
            let logits = if share.sample { logits.next() } else { None };
            self.settle(share, sequence, logits.as_deref());
        }
        sampled
    }

    /// Samples if there is something to sample from; keeps the sequence if it goes on.
    fn settle(&mut self, share: Share, mut sequence: Sequence, logits: Option<&[f32]>) {
        let finish = logits.and_then(|logits| {
            if sequence.generated == 0 {
                self.gauges.prompt_tokens.fetch_add(sequence.tokens.len() as u64, Relaxed);
            }
            self.gauges.generated_tokens.fetch_add(1, Relaxed);
            sequence.take_token(logits, &self.tokenizer)
        });
        self.scheduler.advance(share, finish.is_none());
        let Some(finish) = finish else {
            self.sequences.insert(share.id, sequence);
            return;
        };
        self.scheduler.remove(share.id);
        let count = match finish {
            Finish::Stop => &self.gauges.finished_stop,
            Finish::Length => &self.gauges.finished_length,
        };
        count.fetch_add(1, Relaxed);
        let last = sequence.text.finish();
        sequence.say(last);
        // Nobody may listen any more; then there is nobody to tell.
        let _ = sequence.events.send(Event::Done { finish, generated: sequence.generated });
    }

    fn publish(&self) {
        self.gauges.running.store(self.scheduler.running(), Relaxed);
        self.gauges.waiting.store(self.scheduler.waiting(), Relaxed);
        self.gauges.cache_blocks.store(self.scheduler.blocks(), Relaxed);
    }

    /// Whether nothing is queued or running.
    pub(crate) fn is_idle(&self) -> bool {
        self.scheduler.is_empty()
    }

    /// Whether some sequence has not said its first token yet.
    pub(crate) fn is_reading(&self) -> bool {
        self.sequences.values().any(|sequence| sequence.generated == 0)
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner").field("scheduler", &self.scheduler).finish_non_exhaustive()
    }
}

/// What bounds a runner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) sequences: usize,
    pub(crate) prompt_rows: usize,
    /// Tokens of one sequence, prompt and answer.
    pub(crate) context: usize,
    /// Tokens in the cache, all sequences together; never less than one context.
    pub(crate) cache_tokens: usize,
}

impl Sequence {
    fn piece(&mut self, share: Share) -> Piece<'_> {
        let from = self.cache.len();
        let tokens = &self.tokens[from..from + share.rows];
        Piece { tokens, cache: &mut self.cache, logits: share.sample }
    }

    /// Chooses the next token and says what it says; `Some` if it is the last one.
    fn take_token(&mut self, logits: &[f32], tokenizer: &Tokenizer) -> Option<Finish> {
        let token = self.sampler.choose(logits);
        self.generated += 1;
        self.tokens.push(token);
        if tokenizer.is_end(token) && !self.ignore_end {
            return Some(Finish::Stop);
        }
        let text = self.text.push(tokenizer.token_bytes(token));
        self.say(text);
        if self.text.stopped() {
            return Some(Finish::Stop);
        }
        (self.generated >= self.max_tokens).then_some(Finish::Length)
    }

    fn say(&self, text: String) {
        if !text.is_empty() {
            // A listener that left is noticed before the next step.
            let _ = self.events.send(Event::Text(text));
        }
    }
}
