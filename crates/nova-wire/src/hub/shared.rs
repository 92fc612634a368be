//! Fields that two dialects know and the hub has no room for: they go across by their names.

use serde_json::{Map, Value};

use crate::dialect::Dialect;

/// In chat and in Gemini.
pub(crate) const GEMINI: [(&str, &str); 3] = [
    ("seed", "generationConfig.seed"),
    ("presence_penalty", "generationConfig.presencePenalty"),
    ("frequency_penalty", "generationConfig.frequencyPenalty"),
];

/// In chat and in Responses. The other way round they stay behind: of the hosts that speak chat only OpenAI's
/// own know them, and some refuse what they do not know.
const RESPONSES: [(&str, &str); 6] = [
    ("metadata", "metadata"),
    ("prompt_cache_key", "prompt_cache_key"),
    ("prompt_cache_retention", "prompt_cache_retention"),
    ("safety_identifier", "safety_identifier"),
    ("service_tier", "service_tier"),
    ("verbosity", "text.verbosity"),
];

/// Takes out of a request's extra fields those that the target's dialect knows as well, by its names.
pub(crate) fn take(client: Dialect, target: Dialect, extra: &mut Map<String, Value>) -> Map<String, Value> {
    let (table, back): (&[(&str, &str)], bool) = match (client, target) {
        (Dialect::Chat, Dialect::Gemini) => (&GEMINI, false),
        (Dialect::Gemini, Dialect::Chat) => (&GEMINI, true),
        (Dialect::Chat, Dialect::Responses) => (&RESPONSES, false),
        _ => (&[], false),
    };
    let mut kept = Map::new();
    for (chat, other) in table {
        let (from, to) = if back { (other, chat) } else { (chat, other) };
        kept.extend(extra.shift_remove(*from).map(|value| ((*to).to_owned(), value)));
    }
    kept
}
