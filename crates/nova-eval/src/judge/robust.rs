//! The same question in other words: the choice should stay the same.

use crate::draw::Draw;

/// A way to change a prompt that leaves its meaning alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// "Question: ... Answer:", "Context: None", and such, around it.
    Wrapper,
    /// One letter in a hundred swapped with the next, and at least one.
    Typos,
    /// Everything in small letters.
    Lower,
    /// A polite word before it, another after it.
    Polite,
    /// Common words replaced by others of the same meaning.
    Synonyms,
    /// Other spaces and line ends.
    Spaces,
}

impl Change {
    /// Every way, with its name.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Wrapper, "wrapper"),
        (Self::Typos, "typos"),
        (Self::Lower, "small letters"),
        (Self::Polite, "politeness"),
        (Self::Synonyms, "paraphrase by synonyms"),
        (Self::Spaces, "spaces"),
    ];

    /// The prompt in other words.
    pub(crate) fn of(self, prompt: &str, draw: &mut Draw) -> String {
        match self {
            Self::Wrapper => wrap(prompt, draw),
            Self::Typos => typos(prompt, draw),
            Self::Lower => prompt.to_lowercase(),
            Self::Polite => polite(prompt, draw),
            Self::Synonyms => synonyms(prompt),
            Self::Spaces => prompt.replace('\n', " \r\n").replace(". ", ".  "),
        }
    }
}

fn wrap(prompt: &str, draw: &mut Draw) -> String {
    match draw.below(4) {
        0 => format!("Question: {prompt}\nAnswer:"),
        1 => format!("Context: None\n\nQuestion: {prompt}"),
        2 => format!("### Instruction:\n{prompt}\n\n### Response:"),
        _ => format!("Q: {prompt}\nA:"),
    }
}

fn typos(prompt: &str, draw: &mut Draw) -> String {
    let mut letters: Vec<char> = prompt.chars().collect();
    let count = letters.len();
    for _ in 0..(count / 100).max(1) {
        if count < 2 {
            break;
        }
        // From a drawn place on, the next two letters that stand together and differ.
        let from = draw.below(count - 1);
        let differ = |at: &usize| {
            let (one, other) = (letters[*at], letters[*at + 1]);
            one.is_alphabetic() && other.is_alphabetic() && one != other
        };
        if let Some(at) = (from..count - 1).chain(0..from).find(differ) {
            letters.swap(at, at + 1);
        }
    }
    letters.into_iter().collect()
}

fn polite(prompt: &str, draw: &mut Draw) -> String {
    const BEFORE: [&str; 4] =
        ["Hi! ", "Please help me with this. ", "Could you answer the following?\n", "Hello, a question: "];
    const AFTER: [&str; 4] =
        ["\nThanks!", "\n\nThank you in advance.", "", "\nI would appreciate a correct answer."];
    format!("{}{prompt}{}", BEFORE[draw.below(BEFORE.len())], AFTER[draw.below(AFTER.len())])
}

/// Words with others that mean the same, in the same form.
const SYNONYMS: [(&str, &str); 24] = [
    ("which", "what"),
    ("following", "next"),
    ("calculate", "compute"),
    ("find", "determine"),
    ("large", "big"),
    ("small", "little"),
    ("however", "but"),
    ("approximately", "about"),
    ("begin", "start"),
    ("often", "frequently"),
    ("show", "demonstrate"),
    ("because", "since"),
    ("needs", "requires"),
    ("gets", "receives"),
    ("buys", "purchases"),
    ("also", "too"),
    ("many", "numerous"),
    ("important", "significant"),
    ("write", "compose"),
    ("function", "routine"),
    ("correct", "right"),
    ("statement", "claim"),
    ("given", "provided"),
    ("each", "every"),
];

fn synonyms(prompt: &str) -> String {
    let replaced = prompt.split_inclusive(|letter: char| !letter.is_alphabetic()).map(|piece| {
        let word = piece.trim_end_matches(|letter: char| !letter.is_alphabetic());
        let end = &piece[word.len()..];
        let other = SYNONYMS.iter().find(|(one, _)| one.eq_ignore_ascii_case(word));
        match (other, word.starts_with(char::is_uppercase)) {
            (None, _) => piece.to_owned(),
            (Some((_, other)), false) => format!("{other}{end}"),
            (Some((_, other)), true) => {
                let (first, rest) = other.split_at(1);
                format!("{}{rest}{end}", first.to_uppercase())
            }
        }
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_changes_words_and_not_the_question() {
        let prompt = "Which of the following is correct? Calculate 12 * 3.\nA. 36\nB. 63";
        let check =
            |change: Change, expected: &str| assert_eq!(change.of(prompt, &mut Draw::new(1)), expected);
        check(Change::Lower, "which of the following is correct? calculate 12 * 3.\na. 36\nb. 63");
        check(Change::Synonyms, "What of the next is right? Compute 12 * 3.\nA. 36\nB. 63");
        check(Change::Spaces, "Which of the following is correct? Calculate 12 * 3.  \r\nA.  36 \r\nB.  63");
        for (change, name) in Change::ALL {
            let changed = change.of(prompt, &mut Draw::new(2));
            assert_ne!(changed, prompt, "{name}");
            assert!(changed.contains("12 * 3."), "{name}: {changed}");
            change.of("", &mut Draw::new(2));
        }
    }
}
