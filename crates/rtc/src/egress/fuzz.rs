//! Entry points for fuzzing the egress engine: any bytes, no panic, and nothing believed that is not authentic.

mod connected;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use sanderling_media::fuzz::epoch;
use sanderling_media::{Codec, Extensions, Kind, LayerStore, Packet, Path, Protocol};

pub use connected::connected;
use dimpl::Dtls;
use sctp_proto::{ClientConfig, DatagramEvent, Endpoint, Payload, PayloadProtocolIdentifier};

use super::data::{Channels, MESSAGE_LIMIT, Step as DataStep};
use super::estimate::Estimate;
use super::hello::Opening;
use super::rtcp::{self, Feedback};
use super::{EgressViewer, stun};
use crate::session::{Accepted, Batch, Header, MAX_DATAGRAM, Output, Session};
use crate::track::{Profile, TrackInfo};
use crate::{Certificate, Config, Random, WallClock};

/// Operations of one sequence.
const OPERATIONS: usize = 256;
/// Outputs that one operation may have: repairs of everything a negative acknowledgement can name, and reports.
const OUTPUTS: usize = 4_096;

const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:peer\r\n\
    a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\r\n\
    a=setup:actpass\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n\
    a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
    a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n";

/// A STUN message: only one with the right integrity is authentic, and a change of any byte that counts spoils it.
pub fn stun(data: &[u8]) {
    let key = stun::integrity_key("a password of the right length");
    let read = stun::read(data, "local", "remote", &key);
    assert!(
        !matches!(read, stun::Request::Authentic(_)),
        "nobody but us knows the password"
    );
    // The same bytes as changes to a request that is authentic.
    let mut request = stun::request("local:remote", 7, true, &key);
    let whole = stun::read(&request, "local", "remote", &key);
    assert!(matches!(whole, stun::Request::Authentic(_)));
    for pair in data.chunks_exact(2) {
        let at = usize::from(pair[0]) % request.len();
        request[at] ^= pair[1];
    }
    let _ = stun::read(&request, "local", "remote", &key);
}

/// A compound RTCP packet after it was deciphered, and what is made of it.
pub fn rtcp(data: &[u8]) {
    let mut estimate = Estimate::default();
    for size in 0..40 {
        estimate.departed(size, size << 12, 1 + size as usize);
    }
    let mut parts = 0;
    rtcp::read(data, |feedback| {
        parts += 1;
        match feedback {
            Feedback::Missing { pairs, .. } => {
                assert!(pairs.chunks_exact(4).flat_map(rtcp::missing).count() <= pairs.len() * 5);
            }
            Feedback::Transport(message) => {
                estimate.feedback(parts * 20, parts << 14, None, message);
            }
            _ => {}
        }
    });
    assert!(
        parts as usize <= data.len(),
        "every part has bytes of its own"
    );
    assert!(
        estimate
            .loss()
            .is_none_or(|loss| (0.0..=1.0).contains(&loss))
    );
    if let Some(allowance) = estimate.allowance(parts * 20) {
        assert!(allowance.bits_per_second.is_finite() && allowance.bits_per_second >= 0.0);
    }
}

/// First messages of a handshake: any bytes in up to eight datagrams are decided on, and pieces of a good one in any
/// order make the same whole.
pub fn hello(data: &[u8]) {
    let mut opening = Opening::default();
    let mut decided = None;
    for part in data.chunks(1 + data.len() / 8) {
        let record = [&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0][..], part].concat();
        for datagram in [part, &record] {
            if decided.is_none() {
                decided = opening.push(datagram);
            }
        }
    }
    let kept = opening.datagrams().count();
    assert!(kept <= HELLO_DATAGRAMS);
    // What is not decided on may still become whole.
    assert!(decided.is_some() || kept < HELLO_DATAGRAMS);
    for (version_13, hello) in [false, true].into_iter().zip(hellos()) {
        pieces(hello, version_13, data);
    }
}

/// Datagrams that a first message may come in.
const HELLO_DATAGRAMS: usize = 8;
/// Pieces that a good one is cut into at most: with a repetition they fit.
const PIECES: usize = 6;

/// A client's first message of either version.
fn hellos() -> &'static [Vec<u8>] {
    static HELLOS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    HELLOS.get_or_init(|| {
        let hellos = [false, true].into_iter().filter_map(|version_13| {
            let own = certificate()?.certificate.as_ref().clone();
            let mut client = match version_13 {
                true => Dtls::new_13(Arc::default(), own, epoch()),
                false => Dtls::new_12(Arc::default(), own, epoch()),
            };
            client.set_active(true);
            client.handle_timeout(epoch()).ok()?;
            match client.poll_output(&mut [0; MAX_DATAGRAM]) {
                dimpl::Output::Packet(first) => Some(first.to_vec()),
                _ => None,
            }
        });
        hellos.collect()
    })
}

/// Cut a hello where the first bytes say, have neighbours overlap as the next ones say, and send the pieces in the order
/// that the last ones make: the version is known with the piece that makes it whole, and not before.
fn pieces(hello: &[u8], version_13: bool, data: &[u8]) {
    let byte = |at: usize| usize::from(data.get(at).copied().unwrap_or(0));
    // The header of a record, and that of its message.
    let (record, message) = hello.split_at(13);
    let (header, body) = message.split_at(12);
    let mut bounds: Vec<usize> = (1..PIECES).map(|at| byte(at) * body.len() / 256).collect();
    bounds.extend([0, body.len()]);
    bounds.sort_unstable();
    bounds.dedup();
    let mut order: Vec<usize> = (0..bounds.len() - 1).collect();
    for at in 0..order.len() {
        order.swap(
            at,
            byte(PIECES + at) % bounds.len().saturating_sub(1).max(1),
        );
    }
    // The first one comes twice.
    order.insert(1, order[0]);
    let mut opening = Opening::default();
    let mut known = vec![false; body.len()];
    for place in order {
        let end = bounds[place + 1];
        let start = bounds[place] - byte(2 * PIECES + place) % (bounds[place] + 1);
        let length = ((end - start) as u32).to_be_bytes();
        let mut datagram = record[..11].to_vec();
        datagram.extend((12 + end as u16 - start as u16).to_be_bytes());
        datagram.extend(&header[..6]);
        datagram.extend(&(start as u32).to_be_bytes()[1..]);
        datagram.extend(&length[1..]);
        datagram.extend(&body[start..end]);
        known[start..end].fill(true);
        let whole = known.iter().all(|known| *known);
        assert_eq!(opening.push(&datagram), whole.then_some(version_13));
        if whole {
            return;
        }
    }
    unreachable!("every piece was sent");
}

/// Most datagrams that a peer of SCTP's answers one with before it waits.
const ANSWERS: usize = 256;
/// Table-free CRC-32C (RFC 9260 appendix A), which SCTP wants before it reads anything else.
fn checksum(datagram: &mut [u8]) {
    if let Some(field) = datagram.get_mut(8..12) {
        field.fill(0);
    }
    let crc = datagram.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (crc & 1).wrapping_neg() & 0x82f6_3b78
        })
    });
    if let Some(field) = datagram.get_mut(8..12) {
        field.copy_from_slice(&(!crc).to_le_bytes());
    }
}

/// SCTP of a peer that has the keys: its beginning, with changes of any kind. Returns how many messages came through.
pub fn sctp(data: &[u8]) -> usize {
    let mut messages = 0;
    let mut now = epoch();
    let mut channels = Channels::new();
    let mut client = Endpoint::new(Arc::default(), None);
    let to = SocketAddr::from(([192, 0, 2, 1], 5_000));
    let Ok((_, mut association)) = client.connect(ClientConfig::default(), to) else {
        return messages;
    };
    let mut pending: Vec<Vec<u8>> = Vec::new();
    for step in data.chunks_exact(4).take(OPERATIONS) {
        while let Some(transmit) = association.poll_transmit(now) {
            if let Payload::RawEncode(datagrams) = transmit.payload {
                pending.extend(datagrams.into_iter().map(|bytes| bytes.to_vec()));
            }
        }
        let mut datagram = match pending.len() {
            0 => data.to_vec(),
            // The latest first.
            count => pending[count - 1 - usize::from(step[1]) % count].clone(),
        };
        match step[0] % 4 {
            0 => {
                let at = usize::from(step[2]) % datagram.len().max(1);
                if let Some(byte) = datagram.get_mut(at) {
                    *byte ^= step[3];
                }
                checksum(&mut datagram);
            }
            1 => {
                datagram.truncate(12 + usize::from(step[2]));
                datagram.extend_from_slice(&data[..usize::from(step[3]).min(data.len())]);
                checksum(&mut datagram);
            }
            2 => now += Duration::from_millis(u64::from(step[3]) * 40),
            _ => {
                let _ = association
                    .open_stream(u16::from(step[3] & 7), PayloadProtocolIdentifier::Binary)
                    .and_then(|mut stream| {
                        stream.write(&data[..usize::from(step[2]).min(data.len())])
                    });
            }
        }
        channels.handle(now, &datagram);
        channels.handle_timeout(now);
        let mut answers = 0;
        loop {
            match channels.poll(now) {
                DataStep::Transmit(answer) => {
                    answers += 1;
                    assert!(answers < ANSWERS, "it never waits");
                    let handled = client.handle(now, to, None, None, answer.into());
                    if let Some((_, DatagramEvent::AssociationEvent(event))) = handled {
                        association.handle_event(event);
                    }
                }
                DataStep::Message { message, .. } => {
                    messages += 1;
                    assert!(message.len() <= MESSAGE_LIMIT as usize);
                }
                DataStep::Wake(_) => break,
            }
        }
        association.handle_timeout(now);
        while association.poll().is_some() {}
        channels.send(now, u16::from(step[3] & 7), step[1] & 1 == 0, step);
    }
    messages
}

/// Paths that operations choose from.
fn path(number: u8) -> Path {
    let protocol = if number & 1 == 0 {
        Protocol::Udp
    } else {
        Protocol::Tcp
    };
    Path {
        protocol,
        local: SocketAddr::from(([192, 0, 2, 1], 4_000)),
        remote: SocketAddr::from(([198, 51, 100, number], 5_000)),
    }
}

struct Counted {
    bytes: usize,
}

impl Batch for Counted {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.bytes += datagram.len();
    }
}

/// A session that is answered and knows nobody.
fn open(now: Instant) -> Option<EgressViewer> {
    let certificate = certificate()?;
    let config = Config {
        codecs: Vec::new(),
        random: Random::new(certificate, [3; 32]),
        certificate: certificate.clone(),
        candidates: Arc::from([(Protocol::Udp, path(0).local)]),
        wall_clock: WallClock::new(
            now,
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        ),
    };
    let (session, _) = EgressViewer::open(now, OFFER, config).ok()?;
    Some(session)
}

/// Paths that checks with the right password came on.
#[derive(Default)]
struct Checks(Vec<Path>);

impl Checks {
    /// Send a check on one of the paths.
    fn send(&mut self, now: Instant, session: &mut EgressViewer, argument: u8) -> Accepted {
        let (from, key) = (path(argument & 7), session.ice.key());
        let username = format!("{}:peer", session.fragment());
        let check = stun::request(&username, u32::from(argument), argument & 8 != 0, &key);
        let accepted = session.handle_datagram(now, from, &check);
        if accepted == Accepted::Path {
            self.0.push(from);
        }
        accepted
    }

    fn passed(&self, path: &Path) -> bool {
        self.0.contains(path)
    }
}

/// A session's life from any bytes: datagrams as they are and as changes to good ones, time, binds, writes, later
/// offers. Whatever comes, the session drains, sends nothing to who has not passed a check, and ends.
pub fn operations(data: &[u8]) {
    let mut now = epoch();
    let Some(mut session) = open(now) else {
        return;
    };
    let mut checks = Checks::default();
    let mut batch = Counted { bytes: 0 };
    let mut rest = data;
    for _ in 0..OPERATIONS {
        let [operation, argument, after @ ..] = rest else {
            break;
        };
        let length = usize::from(*argument).min(after.len());
        let (bytes, from) = (&after[..length], path(argument & 7));
        rest = after;
        match operation % 8 {
            0 => {
                let accepted = session.handle_datagram(now, from, bytes);
                assert_ne!(accepted, Accepted::Path, "a guessed password");
                rest = &after[length..];
            }
            1 => {
                let _ = checks.send(now, &mut session, *argument);
            }
            2 => {
                // A DTLS record of any content.
                let mut record = vec![20 + argument % 8, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
                record.extend((bytes.len() as u16).to_be_bytes());
                record.extend_from_slice(bytes);
                let _ = session.handle_datagram(now, from, &record);
            }
            3 => now += Duration::from_millis(u64::from(*argument) * 40),
            4 => {
                let track = TrackInfo {
                    kind: Kind::Video,
                    codec: Codec::Vp8,
                    profile: Profile::None,
                    mid: "0".to_owned(),
                    layers: 1,
                };
                session.bind(u16::from(argument & 1), &track);
                session.repair_from(u16::from(argument & 1), Kind::Video, &LayerStore::default());
            }
            5 => session.unbind(u16::from(argument & 1)),
            6 => {
                let packet = picture(now, u64::from(*argument), bytes);
                let header = Header {
                    sequence: u64::from(*argument),
                    timestamp: 0,
                    picture: None,
                    playout_delay: None,
                };
                let written = session.write(now, 0, &packet, header, &mut batch);
                assert!(written.is_err(), "no keys were agreed on");
            }
            _ => {
                let offer = OFFER.replace("ufrag:peer", &format!("ufrag:peer{argument}"));
                let _ = session.renegotiate(now, if argument & 1 == 0 { OFFER } else { &offer });
            }
        }
        session.handle_timeout(now);
        drain(&mut session, now, &checks);
    }
    session.close(now, &mut batch);
    assert_eq!(batch.bytes, 0, "no goodbye without keys");
    let mut buffer = [0; MAX_DATAGRAM];
    assert!(matches!(
        session.poll(now, &mut buffer),
        Output::WakeAt(None, _)
    ));
}

fn drain(session: &mut EgressViewer, now: Instant, checks: &Checks) {
    let mut buffer = [0; MAX_DATAGRAM];
    for _ in 0..OUTPUTS {
        match session.poll(now, &mut buffer) {
            Output::Transmit { path, len } => {
                assert!(len <= MAX_DATAGRAM);
                let refusal = buffer[..2] == [0x01, 0x11];
                assert!(refusal || checks.passed(&path), "sent to a stranger");
            }
            Output::Event(_) => {}
            Output::WakeAt(..) => return,
        }
    }
    unreachable!("a session that never drains");
}

fn picture(now: Instant, sequence: u64, payload: &[u8]) -> Packet {
    Packet {
        kind: Kind::Video,
        codec: Codec::Vp8,
        layer: 0,
        sequence,
        timestamp: 0,
        marker: true,
        frame_start: true,
        key_frame: true,
        extensions: Extensions::default(),
        arrival: now,
        captured: now,
        payload: Arc::from(payload),
    }
}

/// One key for all runs: making one takes longer than a run.
fn certificate() -> Option<&'static Certificate> {
    static CERTIFICATE: OnceLock<Option<Certificate>> = OnceLock::new();
    CERTIFICATE.get_or_init(Certificate::generate).as_ref()
}

#[cfg(test)]
mod tests {
    use sanderling_media::fuzz::Words;

    #[test]
    fn random_bytes_are_no_authentic_stun() {
        for seed in 0..2_000 {
            super::stun(&Words(seed).bytes(300));
        }
    }

    #[test]
    fn random_bytes_are_harmless_rtcp() {
        for seed in 0..20_000 {
            let mut data = Words(seed).bytes(300);
            super::rtcp(&data);
            // With good headers at the front the parsers behind them are reached.
            for (at, kind) in [(0, 201), (32, 205), (64, 206)] {
                if let Some([first, second, high, low]) = data.get_mut(at..at + 4) {
                    (*first, *second, *high, *low) = (0x80 | *first & 0x1f, kind, 0, 7);
                }
            }
            super::rtcp(&data);
        }
    }

    #[test]
    fn random_bytes_begin_no_handshake() {
        for seed in 0..5_000 {
            super::hello(&Words(seed).bytes(300));
        }
    }

    #[test]
    fn peers_of_any_kind_are_survived_by_the_data_channels() {
        for seed in 0..1_000 {
            super::sctp(&Words(seed).bytes(300));
        }
        // Nothing changed: the beginning, a message, and more.
        let steps = [[0; 4], [0; 4], [0; 4], [3, 0, 8, 1], [0; 4], [0; 4]];
        assert!(super::sctp(steps.as_flattened()) > 0);
    }

    #[test]
    fn sessions_survive_random_lives() {
        for seed in 0..300 {
            super::operations(&Words(seed).bytes(300));
        }
    }
}
