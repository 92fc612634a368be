//! AWS Signature Version 4, by AWS's own library.
//!
//! Signed are the method, the path, the host, the date and the body; the other headers say nothing that
//! a signature would have to protect, and a proxy may add to them.
//!
//! Source: AWS, "Create a signed AWS API request" (docs.aws.amazon.com, IAM user guide).

use std::error::Error;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use http::header::{HeaderName, HeaderValue};

use crate::credential::CredentialError;
use crate::request::Request;

/// AWS's access key and what belongs to it.
#[derive(Clone, Copy)]
pub struct AwsKey<'a> {
    /// The public half: `AKIA…`, or `ASIA…` for a temporary one.
    pub access_key_id: &'a str,
    /// The secret half.
    pub secret_access_key: &'a str,
    /// The session that a temporary key is for.
    pub session_token: Option<&'a str>,
}

/// Signs requests for one service in one region.
#[derive(Debug)]
pub(crate) struct Signer {
    /// Prints neither the secret nor the session.
    key: aws_smithy_runtime_api::client::identity::Identity,
    service: String,
    region: String,
}

impl std::fmt::Debug for AwsKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AwsKey").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Signer {
    pub(crate) fn new(key: AwsKey<'_>, service: &str, region: &str) -> Result<Self, CredentialError> {
        let parts = [Some(key.access_key_id), Some(key.secret_access_key), key.session_token];
        for part in parts.into_iter().flatten() {
            if part.is_empty() {
                return Err(CredentialError::Empty);
            }
            if !part.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(CredentialError::Unprintable);
            }
        }
        let session = key.session_token.map(str::to_owned);
        let key = Credentials::new(key.access_key_id, key.secret_access_key, session, None, "novastack");
        Ok(Self { key: key.into(), service: service.to_owned(), region: region.to_owned() })
    }

    /// The headers that sign a request at this time.
    pub(crate) fn sign(
        &self,
        request: &Request<'_>,
        now: SystemTime,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, Box<dyn Error + Send + Sync>> {
        let uri = request.endpoint.to_string();
        let headers = std::iter::empty::<(&str, &str)>();
        let signable =
            SignableRequest::new(request.method.as_str(), uri, headers, SignableBody::Bytes(&request.body))?;
        let params = SigningParams::builder()
            .identity(&self.key)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()?;
        let (signed, _) = sign(signable, &params.into())?.into_parts();
        let mut ours = Vec::with_capacity(3);
        for (name, value) in signed.headers() {
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(name != "x-amz-date");
            ours.push((HeaderName::try_from(name)?, value));
        }
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::endpoint::Endpoint;

    /// 2015-08-30 12:36:00 UTC, the time of AWS's published test suite.
    const PUBLISHED: Duration = Duration::from_secs(1_440_938_160);

    const KEY: AwsKey<'_> = AwsKey {
        access_key_id: "AKIDEXAMPLE",
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token: None,
    };

    fn signed(service: &str, base: &str, path: &str, key: AwsKey<'_>) -> Vec<(String, String)> {
        let endpoint = Endpoint::parse(base, path).unwrap();
        let request = Request::post(&endpoint, Bytes::new());
        let signer = Signer::new(key, service, "us-east-1").unwrap();
        let headers = signer.sign(&request, SystemTime::UNIX_EPOCH + PUBLISHED).unwrap();
        let text = |value: HeaderValue| value.to_str().unwrap().to_owned();
        headers.into_iter().map(|(name, value)| (name.to_string(), text(value))).collect()
    }

    /// `post-vanilla` and `post-sts-header-after` of AWS's Signature Version 4 test suite.
    #[test]
    fn signatures_are_those_that_aws_published() {
        let plain = signed("service", "https://example.amazonaws.com", "/", KEY);
        assert_eq!(
            plain,
            [
                ("x-amz-date".to_owned(), "20150830T123600Z".to_owned()),
                (
                    "authorization".to_owned(),
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
              SignedHeaders=host;x-amz-date, \
              Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
                        .to_owned()
                ),
            ]
        );
    }

    /// Computed apart from the library, by the algorithm as AWS writes it down.
    #[test]
    fn a_model_id_is_signed_as_it_is_sent() {
        let model = |path| signed("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", path, KEY);
        let [(_, date), (_, encoded)] = &model("/model/anthropic.claude-v2%3A1/converse")[..] else {
            panic!("two headers");
        };
        assert_eq!(date, "20150830T123600Z");
        assert!(encoded.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, "
        ));
        assert!(
            encoded.ends_with("Signature=601bee973c410df4021ee1ac46e29d7bc12d4b0db67e9af56be458dbb1784c70"),
            "{encoded}"
        );
        let session = AwsKey { session_token: Some("planted"), ..KEY };
        let with = signed("bedrock", "https://bedrock-runtime.us-east-1.amazonaws.com", "/", session);
        assert!(with.contains(&("x-amz-security-token".to_owned(), "planted".to_owned())), "{with:?}");
        let authorization = &with.iter().find(|(name, _)| name == "authorization").unwrap().1;
        assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
    }

    #[test]
    fn a_key_is_never_printed_and_a_broken_one_refused() {
        let key = AwsKey { session_token: Some("planted-session"), ..KEY };
        let printed = format!("{key:?} {:?}", Signer::new(key, "bedrock", "us-east-1").unwrap());
        assert!(!printed.contains("wJalr") && !printed.contains("planted"), "{printed}");
        for (secret, expected) in [("", CredentialError::Empty), ("a\nb", CredentialError::Unprintable)] {
            let error = Signer::new(AwsKey { secret_access_key: secret, ..KEY }, "s", "r").unwrap_err();
            assert_eq!(error, expected);
        }
    }
}
