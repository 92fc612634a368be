//! What a provider issued to the operator: sent with each request, shown to nobody.

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::signing::{Signer, aws, google};

/// The operator's name for a credential. Connections are shared only between requests with the
/// same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialId(Arc<str>);

impl CredentialId {
    /// An id of this text, for instance `deepseek/0`.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A credential and how it authorises a request.
#[derive(Clone)]
pub struct Credential {
    id: CredentialId,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// It is sent in this header, as it is.
    Header(HeaderName, HeaderValue),
    /// Headers are made of it for each request.
    Signer(Arc<Signer>),
}

/// A secret that cannot be used. The secret itself is not part of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// Nothing was given.
    #[error("the credential is empty")]
    Empty,
    /// It holds a line break or another byte that a header cannot carry.
    #[error(
        "the credential holds a character that a header cannot carry\nhint: check it for a line break at its end"
    )]
    Unprintable,
    /// It should be a Google service account's key, and is none.
    #[error(
        "the service account's key cannot be used: {0}\nhint: give the JSON file that Google made for it"
    )]
    ServiceAccount(&'static str),
}

impl Credential {
    /// Sends `authorization: Bearer SECRET`.
    pub fn bearer(id: CredentialId, secret: &str) -> Result<Self, CredentialError> {
        let value = sensitive(secret, |secret| format!("Bearer {secret}"))?;
        Ok(Self { id, kind: Kind::Header(AUTHORIZATION, value) })
    }

    /// Sends the secret alone in the header `name`, as `x-api-key` wants it.
    pub fn header(id: CredentialId, name: HeaderName, secret: &str) -> Result<Self, CredentialError> {
        let value = sensitive(secret, str::to_owned)?;
        Ok(Self { id, kind: Kind::Header(name, value) })
    }

    /// Signs each request for this service and region of AWS (Signature Version 4).
    pub fn aws(
        id: CredentialId,
        key: aws::AwsKey<'_>,
        service: &str,
        region: &str,
    ) -> Result<Self, CredentialError> {
        let signer = Signer::Aws(aws::Signer::new(key, service, region)?);
        Ok(Self { id, kind: Kind::Signer(Arc::new(signer)) })
    }

    /// Exchanges a Google service account's key, the whole JSON file, for bearers.
    pub fn google(id: CredentialId, file: &str) -> Result<Self, CredentialError> {
        let signer = Signer::Google(Box::new(google::Account::new(file)?));
        Ok(Self { id, kind: Kind::Signer(Arc::new(signer)) })
    }

    /// The operator's name for it.
    pub fn id(&self) -> &CredentialId {
        &self.id
    }

    /// The header as it is sent, of a credential that is sent as it is.
    pub(crate) fn as_header(&self) -> Option<(&HeaderName, &HeaderValue)> {
        match &self.kind {
            Kind::Header(name, value) => Some((name, value)),
            Kind::Signer(_) => None,
        }
    }

    /// What makes the headers of each request, of any other credential.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        match &self.kind {
            Kind::Header(..) => None,
            Kind::Signer(signer) => Some(signer),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Credential");
        shown.field("id", &self.id);
        match &self.kind {
            Kind::Header(name, _) => shown.field("header", name).finish_non_exhaustive(),
            Kind::Signer(signer) => shown.field("signer", signer).finish(),
        }
    }
}

/// The header value, marked so that HTTP/2 neither indexes nor `Debug` prints it.
fn sensitive(secret: &str, format: impl Fn(&str) -> String) -> Result<HeaderValue, CredentialError> {
    let secret = secret.trim_matches(' ');
    if secret.is_empty() {
        return Err(CredentialError::Empty);
    }
    let mut value = HeaderValue::try_from(format(secret)).map_err(|_| CredentialError::Unprintable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> CredentialId {
        CredentialId::new("deepseek/0")
    }

    #[test]
    fn a_secret_is_never_printed() {
        for credential in [
            Credential::bearer(id(), "sk-planted-secret").unwrap(),
            Credential::header(id(), HeaderName::from_static("x-api-key"), "sk-planted-secret").unwrap(),
        ] {
            let printed = format!("{credential:?} {credential:#?} {:?}", credential.as_header());
            assert!(!printed.contains("planted"), "{printed}");
            assert!(printed.contains("deepseek/0"), "{printed}");
        }
    }

    #[test]
    fn a_secret_that_no_header_can_carry_is_refused_without_being_shown() {
        for (secret, expected) in [
            ("", CredentialError::Empty),
            ("   ", CredentialError::Empty),
            ("sk-planted\n", CredentialError::Unprintable),
            ("sk-planted\r\nx-admin: 1", CredentialError::Unprintable),
        ] {
            let error = Credential::bearer(id(), secret).unwrap_err();
            assert_eq!(error, expected);
            assert!(!error.to_string().contains("planted"));
        }
    }
}
