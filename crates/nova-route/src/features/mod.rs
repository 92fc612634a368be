//! What a text looks like, as numbers: the input of everything that is learnt about requests.
//!
//! Invariant: [`extract`] is a pure function of the text, the same on every platform, and its work is bounded:
//! it reads a window of at most [`HEAD`] + [`TAIL`] bytes, once, whatever the text's length. It never fails.
//! What was trained is only of use with the features that it was trained on, so every artefact names
//! [`VERSION`], which changes with anything here.
//!
//! Reading order: `fold` makes a plain run of letters out of the window and leaves wrappers out; `words` cuts
//! it into words and hashes runs of them; `lexicon` tells which words give a task away, in English and Chinese;
//! `shape` counts what can be counted; `choice` looks at a question
//! and the answers that it offers, for who asks. The idea of hashing features is Weinberger et al., 2009.

mod choice;
mod fold;
mod lexicon;
mod shape;
mod words;

use std::sync::LazyLock;

pub use choice::CHOICES;
use lexicon::Lexicon;

/// Changes when the features of some text do; artefacts that were trained on others are refused.
pub const VERSION: u32 = 1;
/// How many bits the place of a hashed feature has.
pub const BUCKET_BITS: u32 = 17;
/// How many places there are for hashed features.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
/// How many dense features there are.
pub const DENSE: usize = lexicon::GROUPS * ZONES + shape::SHAPES;
/// The bytes that are read of a text's beginning.
pub const HEAD: usize = 6 * 1024;
/// The bytes that are read of the end of a text that is longer than both.
pub const TAIL: usize = 2 * 1024;

/// Where a word may stand: anywhere, among the first, among the last.
const ZONES: usize = 3;
/// How many words count as the first ones, and as the last ones.
const EDGE: usize = 28;

/// The features of one text. Kept and filled again, it allocates nothing.
#[derive(Clone, Debug)]
pub struct Features {
    /// The hashed features that the text has, each once, in no order: its place below [`BUCKETS`], and its
    /// value. The values of each kind of feature together have the length 1.
    pub hashed: Vec<(u32, f32)>,
    /// The dense features: what the lexicon found, then the shape. About 0 to 2 each; [`dense_name`] names them.
    pub dense: [f32; DENSE],
    scratch: Scratch,
}

/// What [`extract`] works in.
#[derive(Clone, Debug)]
struct Scratch {
    folded: Vec<u32>,
    tokens: Vec<words::Token>,
    /// One bit for each bucket, all clear between two texts.
    seen: Box<[u64]>,
}

impl Default for Features {
    fn default() -> Self {
        let seen = vec![0; BUCKETS / 64].into_boxed_slice();
        Self {
            hashed: Vec::new(),
            dense: [0.0; DENSE],
            scratch: Scratch { folded: Vec::new(), tokens: Vec::new(), seen },
        }
    }
}

/// Words that say more about a task than its class does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Hint {
    /// Code is to be reviewed, repaired or made better.
    Review = lexicon::group("code: review"),
    /// Something is to be translated.
    Translate = lexicon::group("translate"),
    /// Something is to be explained, analysed or compared.
    Analysis = lexicon::group("analysis"),
    /// Reasons and steps are asked for.
    Steps = lexicon::group("reason: steps"),
    /// A proof or a puzzle.
    Puzzle = lexicon::group("reason: puzzle"),
    /// Numbers and quantities.
    Numbers = lexicon::group("math: quantity"),
}

impl Features {
    /// Whether the text has words of this kind.
    pub fn hints(&self, at: Hint) -> bool {
        self.dense[at as usize * ZONES] > 0.0
    }

    /// What the question of the text that was looked at last looks like, and the answers that it offers; see
    /// [`choice_name`]. It is worked out anew at each call.
    pub fn choices(&self, into: &mut [f32; CHOICES]) {
        choice::look(&self.scratch.folded, &self.scratch.tokens, into);
    }
}

/// How many words the text has, as a share of 500, on a logarithmic scale.
pub(crate) fn words_share(features: &Features) -> f32 {
    features.dense[lexicon::GROUPS * ZONES + shape::WORDS]
}

/// Fills in the features of a text.
pub fn extract(text: &str, into: &mut Features) {
    static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::new);
    let (head, tail) = window(text);
    let Features { hashed, dense, scratch } = into;
    hashed.clear();
    dense.fill(0.0);
    let found = fold::fold([head, tail], &mut scratch.folded);
    words::tokens(&scratch.folded, &mut scratch.tokens);
    let (groups, shapes) = dense.split_at_mut(lexicon::GROUPS * ZONES);
    LEXICON.look(&scratch.tokens, groups);
    shape::shape(text.len(), &found, (&scratch.folded, &scratch.tokens), shapes);
    let mut bag = words::Bag::new(hashed, &mut scratch.seen);
    bag.letters(&scratch.folded);
    bag.words(&scratch.tokens);
    bag.finish();
}

/// What a dense feature says, for explanations.
pub fn dense_name(at: usize) -> String {
    const ZONE_NAMES: [&str; ZONES] = ["anywhere", "among the first words", "among the last words"];
    match lexicon::NAMES.get(at / ZONES) {
        Some(group) => format!("{group} {}", ZONE_NAMES[at % ZONES]),
        None => shape::NAMES
            .get(at.saturating_sub(lexicon::GROUPS * ZONES))
            .map_or_else(String::new, |name| (*name).to_owned()),
    }
}

/// What one of [`Features::choices`] says, for explanations.
pub fn choice_name(at: usize) -> &'static str {
    choice::NAMES.get(at).copied().unwrap_or_default()
}

/// The beginning and the end of a text, at boundaries of letters; the end is empty where the text is short.
fn window(text: &str) -> (&str, &str) {
    if text.len() <= HEAD + TAIL {
        return (text, "");
    }
    let head = text.floor_char_boundary(HEAD);
    let tail = text.ceil_char_boundary(text.len() - TAIL);
    (&text[..head], &text[tail..])
}

#[cfg(test)]
mod tests;
