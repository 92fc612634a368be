//! A body of this dialect that is passed on, with what the target's quirks forbid, bound and add. Everything but
//! `generationConfig` and the fields that are set keeps its bytes.

use serde_json::{Map, Value, json};

use crate::error::BadRequest;
use crate::quirks::Quirks;
use crate::splice::{self, Edit};
use crate::translate::Target;

/// What a parameter is called in `generationConfig`, in both spellings that Google takes, by its name in quirks.
const NAMES: [(&str, [&str; 2]); 9] = [
    ("temperature", ["temperature", "temperature"]),
    ("top_p", ["topP", "top_p"]),
    ("top_k", ["topK", "top_k"]),
    ("stop", ["stopSequences", "stop_sequences"]),
    ("seed", ["seed", "seed"]),
    ("presence_penalty", ["presencePenalty", "presence_penalty"]),
    ("frequency_penalty", ["frequencyPenalty", "frequency_penalty"]),
    ("logprobs", ["responseLogprobs", "response_logprobs"]),
    ("n", ["candidateCount", "candidate_count"]),
];

/// A changed body, and the names of what was left out.
type Bent = (Vec<u8>, Vec<String>);

/// The body and what was left out; `None` where nothing has to change.
///
/// # Errors
/// The body is no JSON object.
pub(crate) fn bent(body: &[u8], asked: Option<u64>, target: &Target<'_>) -> Result<Option<Bent>, BadRequest> {
    let quirks = target.quirks;
    let most = target.max_output.filter(|most| asked.is_some_and(|asked| asked > *most));
    let bends = quirks.drop.is_some() || quirks.min_temperature.is_some() || quirks.max_temperature.is_some();
    if !bends && most.is_none() && quirks.set.is_none() {
        return Ok(None);
    }
    let fields = splice::fields(body)?;
    let given = fields.iter().find(|field| matches!(&*field.name, "generationConfig" | "generation_config"));
    let config = given.and_then(|field| serde_json::from_slice(&body[field.value.clone()]).ok());
    let mut edits = Vec::new();
    let mut dropped = Vec::new();
    if let (Some(field), Some(Value::Object(mut config))) = (given, config)
        && bend(&mut config, quirks, most, &mut dropped)
    {
        edits.push(Edit::Set(&field.name, Value::Object(config).to_string().into_bytes()));
    }
    for (name, value) in quirks.set.iter().flatten() {
        edits.push(Edit::Set(name, value.to_string().into_bytes()));
    }
    Ok((!edits.is_empty()).then(|| (splice::apply(body, &fields, &edits), dropped)))
}

/// Bends the parameters; says whether any changed.
fn bend(
    config: &mut Map<String, Value>,
    quirks: &Quirks,
    most: Option<u64>,
    dropped: &mut Vec<String>,
) -> bool {
    for (_, spelled) in NAMES.iter().filter(|(name, _)| quirks.drops(name)) {
        for name in spelled {
            if config.shift_remove(*name).is_some() {
                dropped.push(format!("generationConfig.{name}"));
            }
        }
    }
    if let Some(asked) = config.get("temperature").and_then(Value::as_f64) {
        let low = quirks.min_temperature.unwrap_or(f64::NEG_INFINITY);
        let taken = asked.max(low).min(quirks.max_temperature.unwrap_or(f64::INFINITY));
        if taken != asked {
            config.insert("temperature".to_owned(), json!(taken));
            dropped.push("generationConfig.temperature".to_owned());
        }
    }
    let mut changed = !dropped.is_empty();
    for name in ["maxOutputTokens", "max_output_tokens"] {
        if let (Some(most), Some(asked)) = (most, config.get(name).and_then(Value::as_u64))
            && asked > most
        {
            config.insert(name.to_owned(), json!(most));
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn a_body_that_is_passed_on_keeps_to_the_quirks_of_its_target() {
        let check = |quirks: Value, asked: Option<u64>, body: &str, expected: Option<(&str, &[&str])>| {
            let quirks: Quirks = serde_json::from_value(quirks).unwrap();
            let target =
                Target { dialect: Dialect::Gemini, model: "m", quirks: &quirks, max_output: Some(100) };
            let bent = bent(body.as_bytes(), asked, &target).unwrap();
            let made = bent.as_ref().map(|(body, dropped)| (std::str::from_utf8(body).unwrap(), dropped));
            assert_eq!(made.map(|(body, _)| body), expected.map(|(body, _)| body));
            assert_eq!(
                made.map(|(_, dropped)| dropped.as_slice()).unwrap_or_default(),
                expected.map_or(&[][..], |(_, it)| it)
            );
        };
        let body =
            r#"{ "contents":[ ], "generationConfig":{"topK":3,"temperature":1.50,"maxOutputTokens":500}}"#;
        check(json!({}), Some(50), body, None);
        check(json!({"drop": ["seed"]}), Some(50), body, None);
        let bounded =
            r#"{ "contents":[ ], "generationConfig":{"topK":3,"temperature":1.5,"maxOutputTokens":100}}"#;
        check(json!({}), Some(500), body, Some((bounded, &[])));
        let bent = r#"{"safetySettings":[], "contents":[ ], "generationConfig":{"temperature":1.0,"maxOutputTokens":500}}"#;
        check(
            json!({"drop": ["top_k", "seed"], "max_temperature": 1, "set": {"safetySettings": []}}),
            Some(50),
            body,
            Some((bent, &["generationConfig.topK", "generationConfig.temperature"])),
        );
        let snake = r#"{"generation_config":{"stop_sequences":["a"]}}"#;
        check(
            json!({"drop": ["stop"]}),
            None,
            snake,
            Some((r#"{"generation_config":{}}"#, &["generationConfig.stop_sequences"])),
        );
    }
}
