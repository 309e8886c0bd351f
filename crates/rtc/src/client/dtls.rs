//! The DTLS client that keys SRTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, digest};
use dimpl::{Dtls, DtlsCertificate, Output};

use crate::certificate::Certificate;
use crate::egress::dtls::profile_of;
use crate::egress::srtp::{self, Outbound, Receiver};

/// Time for the handshake.
const DEADLINE: Duration = Duration::from_secs(15);
/// First retransmission of a flight, as browsers have it.
const RETRANSMIT: Duration = Duration::from_millis(50);
const RETRIES: usize = 8;
/// Most outputs that one call is drained of before the clock has to move.
const ROUNDS: usize = 32;

/// What the handshake wants done.
pub(super) enum Step {
    /// Send the first so many bytes of the buffer.
    Transmit(usize),
    /// The peer is who its description said, and these are the keys.
    Keys(Box<(Outbound, Receiver)>),
    /// The peer said goodbye.
    Closed,
    /// It failed for good, and why.
    Failed(&'static str),
    /// Nothing until then.
    Wake(Option<Instant>),
}

/// Settings that every association shares.
pub(super) fn settings() -> Option<Arc<dimpl::Config>> {
    dimpl::Config::builder()
        .flight_start_rto(RETRANSMIT)
        .flight_retries(RETRIES)
        .handshake_timeout(DEADLINE)
        .build()
        .ok()
        .map(Arc::new)
}

/// One association, in the client's role.
pub(super) struct Association {
    engine: Dtls,
    fingerprint: [u8; 32],
    verified: bool,
    connected: bool,
    failed: Option<&'static str>,
}

impl Association {
    /// Begin a handshake; the peer's certificate has to have this SHA-256 digest.
    ///
    /// DTLS 1.2: there a server chooses the SRTP profile, and servers choose GCM.
    pub(super) fn new(
        now: Instant,
        settings: Arc<dimpl::Config>,
        certificate: &Certificate,
        fingerprint: [u8; 32],
    ) -> Self {
        let certificate = DtlsCertificate {
            certificate: certificate.certificate.certificate.clone(),
            private_key: certificate.certificate.private_key.clone(),
        };
        let mut engine = Dtls::new_12(settings, certificate, now);
        engine.set_active(true);
        let failed = engine.handle_timeout(now).is_err().then_some("no start");
        Self {
            engine,
            fingerprint,
            verified: false,
            connected: false,
            failed,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(super) fn handle(&mut self, now: Instant, datagram: &[u8]) {
        if self.engine.handle_timeout(now).is_err() || self.engine.handle_packet(datagram).is_err()
        {
            self.failed = Some("the DTLS handshake failed");
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.engine.handle_timeout(now).is_err() {
            self.failed = Some("the DTLS handshake took too long");
        }
    }

    pub(super) fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Step {
        for _ in 0..ROUNDS {
            if let Some(why) = self.failed {
                return Step::Failed(why);
            }
            match self.engine.poll_output(buffer) {
                Output::Packet(record) => return Step::Transmit(record.len()),
                Output::PeerCert(certificate) => {
                    let digest = digest::digest(&digest::SHA256, certificate);
                    self.verified =
                        constant_time::verify_slices_are_equal(digest.as_ref(), &self.fingerprint)
                            .is_ok();
                    if !self.verified {
                        self.failed = Some("the certificate is not the one of the description");
                    }
                }
                Output::KeyingMaterial(material, profile) => {
                    let keys = profile_of(profile)
                        .filter(|_| self.verified)
                        .and_then(|profile| srtp::client_contexts(profile, &material));
                    match keys {
                        Some(keys) => return Step::Keys(Box::new(keys)),
                        None => self.failed = Some("no usable SRTP profile"),
                    }
                }
                Output::Connected => self.connected = true,
                Output::CloseNotify => return Step::Closed,
                Output::Timeout(at) if at <= now => self.handle_timeout(now),
                // A deadline years away stands for none.
                Output::Timeout(at) => return Step::Wake((at < now + 2 * DEADLINE).then_some(at)),
                Output::ApplicationData(_) => {}
                _ => self.failed = Some("a DTLS record is larger than any datagram"),
            }
        }
        Step::Wake(Some(now))
    }

    /// Say goodbye: writes a close_notify to `buffer` when there is a secure channel for it.
    pub(super) fn close(&mut self, buffer: &mut [u8]) -> Option<usize> {
        if !self.connected || self.failed.is_some() || self.engine.close().is_err() {
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
