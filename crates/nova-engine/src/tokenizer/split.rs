//! Cuts text into words before merging: what the models' regular expressions say, written out by hand.
//!
//! Source of the expressions: `llama_vocab_type_bpe` in llama.cpp's `llama-vocab.cpp`.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::error::EngineError;

/// The ways of cutting that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// As GPT-2 after each digit has been cut out as a word of its own.
    Smollm,
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,n}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    Llama3 { digits: usize },
}

impl Rules {
    /// The rules that a file's `tokenizer.ggml.pre` names.
    pub(super) fn named(name: &str) -> Result<Self, EngineError> {
        Ok(match name {
            "default" | "gpt-2" | "gpt2" => Self::Gpt2,
            "smollm" => Self::Smollm,
            "llama-bpe" | "llama3" | "llama-v3" => Self::Llama3 { digits: 3 },
            "qwen2" => Self::Llama3 { digits: 1 },
            other => {
                let reason =
                    format!("its tokenizer cuts words by the rules `{other}`, which are not built in");
                return Err(EngineError::Unsupported(reason));
            }
        })
    }

    /// Whether a word that is a token is taken whole, without trying merges.
    pub(super) fn whole_words_first(self) -> bool {
        matches!(self, Self::Llama3 { digits: 3 })
    }

    /// Cuts `text`; the words joined are the text again.
    pub(super) fn words(self, text: &str) -> Vec<&str> {
        match self {
            Self::Gpt2 => cut(text, gpt2_word),
            Self::Smollm => {
                cut(text, digits_apart).into_iter().flat_map(|part| cut(part, gpt2_word)).collect()
            }
            Self::Llama3 { digits } => cut(text, |rest| llama3_word(rest, digits)),
        }
    }
}

/// Calls `word` for the length of each word in turn. A length of 0 would not end, so it counts as one character.
fn cut(text: &str, word: impl Fn(&str) -> usize) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (head, tail) = rest.split_at(word(rest).max(first.len_utf8()));
        words.push(head);
        rest = tail;
    }
    words
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

fn class(c: char) -> Class {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' => Class::Letter,
            '0'..='9' => Class::Number,
            ' ' | '\t'..='\r' => Class::Space,
            _ => Class::Other,
        };
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter => Class::Letter,
        GeneralCategoryGroup::Number => Class::Number,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

/// Bytes of the leading run of characters of one class.
fn run(text: &str, wanted: Class) -> usize {
    text.find(|c| class(c) != wanted).unwrap_or(text.len())
}

/// One digit, or all up to the next one.
fn digits_apart(rest: &str) -> usize {
    match rest.char_indices().find(|(_, c)| class(*c) == Class::Number) {
        Some((0, digit)) => digit.len_utf8(),
        Some((at, _)) => at,
        None => rest.len(),
    }
}

fn gpt2_word(rest: &str) -> usize {
    if let Some(len) = contraction(rest, str::starts_with) {
        return len;
    }
    let after_space = rest.strip_prefix(' ').unwrap_or(rest);
    let lead = rest.len() - after_space.len();
    match after_space.chars().next().map(class) {
        Some(Class::Space) | None => spaces(rest),
        Some(kind) => lead + run(after_space, kind),
    }
}

fn llama3_word(rest: &str, digits: usize) -> usize {
    if let Some(len) = contraction(rest, starts_with_ignoring_case) {
        return len;
    }
    let mut chars = rest.chars();
    let Some(first) = chars.next() else { return 0 };
    let kind = class(first);
    let after_first = chars.as_str();
    if kind == Class::Letter {
        return run(rest, Class::Letter);
    }
    if kind != Class::Number
        && !matches!(first, '\r' | '\n')
        && after_first.chars().next().map(class) == Some(Class::Letter)
    {
        return first.len_utf8() + run(after_first, Class::Letter);
    }
    if kind == Class::Number {
        return rest
            .chars()
            .take(digits)
            .take_while(|c| class(*c) == Class::Number)
            .map(char::len_utf8)
            .sum();
    }
    let after_space = rest.strip_prefix(' ').unwrap_or(rest);
    if after_space.chars().next().map(class) == Some(Class::Other) {
        let end = rest.len() - after_space.len() + run(after_space, Class::Other);
        let breaks = rest[end..].find(|c| !matches!(c, '\r' | '\n')).unwrap_or(rest.len() - end);
        return end + breaks;
    }
    let all = &rest[..run(rest, Class::Space)];
    match all.rfind(['\r', '\n']) {
        Some(last_break) => last_break + 1,
        None => spaces(rest),
    }
}

/// A run of spaces; its last one belongs to the word that follows, if there is one.
fn spaces(rest: &str) -> usize {
    let len = run(rest, Class::Space);
    let last = rest[..len].chars().next_back().map_or(0, char::len_utf8);
    if len < rest.len() && len > last { len - last } else { len }
}

fn contraction(rest: &str, starts: impl Fn(&str, &'static str) -> bool) -> Option<usize> {
    if !rest.starts_with('\'') {
        return None;
    }
    ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].into_iter().find(|end| starts(rest, end)).map(str::len)
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}
