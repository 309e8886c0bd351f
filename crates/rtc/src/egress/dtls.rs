//! The DTLS server that keys a viewer's SRTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{constant_time, digest};
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};

use super::flight::Flight;
use super::hello::Opening;
use super::signing;
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
/// Mask and value of the first byte of a ciphered record of DTLS 1.3 (RFC 9147 section 4).
const CIPHERED: (u8, u8) = (0xe0, 0x20);

/// What the handshake wants done.
pub(super) enum Step {
    /// Send the first so many bytes of the buffer.
    Transmit(usize),
    /// The peer is who the offer said, and these are the keys.
    Keys(Box<(Outbound, Inbound)>),
    /// What came within the secure channel.
    Data(Vec<u8>),
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
    flight: Flight,
    /// Whether data was sent: from then on records are no flight to repeat.
    data: bool,
}

impl Association {
    /// Begin with the client's first message. `round_trip` is what the time since the first check lets one guess.
    pub(super) fn new(
        now: Instant,
        opening: &Opening,
        version_13: bool,
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
            .with_crypto_provider(signing::provider())
            .build()
            .ok()?;
        let certificate = DtlsCertificate {
            certificate: config.certificate.certificate.certificate.clone(),
            private_key: config.certificate.certificate.private_key.clone(),
        };
        let settings = Arc::new(settings);
        let mut engine = match version_13 {
            true => Dtls::new_13(settings, certificate, now),
            false => Dtls::new_12(settings, certificate, now),
        };
        engine.handle_timeout(now).ok()?;
        let mut association = Self {
            engine,
            fingerprint,
            verified: false,
            failed: false,
            connected: false,
            idle: None,
            flight: Flight::new(round_trip),
            data: false,
        };
        for datagram in opening.datagrams() {
            association.handle(now, datagram);
        }
        Some(association)
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
        // Under DTLS 1.3 all but the first messages are ciphered, as data is once both sides are connected.
        let handshake = match datagram.first() {
            Some(&HANDSHAKE) => true,
            Some(first) => first & CIPHERED.0 == CIPHERED.1 && !self.connected,
            None => false,
        };
        if handshake {
            self.flight.answered(now);
        }
    }

    /// The peer has the keys: it got everything.
    pub(super) fn confirm(&mut self) {
        self.flight.end();
    }

    /// Let time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let waits = match self.idle {
            Some(at) => at.is_none_or(|at| at > now),
            None => false,
        };
        if !waits {
            self.idle = None;
            self.flight.renew();
            self.failed |= self.engine.handle_timeout(now).is_err();
        }
    }

    /// Take the next thing to do.
    pub(super) fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Step {
        if let Some(at) = self.idle {
            // What a forward to a connected viewer comes by.
            if self.flight.wake_at().is_none() {
                return Step::Wake(at);
            }
            return self.repeat(now, at, buffer);
        }
        for _ in 0..ROUNDS {
            if self.failed {
                return Step::Failed;
            }
            match self.engine.poll_output(buffer) {
                Output::Packet(record) => {
                    if !self.data {
                        self.flight.push(now, record);
                    }
                    return Step::Transmit(record.len());
                }
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
                Output::Connected => {
                    self.connected = true;
                    self.flight.hold();
                }
                Output::CloseNotify => return Step::Closed,
                Output::Timeout(at) if at <= now => {
                    self.failed |= self.engine.handle_timeout(now).is_err();
                }
                Output::Timeout(at) => {
                    // A deadline years away stands for none.
                    let at = Some(at).filter(|at| *at < now + 2 * DEADLINE);
                    self.idle = Some(at);
                    return self.repeat(now, at, buffer);
                }
                Output::ApplicationData(data) => {
                    // It came after the last flight: the peer has that.
                    self.flight.end();
                    return Step::Data(data.to_vec());
                }
                // A record that is larger than any datagram cannot be sent.
                _ => self.failed = true,
            }
        }
        Step::Wake(Some(now))
    }

    /// Send data within the secure channel.
    pub(super) fn send(&mut self, data: &[u8]) {
        if self.connected && !self.failed {
            self.idle = None;
            self.data = true;
            self.flight.end();
            // An engine that has failed says so when it is asked next.
            let _ = self.engine.send_application_data(data);
        }
    }

    /// The engine waits until `at`; meanwhile its last flight is repeated.
    #[cold]
    fn repeat(&mut self, now: Instant, at: Option<Instant>, buffer: &mut [u8]) -> Step {
        match self.flight.poll(now, buffer) {
            Some(length) => Step::Transmit(length),
            None => Step::Wake([at, self.flight.wake_at()].into_iter().flatten().min()),
        }
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests {
    use std::time::SystemTime;

    use super::super::hello::cut;
    use super::*;
    use crate::{Certificate, Random, WallClock};

    fn config() -> Config {
        let (now, certificate) = (Instant::now(), Certificate::generate().unwrap());
        Config {
            random: Random::new(&certificate, [5; 32]),
            codecs: Vec::new(),
            certificate,
            candidates: Arc::from([]),
            wall_clock: WallClock::new(now, SystemTime::now()),
        }
    }

    /// A client of one version, its first datagram, and the digest of its certificate.
    fn client(now: Instant, version_13: bool) -> (Dtls, Vec<u8>, [u8; 32]) {
        let certificate = Certificate::generate().unwrap();
        let (settings, own) = (Arc::default(), certificate.certificate.as_ref().clone());
        let mut client = match version_13 {
            true => Dtls::new_13(settings, own, now),
            false => Dtls::new_12(settings, own, now),
        };
        client.set_active(true);
        client.handle_timeout(now).unwrap();
        let mut buffer = [0; 2048];
        let Output::Packet(first) = client.poll_output(&mut buffer) else {
            panic!("no hello");
        };
        let first = first.to_vec();
        (client, first, *certificate.fingerprint())
    }

    /// What one side of a handshake sends until it waits.
    fn from_server(server: &mut Association, now: Instant) -> (Vec<Vec<u8>>, Vec<Step>) {
        let (mut out, mut steps, mut buffer) = (Vec::new(), Vec::new(), [0; 2048]);
        loop {
            match server.poll(now, &mut buffer) {
                Step::Transmit(length) => out.push(buffer[..length].to_vec()),
                step @ (Step::Wake(_) | Step::Failed) => {
                    steps.push(step);
                    return (out, steps);
                }
                step => steps.push(step),
            }
        }
    }

    fn from_client(client: &mut Dtls) -> (Vec<Vec<u8>>, bool) {
        let (mut out, mut connected, mut buffer) = (Vec::new(), false, [0; 2048]);
        loop {
            match client.poll_output(&mut buffer) {
                Output::Packet(record) => out.push(record.to_vec()),
                Output::Connected => connected = true,
                Output::Timeout(_) => return (out, connected),
                _ => {}
            }
        }
    }

    /// Bring both sides together on datagrams of the hello. Returns the size of the server's first flight.
    fn handshake(version_13: bool, pieces: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<usize> {
        let (now, config) = (Instant::now(), config());
        let (mut client, first, fingerprint) = client(now, version_13);
        let mut opening = Opening::default();
        let mut decided = None;
        for piece in pieces(&first) {
            assert_eq!(decided, None, "decided before the hello was whole");
            decided = opening.push(&piece);
        }
        assert_eq!(decided, Some(version_13));
        let mut server = Association::new(
            now,
            &opening,
            version_13,
            Duration::from_millis(40),
            &config,
            fingerprint,
        )
        .unwrap();
        let (mut flight, mut keys, mut connected) = (None, false, false);
        for _ in 0..4 {
            let (datagrams, steps) = from_server(&mut server, now);
            keys |= steps.iter().any(|step| matches!(step, Step::Keys(_)));
            assert!(!steps.iter().any(|step| matches!(step, Step::Failed)));
            flight.get_or_insert_with(|| datagrams.iter().map(Vec::len).collect());
            for datagram in datagrams {
                client.handle_packet(&datagram).unwrap();
            }
            let (datagrams, done) = from_client(&mut client);
            connected |= done;
            for datagram in datagrams {
                server.handle(now, &datagram);
            }
        }
        assert!(keys && connected && server.is_connected());
        flight.unwrap()
    }

    #[test]
    fn hellos_in_pieces_and_out_of_order_are_answered() {
        for version_13 in [false, true] {
            handshake(version_13, |first| vec![first.to_vec()]);
            handshake(version_13, |first| cut(first, first.len() / 4));
            handshake(version_13, |first| {
                cut(first, first.len() / 4).into_iter().rev().collect()
            });
        }
    }

    #[test]
    fn the_servers_first_flight_is_one_datagram() {
        let flight = handshake(false, |first| vec![first.to_vec()]);
        assert!(matches!(flight[..], [..=1_150]), "{flight:?}");
    }

    #[test]
    fn a_handshake_that_stands_still_fails_at_its_deadline() {
        let (start, config) = (Instant::now(), config());
        let (_, first, fingerprint) = client(start, false);
        let mut opening = Opening::default();
        opening.push(&first);
        let round_trip = Duration::from_millis(40);
        let mut server =
            Association::new(start, &opening, false, round_trip, &config, fingerprint).unwrap();
        let mut sent = 0;
        let mut now = start;
        loop {
            let (datagrams, steps) = from_server(&mut server, now);
            sent += datagrams.len();
            match steps[..] {
                [Step::Wake(Some(at))] => {
                    assert!(at > now);
                    now = at;
                    server.handle_timeout(now);
                }
                [Step::Failed] => break,
                _ => panic!("neither waits nor fails"),
            }
        }
        let took = now - start;
        assert!(
            (DEADLINE..DEADLINE + Duration::from_secs(1)).contains(&took),
            "{took:?}"
        );
        assert!((10..=30).contains(&sent), "{sent} datagrams");
    }

    #[test]
    fn a_certificate_of_somebody_elses_fails_the_handshake_before_there_are_keys() {
        let (now, config) = (Instant::now(), config());
        let (mut client, first, mut fingerprint) = client(now, false);
        fingerprint[31] ^= 1;
        let mut opening = Opening::default();
        opening.push(&first);
        let round_trip = Duration::from_millis(40);
        let mut server =
            Association::new(now, &opening, false, round_trip, &config, fingerprint).unwrap();
        let mut failed = false;
        for _ in 0..4 {
            let (datagrams, steps) = from_server(&mut server, now);
            assert!(!steps.iter().any(|step| matches!(step, Step::Keys(_))));
            failed |= steps.iter().any(|step| matches!(step, Step::Failed));
            for datagram in datagrams {
                client.handle_packet(&datagram).unwrap();
            }
            for datagram in from_client(&mut client).0 {
                server.handle(now, &datagram);
            }
        }
        assert!(failed);
    }
}
