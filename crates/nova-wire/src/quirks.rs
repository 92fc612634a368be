//! In what a provider, or one of its models, differs from its dialect: data, never code.
//!
//! Every field is optional. A model's quirks lie over its provider's ([`Quirks::over`]), and a field
//! that neither names has the dialect's ordinary behaviour, which the accessor documents. The sources
//! for each provider stand beside its entry in `catalog/providers.yaml`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deviations from a dialect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// The request field that bounds the answer's tokens. Default: `max_tokens`.
    pub max_tokens_field: Option<MaxTokensField>,
    /// Request parameters that the upstream rejects; they are dropped and named to the client.
    pub drop: Option<Vec<String>>,
    /// Fields that every request to this upstream carries (`reasoning_split: true`).
    pub set: Option<BTreeMap<String, serde_json::Value>>,
    /// Fields of the body that the upstream does not take, because its address says the same (`model`). Nobody
    /// is told of them.
    pub omit: Option<Vec<String>>,
    /// Renamed request fields, from the dialect's name to the upstream's (`seed: random_seed`).
    pub rename: Option<BTreeMap<String, String>>,
    /// The lowest temperature that is accepted; lower values are raised to it.
    pub min_temperature: Option<f64>,
    /// The highest temperature that is accepted; higher values are lowered to it.
    pub max_temperature: Option<f64>,
    /// How many stop sequences are accepted. Default: no limit known.
    pub max_stop: Option<usize>,
    /// Which forms of `tool_choice` are accepted. Default: all.
    pub tool_choice: Option<Vec<ToolChoiceForm>>,
    /// The spelling of "some tool must be called". Default: `required`.
    pub tool_choice_required: Option<String>,
    /// Whether a forced tool choice is refused while thinking is on. Default: false.
    pub no_forced_tool_when_thinking: Option<bool>,
    /// Whether `parallel_tool_calls` is accepted. Default: true.
    pub parallel_tool_calls: Option<bool>,
    /// Whether `stream_options: {include_usage: true}` is accepted. Default: true.
    pub stream_options: Option<bool>,
    /// How thinking of earlier turns goes back to the model. Default: forbidden.
    pub replay_thinking: Option<ReplayThinking>,
    /// The assistant message's field that carries replayed thinking. Default: `reasoning_content`.
    pub thinking_field: Option<String>,
    /// How a request switches thinking on and off. Default: by `reasoning_effort`.
    pub thinking_switch: Option<ThinkingSwitch>,
    /// The effort words that are accepted, weakest first. Default: low, medium, high.
    pub efforts: Option<Vec<String>>,
    /// Whether thinking is on unless a request switches it off. Default: false.
    pub thinking_default_on: Option<bool>,
    /// Whether answers open with `<think>…</think>` inside the text. Default: false.
    pub think_tags: Option<bool>,
    /// What images may look like. Default: data and remote URLs.
    pub images: Option<Images>,
    /// Whether PDF documents are accepted. Default: false for chat, true for messages.
    pub documents: Option<bool>,
    /// The role of the leading instructions. Default: `system`.
    pub system_role: Option<SystemRole>,
    /// Whether instructions may stand between turns. Default: true for chat, false for messages.
    pub mid_system: Option<bool>,
    /// Whether `content` must be a plain string whenever all of its parts are text. Default: true.
    pub flat_content: Option<bool>,
    /// Which tool-call ids the upstream accepts in history. Default: any.
    pub tool_ids: Option<ToolIds>,
    /// How a JSON schema for the answer is asked for. Default: native.
    pub json_schema: Option<JsonSchemaSupport>,
    /// Whether a form for the answer may be asked for beside functions (Gemini 2.5: no). Default: true.
    pub schema_beside_tools: Option<bool>,
    /// What stands in for the signature that a replayed call lacks, where calls without one are refused
    /// (Gemini 3: `skip_thought_signature_validator`). Default: nothing.
    pub call_signature: Option<String>,
    /// Whether `cache_control` marks are understood. Default: false for chat, true for messages.
    pub cache_control: Option<bool>,
    /// Which of Anthropic's beta features the host takes; they go into `anthropic_beta` of the body, and others stay
    /// behind. Default: the client's `anthropic-beta` header goes up as it is.
    pub betas: Option<Vec<String>>,
    /// The field that marks a last assistant message as a beginning to continue. Default: refused.
    pub prefill: Option<String>,
    /// Whether `usage.completion_tokens` leaves reasoning out (xAI chat). Default: false.
    pub reasoning_outside_output: Option<bool>,
    /// Whether streams come in AWS's binary frames, each with an event of the dialect inside. Default: true
    /// for converse, false for all others.
    pub event_stream: Option<bool>,
    /// Whether streams end without `data: [DONE]`. Default: false.
    pub no_done_marker: Option<bool>,
    /// Whether a stream may end without any `finish_reason` and still be whole. Default: false.
    pub no_finish_reason: Option<bool>,
    /// Whether answers stray so far from the dialect that even a client of the same dialect gets
    /// them through the hub. Default: false.
    pub normalise: Option<bool>,
}

/// The request field that bounds the answer's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// A form of `tool_choice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoiceForm {
    /// The model decides.
    Auto,
    /// No tool may be called.
    None,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Named,
}

/// Whether thinking of earlier turns goes back to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayThinking {
    /// A request whose assistant turns lack it is refused; a blank stands in where it is lost.
    Required,
    /// Taken when there, not missed when not.
    Accepted,
    /// Never sent.
    Forbidden,
}

/// How a request switches thinking on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThinkingSwitch {
    /// `reasoning_effort: "low"`.
    Effort,
    /// `thinking: {type: enabled | disabled}` and `reasoning_effort` (DeepSeek, Kimi, GLM).
    ThinkingType,
    /// `enable_thinking: true` and `thinking_budget: n` (Qwen).
    EnableThinking,
    /// `reasoning: {effort | max_tokens}` (OpenRouter).
    Reasoning,
    /// Anthropic's `thinking: {type: enabled, budget_tokens}`; Gemini's `thinkingConfig: {thinkingBudget}`.
    Budget,
    /// Gemini's `thinkingConfig: {thinkingLevel}`.
    Level,
    /// Anthropic's `thinking: {type: adaptive}` and `output_config: {effort}`.
    Adaptive,
    /// No switch: the model always or never thinks.
    None,
}

/// What images a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    /// Inline data and remote URLs.
    Any,
    /// Inline data only.
    Data,
    /// None: the model reads text only.
    None,
}

/// The role of leading instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemRole {
    /// `system`.
    System,
    /// `developer`.
    Developer,
    /// `user`, for models that know no instructions.
    User,
}

/// Which tool-call ids an upstream accepts in history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolIds {
    /// Any string.
    Any,
    /// `^[a-zA-Z0-9_-]{1,64}$`.
    Word,
    /// Exactly nine letters or digits (Mistral).
    Nine,
}

/// How a JSON schema for the answer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonSchemaSupport {
    /// `response_format: {type: json_schema}`, or `output_config.format` for messages.
    Native,
    /// A tool with the schema that must be called, where the client offers no tools of its own; else as `prompt`.
    Tool,
    /// `response_format: {type: json_object}` with the schema in the instructions.
    JsonObject,
    /// The schema in the instructions alone.
    Prompt,
}

impl Quirks {
    /// These quirks, with `base` for every field that they leave open. `set` and `rename` are merged
    /// entry by entry.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        Self {
            max_tokens_field: self.max_tokens_field.or(base.max_tokens_field),
            drop: self.drop.clone().or_else(|| base.drop.clone()),
            set: merged(self.set.as_ref(), base.set.as_ref()),
            omit: self.omit.clone().or_else(|| base.omit.clone()),
            rename: merged(self.rename.as_ref(), base.rename.as_ref()),
            min_temperature: self.min_temperature.or(base.min_temperature),
            max_temperature: self.max_temperature.or(base.max_temperature),
            max_stop: self.max_stop.or(base.max_stop),
            tool_choice: self.tool_choice.clone().or_else(|| base.tool_choice.clone()),
            tool_choice_required: self
                .tool_choice_required
                .clone()
                .or_else(|| base.tool_choice_required.clone()),
            no_forced_tool_when_thinking: self
                .no_forced_tool_when_thinking
                .or(base.no_forced_tool_when_thinking),
            parallel_tool_calls: self.parallel_tool_calls.or(base.parallel_tool_calls),
            stream_options: self.stream_options.or(base.stream_options),
            replay_thinking: self.replay_thinking.or(base.replay_thinking),
            thinking_field: self.thinking_field.clone().or_else(|| base.thinking_field.clone()),
            thinking_switch: self.thinking_switch.or(base.thinking_switch),
            efforts: self.efforts.clone().or_else(|| base.efforts.clone()),
            thinking_default_on: self.thinking_default_on.or(base.thinking_default_on),
            think_tags: self.think_tags.or(base.think_tags),
            images: self.images.or(base.images),
            documents: self.documents.or(base.documents),
            system_role: self.system_role.or(base.system_role),
            mid_system: self.mid_system.or(base.mid_system),
            flat_content: self.flat_content.or(base.flat_content),
            tool_ids: self.tool_ids.or(base.tool_ids),
            json_schema: self.json_schema.or(base.json_schema),
            schema_beside_tools: self.schema_beside_tools.or(base.schema_beside_tools),
            call_signature: self.call_signature.clone().or_else(|| base.call_signature.clone()),
            cache_control: self.cache_control.or(base.cache_control),
            betas: self.betas.clone().or_else(|| base.betas.clone()),
            prefill: self.prefill.clone().or_else(|| base.prefill.clone()),
            reasoning_outside_output: self.reasoning_outside_output.or(base.reasoning_outside_output),
            event_stream: self.event_stream.or(base.event_stream),
            no_done_marker: self.no_done_marker.or(base.no_done_marker),
            no_finish_reason: self.no_finish_reason.or(base.no_finish_reason),
            normalise: self.normalise.or(base.normalise),
        }
    }

    /// Whether the upstream rejects this request parameter.
    pub fn drops(&self, parameter: &str) -> bool {
        self.drop.as_ref().is_some_and(|names| names.iter().any(|name| name == parameter))
    }

    /// Whether this form of `tool_choice` is accepted.
    pub fn allows_tool_choice(&self, form: ToolChoiceForm) -> bool {
        self.tool_choice.as_ref().is_none_or(|forms| forms.contains(&form))
    }
}

fn merged<V: Clone>(
    over: Option<&BTreeMap<String, V>>,
    base: Option<&BTreeMap<String, V>>,
) -> Option<BTreeMap<String, V>> {
    match (over, base) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (Some(over), Some(base)) => {
            let mut all = base.clone();
            all.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
            Some(all)
        }
    }
}
