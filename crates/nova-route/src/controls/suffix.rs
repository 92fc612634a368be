//! What the end of a model's name asks for: `deepseek-v4-pro:floor`, `qwen3-235b:nitro:thinking`.

use super::Sort;

/// What the suffixes of a name ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suffixes {
    /// `:floor` sorts by price, `:nitro` by throughput.
    pub sort: Option<Sort>,
    /// `:thinking` switches thinking on, `:nothink` off.
    pub thinking: Option<bool>,
}

impl Suffixes {
    /// These suffixes, with those of another name for what they leave open.
    #[must_use]
    pub fn over(self, base: Self) -> Self {
        Self { sort: self.sort.or(base.sort), thinking: self.thinking.or(base.thinking) }
    }
}

/// A name without its suffixes, and what those ask for.
///
/// A name that `is_known` as it stands is left whole, and so is what no suffix ends: models may be called
/// `qwen3:8b`. Suffixes may follow one another; of two that contradict each other the last one counts.
pub fn suffixed(name: &str, is_known: impl Fn(&str) -> bool) -> (&str, Suffixes) {
    let (mut rest, mut suffixes) = (name, Suffixes::default());
    while let Some((before, word)) = rest.rsplit_once(':') {
        let is = |suffix: &str| word.eq_ignore_ascii_case(suffix);
        let found = if is("floor") {
            Suffixes { sort: Some(Sort::Price), thinking: None }
        } else if is("nitro") {
            Suffixes { sort: Some(Sort::Throughput), thinking: None }
        } else if is("thinking") {
            Suffixes { sort: None, thinking: Some(true) }
        } else if is("nothink") {
            Suffixes { sort: None, thinking: Some(false) }
        } else {
            break;
        };
        if before.is_empty() || is_known(rest) {
            break;
        }
        suffixes = suffixes.over(found);
        rest = before;
    }
    (rest, suffixes)
}
