//! A certificate for `localhost`, `127.0.0.1` and `::1`, for tests and nothing else.
//!
//! The key is public: it is in this repository. The certificate is valid from 2024 to 2050 and was
//! made once with the openssl command line, because a generator would cost packages.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The authority that signed the certificate, as PEM: what a client has to trust.
pub const AUTHORITY_PEM: &str = include_str!("certificates/authority.pem");

const SERVER_PEM: &str = include_str!("certificates/server.pem");
const SERVER_KEY: &str = include_str!("certificates/server.key");

/// A server configuration that offers these protocols by ALPN.
pub fn server_config(protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(SERVER_PEM.as_bytes()).expect("a PEM certificate");
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY.as_bytes()).expect("a PEM key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key belongs to the certificate");
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
