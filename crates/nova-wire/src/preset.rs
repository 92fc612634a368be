//! What an operator adds to a request by a preset: a prompt before the caller's own, and parameters where the caller
//! gives none. It is spliced into the caller's body in its own dialect, so that it is there whatever way the request
//! takes from then on; every byte that it does not concern stays.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::dialect::Dialect;
use crate::error::BadRequest;
use crate::splice::{self, Edit, Field};

/// What stands between the preset's prompt and the caller's.
const BETWEEN: &str = "\n\n";

/// Parameters for requests that say nothing of them. What a dialect has no field for is left out there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling.
    pub top_p: Option<f64>,
    /// Sampling among the k likeliest; not in Responses.
    pub top_k: Option<u64>,
    /// Sequences that end the answer; not in Responses.
    pub stop: Option<Vec<String>>,
    /// A seed, for the same answer again; in Chat and Gemini.
    pub seed: Option<i64>,
    /// How much to avoid what has been said; in Chat and Gemini.
    pub presence_penalty: Option<f64>,
    /// How much to avoid what has been said often; in Chat and Gemini.
    pub frequency_penalty: Option<f64>,
}

/// What is added to a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Additions {
    /// Instructions before the caller's own.
    pub system: Option<String>,
    /// Parameters, for what the caller does not say.
    pub parameters: Parameters,
}

/// The body with the additions.
///
/// # Errors
/// Where the caller's own instructions have a shape that the dialect does not know.
pub fn apply(dialect: Dialect, body: &[u8], additions: &Additions) -> Result<Vec<u8>, BadRequest> {
    let fields = splice::fields(body)?;
    let caller = Caller { body, fields: &fields };
    let mut edits = Vec::new();
    if let Some(system) = &additions.system {
        edits.extend(caller.instructed(dialect, system)?);
    }
    caller.parameters(dialect, &additions.parameters, &mut edits);
    Ok(splice::apply(body, &fields, &edits))
}

/// The caller's body.
struct Caller<'b> {
    body: &'b [u8],
    fields: &'b [Field],
}

impl Caller<'_> {
    /// The JSON of a field that is not `null`.
    fn raw(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        std::str::from_utf8(self.body.get(field.value.clone())?).ok().filter(|json| *json != "null")
    }

    fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// The name that a field has here, of two spellings.
    fn spelled(&self, names: [&'static str; 2]) -> &'static str {
        if self.raw(names[1]).is_some() { names[1] } else { names[0] }
    }

    fn instructed(&self, dialect: Dialect, system: &str) -> Result<Option<Edit<'static>>, BadRequest> {
        let edit = |name, value: Value| Edit::Set(name, value.to_string().into_bytes());
        Ok(match dialect {
            Dialect::Chat => {
                match self.raw("messages").and_then(|messages| before_messages(messages, system)) {
                    Some(messages) => Some(Edit::Set("messages", messages.into_bytes())),
                    None => return Err(shapeless("messages", "an array of messages")),
                }
            }
            Dialect::Messages => {
                let text = json!({ "type": "text", "text": system });
                let own = self.value("system");
                let all =
                    before(system, text, own).ok_or_else(|| shapeless("system", "a string or an array"))?;
                Some(edit("system", all))
            }
            Dialect::Responses => {
                let own = self.value("instructions");
                let all = before(system, Value::Null, own)
                    .filter(Value::is_string)
                    .ok_or_else(|| shapeless("instructions", "a string"))?;
                Some(edit("instructions", all))
            }
            Dialect::Gemini => {
                let name = self.spelled(["systemInstruction", "system_instruction"]);
                let part = json!({ "text": system });
                let all = match self.value(name) {
                    None => json!({ "parts": [part] }),
                    Some(Value::String(own)) => json!({ "parts": [part, { "text": own }] }),
                    Some(Value::Object(mut own)) => {
                        let parts = match own.remove("parts") {
                            Some(Value::Array(parts)) => parts,
                            None | Some(Value::Null) => Vec::new(),
                            Some(one) => vec![one],
                        };
                        own.insert("parts".to_owned(), std::iter::once(part).chain(parts).collect());
                        Value::Object(own)
                    }
                    Some(_) => return Err(shapeless(name, "an object")),
                };
                Some(edit(name, all))
            }
            // Nobody asks in this dialect.
            Dialect::Converse => None,
        })
    }

    fn parameters(&self, dialect: Dialect, asked: &Parameters, edits: &mut Vec<Edit<'static>>) {
        if dialect == Dialect::Gemini {
            let name = self.spelled(["generationConfig", "generation_config"]);
            let mut config = match self.value(name) {
                Some(Value::Object(config)) => config,
                None => Map::new(),
                // What is wrong is for its reader to say.
                Some(_) => return,
            };
            let before = config.len();
            for (names, value) in of_gemini(asked) {
                if names.iter().all(|name| config.get(*name).is_none_or(Value::is_null)) {
                    config.insert(names[0].to_owned(), value);
                }
            }
            if config.len() > before {
                edits.push(Edit::Set(name, Value::Object(config).to_string().into_bytes()));
            }
            return;
        }
        for (names, value) in named(dialect, asked) {
            if names.iter().all(|name| self.raw(name).is_none()) {
                edits.push(Edit::Set(names[0], value.to_string().into_bytes()));
            }
        }
    }
}

type Named = (&'static [&'static str], Value);

/// The parameters by their names in a dialect; the first name of each is the one to write.
fn named(dialect: Dialect, asked: &Parameters) -> Vec<Named> {
    let mut named: Vec<Named> = Vec::new();
    let mut add = |names: &'static [&'static str], value: Option<Value>| {
        named.extend(value.map(|value| (names, value)));
    };
    let most: &[&str] = match dialect {
        Dialect::Responses => &["max_output_tokens"],
        Dialect::Chat => &["max_tokens", "max_completion_tokens"],
        _ => &["max_tokens"],
    };
    add(most, asked.max_tokens.map(Value::from));
    add(&["temperature"], asked.temperature.map(Value::from));
    add(&["top_p"], asked.top_p.map(Value::from));
    let stop = asked.stop.clone().map(Value::from);
    match dialect {
        Dialect::Chat => {
            add(&["top_k"], asked.top_k.map(Value::from));
            add(&["stop"], stop);
            add(&["seed"], asked.seed.map(Value::from));
            add(&["presence_penalty"], asked.presence_penalty.map(Value::from));
            add(&["frequency_penalty"], asked.frequency_penalty.map(Value::from));
        }
        Dialect::Messages => {
            add(&["top_k"], asked.top_k.map(Value::from));
            add(&["stop_sequences"], stop);
        }
        Dialect::Responses | Dialect::Gemini | Dialect::Converse => {}
    }
    named
}

fn of_gemini(asked: &Parameters) -> Vec<Named> {
    let all: [(&[&str], Option<Value>); 8] = [
        (&["maxOutputTokens", "max_output_tokens"], asked.max_tokens.map(Value::from)),
        (&["temperature"], asked.temperature.map(Value::from)),
        (&["topP", "top_p"], asked.top_p.map(Value::from)),
        (&["topK", "top_k"], asked.top_k.map(Value::from)),
        (&["stopSequences", "stop_sequences"], asked.stop.clone().map(Value::from)),
        (&["seed"], asked.seed.map(Value::from)),
        (&["presencePenalty", "presence_penalty"], asked.presence_penalty.map(Value::from)),
        (&["frequencyPenalty", "frequency_penalty"], asked.frequency_penalty.map(Value::from)),
    ];
    all.into_iter().filter_map(|(names, value)| Some((names, value?))).collect()
}

/// A prompt before the caller's own, which is a text or a list of blocks; `None` where it is neither.
fn before(system: &str, block: Value, own: Option<Value>) -> Option<Value> {
    Some(match own {
        None => system.into(),
        Some(Value::String(own)) => format!("{system}{BETWEEN}{own}").into(),
        Some(Value::Array(blocks)) => std::iter::once(block).chain(blocks).collect(),
        Some(_) => return None,
    })
}

/// The messages of a chat with a prompt before them. Where they begin with instructions, these follow the prompt
/// in one message: templates of open models take no second one.
fn before_messages(messages: &str, system: &str) -> Option<String> {
    let items: Vec<&RawValue> = serde_json::from_str(messages).ok()?;
    let open = messages.find('[')? + 1;
    let first = items.first()?.get();
    let start = open + messages[open..].len() - messages[open..].trim_start().len();
    let rest = &messages[start + first.len()..];
    let read: Value = serde_json::from_str(first).ok()?;
    if !matches!(read["role"].as_str(), Some("system" | "developer")) {
        let message = json!({ "role": "system", "content": system });
        return Some(format!("{}{message},{first}{rest}", &messages[..start]));
    }
    let own = Some(read["content"].clone()).filter(|own| !own.is_null());
    let content = before(system, json!({ "type": "text", "text": system }), own)?;
    let fields = splice::fields(first.as_bytes()).ok()?;
    let edit = Edit::Set("content", content.to_string().into_bytes());
    let message = String::from_utf8(splice::apply(first.as_bytes(), &fields, &[edit])).ok()?;
    Some(format!("{}{message}{rest}", &messages[..start]))
}

fn shapeless(path: &str, expected: &str) -> BadRequest {
    let message = format!("`{path}` must be {expected}");
    BadRequest { path: path.to_owned(), message, code: "invalid_type" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn additions() -> Additions {
        let parameters = Parameters {
            max_tokens: Some(50),
            temperature: Some(0.25),
            stop: Some(vec!["END".into()]),
            seed: Some(7),
            ..Parameters::default()
        };
        Additions { system: Some("Be brief.".into()), parameters }
    }

    #[test]
    fn the_prompt_goes_first_and_what_the_caller_says_of_parameters_stays() {
        let check = |dialect: Dialect, body: &str, expected: &str| {
            let applied = apply(dialect, body.as_bytes(), &additions()).unwrap();
            assert_eq!(std::str::from_utf8(&applied).unwrap(), expected);
        };
        check(
            Dialect::Chat,
            r#"{"model":"m", "messages" : [ {"role":"user","content":"Hi"} ], "temperature":1.50}"#,
            r#"{"max_tokens":50,"stop":["END"],"seed":7,"model":"m", "messages" : [ {"role":"system","content":"Be brief."},{"role":"user","content":"Hi"} ], "temperature":1.50}"#,
        );
        check(
            Dialect::Chat,
            r#"{"messages":[{"role":"developer", "content":"No\u0074es."}, {"role":"user","content":"Hi"}],"max_completion_tokens":9,"stop":"x","seed":1,"temperature":null}"#,
            r#"{"messages":[{"role":"developer", "content":"Be brief.\n\nNotes."}, {"role":"user","content":"Hi"}],"max_completion_tokens":9,"stop":"x","seed":1,"temperature":0.25}"#,
        );
        check(
            Dialect::Chat,
            r#"{"messages":[{"role":"system","content":[{"type":"text","text":"a"}]}],"max_tokens":1,"stop":[],"seed":1,"temperature":0}"#,
            r#"{"messages":[{"role":"system","content":[{"type":"text","text":"Be brief."},{"type":"text","text":"a"}]}],"max_tokens":1,"stop":[],"seed":1,"temperature":0}"#,
        );
        check(
            Dialect::Messages,
            r#"{"system":"Own.","max_tokens":9,"messages":[]}"#,
            r#"{"temperature":0.25,"stop_sequences":["END"],"system":"Be brief.\n\nOwn.","max_tokens":9,"messages":[]}"#,
        );
        check(
            Dialect::Messages,
            r#"{"system":[{"type":"text","text":"Own."}],"max_tokens":9,"temperature":1,"stop_sequences":[]}"#,
            r#"{"system":[{"type":"text","text":"Be brief."},{"type":"text","text":"Own."}],"max_tokens":9,"temperature":1,"stop_sequences":[]}"#,
        );
        check(
            Dialect::Responses,
            r#"{"input":"Hi"}"#,
            r#"{"instructions":"Be brief.","max_output_tokens":50,"temperature":0.25,"input":"Hi"}"#,
        );
        check(
            Dialect::Gemini,
            r#"{"contents":[],"system_instruction":{"parts":{"text":"Own."}},"generation_config":{"top_p":1,"max_output_tokens":3}}"#,
            r#"{"contents":[],"system_instruction":{"parts":[{"text":"Be brief."},{"text":"Own."}]},"generation_config":{"top_p":1,"max_output_tokens":3,"temperature":0.25,"stopSequences":["END"],"seed":7}}"#,
        );
    }

    #[test]
    fn nothing_to_add_changes_nothing_and_what_has_no_shape_is_told() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        let same = apply(Dialect::Chat, body.as_bytes(), &Additions::default()).unwrap();
        assert_eq!(same, body.as_bytes());
        let check = |dialect: Dialect, body: &str, path: &str| {
            assert_eq!(apply(dialect, body.as_bytes(), &additions()).unwrap_err().path, path);
        };
        check(Dialect::Chat, r#"{"messages":7}"#, "messages");
        check(Dialect::Messages, r#"{"system":7}"#, "system");
        check(Dialect::Responses, r#"{"instructions":["a"]}"#, "instructions");
        check(Dialect::Gemini, r#"{"systemInstruction":7}"#, "systemInstruction");
    }
}
