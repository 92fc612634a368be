//! Opening connections: names, ports, certificates.

use nova_testkit::{Script, ScriptedUpstream};
use nova_upstream::{Client, ClientOptions, Endpoint, Kind, Retry, Source, Tls, TlsError, TlsOptions};
use tokio::net::TcpListener;

use crate::support::{ask, authority_file, client, endpoint, send};

#[tokio::test]
async fn a_port_where_nobody_listens_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for url in [format!("http://{address}"), format!("https://localhost:{}", address.port())] {
        let client = client();
        let failure = send(&client, &endpoint(&url), "").await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.source, failure.retry),
            (Kind::Connect, Source::Network, Retry::SameAllowed)
        );
        let cause = std::error::Error::source(&failure).unwrap();
        let cause = cause.downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(cause.kind(), std::io::ErrorKind::ConnectionRefused);
        let stats = client.stats();
        assert_eq!((stats.open, stats.dialled, stats.in_flight), (0, 0, 0));
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failure_of_the_resolver() {
    // RFC 6761 §6.4: this name never exists.
    let endpoint = Endpoint::parse("http://no-such-host.invalid", "/v1").unwrap();
    let failure = send(&client(), &endpoint, "").await.unwrap_err();
    assert_eq!((failure.kind, failure.source), (Kind::Dns, Source::Network));
}

#[tokio::test]
async fn tls_with_a_trusted_authority_works_and_is_pooled() {
    let script = || Script::sse(&["data: 1\n\n", "data: [DONE]\n\n"]);
    let upstream = ScriptedUpstream::start_tls([script(), script(), script()]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    for _ in 0..3 {
        assert_eq!(ask(&client, &endpoint, "{}").await.unwrap(), "data: 1\n\ndata: [DONE]\n\n");
    }
    assert_eq!(upstream.connections(), 1);
    assert_eq!(upstream.requests()[0].header("host").unwrap(), &upstream.url()["https://".len()..]);
}

#[tokio::test]
async fn a_stream_that_is_cut_inside_tls_is_not_complete() {
    // Without a length, only the end of the TLS session tells a whole body from a cut one.
    let head = || Script::new().write(*b"HTTP/1.1 200 OK\r\n\r\nbody");
    let upstream = ScriptedUpstream::start_tls([head().close(), head().reset()]).await;
    let (client, endpoint) = (client(), endpoint(&upstream.url()));
    assert_eq!(ask(&client, &endpoint, "").await.unwrap(), "body");
    let failure = ask(&client, &endpoint, "").await.unwrap_err();
    assert!(matches!(failure.kind, Kind::Reset | Kind::Cut), "{:?}", failure.kind);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_and_not_tried_again() {
    let upstream = ScriptedUpstream::start_tls([Script::json(200, &[], "{}")]).await;
    let client = Client::new(ClientOptions::default(), Tls::new(&TlsOptions::default()).unwrap());
    let failure = send(&client, &endpoint(&upstream.url()), "secret").await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.source, failure.retry),
        (Kind::Tls, Source::Network, Retry::ElsewhereOnly)
    );
    let cause = std::error::Error::source(&failure).unwrap().to_string();
    assert!(cause.contains("UnknownIssuer"), "{cause}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_a_failure_of_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: [&[u8]; 2] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""];
    for (answer, retry) in answers.into_iter().zip([Retry::ElsewhereOnly, Retry::SameAllowed]) {
        let (client, endpoint) = (client(), endpoint(&format!("https://127.0.0.1:{port}")));
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
        };
        let (result, ()) = tokio::join!(send(&client, &endpoint, ""), serve);
        let failure = result.unwrap_err();
        assert_eq!((failure.kind, failure.retry), (Kind::Tls, retry));
    }
}

#[test]
fn a_trust_store_says_what_is_wrong_with_its_file() {
    let read =
        |path: std::path::PathBuf| Tls::new(&TlsOptions { authorities: Some(path), ..TlsOptions::default() });
    assert!(read(authority_file()).is_ok());
    assert!(matches!(read("no/such/file.pem".into()), Err(TlsError::File { .. })));
    let key = authority_file().with_file_name("server.key");
    assert!(matches!(read(key), Err(TlsError::Certificate { .. })));
    assert!(Tls::new(&TlsOptions { system_roots: true, ..TlsOptions::default() }).is_ok());
}
