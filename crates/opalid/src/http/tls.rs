//! TLS 1.2 and 1.3 with a certificate from files that may change while the server runs.
//!
//! Holds: a pair of files that cannot be used never replaces one that can.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The protocols offered, the one preferred first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file holds no PEM of the kind that is wanted.
    #[error("{path}: expected {wanted} in PEM form: {cause}")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What should be there.
        wanted: &'static str,
        /// Why.
        cause: rustls::pki_types::pem::Error,
    },
    /// The two do not belong together, or the key is of a kind that is not supported.
    #[error("the certificate in {certificate} and the key in {key} cannot be used together: {cause}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        cause: rustls::Error,
    },
    /// The TLS library refuses the set-up.
    #[error("TLS cannot be set up: {0}")]
    SetUp(rustls::Error),
}

/// What the server needs to speak TLS; clones share the certificate.
#[derive(Debug, Clone)]
pub struct TlsSource {
    config: Arc<rustls::ServerConfig>,
    files: Arc<CertificateFiles>,
}

impl TlsSource {
    /// From a certificate chain, the server's own certificate first, and its private key.
    pub fn from_files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let files = Arc::new(CertificateFiles::open(certificate.into(), key.into(), Arc::clone(&provider))?);
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::SetUp)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&files) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(Self { config: Arc::new(config), files })
    }

    /// Reads the files again if they have changed. Blocks on the disk; `serve` calls it about once a second.
    pub fn refresh(&self) {
        self.files.refresh();
    }

    pub(super) fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

/// What tells that a file has changed, replacement by another file included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Option<[i64; 4]>);

impl Stamp {
    fn of(path: &Path) -> Self {
        let fields =
            |file: Metadata| [file.mtime(), file.mtime_nsec(), file.size().cast_signed(), file.ino().cast_signed()];
        Self(std::fs::metadata(path).ok().map(fields))
    }
}

#[derive(Debug)]
struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
    /// How the files looked before they were last read.
    seen: Mutex<[Stamp; 2]>,
}

impl CertificateFiles {
    fn open(certificate: PathBuf, key: PathBuf, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let seen = Mutex::new([Stamp::of(&certificate), Stamp::of(&key)]);
        let current = RwLock::new(Arc::new(load(&certificate, &key, &provider)?));
        Ok(Self { certificate, key, provider, current, seen })
    }

    fn refresh(&self) {
        let now = [Stamp::of(&self.certificate), Stamp::of(&self.key)];
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        match load(&self.certificate, &self.key, &self.provider) {
            Ok(fresh) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                tracing::info!(certificate = %self.certificate.display(), "the TLS certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the new TLS certificate cannot be used, the old one stays"),
        }
    }
}

impl ResolvesServerCert for CertificateFiles {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn load(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path)
            .map(zeroize::Zeroizing::new)
            .map_err(|cause| TlsError::Unreadable { path: path.into(), cause })
    };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .and_then(|chain| if chain.is_empty() { Err(rustls::pki_types::pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|cause| TlsError::NotPem { path: certificate.into(), wanted: "a certificate chain", cause })?;
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|cause| TlsError::NotPem {
        path: key.into(),
        wanted: "a private key",
        cause,
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|cause| TlsError::Unusable {
        certificate: certificate.into(),
        key: key.into(),
        cause,
    })
}

#[cfg(test)]
mod tests;
