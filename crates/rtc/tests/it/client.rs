//! The client's side of a connection against the engine that viewers are served by, on a virtual link.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sanderling_media::{Codec, Kind, Path, Protocol};
use sanderling_rtc::client::{ClientTransport, Identity, Output, Remote};
use sanderling_rtc::{
    Batch, Config, EgressViewer, Event, Header, IceCredentials, MAX_DATAGRAM, Output as Done,
    Random, Session, WallClock,
};

use crate::rig::{client, packet, path, server, track};

const DELAY: Duration = Duration::from_millis(20);

/// Both ends, and what flies between them.
struct Link {
    now: Instant,
    identity: Identity,
    client: ClientTransport,
    server: EgressViewer,
    /// To the server (false) and to the client (true).
    flying: VecDeque<(Instant, bool, Vec<u8>)>,
    client_wake: Option<Instant>,
    server_wake: Option<Instant>,
    /// What the client said last, other than to send or wait.
    said: Option<Output>,
    connected: bool,
    /// Which datagrams get lost, by their number.
    lose: Box<dyn Fn(u64) -> bool>,
    count: u64,
    media: Vec<Vec<u8>>,
}

#[derive(Default)]
struct Pushed(Vec<Vec<u8>>);

impl Batch for Pushed {
    fn push(&mut self, to: Path, datagram: &[u8]) {
        assert_eq!(to.remote, client());
        self.0.push(datagram.to_vec());
    }
}

impl Link {
    fn new() -> Self {
        Self::with(|remote| remote)
    }

    /// A client that was told about the server by way of `change`.
    fn with(change: fn(Remote) -> Remote) -> Self {
        let now = Instant::now();
        let identity = Identity::generate().unwrap();
        let certificate = identity.certificate();
        let random = Random::new(certificate, [1; 32]);
        let mut client_side = ClientTransport::new(&identity, random, true);
        let config = Config {
            random: Random::new(certificate, [2; 32]),
            codecs: Vec::new(),
            certificate: certificate.clone(),
            candidates: Arc::from([(Protocol::Udp, server())]),
            wall_clock: WallClock::new(now, SystemTime::UNIX_EPOCH + Duration::from_secs(1)),
        };
        let offer = offer(client_side.credentials(), certificate.fingerprint());
        let (server_side, answer) = EgressViewer::open(now, &offer, config).unwrap();
        let remote = change(Remote {
            credentials: IceCredentials {
                fragment: value(&answer, "a=ice-ufrag:"),
                password: value(&answer, "a=ice-pwd:"),
            },
            lite: true,
            fingerprint: *certificate.fingerprint(),
            candidates: vec!["192.0.2.9:9".parse().unwrap(), server()],
        });
        client_side.begin(now, &remote);
        Self {
            now,
            identity,
            client: client_side,
            server: server_side,
            flying: VecDeque::new(),
            client_wake: Some(now),
            server_wake: None,
            said: None,
            connected: false,
            lose: Box::new(|_| false),
            count: 0,
            media: Vec::new(),
        }
    }

    fn fly(&mut self, to_client: bool, datagram: Vec<u8>) {
        self.count += 1;
        if !(self.lose)(self.count) {
            self.flying
                .push_back((self.now + DELAY, to_client, datagram));
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            match self.client.poll(self.now, &mut buffer) {
                // The other candidate leads nowhere.
                Output::Transmit { to, .. } if to != server() => {}
                Output::Transmit { len, .. } => self.fly(false, buffer[..len].to_vec()),
                Output::WakeAt(at) => {
                    self.client_wake = at;
                    break;
                }
                said => self.said = Some(said),
            }
        }
        loop {
            match self.server.poll(self.now, &mut buffer) {
                Done::Transmit { len, .. } => self.fly(true, buffer[..len].to_vec()),
                Done::Event(Event::Connected) => self.connected = true,
                Done::Event(_) => {}
                Done::WakeAt(at, _) => {
                    self.server_wake = at;
                    break;
                }
            }
        }
    }

    /// Let time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        loop {
            let arrival = self.flying.front().map(|(at, _, _)| *at);
            let wakes = [arrival, self.client_wake, self.server_wake];
            let Some(next) = wakes.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            // Who asks to be woken in the past gets there in steps.
            self.now = next.max(self.now + Duration::from_micros(10));
            while self
                .flying
                .front()
                .is_some_and(|(at, _, _)| *at <= self.now)
            {
                let (_, to_client, datagram) = self.flying.pop_front().unwrap();
                if !to_client {
                    self.server.handle_datagram(self.now, path(), &datagram);
                } else if datagram[0] >= 128 {
                    self.media.push(datagram);
                } else {
                    self.client.handle(self.now, server(), &datagram);
                }
            }
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }
}

fn value(sdp: &str, name: &str) -> String {
    let line = sdp.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().to_owned()
}

fn offer(ice: &IceCredentials, fingerprint: &[u8; 32]) -> String {
    let digest: Vec<String> = fingerprint
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!(
        "v=0\r\no=- 1 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n\
         c=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\n\
         a=setup:active\r\na=rtcp-mux\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n",
        ice.fragment,
        ice.password,
        digest.join(":")
    )
}

#[test]
fn media_and_reports_pass_once_both_are_connected() {
    let mut link = Link::new();
    link.run(Duration::from_secs(1));
    assert_eq!(link.said, Some(Output::Connected));
    assert!(link.connected && link.client.is_connected());
    assert_eq!(link.client.path(link.now), Some(server()));
    assert_eq!(link.client.round_trip(), Some(2 * DELAY));

    assert!(link.server.bind(0, &track(Codec::Vp8)));
    assert_eq!(link.server.slot_mid(0, Kind::Video), Some("0"));
    let payload = [0x10, 0, 0, 0, 1, 2, 3];
    let sent = packet(Codec::Vp8, link.now, 7, 90, &payload);
    let header = Header {
        sequence: 7,
        timestamp: 90,
        picture: None,
        playout_delay: None,
    };
    let mut batch = Pushed::default();
    link.server
        .write(link.now, 0, &sent, header, &mut batch)
        .unwrap();
    let mut datagram = batch.0.remove(0);
    let ssrc = u32::from_be_bytes(datagram[8..12].try_into().unwrap());
    let extended = datagram[0] & 0x10 != 0;
    let length = if extended {
        16 + 4 * usize::from(datagram[15])
    } else {
        12
    };
    let sequence = u64::from(u16::from_be_bytes([datagram[2], datagram[3]]));
    let opened = link
        .client
        .open_rtp(&mut datagram, length, ssrc, sequence)
        .unwrap();
    assert_eq!(opened, payload);

    let mut goodbye = [0; MAX_DATAGRAM];
    let (to, len) = link.client.close(link.now, &mut goodbye).unwrap();
    assert_eq!(to, server());
    link.fly(false, goodbye[..len].to_vec());
    link.run(Duration::from_secs(1));
    assert!(!link.client.is_connected());
}

#[test]
fn it_connects_although_three_of_ten_datagrams_get_lost() {
    for seed in 1..30_u64 {
        let mut link = Link::new();
        link.lose = Box::new(move |number| {
            // SplitMix64: a step of a counter, well mixed.
            let word = (number + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            (word ^ word >> 27) >> 32 & 0xff < 77
        });
        link.run(Duration::from_secs(15));
        assert_eq!(link.said, Some(Output::Connected), "seed {seed}");
        assert!(link.connected, "seed {seed}");
    }
}

#[test]
fn a_server_with_another_certificate_is_refused() {
    let mut link = Link::with(|mut remote| {
        remote.fingerprint[0] ^= 1;
        remote
    });
    link.run(Duration::from_secs(1));
    assert!(matches!(link.said, Some(Output::Failed(why)) if why.contains("certificate")));
    assert!(!link.connected && !link.client.is_connected());
}

#[test]
fn a_server_that_does_not_know_the_password_is_given_up_after_15_s() {
    let mut link = Link::with(|mut remote| {
        remote.credentials.password.push('x');
        remote
    });
    link.run(Duration::from_millis(14_900));
    assert_eq!(link.said, None);
    link.run(Duration::from_millis(200));
    assert!(matches!(link.said, Some(Output::Failed(why)) if why.contains("15 s")));
    assert_eq!(link.client_wake, None);
}

#[test]
fn consent_is_asked_for_and_its_end_ends_the_connection() {
    let mut link = Link::new();
    link.run(Duration::from_secs(60));
    assert!(link.client.path(link.now).is_some());
    link.lose = Box::new(|_| true);
    link.run(Duration::from_secs(24));
    assert!(link.client.path(link.now).is_some());
    link.run(Duration::from_secs(12));
    assert_eq!(link.client.path(link.now), None);
    assert!(matches!(link.said, Some(Output::Failed(why)) if why.contains("30 s")));
}

#[test]
fn datagrams_of_strangers_change_nothing() {
    let mut link = Link::new();
    let stranger: SocketAddr = "203.0.113.1:1".parse().unwrap();
    link.run(Duration::from_secs(1));
    for first in [0_u8, 1, 20, 22, 25, 128, 200] {
        let junk = [first; 64];
        link.client.handle(link.now, stranger, &junk);
        link.client.handle(link.now, server(), &junk[..20]);
    }
    link.run(Duration::from_secs(1));
    assert_eq!(link.said, Some(Output::Connected));
    let other = ClientTransport::new(
        &link.identity,
        Random::new(link.identity.certificate(), [9; 32]),
        true,
    );
    assert_ne!(other.credentials(), link.client.credentials());
}
