//! The form of an answer: asked for in whatever way the upstream knows, and judged when it is there.
//!
//! The ladder is: the dialect's own field for a JSON schema; else a tool that must be called, whose
//! arguments are the answer (`force`); else "some JSON object" with the schema in the instructions;
//! else the instructions alone. The writers of the dialects do all but the second. Whatever way was
//! taken, [`judge`] looks at the text, and mends what models like to put around JSON.
//!
//! Invariant: an answer that does not meet the form is never passed on as if it did.

use std::fmt;
use std::sync::Arc;

use crate::hub::delta::Delta;
use crate::hub::reply::{Finish, ReplyPart};
use crate::hub::request::{Format, Request, Tool, ToolChoice};
use crate::quirks::{JsonSchemaSupport, Quirks};

/// The tool whose arguments are the answer.
const TOOL: &str = "answer_with_json";

type Judge = dyn Fn(&str) -> Result<(), String> + Send + Sync;

/// Says whether a text meets the form, and if not, why.
#[derive(Clone)]
pub struct Check(Arc<Judge>);

impl Check {
    /// A check by this function.
    pub fn new(check: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// What [`judge`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The text meets the form.
    Good,
    /// This part of it does.
    Mended(String),
    /// It does not; why.
    Bad(String),
}

/// Asks for the answer through a tool, where the target wants that and no other tool is in the way.
/// Returns whether it did.
pub(crate) fn force(request: &mut Request, quirks: &Quirks) -> bool {
    if quirks.json_schema != Some(JsonSchemaSupport::Tool) || !request.tools.is_empty() {
        return false;
    }
    let Format::JsonSchema { schema, .. } = &request.format else { return false };
    request.tools.push(Tool {
        name: TOOL.to_owned(),
        description: Some("Gives the answer. Call it once, with the whole answer.".to_owned()),
        parameters: Some(schema.clone()),
        ..Tool::default()
    });
    request.tool_choice = Some(ToolChoice::Named(TOOL.to_owned()));
    request.format = Format::Text;
    true
}

/// Turns the call of the tool in a whole answer into the text that was asked for.
pub(crate) fn unwrap_parts(parts: &mut [ReplyPart], finish: &mut Finish) {
    for part in parts {
        if let ReplyPart::ToolCall(call) = part
            && call.name == TOOL
        {
            *part = ReplyPart::Text(std::mem::take(&mut call.arguments));
            if *finish == Finish::ToolCalls {
                *finish = Finish::Stop;
            }
        }
    }
}

/// Turns the call of the tool in a stream into text; `index` is the call's number once it was seen.
pub(crate) fn unwrap_deltas(deltas: &mut Vec<Delta>, index: &mut Option<u32>) {
    deltas.retain_mut(|delta| {
        match delta {
            Delta::ToolStart { index: at, name, .. } if name == TOOL => {
                *index = Some(*at);
                return false;
            }
            Delta::ToolArguments { index: at, json } if Some(*at) == *index => {
                *delta = Delta::Text(std::mem::take(json));
            }
            Delta::ToolEnd { index: at } if Some(*at) == *index => return false,
            Delta::Finish(finish @ Finish::ToolCalls) if index.is_some() => *finish = Finish::Stop,
            _ => {}
        }
        true
    });
}

/// Whether an answer that ended like this is complete, so that its form can be asked about.
pub(crate) const fn is_complete(finish: &Finish) -> bool {
    matches!(finish, Finish::Unsaid | Finish::Stop | Finish::StopSequence(_))
}

/// Looks at a whole text. Models that have only instructions to go by fence their JSON, or talk around it.
pub fn judge(text: &str, check: &Check) -> Verdict {
    let why = match (check.0)(text) {
        Ok(()) => return Verdict::Good,
        Err(why) => why,
    };
    let opens = text.find(['{', '[']);
    let closes = text.rfind(['}', ']']);
    if let (Some(from), Some(to)) = (opens, closes)
        && from < to
        && (check.0)(&text[from..=to]).is_ok()
    {
        return Verdict::Mended(text[from..=to].to_owned());
    }
    Verdict::Bad(why)
}

/// Judges the text of a whole answer and mends it in place. Answers of another kind (calls of tools, a
/// refusal, one that was cut at its limit) say so themselves and are let through.
pub(crate) fn judge_parts(parts: &mut Vec<ReplyPart>, finish: &Finish, check: &Check) -> Verdict {
    let is_text = |part: &ReplyPart| matches!(part, ReplyPart::Text(_));
    let other = parts.iter().any(|part| matches!(part, ReplyPart::ToolCall(_) | ReplyPart::Refusal(_)));
    if !is_complete(finish) || other {
        return Verdict::Good;
    }
    let text: String = parts
        .iter()
        .filter_map(|part| if let ReplyPart::Text(text) = part { Some(text.as_str()) } else { None })
        .collect();
    let verdict = judge(&text, check);
    if let Verdict::Mended(text) = &verdict {
        parts.retain(|part| !is_text(part));
        parts.push(ReplyPart::Text(text.clone()));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::hub::request::{Mark, ToolCall};

    fn object() -> Check {
        Check::new(|text| match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => Ok(()),
            _ => Err("no object".to_owned()),
        })
    }

    #[test]
    fn what_models_put_around_json_is_taken_away() {
        let check = |text: &str, expected: Verdict| assert_eq!(judge(text, &object()), expected, "{text}");
        let mended = || Verdict::Mended("{\"a\":1}".to_owned());
        check("{\"a\":1}", Verdict::Good);
        check(" {\"a\":1}\n", Verdict::Good);
        check("```json\n{\"a\":1}\n```", mended());
        check("Here you are: {\"a\":1}. Anything else?", mended());
        for bad in ["", "no", "[1]", "{\"a\":", "}{", "é{ü"] {
            check(bad, Verdict::Bad("no object".to_owned()));
        }
    }

    #[test]
    fn a_schema_becomes_a_tool_and_its_call_the_answer() {
        let schema = json!({"type": "object"});
        let format = || Format::JsonSchema { name: "n".into(), schema: schema.clone(), strict: None };
        let quirks = Quirks { json_schema: Some(JsonSchemaSupport::Tool), ..Quirks::default() };
        let mut request = Request { format: format(), ..Request::default() };
        assert!(force(&mut request, &quirks));
        assert_eq!(request.tools[0].parameters, Some(schema.clone()));
        assert_eq!(request.tool_choice, Some(ToolChoice::Named(TOOL.into())));
        assert_eq!(request.format, Format::Text);
        let mut busy = Request { format: format(), tools: vec![Tool::default()], ..Request::default() };
        assert!(!force(&mut busy, &quirks), "the client's own tools must stay free to be called");
        assert!(!force(&mut Request { format: format(), ..Request::default() }, &Quirks::default()));

        let call = ToolCall { name: TOOL.into(), arguments: "{}".into(), ..ToolCall::default() };
        let (mut parts, mut finish) = (vec![ReplyPart::ToolCall(call)], Finish::ToolCalls);
        unwrap_parts(&mut parts, &mut finish);
        assert_eq!((parts, finish), (vec![ReplyPart::Text("{}".into())], Finish::Stop));

        let mut index = None;
        let mut deltas = vec![
            Delta::ToolStart { index: 3, id: "i".into(), name: TOOL.into(), mark: Mark::default() },
            Delta::ToolArguments { index: 3, json: "{}".into() },
            Delta::ToolEnd { index: 3 },
            Delta::Finish(Finish::ToolCalls),
        ];
        unwrap_deltas(&mut deltas, &mut index);
        assert_eq!(deltas, [Delta::Text("{}".into()), Delta::Finish(Finish::Stop)]);
    }
}
