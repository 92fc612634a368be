use proptest::prelude::*;

use super::*;

fn judge(said: &str) -> Verdict {
    Classifier::Learned.judge(said, Around::default(), &mut Features::default())
}

#[test]
fn the_shipped_model_is_read() {
    assert!(Model::from_bytes(SHIPPED).is_ok());
}

#[test]
fn what_the_examples_ask_for_is_known() {
    let check = |said: &str, rule: &str| {
        let verdict = judge(said);
        let name = verdict.name.unwrap_or("nothing");
        assert!(meant(rule).contains(&name), "{said}: {name} is no {rule}, {:?}", verdict.confidence);
    };
    check("Debug this Python function that's causing a memory leak", "code_review");
    check(
        "Optimize this PostgreSQL query: SELECT * FROM users WHERE id IN (SELECT user_id FROM orders)",
        "code",
    );
    check("Write a short story about an AI discovering emotions", "creative");
    check("写一首关于秋天的诗", "creative");
    check("Solve for x: 3x^2 - 12x + 9 = 0", "math");
    check("小明有12个苹果，吃了3个，还剩多少个？", "reasoning");
    check("Translate the following sentence into French: The weather is nice today.", "translation");
    check("将以下文本翻译成英语：我想去旅行。", "translation");
    check(
        "请总结以下文章的主要内容：人工智能正在改变我们的生活，它在医疗、教育和金融领域的应用越来越广泛。",
        "summarize",
    );
    check("What is the capital of Australia?", "chat");
    check("为什么天空是蓝色的？", "chat");
    check("用Python写一个快速排序函数", "code");
}

#[test]
fn form_decides_where_words_do_not() {
    let check = |said: &str, prompt_tokens: u64, has_images: bool, name: &str| {
        let verdict =
            Classifier::Learned.judge(said, Around { prompt_tokens, has_images }, &mut Features::default());
        assert_eq!(verdict.name, Some(name), "{said}");
    };
    check("What is in this picture?", 900, true, "multimodal");
    check("What is the capital of Australia?", 20, false, "chat");
    check("What is the capital of Australia?", 120_000, false, "long_document_qa");
    check(
        "Answer the question based on the following text.\n\nQuestion: What did the committee decide?\n\nText: The committee met on Monday and decided to close the old bridge, because repairs would cost more than a new one.",
        90_000,
        false,
        "long_document_qa",
    );
    check("Write a Python function that reverses a linked list", 120_000, false, "code");
}

#[test]
fn only_what_was_asked_for_is_said() {
    assert_eq!(
        Classifier::None.judge("Debug this", Around::default(), &mut Features::default()),
        Verdict::default()
    );
    assert_eq!(Classifier::Keywords.task("Debug this"), Some("code_review"));
    let verdict = judge("asdf");
    assert!(verdict.posterior.is_some());
    assert_eq!(verdict.name.is_some(), verdict.confidence.is_some());
}

proptest! {
    #[test]
    fn any_text_has_a_verdict(said in "\\PC{0,400}") {
        let verdict = judge(&said);
        prop_assert_eq!(verdict, judge(&said));
        let sum: f32 = verdict.posterior.iter().flatten().sum();
        prop_assert!((sum - 1.0).abs() < 1e-4);
        prop_assert!(verdict.confidence.is_none_or(|sure| (0.0..=1.0).contains(&sure)));
        prop_assert!(verdict.complexity.is_none_or(|hard| (0.0..=1.0).contains(&hard)));
    }
}
