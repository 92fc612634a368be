//! Thinking that the model's name asks for (`:thinking`, `:nothink`), whatever the body says.
//!
//! How a request says it depends on the dialect, on the provider, on the model, and on what the conversation holds:
//! the writers of the dialects know. So a body that is passed on is written once through the hub, and what the
//! writer says of thinking, and of all that thinking changes, is spliced into the client's own bytes.

use super::{Outbound, Target, hubway, passthrough};
use crate::dialect::Dialect;
use crate::error::BadRequest;
use crate::hub::past::Past;
use crate::hub::request::Thinking;
use crate::peek::Peek;
use crate::splice::{self, Edit};

/// What becomes of the client's wish.
pub(super) fn wish(named: Option<bool>, said: Thinking) -> Thinking {
    match (named, said) {
        (None, said) => said,
        (Some(false), _) => Thinking::Off,
        (Some(true), said @ (Thinking::Adaptive { .. } | Thinking::Budget(_))) if !is_none(&said) => said,
        (Some(true), _) => Thinking::Adaptive { effort: None },
    }
}

fn is_none(said: &Thinking) -> bool {
    matches!(said, Thinking::Adaptive { effort: Some(effort) } if effort == "none")
}

/// The fields of a dialect that say how much the model thinks, or that its thinking bears upon.
const fn fields(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Chat => &["reasoning_effort", "reasoning", "thinking", "thinking_budget", "enable_thinking"],
        Dialect::Messages => &["thinking", "output_config", "temperature", "top_p", "top_k", "tool_choice"],
        Dialect::Responses => &["reasoning", "include"],
        Dialect::Gemini => &["generationConfig", "generation_config"],
        Dialect::Converse => &[],
    }
}

/// The client's own body, with the thinking that the model's name asks for.
pub(super) fn request(
    client: Dialect,
    body: &[u8],
    peek: &Peek,
    (target, past): (&Target<'_>, &Past<'_>),
) -> Result<Outbound, BadRequest> {
    let written = hubway::request(client, body, peek, (target, past))?;
    let there = splice::fields(&written.body)?;
    let edits: Vec<Edit<'_>> = fields(client)
        .iter()
        .map(|name| match there.iter().find(|field| field.name == *name) {
            Some(field) => Edit::Set(name, written.body[field.value.clone()].to_vec()),
            None => Edit::Remove(name),
        })
        .collect();
    let body = splice::apply(body, &splice::fields(body)?, &edits);
    let read = Peek::read(client, &body)?;
    // What does not stand in the body is as it was.
    let again = Peek { stream: peek.stream, wants_thinking: peek.wants_thinking, ..read };
    let mut outbound = passthrough::request(client, &body, &again, target)?;
    let bears = |name: &String| name == "reasoning_effort" || fields(client).contains(&name.as_str());
    for name in written.dropped.into_iter().filter(bears) {
        if !outbound.dropped.contains(&name) {
            outbound.dropped.push(name);
        }
    }
    Ok(outbound)
}
