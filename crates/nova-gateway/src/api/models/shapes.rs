//! One model as each kind of reader expects it.

use nova_catalog::Thinking;
use serde_json::{Value, json};

use crate::snapshot::ListedModel;

/// What Codex puts before a conversation with a model from a list. It is the only prompt that it then has.
const CODEX_INSTRUCTIONS: &str = "You are a coding agent in a terminal. Read before you change, keep changes small \
and in the style of the code around them, run the tests that matter, and never undo work that is not yours. Use the \
tools you are given. Say briefly what you did and what is left.";

/// Tokens of one tool's output that Codex keeps; it is what its own models have.
const CODEX_TOOL_OUTPUT: u64 = 10_000;

/// For OpenAI's readers, with what OpenRouter's look for besides (openrouter 1.3, `Model`).
///
/// An unknown price is `-1` there: a reader that adds prices up must not take it for free.
pub(super) fn openai(model: &ListedModel) -> Value {
    let unknown = || json!({ "prompt": "-1", "completion": "-1" });
    json!({
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.providers.first(),
        "name": model.name,
        "canonical_slug": model.id,
        "description": model.description,
        "context_length": model.context,
        "max_output_tokens": model.max_output,
        "architecture": {
            "modality": if model.capabilities.images { "text+image->text" } else { "text->text" },
            "input_modalities": modalities(model),
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": null,
        },
        "pricing": model.pricing.clone().unwrap_or_else(unknown),
        "top_provider": {
            "context_length": model.context,
            "max_completion_tokens": model.max_output,
            "is_moderated": false,
        },
        "supported_parameters": parameters(model),
        "default_parameters": {},
        "per_request_limits": null,
        "supported_voices": null,
        "links": { "details": format!("/v1/models/{}", model.id) },
        "providers": model.providers,
        "aliases": model.aliases,
    })
}

/// For Codex, which wants all of these fields (codex-rs/protocol, `ModelInfo`). The list's order is its
/// order of preference.
pub(super) fn codex(model: &ListedModel, place: usize) -> Value {
    let thinks = model.capabilities.thinking != Thinking::None;
    let levels: Vec<Value> = ["low", "medium", "high"]
        .iter()
        .filter(|_| thinks)
        .map(|effort| json!({ "effort": effort, "description": format!("{effort} effort") }))
        .collect();
    json!({
        "slug": model.id,
        "display_name": model.name,
        "description": Some(&model.description).filter(|text| !text.is_empty()),
        "default_reasoning_level": thinks.then_some("medium"),
        "supported_reasoning_levels": levels,
        "shell_type": "shell_command",
        "visibility": "list",
        "supported_in_api": true,
        "priority": place,
        "availability_nux": null,
        "upgrade": null,
        "base_instructions": CODEX_INSTRUCTIONS,
        "supports_reasoning_summaries": thinks,
        "support_verbosity": false,
        "default_verbosity": null,
        "apply_patch_tool_type": null,
        "truncation_policy": { "mode": "tokens", "limit": CODEX_TOOL_OUTPUT },
        "supports_parallel_tool_calls": model.capabilities.parallel_tools,
        "context_window": model.context,
        "experimental_supported_tools": [],
        "input_modalities": modalities(model),
    })
}

/// For Anthropic's readers (anthropic 2.11, `ModelInfo`). What the gateway cannot know, it does not claim.
pub(super) fn anthropic(model: &ListedModel) -> Value {
    let can = &model.capabilities;
    let yes = |supported: bool| json!({ "supported": supported });
    let (thinks, must) = (can.thinking != Thinking::None, can.thinking == Thinking::Always);
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.name,
        "created_at": model.created_at,
        "lifecycle": if model.retires_at.is_some() { "deprecated" } else { "active" },
        "retires_at": model.retires_at,
        "deprecated_at": null,
        "line": null,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": yes(false),
            "citations": yes(false),
            "code_execution": yes(false),
            "context_management": yes(false),
            "effort": {
                "supported": thinks, "low": yes(thinks), "medium": yes(thinks), "high": yes(thinks), "max": yes(false),
            },
            "image_input": yes(can.images),
            "pdf_input": yes(can.pdf),
            "server_tools": { "supported": false, "code_execution": yes(false), "web_search": yes(false) },
            "structured_outputs": yes(can.json_schema),
            "thinking": {
                "supported": thinks,
                "types": {
                    "adaptive": yes(thinks), "enabled": yes(thinks), "disabled": yes(!must),
                    "between_tools": yes(false),
                },
            },
        },
    })
}

/// For Google's readers (`Model` of the Gemini API).
pub(super) fn gemini(model: &ListedModel) -> Value {
    json!({
        "name": format!("models/{}", model.id),
        "baseModelId": model.id,
        "version": model.id,
        "displayName": model.name,
        "description": model.name,
        "inputTokenLimit": model.context,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "thinking": model.capabilities.thinking != Thinking::None,
    })
}

fn modalities(model: &ListedModel) -> Vec<&'static str> {
    if model.capabilities.images { vec!["text", "image"] } else { vec!["text"] }
}

/// The chat parameters that have a meaning for it, in OpenRouter's words.
fn parameters(model: &ListedModel) -> Vec<&'static str> {
    let can = &model.capabilities;
    let mut names = vec!["max_tokens", "temperature", "top_p", "stop"];
    if can.tools {
        names.extend(["tools", "tool_choice"]);
    }
    if can.parallel_tools {
        names.push("parallel_tool_calls");
    }
    if can.json_schema {
        names.extend(["response_format", "structured_outputs"]);
    }
    if can.thinking != Thinking::None {
        names.extend(["reasoning", "include_reasoning"]);
    }
    names
}
