//! What is wrong with a configuration, and how it is shown.
//!
//! Invariant: no secret is shown. Values that a `${…}` stood for never get into a message, and in the
//! lines that are quoted, whatever follows a key such as `key:` or `token:` is starred out.

use std::fmt::{self, Write as _};

/// Where something is in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1; 0 where nobody knows.
    pub line: u32,
    /// The column, from 1, in characters.
    pub column: u32,
    /// How many characters of the line it takes.
    pub width: u32,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as far as that is known.
    pub place: Place,
    /// What, with values in backticks.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// All that is wrong with a configuration. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file as it was named, or another word for where the text came from.
    pub source: String,
    /// By line.
    pub list: Vec<Problem>,
    /// The lines of the problems, starred, as they are quoted; in the order of `list`.
    quotes: Vec<Option<String>>,
}

/// Shorter texts are no secrets.
const SHORTEST_SECRET: usize = 6;

impl Problem {
    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self::at(Place::default(), message)
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Stars out these texts, wherever a message repeats one. Short ones cannot be secrets, and would be
    /// found where they are not meant.
    pub(crate) fn hide(&mut self, secrets: &[String]) {
        for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            self.message = self.message.replace(secret, "***");
            self.hint = self.hint.take().map(|hint| hint.replace(secret, "***"));
        }
    }
}

impl Problems {
    /// The problems of a text, in the order of its lines.
    pub(crate) fn new(source: &str, text: &str, mut list: Vec<Problem>) -> Self {
        let order = |problem: &Problem| (problem.place.line == 0, problem.place, problem.message.clone());
        list.sort_by_cached_key(order);
        list.dedup();
        let lines: Vec<&str> = text.lines().collect();
        let quote = |problem: &Problem| {
            let line = (problem.place.line as usize).checked_sub(1)?;
            lines.get(line).map(|line| starred(line))
        };
        let quotes = list.iter().map(quote).collect();
        Self { source: source.to_owned(), list, quotes }
    }

    /// All of them in one line, for a log or a status.
    pub fn summary(&self) -> String {
        let first = self.list.first().map(|problem| {
            let place = problem.place;
            match place.line {
                0 => format!("{}: {}", self.source, problem.message),
                line => format!("{}:{line}:{}: {}", self.source, place.column, problem.message),
            }
        });
        let first = first.unwrap_or_default();
        match self.list.len() {
            0 | 1 => first,
            count => format!("{first} (and {} more)", count - 1),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (problem, quote)) in self.list.iter().zip(&self.quotes).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            f.write_str("error: ")?;
            f.write_str(&problem.message)?;
            write!(f, "\n  --> {}", self.source)?;
            if problem.place.line > 0 {
                write!(f, ":{}:{}", problem.place.line, problem.place.column)?;
            }
            if let Some(quote) = quote {
                write_quote(f, problem.place, quote)?;
            }
            if let Some(hint) = &problem.hint {
                write!(f, "\nhint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Lines longer than this are cut around the problem.
const LONGEST_QUOTE: usize = 100;

fn write_quote(f: &mut fmt::Formatter<'_>, place: Place, line: &str) -> fmt::Result {
    let column = (place.column as usize).saturating_sub(1);
    // A very long line is shown from a little before the problem on.
    let skipped = if column > LONGEST_QUOTE - 20 { column - 20 } else { 0 };
    let dots = if skipped > 0 { "…" } else { "" };
    let shown: String = line.chars().skip(skipped).take(LONGEST_QUOTE).map(visible).collect();
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(column - skipped + dots.chars().count());
    let room = shown.chars().count().saturating_sub(column - skipped).max(1);
    let carets = "^".repeat((place.width as usize).clamp(1, room));
    let shown = shown.trim_end();
    write!(f, "\n{margin} |\n{number} | {dots}{shown}\n{margin} | {indent}{carets}")
}

/// Tabs and control characters take one column and change nothing on a terminal.
fn visible(letter: char) -> char {
    if letter.is_control() { ' ' } else { letter }
}

/// Keys whose values are secrets.
const SECRET_KEYS: [&str; 9] =
    ["key", "api_key", "apikey", "api-key", "x-api-key", "secret", "token", "password", "authorization"];

/// A line with the values of secret keys starred out, but for references to where they are.
fn starred(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(colon) = rest.find(':') {
        let (before, after) = rest.split_at(colon + 1);
        shown.push_str(before);
        rest = after;
        let word = before[..colon].trim_end_matches(['"', '\'', ' ']);
        let start = word.rfind(|letter: char| !(letter.is_alphanumeric() || "_-".contains(letter)));
        let word =
            start.map_or(word, |start| word[start..].trim_start_matches(|c: char| !c.is_alphanumeric()));
        if !SECRET_KEYS.iter().any(|key| key.eq_ignore_ascii_case(word)) {
            continue;
        }
        let value = rest.trim_start().trim_start_matches(['"', '\'']);
        if value.starts_with("${") {
            continue;
        }
        let end = rest.find([',', '}', ']']).unwrap_or(rest.len());
        let stars = rest[..end].chars().map(|letter| if letter == ' ' { ' ' } else { '*' });
        shown.extend(stars);
        rest = &rest[end..];
    }
    shown.push_str(rest);
    without_user(shown)
}

/// A line with what stands before the `@` of its URLs starred out.
fn without_user(line: String) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line.as_str();
    while let Some((before, after)) = rest.split_once("//") {
        shown.push_str(before);
        shown.push_str("//");
        let end = after.find(['/', ' ', '"', '\'']).unwrap_or(after.len());
        let user = after[..end].rfind('@').unwrap_or(0);
        shown.extend(after[..user].chars().map(|_| '*'));
        rest = &after[user..];
    }
    shown.push_str(rest);
    shown
}

/// `` `a`, `b` or `c` ``
pub(crate) fn either(words: &[&str]) -> String {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        let before = match index {
            0 => "",
            index if index + 1 == words.len() => " or ",
            _ => ", ",
        };
        // Writing to a text cannot fail.
        let _ = write!(text, "{before}`{word}`");
    }
    text
}

/// ``did you mean `x`?`` for the known word that looks most like this one.
pub(crate) fn did_you_mean<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<String> {
    if word.len() > 64 {
        return None;
    }
    let folded = word.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = strsim::jaro_winkler(&folded, &candidate.to_lowercase());
        if likeness >= 0.8 && best.is_none_or(|(before, _)| likeness > before) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secret_keys_are_starred_in_quoted_lines() {
        for (line, expected) in [
            ("    key: sk-planted", "    key: **********"),
            (
                "  - { name: a, key: \"sk-planted\", wieght: 3 }",
                "  - { name: a, key: ************, wieght: 3 }",
            ),
            ("    \"api_key\":sk-planted", "    \"api_key\":**********"),
            ("    key: \"${DEEPSEEK_API_KEY}\"", "    key: \"${DEEPSEEK_API_KEY}\""),
            ("    Authorization: Bearer planted", "    Authorization: ****** *******"),
            ("    monkey: banana", "    monkey: banana"),
            ("    max_tokens: 12", "    max_tokens: 12"),
            ("base_url: https://a:b@c/v1", "base_url: https://***@c/v1"),
            ("a: http://x/@y // b@c", "a: http://x/@y // b@c"),
        ] {
            assert_eq!(starred(line), expected);
        }
    }

    #[test]
    fn words_are_listed_and_the_likeliest_is_suggested() {
        assert_eq!(either(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(either(&["a"]), "`a`");
        assert_eq!(
            did_you_mean("timout", ["timeouts", "total"]).as_deref(),
            Some("did you mean `timeouts`?")
        );
        assert_eq!(did_you_mean("zzz", ["timeouts", "total"]), None);
        assert_eq!(did_you_mean(&"x".repeat(1000), ["x"]), None);
    }
}
