//! Everything of a chat request but the conversation.

use serde_json::{Map, Value, json};

use crate::draft::Draft;
use crate::hub::request::{Thinking, Tool, ToolChoice};
use crate::ids;
use crate::quirks::{MaxTokensField, ThinkingSwitch, ToolChoiceForm};

impl Draft<'_> {
    pub(super) fn tools(&mut self) {
        let mut tools = Vec::new();
        for tool in &self.request.tools {
            match &tool.foreign {
                None => tools.push(function(tool, self.quirks.cache_control == Some(true))),
                Some(value) if is_of_chat(value) => tools.push(value.clone()),
                // A tool that another provider runs itself, such as a web search.
                Some(_) => self.drop(&format!("tools.{}", tool.name)),
            }
        }
        if tools.is_empty() {
            return;
        }
        if let Some(parallel) = self.request.parallel_tools {
            if self.quirks.parallel_tool_calls == Some(false) {
                self.drop("parallel_tool_calls");
            } else {
                self.set("parallel_tool_calls", parallel);
            }
        }
        match self.choice() {
            Some(ToolChoice::None) if !self.quirks.allows_tool_choice(ToolChoiceForm::None) => return,
            Some(choice) => self.set("tool_choice", self.choice_json(&choice)),
            None => {}
        }
        self.set("tools", tools);
    }

    /// The tool choice, weakened to what the upstream takes. What is lost becomes an instruction.
    fn choice(&mut self) -> Option<ToolChoice> {
        let choice = self.request.tool_choice.clone()?;
        let form = match &choice {
            ToolChoice::Auto => ToolChoiceForm::Auto,
            ToolChoice::None => return Some(choice),
            ToolChoice::Required => ToolChoiceForm::Required,
            ToolChoice::Named(_) => ToolChoiceForm::Named,
        };
        let forced = form != ToolChoiceForm::Auto;
        let thinking = match self.request.thinking {
            Thinking::Off => false,
            Thinking::Unsaid => self.quirks.thinking_default_on == Some(true),
            Thinking::Adaptive { .. } | Thinking::Budget(_) => true,
        };
        let refused = forced && thinking && self.quirks.no_forced_tool_when_thinking == Some(true);
        if !refused && self.quirks.allows_tool_choice(form) {
            return Some(choice);
        }
        if !forced {
            // "auto" is what happens without the field as well.
            return None;
        }
        self.drop("tool_choice");
        match &choice {
            ToolChoice::Named(name) => {
                self.hints.push(format!("Answer with a call of the tool `{name}`."));
                let required = !refused && self.quirks.allows_tool_choice(ToolChoiceForm::Required);
                required.then_some(ToolChoice::Required)
            }
            _ => {
                self.hints.push("Answer with a call of one of the tools.".to_owned());
                None
            }
        }
    }

    fn choice_json(&self, choice: &ToolChoice) -> Value {
        match choice {
            ToolChoice::Auto => "auto".into(),
            ToolChoice::None => "none".into(),
            ToolChoice::Required => self.quirks.tool_choice_required.as_deref().unwrap_or("required").into(),
            ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
        }
    }

    /// The switch for thinking, in the upstream's form.
    pub(super) fn thinking(&mut self) {
        let thinking = self.request.thinking.clone();
        let default_on = self.quirks.thinking_default_on == Some(true);
        match self.quirks.thinking_switch.unwrap_or(ThinkingSwitch::Effort) {
            _ if thinking == Thinking::Unsaid => {}
            ThinkingSwitch::None => {
                if (thinking == Thinking::Off) == default_on {
                    self.drop("thinking");
                }
            }
            ThinkingSwitch::Effort | ThinkingSwitch::Adaptive | ThinkingSwitch::Level => {
                self.effort(&thinking, default_on)
            }
            ThinkingSwitch::ThinkingType => {
                let word = if thinking == Thinking::Off { "disabled" } else { "enabled" };
                self.set("thinking", json!({"type": word}));
                if self.quirks.efforts.is_some() && wish(&thinking).is_some() {
                    self.effort(&thinking, default_on);
                }
            }
            ThinkingSwitch::EnableThinking => {
                self.set("enable_thinking", thinking != Thinking::Off);
                if let Thinking::Budget(budget) = thinking {
                    self.set("thinking_budget", budget);
                }
            }
            ThinkingSwitch::Reasoning => {
                let reasoning = match &thinking {
                    Thinking::Off => json!({"enabled": false}),
                    Thinking::Budget(budget) => json!({"max_tokens": budget}),
                    Thinking::Adaptive { effort: Some(_) } => {
                        json!({"effort": self.nearest_effort(wish(&thinking).unwrap_or("medium"))})
                    }
                    _ => json!({"enabled": true}),
                };
                self.set("reasoning", reasoning);
            }
            ThinkingSwitch::Budget => match thinking {
                Thinking::Off => self.set("thinking", json!({"type": "disabled"})),
                Thinking::Budget(budget) => {
                    self.set("thinking", json!({"type": "enabled", "budget_tokens": budget}));
                }
                _ => self.set("thinking", json!({"type": "enabled"})),
            },
        }
    }

    /// `reasoning_effort`, of the words that the upstream knows.
    fn effort(&mut self, thinking: &Thinking, default_on: bool) {
        let known = |word: &str| self.quirks.efforts.iter().flatten().any(|effort| effort == word);
        if *thinking == Thinking::Off {
            if known("none") {
                self.set("reasoning_effort", "none");
            } else if default_on {
                self.drop("thinking");
            }
            return;
        }
        let word = self.nearest_effort(wish(thinking).unwrap_or("medium"));
        self.set("reasoning_effort", word);
    }

    pub(super) fn bounds(&mut self, most: Option<u64>) {
        let request = self.request;
        if let Some(tokens) = request.max_tokens {
            let field = match self.quirks.max_tokens_field {
                Some(MaxTokensField::MaxCompletionTokens) => "max_completion_tokens",
                Some(MaxTokensField::MaxTokens) | None => "max_tokens",
            };
            self.set(field, most.map_or(tokens, |most| tokens.min(most)));
        }
        self.sampling();
        if !request.stop.is_empty() {
            self.set("stop", request.stop.as_slice());
        }
        self.user();
    }
}

/// The effort that a request asks for; a budget of tokens is one as well.
fn wish(thinking: &Thinking) -> Option<&str> {
    match thinking {
        Thinking::Adaptive { effort } => effort.as_deref(),
        Thinking::Budget(0..2048) => Some("low"),
        Thinking::Budget(2048..4096) => Some("medium"),
        Thinking::Budget(4096..8192) => Some("high"),
        Thinking::Budget(8192..16384) => Some("xhigh"),
        Thinking::Budget(_) => Some("max"),
        Thinking::Unsaid | Thinking::Off => None,
    }
}

/// Whether a tool that is no function is one of this dialect.
fn is_of_chat(tool: &Value) -> bool {
    tool.get("custom").is_some_and(Value::is_object)
}

fn function(tool: &Tool, cache: bool) -> Value {
    let mut function = Map::new();
    function.insert("name".into(), tool.name.clone().into());
    if let Some(description) = &tool.description {
        function.insert("description".into(), description.clone().into());
    }
    // MiniMax refuses an empty schema, OpenAI an object without properties, and Moonshot a schema that
    // names its dialect.
    let mut schema = match &tool.parameters {
        Some(Value::Object(schema)) if !schema.is_empty() => schema.clone(),
        _ => Map::from_iter([("type".to_owned(), "object".into())]),
    };
    // The order of properties matters to a model, and this keeps it.
    schema.retain(|name, _| name != "$schema");
    if schema.get("type").is_some_and(|kind| kind == "object") && !schema.contains_key("properties") {
        schema.insert("properties".to_owned(), json!({}));
    }
    function.insert("parameters".into(), schema.into());
    if let Some(strict) = tool.strict {
        function.insert("strict".into(), strict.into());
    }
    let mut json = json!({"type": "function", "function": function});
    if let (true, Some(mark)) = (cache, &tool.cache) {
        json["cache_control"] = mark.clone();
    }
    json
}

/// Nine letters or digits that stand for an id, as Mistral wants them.
pub(super) fn nine(id: &str) -> String {
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    let letters = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let mut rest = ids::hash(id, 2);
    (0..9)
        .map(|_| {
            let letter = char::from(letters[(rest % 62) as usize]);
            rest /= 62;
            letter
        })
        .collect()
}

/// The id in `^[a-zA-Z0-9_-]{1,64}$`.
pub(super) fn word(id: &str) -> String {
    let spelled = ids::to_word(id);
    if (1..=64).contains(&spelled.len()) {
        spelled.into_owned()
    } else {
        format!("call_{:016x}{:016x}", ids::hash(id, 0), ids::hash(id, 1))
    }
}
