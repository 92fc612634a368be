//! What a path that we do not serve was probably meant to be.
//!
//! SDKs disagree on whether a base URL ends in `/v1`: OpenAI's wants it, Anthropic's and Google's do not.
//! The mistakes that follow are answered with the URL that would have worked.

use nova_wire::Dialect;

use super::paths;
use crate::error::{Code, GatewayError};

/// How the served paths begin, without their version.
const SERVED: [&str; 16] = [
    "/chat/completions",
    "/messages",
    "/responses",
    "/models",
    "/embeddings",
    "/completions",
    "/rerank",
    "/moderations",
    "/images/generations",
    "/images/edits",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/compare",
    "/generation",
    "/feedback",
];

/// The error for a path that is not served.
pub(super) fn error(path: &str) -> GatewayError {
    let hint = match meant(path) {
        Some(right) => format!("did you mean `{right}`? {}", base_hint(&right)),
        None => "the API is at `/v1/chat/completions`, `/v1/responses`, `/v1/messages`, `/v1/models` and \
                 `/v1beta/models/{model}:generateContent`"
            .to_owned(),
    };
    GatewayError::new(Code::UnknownPath, format!("there is nothing at `{path}`\nhint: {hint}"))
}

/// The dialect in which the caller of a wrong path reads errors, where the path gives it away.
pub(super) fn dialect(path: &str) -> Option<Dialect> {
    if path.contains("/v1beta") || is_googles(path) {
        Some(Dialect::Gemini)
    } else if path.contains("/messages") {
        Some(Dialect::Messages)
    } else {
        None
    }
}

/// Whether it ends like one of Google's methods.
fn is_googles(path: &str) -> bool {
    let method = path.rsplit_once(':').map_or("", |(_, method)| method);
    matches!(method, "generateContent" | "streamGenerateContent" | "countTokens")
}

fn base_hint(right: &str) -> &'static str {
    if right.contains("/messages") {
        "Anthropic's SDKs take the base URL without `/v1`"
    } else if right.contains("/v1beta/") {
        "Google's SDKs take the base URL without `/v1beta`"
    } else {
        "OpenAI's SDKs take the base URL with `/v1`"
    }
}

/// The served path that this one becomes without its versions and with the right one.
fn meant(path: &str) -> Option<String> {
    let trimmed = path.trim_end_matches('/');
    let (prefix, mut rest) = match trimmed.strip_prefix("/router") {
        Some(rest) => ("/router", rest),
        None => ("", trimmed),
    };
    for place in ["/api", "/openai", "/anthropic"] {
        rest = rest.strip_prefix(place).filter(|rest| rest.starts_with('/')).unwrap_or(rest);
    }
    while let Some(inner) = ["/v1beta", "/v1alpha", "/v1"]
        .iter()
        .find_map(|version| rest.strip_prefix(version).filter(|inner| inner.starts_with('/')))
    {
        rest = inner;
    }
    let begins =
        |start: &str| rest.strip_prefix(start).is_some_and(|more| more.is_empty() || more.starts_with('/'));
    SERVED.iter().find(|start| begins(start))?;
    let version = if is_googles(rest) { "v1beta" } else { "v1" };
    let right = format!("{prefix}/{version}{rest}");
    // Only what is really served is promised.
    (right != path && paths::endpoint(&right, None).is_some()).then_some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_or_missing_v1_is_told_the_right_url() {
        let check = |path: &str, right: Option<&str>| assert_eq!(meant(path).as_deref(), right, "{path}");
        check("/v1/v1/messages", Some("/v1/messages"));
        check("/messages", Some("/v1/messages"));
        check("/chat/completions", Some("/v1/chat/completions"));
        check("/v1/chat/completions/", Some("/v1/chat/completions"));
        check("/v1/v1/chat/completions", Some("/v1/chat/completions"));
        check("/router/chat/completions", Some("/router/v1/chat/completions"));
        check("/router/v1/v1/models", Some("/router/v1/models"));
        check("/responses", Some("/v1/responses"));
        check("/compare", Some("/v1/compare"));
        check("/v1/v1/responses", Some("/v1/responses"));
        check("/v1beta/responses", Some("/v1/responses"));
        check("/api/v1/chat/completions", Some("/v1/chat/completions"));
        check("/v1/v1beta/models/a:generateContent", Some("/v1beta/models/a:generateContent"));
        check(
            "/v1beta/v1beta/models/a/b:streamGenerateContent",
            Some("/v1beta/models/a/b:streamGenerateContent"),
        );
        check("/models/a:generateContent", Some("/v1beta/models/a:generateContent"));
        check("/v1/v1/models/a/b", Some("/v1/models/a/b"));
        check("/favicon.ico", None);
        check("/v1/nothing", None);
        check("/v1/chat", None);
        check("/v10/messages", None);
    }
}
