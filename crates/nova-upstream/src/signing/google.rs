//! A Google service account's key, exchanged for a bearer that is kept until it expires.
//!
//! The key signs a short-lived assertion (RS256), and the token endpoint that the key names answers with
//! a token for an hour (RFC 7523). A request waits for the exchange only where there is no token that
//! still holds; shortly before the end the next one is fetched beside the requests.
//!
//! Source: Google Identity, "Using OAuth 2.0 for server to server applications".

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use nova_wire::{Dialect, ErrorClass, UpstreamError};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::Client;
use crate::credential::CredentialError;
use crate::endpoint::{Endpoint, Scheme};
use crate::failure::Failure;
use crate::request::{Deadlines, Request};

/// What a token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where Google exchanges keys, unless the key says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

/// How long an assertion holds; Google takes no longer ones.
const ASSERTION: Duration = Duration::from_secs(3600);

/// A token is used until this long before its end, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(60);

/// From this long before its end on, the next one is fetched.
const REFRESH: Duration = Duration::from_secs(5 * 60);

/// A token's answer is small.
const MAX_ANSWER: usize = 64 << 10;

/// A service account. Its key and its tokens are never printed.
pub(crate) struct Account {
    shared: Arc<Shared>,
}

struct Shared {
    email: String,
    key_id: Option<String>,
    key: Arc<dyn SigningKey>,
    token_uri: String,
    endpoint: Endpoint,
    token: Mutex<Option<Token>>,
    /// One exchange at a time; the others wait for its token.
    exchanging: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Token {
    bearer: HeaderValue,
    ends: Instant,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("email", &self.shared.email).finish_non_exhaustive()
    }
}

impl Account {
    /// From the file that Google hands out.
    pub(crate) fn new(file: &str) -> Result<Self, CredentialError> {
        let wrong = CredentialError::ServiceAccount;
        let file: Value = serde_json::from_str(file).map_err(|_| wrong("it is no JSON"))?;
        let text = |field: &str| file.get(field).and_then(Value::as_str);
        if text("type").is_some_and(|kind| kind != "service_account") {
            return Err(wrong("its `type` is not `service_account`"));
        }
        let email = text("client_email").ok_or(wrong("it has no `client_email`"))?;
        let pem = text("private_key").ok_or(wrong("it has no `private_key`"))?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok();
        let key = key.and_then(|key| any_supported_type(&key).ok());
        let key = key.ok_or(wrong("its `private_key` cannot be read"))?;
        if key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).is_none() {
            return Err(wrong("its `private_key` is no RSA key"));
        }
        let token_uri = text("token_uri").unwrap_or(TOKEN_URI);
        let endpoint = Endpoint::parse(token_uri, "").map_err(|_| wrong("its `token_uri` is no URL"))?;
        let is_here = endpoint.host().parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if endpoint.scheme() == Scheme::Http && !is_here {
            return Err(wrong("its `token_uri` does not begin with `https://`"));
        }
        let shared = Shared {
            email: email.to_owned(),
            key_id: text("private_key_id").map(str::to_owned),
            key,
            token_uri: token_uri.to_owned(),
            endpoint,
            token: Mutex::new(None),
            exchanging: tokio::sync::Mutex::new(()),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The header of a request.
    pub(crate) async fn bearer(&self, client: &Client, deadlines: Deadlines) -> Result<HeaderValue, Failure> {
        let shared = &self.shared;
        if let Some((token, left)) = shared.held() {
            if left < REFRESH
                && let Ok(turn) = shared.exchanging.try_lock()
            {
                drop(turn);
                let (shared, client) = (Arc::clone(shared), client.clone());
                tokio::spawn(async move {
                    let _turn = shared.exchanging.lock().await;
                    if shared.held().is_none_or(|(_, left)| left < REFRESH)
                        && let Err(failure) = shared.exchange(&client, deadlines).await
                    {
                        tracing::warn!(account = shared.email, %failure, "the next token could not be fetched");
                    }
                });
            }
            return Ok(token.bearer);
        }
        let _turn = shared.exchanging.lock().await;
        match shared.held() {
            Some((token, _)) => Ok(token.bearer),
            None => shared.exchange(client, deadlines).await,
        }
    }
}

impl Shared {
    /// The token, and how long it can still be used.
    fn held(&self) -> Option<(Token, Duration)> {
        let held = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let left = held.ends.checked_duration_since(Instant::now())?;
        (left > Duration::ZERO).then_some((held, left))
    }

    async fn exchange(&self, client: &Client, deadlines: Deadlines) -> Result<HeaderValue, Failure> {
        let assertion = self.assertion(SystemTime::now()).ok_or_else(|| self.refused(500, b""))?;
        let form =
            format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))];
        let asked = Instant::now();
        let request =
            Request { headers: &headers, deadlines, ..Request::post(&self.endpoint, Bytes::from(form)) };
        let response = client.exchange(&request).await?;
        let status = response.status.as_u16();
        let body = response.body.collect(MAX_ANSWER).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |field: &str| answer.get(field).and_then(Value::as_str);
        let token = text("access_token").filter(|_| status == 200);
        let bearer = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        let mut bearer = bearer.ok_or_else(|| self.refused(status, &body))?;
        bearer.set_sensitive(true);
        let lives = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(ASSERTION.as_secs());
        let lives = Duration::from_secs(lives).saturating_sub(MARGIN).min(ASSERTION);
        let token = Token { bearer: bearer.clone(), ends: asked + lives };
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(bearer)
    }

    /// The signed assertion: header, claims and signature, each in base64.
    fn assertion(&self, now: SystemTime) -> Option<String> {
        let now = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = &self.key_id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now,
            "exp": now + ASSERTION.as_secs(),
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut text = format!("{}.{}", part(&header), part(&claims));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])?;
        let signature = signer.sign(text.as_bytes()).ok()?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Some(text)
    }

    /// No token: the account is at fault, whatever the status; another deployment may have another one.
    fn refused(&self, status: u16, body: &[u8]) -> Failure {
        let said = nova_wire::error::classify(Dialect::Gemini, status, |_| None, body);
        let class = if status >= 500 { ErrorClass::Server } else { ErrorClass::Auth };
        let why = if status == 200 { "its answer holds none" } else { &said.message };
        let message = format!("no access token for `{}` from `{}`: {why}", self.email, self.token_uri);
        Failure::from_upstream(UpstreamError { class, message, ..said })
    }
}
