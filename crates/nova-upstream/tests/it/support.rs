//! What the tests share: a client that trusts the test authority, and short ways to send.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use nova_testkit::bounded;
use nova_upstream::{
    Client, ClientOptions, Credential, CredentialId, Deadlines, Endpoint, Failure, Request, Response, Tls,
    TlsOptions,
};

pub(crate) fn tls() -> Tls {
    Tls::new(&TlsOptions { authorities: Some(authority_file()), ..TlsOptions::default() }).unwrap()
}

pub(crate) fn client() -> Client {
    Client::new(ClientOptions::default(), tls())
}

/// The authority of the test certificates, in the test kit's source.
pub(crate) fn authority_file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "nova-testkit", "src", "certificates", "authority.pem"]
        .iter()
        .collect()
}

pub(crate) fn endpoint(base: &str) -> Endpoint {
    Endpoint::parse(base, "/v1/chat/completions").unwrap()
}

pub(crate) fn credential(name: &str) -> Credential {
    Credential::bearer(CredentialId::new(name), &format!("sk-{name}")).unwrap()
}

/// Deadlines that no test reaches by accident.
pub(crate) fn patient() -> Deadlines {
    let long = Duration::from_secs(3600);
    Deadlines { connect: long, first_byte: long, idle: long, total: long }
}

pub(crate) async fn send(client: &Client, endpoint: &Endpoint, body: &str) -> Result<Response, Failure> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let request = Request { deadlines: patient(), ..Request::post(endpoint, body) };
    bounded(client.send(request), "the request was answered").await
}

pub(crate) async fn read(response: Response) -> Result<String, Failure> {
    let body = bounded(response.body.collect(1 << 20), "the body was read").await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

/// Sends and reads to the end.
pub(crate) async fn ask(client: &Client, endpoint: &Endpoint, body: &str) -> Result<String, Failure> {
    read(send(client, endpoint, body).await?).await
}
