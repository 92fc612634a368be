//! What cannot serve a request, and why.

use crate::facts::Facts;
use crate::plan::{Missing, Why};
use crate::table::Model;

/// A prompt counts as too long for a context when its estimate is longer by a quarter: estimates are
/// off by less than that, and a client who is close to the limit wants the model that he asked for.
const CLEARLY: u64 = 4;

/// What a request needs and a model cannot do.
pub(crate) fn missing(facts: &Facts<'_>, model: &Model) -> Option<Missing> {
    match facts {
        facts if facts.has_images && !model.images => Some(Missing::Images),
        facts if facts.has_tools && !model.tools => Some(Missing::Tools),
        _ => None,
    }
}

/// Whether a prompt is clearly longer than a model's context.
pub(crate) fn overflows(facts: &Facts<'_>, model: &Model) -> Option<Why> {
    let context = model.context?;
    let clearly = facts.prompt_tokens > context.saturating_add(context / CLEARLY);
    clearly.then_some(Why::TooLong { context })
}

/// Whether a prompt and its answer do not fit into a model, for a choice that is ours: then what is close
/// to the limit is left to models with room.
pub(crate) fn no_room(facts: &Facts<'_>, model: &Model) -> Option<Why> {
    let needed = facts.prompt_tokens.saturating_add(facts.max_tokens.unwrap_or(0));
    if let Some(context) = model.context.filter(|&context| needed > context) {
        return Some(Why::TooLong { context });
    }
    let short = model.max_output.filter(|&most| facts.max_tokens.is_some_and(|asked| asked > most));
    short.map(|most| Why::ShortAnswers { most })
}
