//! An answer that the gateway puts together itself, out of answers in the client's dialect: [`Listener`] reads
//! those, [`Composer`] and [`compose`] write the new one.

use bytes::Bytes;

use super::ReplyContext;
use super::hubway::{self, Reader, Writer};
use crate::dialect::Dialect;
use crate::hub::delta::Delta;
use crate::hub::reply::Reply;
use crate::quirks::Quirks;
use crate::sse::{Decoder, TooLong};

/// Reads a stream that was written for a client.
#[derive(Debug)]
pub struct Listener {
    decoder: Decoder,
    reader: Reader,
}

impl Listener {
    /// A listener at the beginning of a stream in this dialect.
    pub fn new(client: Dialect) -> Self {
        Self { decoder: Decoder::new(), reader: Reader::new(client, &Quirks::default()) }
    }

    /// Takes bytes of the stream and appends what they say. Events that cannot be read say nothing.
    ///
    /// # Errors
    /// Where an event is too long to be held.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Delta>) -> Result<(), TooLong> {
        self.decoder.push(bytes)?;
        while let Some(event) = self.decoder.next_event() {
            // What a client would skip is skipped here.
            let _ = self.reader.event(&event, out);
        }
        Ok(())
    }
}

/// Writes a stream for a client.
#[derive(Debug)]
pub struct Composer {
    writer: Writer,
}

impl Composer {
    /// A composer at the beginning of a stream.
    pub fn new(ctx: &ReplyContext) -> Self {
        Self { writer: Writer::new(ctx) }
    }

    /// Appends the events of one piece.
    pub fn delta(&mut self, delta: Delta, out: &mut Vec<u8>) {
        self.writer.delta(delta, out);
    }

    /// Appends the end of the stream.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.writer.finish(out);
    }
}

/// A whole answer in the client's dialect; empty for a dialect that no client speaks.
pub fn compose(ctx: &ReplyContext, reply: &Reply) -> Vec<u8> {
    hubway::write(ctx, reply).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::reply::{Finish, ReplyPart};
    use crate::support::context;

    #[test]
    fn what_a_composer_writes_a_listener_of_the_same_dialect_reads() {
        for dialect in [Dialect::Chat, Dialect::Messages, Dialect::Responses, Dialect::Gemini] {
            let mut composer = Composer::new(&context(dialect));
            let mut stream = Vec::new();
            for delta in [
                Delta::Start { model: None, usage: None },
                Delta::Text("one ".into()),
                Delta::Text("two".into()),
                Delta::Finish(Finish::Stop),
                Delta::End,
            ] {
                composer.delta(delta, &mut stream);
            }
            composer.finish(&mut stream);
            let (mut listener, mut heard) = (Listener::new(dialect), Vec::new());
            for byte in stream {
                listener.push(&Bytes::from(vec![byte]), &mut heard).unwrap();
            }
            let text: String = heard
                .iter()
                .filter_map(|delta| if let Delta::Text(text) = delta { Some(text.as_str()) } else { None })
                .collect();
            assert_eq!(text, "one two", "{dialect}");
        }
    }

    #[test]
    fn a_whole_answer_is_composed_in_every_clients_dialect() {
        let reply =
            Reply { parts: vec![ReplyPart::Text("one".into())], finish: Finish::Stop, ..Reply::default() };
        let check = |dialect: Dialect, at: &str| {
            let body: serde_json::Value =
                serde_json::from_slice(&compose(&context(dialect), &reply)).unwrap();
            assert_eq!(body.pointer(at).unwrap(), "one", "{body}");
        };
        check(Dialect::Chat, "/choices/0/message/content");
        check(Dialect::Messages, "/content/0/text");
        check(Dialect::Responses, "/output/0/content/0/text");
        check(Dialect::Gemini, "/candidates/0/content/parts/0/text");
    }
}
