use proptest::prelude::*;

use super::*;

fn features(text: &str) -> Features {
    let mut features = Features::default();
    extract(text, &mut features);
    features
}

fn buckets(text: &str) -> Vec<u32> {
    let mut buckets: Vec<u32> = features(text).hashed.iter().map(|(bucket, _)| *bucket).collect();
    buckets.sort_unstable();
    buckets
}

fn dense(text: &str, name: &str) -> f32 {
    let at = (0..DENSE).find(|at| dense_name(*at) == name);
    features(text).dense[at.unwrap_or_else(|| panic!("no feature is called `{name}`"))]
}

#[test]
fn every_dense_feature_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<String> = (0..DENSE).map(dense_name).collect();
    assert_eq!(names.len(), DENSE);
    assert!(!names.contains(""));
}

#[test]
fn words_of_both_languages_are_found_where_they_stand() {
    let check = |text: &str, name: &str, found: bool| {
        assert_eq!(dense(text, name) > 0.0, found, "{name}: {text}");
    };
    check("Summarize this", "summarize anywhere", true);
    check("please SUMMARISE: x", "summarize among the first words", true);
    check("请总结以下文章", "summarize anywhere", true);
    check("请总结以下文章", "passage: pointer among the first words", true);
    check("refactoring", "code: act anywhere", true);
    check("bugle", "code: thing anywhere", false);
    check("翻译成英文", "translate among the last words", true);
    check(&format!("{} translate", "x ".repeat(40)), "translate among the first words", false);
    check(&format!("{} translate", "x ".repeat(40)), "translate among the last words", true);
}

fn choice(text: &str, name: &str) -> f32 {
    let at = (0..CHOICES).find(|at| choice_name(*at) == name);
    let mut choices = [0.0; CHOICES];
    features(text).choices(&mut choices);
    choices[at.unwrap_or_else(|| panic!("no number is called `{name}`"))]
}

#[test]
fn a_question_and_its_options_are_counted() {
    const ASKED: &str =
        "Question: Which of these is not prime?\nA. 2\nB. 13\nC. 21, a product\nD. none of these\nAnswer:";
    let check = |text: &str, name: &str, count: f32| assert_eq!(choice(text, name), count, "{name}: {text}");
    check(ASKED, "options", 4.0);
    check(ASKED, "words of the question", 6.0);
    check(ASKED, "negations", 1.0);
    check(ASKED, "words that choose", 1.0);
    check(ASKED, "options with a number", 3.0);
    check(ASKED, "options without a word", 2.0);
    check(ASKED, "place of the longest option", 2.0);
    check(ASKED, "options that name none", 1.0);
    check(ASKED, "commas in the options", 1.0);
    check("How many sheep are left of 1,200?", "options", 0.0);
    check("How many sheep are left of 1,200?", "words that count", 1.0);
    check("How many sheep are left of 1,200?", "numbers in the question", 2.0);
    check("Choose.\na) red\nb) blue\nThanks!", "letters of the longest option", 4.0);
    check("A. Smith wrote this.", "options", 0.0);
    check("Choose.\na) red\nb) red and blue", "options", 2.0);
    check("Choose.\na) red\nb) red and blue", "options that begin alike", 1.0);
    check("", "options", 0.0);
}

#[test]
fn every_choice_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = (0..CHOICES).map(choice_name).collect();
    assert_eq!(names.len(), CHOICES);
    assert!(!names.contains(""));
}

#[test]
fn wrappers_case_and_widths_change_nothing() {
    let check = |one: &str, other: &str| assert_eq!(buckets(one), buckets(other), "{one} | {other}");
    check("Who wrote Hamlet?", "Question: who wrote hamlet?\nAnswer:");
    check("Who wrote Hamlet?", "### User query: WHO WROTE HAMLET?");
    check("Who wrote Hamlet?", "**Question:** Who  wrote Hamlet?");
    check("谁写了红楼梦?", "问题：谁写了红楼梦？");
    check("1234 apples", "98765 apples");
}

#[test]
fn the_same_text_has_the_same_features_on_every_machine() {
    let said = features("Write a function that reverses a list. 写一个函数。");
    let sum = said.hashed.iter().fold(0_u64, |sum, (bucket, _)| sum.rotate_left(7) ^ u64::from(*bucket));
    assert_eq!((said.hashed.len(), sum), (GOLDEN.0, GOLDEN.1));
}

/// What the text above hashed to when [`VERSION`] was given its number.
const GOLDEN: (usize, u64) = (190, 3_570_729_828_281_863_615);

#[test]
fn only_a_window_is_read() {
    let middle =
        |filler: &str| format!("{}{}{}", "a b ".repeat(2000), filler.repeat(3000), "c d ".repeat(1000));
    assert_eq!(buckets(&middle("x y ")), buckets(&middle("q z ")));
    let long = features(&"漢字".repeat(100_000));
    assert!(long.hashed.len() < 4 * (HEAD + TAIL));
}

#[test]
fn a_kept_scratch_leaves_nothing_behind() {
    let mut kept = Features::default();
    extract("def f(x): return x", &mut kept);
    extract("Who wrote Hamlet?", &mut kept);
    let fresh = features("Who wrote Hamlet?");
    assert_eq!((kept.hashed, kept.dense), (fresh.hashed, fresh.dense));
}

proptest! {
    #[test]
    fn any_text_has_features_in_their_bounds(text in "\\PC{0,300}|[a\\n :#*>A-Z.?]{0,200}") {
        let found = features(&text);
        let mut seen = buckets(&text);
        let all = seen.len();
        seen.dedup();
        prop_assert_eq!(seen.len(), all);
        prop_assert!(found.hashed.iter().all(|(bucket, value)| (*bucket as usize) < BUCKETS && *value > 0.0 && *value <= 1.0));
        let mut choices = [0.0; CHOICES];
        found.choices(&mut choices);
        prop_assert!(choices.iter().all(|value| value.is_finite() && *value >= 0.0));
        prop_assert!(found.dense.iter().all(|value| (0.0..=4.0).contains(value)));
        prop_assert_eq!(found.scratch.seen.iter().copied().max(), Some(0));
    }

    #[test]
    fn the_window_never_cuts_a_letter(filler in "\\PC{0,40}", times in 1_usize..2000) {
        let text = filler.repeat(times);
        let (head, tail) = window(&text);
        prop_assert!(head.len() + tail.len() <= HEAD + TAIL);
    }
}
