//! A provider's words, made fit to be shown: cut, without secrets, and in the client's idiom.

use super::MAX_MESSAGE;
use crate::dialect::Dialect;

/// Beginnings by which keys are known. The beginning stays, the rest goes.
const KEY_PREFIXES: &[&str] = &[
    "nsk_", "sk-", "sk_", "gsk_", "xai-", "pplx-", "hf_", "AIza", "AKIA", "ASIA", "eyJ", "r8_", "csk-", "fw_",
];

/// Words after which a key is quoted, whatever it looks like.
const KEY_LABELS: &[&str] =
    &["key provided: ", "api key: ", "api key is ", "x-api-key: ", "bearer ", "token: "];

/// The longest prefix of at most `bytes` bytes that ends on a character boundary.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The text without what looks like keys, at most [`MAX_MESSAGE`] bytes.
pub(super) fn safe(text: &str) -> String {
    let text = cut(text, MAX_MESSAGE);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_key_letter) {
        masked.push_str(&rest[..start]);
        let (word, after) = word(&rest[start..]);
        rest = after;
        let Some(prefix) = secret_prefix(word, after, &masked) else {
            masked.push_str(word);
            continue;
        };
        masked.push_str(&word[..prefix]);
        masked.push('…');
        // Tokens and some providers' keys go on behind a dot.
        while let Some(after) = tail(rest) {
            rest = after;
        }
    }
    masked.push_str(rest);
    masked.truncate(masked.floor_char_boundary(MAX_MESSAGE));
    masked
}

fn is_key_letter(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '*')
}

/// The letters of a key that the text begins with, and what follows them.
fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter| !is_key_letter(letter)).unwrap_or(text.len()))
}

/// What follows a further part of a key: a dot and eight letters or more.
fn tail(text: &str) -> Option<&str> {
    let (more, after) = word(text.strip_prefix('.')?);
    (more.len() >= 8).then_some(after)
}

/// If the word is a secret, how much of it may be shown.
fn secret_prefix(word: &str, after: &str, before: &str) -> Option<usize> {
    let known =
        KEY_PREFIXES.iter().find(|prefix| word.starts_with(**prefix) && word.len() >= prefix.len() + 8);
    if let Some(prefix) = known {
        return Some(prefix.len());
    }
    // Zhipu's keys: 32 hexadecimal digits, a dot, and the secret.
    let zhipu =
        word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) && tail(after).is_some();
    let tail = &before[before.floor_char_boundary(before.len().saturating_sub(16))..];
    (zhipu || labelled(tail, word)).then_some(0)
}

fn labelled(tail: &str, word: &str) -> bool {
    let tail = tail.to_ascii_lowercase();
    let letters = word.chars().any(|letter| letter.is_ascii_digit() || matches!(letter, '-' | '_' | '*'));
    (letters || word.len() >= 16) && KEY_LABELS.iter().any(|label| tail.ends_with(label))
}

/// A context overflow in the words that the client's agents act on.
///
/// Claude Code compacts a conversation when the message begins with `prompt is too long`, and takes
/// the numbers from `A tokens > B maximum`; they are written where the provider gave both. Clients of
/// the other dialects go by the code `context_length_exceeded`, and read the provider's own words.
pub fn context_message(client: Dialect, upstream_message: &str) -> String {
    let words = safe(upstream_message.trim());
    if client != Dialect::Messages {
        return if words.is_empty() {
            "The prompt exceeds the model's context window.".to_owned()
        } else {
            words
        };
    }
    if let Some((asked, most)) = overflow(&words) {
        return format!("prompt is too long: {asked} tokens > {most} maximum");
    }
    if words.is_empty() {
        return "prompt is too long for the model's context window".to_owned();
    }
    if words.starts_with("prompt is too long") {
        return words;
    }
    format!("prompt is too long: {words}")
}

/// The tokens of the prompt and the most that fit. Providers name them in either order, so the
/// larger is the prompt; Anthropic's sum of prompt and answer is added up.
fn overflow(words: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = numbers(words).filter(|number| *number >= 256).take(3).collect();
    if let ([prompt, answer, most], true) = (numbers.as_slice(), words.contains("exceed context limit")) {
        return Some((prompt.saturating_add(*answer), *most));
    }
    match numbers.as_slice() {
        [one, other, ..] if one != other => Some((*one.max(other), *one.min(other))),
        _ => None,
    }
}

/// Numbers that stand alone: no parts of ids, decimals or words.
fn numbers(words: &str) -> impl Iterator<Item = u64> {
    words
        .split(|letter: char| !is_key_letter(letter) && letter != ',')
        .filter_map(|word| word.trim_matches(',').replace(',', "").parse().ok())
}
