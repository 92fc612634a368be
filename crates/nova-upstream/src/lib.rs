//! The only crate that opens connections to providers.
//!
//! Its invariant: a request goes to the endpoint that the operator configured and to no other, on a
//! connection that only requests with the same credential have used, and whatever happens comes back
//! as a [`Failure`] that says whose fault it was and whether to try again. Nothing is followed,
//! decompressed, or retried behind the caller's back, with one exception that [`client`] explains.
//!
//! Reading order:
//!
//! 1. [`endpoint`] and [`credential`] are the destination and the secret, checked once at load; `signing`
//!    is for secrets that are not sent as they are (AWS, Google).
//! 2. [`request`] is what goes out and by when; [`body`] is what comes back, frame by frame.
//! 3. [`client`] has the one function, [`Client::send`].
//! 4. [`failure`] is what can go wrong, [`retry_after`] how long a provider asks us to wait,
//!    [`backoff`] how long we wait when it does not say.
//! 5. Inside: `pool` keeps idle connections, `dial` opens new ones (`tls`, `stream`), `http1` and
//!    `http2` drive an exchange on one, `timer` is the deadline that costs nothing per frame.
//! 6. [`stats`] counts.

pub mod backoff;
pub mod body;
pub mod client;
pub mod credential;
pub mod endpoint;
pub mod failure;
pub mod request;
pub mod retry_after;
pub mod stats;
pub mod tls;

mod dial;
mod http1;
mod http2;
mod pool;
mod signing;
mod stream;
mod timer;

pub use body::Body;
pub use client::{Client, ClientOptions};
pub use credential::{Credential, CredentialError, CredentialId};
pub use endpoint::{Endpoint, EndpointError, Scheme};
pub use failure::{Failure, Kind, Retry, Source};
pub use request::{Deadlines, Request, Response};
pub use signing::aws::AwsKey;
pub use stats::Stats;
pub use tls::{Tls, TlsError, TlsOptions};
