//! What can be counted of a text without knowing a word.

use super::fold::{Found, is_space};
use super::words::Token;

/// The names of the shapes, in their order.
pub(super) const NAMES: [&str; SHAPES] = [
    "always",
    "length",
    "under 20 letters",
    "20 to 49 letters",
    "50 to 99 letters",
    "100 to 199 letters",
    "200 to 399 letters",
    "400 to 999 letters",
    "1,000 to 2,999 letters",
    "3,000 letters and more",
    "more than the window",
    "words",
    "lines",
    "blank lines",
    "indented lines",
    "bullets",
    "options",
    "lines that end like code",
    "lines that end in a colon",
    "the longest line",
    "share of the longest line",
    "a long first line",
    "share of the first line",
    "a long last line",
    "share of the last line",
    "one line",
    "Chinese",
    "Japanese",
    "Korean",
    "Cyrillic",
    "another script",
    "digits",
    "numbers",
    "many numbers",
    "signs of code",
    "signs of mathematics",
    "question marks",
    "ends with a question mark",
    "ends with a colon",
    "ends with a full stop",
    "ends with no sign",
    "begins with a question word's length",
    "quotation marks",
    "backslashes",
    "dollar signs",
    "pipes",
    "commas",
    "fences",
    "links",
    "a short Chinese text",
    "a short text without a passage",
    "a passage behind an instruction",
    "a passage before an instruction",
    "a table",
    "two sentences and more",
];
/// The place of the number of words.
pub(super) const WORDS: usize = 11;
/// How many shapes there are.
pub(super) const SHAPES: usize = 55;

/// Lines of this many letters are passages.
const PASSAGE: u32 = 220;
/// Lines up to this many letters may be instructions.
const INSTRUCTION: u32 = 140;

/// Fills in the shapes of a text of `bytes` bytes.
pub(super) fn shape(bytes: usize, found: &Found, (folded, tokens): (&[u32], &[Token]), into: &mut [f32]) {
    let letters = folded.len() as f32;
    let share = |n: u32| if letters > 0.0 { n as f32 / letters } else { 0.0 };
    let yes = |holds: bool| f32::from(u8::from(holds));
    let some = |n: u32| log2(n) / 4.0;
    let lines = &found.lines;
    // A Chinese character says about as much as half of a word.
    let size = letters + 1.5 * (found.cjk + found.kana) as f32;
    let within = |from: f32, to: f32| yes(size >= from && size < to);
    let last = folded.last().copied().and_then(char::from_u32);
    let ends = |signs: &[char]| last.is_some_and(|last| signs.contains(&last));
    let stops = folded
        .iter()
        .filter(|&&letter| matches!(char::from_u32(letter), Some('.' | '。' | '!' | '?' | '！')))
        .count();
    let passage = lines.longest >= PASSAGE || lines.all >= 8;
    let first_word = folded.iter().take_while(|&&letter| !is_space(letter)).count();
    let values = [
        1.0,
        log2(u32::try_from(bytes).unwrap_or(u32::MAX)) / 12.0,
        within(0.0, 20.0),
        within(20.0, 50.0),
        within(50.0, 100.0),
        within(100.0, 200.0),
        within(200.0, 400.0),
        within(400.0, 1000.0),
        within(1000.0, 3000.0),
        within(3000.0, f32::INFINITY),
        yes(bytes > super::HEAD + super::TAIL),
        log2(u32::try_from(tokens.len()).unwrap_or(u32::MAX)) / 9.0,
        some(lines.all),
        some(lines.blank),
        some(lines.indented),
        some(lines.bullets),
        some(lines.options),
        some(lines.code),
        some(lines.colon),
        log2(lines.longest) / 10.0,
        share(lines.longest),
        yes(lines.first >= PASSAGE),
        share(lines.first),
        yes(lines.last >= PASSAGE),
        share(lines.last),
        yes(lines.all == 1),
        share(found.cjk),
        share(found.kana),
        share(found.hangul),
        share(found.cyrillic),
        share(found.other_script),
        (share(found.digits) * 5.0).min(1.5),
        some(found.numbers),
        yes(found.numbers >= 3),
        (share(found.code_signs) * 10.0).min(1.5),
        (share(found.math_signs) * 10.0).min(1.5),
        some(found.question_marks),
        yes(ends(&['?'])),
        yes(ends(&[':'])),
        yes(ends(&['.', '。'])),
        yes(last.is_some_and(char::is_alphanumeric)),
        yes(first_word > 12),
        some(found.quotes),
        some(found.backslashes),
        some(found.dollars),
        some(found.pipes),
        some(found.commas),
        yes(found.fences > 0),
        yes(found.links > 0),
        yes(found.cjk > 0 && letters < 40.0),
        yes(size < 300.0 && !passage),
        yes(passage && lines.first <= INSTRUCTION),
        yes(passage && lines.last <= INSTRUCTION && lines.first >= PASSAGE),
        yes(found.pipes >= 4 || (lines.all >= 3 && found.commas >= 3 * lines.all)),
        yes(stops >= 2),
    ];
    into.copy_from_slice(&values);
}

/// About the binary logarithm of `n + 1`: exact at powers of two, straight between them, and the same on every
/// machine, which a library's logarithm is not.
fn log2(n: u32) -> f32 {
    let n = u64::from(n) + 1;
    let whole = n.ilog2();
    let power = (1_u64 << whole) as f32;
    whole as f32 + (n as f32 - power) / power
}
