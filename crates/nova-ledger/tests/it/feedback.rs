//! What clients say of answers, and what is learnt from it.

use std::sync::Arc;

use nova_ledger::{Feedback, KeyId, Ledger, NewKey};

use crate::backend::Backend;

async fn key(ledger: &Ledger, name: &str) -> KeyId {
    ledger.create_key(&NewKey::user(name), 0).await.unwrap().key.id
}

fn said(key_id: KeyId, (request, metric, at_ms): (&str, &str, i64), value: Option<f64>) -> Feedback {
    Feedback {
        request_id: request.to_owned(),
        metric: metric.to_owned(),
        key_id,
        at_ms,
        value,
        comment: None,
        model: Some(Arc::from("kimi-2.6")),
        task: None,
    }
}

pub(crate) async fn the_last_word_on_a_metric_wins(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let key = key(&ledger, "k").await;
    let first = Feedback {
        comment: Some("good, but \"slow\" é".to_owned()),
        task: Some(Arc::from("code")),
        ..said(key, ("r1", "score", 10), Some(0.1))
    };
    assert_eq!(ledger.save_feedback(&first).await.unwrap(), None);
    let other = said(key, ("r1", "thumbs", 11), Some(1.0));
    assert_eq!(ledger.save_feedback(&other).await.unwrap(), None, "another metric");
    let second = said(key, ("r1", "score", 12), None);
    assert_eq!(ledger.save_feedback(&second).await.unwrap(), Some(first));
    assert_eq!(ledger.save_feedback(&second).await.unwrap(), Some(second.clone()), "said again");
    assert_eq!(ledger.feedback_of("r1").await.unwrap(), [second, other]);
    assert!(ledger.feedback_of("r\0").await.unwrap().is_empty());

    // Whatever came first over a connection, a comment without a value or a value.
    for place in 0..6 {
        let words = said(key, (&format!("words {place}"), "score", 12), None);
        assert_eq!(ledger.save_feedback(&words).await.unwrap(), None);
        let value = said(key, (&format!("value {place}"), "score", 12), Some(0.3));
        assert_eq!(ledger.save_feedback(&value).await.unwrap(), None);
    }

    let hostile =
        Feedback { comment: Some("\0é".repeat(5_000)), ..said(key, ("'); --", "x\0", 13), Some(f64::MIN)) };
    assert_eq!(ledger.save_feedback(&hostile).await.unwrap(), None);
    let kept = &ledger.feedback_since(13, None, 9).await.unwrap()[0];
    assert_eq!((kept.metric.as_str(), kept.value), ("x\u{fffd}", Some(f64::MIN)));
    assert!(kept.comment.as_ref().unwrap().starts_with("\u{fffd}é\u{fffd}é"));
    assert!(kept.comment.as_ref().unwrap().len() < 8 << 10);
    ledger.close().await;
}

pub(crate) async fn words_said_at_once_are_all_heard_once(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let key = key(&ledger, "k").await;
    let say = |at: u32| {
        let ledger = ledger.clone();
        let word = said(key, ("r", "score", i64::from(at)), Some(f64::from(at)));
        tokio::spawn(async move { ledger.save_feedback(&word).await.unwrap().map(|word| word.at_ms) })
    };
    let all: Vec<_> = (0..8).map(say).collect();
    let mut before = Vec::new();
    for one in all {
        before.push(one.await.unwrap());
    }
    before.push(Some(ledger.feedback_of("r").await.unwrap()[0].at_ms));
    before.sort_unstable();
    let each_once = std::iter::once(None).chain((0..8).map(Some)).collect::<Vec<_>>();
    assert_eq!(before, each_once, "each word was replaced by exactly one other, or stayed");
    ledger.close().await;
}

pub(crate) async fn feedback_is_read_in_pages(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let (one, other) = (key(&ledger, "one").await, key(&ledger, "other").await);
    let mut expected = Vec::new();
    for number in 0..30_i64 {
        let request = format!("r{:02}", number / 3);
        let metric = ["comment", "score", "thumbs"][usize::try_from(number % 3).unwrap()];
        // Many in the same millisecond.
        let word =
            said(if number % 2 == 0 { one } else { other }, (&request, metric, number / 10), Some(0.5));
        ledger.save_feedback(&word).await.unwrap();
        expected.push(word);
    }
    for size in [1, 4, 30, 31] {
        let mut seen: Vec<Feedback> = Vec::new();
        loop {
            let page = ledger.feedback_since(1, seen.last(), size).await.unwrap();
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        assert_eq!(seen, expected[10..], "in pages of {size}");
    }
    ledger.close().await;
}

pub(crate) async fn learnt_quality_goes_back_and_forth(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    assert_eq!(ledger.quality(None).await.unwrap(), None);
    assert!(ledger.quality_versions().await.unwrap().is_empty());
    for (number, data) in [(1, "{\"a\":1}"), (2, "two"), (3, "é")] {
        assert_eq!(ledger.save_quality(data, "hourly", number * 10).await.unwrap(), number);
    }
    let active = async |ledger: &Ledger| {
        ledger.quality(None).await.unwrap().map(|(version, data)| (version.version, data))
    };
    assert_eq!(active(&ledger).await, Some((3, "é".to_owned())));
    assert_eq!(ledger.quality_turns().await.unwrap(), 0, "saving is no turn");
    assert!(ledger.activate_quality(1).await.unwrap());
    assert!(!ledger.activate_quality(9).await.unwrap(), "there is no such version");
    let other = database.ledger().await;
    assert_eq!(active(&other).await, Some((1, "{\"a\":1}".to_owned())), "another instance sees it");
    assert_eq!(other.quality_turns().await.unwrap(), 1);
    let listed = other.quality_versions().await.unwrap();
    let shown = listed.iter().map(|it| (it.version, it.at_ms, it.bytes, it.active)).collect::<Vec<_>>();
    assert_eq!(shown, [(3, 30, 2, false), (2, 20, 3, false), (1, 10, 7, true)]);
    let (second, data) = other.quality(Some(2)).await.unwrap().unwrap();
    assert_eq!((second, data.as_str()), (listed[1].clone(), "two"));
    assert!(ledger.activate_quality(0).await.unwrap());
    assert_eq!(active(&other).await, None, "none is in force");
    assert!(ledger.save_quality("a\0", "x", 1).await.is_err());
    assert!(ledger.save_quality(&"x".repeat((16 << 20) + 1), "x", 1).await.is_err());

    // Two instances save at once: each gets a number of its own, and the oldest go.
    let (one, two) = tokio::join!(save_many(&ledger, 60), save_many(&other, 60));
    let mut numbers = [one, two].concat();
    numbers.sort_unstable();
    assert_eq!(numbers, (4..124).collect::<Vec<_>>());
    assert_eq!(ledger.quality_versions().await.unwrap().len(), 100);
    assert_eq!(active(&other).await.unwrap().0, 123);
    ledger.close().await;
    other.close().await;
}

async fn save_many(ledger: &Ledger, count: i64) -> Vec<i64> {
    let mut numbers = Vec::new();
    for at in 0..count {
        numbers.push(ledger.save_quality("data", "both", at).await.unwrap());
    }
    numbers
}
