//! Numbered events, and the items that are done.

use serde_json::Value;

/// Writes events, each with the next number.
#[derive(Debug, Default)]
pub(super) struct Events {
    sequence: u64,
    /// The place of the item that is open, or of the next one.
    place: usize,
    /// The items that are done, as JSON with commas between them.
    done: Vec<u8>,
    /// How many characters of text there were.
    said: usize,
}

impl Events {
    /// The place of the item that is open, or of the next one.
    pub(super) const fn place(&self) -> usize {
        self.place
    }

    /// How many characters of text there were.
    pub(super) const fn said(&self) -> usize {
        self.said
    }

    /// Counts text.
    pub(super) fn say(&mut self, text: &str) {
        self.said += text.chars().count();
    }

    /// The items that are done, as JSON with commas between them.
    pub(super) fn done(&self) -> &[u8] {
        &self.done
    }

    /// The fields that say where an event of the open item belongs.
    pub(super) fn at(&self, item: &str) -> String {
        format!("\"item_id\":\"{item}\",\"output_index\":{}", self.place)
    }

    /// An event with these fields, as JSON without braces. This runs for every token, so it builds no tree.
    pub(super) fn write(&mut self, kind: &str, fields: &[&[u8]], out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: {\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"sequence_number\":");
        out.extend_from_slice(self.sequence.to_string().as_bytes());
        for field in fields {
            out.push(b',');
            out.extend_from_slice(field);
        }
        out.extend_from_slice(b"}\n\n");
        self.sequence += 1;
    }

    /// An event with the whole answer.
    pub(super) fn holding(&mut self, kind: &str, response: &[u8], out: &mut Vec<u8>) {
        let field = [b"\"response\":", response].concat();
        self.write(kind, &[&field], out);
    }

    /// The beginning of an item.
    pub(super) fn begin(&mut self, item: &Value, out: &mut Vec<u8>) {
        let fields = format!("\"output_index\":{},\"item\":{item}", self.place);
        self.write("response.output_item.added", &[fields.as_bytes()], out);
    }

    /// The end of an item.
    pub(super) fn end(&mut self, item: &Value, out: &mut Vec<u8>) {
        let item = item.to_string();
        let fields = format!("\"output_index\":{},\"item\":{item}", self.place);
        self.write("response.output_item.done", &[fields.as_bytes()], out);
        if !self.done.is_empty() {
            self.done.push(b',');
        }
        self.done.extend_from_slice(item.as_bytes());
        self.place += 1;
    }
}
