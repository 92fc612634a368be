//! The input of a tool that takes free text, which the hub carries as `{"input": "the text"}`.
//!
//! A model that was offered such a tool as a function writes this object; [`Unwrap`] takes the text out of
//! it while it streams. Models err: where the object has another form, a lone string in it is taken, and
//! else everything as it was written, because the client's tool can tell more of it than we can.

use serde_json::{Value, json};

/// The arguments that carry a text.
pub(super) fn wrapped(input: &str) -> String {
    json!({ "input": input }).to_string()
}

/// The text that arguments carry.
pub(super) fn whole(arguments: &str) -> String {
    let mut unwrap = Unwrap::default();
    let mut text = unwrap.push(arguments);
    text.push_str(&unwrap.finish().0);
    text
}

/// Takes the text out of arguments that arrive in pieces.
#[derive(Debug, Default)]
pub(super) struct Unwrap {
    json: String,
    /// How much of `json` was read.
    at: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The text has not begun.
    #[default]
    Before,
    Inside,
    /// The text is complete.
    Behind,
    /// The object has another form, and is looked at when it is whole.
    Other,
}

/// What stands before the text, white space aside.
const FRONT: [&str; 4] = ["{", "\"input\"", ":", "\""];

impl Unwrap {
    /// Takes a piece, and gives what is new of the text.
    pub(super) fn push(&mut self, json: &str) -> String {
        self.json.push_str(json);
        if self.state == State::Before {
            self.open();
        }
        let mut text = String::new();
        while self.state == State::Inside && self.step(&mut text) {}
        text
    }

    /// Nothing follows: the rest of the text, and whether it is complete.
    pub(super) fn finish(&mut self) -> (String, bool) {
        match self.state {
            State::Behind => (String::new(), true),
            State::Inside => (String::new(), false),
            State::Before | State::Other => match serde_json::from_str(&self.json) {
                Ok(Value::String(text)) => (text, true),
                Ok(Value::Object(fields)) => (lone(&fields).unwrap_or(&self.json).to_owned(), true),
                Ok(_) => (self.json.clone(), true),
                // Plain text where an object was asked for is what the tool wants, unless it is half of one.
                Err(_) => (self.json.clone(), !self.json.trim_start().starts_with('{')),
            },
        }
    }

    /// Looks for the beginning of the text.
    fn open(&mut self) {
        let mut rest = self.json.as_str();
        for mark in FRONT {
            rest = rest.trim_start();
            match rest.strip_prefix(mark) {
                Some(behind) => rest = behind,
                None if mark.starts_with(rest) => return,
                None => {
                    self.state = State::Other;
                    return;
                }
            }
        }
        self.at = self.json.len() - rest.len();
        self.state = State::Inside;
    }

    /// Reads up to the next escape, the end of the text, or the end of what came. Tells whether there may
    /// be more.
    fn step(&mut self, text: &mut String) -> bool {
        let rest = &self.json[self.at..];
        let Some(length) = memchr::memchr2(b'"', b'\\', rest.as_bytes()) else {
            text.push_str(rest);
            self.at = self.json.len();
            return false;
        };
        text.push_str(&rest[..length]);
        self.at += length;
        let rest = &rest[length..];
        if rest.starts_with('"') {
            self.state = State::Behind;
            return false;
        }
        match escape(rest) {
            Some((letter, length)) => {
                text.push(letter);
                self.at += length;
                true
            }
            None => false,
        }
    }
}

/// The letter that an escape stands for, and the escape's length. `None` where it is not all there yet.
fn escape(rest: &str) -> Option<(char, usize)> {
    Some(match rest.as_bytes().get(1)? {
        b'n' => ('\n', 2),
        b't' => ('\t', 2),
        b'r' => ('\r', 2),
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'u' => return unicode(rest),
        b'"' => ('"', 2),
        b'\\' => ('\\', 2),
        b'/' => ('/', 2),
        // No JSON: the backslash is taken for itself.
        _ => ('\\', 1),
    })
}

fn unicode(rest: &str) -> Option<(char, usize)> {
    const UNKNOWN: char = char::REPLACEMENT_CHARACTER;
    let unit = |at: usize| -> Option<Result<u32, ()>> {
        let digits = rest.as_bytes().get(at..at + 4)?;
        let digits = std::str::from_utf8(digits).map_err(|_| ());
        Some(digits.and_then(|digits| u32::from_str_radix(digits, 16).map_err(|_| ())))
    };
    let Ok(first) = unit(2)? else { return Some((UNKNOWN, 2)) };
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first).unwrap_or(UNKNOWN), 6));
    }
    // The first half of a pair: the second may still be under way.
    let behind = rest.get(6..).unwrap_or_default();
    if !behind.starts_with("\\u") {
        return if "\\u".starts_with(behind) { None } else { Some((UNKNOWN, 6)) };
    }
    match unit(8)? {
        Ok(second) if (0xDC00..0xE000).contains(&second) => {
            let letter = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
            Some((char::from_u32(letter).unwrap_or(UNKNOWN), 12))
        }
        _ => Some((UNKNOWN, 6)),
    }
}

/// The only field, where it is a string.
fn lone(fields: &serde_json::Map<String, Value>) -> Option<&str> {
    let mut strings = fields.values();
    match (strings.next(), strings.next()) {
        (Some(Value::String(text)), None) => Some(text),
        _ => fields.get("input")?.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The text in pieces of this size.
    fn in_pieces(json: &str, size: usize) -> (String, bool) {
        let mut unwrap = Unwrap::default();
        let letters: Vec<char> = json.chars().collect();
        let mut text: String =
            letters.chunks(size).map(|piece| unwrap.push(&piece.iter().collect::<String>())).collect();
        let (rest, complete) = unwrap.finish();
        text.push_str(&rest);
        (text, complete)
    }

    #[test]
    fn text_is_taken_out_of_whatever_a_model_wrote() {
        let check = |json: &str, text: &str, complete: bool| {
            for size in [1, 2, 5, 100] {
                assert_eq!(in_pieces(json, size), (text.to_owned(), complete), "{json} in pieces of {size}");
            }
        };
        check(r#"{"input":"*** Begin Patch\n+a"}"#, "*** Begin Patch\n+a", true);
        check(r#" { "input" : "\"\\\/\b\f\r\t" , "x": 1}"#, "\"\\/\u{8}\u{c}\r\t", true);
        check(r#"{"input":"\u00e9\ud83d\ude00é"}"#, "é😀é", true);
        check(r#"{"input":"a\ud83d b\udc00c"}"#, "a\u{fffd} b\u{fffd}c", true);
        check(r#"{"input":"cut he"#, "cut he", false);
        check(r#"{"input":"cut\u00"#, "cut", false);
        check(r#"{"patch":"only field"}"#, "only field", true);
        check(r#"{"x":1,"input":"second"}"#, "second", true);
        check(r#"{"x":1}"#, r#"{"x":1}"#, true);
        check(r#""bare""#, "bare", true);
        check("*** Begin Patch", "*** Begin Patch", true);
        check(r#"{"inp"#, r#"{"inp"#, false);
        check("", "", true);
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,40}|[\"\\\\\n\u{1}a]{0,20}", size in 1usize..9) {
            let json = wrapped(&text);
            prop_assert_eq!(whole(&json), text.clone());
            prop_assert_eq!(in_pieces(&json, size), (text, true));
        }

        #[test]
        fn any_letters_are_survived(json in "(\\{|\"input\"|:|\"|\\\\u|d83d|de00|\\\\|é|a| ){0,12}", size in 1usize..4) {
            prop_assert_eq!(in_pieces(&json, size).0, whole(&json));
        }
    }
}
