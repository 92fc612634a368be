use super::*;

#[track_caller]
fn check(base: &str, path: &str, expected: &str) {
    let found = match Endpoint::parse(base, path) {
        Ok(endpoint) => {
            format!(
                "{} | {} | {}",
                endpoint.origin(),
                endpoint.host_header.to_str().unwrap(),
                endpoint.path()
            )
        }
        Err(error) => error.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    assert_eq!(found, expected, "{base} {path}");
}

#[test]
fn a_base_url_and_a_path_make_one_destination() {
    for (base, path, expected) in [
        (
            "https://api.deepseek.com",
            "/chat/completions",
            "https://api.deepseek.com:443 | api.deepseek.com | /chat/completions",
        ),
        (
            "https://API.Example.com/v1/",
            "/messages",
            "https://api.example.com:443 | api.example.com | /v1/messages",
        ),
        ("http://localhost:8000/v1", "/models", "http://localhost:8000 | localhost:8000 | /v1/models"),
        ("HTTP://127.0.0.1:80", "", "http://127.0.0.1:80 | 127.0.0.1 | /"),
        ("http://[::1]:8080/a", "/b", "http://[::1]:8080 | [::1]:8080 | /a/b"),
        (
            "https://r.azure.com/openai",
            "/chat?api-version=2",
            "https://r.azure.com:443 | r.azure.com | /openai/chat?api-version=2",
        ),
        ("https://my_host/v1", "/x", "https://my_host:443 | my_host | /v1/x"),
        ("https://example.com./v1", "/x", "https://example.com:443 | example.com | /v1/x"),
        (
            "http://xn--bcher-kva.example",
            "/x",
            "http://xn--bcher-kva.example:80 | xn--bcher-kva.example | /x",
        ),
    ] {
        check(base, path, expected);
    }
}

#[test]
fn what_is_no_destination_is_refused() {
    for (base, path, expected) in [
        ("api.example.com/v1", "/x", "`api.example.com/v1` does not begin with `http://` or `https://`"),
        ("ftp://example.com", "/x", "`ftp://example.com` does not begin with `http://` or `https://`"),
        ("file:///etc/passwd", "/x", "`file:///etc/passwd` does not begin with `http://` or `https://`"),
        ("https://user:secret@example.com", "/x", "the URL holds a user name or password"),
        ("https://example.com#frag", "/x", "`https://example.com#frag` holds a fragment"),
        ("https://example.com/v1?a=b", "/x", "`https://example.com/v1?a=b` holds a query"),
        ("https://", "/x", "`https://` is not a URL"),
        ("https://:443", "/x", "`https://:443` is not a URL"),
        ("https://example.com:0", "/x", "`https://example.com:0` is not a URL"),
        ("https://example.com:", "/x", "`https://example.com:` is not a URL"),
        ("https://example.com:99999", "/x", "`https://example.com:99999` is not a URL"),
        ("https://exa mple.com", "/x", "`https://exa mple.com` is not a URL"),
        ("https://bücher.example", "/x", "`https://bücher.example` is not a URL"),
        ("https://a..b", "/x", "`https://a..b` is not a URL"),
        ("https://-a.example", "/x", "`https://-a.example` is not a URL"),
        ("http://127.1", "/x", "`http://127.1` is not a URL"),
        ("http://0x7f.0x1", "/x", "`http://0x7f.0x1` is not a URL"),
        ("http://2130706433", "/x", "`http://2130706433` is not a URL"),
        ("http://[::1", "/x", "`http://[::1` is not a URL"),
        ("http://[fe80::1%25eth0]", "/x", "`http://[fe80::1%25eth0]` is not a URL"),
        ("https://example.com", "x", "`x` is not a path"),
        ("https://example.com", "/x y", "`/x y` is not a path"),
        ("https://example.com", "/x#y", "`/x#y` is not a path"),
        ("https://example.com", "/x\r\nhost: evil", "`/x"),
        ("https://example.com\\@evil.example", "/x", "`\\@evil.example/x` is not a path"),
    ] {
        if path.contains('\r') {
            assert!(Endpoint::parse(base, path).is_err());
        } else {
            check(base, path, expected);
        }
    }
}

#[test]
fn no_url_of_the_wild_makes_it_panic_or_carries_a_user() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/badinput/url/ssrf_urls.txt");
    let Ok(text) = std::fs::read_to_string(file) else {
        println!("skipped: ../shared/badinput/url is absent");
        return;
    };
    for line in text.lines() {
        for url in [line.to_owned(), format!("http://{line}"), format!("https://{line}/v1")] {
            if let Ok(endpoint) = Endpoint::parse(&url, "/chat/completions") {
                assert!(!endpoint.host().contains('@'), "{url}");
                assert!(endpoint.to_string().ends_with("/chat/completions"), "{url} became {endpoint}");
            }
        }
    }
}
