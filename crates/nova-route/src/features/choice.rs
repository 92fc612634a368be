//! What a question looks like, and the answers that it offers: what makes it hard, whatever it is about.
//!
//! What is said around a question, a greeting say, changes them as little as can be.
//!
//! These are numbers for thresholds, not for weights: their scale says nothing, only their order does. They are
//! worked out from what [`super::extract`] left, and only where somebody asks: the classifier of tasks does not.

use super::fold::is_space;
use super::words::{Token, hash_of};

/// The names of the numbers, in their order.
pub(super) const NAMES: [&str; CHOICES] = [
    "options",
    "letters of the question",
    "words of the question",
    "letters of its words",
    "share of its long words",
    "numbers in the question",
    "signs in the question",
    "quotation marks",
    "blanks",
    "how the question ends",
    "negations",
    "words that choose",
    "words that count",
    "words of statements",
    "conditions",
    "letters of an option",
    "letters of the longest option",
    "letters of the shortest option",
    "spread of the options' lengths",
    "place of the longest option",
    "place of the shortest option",
    "options with a number",
    "options without a word",
    "numbers in the options",
    "signs in the options",
    "words of an option",
    "letters of the options' words",
    "commas in the options",
    "likeness of the options",
    "options that begin alike",
    "options' words from the question",
    "options that name others",
    "options that name none",
    "negations in the options",
    "verdicts in the options",
    "dollar signs",
    "percent signs",
];
/// How many numbers there are.
pub const CHOICES: usize = 37;

/// More options than these are read as part of the last.
const MOST: usize = 10;
/// Words of so many letters are long.
const LONG: u32 = 10;

const NEGATIONS: [&str; 8] = ["not", "except", "least", "never", "false", "incorrect", "neither", "without"];
const CHOOSE: [&str; 5] = ["which", "best", "most", "correct", "likely"];
const COUNT: [&str; 16] = [
    "calculate",
    "compute",
    "find",
    "many",
    "much",
    "probability",
    "value",
    "sum",
    "area",
    "number",
    "total",
    "average",
    "ratio",
    "rate",
    "percent",
    "equation",
];
const STATEMENTS: [&str; 8] =
    ["statement", "statements", "argument", "true", "valid", "premise", "conclusion", "translation"];
const CONDITIONS: [&str; 6] = ["if", "suppose", "assume", "assuming", "given", "let"];
const OTHERS: [&str; 5] = ["all", "both", "above", "ii", "iii"];
const NONE: [&str; 2] = ["none", "neither"];
const VERDICTS: [&str; 6] = ["true", "false", "wrong", "yes", "valid", "invalid"];

/// One bit of 4,096 for each word of the lists, so that most words are looked up in no list.
const LISTED: [u64; 64] = {
    let mut bits = [0; 64];
    mark(&mut bits, &hashes(NEGATIONS));
    mark(&mut bits, &hashes(CHOOSE));
    mark(&mut bits, &hashes(COUNT));
    mark(&mut bits, &hashes(STATEMENTS));
    mark(&mut bits, &hashes(CONDITIONS));
    mark(&mut bits, &hashes(OTHERS));
    mark(&mut bits, &hashes(NONE));
    mark(&mut bits, &hashes(VERDICTS));
    bits
};

const fn mark(bits: &mut [u64; 64], hashes: &[u32]) {
    let mut at = 0;
    while at < hashes.len() {
        bits[(hashes[at] >> 26) as usize] |= 1 << ((hashes[at] >> 20) & 63);
        at += 1;
    }
}

/// Hashes of words that may be listed; more than these are not counted.
struct Listed {
    hashes: [u32; 128],
    count: usize,
}

impl Listed {
    fn of(tokens: &[Token]) -> Self {
        let mut listed = Self { hashes: [0; 128], count: 0 };
        for token in tokens {
            let may_be = LISTED[(token.hash >> 26) as usize] >> ((token.hash >> 20) & 63) & 1 == 1;
            if may_be && listed.count < listed.hashes.len() {
                listed.hashes[listed.count] = token.hash;
                listed.count += 1;
            }
        }
        listed
    }

    /// How many of the words are among these.
    fn found(&self, words: &[u32]) -> f32 {
        self.hashes[..self.count].iter().filter(|hash| words.contains(hash)).count() as f32
    }
}

/// The hashes of words, worked out by the compiler.
const fn hashes<const N: usize>(words: [&str; N]) -> [u32; N] {
    let mut hashes = [0; N];
    let mut at = 0;
    while at < N {
        hashes[at] = hash_of(words[at]);
        at += 1;
    }
    hashes
}

/// A question, or one option.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    letters: u32,
    words: u32,
    in_words: u32,
    long: u32,
    numbers: u32,
    signs: u32,
    commas: u32,
    /// Its words as bits: a word has one of 64.
    mask: u64,
    first: u32,
}

/// Fills in the numbers of a folded text with its words.
pub(super) fn look(folded: &[u32], tokens: &[Token], into: &mut [f32; CHOICES]) {
    let mut starts = [0; MOST];
    let count = options(folded, &mut starts);
    // What follows behind an option's line, thanks for an answer say, is not part of it.
    let end_of = |at: usize| {
        let rest = &folded[starts[at]..];
        starts[at] + rest.iter().position(|&letter| letter == u32::from('\n')).unwrap_or(rest.len())
    };
    let stem_end = if count > 0 { starts[0] } else { folded.len() };
    let stem = &folded[..stem_end];
    let (of_stem, of_options) =
        tokens.split_at(tokens.partition_point(|token| (token.at as usize) < stem_end));
    let question = part(stem, of_stem);
    let mut offered = [Part::default(); MOST];
    let mut rest = of_options;
    for (at, option) in offered[..count].iter_mut().enumerate() {
        let (own, others) = rest.split_at(rest.partition_point(|token| (token.at as usize) < end_of(at)));
        // The first word is the option's letter.
        *option = part(
            folded.get(starts[at] + 3..end_of(at)).unwrap_or_default(),
            own.get(1..).unwrap_or_default(),
        );
        rest = others;
    }
    into.fill(0.0);
    let (ours, theirs) = into.split_at_mut(15);
    of_question(stem, of_stem, &question, ours);
    ours[0] = count as f32;
    of_offers(&offered[..count], of_options, question.mask, theirs);
    let sign = |sign: char| folded.iter().filter(|&&letter| letter == u32::from(sign)).count() as f32;
    (theirs[20], theirs[21]) = (sign('$'), sign('%'));
}

fn of_question(stem: &[u32], tokens: &[Token], question: &Part, into: &mut [f32]) {
    let listed = Listed::of(tokens);
    let count = |sign: char| stem.iter().filter(|&&letter| letter == u32::from(sign)).count() as f32;
    let last =
        stem.iter().rev().find(|letter| !is_space(**letter)).and_then(|&letter| char::from_u32(letter));
    let ends = last.map_or(0, |last| {
        ['.', ':', '?', '_', ','].iter().position(|end| *end == last).map_or(0, |at| at + 1)
    });
    into[1..15].copy_from_slice(&[
        question.letters as f32,
        question.words as f32,
        mean(question.in_words, question.words),
        mean(question.long, question.words),
        question.numbers as f32,
        question.signs as f32,
        count('"'),
        count('_'),
        ends as f32,
        listed.found(&const { hashes(NEGATIONS) }),
        listed.found(&const { hashes(CHOOSE) }),
        listed.found(&const { hashes(COUNT) }),
        listed.found(&const { hashes(STATEMENTS) }),
        listed.found(&const { hashes(CONDITIONS) }),
    ]);
}

fn of_offers(options: &[Part], tokens: &[Token], question: u64, into: &mut [f32]) {
    if options.is_empty() {
        return;
    }
    let listed = Listed::of(tokens);
    let sum = |of: fn(&Part) -> u32| options.iter().map(of).sum::<u32>();
    let many = options.len() as u32;
    let at_most = |best: fn(u32, u32) -> bool| {
        (0..options.len())
            .fold(0, |at, other| if best(options[other].letters, options[at].letters) { other } else { at })
    };
    let (longest, shortest) = (at_most(|one, other| one > other), at_most(|one, other| one < other));
    let (most, least) = (options[longest].letters, options[shortest].letters);
    let pairs = options.windows(2).map(|two| (&two[0], &two[1]));
    let likeness: f32 = pairs.clone().map(|(one, other)| shared(one.mask, other.mask)).sum();
    let alike = pairs.filter(|(one, other)| one.words > 0 && one.first == other.first).count();
    let all = options.iter().fold(0, |all, option| all | option.mask);
    into[..20].copy_from_slice(&[
        mean(sum(|option| option.letters), many),
        most as f32,
        least as f32,
        mean(most - least, most + 1),
        longest as f32,
        shortest as f32,
        options.iter().filter(|option| option.numbers > 0).count() as f32,
        options.iter().filter(|option| option.in_words <= 2 * option.words.max(1)).count() as f32,
        sum(|option| option.numbers) as f32,
        sum(|option| option.signs) as f32,
        mean(sum(|option| option.words), many),
        mean(sum(|option| option.in_words), sum(|option| option.words)),
        sum(|option| option.commas) as f32,
        likeness / options.len() as f32,
        alike as f32,
        mean((all & question).count_ones(), all.count_ones()),
        listed.found(&const { hashes(OTHERS) }),
        listed.found(&const { hashes(NONE) }),
        listed.found(&const { hashes(NEGATIONS) }),
        listed.found(&const { hashes(VERDICTS) }),
    ]);
}

/// Where the options begin: lines with a letter, the next of the alphabet each, and a full stop or bracket.
fn options(folded: &[u32], starts: &mut [usize; MOST]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < folded.len() && count < MOST {
        let begins = matches!(folded[at..], [letter, sign, space, ..]
            if letter == u32::from(b'a') + count as u32
                && (sign == u32::from('.') || sign == u32::from(')'))
                && space == u32::from(' '));
        if begins {
            starts[count] = at;
            count += 1;
        }
        at += folded[at..]
            .iter()
            .position(|&letter| letter == u32::from('\n'))
            .map_or(folded.len(), |end| end + 1);
    }
    // One option is a heading.
    if count > 1 { count } else { 0 }
}

fn part(folded: &[u32], tokens: &[Token]) -> Part {
    let mut part = Part { letters: folded.len() as u32, words: tokens.len() as u32, ..Part::default() };
    part.first = tokens.first().map_or(0, |first| first.hash);
    for token in tokens {
        part.mask |= 1 << (token.hash >> 26);
    }
    let (mut run, mut number) = (0, false);
    let mut close = |run: &mut u32| {
        part.in_words += *run;
        part.long += u32::from(*run >= LONG);
        *run = 0;
    };
    for &letter in folded {
        let plain = u8::try_from(letter).unwrap_or(b'a');
        let is_number = plain == b'0';
        part.numbers += u32::from(is_number && !number);
        number = is_number;
        if plain.is_ascii_alphabetic() {
            run += 1;
            continue;
        }
        close(&mut run);
        part.commas += u32::from(plain == b',');
        part.signs +=
            u32::from(matches!(plain, b'+' | b'*' | b'/' | b'=' | b'^' | b'<' | b'>' | b'\\' | b'(' | b'-'));
    }
    close(&mut run);
    part
}

/// The share of words that both have.
fn shared(one: u64, other: u64) -> f32 {
    mean((one & other).count_ones(), (one | other).count_ones())
}

fn mean(sum: u32, count: u32) -> f32 {
    if count > 0 { sum as f32 / count as f32 } else { 0.0 }
}
