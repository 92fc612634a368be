//! Words, runs of words and runs of letters as hashed features.
//!
//! The hash is our own, on 32 bits and in one order, so that an artefact means the same on every machine.

use super::fold::{is_ideograph, is_space};
use super::{BUCKET_BITS, BUCKETS, EDGE};

/// A word, or a single Chinese character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) hash: u32,
    /// Where it begins in the folded text.
    pub(super) at: u32,
}

/// Kinds of features, each with places of its own.
const WORD: u32 = 0x5bd1_e995;
const PAIR: u32 = 0x27d4_eb2f;
const FIRST: u32 = 0x1656_67b1;
const LAST: u32 = 0x9e37_79b9;
const LETTERS: u32 = 0x85eb_ca77;

/// How long the runs of letters are.
const RUNS: [usize; 3] = [3, 4, 5];

/// Takes one more thing into a hash.
pub(super) const fn step(hash: u32, next: u32) -> u32 {
    (hash.rotate_left(5) ^ next).wrapping_mul(0x9e37_79b1)
}

/// The hash of a word of small plain letters.
pub(super) const fn hash_of(word: &str) -> u32 {
    let (letters, mut hash, mut at) = (word.as_bytes(), 0, 0);
    while at < letters.len() {
        hash = step(hash, letters[at] as u32);
        at += 1;
    }
    hash
}

/// Cuts a folded text into words: runs of letters or of digits, and single ideographs. Signs are left out.
pub(super) fn tokens(folded: &[u32], into: &mut Vec<Token>) {
    into.clear();
    let mut open: Option<Token> = None;
    for (at, &letter) in (0_u32..).zip(folded) {
        if is_word(letter) && !is_ideograph(letter) {
            let token = open.get_or_insert(Token { hash: 0, at });
            token.hash = step(token.hash, letter);
            continue;
        }
        into.extend(open.take());
        if is_ideograph(letter) {
            into.push(Token { hash: step(0, letter), at });
        }
    }
    into.extend(open);
}

fn is_word(letter: u32) -> bool {
    match u8::try_from(letter) {
        Ok(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric(),
        _ => char::from_u32(letter).is_some_and(char::is_alphanumeric),
    }
}

/// The hashed features of a text, in the making: each place is taken once.
#[derive(Debug)]
pub(super) struct Bag<'f> {
    hashed: &'f mut Vec<(u32, f32)>,
    seen: &'f mut [u64],
}

impl<'f> Bag<'f> {
    pub(super) fn new(hashed: &'f mut Vec<(u32, f32)>, seen: &'f mut [u64]) -> Self {
        Self { hashed, seen }
    }

    /// Runs of three to five letters.
    pub(super) fn letters(&mut self, folded: &[u32]) {
        let from = self.hashed.len();
        for run in folded.windows(RUNS[2]) {
            self.runs(run);
        }
        // The last letters begin no run of five.
        for length in (RUNS[0]..RUNS[2]).rev().filter(|length| *length <= folded.len()) {
            self.runs(&folded[folded.len() - length..]);
        }
        self.level(from, 1.0);
    }

    /// The runs that begin with the first letter. Runs that begin with a space are the same as words begin.
    fn runs(&mut self, letters: &[u32]) {
        let mut hash = LETTERS;
        for (length, &letter) in (1..).zip(letters) {
            hash = step(hash, letter);
            if length >= RUNS[0] {
                self.add(hash);
            }
            // A run that ends with a space says no more when it is longer.
            if length >= RUNS[0] && is_space(letter) {
                break;
            }
        }
    }

    /// Words and pairs of words; those at the edges once more, with runs of three.
    pub(super) fn words(&mut self, tokens: &[Token]) {
        let from = self.hashed.len();
        self.grams(tokens, WORD, 1);
        self.grams(tokens, PAIR, 2);
        self.level(from, 1.0);
        for (kind, edge) in
            [(FIRST, &tokens[..tokens.len().min(EDGE)]), (LAST, &tokens[tokens.len().saturating_sub(EDGE)..])]
        {
            let from = self.hashed.len();
            for length in 1..=3 {
                self.grams(edge, kind, length);
            }
            self.level(from, 1.0);
        }
    }

    fn grams(&mut self, tokens: &[Token], kind: u32, length: usize) {
        for gram in tokens.windows(length) {
            self.add(gram.iter().fold(kind, |hash, token| step(hash, token.hash)));
        }
    }

    fn add(&mut self, hash: u32) {
        let mut mixed = hash ^ (hash >> 15);
        mixed = mixed.wrapping_mul(0x2c1b_3c6d);
        mixed = (mixed ^ (mixed >> 12)).wrapping_mul(0x297a_2d39);
        let bucket = mixed >> (32 - BUCKET_BITS);
        let (word, bit) = (bucket as usize / 64, 1 << (bucket % 64));
        if self.seen[word] & bit == 0 {
            self.seen[word] |= bit;
            self.hashed.push((bucket, 0.0));
        }
    }

    /// Gives what was added since `from` the length `weight` together.
    fn level(&mut self, from: usize, weight: f32) {
        let kind = &mut self.hashed[from..];
        let value = weight / (kind.len().max(1) as f32).sqrt();
        for (_, each) in kind {
            *each = value;
        }
    }

    /// Leaves the bits clear for the next text.
    pub(super) fn finish(self) {
        for &(bucket, _) in self.hashed.iter() {
            self.seen[bucket as usize / 64] = 0;
        }
    }
}

const _: () = assert!(BUCKETS.is_multiple_of(64));
