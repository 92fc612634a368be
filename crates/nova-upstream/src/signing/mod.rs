//! Credentials that are not sent as they are: what they become for one request.
//!
//! [`aws`] signs every request; [`google`] exchanges a key for a bearer and keeps that until it expires.
//!
//! Invariant: nothing here prints a secret, and no signature or token is written where a request is not.

pub(crate) mod aws;
pub(crate) mod google;

use std::time::SystemTime;

use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::client::Client;
use crate::failure::{Failure, Kind};
use crate::request::{Request, Response};

/// What makes the headers of a request.
#[derive(Debug)]
pub(crate) enum Signer {
    Aws(aws::Signer),
    // Boxed: it is several times as large.
    Google(Box<google::Account>),
}

impl Signer {
    /// Sends a request with the headers that authorise it.
    pub(crate) async fn send(&self, client: &Client, request: Request<'_>) -> Result<Response, Failure> {
        let begun = Instant::now();
        let ours = match self {
            Self::Aws(signer) => signer.sign(&request, SystemTime::now()).map_err(|error| {
                // A request that cannot be signed here cannot be signed a second time either.
                Failure { source: crate::Source::Gateway, ..Failure::new(Kind::Protocol) }.caused_by(error)
            })?,
            Self::Google(account) => vec![(AUTHORIZATION, account.bearer(client, request.deadlines).await?)],
        };
        let headers = merged(request.headers, ours);
        let mut deadlines = request.deadlines;
        deadlines.total = deadlines.total.saturating_sub(begun.elapsed());
        client.exchange(&Request { headers: &headers, deadlines, ..request }).await
    }
}

/// The headers of a request with these in the place of those of the same names.
fn merged(
    theirs: &[(HeaderName, HeaderValue)],
    ours: Vec<(HeaderName, HeaderValue)>,
) -> Vec<(HeaderName, HeaderValue)> {
    let kept = theirs.iter().filter(|(name, _)| ours.iter().all(|(our, _)| our != name));
    let mut merged: Vec<_> = kept.cloned().collect();
    merged.extend(ours);
    merged
}
