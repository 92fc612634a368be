//! How long a decision takes.

use nova_route::choose::{Aim, Offer, rank};
use nova_route::features::{Features, extract};
use nova_route::quality::{Judgement, Quality};

/// How long decisions on prompts of one length took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Bytes of each prompt.
    pub bytes: usize,
    /// How many decisions.
    pub decisions: usize,
    /// Half took no longer.
    pub p50: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
    /// None took longer.
    pub max: u64,
    /// 99 of 100 prompts took no longer at their fastest of all their decisions: the work alone, without what the
    /// machine did meanwhile.
    pub undisturbed: u64,
}

/// Times whole decisions, from a text to the ranking of the models: features, quality, choice. `texts` are cut to
/// `bytes` or repeated until they are as long.
pub fn time(
    quality: &Quality,
    texts: &[&str],
    bytes: usize,
    decisions: usize,
    clock: &dyn Fn() -> u64,
) -> Times {
    let prompts: Vec<String> = (0..texts.len().min(64)).map(|at| of_length(texts, at, bytes)).collect();
    let (mut features, mut judgement, mut offers) = (Features::default(), Judgement::default(), Vec::new());
    let mut took = Vec::with_capacity(decisions);
    let mut fastest = vec![u64::MAX; prompts.len()];
    for at in 0..decisions {
        let Some(prompt) = prompts.get(at % prompts.len().max(1)) else { break };
        let from = clock();
        extract(prompt, &mut features);
        quality.judge(&features, &mut judgement);
        offers.clear();
        offers.extend(judgement.models.iter().map(|expected| Offer {
            cost: expected.output_tokens.unwrap_or(1.0).into(),
            quality: expected.quality.into(),
            low: expected.low.into(),
            ttft_ms: None,
            tokens_per_s: None,
        }));
        std::hint::black_box(rank(&Aim::of(Default::default()), &offers));
        let nanos = clock().saturating_sub(from);
        took.push(nanos);
        let best = &mut fastest[at % prompts.len()];
        *best = nanos.min(*best);
    }
    took.sort_unstable();
    fastest.sort_unstable();
    let at = |of: &[u64], share: usize| {
        of.get(of.len().saturating_sub(1) * share / 100).copied().unwrap_or_default()
    };
    Times {
        bytes,
        decisions: took.len(),
        p50: at(&took, 50),
        p99: at(&took, 99),
        max: at(&took, 100),
        undisturbed: at(&fastest, 99),
    }
}

fn of_length(texts: &[&str], from: usize, bytes: usize) -> String {
    let mut prompt = String::with_capacity(bytes + 4);
    for text in texts.iter().cycle().skip(from) {
        if prompt.len() >= bytes {
            break;
        }
        prompt.push_str(text);
        prompt.push('\n');
    }
    prompt.truncate(prompt.floor_char_boundary(bytes));
    prompt
}
