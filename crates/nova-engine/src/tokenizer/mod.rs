//! From text to the model's token ids and back: byte-level BPE as GPT-2 introduced it (Radford et al., 2019).
//!
//! Invariant: a control token (`<|im_end|>` and the like) is produced from the chat template's own text only. The same
//! letters in a message are letters, so nobody can close a message or open a system prompt from inside one.
//!
//! Reading order: `mod.rs` (vocabulary, control tokens) → `split.rs` (text to words) → `merge.rs` (words to tokens).

mod merge;
mod split;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::error::EngineError;
use crate::gguf::Header;
pub(crate) use merge::byte_char;
use merge::{Merges, char_byte};
use split::Rules;

const CONTROL: f64 = 3.0;
const USER_DEFINED: f64 = 4.0;

/// A mark that keeps letters apart from control tokens, chosen by [`Tokenizer::guard`].
///
/// It is one of Unicode's noncharacters, which are never meant for interchange.
pub(crate) type Mark = char;

/// A vocabulary with the rules for using it.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    /// What each token writes.
    bytes: Vec<Box<[u8]>>,
    control: Vec<(String, u32)>,
    user_defined: Vec<(String, u32)>,
    is_control: Vec<bool>,
    words: HashMap<Box<str>, u32>,
    merges: Merges,
    rules: Rules,
    bos: Option<u32>,
    end: Vec<u32>,
    longest: usize,
}

impl Tokenizer {
    /// Reads the tokenizer from a model file's header.
    pub(crate) fn read(header: &Header) -> Result<Self, EngineError> {
        let model = header.text("tokenizer.ggml.model").unwrap_or("none");
        if model != "gpt2" {
            let reason =
                format!("its tokenizer is of kind `{model}`, only byte-level BPE (`gpt2`) is built in");
            return Err(EngineError::Unsupported(reason));
        }
        let rules = Rules::named(header.text("tokenizer.ggml.pre").unwrap_or("default"))?;
        let tokens = header.texts("tokenizer.ggml.tokens").unwrap_or_default();
        if tokens.is_empty() || u32::try_from(tokens.len()).is_err() {
            return Err(damaged("it has no list of tokens"));
        }
        let kinds = header.numbers("tokenizer.ggml.token_type").unwrap_or_default();
        let mut words = HashMap::with_capacity(tokens.len());
        let (mut control, mut user_defined) = (Vec::new(), Vec::new());
        let mut bytes: Vec<Box<[u8]>> = Vec::with_capacity(tokens.len());
        for (id, token) in (0_u32..).zip(tokens) {
            match kinds.get(id as usize).copied() {
                Some(CONTROL) if !token.is_empty() => control.push((token.clone(), id)),
                Some(USER_DEFINED) if !token.is_empty() => user_defined.push((token.clone(), id)),
                _ => {
                    // Of two equal tokens the first one counts, as in llama.cpp.
                    words.entry(token.as_str().into()).or_insert(id);
                    bytes.push(token.chars().filter_map(char_byte).collect());
                    continue;
                }
            }
            bytes.push(token.as_bytes().into());
        }
        let mut is_control = vec![false; tokens.len()];
        for (_, id) in &control {
            is_control[*id as usize] = true;
        }
        let known = |key: &str| header.unsigned(key).filter(|id| *id < tokens.len()).map(|id| id as u32);
        let end = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"]
            .iter()
            .filter_map(|key| known(key));
        let mut tokenizer = Self {
            merges: Merges::read(header.texts("tokenizer.ggml.merges").unwrap_or_default(), &words)?,
            bos: known("tokenizer.ggml.bos_token_id")
                .filter(|_| header.flag("tokenizer.ggml.add_bos_token").unwrap_or(false)),
            end: end.collect(),
            longest: bytes.iter().map(|bytes| bytes.len()).max().unwrap_or(1).max(1),
            bytes,
            control,
            user_defined,
            is_control,
            words,
            rules,
        };
        tokenizer.add_usual_ends();
        // Where two control tokens start alike, the longer one is meant.
        tokenizer.control.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        tokenizer.user_defined.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Ok(tokenizer)
    }

    /// Files often name one end token and mean several.
    fn add_usual_ends(&mut self) {
        for (text, id) in &self.control {
            let ends = matches!(
                text.as_str(),
                "<|im_end|>" | "<|eot_id|>" | "<|endoftext|>" | "<|end_of_text|>" | "</s>"
            );
            if ends && !self.end.contains(id) {
                self.end.push(*id);
            }
        }
    }

    pub(crate) fn vocabulary(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a token ends an answer.
    pub(crate) fn is_end(&self, token: u32) -> bool {
        self.end.contains(&token)
    }

    /// The bytes that a token writes into an answer; control tokens write none.
    pub(crate) fn token_bytes(&self, token: u32) -> &[u8] {
        let id = token as usize;
        match self.bytes.get(id) {
            Some(bytes) if !self.is_control[id] => bytes,
            _ => &[],
        }
    }

    /// The text of a special token that templates may name, such as `bos_token`.
    pub(crate) fn control_text(&self, id: Option<usize>) -> &str {
        let of = |id: usize| self.control.iter().find(|(_, control)| *control as usize == id);
        id.and_then(of).map_or("", |(text, _)| text)
    }

    /// The fewest tokens that `bytes` bytes of text can become; tells absurdly long prompts without reading them.
    pub(crate) fn fewest_tokens(&self, bytes: usize) -> usize {
        bytes.div_ceil(self.longest)
    }

    /// Finds a mark that none of `texts` contains; `None` if some text contains every one there is.
    pub(crate) fn mark<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<Mark> {
        ('\u{fdd0}'..='\u{fdef}').find(|mark| !texts.clone().any(|text| text.contains(*mark)))
    }

    /// Puts `mark` after each character of a message that a control token could start with.
    ///
    /// A control token is at least two characters long (shorter ones are never matched), so none can begin in the
    /// result; template code that trims, joins or compares text is not disturbed.
    pub(crate) fn guard(&self, text: &str, mark: Mark) -> String {
        let mut guarded = String::with_capacity(text.len() + 8);
        for c in text.chars() {
            guarded.push(c);
            if self.control.iter().any(|(control, _)| control.starts_with(c)) {
                guarded.push(mark);
            }
        }
        guarded
    }

    /// Token ids of a rendered template, in which `mark` was used by [`Tokenizer::guard`].
    pub(crate) fn encode_template(&self, text: &str, mark: Mark) -> Vec<u32> {
        let mut ids = Vec::new();
        for piece in pieces(text, &self.control) {
            match piece {
                Piece::Token(id) => ids.push(id),
                Piece::Text(text) if text.contains(mark) => {
                    self.encode_into(&text.replace(mark, ""), &mut ids)
                }
                Piece::Text(text) => self.encode_into(text, &mut ids),
            }
        }
        match self.bos {
            Some(bos) if ids.first() != Some(&bos) => ids.insert(0, bos),
            _ => {}
        }
        ids
    }

    /// Token ids of plain text, in which nothing is special.
    fn encode_into(&self, text: &str, ids: &mut Vec<u32>) {
        let mut word_text = String::new();
        for piece in pieces(text, &self.user_defined) {
            let text = match piece {
                Piece::Token(id) => {
                    ids.push(id);
                    continue;
                }
                Piece::Text(text) => text,
            };
            for word in self.rules.words(text) {
                word_text.clear();
                word_text.extend(word.bytes().map(byte_char));
                match self.words.get(word_text.as_str()) {
                    Some(id) if self.rules.whole_words_first() => ids.push(*id),
                    _ => self.merges.encode(&word_text, &self.words, ids),
                }
            }
        }
    }
}

enum Piece<'a> {
    Token(u32),
    Text(&'a str),
}

/// Cuts text at the given tokens, which are sorted longest first. Tokens of a single byte are left in the text.
fn pieces<'a>(text: &'a str, tokens: &[(String, u32)]) -> Vec<Piece<'a>> {
    let mut starts = [false; 256];
    for (token, _) in tokens.iter().filter(|(token, _)| token.chars().nth(1).is_some()) {
        starts[usize::from(token.as_bytes()[0])] = true;
    }
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        let found = if starts[usize::from(here[0])] {
            tokens
                .iter()
                .find(|(token, _)| token.chars().nth(1).is_some() && here.starts_with(token.as_bytes()))
        } else {
            None
        };
        let Some((token, id)) = found else {
            at += 1;
            continue;
        };
        if from < at {
            pieces.push(Piece::Text(&text[from..at]));
        }
        pieces.push(Piece::Token(*id));
        at += token.len();
        from = at;
    }
    if from < text.len() {
        pieces.push(Piece::Text(&text[from..]));
    }
    pieces
}

fn damaged(reason: impl Into<String>) -> EngineError {
    EngineError::Tokenizer(reason.into())
}
