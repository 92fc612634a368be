//! The text of an answer as its client gets it, in any dialect, for whoever judges it later.

use bytes::Bytes;
use nova_wire::Dialect;
use nova_wire::hub::delta::Delta;
use nova_wire::translate::Listener;
use serde_json::Value;

/// Longer answers are not judged.
const MOST: usize = 256 << 10;

/// What was heard so far.
#[derive(Debug)]
pub(super) struct Overheard {
    listener: Listener,
    deltas: Vec<Delta>,
    /// `None` once it is of no use.
    text: Option<String>,
}

impl Overheard {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { listener: Listener::new(dialect), deltas: Vec::new(), text: Some(String::new()) }
    }

    /// A piece of a stream.
    pub(super) fn hear(&mut self, piece: &Bytes) {
        let Some(text) = &mut self.text else { return };
        let heard = self.listener.push(piece, &mut self.deltas).is_ok();
        for delta in self.deltas.drain(..) {
            match delta {
                Delta::Text(more) | Delta::Refusal(more) => text.push_str(&more),
                _ => {}
            }
        }
        if !heard || text.len() > MOST {
            self.text = None;
        }
    }

    /// A whole answer.
    pub(super) fn hear_whole(&mut self, dialect: Dialect, body: &[u8]) {
        self.text = Some(text_of(dialect, body)).filter(|text| text.len() <= MOST);
    }

    /// All of it, where there is something to judge.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref().filter(|text| !text.trim().is_empty())
    }
}

/// The text of a whole answer.
pub(super) fn text_of(dialect: Dialect, body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let parts = |list: &Value| -> String {
        let shown = |part: &&Value| part["thought"] != true && part["type"] != "thinking";
        let texts = list.as_array().into_iter().flatten().filter(shown);
        texts.filter_map(|part| part["text"].as_str()).collect()
    };
    match dialect {
        Dialect::Chat => match &body["choices"][0]["message"]["content"] {
            Value::String(text) => text.clone(),
            list => parts(list),
        },
        Dialect::Messages => parts(&body["content"]),
        Dialect::Responses => {
            let items = body["output"].as_array().into_iter().flatten();
            items.filter(|item| item["type"] == "message").map(|item| parts(&item["content"])).collect()
        }
        Dialect::Gemini => parts(&body["candidates"][0]["content"]["parts"]),
        Dialect::Converse => parts(&body["output"]["message"]["content"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_whole_answer_is_heard_in_every_dialect() {
        let check = |dialect: Dialect, body: &str| {
            let mut overheard = Overheard::new(dialect);
            overheard.hear_whole(dialect, body.as_bytes());
            assert_eq!(overheard.text(), Some("Hi there"), "{body}");
        };
        check(Dialect::Chat, r#"{"choices":[{"message":{"content":"Hi there"}}]}"#);
        check(Dialect::Chat, r#"{"choices":[{"message":{"content":[{"type":"text","text":"Hi there"}]}}]}"#);
        check(
            Dialect::Messages,
            r#"{"content":[{"type":"thinking","text":"?"},{"type":"text","text":"Hi "},{"type":"text","text":"there"}]}"#,
        );
        check(
            Dialect::Responses,
            r#"{"output":[{"type":"reasoning","content":[{"text":"?"}]},{"type":"message","content":[{"type":"output_text","text":"Hi there"}]}]}"#,
        );
        check(
            Dialect::Gemini,
            r#"{"candidates":[{"content":{"parts":[{"text":"?","thought":true},{"text":"Hi there"}]}}]}"#,
        );
        check(Dialect::Converse, r#"{"output":{"message":{"content":[{"text":"Hi there"}]}}}"#);
        for nothing in ["", "{}", r#"{"choices":[{"message":{"content":null}}]}"#] {
            assert_eq!(text_of(Dialect::Chat, nothing.as_bytes()), "");
        }
    }

    #[test]
    fn a_stream_is_heard_piece_by_piece_up_to_a_bound() {
        let chunk = |text: &str| {
            let event = serde_json::json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] });
            Bytes::from(format!("data: {event}\n\n"))
        };
        let mut overheard = Overheard::new(Dialect::Chat);
        assert_eq!(overheard.text(), None);
        let piece = chunk("Hi there");
        overheard.hear(&piece.slice(..20));
        overheard.hear(&piece.slice(20..));
        assert_eq!(overheard.text(), Some("Hi there"));
        for _ in 0..5 {
            overheard.hear(&chunk(&"x".repeat(60_000)));
        }
        assert_eq!(overheard.text(), None, "it is too long to be judged");
    }
}
