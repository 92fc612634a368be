//! How a model's name is found in any spelling.
//!
//! Two spellings are the same name when they are equal after [`fold`]: letters in lower case, and the
//! separators `.`, `_` and space read as `-`. `Claude-Opus-4.7`, `claude-opus-4-7` and
//! `CLAUDE_OPUS_4.7` are one name. Names that are already folded, which is what programs mostly send,
//! are looked up as they are.

use std::borrow::Cow;
use std::collections::HashMap;

/// Longer names are folded on the heap.
const ON_STACK: usize = 128;

/// A name in the one spelling that lookups use.
pub fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().all(is_folded) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(
        name.chars().map(|letter| if letter.is_ascii() { fold_ascii(letter) } else { letter }).collect(),
    )
}

const fn fold_ascii(letter: char) -> char {
    match letter {
        '.' | '_' | ' ' => '-',
        other => other.to_ascii_lowercase(),
    }
}

const fn is_folded(byte: u8) -> bool {
    !matches!(byte, b'.' | b'_' | b' ' | b'A'..=b'Z')
}

/// Whether two names are one, in any spelling. Does not allocate.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && (one == other || one.chars().map(fold_ascii).eq(other.chars().map(fold_ascii)))
}

/// Names to indices.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    by_folded: HashMap<Box<str>, u32>,
}

impl Names {
    /// Adds a name; the index that had it before, where it is taken.
    pub(crate) fn add(&mut self, name: &str, index: u32) -> Option<u32> {
        let folded = fold(name);
        match self.by_folded.get(&*folded) {
            Some(&taken) => Some(taken),
            None => {
                self.by_folded.insert(folded.into(), index);
                None
            }
        }
    }

    /// The index of a name, in any spelling. Does not allocate for names up to 128 bytes.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        if name.bytes().all(is_folded) {
            return self.by_folded.get(name).copied();
        }
        let mut buffer = [0; ON_STACK];
        match buffer.get_mut(..name.len()) {
            Some(buffer) => {
                for (to, from) in buffer.iter_mut().zip(name.bytes()) {
                    *to = match from {
                        b'.' | b'_' | b' ' => b'-',
                        other => other.to_ascii_lowercase(),
                    };
                }
                // Only ASCII bytes were replaced, by ASCII bytes, so this is still UTF-8.
                let folded = std::str::from_utf8(buffer).ok()?;
                self.by_folded.get(folded).copied()
            }
            None => self.by_folded.get(&*fold(name)).copied(),
        }
    }

    /// All folded names and their indices, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        self.by_folded.iter().map(|(name, &index)| (&**name, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_fold_to_one() {
        for (spelling, expected) in [
            ("claude-opus-4-7", "claude-opus-4-7"),
            ("Claude-Opus-4.7", "claude-opus-4-7"),
            ("CLAUDE_OPUS_4.7", "claude-opus-4-7"),
            ("Claude Opus 4.7", "claude-opus-4-7"),
            ("deepseek/DeepSeek-V4-Pro", "deepseek/deepseek-v4-pro"),
            ("通义-Qwen", "通义-qwen"),
            ("", ""),
        ] {
            assert_eq!(fold(spelling), expected);
            let mut names = Names::default();
            assert_eq!(names.add(spelling, 7), None);
            assert_eq!(names.get(spelling), Some(7));
            assert_eq!(names.get(expected), Some(7));
            assert_eq!(names.add(expected, 8), Some(7));
        }
    }

    #[test]
    fn a_long_name_is_found_too() {
        let long = "Long-Name.".repeat(40);
        let mut names = Names::default();
        names.add(&long, 1);
        assert_eq!(names.get(&long), Some(1));
        assert_eq!(names.get(&long.to_uppercase()), Some(1));
        assert_eq!(names.get(&"x".repeat(100_000)), None);
    }
}
