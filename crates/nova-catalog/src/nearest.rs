//! Which known names a wrong one may have meant.

/// At most `n` of the known names, the most alike first; none that is not alike at all.
///
/// Letter case and separators do not count: `GPT5_mini` is `gpt-5-mini`. What counts is the number of
/// letters inserted, removed, replaced or swapped (Damerau–Levenshtein), and a third of the name may be
/// wrong. Where names are equally alike, the one with a longer common beginning comes first, then the one
/// that stood first.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>, n: usize) -> Vec<&'a str> {
    let wanted = bare(name);
    let allowed = (wanted.chars().count() / 3).max(2);
    let alike = |(index, known): (usize, &'a str)| {
        let candidate = bare(known);
        let distance = strsim::osa_distance(&wanted, &candidate);
        let common = wanted.chars().zip(candidate.chars()).take_while(|(a, b)| a == b).count();
        let counts = distance <= allowed && distance < candidate.len();
        counts.then_some((distance, usize::MAX - common, index, known))
    };
    let mut found: Vec<_> = known.enumerate().filter_map(alike).collect();
    found.sort_unstable();
    found.into_iter().take(n).map(|(_, _, _, known)| known).collect()
}

/// The letters and digits, in lower case; no more than names have, so that a hostile one costs little.
fn bare(name: &str) -> String {
    const LONGEST: usize = 80;
    name.chars().filter(|c| c.is_alphanumeric()).take(LONGEST).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 6] =
        ["deepseek-v4-pro", "deepseek-v4-flash", "qwen3-235b-a22b", "gpt-5-mini", "gpt-5", "kimi-k2.6"];

    fn check(name: &str, expected: &[&str]) {
        assert_eq!(nearest(name, KNOWN.into_iter(), 2), expected, "{name}");
    }

    #[test]
    fn slips_find_the_name_that_was_meant() {
        check("deepsek-v4-pro", &["deepseek-v4-pro"]);
        check("DeepSeek V4 Por", &["deepseek-v4-pro"]);
        check("qwen3-325b-a22b", &["qwen3-235b-a22b"]);
        check("GPT5_mini", &["gpt-5-mini"]);
        check("gpt5", &["gpt-5"]);
        check("kimi-2.6", &["kimi-k2.6"]);
        check("deepseek-v4", &["deepseek-v4-pro"]);
    }

    #[test]
    fn what_is_like_nothing_finds_nothing() {
        check("", &[]);
        check("llama-guard", &[]);
        check(&"x".repeat(1_000_000), &[]);
    }
}
