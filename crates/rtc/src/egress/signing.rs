//! The key that handshakes are signed with: read once for all of them.
//!
//! Every association reads its private key from its encoding, which multiplies a point of the curve to see that both
//! halves belong together, and would keep it for hours: three quarters of a kilobyte a viewer.

use std::sync::{Arc, Mutex, PoisonError};

use ::aws_lc_rs::digest;
use ::aws_lc_rs::rand::SystemRandom;
use ::aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use dimpl::crypto::{
    Buf, CryptoProvider, HashAlgorithm, KeyProvider, SignatureAlgorithm, SigningKey, aws_lc_rs,
};
use dimpl::{CryptoError, CryptoOperation};

/// The cryptography of the handshakes.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        key_provider: &KEYS,
        ..aws_lc_rs::default_provider()
    }
}

static KEYS: Keys = Keys {
    last: Mutex::new(None),
};

/// Remembers the key that was read last, by the digest of its encoding: a process has one.
#[derive(Debug)]
struct Keys {
    last: Mutex<Option<([u8; 32], Shared)>>,
}

/// A P-256 key, which signs SHA-256 digests.
#[derive(Debug, Clone)]
struct Shared(Arc<EcdsaKeyPair>);

impl KeyProvider for Keys {
    fn load_private_key(&self, encoded: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, encoded).as_ref());
        // Nothing panics while it is held, so a poisoned lock still guards a sound value.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, key)) = &*last
            && *known == name
        {
            return Ok(Box::new(key.clone()));
        }
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, encoded) {
            Ok(pair) => {
                let key = Shared(Arc::new(pair));
                *last = Some((name, key.clone()));
                Ok(Box::new(key))
            }
            // Another curve or another encoding: the engine's own business.
            Err(_) => aws_lc_rs::default_provider()
                .key_provider
                .load_private_key(encoded),
        }
    }
}

impl SigningKey for Shared {
    fn sign(&mut self, data: &[u8], hash: HashAlgorithm, out: &mut Buf) -> Result<(), CryptoError> {
        if hash != HashAlgorithm::SHA256 {
            return Err(CryptoError::SigningKeyHashMismatch {
                key_hash: HashAlgorithm::SHA256,
                requested: hash,
            });
        }
        let signature = self.0.sign(&SystemRandom::new(), data);
        let signature =
            signature.map_err(|_| CryptoError::OperationFailed(CryptoOperation::Sign))?;
        out.clear();
        out.extend_from_slice(signature.as_ref());
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        &[HashAlgorithm::SHA256]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ::aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, KeyPair, UnparsedPublicKey};

    use super::*;
    use crate::Certificate;

    #[test]
    fn a_key_is_read_once_and_signs_as_itself() {
        let keys = Keys {
            last: Mutex::new(None),
        };
        let kept = |keys: &Keys| keys.last.lock().unwrap().clone().unwrap().1;
        let mut before: Option<Shared> = None;
        for _ in 0..2 {
            let certificate = Certificate::generate().unwrap();
            let encoded = &certificate.certificate.private_key;
            let mut first = keys.load_private_key(encoded).unwrap();
            let pair = kept(&keys);
            keys.load_private_key(encoded).unwrap();
            assert!(Arc::ptr_eq(&pair.0, &kept(&keys).0));
            assert!(before.is_none_or(|other| !Arc::ptr_eq(&other.0, &pair.0)));

            let mut signature = Buf::new();
            first
                .sign(b"flight", HashAlgorithm::SHA256, &mut signature)
                .unwrap();
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.0.public_key());
            public.verify(b"flight", &signature).unwrap();
            assert!(public.verify(b"another", &signature).is_err());
            let other = first.sign(b"flight", HashAlgorithm::SHA384, &mut signature);
            assert!(other.is_err());
            before = Some(pair);
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(KEYS.load_private_key(b"no key").is_err());
    }
}
