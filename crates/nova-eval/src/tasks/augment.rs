//! The same prompt in another form: in a wrapper, with mistakes of typing.

use super::random::Random;

/// What prompts are wrapped in; `{}` is the prompt.
const WRAPPERS: [&str; 24] = [
    "Question: {}\nAnswer:",
    "Q: {}\nA:",
    "### Instruction:\n{}\n\n### Response:",
    "Context: None\nQuestion: {}",
    "User: {}\nAssistant:",
    "<user>\n{}\n</user>",
    "You are a helpful assistant.\n\n{}",
    "Please help me with this. {}",
    "{}\n\nThank you!",
    "{}\nThanks in advance",
    "Hi, {}",
    "Hello! {}",
    "hey {}",
    "I have a request: {}",
    "{}\n\nPlease answer in detail.",
    "{}\nBe brief.",
    "{}\n\nReply in English.",
    "Task: {}",
    "{}\n\nYour answer:",
    "\"{}\"",
    "请问：{}",
    "你好，{}",
    "{}\n谢谢！",
    "问题：{}\n回答：",
];
/// The share of words that get a mistake.
const MISTAKES: f32 = 0.06;

/// Another form of a prompt: wrapped, mistyped, or both.
pub(super) fn another(prompt: &str, random: &mut Random) -> String {
    let (wrap, mistype) = [(true, false), (false, true), (true, true)][random.below(3)];
    let text = if mistype { mistyped(prompt, random) } else { prompt.to_owned() };
    match random.one(&WRAPPERS) {
        Some(wrapper) if wrap => wrapper.replacen("{}", &text, 1),
        _ => text,
    }
}

/// A text in which some words of at least four letters have two letters exchanged, one missing or one doubled.
pub(super) fn mistyped(text: &str, random: &mut Random) -> String {
    let mut typed = String::with_capacity(text.len() + 16);
    for piece in text.split_inclusive([' ', '\n']) {
        let letters: Vec<char> = piece.chars().collect();
        let is_word = letters.iter().filter(|letter| letter.is_ascii_alphabetic()).count() >= 4;
        if !is_word || random.unit() >= MISTAKES {
            typed.push_str(piece);
            continue;
        }
        let at = 1 + random.below(letters.len() - 2);
        let mut letters = letters;
        match random.below(3) {
            0 => letters.swap(at - 1, at),
            1 => {
                letters.remove(at);
            }
            _ => letters.insert(at, letters[at]),
        }
        typed.extend(letters);
    }
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_stays_recognisable() {
        let prompt = "Please summarize the following article about bridges and rivers for me";
        let mut random = Random::new(3);
        for _ in 0..50 {
            let other = another(prompt, &mut random);
            let kept = prompt.split(' ').filter(|word| other.contains(word)).count();
            assert!(kept >= 8, "{other}");
        }
        assert_eq!(another(prompt, &mut Random::new(9)), another(prompt, &mut Random::new(9)));
        assert_eq!(mistyped("天 a b 1234", &mut random), "天 a b 1234");
    }
}
