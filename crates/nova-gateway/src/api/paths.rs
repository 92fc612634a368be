//! What a path of the data plane names.
//!
//! Every path stands under `/v1` and `/router/v1`. Gemini's are at home under `/v1beta`, where Google's
//! clients look for them, and are served under the others too.

use std::borrow::Cow;

use nova_catalog::Service;
use nova_wire::Dialect;
use percent_encoding::percent_decode_str;

use crate::conversation::Stored;
use crate::pipeline::{Asked, Framing};

/// What a path names, without a look at the method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    /// `POST`: a model's answer.
    Answer(Asked),
    /// `POST`: how many tokens a prompt has.
    Count(Asked),
    /// `POST`: something that is passed on as it is.
    Forward(Service),
    /// A kept answer.
    Stored(Stored<'a>),
    /// `POST`: where a request would go.
    Explain,
    /// `POST`: several models' answers to one prompt.
    Compare,
    /// `GET`: what a request did.
    Generation,
    /// `POST`: what a client says of an answer.
    Feedback,
    /// `GET`: all models, in the shape of Gemini where the flag is set.
    Models(bool),
    /// `GET`: one model, in the shape of Gemini where the flag is set.
    Model(Cow<'a, str>, bool),
}

/// The endpoint at a path, and what the query says of it.
pub(super) fn endpoint<'a>(path: &'a str, query: Option<&str>) -> Option<Endpoint<'a>> {
    let path = path.strip_prefix("/router").unwrap_or(path);
    if let Some(rest) = path.strip_prefix("/v1beta/") {
        return match rest {
            "models" => Some(Endpoint::Models(true)),
            _ => under_models(rest.strip_prefix("models/")?, query, true),
        };
    }
    match path.strip_prefix("/v1/")? {
        "chat/completions" => Some(Endpoint::Answer(Asked::of(Dialect::Chat))),
        "messages" => Some(Endpoint::Answer(Asked::of(Dialect::Messages))),
        "responses" => Some(Endpoint::Answer(Asked::of(Dialect::Responses))),
        "messages/count_tokens" => Some(Endpoint::Count(Asked::of(Dialect::Messages))),
        "responses/input_tokens" => Some(Endpoint::Count(Asked::of(Dialect::Responses))),
        "route/explain" => Some(Endpoint::Explain),
        "compare" => Some(Endpoint::Compare),
        "generation" => Some(Endpoint::Generation),
        "feedback" => Some(Endpoint::Feedback),
        "models" => Some(Endpoint::Models(false)),
        rest if let Some(rest) = rest.strip_prefix("responses/") => Stored::at(rest).map(Endpoint::Stored),
        rest if let Some(service) = Service::at(rest) => Some(Endpoint::Forward(service)),
        rest => under_models(rest.strip_prefix("models/")?, query, false),
    }
}

/// `{model}` or `{model}:{method}`; the model may hold slashes and colons of its own.
fn under_models<'a>(rest: &'a str, query: Option<&str>, google: bool) -> Option<Endpoint<'a>> {
    let rest = percent_decode_str(rest).decode_utf8().ok()?;
    let (model, method) = rest.rsplit_once(':').unwrap_or((&rest, ""));
    let framing = match method {
        "generateContent" => Framing::Whole,
        "streamGenerateContent" if parameter(query, "alt").as_deref() == Some("sse") => Framing::Events,
        "streamGenerateContent" => Framing::Array,
        "countTokens" => Framing::Count,
        _ if rest.is_empty() => return None,
        _ => return Some(Endpoint::Model(rest, google)),
    };
    (!model.is_empty()).then(|| {
        let key = parameter(query, "key").map(Cow::into_owned);
        let asked = Asked { key, ..Asked::gemini(model, framing) };
        if framing == Framing::Count { Endpoint::Count(asked) } else { Endpoint::Answer(asked) }
    })
}

/// A parameter of a query, decoded.
pub(crate) fn parameter<'q>(query: Option<&'q str>, name: &str) -> Option<Cow<'q, str>> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    percent_decode_str(value).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prefixes_name_the_same_endpoints() {
        let check = |rest: &str, expected: Option<Endpoint<'_>>| {
            for prefix in ["/v1", "/router/v1"] {
                assert_eq!(endpoint(&format!("{prefix}{rest}"), None), expected, "{prefix}{rest}");
            }
        };
        check("/chat/completions", Some(Endpoint::Answer(Asked::of(Dialect::Chat))));
        check("/messages", Some(Endpoint::Answer(Asked::of(Dialect::Messages))));
        check("/responses", Some(Endpoint::Answer(Asked::of(Dialect::Responses))));
        check("/messages/count_tokens", Some(Endpoint::Count(Asked::of(Dialect::Messages))));
        check("/responses/input_tokens", Some(Endpoint::Count(Asked::of(Dialect::Responses))));
        check("/models/a/b:countTokens", Some(Endpoint::Count(Asked::gemini("a/b", Framing::Count))));
        check("/embeddings", Some(Endpoint::Forward(Service::Embeddings)));
        check("/audio/transcriptions", Some(Endpoint::Forward(Service::Transcriptions)));
        check("/responses/resp_1", Some(Endpoint::Stored(Stored::Answer("resp_1"))));
        check("/responses/resp_1/input_items", Some(Endpoint::Stored(Stored::InputItems("resp_1"))));
        check("/responses/resp_1/cancel", Some(Endpoint::Stored(Stored::Cancel("resp_1"))));
        check("/responses/", None);
        check("/responses/resp_1/", None);
        check("/responses/resp_1/x", None);
        check("/route/explain", Some(Endpoint::Explain));
        check("/compare", Some(Endpoint::Compare));
        check("/generation", Some(Endpoint::Generation));
        check("/feedback", Some(Endpoint::Feedback));
        check("/models", Some(Endpoint::Models(false)));
        check("/models/deepseek/deepseek-v4", Some(Endpoint::Model("deepseek/deepseek-v4".into(), false)));
        check("/models/deepseek%2Fdeepseek-v4", Some(Endpoint::Model("deepseek/deepseek-v4".into(), false)));
        check("/models/llama3:8b", Some(Endpoint::Model("llama3:8b".into(), false)));
        check("/models/", None);
        check("/models/:generateContent", None);
        check("/v1/models", None);
        check("", None);
        assert_eq!(endpoint("/chat/completions", None), None);
    }

    #[test]
    fn gemini_paths_name_model_and_framing() {
        let check = |rest: &str, query: Option<&str>, model: &str, framing: Framing| {
            for prefix in ["/v1beta", "/v1", "/router/v1beta", "/router/v1"] {
                let path = format!("{prefix}/models/{rest}");
                let expected = Endpoint::Answer(Asked::gemini(model, framing));
                assert_eq!(endpoint(&path, query), Some(expected), "{path}");
            }
        };
        check("gemini-3:generateContent", None, "gemini-3", Framing::Whole);
        check("gemini-3:streamGenerateContent", Some("alt=sse"), "gemini-3", Framing::Events);
        check("gemini-3:streamGenerateContent", Some("x=1&alt=sse"), "gemini-3", Framing::Events);
        check("gemini-3:streamGenerateContent", None, "gemini-3", Framing::Array);
        check("gemini-3:streamGenerateContent", Some("alt=json"), "gemini-3", Framing::Array);
        check("a/b:8b:generateContent", None, "a/b:8b", Framing::Whole);
        check("a%2Fb%3A8b:generateContent", None, "a/b:8b", Framing::Whole);
        check("a%3AgenerateContent", None, "a", Framing::Whole);
        assert_eq!(endpoint("/v1beta/models", None), Some(Endpoint::Models(true)));
        assert_eq!(endpoint("/v1beta/models/a", None), Some(Endpoint::Model("a".into(), true)));
        assert_eq!(endpoint("/v1beta/chat/completions", None), None);
    }

    #[test]
    fn a_key_in_the_query_is_taken_where_google_puts_it() {
        let asked = |path: &str| match endpoint(path, Some("alt=sse&key=nsk_%61bc")) {
            Some(Endpoint::Answer(asked)) => asked.key,
            other => panic!("{other:?}"),
        };
        assert_eq!(asked("/v1beta/models/a:streamGenerateContent").as_deref(), Some("nsk_abc"));
        assert_eq!(asked("/v1/chat/completions"), None);
    }
}
