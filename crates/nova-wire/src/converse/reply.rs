//! Whole answers.

use serde_json::Value;

use super::{finish, text, usage};
use crate::chat::garbage;
use crate::dialect::Dialect;
use crate::error::{self, UpstreamError};
use crate::hub::reply::{Reply, ReplyPart};
use crate::hub::request::ToolCall;
use crate::ids;
use crate::quirks::Quirks;

/// Reads an answer that came with a status of 2xx.
///
/// # Errors
/// Where it reports a failure all the same, or is no answer of Converse.
pub fn read(body: &[u8], _quirks: &Quirks) -> Result<Reply, UpstreamError> {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else {
        return Err(error::classify(Dialect::Converse, 200, |_| None, body));
    };
    let Some(Value::Array(blocks)) = answer.pointer("/output/message/content") else {
        // A guardrail may leave nothing of the message.
        return match (finish(text(&answer, "stopReason")), error::in_success(Dialect::Converse, &answer)) {
            (_, Some(error)) => Err(error),
            (Some(finish), None) => {
                Ok(Reply { finish, usage: answer.get("usage").and_then(usage), ..Reply::default() })
            }
            (None, None) => Err(garbage("the provider's answer has no `output.message.content`")),
        };
    };
    let mut parts = Vec::with_capacity(blocks.len());
    blocks.iter().for_each(|block| read_block(block, &mut parts));
    Ok(Reply {
        parts,
        finish: finish(text(&answer, "stopReason")).unwrap_or_default(),
        usage: answer.get("usage").and_then(usage),
        model: None,
    })
}

/// What the provider's own tools did is no call of the client's tools.
fn read_block(block: &Value, parts: &mut Vec<ReplyPart>) {
    let push_text = |text: &str, parts: &mut Vec<ReplyPart>| {
        if !text.is_empty() {
            parts.push(ReplyPart::Text(text.to_owned()));
        }
    };
    if let Some(Value::String(text)) = block.get("text") {
        push_text(text, parts);
    } else if let Some(reasoning) = block.get("reasoningContent") {
        parts.extend(read_reasoning(reasoning));
    } else if let Some(call) = block.get("toolUse").filter(|call| text(call, "type") != "server_tool_use") {
        parts.push(ReplyPart::ToolCall(ToolCall {
            id: text(call, "toolUseId").to_owned(),
            name: ids::from_word(text(call, "name")).into_owned(),
            arguments: call.get("input").map_or_else(|| "{}".to_owned(), Value::to_string),
            ..ToolCall::default()
        }));
    } else if let Some(Value::Array(quoted)) = block.pointer("/citationsContent/content") {
        quoted.iter().for_each(|piece| push_text(text(piece, "text"), parts));
    }
}

fn read_reasoning(reasoning: &Value) -> Option<ReplyPart> {
    if let Some(thought) = reasoning.get("reasoningText") {
        return Some(ReplyPart::Thinking {
            text: text(thought, "text").to_owned(),
            signature: Some(text(thought, "signature").to_owned()).filter(|signature| !signature.is_empty()),
        });
    }
    let data = text(reasoning, "redactedContent").to_owned();
    (!data.is_empty()).then_some(ReplyPart::RedactedThinking { data })
}
