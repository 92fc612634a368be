//! Credentials that become something else for each request.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use nova_testkit::{RecordedRequest, Script, ScriptedUpstream};
use nova_upstream::{Client, Credential, CredentialId, Failure, Request, Response, Retry};
use nova_wire::ErrorClass;
use serde_json::{Value, json};

use crate::support::{client, endpoint};

/// The file of a service account, and the key that checks what it signs.
fn account(token_uri: &str) -> (String, Vec<u8>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let body = STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
    let file = json!({
        "type": "service_account",
        "client_email": "nova@p.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": pem,
        "token_uri": token_uri,
    });
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec();
    (file.to_string(), public)
}

/// An upstream that gives out numbered tokens of this life, and answers everything else with `{}`.
async fn google(seconds: u64) -> ScriptedUpstream {
    let count = std::sync::atomic::AtomicU32::new(1);
    let answer = move |request: &RecordedRequest| {
        if request.path != "/token" {
            return Script::json(200, &[], "{}");
        }
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let token = json!({ "access_token": format!("t{number}"), "expires_in": seconds });
        Script::json(200, &[], token.to_string())
    };
    ScriptedUpstream::answering(answer).await
}

async fn send(
    client: &Client,
    upstream: &ScriptedUpstream,
    credential: &Credential,
) -> Result<Response, Failure> {
    let endpoint = endpoint(&upstream.url());
    let body = Bytes::from_static(b"{}");
    client.send(Request { credential: Some(credential), ..Request::post(&endpoint, body) }).await
}

fn tokens(upstream: &ScriptedUpstream) -> Vec<String> {
    let requests = upstream.requests();
    let bearers = requests.iter().filter(|request| request.path != "/token");
    bearers.map(|request| request.header("authorization").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_service_account_signs_for_a_token_and_keeps_it() {
    let upstream = google(3600).await;
    let uri = format!("{}/token", upstream.url());
    let (file, public) = account(&uri);
    let credential = Credential::google(CredentialId::new("vertex"), &file).unwrap();
    assert!(!format!("{credential:?}").contains("PRIVATE"), "{credential:?}");
    let client = client();
    for _ in 0..3 {
        send(&client, &upstream, &credential).await.unwrap().body.collect(100).await.unwrap();
    }
    assert_eq!(tokens(&upstream), ["Bearer t1"; 3]);
    let requests = upstream.requests();
    let exchange = requests.iter().find(|request| request.path == "/token").unwrap();
    assert_eq!(exchange.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(exchange.header("authorization"), None);
    let form = exchange.text();
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let (signed, signature) = form.strip_prefix(grant).unwrap().rsplit_once('.').unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public);
    key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT", "kid": "k1" }));
    assert_eq!(parts[1]["aud"], *uri);
    assert_eq!(parts[1]["iss"], "nova@p.iam.gserviceaccount.com");
    assert_eq!(parts[1]["exp"].as_u64().unwrap() - parts[1]["iat"].as_u64().unwrap(), 3600);
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_replaced_beside_the_requests_and_one_that_ended_before_them() {
    // 60 s are the margin, so this token never counts as held.
    let upstream = google(60).await;
    let (file, _) = account(&format!("{}/token", upstream.url()));
    let credential = Credential::google(CredentialId::new("vertex"), &file).unwrap();
    let client = client();
    for _ in 0..2 {
        send(&client, &upstream, &credential).await.unwrap();
    }
    assert_eq!(tokens(&upstream), ["Bearer t1", "Bearer t2"]);
    // This one still holds for a while, so nobody waits for the next one.
    let upstream = google(200).await;
    let (file, _) = account(&format!("{}/token", upstream.url()));
    let credential = Credential::google(CredentialId::new("vertex"), &file).unwrap();
    for _ in 0..2 {
        send(&client, &upstream, &credential).await.unwrap();
    }
    assert_eq!(tokens(&upstream), ["Bearer t1", "Bearer t1"]);
    while upstream.requests().iter().filter(|request| request.path == "/token").count() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_at_once_wait_for_one_exchange() {
    let upstream = google(3600).await;
    let (file, _) = account(&format!("{}/token", upstream.url()));
    let credential = Credential::google(CredentialId::new("vertex"), &file).unwrap();
    let client = client();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, credential, endpoint) = (client.clone(), credential.clone(), endpoint(&upstream.url()));
        tasks.spawn(async move {
            let body = Bytes::from_static(b"{}");
            let request = Request { credential: Some(&credential), ..Request::post(&endpoint, body) };
            client.send(request).await.unwrap().status
        });
    }
    assert!(tasks.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(tokens(&upstream), ["Bearer t1"; 8]);
}

#[tokio::test]
async fn an_account_that_gets_no_token_is_to_blame() {
    let check = async |status: u16, body: &'static str, class: ErrorClass, words: &str| {
        let upstream = ScriptedUpstream::answering(move |_| Script::json(status, &[], body)).await;
        let (file, _) = account(&format!("{}/token", upstream.url()));
        let credential = Credential::google(CredentialId::new("vertex"), &file).unwrap();
        let failure = send(&client(), &upstream, &credential).await.unwrap_err();
        let error = failure.error.unwrap();
        assert_eq!(error.class, class, "{}", error.message);
        assert!(error.message.contains(words), "{}", error.message);
        assert_eq!(upstream.requests().len(), 1);
        failure.retry
    };
    let denied = r#"{"error":"invalid_grant","error_description":"Invalid JWT Signature."}"#;
    assert_eq!(check(400, denied, ErrorClass::Auth, "Invalid JWT Signature").await, Retry::ElsewhereOnly);
    assert_eq!(check(200, "{}", ErrorClass::Auth, "holds none").await, Retry::ElsewhereOnly);
    assert_eq!(check(503, "{}", ErrorClass::Server, "nova@p.iam").await, Retry::SameAllowed);
}

#[test]
fn a_file_that_is_no_account_is_refused_without_being_shown() {
    let (good, _) = account("https://oauth2.googleapis.com/token");
    let check = |edit: &dyn Fn(&mut Value), why: &str| {
        let mut file: Value = serde_json::from_str(&good).unwrap();
        edit(&mut file);
        let error = Credential::google(CredentialId::new("v"), &file.to_string()).unwrap_err().to_string();
        assert!(error.contains(why) && !error.contains("PRIVATE"), "{error}");
    };
    check(&|file| *file = json!("planted"), "`client_email`");
    check(&|file| file["type"] = json!("authorized_user"), "`type`");
    check(
        &|file| file["private_key"] = json!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"),
        "cannot be read",
    );
    check(&|file| file["token_uri"] = json!("ftp://x"), "`token_uri`");
    check(&|file| file["token_uri"] = json!("http://oauth2.example/token"), "`https://`");
    assert!(Credential::google(CredentialId::new("v"), "{").unwrap_err().to_string().contains("no JSON"));
}
