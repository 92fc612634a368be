//! How a request was routed, as its record keeps it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A longer decision is replaced by a note: a page of usage must not take the memory.
const MOST_BYTES: usize = 64 << 10;

/// How a request was routed: a piece of JSON that is written when it is needed.
///
/// The request path hands over a function instead of a text, because this crate may not know the router's
/// types, and because the text is only needed where the record is stored: on the writer's thread, where no
/// request waits for it.
#[derive(Clone)]
pub struct Decision(Content);

#[derive(Clone)]
enum Content {
    Text(Arc<str>),
    Later(Arc<dyn Fn() -> String + Send + Sync>),
}

impl Decision {
    /// A decision that `write` puts into JSON, later and on another thread, at most once for each place that the
    /// record goes to. What the function holds lives as long as the record is on its way.
    pub fn later(write: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Content::Later(Arc::new(write)))
    }

    /// A decision that is JSON already.
    pub fn text(json: impl Into<Arc<str>>) -> Self {
        Self(Content::Text(json.into()))
    }

    /// The JSON. One of more than 64 KiB is `{"cut":true,"bytes":N}` instead, with its length.
    pub fn json(&self) -> Cow<'_, str> {
        let json = match &self.0 {
            Content::Text(text) => Cow::Borrowed(&**text),
            Content::Later(write) => Cow::Owned(write()),
        };
        if json.len() <= MOST_BYTES {
            return json;
        }
        format!("{{\"cut\":true,\"bytes\":{}}}", json.len()).into()
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Text(text) => f.debug_tuple("Decision").field(text).finish(),
            Content::Later(_) => f.debug_tuple("Decision").finish_non_exhaustive(),
        }
    }
}

/// Equal decisions have the same JSON.
impl PartialEq for Decision {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = self.json();
        match serde_json::from_str::<&RawValue>(&json) {
            Ok(value) => value.serialize(serializer),
            // Nobody else should lose the record to a text that is not what it says.
            Err(_) => serializer.serialize_str(&json),
        }
    }
}

impl<'de> Deserialize<'de> for Decision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self::text(String::from(Box::<str>::from(value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_written_when_it_is_asked_for_and_read_back_as_it_was() {
        let later = Decision::later(|| r#"{"by":"rule 3", "tried":["a"]}"#.to_owned());
        let text = serde_json::to_string(&later).unwrap();
        assert_eq!(text, r#"{"by":"rule 3", "tried":["a"]}"#, "byte by byte");
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), later);
        assert_eq!(serde_json::to_value(&later).unwrap()["tried"][0], "a");
    }

    #[test]
    fn what_is_too_long_is_cut_to_a_note_and_what_is_no_json_is_a_text() {
        let check = |json: String, shown: &str| {
            assert_eq!(serde_json::to_string(&Decision::later(move || json.clone())).unwrap(), shown);
        };
        check("9".repeat(MOST_BYTES), &"9".repeat(MOST_BYTES));
        check("9".repeat(MOST_BYTES + 1), r#"{"cut":true,"bytes":65537}"#);
        check("{".to_owned(), r#""{""#);
        check("null".to_owned(), "null");
    }
}
