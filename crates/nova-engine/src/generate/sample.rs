//! Choosing a token.

/// How to choose. `temperature` 0 is greedy and ignores the rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampling {
    pub(crate) temperature: f32,
    /// Keep the most likely tokens that together reach this probability (Holtzman et al., 2020).
    pub(crate) top_p: f32,
    /// Keep this many of the most likely tokens; 0 keeps all.
    pub(crate) top_k: usize,
    pub(crate) seed: u64,
}

/// Candidates looked at first; nearly always they hold all that `top_p` asks for.
const FIRST_CANDIDATES: usize = 256;

/// Chooses tokens for one sequence, repeatably.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    state: u64,
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling) -> Self {
        Self { state: sampling.seed, sampling, candidates: Vec::new() }
    }

    /// The next token. Of equally likely ones the first wins.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> u32 {
        if self.sampling.temperature <= 0.0 {
            return greedy(logits);
        }
        // One number is drawn per token whatever happens, so that a repeated run stays in step.
        let draw = self.uniform();
        let total = self.weigh(logits);
        let kept = self.keep(total);
        let sum: f32 = self.candidates[..kept].iter().map(|(weight, _)| weight).sum();
        let mut rest = draw * sum;
        for (weight, token) in &self.candidates[..kept] {
            rest -= weight;
            if rest < 0.0 {
                return *token;
            }
        }
        // Rounding can leave a hair above 0 after the last one.
        self.candidates[..kept].last().map_or(0, |(_, token)| *token)
    }

    /// Fills `candidates` with unnormalised probabilities; returns their sum.
    fn weigh(&mut self, logits: &[f32]) -> f32 {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = 1.0 / self.sampling.temperature;
        let weights = logits.iter().map(|logit| ((logit - most) * scale).exp());
        self.candidates.clear();
        // NaN weighs nothing, as does what underflows to 0.
        self.candidates.extend(weights.zip(0..).filter(|(weight, _)| *weight > 0.0));
        if self.candidates.is_empty() {
            self.candidates.push((1.0, greedy(logits)));
        }
        self.candidates.iter().map(|(weight, _)| weight).sum()
    }

    /// Sorts the candidates that may be chosen to the front; returns their number, at least one.
    ///
    /// With both limits, `top_p` counts within what `top_k` left, as in llama.cpp and vLLM.
    fn keep(&mut self, total: f32) -> usize {
        let Sampling { top_k, top_p, .. } = self.sampling;
        let all = self.candidates.len();
        let most = if top_k == 0 { all } else { top_k.min(all) };
        if most == all && top_p >= 1.0 {
            return all;
        }
        let mut sorted = if top_k == 0 { FIRST_CANDIDATES.min(all) } else { most };
        loop {
            self.sort(sorted);
            let front = &self.candidates[..sorted];
            let whole = if top_k == 0 { total } else { front.iter().map(|(weight, _)| weight).sum() };
            let mut sum = 0.0;
            let enough = front.iter().position(|(weight, _)| {
                sum += weight;
                sum >= top_p * whole
            });
            match enough {
                Some(last) => return last + 1,
                None if sorted == most => return most,
                None => sorted = (sorted * 8).min(most),
            }
        }
    }

    /// Brings the `count` heaviest candidates to the front, in order.
    fn sort(&mut self, count: usize) {
        let heavier = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if count < self.candidates.len() {
            self.candidates.select_nth_unstable_by(count - 1, heavier);
        }
        self.candidates[..count].sort_unstable_by(heavier);
    }

    /// A number in [0, 1) from SplitMix64 (Steele et al., 2014).
    fn uniform(&mut self) -> f32 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1_u64 << 24) as f32
    }
}

fn greedy(logits: &[f32]) -> u32 {
    let mut best = (f32::NEG_INFINITY, 0);
    for (logit, token) in logits.iter().zip(0..) {
        if *logit > best.0 {
            best = (*logit, token);
        }
    }
    best.1
}
