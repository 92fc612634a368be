//! A plain list of words that give a task away.

/// Tasks and the words that give each away. The first task with a word that stands anywhere in the text, in
/// any case, wins.
pub const KEYWORDS: [(&str, [&str; 4]); 3] = [
    ("code_review", ["debug", "refactor", "code review", "optimize"]),
    ("creative", ["story", "poem", "creative", "brainstorm"]),
    ("analysis", ["analyze", "summarize", "research", "explain"]),
];

/// The task of a text, if it shows one. Does not allocate; one pass over the text.
pub(super) fn task(said: &str) -> Option<&'static str> {
    let text = said.as_bytes();
    let mut best = KEYWORDS.len();
    for (at, pair) in text.windows(2).enumerate() {
        // What the words begin with, so that most places cost one look; the test below holds it to the list.
        let begins_one = matches!(
            &[pair[0] | 0x20, pair[1] | 0x20],
            b"an" | b"br" | b"co" | b"cr" | b"de" | b"ex" | b"op" | b"po" | b"re" | b"st" | b"su"
        );
        if !begins_one {
            continue;
        }
        let rest = &text[at..];
        let begins = |word: &&str| {
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
        };
        let found = KEYWORDS.iter().take(best).position(|(_, words)| words.iter().any(begins));
        best = found.unwrap_or(best);
        if best == 0 {
            break;
        }
    }
    KEYWORDS.get(best).map(|(task, _)| *task)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_give_the_task_away_in_the_order_of_the_list() {
        let check = |said: &str, name: Option<&str>| assert_eq!(task(said), name, "{said}");
        check("Debug this Python function that's causing a memory leak", Some("code_review"));
        check("Write a short story about an AI discovering emotions", Some("creative"));
        check("Explain monads in Python", Some("analysis"));
        check("EXPLAIN the poem, then do a Code Review of it", Some("code_review"));
        check("summarize this STORY", Some("creative"));
        check("What is the capital of France?", None);
        // As in the list, a word counts within another one.
        check("their history", Some("creative"));
        check("", None);
        check("explai", None);
        check("请debug一下", Some("code_review"));
    }

    #[test]
    fn every_word_of_the_list_is_found() {
        for (name, words) in KEYWORDS {
            for word in words {
                assert_eq!(task(word), Some(name));
                assert_eq!(task(&format!("x {}.", word.to_uppercase())), Some(name));
            }
        }
    }

    proptest! {
        #[test]
        fn one_pass_finds_what_a_search_for_each_word_finds(said in "[ a-eopr-t]{0,40}(debug|Story|EXPLAIN|poem|research|)[ a-z]{0,9}(code review|optimize|)") {
            let lower = said.to_lowercase();
            let searched = KEYWORDS.iter().find(|(_, words)| words.iter().any(|word| lower.contains(word)));
            prop_assert_eq!(task(&said), searched.map(|(name, _)| *name));
        }
    }
}
