use super::*;

fn reported(class: ErrorClass, status: u16, retry_after_ms: Option<u64>) -> Failure {
    let message = "the provider's words".to_owned();
    Failure::from_upstream(UpstreamError { class, status, message, code: None, retry_after_ms })
}

#[test]
fn every_class_of_a_providers_error_says_where_it_may_be_tried_again() {
    for (class, kind, retry) in [
        (ErrorClass::Auth, Kind::Status, Retry::ElsewhereOnly),
        (ErrorClass::Balance, Kind::Status, Retry::ElsewhereOnly),
        (ErrorClass::Rate, Kind::Status, Retry::SameAllowed),
        (ErrorClass::Overloaded, Kind::Status, Retry::SameAllowed),
        (ErrorClass::Context, Kind::Status, Retry::ElsewhereOnly),
        (ErrorClass::Filter, Kind::Status, Retry::Never),
        (ErrorClass::Model, Kind::Status, Retry::ElsewhereOnly),
        (ErrorClass::BadRequest, Kind::Status, Retry::Never),
        (ErrorClass::Server, Kind::Status, Retry::SameAllowed),
        (ErrorClass::Garbage, Kind::Protocol, Retry::ElsewhereOnly),
        (ErrorClass::Cut, Kind::Cut, Retry::SameAllowed),
    ] {
        let failure = reported(class, 418, None);
        assert_eq!((failure.kind, failure.retry), (kind, retry), "{class:?}");
        assert_eq!((failure.source, failure.status), (Source::Upstream, Some(418)), "{class:?}");
        assert_eq!(failure.error.unwrap().class, class);
    }
}

#[test]
fn every_kind_has_a_source_and_a_retry_of_its_own() {
    let table: Vec<String> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let failure = Failure::new(kind);
            format!("{} {:?} {:?}", kind.as_str(), failure.source, failure.retry)
        })
        .collect();
    assert_eq!(
        table,
        [
            "dns Network SameAllowed",
            "connect Network SameAllowed",
            "tls Network ElsewhereOnly",
            "connect_timeout Network ElsewhereOnly",
            "first_byte_timeout Upstream ElsewhereOnly",
            "idle_timeout Upstream ElsewhereOnly",
            "total_timeout Gateway Never",
            "reset Network SameAllowed",
            "cut Upstream SameAllowed",
            "protocol Upstream ElsewhereOnly",
            "too_large Upstream ElsewhereOnly",
            "status Upstream SameAllowed",
        ]
    );
}

#[test]
fn the_wait_is_the_headers_or_else_the_bodys_and_is_capped() {
    assert_eq!(reported(ErrorClass::Rate, 429, None).after, None);
    assert_eq!(reported(ErrorClass::Rate, 429, Some(1500)).after, Some(Duration::from_millis(1500)));
    assert_eq!(reported(ErrorClass::Rate, 429, Some(u64::MAX)).after, Some(retry_after::MAX));

    let mut headers = HeaderMap::new();
    headers.insert("retry-after", "7".parse().unwrap());
    let failure = Failure::from_status(StatusCode::TOO_MANY_REQUESTS, &headers, b"{}", Dialect::Chat);
    assert_eq!((failure.status, failure.after), (Some(429), Some(Duration::from_secs(7))));
}

#[test]
fn a_redirect_is_not_asked_for_twice() {
    let headers = HeaderMap::new();
    let failure = Failure::from_status(StatusCode::TEMPORARY_REDIRECT, &headers, b"", Dialect::Messages);
    assert_eq!((failure.kind, failure.retry), (Kind::Status, Retry::ElsewhereOnly));
}

#[test]
fn a_failure_is_one_sentence_and_its_causes_follow() {
    let failure = Failure::new(Kind::Connect).caused_by(io::Error::from(io::ErrorKind::ConnectionRefused));
    assert_eq!(failure.to_string(), "the provider could not be connected to");
    let chain: Vec<String> = causes(&failure).map(ToString::to_string).collect();
    assert_eq!(chain, ["the provider could not be connected to", "connection refused"]);

    let failure = reported(ErrorClass::Rate, 429, None);
    assert_eq!(failure.to_string(), "the provider reported an error: rate (429): the provider's words");
    assert_eq!(causes(&failure).count(), 1);
}

#[test]
fn errors_of_sockets_are_told_apart() {
    for (error, kind) in [
        (io::Error::from(io::ErrorKind::ConnectionReset), Some(Kind::Reset)),
        (io::Error::from(io::ErrorKind::BrokenPipe), Some(Kind::Reset)),
        (io::Error::from(io::ErrorKind::UnexpectedEof), Some(Kind::Cut)),
        (io::Error::from(io::ErrorKind::InvalidData), Some(Kind::Protocol)),
        (io::Error::other("something"), None),
        (io::Error::new(io::ErrorKind::InvalidData, rustls::Error::DecryptError), Some(Kind::Tls)),
    ] {
        assert_eq!(io_kind(&error), kind, "{error}");
    }
}

#[test]
fn a_failure_is_small_because_every_frame_could_be_one() {
    assert!(size_of::<Failure>() <= 72, "{} bytes", size_of::<Failure>());
}
