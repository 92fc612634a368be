//! Kept answers.

use nova_ledger::{KeyId, Ledger, NewKey, StoredResponse};
use serde_json::value::{RawValue, to_raw_value};

use crate::backend::Backend;

const MOST: u64 = 1 << 20;

fn answer(id: &str, previous: Option<&str>, created_ms: i64) -> StoredResponse {
    let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    StoredResponse {
        id: id.to_owned(),
        previous: previous.map(str::to_owned),
        created_ms,
        expires_ms: created_ms + 1000,
        input: json(&format!(r#"[ {{"content":"secret of {id}"}} ]"#)),
        response: json(&format!(r#"{{"id":"{id}"}}"#)),
    }
}

async fn key(ledger: &Ledger, name: &str) -> KeyId {
    ledger.create_key(&NewKey::user(name), 0).await.unwrap().key.id
}

async fn chain(ledger: &Ledger, key: KeyId, id: &str, bounds: (i64, u64)) -> Option<Vec<String>> {
    let chain = ledger.response_chain(key, id, bounds).await.unwrap()?;
    Some(chain.into_iter().map(|kept| kept.id).collect())
}

pub(crate) async fn a_conversation_is_put_together_for_its_own_key(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let (ours, theirs) = (key(&ledger, "ours").await, key(&ledger, "theirs").await);
    for (id, previous, at) in
        [("a", None, 1), ("b", Some("a"), 2), ("c", Some("b"), 3), ("d", Some("gone"), 4)]
    {
        ledger.save_response(ours, &answer(id, previous, at)).await.unwrap();
    }
    let kept = ledger.response(ours, "b", 500).await.unwrap().unwrap();
    assert_eq!((kept.previous.as_deref(), kept.created_ms, kept.expires_ms), (Some("a"), 2, 1002));
    assert_eq!(kept.input.get(), to_raw_value(&kept.input).unwrap().get());
    assert_eq!(kept.input.get(), r#"[ {"content":"secret of b"} ]"#, "kept byte by byte");
    assert_eq!(chain(&ledger, ours, "c", (500, MOST)).await.unwrap(), ["a", "b", "c"]);
    assert_eq!(chain(&ledger, ours, "d", (500, MOST)).await, None, "its beginning is missing");
    assert_eq!(chain(&ledger, ours, "c", (500, 200)).await, None, "larger than was asked for");
    assert_eq!(chain(&ledger, ours, "c", (1002, MOST)).await, None, "its beginning has expired");
    assert_eq!(chain(&ledger, ours, "x\0", (500, MOST)).await, None);
    assert_eq!(chain(&ledger, theirs, "c", (500, MOST)).await, None, "not theirs");
    assert!(ledger.response(theirs, "a", 500).await.unwrap().is_none());

    ledger.save_response(theirs, &answer("a", None, 9)).await.unwrap();
    assert!(!ledger.delete_response(theirs, "b").await.unwrap());
    assert!(ledger.delete_response(ours, "a").await.unwrap());
    assert!(!ledger.delete_response(ours, "a").await.unwrap());
    assert!(ledger.response(theirs, "a", 500).await.unwrap().is_some());
    assert_eq!(chain(&ledger, ours, "c", (500, MOST)).await, None);
    let again = StoredResponse { previous: None, ..answer("c", None, 7) };
    ledger.save_response(ours, &again).await.unwrap();
    assert_eq!(chain(&ledger, ours, "c", (500, MOST)).await.unwrap(), ["c"]);
    ledger.close().await;
}

pub(crate) async fn a_circle_of_answers_has_no_end_and_is_none(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let key = key(&ledger, "k").await;
    ledger.save_response(key, &answer("a", Some("b"), 1)).await.unwrap();
    ledger.save_response(key, &answer("b", Some("a"), 1)).await.unwrap();
    assert_eq!(chain(&ledger, key, "a", (2, MOST)).await, None);
    ledger.close().await;
}

pub(crate) async fn old_answers_are_forgotten(backend: &Backend) {
    let ledger = backend.database().ledger().await;
    let key = key(&ledger, "k").await;
    for (id, at) in [("a", 1), ("b", 100), ("c", 200), ("d", 300)] {
        ledger.save_response(key, &answer(id, None, at)).await.unwrap();
    }
    let left = async |now: i64| {
        let mut left = Vec::new();
        for id in ["a", "b", "c", "d"] {
            if ledger.response(key, id, now).await.unwrap().is_some() {
                left.push(id);
            }
        }
        left
    };
    assert_eq!(ledger.purge_responses(0, MOST).await.unwrap(), 0);
    assert_eq!(ledger.purge_responses(1001, MOST).await.unwrap(), 1);
    assert_eq!(left(0).await, ["b", "c", "d"]);
    // About 110 bytes each, so that two fit.
    assert_eq!(ledger.purge_responses(1001, 250).await.unwrap(), 1);
    assert_eq!(left(0).await, ["c", "d"]);
    assert_eq!(ledger.purge_responses(1001, 0).await.unwrap(), 2);
    ledger.close().await;
}

pub(crate) async fn no_prompt_is_stored_in_the_clear(backend: &Backend) {
    let database = backend.database();
    let ledger = database.ledger().await;
    let key = key(&ledger, "k").await;
    ledger.save_response(key, &answer("a", None, 1)).await.unwrap();
    let rows = database.texts("SELECT content FROM nova_responses").await;
    assert_eq!(rows.len(), 1);
    assert!(!rows[0].contains("secret"), "{}", rows[0]);
    ledger.close().await;
}
