//! Answers that open with `<think>…</think>` inside the text (MiniMax, and open-weight models whose
//! server has no reasoning parser).
//!
//! Only a tag at the very start counts, so that an answer *about* such tags is left alone. Where the
//! closing tag never comes, as with an answer cut at its length, everything was thought.

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Thinking(String),
    Text(String),
}

/// Splits text as it arrives.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    state: State,
    /// What may be the beginning of a tag.
    held: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing but whitespace and perhaps a part of the opening tag has come.
    #[default]
    Start,
    /// Right behind the opening tag: line ends are skipped.
    Opened,
    Inside,
    /// Right behind the closing tag: whitespace is skipped.
    Closed,
    Plain,
}

impl Splitter {
    /// Takes more text.
    pub(crate) fn push(&mut self, text: &str, out: &mut Vec<Piece>) {
        self.held.push_str(text);
        loop {
            let before = self.state;
            self.step(out);
            if self.state == before {
                return;
            }
        }
    }

    /// Nothing follows.
    pub(crate) fn end(&mut self, out: &mut Vec<Piece>) {
        let rest = std::mem::take(&mut self.held);
        match self.state {
            _ if rest.is_empty() => {}
            State::Inside => out.push(Piece::Thinking(rest)),
            State::Start | State::Plain => out.push(Piece::Text(rest)),
            State::Opened | State::Closed => {}
        }
    }

    fn step(&mut self, out: &mut Vec<Piece>) {
        match self.state {
            State::Start => {
                let trimmed = self.held.trim_start();
                if let Some(rest) = trimmed.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Opened;
                } else if !OPEN.starts_with(trimmed) {
                    self.state = State::Plain;
                }
            }
            State::Opened => self.skip(|c| c == '\n', State::Inside),
            State::Closed => self.skip(char::is_whitespace, State::Plain),
            State::Inside => {
                if let Some(at) = self.held.find(CLOSE) {
                    let rest = self.held.split_off(at + CLOSE.len());
                    self.held.truncate(at);
                    self.give(Piece::Thinking, out);
                    self.held = rest;
                    self.state = State::Closed;
                } else {
                    let keep =
                        (1..CLOSE.len()).rev().find(|n| self.held.ends_with(&CLOSE[..*n])).unwrap_or(0);
                    let rest = self.held.split_off(self.held.len() - keep);
                    self.give(Piece::Thinking, out);
                    self.held = rest;
                }
            }
            State::Plain => self.give(Piece::Text, out),
        }
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool, next: State) {
        let rest = self.held.trim_start_matches(skipped);
        if !rest.is_empty() {
            self.held = rest.to_owned();
            self.state = next;
        } else {
            self.held.clear();
        }
    }

    fn give(&mut self, kind: fn(String) -> Piece, out: &mut Vec<Piece>) {
        if !self.held.is_empty() {
            out.push(kind(std::mem::take(&mut self.held)));
        }
    }
}

/// Splits a whole text. Without an opening tag, a closing one still ends a thought: some chat templates
/// put the opening tag into the prompt.
pub(crate) fn split(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut splitter = Splitter::default();
    if !text.trim_start().starts_with(OPEN)
        && let Some((thought, rest)) = text.split_once(CLOSE)
        && !thought.contains(OPEN)
    {
        pieces.push(Piece::Thinking(thought.to_owned()));
        pieces.push(Piece::Text(rest.trim_start().to_owned()));
        pieces.retain(|piece| !matches!(piece, Piece::Thinking(text) | Piece::Text(text) if text.is_empty()));
        return pieces;
    }
    splitter.push(text, &mut pieces);
    splitter.end(&mut pieces);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thinking and text, whole and letter by letter.
    fn check(text: &str, thinking: &str, plain: &str) {
        let join = |pieces: &[Piece]| {
            let (mut thought, mut said) = (String::new(), String::new());
            for piece in pieces {
                match piece {
                    Piece::Thinking(text) => thought.push_str(text),
                    Piece::Text(text) => said.push_str(text),
                }
            }
            (thought, said)
        };
        let expected = (thinking.to_owned(), plain.to_owned());
        assert_eq!(join(&split(text)), expected, "{text:?}");
        let (mut splitter, mut pieces) = (Splitter::default(), Vec::new());
        for letter in text.chars() {
            splitter.push(letter.encode_utf8(&mut [0; 4]), &mut pieces);
        }
        splitter.end(&mut pieces);
        assert_eq!(join(&pieces), expected, "{text:?} letter by letter");
    }

    #[test]
    fn a_thought_at_the_start_is_split_off() {
        check("<think>\nhm\n</think>\n\nYes.", "hm\n", "Yes.");
        check("\n <think>a < b </thin k></think>c", "a < b </thin k>", "c");
        check("<think></think>x", "", "x");
        check("<think>never closed </thi", "never closed </thi", "");
        check("say <think>not this</think>", "", "say <think>not this</think>");
        check("<thinking aloud", "", "<thinking aloud");
        check("<thi", "", "<thi");
        check("", "", "");
    }

    #[test]
    fn a_whole_answer_may_lack_the_opening_tag() {
        let thinking = Piece::Thinking("a".into());
        assert_eq!(split("a</think> b"), [thinking, Piece::Text("b".into())]);
    }
}
