//! The DTLS server that keys a viewer's SRTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, digest};
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};

use super::srtp::{self, Inbound, Outbound, Profile};
use crate::config::Config;

/// Time for the handshake from its first message on.
const DEADLINE: Duration = Duration::from_secs(15);
/// Bounds of the first retransmission, and how much longer than a round trip it waits.
const RETRANSMIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
const RETRIES: usize = 8;
/// Most records that one call is drained of before the clock has to move.
const ROUNDS: usize = 32;

/// Content type of handshake records.
pub(super) const HANDSHAKE: u8 = 22;

/// SSL 3.3 and SSL 3.4 in the inverted counting of DTLS.
const VERSION_12: [u8; 2] = [0xfe, 0xfd];
const VERSION_13: [u8; 2] = [0xfe, 0xfc];

/// What the handshake wants done.
pub(super) enum Step {
    /// Send the first so many bytes of the buffer.
    Transmit(usize),
    /// The peer is who the offer said, and these are the keys.
    Keys(Box<(Outbound, Inbound)>),
    /// The peer said goodbye.
    Closed,
    /// It failed for good.
    Failed,
    /// Nothing until then.
    Wake(Option<Instant>),
}

/// One association.
pub(super) struct Association {
    engine: Dtls,
    fingerprint: [u8; 32],
    /// Whether the certificate was the right one.
    verified: bool,
    failed: bool,
    connected: bool,
    idle: Option<Option<Instant>>,
}

impl Association {
    /// Begin with the client's first datagram. `round_trip` is what the time since the first check lets one guess.
    pub(super) fn new(
        now: Instant,
        first: &[u8],
        round_trip: Duration,
        config: &Config,
        fingerprint: [u8; 32],
    ) -> Option<Self> {
        let (least, most) = RETRANSMIT;
        let settings = dimpl::Config::builder()
            // Only a path that passed an authenticated check gets here, so the address is the peer's own.
            .use_server_cookie(false)
            .flight_start_rto((round_trip * 3 / 2).clamp(least, most))
            .flight_retries(RETRIES)
            .handshake_timeout(DEADLINE)
            .build()
            .ok()?;
        let certificate = DtlsCertificate {
            certificate: config.certificate.certificate.certificate.clone(),
            private_key: config.certificate.certificate.private_key.clone(),
        };
        let settings = Arc::new(settings);
        let mut engine = match prefers_13(first) {
            true => Dtls::new_13(settings, certificate, now),
            false => Dtls::new_12(settings, certificate, now),
        };
        engine.handle_timeout(now).ok()?;
        Some(Self {
            engine,
            fingerprint,
            verified: false,
            failed: false,
            connected: false,
            idle: None,
        })
    }

    /// Whether the handshake is over.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Take in a datagram.
    pub(super) fn handle(&mut self, now: Instant, datagram: &[u8]) {
        self.idle = None;
        self.failed |= self.engine.handle_timeout(now).is_err()
            || self.engine.handle_packet(datagram).is_err();
    }

    /// Let time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let waits = match self.idle {
            Some(at) => at.is_none_or(|at| at > now),
            None => false,
        };
        if !waits {
            self.idle = None;
            self.failed |= self.engine.handle_timeout(now).is_err();
        }
    }

    /// Take the next thing to do.
    pub(super) fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Step {
        if let Some(at) = self.idle {
            return Step::Wake(at);
        }
        for _ in 0..ROUNDS {
            if self.failed {
                return Step::Failed;
            }
            match self.engine.poll_output(buffer) {
                Output::Packet(record) => return Step::Transmit(record.len()),
                Output::PeerCert(certificate) => {
                    let digest = digest::digest(&digest::SHA256, certificate);
                    self.verified =
                        constant_time::verify_slices_are_equal(digest.as_ref(), &self.fingerprint)
                            .is_ok();
                    self.failed = !self.verified;
                }
                Output::KeyingMaterial(material, profile) => {
                    let keys = profile_of(profile)
                        .filter(|_| self.verified)
                        .and_then(|profile| srtp::contexts(profile, &material));
                    match keys {
                        Some(keys) => return Step::Keys(Box::new(keys)),
                        None => self.failed = true,
                    }
                }
                Output::Connected => self.connected = true,
                Output::CloseNotify => return Step::Closed,
                Output::Timeout(at) if at <= now => {
                    self.failed |= self.engine.handle_timeout(now).is_err();
                }
                Output::Timeout(at) => {
                    // A deadline years away stands for none.
                    let at = Some(at).filter(|at| *at < now + 2 * DEADLINE);
                    self.idle = Some(at);
                    return Step::Wake(at);
                }
                // Data channels were refused in the answer; what comes nevertheless is left unread. A record that is
                // larger than any datagram cannot be sent.
                Output::ApplicationData(_) => {}
                _ => self.failed = true,
            }
        }
        Step::Wake(Some(now))
    }

    /// Say goodbye: writes a close_notify to `buffer` when there is a secure channel for it.
    pub(super) fn close(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if !self.connected || self.failed || self.engine.close().is_err() {
            return None;
        }
        for _ in 0..ROUNDS {
            match self.engine.poll_output(buffer) {
                Output::Packet(record) => return Some(record.len()),
                Output::Timeout(_) | Output::BufferTooSmall { .. } => return None,
                _ => {}
            }
        }
        None
    }
}

pub(crate) fn profile_of(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::CmSha1),
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::Gcm128),
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::Gcm256),
        _ => None,
    }
}

/// Whether to speak DTLS 1.3. It saves a round trip, but there the engine takes the client's first SRTP profile, which
/// for libwebrtc is AES-CM with SHA-1: four times the cost per packet. So 1.3 is for clients that put GCM first, or
/// that speak nothing else.
fn prefers_13(datagram: &[u8]) -> bool {
    let Some(hello) = Hello::read(datagram) else {
        return false;
    };
    let speaks = |version: [u8; 2]| {
        hello
            .versions
            .is_some_and(|all| all.chunks(2).any(|v| v == version))
    };
    // 0x0007 and 0x0008: RFC 7714 section 14.2.
    let gcm_first = hello
        .profiles
        .is_some_and(|all| matches!(all, [0, 7 | 8, ..]));
    speaks(VERSION_13) && (gcm_first || !speaks(VERSION_12))
}

/// The two lists of a ClientHello that the choice of a version needs.
#[derive(Default)]
struct Hello<'a> {
    versions: Option<&'a [u8]>,
    profiles: Option<&'a [u8]>,
}

impl<'a> Hello<'a> {
    /// Read a ClientHello that is whole in its first record; `None` for any other datagram.
    fn read(datagram: &'a [u8]) -> Option<Self> {
        let mut record = Reader(datagram);
        let kind = record.take(1)?[0];
        record.take(10)?;
        let mut message = Reader(record.sized(2)?);
        let header = message.take(12)?;
        let whole = header[1..4] == header[9..12] && header[6..9] == [0, 0, 0];
        if kind != HANDSHAKE || header[0] != 1 || !whole {
            return None;
        }
        message.take(2 + 32)?;
        message.sized(1)?;
        message.sized(1)?;
        message.sized(2)?;
        message.sized(1)?;
        let mut extensions = Reader(message.sized(2)?);
        let mut hello = Self::default();
        while let Some(kind) = extensions.take(2) {
            let mut value = Reader(extensions.sized(2)?);
            match kind {
                [0, 43] => hello.versions = value.sized(1),
                [0, 14] => hello.profiles = value.sized(2),
                _ => {}
            }
        }
        Some(hello)
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A value after its length in so many bytes.
    fn sized(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.take(bytes)?;
        let length = length
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte));
        self.take(length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn hello(versions: &[u8], profiles: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        let mut extensions = vec![0, 43, 0, versions.len() as u8 + 1, versions.len() as u8];
        extensions.extend(versions);
        extensions.extend([0, 14, 0, profiles.len() as u8 + 3, 0, profiles.len() as u8]);
        extensions.extend(profiles);
        extensions.push(0);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let length = body.len() as u8;
        let mut message = vec![1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
        message.extend(body);
        let mut record = vec![
            22,
            0xfe,
            0xfd,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            message.len() as u8,
        ];
        record.extend(message);
        record
    }

    #[test]
    fn versions_by_table() {
        let both = [0xfe, 0xfc, 0xfe, 0xfd];
        // (versions, profiles, 1.3)
        let rows: [(&[u8], &[u8], bool); 5] = [
            (&both, &[0, 1, 0, 8, 0, 7], false),
            (&both, &[0, 8, 0, 7, 0, 1], true),
            (&both, &[0, 7], true),
            (&[0xfe, 0xfc], &[0, 1], true),
            (&[0xfe, 0xfd], &[0, 7], false),
        ];
        for (versions, profiles, expected) in rows {
            let hello = hello(versions, profiles);
            assert_eq!(prefers_13(&hello), expected, "{versions:?} {profiles:?}");
            for cut in 0..hello.len() {
                assert!(!prefers_13(&hello[..cut]));
            }
        }
    }
}
