//! Byte-pair merges within one word, and the printable alphabet that GPT-2 writes bytes in.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::damaged;
use crate::error::EngineError;

/// GPT-2's printable stand-in for a byte: itself where it prints, else the next free character from U+0100.
pub(crate) fn byte_char(byte: u8) -> char {
    let shift = match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => return char::from(byte),
        0x00..=0x20 => u32::from(byte),
        0x7f..=0xa0 => u32::from(byte) - 0x7f + 0x21,
        0xad => 0x43,
    };
    char::from_u32(0x100 + shift).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The byte that a character stands for; the inverse of [`byte_char`].
pub(super) fn char_byte(c: char) -> Option<u8> {
    let code = u32::from(c);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

/// The merges of a vocabulary: which two tokens join, how early, and into what.
#[derive(Debug)]
pub(super) struct Merges {
    /// (left id, right id) -> (rank, joined id). A lower rank joins first.
    pairs: HashMap<(u32, u32), (u32, u32)>,
}

impl Merges {
    /// Reads lines such as `Ġ t`. Merges whose parts or result are not in the vocabulary can never apply.
    pub(super) fn read(lines: &[String], words: &HashMap<Box<str>, u32>) -> Result<Self, EngineError> {
        let mut pairs = HashMap::with_capacity(lines.len());
        let mut joined = String::new();
        for (rank, line) in (0_u32..).zip(lines) {
            // A part may itself begin with a space, never be empty: look for the first space after the first character.
            let cut = line.char_indices().skip(1).find(|(_, c)| *c == ' ').map(|(at, _)| at);
            let Some((left, right)) = cut.map(|at| (&line[..at], &line[at + 1..])) else {
                return Err(damaged(format!("its merge `{line}` has no two parts")));
            };
            joined.clear();
            joined.extend([left, right]);
            let ids = (words.get(left), words.get(right), words.get(joined.as_str()));
            if let (Some(left), Some(right), Some(joined)) = ids {
                pairs.entry((*left, *right)).or_insert((rank, *joined));
            }
        }
        Ok(Self { pairs })
    }

    /// Appends the tokens of one word, written in the printable alphabet.
    ///
    /// Neighbours join in order of rank, leftmost first. A heap of candidates over a linked list keeps this at
    /// n log n, so that a megabyte without a space is no attack.
    pub(super) fn encode(&self, word: &str, words: &HashMap<Box<str>, u32>, ids: &mut Vec<u32>) {
        let mut buffer = [0; 4];
        // A byte that the vocabulary lacks has no id and vanishes, as in llama.cpp.
        let symbols = word.chars().filter_map(|c| words.get(&*c.encode_utf8(&mut buffer)).copied());
        let mut list = List::new(symbols.collect());
        let mut heap = BinaryHeap::new();
        for at in 0..list.ids.len().saturating_sub(1) {
            heap.extend(self.candidate(&list, at));
        }
        while let Some(Reverse((_, at, left, right))) = heap.pop() {
            let Some(next) = list.next_of(at) else { continue };
            if (list.ids[at], list.ids[next]) != (left, right) || list.gone[at] {
                continue;
            }
            let Some((_, joined)) = self.pairs.get(&(left, right)) else { continue };
            list.join(at, next, *joined);
            heap.extend(self.candidate(&list, at));
            if let Some(before) = list.previous_of(at) {
                heap.extend(self.candidate(&list, before));
            }
        }
        ids.extend(list.ids.iter().zip(&list.gone).filter(|(_, gone)| !**gone).map(|(id, _)| *id));
    }

    fn candidate(&self, list: &List, at: usize) -> Option<Reverse<(u32, usize, u32, u32)>> {
        let next = list.next_of(at)?;
        let (left, right) = (list.ids[at], list.ids[next]);
        self.pairs.get(&(left, right)).map(|(rank, _)| Reverse((*rank, at, left, right)))
    }
}

/// A doubly linked list of tokens over fixed places.
struct List {
    ids: Vec<u32>,
    gone: Vec<bool>,
    next: Vec<usize>,
    previous: Vec<usize>,
}

impl List {
    fn new(ids: Vec<u32>) -> Self {
        let len = ids.len();
        let previous = (0..len).map(|at| at.wrapping_sub(1)).collect();
        Self { gone: vec![false; len], next: (1..=len).collect(), previous, ids }
    }

    fn next_of(&self, at: usize) -> Option<usize> {
        let next = self.next[at];
        (next < self.ids.len()).then_some(next)
    }

    fn previous_of(&self, at: usize) -> Option<usize> {
        let previous = self.previous[at];
        (previous < self.ids.len()).then_some(previous)
    }

    fn join(&mut self, at: usize, next: usize, id: u32) {
        self.ids[at] = id;
        self.gone[next] = true;
        self.next[at] = self.next[next];
        if let Some(after) = self.next_of(at) {
            self.previous[after] = at;
        }
    }
}
