//! Ids and names of tools in letters that every dialect takes, without any memory of our own.
//!
//! Moonshot's ids look like `functions.search:0` and must come back to it unchanged, while Anthropic
//! wants `^[a-zA-Z0-9_-]{1,64}$`. So a word outside of that alphabet is spelled in it ([`to_word`]),
//! and read back when a client replays it ([`from_word`]).
//!
//! Invariant: `from_word(to_word(x)) == x` for every `x`, and two words are never spelled alike.

use std::borrow::Cow;

/// The mark of a spelled word. A word that happens to begin with it is spelled as well.
const MARK: &str = "ns1_";

/// The longest id of a tool call that Anthropic takes, in bytes.
pub(crate) const LONGEST_ID: usize = 64;

/// The longest tool name that Anthropic takes, in bytes.
pub(crate) const LONGEST_NAME: usize = 128;

/// The word in the alphabet `[a-zA-Z0-9_-]`; unchanged where it already is.
///
/// `-` escapes: `--` is itself, `-d` a dot, `-c` a colon, `-s` a slash, `-x` two hexadecimal digits.
pub(crate) fn to_word(id: &str) -> Cow<'_, str> {
    if !id.starts_with(MARK) && id.bytes().all(is_word) {
        return Cow::Borrowed(id);
    }
    let mut word = String::with_capacity(MARK.len() + id.len() + 8);
    word.push_str(MARK);
    for byte in id.bytes() {
        match byte {
            b'-' => word.push_str("--"),
            b'.' => word.push_str("-d"),
            b':' => word.push_str("-c"),
            b'/' => word.push_str("-s"),
            _ if is_word(byte) => word.push(char::from(byte)),
            _ => {
                word.push_str("-x");
                word.extend(
                    [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
                );
            }
        }
    }
    Cow::Owned(word)
}

/// What [`to_word`] was given. Any other word is itself.
pub(crate) fn from_word(word: &str) -> Cow<'_, str> {
    match word.strip_prefix(MARK).and_then(unescape) {
        // Only what `to_word` writes is read back; anything else only looks like it.
        Some(id) if to_word(&id) == word => Cow::Owned(id),
        _ => Cow::Borrowed(word),
    }
}

/// An id of at most [`LONGEST_ID`] letters, for a history that goes to a provider. The provider never
/// repeats such an id, so a long one may be told by its hash; the same id always gives the same word.
pub(crate) fn fit(id: &str) -> Cow<'_, str> {
    let word = to_word(id);
    if word.len() <= LONGEST_ID && !word.is_empty() {
        return word;
    }
    Cow::Owned(format!("ns0_{:016x}{:016x}", hash(id, 0), hash(id, 1)))
}

fn unescape(word: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'-' => match rest.next()? {
                b'-' => b'-',
                b'd' => b'.',
                b'c' => b':',
                b's' => b'/',
                b'x' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
                _ => return None,
            },
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// FNV-1a with a seed: short, and the same on every machine and in every version.
/// FNV-1a with a salt: for names that must be the same every time, never for security.
pub(crate) fn hash(text: &str, seed: u64) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_every_provider_are_spelled_in_letters() {
        for (id, word) in [
            ("toolu_01A-b", "toolu_01A-b"),
            ("functions.search:0", "ns1_functions-dsearch-c0"),
            ("a-b c", "ns1_a--b-x20c"),
            ("é", "ns1_-xc3-xa9"),
            ("ns1_x", "ns1_ns1_x"),
            ("", ""),
        ] {
            assert_eq!(to_word(id), word);
            assert_eq!(from_word(word), id);
        }
        for foreign in ["ns1_a-q", "ns1_-xf", "ns1_plain", "ns1_-xC3-xA9", "ns1_-xff"] {
            assert_eq!(from_word(foreign), foreign, "not written by us");
        }
    }

    #[test]
    fn a_long_id_fits_and_stays_itself() {
        let long = "x".repeat(65);
        assert_eq!(fit(&long).len(), 36);
        assert_eq!(fit(&long), fit(&long));
        assert_ne!(fit(&long), fit(&"x".repeat(66)));
        assert_eq!(fit("call_1"), "call_1");
        assert!(!fit("").is_empty());
    }

    proptest! {
        #[test]
        fn spelling_is_reversible(id in "\\PC{0,40}|ns1_[a-z.:_-]{0,20}") {
            let word = to_word(&id);
            prop_assert!(word.bytes().all(is_word));
            prop_assert_eq!(from_word(&word), id.as_str());
        }
    }
}
