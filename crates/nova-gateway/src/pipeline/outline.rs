//! A body as far as those look at it who find out what a request is about and whose it is: its turns unread, and the
//! few fields beside them. Read once for all of them, and only where somebody chooses for the request.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The parts of a body, in any dialect. What is not there, or is no JSON of that kind, is left out.
#[derive(Debug, Default)]
pub(crate) struct Outline<'b> {
    /// What was said, in order: messages, items or contents.
    pub(crate) turns: Vec<&'b RawValue>,
    /// The same where it is one text (Responses).
    pub(crate) text: Option<String>,
    /// What the system says, where the dialect has a field for that.
    pub(crate) system: Option<&'b RawValue>,
    /// What the client says of the request.
    pub(crate) metadata: Map<String, Value>,
    /// Which prompts begin alike.
    pub(crate) prompt_cache_key: Option<String>,
    /// The conversation.
    pub(crate) session_id: Option<String>,
    /// The user behind the caller.
    pub(crate) user: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body<'b> {
    #[serde(borrow)]
    messages: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    contents: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    input: Option<&'b RawValue>,
    #[serde(borrow)]
    system: Option<&'b RawValue>,
    #[serde(borrow)]
    instructions: Option<&'b RawValue>,
    #[serde(borrow, rename = "systemInstruction", alias = "system_instruction")]
    system_instruction: Option<&'b RawValue>,
    #[serde(borrow)]
    metadata: Option<&'b RawValue>,
    #[serde(borrow)]
    prompt_cache_key: Option<&'b RawValue>,
    #[serde(borrow)]
    session_id: Option<&'b RawValue>,
    #[serde(borrow)]
    user: Option<&'b RawValue>,
}

impl<'b> Outline<'b> {
    /// Of a body; of one that cannot be read, nothing.
    pub(crate) fn of(body: &'b [u8]) -> Self {
        let body: Body<'b> = serde_json::from_slice(body).unwrap_or_default();
        let items = || serde_json::from_str(body.input?.get()).ok();
        let turns = body.messages.or(body.contents).or_else(items).unwrap_or_default();
        Self {
            text: body.input.filter(|_| turns.is_empty()).and_then(string),
            turns,
            system: body.system.or(body.instructions).or(body.system_instruction),
            metadata: body.metadata.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default(),
            prompt_cache_key: body.prompt_cache_key.and_then(string),
            session_id: body.session_id.and_then(string),
            user: body.user.and_then(string),
        }
    }
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_of_its_kind_is_left_out_alone() {
        let odd = br#"{"user":5,"session_id":"s","metadata":[],"prompt_cache_key":null,"messages":[1,{}]}"#;
        let outline = Outline::of(odd);
        assert_eq!((outline.user, outline.session_id.as_deref()), (None, Some("s")));
        assert!(outline.metadata.is_empty() && outline.prompt_cache_key.is_none());
        assert_eq!(outline.turns.iter().map(|turn| turn.get()).collect::<Vec<_>>(), ["1", "{}"]);
        for nothing in [&b""[..], b"[]", b"{", b"{}", br#"{"messages":5}"#] {
            let outline = Outline::of(nothing);
            assert!(outline.turns.is_empty() && outline.system.is_none(), "{nothing:?}");
        }
        let text = Outline::of(br#"{"input":"a\n","instructions":"s"}"#);
        assert_eq!((text.text.as_deref(), text.system.map(RawValue::get)), (Some("a\n"), Some("\"s\"")));
    }
}
