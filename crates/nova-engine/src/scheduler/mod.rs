//! Which rows the next step computes: pure, without clock or IO. Time is counted in steps.
//!
//! Each step takes one row for every sequence that is answering, then fills what is left of the row budget with prompts,
//! the one with the least left to read first. Waiting makes a prompt count as shorter, so none starves. Sequences are
//! let in while there is room in the cache for their prompt; when answers outgrow the cache, the newest sequence gives
//! its room back and reads its prompt and answer so far again later.
//!
//! Length-aware order and chunked prompts follow Sarathi-Serve (Agrawal et al., 2024) and FastServe (Wu et al., 2023).

#[cfg(test)]
mod tests;

/// Names a sequence towards the scheduler.
pub(crate) type SequenceId = u64;

/// The bounds of a scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Sequences that hold cache at the same time.
    pub(crate) sequences: usize,
    /// Rows of a step that prompts may use.
    pub(crate) prompt_rows: usize,
    /// Positions per cache block.
    pub(crate) block: usize,
    /// Blocks that all sequences together may hold. Must hold the longest context there is.
    pub(crate) blocks: usize,
}

/// How many tokens a waiting prompt counts shorter for each step that it waited.
const AGING: usize = 16;

/// One sequence's share of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) id: SequenceId,
    /// Rows: the next `rows` of the sequence's tokens that are not in the cache yet.
    pub(crate) rows: usize,
    /// Whether these are the last tokens there are, so that the next one is sampled.
    pub(crate) sample: bool,
}

/// What to do next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) shares: Vec<Share>,
    /// Sequences whose cache is to be dropped now; they will be read again from their first token.
    pub(crate) dropped: Vec<SequenceId>,
}

#[derive(Debug, Clone)]
struct Sequence {
    id: SequenceId,
    /// Tokens known so far: the prompt and what has been sampled.
    tokens: usize,
    /// Of these, those whose keys and values are in the cache.
    cached: usize,
    since: u64,
    admitted: bool,
}

impl Sequence {
    fn left(&self) -> usize {
        self.tokens - self.cached
    }

    /// Answering: all but the newest token are cached.
    fn answers(&self) -> bool {
        self.admitted && self.left() == 1 && self.cached > 0
    }
}

/// The queue and the running sequences.
#[derive(Debug)]
pub(crate) struct Scheduler {
    limits: Limits,
    step: u64,
    /// In order of arrival; sequences that gave their room back keep their place.
    sequences: Vec<Sequence>,
}

impl Scheduler {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, step: 0, sequences: Vec::new() }
    }

    /// Takes a sequence with a prompt of `tokens` tokens, at least one.
    pub(crate) fn submit(&mut self, id: SequenceId, tokens: usize) {
        let tokens = tokens.max(1);
        self.sequences.push(Sequence { id, tokens, cached: 0, since: self.step, admitted: false });
    }

    /// Forgets a sequence, whatever it was doing.
    pub(crate) fn remove(&mut self, id: SequenceId) {
        self.sequences.retain(|sequence| sequence.id != id);
    }

    /// Sequences that hold cache.
    pub(crate) fn running(&self) -> usize {
        self.sequences.iter().filter(|sequence| sequence.admitted).count()
    }

    /// Sequences that wait for room.
    pub(crate) fn waiting(&self) -> usize {
        self.sequences.len() - self.running()
    }

    /// Cache blocks in use.
    pub(crate) fn blocks(&self) -> usize {
        self.sequences.iter().filter(|s| s.admitted).map(|s| self.blocks_for(s.tokens)).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Records that a planned share was computed, and that a token was sampled if it asked for one and goes on.
    pub(crate) fn advance(&mut self, share: Share, continues: bool) {
        if let Some(sequence) = self.sequences.iter_mut().find(|sequence| sequence.id == share.id) {
            sequence.cached += share.rows;
            sequence.tokens += usize::from(share.sample && continues);
        }
    }

    /// Plans the next step. Calling it twice without [`Scheduler::advance`] between plans the same rows again.
    pub(crate) fn plan(&mut self) -> Plan {
        self.step += 1;
        let mut plan = Plan { dropped: self.make_room(), ..Plan::default() };
        let answering = self.sequences.iter().filter(|sequence| sequence.answers());
        plan.shares.extend(answering.map(|sequence| Share { id: sequence.id, rows: 1, sample: true }));
        self.add_prompts(&mut plan);
        plan
    }

    fn add_prompts(&mut self, plan: &mut Plan) {
        let mut order: Vec<usize> =
            (0..self.sequences.len()).filter(|i| !self.sequences[*i].answers()).collect();
        order.sort_by_key(|i| self.urgency(&self.sequences[*i]));
        let mut budget = self.limits.prompt_rows;
        for i in order {
            if budget == 0 {
                return;
            }
            if !self.sequences[i].admitted {
                if !self.has_room(&self.sequences[i]) {
                    // Whoever is first in line is not overtaken for want of room, or it could wait for ever.
                    return;
                }
                self.sequences[i].admitted = true;
            }
            let sequence = &self.sequences[i];
            let rows = sequence.left().min(budget);
            budget -= rows;
            plan.shares.push(Share { id: sequence.id, rows, sample: rows == sequence.left() });
        }
    }

    /// Smaller is sooner: tokens left to read, less what the wait is worth; then the order of arrival.
    fn urgency(&self, sequence: &Sequence) -> (i64, SequenceId) {
        let waited = (self.step - sequence.since).saturating_mul(AGING as u64);
        let waited = i64::try_from(waited).unwrap_or(i64::MAX);
        (i64::try_from(sequence.left()).unwrap_or(i64::MAX).saturating_sub(waited), sequence.id)
    }

    fn has_room(&self, sequence: &Sequence) -> bool {
        self.running() < self.limits.sequences
            && self.blocks() + self.blocks_for(sequence.tokens) <= self.limits.blocks
    }

    /// Takes the room of the newest sequences back until all others fit.
    fn make_room(&mut self) -> Vec<SequenceId> {
        let mut dropped = Vec::new();
        while self.blocks() > self.limits.blocks && self.running() > 1 {
            let Some(newest) = self.sequences.iter_mut().rev().find(|sequence| sequence.admitted) else {
                break;
            };
            newest.admitted = false;
            newest.cached = 0;
            dropped.push(newest.id);
        }
        dropped
    }

    fn blocks_for(&self, tokens: usize) -> usize {
        tokens.div_ceil(self.limits.block)
    }
}
