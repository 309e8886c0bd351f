//! The DTLS certificate of the process and where its cryptography comes from.

use std::fmt;
use std::sync::Arc;

use str0m::config::DtlsCert;
use str0m::crypto::{CryptoProvider, from_feature_flags};

/// A self-signed certificate with a P-256 key; made once per process and shared by every session.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) certificate: Arc<DtlsCert>,
    fingerprint: [u8; 32],
}

impl Certificate {
    /// Make a new key and certificate. `None` when the system has no randomness to give.
    pub fn generate() -> Option<Self> {
        let provider = Arc::new(from_feature_flags());
        let certificate = provider.dtls_provider.generate_certificate()?;
        let fingerprint = provider.sha256_provider.sha256(&certificate.certificate);
        Some(Self {
            provider,
            certificate: Arc::new(certificate),
            fingerprint,
        })
    }

    /// SHA-256 digest of the certificate.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// SHA-256 of any bytes, with the same cryptography as the transport's.
    pub fn sha256(&self, data: &[u8]) -> [u8; 32] {
        self.provider.sha256_provider.sha256(data)
    }
}

impl fmt::Debug for Certificate {
    /// The key stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}
