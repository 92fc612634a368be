//! Which conversation a request goes on with, and who is behind it: for providers' caches, and for experiments
//! that always give the same one the same answer.
//!
//! A client says it by a header of its own or of a known agent, or in its body; else the beginning of the
//! conversation stands for it, which stays the same while it grows. Nothing here is kept but a hash.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::outline::Outline;

/// Headers that name a conversation: ours, agents', other gateways'.
const HEADERS: [&str; 7] = [
    "x-novastack-session",
    "x-session-id",
    "session-id",
    "session_id",
    "x-claude-code-session-id",
    "x-session-affinity",
    "x-litellm-session-id",
];
/// Longer bodies are not read for the beginning of their conversation.
pub(super) const LONGEST: usize = 4 << 20;
/// So much of the beginning stands for a conversation.
const BEGINNING: usize = 4 << 10;

/// Who a request is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Who {
    /// The conversation.
    pub(super) session: Option<u64>,
    /// Whether it goes on: somebody may know its beginning. A first turn has no past, and equal first turns of
    /// different conversations must not all go to one place.
    pub(super) goes_on: bool,
    /// The user behind the caller.
    pub(super) user: Option<u64>,
}

/// Who a request is from, told apart by the key, so that nobody shares a conversation with another key.
pub(super) fn of(key: u64, headers: &HeaderMap, body: &Outline<'_>) -> Who {
    let told = HEADERS.iter().find_map(|name| {
        let value = headers.get(*name)?.as_bytes();
        (!value.is_empty()).then(|| hash(key, "id", &[value]))
    });
    let entry = |name: &str| body.metadata.get(name)?.as_str();
    let text = |text: &str| (!text.is_empty()).then(|| hash(key, "id", &[text.as_bytes()]));
    let named = told
        .or_else(|| text(body.session_id.as_deref()?))
        .or_else(|| text(body.prompt_cache_key.as_deref()?))
        .or_else(|| text(entry("session_id")?))
        .or_else(|| text(entry("user_id")?));
    let user = body.user.as_deref().or_else(|| entry("user_id")).and_then(text);
    if named.is_some() {
        return Who { session: named, goes_on: true, user };
    }
    let begun = beginning(body);
    let session = begun.map(|(beginning, _)| hash(key, "beginning", &beginning));
    Who { session, goes_on: begun.is_some_and(|(_, goes_on)| goes_on), user }
}

/// The beginning of a conversation, its instructions first; and whether an answer stands in it already.
fn beginning<'b>(body: &Outline<'b>) -> Option<([&'b [u8]; 2], bool)> {
    /// What tells whose turn it was; content stays as it is.
    #[derive(Deserialize)]
    struct Turn<'t> {
        #[serde(borrow, default)]
        role: Option<Cow<'t, str>>,
    }
    fn role(turn: &RawValue) -> Option<Cow<'_, str>> {
        serde_json::from_str::<Turn<'_>>(turn.get()).ok()?.role
    }
    let mut first = None;
    let mut goes_on = false;
    for &turn in &body.turns {
        match role(turn).as_deref() {
            Some("assistant" | "model") => {
                goes_on = true;
                break;
            }
            // Gemini leaves the role out where there is only the human.
            Some("user") | None => first = first.or(Some(turn)),
            Some(_) => {}
        }
    }
    let start = |raw: &'b RawValue| {
        let bytes = raw.get().as_bytes();
        &bytes[..bytes.len().min(BEGINNING)]
    };
    Some(([body.system.map_or(&b""[..], start), start(first?)], goes_on))
}

/// Not for secrets: it only has to be the same next time, on every instance.
fn hash(key: u64, what: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, what, parts).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn who(header: Option<(&'static str, &'static str)>, body: &str) -> Who {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        of(1, &headers, &Outline::of(body.as_bytes()))
    }

    #[test]
    fn a_conversation_is_the_same_however_it_is_named() {
        let plain = r#"{"messages":[{"role":"user","content":"a"}]}"#;
        for name in HEADERS {
            let who = who(Some((name, "s-1")), plain);
            assert_eq!((who.session, who.goes_on), (Some(hash(1, "id", &[b"s-1"])), true), "{name}");
        }
        for body in [
            r#"{"prompt_cache_key":"s-1"}"#,
            r#"{"session_id":"s-1"}"#,
            r#"{"metadata":{"session_id":"s-1"}}"#,
            r#"{"metadata":{"user_id":"s-1"}}"#,
        ] {
            assert_eq!(who(None, body).session, Some(hash(1, "id", &[b"s-1"])), "{body}");
        }
        assert_ne!(
            of(2, &HeaderMap::new(), &Outline::of(br#"{"session_id":"s-1"}"#)),
            who(None, r#"{"session_id":"s-1"}"#)
        );
        assert_eq!(who(None, r#"{"user":"u","messages":[]}"#).user, Some(hash(1, "id", &[b"u"])));
    }

    #[test]
    fn the_beginning_stands_for_a_conversation_that_nobody_named() {
        let check = |first: &str, second: &str| {
            let (first, second) = (who(None, first), who(None, second));
            assert!(first.session.is_some() && first.session == second.session);
            assert_eq!([first.goes_on, second.goes_on], [false, true]);
        };
        check(
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#,
            r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#,
        );
        check(
            r#"{"system":"s","messages":[{"role":"user","content":"a"}]}"#,
            r#"{"system":"s","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
        );
        check(
            r#"{"instructions":"s","input":[{"role":"user","content":"a"}]}"#,
            r#"{"instructions":"s","input":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
        );
        check(
            r#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
            r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"model","parts":[]}]}"#,
        );
        let other = who(None, r#"{"system":"t","messages":[{"role":"user","content":"a"}]}"#);
        assert_ne!(
            other.session,
            who(None, r#"{"system":"s","messages":[{"role":"user","content":"a"}]}"#).session
        );
    }

    #[test]
    fn what_is_no_conversation_has_no_name() {
        for body in
            ["", "[]", "{}", r#"{"messages":5}"#, r#"{"messages":[]}"#, r#"{"input":"a"}"#, r#"{"user":5}"#]
        {
            assert_eq!(who(None, body), Who::default(), "{body}");
        }
    }
}
