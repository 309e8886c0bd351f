//! A session that has its keys: what an authentic peer may ask for, in any order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sanderling_media::fuzz::epoch;
use sanderling_media::{Codec, Kind, LayerStore, Path};

use super::{Checks, OPERATIONS, OUTPUTS, open, path, picture};
use crate::egress::EgressViewer;
use crate::egress::srtp::{Outbound, Profile, Receiver, client_contexts, contexts};
use crate::session::{Accepted, Batch, Header, MAX_DATAGRAM, Output, Session, WriteError};
use crate::track::TrackInfo;

/// Parts that a header has at least, and what an extension's length is counted in.
const HEADER: usize = 12;
const OVERHEAD: usize = crate::client::PROTECTION;
/// Number of the peer's own stream of reports.
const PEER: u32 = 7;
/// First sequence number: the 16 bits on the wire come round within a run.
const FIRST: u64 = 65_500;

struct Pushed(Vec<Vec<u8>>);

impl Batch for Pushed {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.0.push(datagram.to_vec());
    }
}

/// The other end: it opens all that comes, and knows what it has to be.
struct Peer {
    outbound: Outbound,
    receiver: Receiver,
    /// What went out under each number.
    sent: HashMap<u16, Vec<u8>>,
    media: u32,
    /// Extended number of the repair that came last.
    repair: Option<u64>,
    repaired: usize,
}

impl Peer {
    /// A compound packet that is authentic; it begins with an empty report.
    fn seal(&mut self, parts: &[u8]) -> Option<Vec<u8>> {
        let mut datagram = vec![0x80, 201, 0, 1];
        datagram.extend(PEER.to_be_bytes());
        datagram.extend(parts);
        let length = datagram.len();
        datagram.resize(length + OVERHEAD, 0);
        let length = self.outbound.seal_rtcp(&mut datagram, length)?;
        datagram.truncate(length);
        Some(datagram)
    }

    /// Take in a packet of media or a report.
    fn receive(&mut self, mut datagram: Vec<u8>) {
        if (192..224).contains(&datagram[1]) {
            let opened = self.receiver.open_rtcp(&mut datagram);
            assert!(opened.is_some(), "a report that is not authentic");
            return;
        }
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| datagram[at + byte]));
        let (ssrc, number) = (word(8), word(0) as u16);
        let extension = match datagram[0] & 0x10 {
            0 => 0,
            _ => 4 + 4 * (word(HEADER) as u16) as usize,
        };
        let header = HEADER + extension;
        if ssrc == self.media {
            let sequence = FIRST & !0xffff | u64::from(number);
            // A run is short: a low number comes after the turn.
            let turned = if number < 1 << 15 { 1 << 16 } else { 0 };
            let opened = self
                .receiver
                .open_rtp(&mut datagram, header, ssrc, sequence + turned);
            let expected = self.sent.get(&number).map(Vec::as_slice);
            assert_eq!(opened.as_deref(), expected, "media under number {number}");
            return;
        }
        let extended = self.repair.map_or(u64::from(number), |last| {
            last + u64::from(number.wrapping_sub(last as u16))
        });
        assert!(
            self.repair.is_none_or(|last| extended > last),
            "a number used twice"
        );
        self.repair = Some(extended);
        self.repaired += 1;
        let opened = self
            .receiver
            .open_rtp(&mut datagram, header, ssrc, extended);
        let Some([high, low, payload @ ..]) = opened.as_deref() else {
            unreachable!("a repair that is not authentic");
        };
        let original = u16::from_be_bytes([*high, *low]);
        let expected = self.sent.get(&original).map(Vec::as_slice);
        assert_eq!(Some(payload), expected, "the repair of {original}");
    }
}

/// A connected session's life from any bytes: media, negative acknowledgements, feedback and any other authentic
/// report, repeated and damaged ones, time, binds. All that comes out opens with the peer's keys and is what was sent
/// first; what is not authentic or comes again changes nothing. Returns how many packets were repaired.
pub fn connected(data: &[u8]) -> usize {
    let now = epoch();
    let (Some(session), Some(([choice, _], rest))) = (open(now), data.split_first_chunk()) else {
        return 0;
    };
    let (profile, length) = match choice % 3 {
        0 => (Profile::CmSha1, 60),
        1 => (Profile::Gcm128, 56),
        _ => (Profile::Gcm256, 88),
    };
    let material: Vec<u8> = (0..length).collect();
    let ends = contexts(profile, &material).zip(client_contexts(profile, &material));
    let Some((keys, (outbound, receiver))) = ends else {
        unreachable!("keys of the right length");
    };
    let media = session
        .outlet(0, Kind::Video)
        .map_or(0, |outlet| outlet.ssrc);
    let mut life = Life {
        session,
        now,
        peer: Peer {
            outbound,
            receiver,
            sent: HashMap::new(),
            media,
            repair: None,
            repaired: 0,
        },
        store: LayerStore::default(),
        sequence: FIRST,
        checks: Checks::default(),
        last: Vec::new(),
    };
    life.check(1);
    life.session.keys = Some(Box::new(keys));
    life.session.connected = true;
    life.bind();
    life.run(rest)
}

struct Life {
    session: EgressViewer,
    now: Instant,
    peer: Peer,
    store: LayerStore,
    /// Next number of media.
    sequence: u64,
    checks: Checks,
    /// The report that was sent last.
    last: Vec<u8>,
}

impl Life {
    fn run(mut self, mut rest: &[u8]) -> usize {
        for _ in 0..OPERATIONS {
            let [operation, argument, after @ ..] = rest else {
                break;
            };
            let length = usize::from(*argument).min(after.len());
            let (argument, bytes) = (*argument, &after[..length]);
            rest = after;
            match operation % 10 {
                0..=2 => self.write(argument, bytes),
                3 => self.nack(argument),
                4 => {
                    // Feedback about packets, of any content, with a good header: transport-wide, or a key frame.
                    let kind = if argument & 1 == 0 { 205 } else { 206 };
                    let words = 2 + bytes.len() / 4;
                    let mut part = vec![0x80 | argument >> 1 & 0x1f, kind, 0, words as u8];
                    part.extend(PEER.to_be_bytes());
                    part.extend(self.peer.media.to_be_bytes());
                    part.extend(&bytes[..bytes.len() / 4 * 4]);
                    self.report(&part);
                }
                5 => {
                    self.report(bytes);
                    rest = &after[length..];
                }
                6 => {
                    // The same again, and as it came with a byte changed.
                    let again = self.last.clone();
                    assert_ne!(self.receive(&again), Accepted::Data, "a replay");
                    let mut changed = self.last.clone();
                    let at = usize::from(argument) % changed.len().max(1);
                    if let Some(byte) = changed.get_mut(at) {
                        *byte ^= 1 | operation;
                        assert_ne!(self.receive(&changed), Accepted::Data, "a forgery");
                    }
                }
                7 => self.now += Duration::from_millis(u64::from(argument) * 4),
                8 => self.check(argument),
                _ => {
                    if argument & 3 == 0 {
                        self.session.unbind(0);
                    }
                    self.bind();
                }
            }
            self.session.handle_timeout(self.now);
            self.drain();
        }
        let mut goodbye = Pushed(Vec::new());
        self.session.close(self.now, &mut goodbye);
        for datagram in goodbye.0 {
            self.peer.receive(datagram);
        }
        self.peer.repaired
    }

    fn bind(&mut self) {
        let track = TrackInfo {
            kind: Kind::Video,
            codec: Codec::Vp8,
            profile: crate::Profile::None,
            mid: "0".to_owned(),
            layers: 1,
        };
        assert!(self.session.bind(0, &track));
        self.session.repair_from(0, Kind::Video, &self.store);
    }

    fn check(&mut self, argument: u8) {
        let accepted = self.checks.send(self.now, &mut self.session, argument);
        assert_eq!(accepted, Accepted::Path);
    }

    fn receive(&mut self, datagram: &[u8]) -> Accepted {
        match datagram.is_empty() {
            true => Accepted::No,
            false => self.session.handle_datagram(self.now, path(1), datagram),
        }
    }

    fn report(&mut self, parts: &[u8]) {
        if let Some(datagram) = self.peer.seal(parts) {
            assert_eq!(self.receive(&datagram), Accepted::Data, "it is authentic");
            self.last = datagram;
        }
    }

    /// Ask for packets before the last, near and far.
    fn nack(&mut self, argument: u8) {
        let number = (self.sequence as u16).wrapping_sub(u16::from(argument & 31));
        let mut part = vec![0x81, 205, 0, 3];
        part.extend(PEER.to_be_bytes());
        part.extend(self.peer.media.to_be_bytes());
        part.extend(number.to_be_bytes());
        part.extend([argument, argument]);
        self.report(&part);
    }

    fn write(&mut self, argument: u8, bytes: &[u8]) {
        // Now and then a gap, now and then the same number again.
        let sequence = match argument & 7 {
            0 => self.sequence - 1,
            1 => self.sequence + 2,
            _ => self.sequence,
        };
        let mut payload = vec![0x90, 0x80, 0x80, argument, 0];
        payload.extend(bytes);
        let packet = picture(self.now, sequence, &payload);
        let header = Header {
            sequence,
            timestamp: u32::from(argument),
            picture: None,
            playout_delay: None,
        };
        let mut batch = Pushed(Vec::new());
        match self.session.write(self.now, 0, &packet, header, &mut batch) {
            Ok(()) => {
                self.store.keep(&packet);
                self.peer.sent.insert(sequence as u16, payload);
                self.sequence = self.sequence.max(sequence + 1);
                assert_eq!(batch.0.len(), 1);
            }
            // Consent is over, or the number was used.
            Err(WriteError::NotConnected) => assert!(self.session.ice.path(self.now).is_none()),
            Err(error) => assert_eq!(error, WriteError::Repeated),
        }
        for datagram in batch.0 {
            self.peer.receive(datagram);
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        for _ in 0..OUTPUTS {
            match self.session.poll(self.now, &mut buffer) {
                Output::Transmit { path, len } => {
                    assert!(self.checks.passed(&path), "sent to a stranger");
                    // Answers to checks are told apart by their first bits.
                    if buffer[0] & 0xc0 == 0x80 {
                        self.peer.receive(buffer[..len].to_vec());
                    }
                }
                Output::Event(_) => {}
                Output::WakeAt(..) => return,
            }
        }
        unreachable!("a session that never drains");
    }
}

#[cfg(test)]
mod tests {
    use sanderling_media::fuzz::Words;

    #[test]
    fn connected_sessions_survive_random_lives() {
        let repaired: usize = (0..400)
            .map(|seed| super::connected(&Words(seed).bytes(400)))
            .sum();
        assert!(repaired > 100, "only {repaired} packets were repaired");
    }

    #[test]
    fn every_cipher_repairs_what_is_asked_for() {
        for cipher in 0..3 {
            // Ten pictures, and after 40 ms a request for the last ones.
            let mut data = vec![cipher, 0];
            data.extend([0, 2].repeat(10));
            data.extend([7, 10, 3, 0x0f]);
            assert!(super::connected(&data) > 0, "cipher {cipher}");
        }
    }
}
