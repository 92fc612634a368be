//! The form of a streamed answer.

use super::{ReplyContext, mismatch};
use crate::hub::delta::Delta;
use crate::hub::structured::{self, Check, Verdict};
use crate::quirks::JsonSchemaSupport;

/// The longest text whose form is judged in a stream, in bytes.
const LONGEST_FORM: usize = 1 << 20;

/// The form of a streamed answer: unwrapped from its tool, and judged before the end is told.
#[derive(Debug)]
pub(super) struct Form {
    wraps: bool,
    wrapped: Option<u32>,
    check: Option<Check>,
    text: String,
}

impl Form {
    pub(super) fn new(ctx: &ReplyContext) -> Self {
        let promised = ctx.quirks.json_schema.is_none_or(|it| it == JsonSchemaSupport::Native);
        let check = ctx.check.clone().filter(|_| !promised);
        Self { wraps: ctx.names.wraps_answer, wrapped: None, check, text: String::new() }
    }

    pub(super) fn deltas(&mut self, deltas: &mut Vec<Delta>) {
        if self.wraps {
            structured::unwrap_deltas(deltas, &mut self.wrapped);
        }
        let Some(check) = &self.check else { return };
        for delta in deltas {
            match delta {
                Delta::Text(text) => self.text.push_str(text),
                Delta::Finish(finish) if structured::is_complete(finish) => {
                    match structured::judge(&self.text, check) {
                        Verdict::Good => {}
                        // What was sent cannot be mended any more.
                        Verdict::Mended(_) => {
                            *delta = Delta::Error(mismatch("there is text around the JSON"))
                        }
                        Verdict::Bad(why) => *delta = Delta::Error(mismatch(&why)),
                    }
                }
                _ => {}
            }
        }
        if self.text.len() > LONGEST_FORM {
            self.check = None;
        }
    }
}
