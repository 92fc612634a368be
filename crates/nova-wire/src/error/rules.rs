//! The table that maps a provider's codes and words to a class. Rows are tried in order; the first
//! that matches wins, and a status that no row explains decides last ([`super::classify`]).
//!
//! Sources: recorded answers of the providers, their error pages, and issue threads of other
//! gateways. A code is compared whole, in lower case; a text row matches where all of its fragments
//! stand in the lower-case message.

use super::ErrorClass::{self, Auth, BadRequest, Balance, Context, Filter, Model, Overloaded, Rate};

/// One row.
pub(super) struct Rule {
    pub(super) class: ErrorClass,
    /// Codes, types and reasons.
    pub(super) codes: &'static [&'static str],
    /// MiniMax's numbers; 1000–1004 mean other things to Zhipu.
    pub(super) base_resp: &'static [i64],
    /// Fragments of the message.
    pub(super) texts: &'static [&'static [&'static str]],
}

/// The table.
pub(super) const RULES: &[Rule] = &[
    Rule {
        class: Context,
        codes: &[
            "context_length_exceeded",       // OpenAI and many others
            "string_above_max_length",       // OpenAI
            "too_many_tokens",               // Cohere
            "too_many_prompt_tokens",        // Perplexity
            "exceed_context_size_error",     // llama.cpp
            "request_too_large",             // Anthropic, 413
            "model_context_window_exceeded", // Zhipu, Anthropic
            "1261",                          // Zhipu
        ],
        base_resp: &[],
        texts: &[
            &["maximum context length"],     // OpenAI, DeepSeek, OpenRouter, vLLM, Mistral
            &["exceeds the context window"], // OpenAI Responses
            &["prompt is too long"],         // Anthropic
            &["prompt too long"],            // Ollama
            &["exceed context limit"],       // Anthropic, with max_tokens
            &["input token count", "exceeds the maximum"], // Gemini
            &["input tokens exceed"],        // Bedrock
            &["exceeds maximum length"],     // Bedrock
            &["input is too long"],          // Bedrock
            &["exceeded model token limit"], // Moonshot
            &["context window exceeds limit"], // MiniMax
            &["range of input length should be"], // DashScope
            &["prompt exceeds max length"],  // Zhipu
            &["longer than the model's context length"], // SGLang
            &["exceeds the available context size"], // llama.cpp
            &["total length of all messages is too long"], // Perplexity
            &["reduce the length of the messages"], // OpenAI, Groq
            &["too many tokens", "exceed"],  // Cohere
            &["tokens + `max_new_tokens` must be"], // text-generation-inference
            &["context length exceeded"],
            &["context_length_exceeded"],
        ],
    },
    Rule {
        class: Balance,
        codes: &[
            "insufficient_quota", // OpenAI, 429 or inside a stream
            "billing_not_active",
            "billing_hard_limit_reached",
            "billing_error",                // Anthropic
            "exceeded_current_quota_error", // Moonshot
            "insufficient_balance",
            "insufficient_credits",
            "arrearage",                    // DashScope
            "allocationquota.freetieronly", // DashScope
            "payment_required",
            "1113", // Zhipu
        ],
        base_resp: &[1008],
        texts: &[
            &["credit balance is too low"], // Anthropic, 400
            &["insufficient balance"],      // DeepSeek, MiniMax
            &["insufficient_balance"],
            &["insufficient account balance"],
            &["insufficient credits"],        // OpenRouter
            &["requires more credits"],       // OpenRouter
            &["account is in good standing"], // DashScope
            &["spending limit"],              // xAI
            &["used all available credits"],  // xAI
            &["余额不足"],                    // Zhipu
            &["(1008)"],                      // MiniMax, Messages endpoint
        ],
    },
    Rule {
        class: Filter,
        codes: &[
            "content_filter",               // Azure, Moonshot
            "content_policy_violation",     // OpenAI
            "responsibleaipolicyviolation", // Azure
            "moderation_blocked",
            "data_inspection_failed", // DashScope
            "datainspectionfailed",
            "1301", // Zhipu
        ],
        base_resp: &[1026, 1027],
        texts: &[
            &["content management policy"], // Azure
            &["content filtering policy"],  // Anthropic
            &["inappropriate content"],     // DashScope
            &["considered high risk"],      // Moonshot
            &["was flagged", "moderation"], // OpenRouter
            &["new_sensitive"],             // MiniMax
            &["(1026)"],
            &["(1027)"],
        ],
    },
    Rule {
        class: Model,
        codes: &[
            "model_not_found",
            "deploymentnotfound",   // Azure
            "invalid_model",        // Mistral
            "model_decommissioned", // Groq
            "modelnotfound",
            "not_found_error",           // Anthropic
            "resourcenotfoundexception", // Bedrock
            "1211",                      // Zhipu
            "1500",                      // Mistral
        ],
        base_resp: &[],
        texts: &[
            &["supported api model names are"], // DeepSeek, 400
            &["model", "does not exist"],
            &["model not found"], // xAI, 400
            &["model not exist"], // DashScope
            &["invalid model"],
            &["unknown model"],                        // MiniMax
            &["not a valid model"],                    // OpenRouter, 400
            &["model identifier is invalid"],          // Bedrock, 400
            &["access to the model"],                  // Bedrock, 403
            &["model", "reached the end of its life"], // Bedrock
            &["on-demand throughput"],                 // Bedrock, 400
        ],
    },
    Rule {
        class: Auth,
        codes: &[
            "authentication_error",         // Anthropic, DeepSeek, llama.cpp
            "invalid_authentication_error", // Moonshot
            "invalid_api_key",
            "api_key_invalid",             // Gemini, 400
            "invalidapikey",               // DashScope
            "unrecognizedclientexception", // Bedrock
            "expiredtokenexception",
            "invalidsignatureexception",
            "1000", // Zhipu, to 1004
            "1001",
            "1002",
            "1003",
            "1004",
        ],
        base_resp: &[1004, 2049],
        texts: &[
            &["incorrect api key"], // xAI, 400
            &["invalid api key"],
            &["api key not valid"], // Gemini, 400
            &["invalid x-api-key"],
            &["api key is invalid"],
            &["authentication fails"],      // DeepSeek
            &["invalid authentication"],    // Moonshot
            &["security token", "invalid"], // Bedrock
            &["(1004)"],                    // MiniMax, Messages endpoint
            &["(2049)"],
        ],
    },
    Rule {
        class: Overloaded,
        codes: &[
            "overloaded_error",        // Anthropic, 529 or inside a stream
            "engine_overloaded_error", // Moonshot, 429
            "server_overloaded",
            "service_unavailable_error",
            "serviceunavailableexception", // Bedrock
            "modelnotreadyexception",      // Bedrock
            "unavailable",                 // Gemini, 503
            "1312",                        // Zhipu
        ],
        base_resp: &[],
        texts: &[&["overloaded"], &["over capacity"], &["at capacity"]],
    },
    Rule {
        class: Rate,
        codes: &[
            "rate_limit_error",         // Anthropic
            "rate_limit_exceeded",      // OpenAI, Groq
            "rate_limit_reached_error", // Moonshot
            "ratelimitreached",         // Azure
            "throttlingexception",      // Bedrock
            "toomanyrequestsexception",
            "throttling", // DashScope
            "throttling.ratequota",
            "throttling.allocationquota",
            "throttling.user",
            "limit_requests",
            "limit_burst_rate",
            "resource_exhausted", // Gemini
            "too_many_requests",
            "1302", // Zhipu
            "1303",
            "1305",
            "1308",
            "1310",
        ],
        base_resp: &[1002, 1039],
        texts: &[&["rate limit"], &["rate-limited"], &["too many requests"], &["(1002)"], &["(1039)"]],
    },
    Rule {
        // A client's mistakes that some servers answer with 500 or inside a success.
        class: BadRequest,
        codes: &["tool_use_failed", "bad_request_error", "validationexception"],
        base_resp: &[2013],
        texts: &[
            &["image input is not supported"], // llama.cpp, 500
            &["audio input is not supported"],
            &["tools param requires --jinja"],
            &["cannot use both json_schema and grammar"],
            &["failed to parse grammar"],
            &["function parameters is empty"], // MiniMax
            &["(2013)"],
        ],
    },
];

/// Codes of quotas that come back after hours: the plan quotas of Zhipu.
pub(super) const LONG_QUOTA_CODES: &[&str] = &["1308", "1310"];

/// Codes that say "the client is wrong" where no status says anything.
pub(super) const CLIENT_CODES: &[&str] = &[
    "invalid_request_error",
    "invalid_argument",
    "invalid-argument",
    "invalid_parameter_error",
    "1213",
    "1214",
];
