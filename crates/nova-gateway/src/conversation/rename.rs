//! Ids of answers that may be given again.
//!
//! An answer is kept under its id, so two of one id would be one conversation to the client. OpenAI's ids, UUIDs and
//! ours are long enough never to meet; some servers draw a number below a million (Ollama), or always say the same.
//! Answers of those get an id of ours instead, in every event that repeats it.

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

/// A shorter id than this may come again.
const SHORTEST: usize = 24;

/// The id of one answer.
#[derive(Debug)]
pub(super) struct Rename {
    ours: String,
    /// The provider's, in quotes, where it is too short.
    theirs: Option<Vec<u8>>,
    known: bool,
    /// The beginning of an event whose end has not come.
    rest: Vec<u8>,
}

impl Rename {
    /// The id for an answer whose own is no good.
    pub(super) fn new(ours: String) -> Self {
        Self { ours, theirs: None, known: false, rest: Vec::new() }
    }

    /// Whether the provider's id was seen.
    pub(super) const fn is_known(&self) -> bool {
        self.known
    }

    /// Takes notice of the provider's id.
    pub(super) fn learn(&mut self, id: &str) {
        if !std::mem::replace(&mut self.known, true) && id.len() < SHORTEST {
            self.theirs = Some(quoted(id));
        }
    }

    /// The id in its place, as JSON, where there is one.
    pub(super) fn json(&self) -> Option<Vec<u8>> {
        self.theirs.as_ref().map(|_| quoted(&self.ours))
    }

    /// The events that end in this chunk; the rest of it waits for its end.
    pub(super) fn events(&mut self, chunk: Bytes) -> Bytes {
        let Some(theirs) = &self.theirs else { return chunk };
        self.rest.extend_from_slice(&chunk);
        let ends = [b"\n\n".as_slice(), b"\r\n\r\n"].into_iter();
        let end = ends.filter_map(|end| Some(memmem::rfind(&self.rest, end)? + end.len()));
        let Some(end) = end.max() else { return Bytes::new() };
        let whole = super::keep::replaced(&self.rest[..end], (b"\"id\":", theirs), &quoted(&self.ours));
        self.rest.drain(..end);
        Bytes::from(whole)
    }

    /// What never ended.
    pub(super) fn end(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.rest))
    }
}

fn quoted(id: &str) -> Vec<u8> {
    Value::from(id).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_is_replaced_in_whole_events_however_they_are_cut() {
        let stream = "data: {\"response\":{\"id\":\"resp_7\"}}\n\ndata: {\"item_id\":\"msg_1\",\"text\":\"\\\"id\\\":\\\"resp_7\\\"\"}\n\ndata: {\"response\":{\"id\": \"resp_7\"}}\n\nrest";
        let expected = stream.replacen("\"id\":\"resp_7\"", "\"id\":\"resp_ours\"", 1);
        let expected = expected.replacen("\"id\": \"resp_7\"", "\"id\": \"resp_ours\"", 1);
        for size in [1, 7, 40, 1000] {
            let mut rename = Rename::new("resp_ours".to_owned());
            rename.learn("resp_7");
            rename.learn("resp_8");
            let mut out = Vec::new();
            for piece in stream.as_bytes().chunks(size) {
                out.extend_from_slice(&rename.events(Bytes::copy_from_slice(piece)));
            }
            out.extend_from_slice(&rename.end());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_long_id_stays() {
        let mut rename = Rename::new("resp_ours".to_owned());
        rename.learn("resp_0123456789abcdef0123456789abcdef");
        assert_eq!((rename.json(), rename.is_known()), (None, true));
        assert_eq!(rename.events(Bytes::from_static(b"data: {\"id\"")), "data: {\"id\"");
        assert_eq!(rename.end(), "");
    }
}
