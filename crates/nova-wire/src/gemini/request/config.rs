//! `generationConfig`, written: sampling, the form of the answer, and thinking.

use serde_json::{Map, Value, json};

use super::write::drop_named;
use crate::draft::strength;
use crate::gemini::schema;
use crate::hub::request::{Format, Request, Thinking};
use crate::quirks::{JsonSchemaSupport, Quirks, ThinkingSwitch};
use crate::translate::Target;

/// How many stop sequences Google takes.
pub(crate) const MOST_STOPS: usize = 5;

/// The highest temperature of the dialect.
const MAX_TEMPERATURE: f64 = 2.0;

/// The budgets that every model with budgets takes, in tokens.
const BUDGETS: (u64, u64) = (512, 24_576);

/// The efforts that a model takes unless its quirks say otherwise, weakest first.
const EFFORTS: &[&str] = &["low", "medium", "high"];

/// Writes the fields of `generationConfig`. What the target has no field for is returned as sentences
/// for the instructions.
pub(super) fn write(
    request: &Request,
    target: &Target<'_>,
    config: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Vec<String> {
    let quirks = target.quirks;
    if let Some(tokens) = request.max_tokens {
        let most = target.max_output.unwrap_or(u64::MAX);
        config.insert("maxOutputTokens".to_owned(), json!(tokens.min(most).max(1)));
    }
    if let Some(asked) = request.temperature {
        let low = quirks.min_temperature.unwrap_or(0.0);
        let high = quirks.max_temperature.unwrap_or(MAX_TEMPERATURE).max(low);
        let taken = asked.clamp(low, high);
        if (taken - asked).abs() > f64::EPSILON {
            drop_named(dropped, "temperature");
        }
        config.insert("temperature".to_owned(), json!(taken));
    }
    if let Some(top_p) = request.top_p {
        config.insert("topP".to_owned(), json!(top_p));
    }
    if let Some(top_k) = request.top_k {
        config.insert("topK".to_owned(), json!(top_k));
    }
    if !request.stop.is_empty() {
        config.insert("stopSequences".to_owned(), json!(request.stop));
    }
    if let Some(thinking) = thinking(request, quirks, dropped) {
        config.insert("thinkingConfig".to_owned(), thinking);
    }
    format(request, quirks, config, dropped)
}

/// The form of the answer, down the ladder of what the target knows.
fn format(
    request: &Request,
    quirks: &Quirks,
    config: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Vec<String> {
    let mut support = quirks.json_schema.unwrap_or(JsonSchemaSupport::Native);
    let calls = request.tools.iter().any(|tool| tool.foreign.is_none());
    if calls && quirks.schema_beside_tools == Some(false) {
        // "Function calling with a response mime type: 'application/json' is unsupported".
        support = JsonSchemaSupport::Prompt;
    }
    let hint = match &request.format {
        Format::Text => return Vec::new(),
        Format::JsonObject => "Answer with one JSON object and nothing else.".to_owned(),
        Format::JsonSchema { schema, .. } => {
            format!("Answer with JSON that meets this JSON schema, and with nothing else:\n{schema}")
        }
    };
    if support != JsonSchemaSupport::Prompt {
        config.insert("responseMimeType".to_owned(), json!("application/json"));
    }
    match (&request.format, support) {
        (Format::JsonSchema { schema, .. }, JsonSchemaSupport::Native) => {
            config.insert("responseJsonSchema".to_owned(), schema::mended(schema));
            Vec::new()
        }
        (Format::JsonObject, JsonSchemaSupport::Native | JsonSchemaSupport::JsonObject) => Vec::new(),
        _ => {
            drop_named(dropped, "response_format");
            vec![hint]
        }
    }
}

/// `thinkingConfig`, in the form of the target's generation: 2.5 has a budget, 3 a level. Without a quirk
/// the client's own form is kept.
fn thinking(request: &Request, quirks: &Quirks, dropped: &mut Vec<String>) -> Option<Value> {
    let wish = match &request.thinking {
        Thinking::Unsaid => return None,
        Thinking::Adaptive { effort: Some(effort) } if effort == "none" => &Thinking::Off,
        wish => wish,
    };
    let by_level = match quirks.thinking_switch {
        Some(ThinkingSwitch::None) => {
            if (*wish == Thinking::Off) == (quirks.thinking_default_on == Some(true)) {
                drop_named(dropped, "thinking");
            }
            return None;
        }
        Some(ThinkingSwitch::Level | ThinkingSwitch::Effort | ThinkingSwitch::Adaptive) => true,
        Some(_) => false,
        None => matches!(wish, Thinking::Adaptive { effort: Some(_) }),
    };
    if by_level { Some(level(wish, quirks, dropped)) } else { budget(request, wish, quirks, dropped) }
}

/// `thinkingLevel`. No level means no thinking at all; the weakest one is nearest to it.
fn level(wish: &Thinking, quirks: &Quirks, dropped: &mut Vec<String>) -> Value {
    let effort = match wish {
        Thinking::Off => "none",
        Thinking::Adaptive { effort: Some(effort) } => effort,
        Thinking::Budget(0..2048) => "low",
        Thinking::Budget(2048..8192) => "medium",
        Thinking::Budget(_) => "high",
        Thinking::Unsaid | Thinking::Adaptive { effort: None } => return json!({ "includeThoughts": true }),
    };
    let level = nearest(effort, quirks).to_ascii_uppercase();
    if *wish == Thinking::Off {
        if level != "MINIMAL" {
            drop_named(dropped, "thinking");
        }
        return json!({ "thinkingLevel": level });
    }
    json!({ "includeThoughts": true, "thinkingLevel": level })
}

/// `thinkingBudget`.
fn budget(request: &Request, wish: &Thinking, quirks: &Quirks, dropped: &mut Vec<String>) -> Option<Value> {
    // The budget is a part of the answer's bound. An effort leaves half of it to the answer, and a client
    // that names a budget knows what it does.
    let bound = request.max_tokens.unwrap_or(u64::MAX);
    let (tokens, room) = match wish {
        // A model whose efforts are listed without "none" cannot be told to stop thinking.
        Thinking::Off
            if quirks.efforts.as_ref().is_some_and(|all| !all.iter().any(|word| word == "none")) =>
        {
            drop_named(dropped, "thinking");
            return None;
        }
        Thinking::Off => return Some(json!({ "thinkingBudget": 0 })),
        Thinking::Budget(tokens) => (*tokens, bound.saturating_sub(1)),
        Thinking::Adaptive { effort: Some(effort) } => match nearest(effort, quirks) {
            "minimal" | "low" => (1024, bound / 2),
            "medium" => (8192, bound / 2),
            _ => (BUDGETS.1, bound / 2),
        },
        Thinking::Unsaid | Thinking::Adaptive { effort: None } => {
            return Some(json!({ "includeThoughts": true, "thinkingBudget": -1 }));
        }
    };
    if room < BUDGETS.0 {
        // Nothing would be left for the answer.
        drop_named(dropped, "thinking");
        return None;
    }
    let tokens = tokens.clamp(BUDGETS.0, BUDGETS.1.min(room));
    Some(json!({ "includeThoughts": true, "thinkingBudget": tokens }))
}

/// The accepted effort that is nearest to the wish, the weaker of two.
fn nearest<'a>(wish: &'a str, quirks: &'a Quirks) -> &'a str {
    let known: Vec<&str> = match &quirks.efforts {
        Some(efforts) => efforts.iter().map(String::as_str).filter(|word| *word != "none").collect(),
        None => EFFORTS.to_vec(),
    };
    // A word that we do not know may still be the provider's own.
    let Some(wanted) = strength(wish) else { return wish };
    let distance = |word: &&str| strength(word).map_or(usize::MAX, |step| step.abs_diff(wanted));
    known.into_iter().min_by_key(distance).unwrap_or(wish)
}
