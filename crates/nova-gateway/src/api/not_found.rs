//! What a path that we do not serve was probably meant to be.
//!
//! SDKs disagree on whether a base URL ends in `/v1`: OpenAI's wants it, Anthropic's does not. The two
//! mistakes that follow are answered with the URL that would have worked.

use crate::error::{Code, GatewayError};

const SERVED: [&str; 3] = ["/chat/completions", "/messages", "/models"];

/// The error for a path that is not served.
pub(super) fn error(path: &str) -> GatewayError {
    let hint = match meant(path) {
        Some(right) => format!("did you mean `{right}`? {}", base_hint(&right)),
        None => "the API is at `/v1/chat/completions`, `/v1/messages` and `/v1/models`".to_owned(),
    };
    GatewayError::new(Code::UnknownPath, format!("there is nothing at `{path}`\nhint: {hint}"))
}

fn base_hint(right: &str) -> &'static str {
    if right.ends_with("/messages") {
        "Anthropic's SDKs take the base URL without `/v1`"
    } else {
        "OpenAI's SDKs take the base URL with `/v1`"
    }
}

/// The served path that ends like this one.
fn meant(path: &str) -> Option<String> {
    let trimmed = path.trim_end_matches('/');
    let prefix = if trimmed.starts_with("/router") { "/router/v1" } else { "/v1" };
    SERVED.iter().find(|served| trimmed.ends_with(*served)).map(|served| format!("{prefix}{served}"))
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
        check("/router/chat/completions", Some("/router/v1/chat/completions"));
        check("/router/v1/v1/models", Some("/router/v1/models"));
        check("/favicon.ico", None);
    }
}
