//! Other paths of a provider whose address is known by one of them.

use nova_upstream::Endpoint;

/// The endpoint beside this one, whose path ends with `new` instead of `end`. A query (Azure's
/// `api-version`) is kept. `None` where the path does not end so.
pub(crate) fn sibling(endpoint: &Endpoint, end: &str, new: &str) -> Option<Endpoint> {
    let url = endpoint.to_string();
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (url.as_str(), None),
    };
    let base = path.strip_suffix(end)?;
    // The first three slashes are the scheme's and the path's; what a base URL cannot hold follows it.
    let at = base.find("://").and_then(|at| base[at + 3..].find('/').map(|slash| at + 3 + slash));
    let (origin, before) = base.split_at(at.unwrap_or(base.len()));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Endpoint::parse(origin, &format!("{before}{new}{query}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_keeps_host_base_and_query() {
        let check = |url: &str, end: &str, new: &str, expected: Option<&str>| {
            let endpoint = Endpoint::parse("https://host.example", url).unwrap();
            let found = sibling(&endpoint, end, new).map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{url}");
        };
        check(
            "/v1/messages",
            "/messages",
            "/messages/count_tokens",
            Some("https://host.example/v1/messages/count_tokens"),
        );
        check("/messages", "/messages", "/x", Some("https://host.example/x"));
        check(
            "/a/chat/completions?v=1",
            "/chat/completions",
            "/embeddings",
            Some("https://host.example/a/embeddings?v=1"),
        );
        check(
            "/v1/m:generateContent",
            ":generateContent",
            ":countTokens",
            Some("https://host.example/v1/m:countTokens"),
        );
        check("/v1/messages", "/chat/completions", "/x", None);
    }
}
