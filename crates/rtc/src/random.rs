//! Reproducible randomness from a secret seed.

use std::fmt;
use std::sync::Arc;

use str0m::crypto::CryptoProvider;

use crate::certificate::Certificate;
use crate::session::IceCredentials;

/// The 64 characters that ICE allows (RFC 8839 section 5.4).
const ICE_CHARACTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A generator in counter mode over SHA-256: who does not know the seed cannot tell its output from chance, so it may
/// make ICE passwords; who does can replay a run.
#[derive(Clone)]
pub struct Random {
    provider: Arc<CryptoProvider>,
    seed: [u8; 32],
    block: u64,
    pool: [u8; 32],
    used: usize,
}

impl Random {
    /// Begin at the start of a seed's sequence.
    pub fn new(certificate: &Certificate, seed: [u8; 32]) -> Self {
        Self {
            provider: Arc::clone(&certificate.provider),
            seed,
            block: 0,
            pool: [0; 32],
            used: 32,
        }
    }

    /// Split off a generator of its own, e.g. for one session.
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        seed.iter_mut().for_each(|byte| *byte = self.byte());
        Self {
            provider: Arc::clone(&self.provider),
            seed,
            block: 0,
            pool: [0; 32],
            used: 32,
        }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.pool.len() {
            let mut input = [0; 40];
            input[..32].copy_from_slice(&self.seed);
            input[32..].copy_from_slice(&self.block.to_be_bytes());
            self.pool = self.provider.sha256_provider.sha256(&input);
            self.block += 1;
            self.used = 0;
        }
        let byte = self.pool[self.used];
        self.used += 1;
        byte
    }

    /// Any 32 bits.
    pub fn number(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// A synchronisation source. Never 0, which marks bandwidth probes.
    pub fn ssrc(&mut self) -> u32 {
        loop {
            let ssrc = self.number();
            if ssrc != 0 {
                return ssrc;
            }
        }
    }

    /// `length` characters with 6 bits of chance each.
    pub fn text(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from(ICE_CHARACTERS[usize::from(self.byte() & 0x3f)]))
            .collect()
    }

    /// New ICE credentials: 48 bits of fragment, 144 bits of password (RFC 8445 section 5.3 asks for 24 and 128).
    pub fn ice_credentials(&mut self) -> IceCredentials {
        IceCredentials {
            fragment: self.text(8),
            password: self.text(24),
        }
    }
}

impl fmt::Debug for Random {
    /// The seed stays out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_another_seed_another() {
        let certificate = Certificate::generate().unwrap();
        let mut a = Random::new(&certificate, [1; 32]);
        let mut b = Random::new(&certificate, [1; 32]);
        let mut c = Random::new(&certificate, [2; 32]);
        assert_eq!(a.text(100), b.text(100));
        assert_eq!(a.fork().text(20), b.fork().text(20));
        assert_ne!(a.text(20), c.text(20));
    }

    #[test]
    fn credentials_are_as_long_as_the_rfc_asks_and_never_printed() {
        let certificate = Certificate::generate().unwrap();
        let credentials = Random::new(&certificate, [3; 32]).ice_credentials();
        assert_eq!(
            (credentials.fragment.len(), credentials.password.len()),
            (8, 24)
        );
        assert!(!format!("{credentials:?}").contains(&credentials.password));
    }
}
