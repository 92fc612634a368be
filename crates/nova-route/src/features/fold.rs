//! One plain run of letters out of a text: small letters, plain digits, single spaces, no wrappers.

/// The most letters of a label such as `Question:` that stands before what is asked.
const LONGEST_LABEL: usize = 24;

/// Labels that prompts are wrapped in. They say how somebody writes prompts, not what the prompt wants.
const LABELS: [&str; 33] = [
    "question",
    "q",
    "answer",
    "a",
    "instruction",
    "instructions",
    "input",
    "output",
    "prompt",
    "task",
    "user",
    "human",
    "assistant",
    "query",
    "request",
    "response",
    "user query",
    "user input",
    "user question",
    "my question",
    "the question",
    "your answer",
    "final answer",
    "task description",
    "context: none",
    "问题",
    "答案",
    "回答",
    "指令",
    "输入",
    "输出",
    "任务",
    "用户",
];

/// What was counted on the way, before the letters lost their differences.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) letters: u32,
    pub(super) cjk: u32,
    pub(super) kana: u32,
    pub(super) hangul: u32,
    pub(super) cyrillic: u32,
    pub(super) other_script: u32,
    pub(super) digits: u32,
    pub(super) numbers: u32,
    pub(super) code_signs: u32,
    pub(super) math_signs: u32,
    pub(super) question_marks: u32,
    pub(super) quotes: u32,
    pub(super) backslashes: u32,
    pub(super) dollars: u32,
    pub(super) pipes: u32,
    pub(super) commas: u32,
    pub(super) fences: u32,
    pub(super) links: u32,
    pub(super) lines: Lines,
}

/// What lines look like.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) all: u32,
    pub(super) blank: u32,
    pub(super) indented: u32,
    pub(super) bullets: u32,
    pub(super) options: u32,
    pub(super) code: u32,
    pub(super) longest: u32,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) colon: u32,
}

/// Folds the parts of a window into `into`, with a line break between them.
pub(super) fn fold(parts: [&str; 2], into: &mut Vec<u32>) -> Found {
    let mut found = Found::default();
    into.clear();
    for part in parts.iter().filter(|part| !part.is_empty()) {
        for line in part.split('\n') {
            found.line(line, into);
        }
    }
    while into.last().is_some_and(|&letter| is_space(letter)) {
        into.pop();
    }
    found.lines.last = last_line(into);
    found
}

pub(super) fn is_space(letter: u32) -> bool {
    letter == u32::from(b' ') || letter == u32::from(b'\n')
}

/// Whether a letter is a word of its own: Chinese characters and Japanese kana.
pub(super) fn is_ideograph(letter: u32) -> bool {
    matches!(letter, 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x2_ffff)
}

fn last_line(folded: &[u32]) -> u32 {
    let newline = u32::from(b'\n');
    count(folded.iter().rev().take_while(|&&letter| letter != newline).count())
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Found {
    fn line(&mut self, line: &str, into: &mut Vec<u32>) {
        self.lines.all += 1;
        let trimmed = line.trim();
        if trimmed.is_empty() {
            self.lines.blank += 1;
            return;
        }
        self.look_at_line(line, trimmed);
        let said = unwrapped(trimmed);
        if said.is_empty() {
            return;
        }
        if !into.is_empty() {
            into.push(u32::from(b'\n'));
        }
        let begins = into.len();
        for letter in said.chars() {
            self.letter(letter, into);
        }
        let length = count(into.len() - begins);
        self.lines.longest = self.lines.longest.max(length);
        if begins == 0 {
            self.lines.first = length;
        }
    }

    /// What can be told of a line without reading its words.
    fn look_at_line(&mut self, line: &str, trimmed: &str) {
        let lines = &mut self.lines;
        let bytes = trimmed.as_bytes();
        let (first, second) = (bytes[0], bytes.get(1).copied().unwrap_or(b' '));
        lines.indented += u32::from(line.starts_with("  ") || line.starts_with('\t'));
        lines.bullets += u32::from(matches!(first, b'-' | b'*' | b'+') && second == b' ');
        let lettered = first.is_ascii_alphabetic() && matches!(second, b'.' | b')' | b':');
        let bracketed = first == b'(' && second.is_ascii_alphabetic() && bytes.get(2) == Some(&b')');
        lines.options += u32::from(lettered || bracketed);
        let last = bytes[bytes.len() - 1];
        lines.code += u32::from(
            matches!(last, b';' | b'{' | b'}')
                || trimmed.starts_with("//")
                || trimmed.starts_with("#include"),
        );
        lines.colon += u32::from(last == b':' || trimmed.ends_with('：'));
        self.fences += u32::from(trimmed.starts_with("```"));
        self.links += u32::from(trimmed.contains("://"));
    }

    /// Counts a letter and appends what is left of it. Digits become `0`, of which two at most follow each
    /// other, and spaces become one.
    fn letter(&mut self, letter: char, into: &mut Vec<u32>) {
        let plain = narrow(letter);
        if !plain.is_ascii() {
            self.foreign(plain);
            into.extend(plain.to_lowercase().next().map(u32::from));
            return;
        }
        match plain {
            'a'..='z' | 'A'..='Z' => self.letters += 1,
            '0'..='9' => {
                self.digits += 1;
                let zero = u32::from(b'0');
                let before = [into.len().checked_sub(1), into.len().checked_sub(2)]
                    .map(|at| at.and_then(|at| into.get(at)) == Some(&zero));
                self.numbers += u32::from(!before[0]);
                if before != [true, true] {
                    into.push(zero);
                }
                return;
            }
            '{' | '}' | '[' | ']' | '(' | ')' | ';' | '_' | '#' | '@' | '&' => self.code_signs += 1,
            '+' | '*' | '/' | '=' | '^' | '<' | '>' | '%' => self.math_signs += 1,
            '?' => self.question_marks += 1,
            '"' => self.quotes += 1,
            '\\' => self.backslashes += 1,
            '$' => self.dollars += 1,
            '|' => self.pipes += 1,
            ',' => self.commas += 1,
            ' ' | '\t' | '\r' => {
                if into.last().is_some_and(|&last| !is_space(last)) {
                    into.push(u32::from(b' '));
                }
                return;
            }
            _ => {}
        }
        into.push(u32::from(plain.to_ascii_lowercase()));
    }

    fn foreign(&mut self, letter: char) {
        match letter {
            '\u{3040}'..='\u{30ff}' => self.kana += 1,
            '\u{ac00}'..='\u{d7af}' | '\u{1100}'..='\u{11ff}' => self.hangul += 1,
            '\u{0400}'..='\u{052f}' => self.cyrillic += 1,
            '“' | '”' | '「' | '」' | '《' | '》' => self.quotes += 1,
            '×' | '÷' | '√' | '∫' | '∑' | '≤' | '≥' | '≠' | 'π' | '∞' | '∈' | '²' => {
                self.math_signs += 1
            }
            _ if is_ideograph(u32::from(letter)) => self.cjk += 1,
            _ if letter.is_alphabetic() => {
                self.letters += 1;
                self.other_script += u32::from(letter > '\u{024f}');
            }
            _ => {}
        }
    }
}

/// Full-width letters and signs as the plain ones, the odd spaces as plain spaces.
fn narrow(letter: char) -> char {
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0).unwrap_or(letter),
        '\u{a0}' | '\u{3000}' | '\u{2000}'..='\u{200b}' => ' ',
        '‘' | '’' => '\'',
        _ => letter,
    }
}

/// A line without the labels that it begins with.
fn unwrapped(line: &str) -> &str {
    let mut rest = line;
    for _ in 0..2 {
        let bare = rest.trim_start_matches(['#', '*', '>', '<', '[', ' ']);
        let Some(end) = label_end(bare) else { break };
        rest = bare[end..].trim_start_matches(['*', ']', '>', ' ', '\t']);
    }
    rest
}

/// Where a label ends that the line begins with.
fn label_end(line: &str) -> Option<usize> {
    let near = &line[..line.floor_char_boundary(LONGEST_LABEL)];
    let colon = near.find([':', '：', '】'])?;
    let width = near[colon..].chars().next().map_or(1, char::len_utf8);
    let label = near[..colon].trim_matches([' ', '*', '#', '【', '1', '2', '3']);
    let known = LABELS.iter().any(|known| known.eq_ignore_ascii_case(label));
    known.then_some(colon + width)
}
