//! Names that stand for many: `anthropic/*`, `gpt-4*`, `*:free`.
//!
//! A pattern has one `*`, which stands for any text, also none. It is compared in the way of all names, in any
//! spelling, in one pass over the name; where several match, the one that says most wins.

use crate::names::same;

/// What stands for any text.
const ANY: char = '*';

/// A name that stands for many.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    name: Box<str>,
    /// The model that is meant, by its place.
    pub(crate) model: u32,
}

impl Pattern {
    pub(crate) fn new(name: &str, model: u32) -> Self {
        Self { name: name.into(), model }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        part(&self.name, name).is_some()
    }

    /// How much it says: its letters beside the `*`.
    pub(crate) fn weight(&self) -> usize {
        self.name.len()
    }

    /// Whether it says the provider's part of a name, too.
    pub(crate) fn has_provider(&self) -> bool {
        self.name.split(ANY).next().is_some_and(|before| before.contains('/'))
    }
}

/// Whether a name stands for many.
pub fn is_pattern(name: &str) -> bool {
    name.contains(ANY)
}

/// The part of a name for which the `*` of a pattern stands, as it is written; `None` where the name is not meant.
pub fn part<'n>(pattern: &str, name: &'n str) -> Option<&'n str> {
    let (before, after) = pattern.split_once(ANY)?;
    let end = name.len().checked_sub(after.len()).filter(|end| *end >= before.len())?;
    let meant = same(name.get(..before.len())?, before) && same(name.get(end..)?, after);
    if meant { name.get(before.len()..end) } else { None }
}

/// A pattern with a text in the place of its `*`.
pub fn filled(pattern: &str, part: &str) -> String {
    pattern.replacen(ANY, part, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_any_spelling_and_keeps_the_part_as_it_is_written() {
        for (pattern, name, expected) in [
            ("anthropic/*", "anthropic/Claude-Opus-5", Some("Claude-Opus-5")),
            ("anthropic/*", "Anthropic/claude", Some("claude")),
            ("anthropic/*", "anthropic/", Some("")),
            ("anthropic/*", "anthropic", None),
            ("*:free", "a/b:free", Some("a/b")),
            ("gpt-4*-mini", "gpt_4.1-mini", Some(".1")),
            ("gpt-4*-mini", "gpt-4-min", None),
            ("a*a", "a", None),
            ("*", "通义", Some("通义")),
            ("a*", "通义", None),
            ("plain", "plain", None),
        ] {
            assert_eq!(part(pattern, name), expected, "{pattern} {name}");
        }
        assert_eq!(filled("anthropic/*", "x*"), "anthropic/x*");
    }
}
