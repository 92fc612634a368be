//! Whom we trust. Built once and shared by every client: the roots are parsed a single time.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

/// What to trust besides the roots that are compiled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Also the roots of this machine, for companies that install their own.
    pub system_roots: bool,
    /// Also the authorities in this PEM file.
    pub authorities: Option<PathBuf>,
    /// Offer HTTP/2.
    pub http2: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { system_roots: false, authorities: None, http2: true }
    }
}

/// A trust store and the protocol settings. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

/// Why a trust store could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read as PEM.
    #[error("the authorities in `{}` could not be read", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate, or one that is none.
    #[error("`{}` holds no usable certificate\nhint: it has to be a PEM file of authorities", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
    },
    /// The cryptography library refused its own defaults.
    #[error("TLS could not be set up")]
    Setup(#[from] rustls::Error),
}

impl Tls {
    /// Reads the roots.
    pub fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if options.system_roots {
            // A machine's store commonly holds a few entries that nobody can parse: those are left out.
            let found = rustls_native_certs::load_native_certs();
            let (added, ignored) = roots.add_parsable_certificates(found.certs);
            tracing::debug!(added, ignored, errors = found.errors.len(), "system roots");
        }
        if let Some(path) = &options.authorities {
            add_file(&mut roots, path)?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = match options.http2 {
            true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            false => vec![b"http/1.1".to_vec()],
        };
        Ok(Self { config: Arc::new(config) })
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("alpn", &self.config.alpn_protocols.len()).finish_non_exhaustive()
    }
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let unreadable = |source| TlsError::File { path: path.to_owned(), source };
    let mut any = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let unusable = |_| TlsError::Certificate { path: path.to_owned() };
        roots.add(certificate.map_err(unreadable)?).map_err(unusable)?;
        any = true;
    }
    if any { Ok(()) } else { Err(TlsError::Certificate { path: path.to_owned() }) }
}
