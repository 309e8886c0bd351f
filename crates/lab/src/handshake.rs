//! One viewer that connects to one worker with a browser's timers, and nothing else.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use sanderling_rtc::client::{ClientTransport, Identity, Output, Remote};
use sanderling_rtc::{IceCredentials, MAX_DATAGRAM, Random as Secrets};
use sanderling_sfu::{
    Certificate, Command, Event, Input, Protocol, SessionId, Ticket, WorkerConfig, WorkerId,
};

use crate::host::{Host, Produced};
use crate::lab::{CONSENT_TIMEOUT, epoch};
use crate::network::{Direction, Link};
use crate::random::Random;

const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 4000);
const CLIENT: ([u8; 4], u16) = ([198, 51, 100, 1], 5000);

/// Keys of both sides, which all handshakes may share: making them takes longer than a handshake.
pub struct Keys {
    certificate: Certificate,
    identity: Identity,
}

impl Keys {
    /// New ones.
    #[expect(clippy::expect_used, reason = "no handshake without keys")]
    pub fn generate() -> Self {
        Self {
            certificate: Certificate::generate().expect("a certificate"),
            identity: Identity::generate().expect("an identity"),
        }
    }
}

/// What came of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Handshake {
    /// When the client may send and receive media; `None` when it never could.
    pub client: Option<Duration>,
    /// The same of the server.
    pub server: Option<Duration>,
    /// Datagrams that the server sent.
    pub datagrams: usize,
    /// Bytes of them.
    pub bytes: usize,
}

struct Run {
    now: Instant,
    host: Host,
    client: ClientTransport,
    wake: Option<Instant>,
    up: Direction,
    down: Direction,
    /// Due time and number, to whether it goes to the client, and what.
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    flying: BTreeMap<u64, (bool, Vec<u8>)>,
    sent: u64,
    seen: Handshake,
}

impl Handshake {
    /// Connect over a link, the same in both directions, and go on until both sides are connected or time is up.
    ///
    /// The order of losses is the seed's; the engines draw the jitter of their timers from the system.
    pub fn run(keys: &Keys, seed: u64, link: Link, limit: Duration) -> Self {
        let start = epoch();
        let mut run = Run::begin(keys, seed, link, start);
        let connected = |run: &Run| run.seen.client.is_some() && run.seen.server.is_some();
        while !connected(&run)
            && let Some(at) = run.next().filter(|at| *at - start < limit)
        {
            run.now = run.now.max(at);
            run.step();
        }
        run.seen
    }
}

impl Run {
    #[expect(
        clippy::expect_used,
        reason = "an offer that is refused fails the test"
    )]
    fn begin(keys: &Keys, seed: u64, link: Link, now: Instant) -> Self {
        let mut random = Random::named(seed, "handshake");
        let server = SocketAddr::from(SERVER);
        let config = WorkerConfig {
            id: WorkerId(0),
            seed: random.seed(),
            candidates: vec![(Protocol::Udp, server)],
            certificate: keys.certificate.clone(),
            consent_timeout: CONSENT_TIMEOUT,
            max_sessions: 1,
            wall_clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        };
        let mut host = Host::new(server, config, now);
        let secrets = Secrets::new(&keys.certificate, random.seed());
        let mut client = ClientTransport::new(&keys.identity, secrets, true);
        let offer = offer(
            client.credentials(),
            keys.identity.certificate().fingerprint(),
        );
        let mut produced = Produced::default();
        let command = Command::OpenViewer {
            ticket: Ticket(1),
            session: SessionId(1),
            offer,
        };
        host.feed(now, Input::Command(command), &mut produced);
        let answer = produced.events.into_iter().find_map(|event| match event {
            Event::Answered { sdp, .. } => Some(sdp),
            _ => None,
        });
        let answer = answer.expect("an answer");
        let value = |name: &str| {
            let mut lines = answer.lines();
            lines
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
        };
        let remote = Remote {
            credentials: IceCredentials {
                fragment: value("a=ice-ufrag:").into(),
                password: value("a=ice-pwd:").into(),
            },
            lite: true,
            fingerprint: *keys.certificate.fingerprint(),
            candidates: vec![server],
        };
        client.begin(now, &remote);
        Self {
            now,
            host,
            client,
            wake: Some(now),
            up: Direction::new(link, Random::named(seed, "up")),
            down: Direction::new(link, Random::named(seed, "down")),
            queue: BinaryHeap::new(),
            flying: BTreeMap::new(),
            sent: 0,
            seen: Handshake::default(),
        }
    }

    fn next(&self) -> Option<Instant> {
        let flight = self.queue.peek().map(|Reverse((at, _))| *at);
        [flight, self.wake, Some(self.host.wake_at())]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        let due = self.queue.peek().is_some_and(|Reverse((at, _))| *at <= now);
        let arrival = if due { self.queue.pop() } else { None };
        let arrival = arrival.and_then(|Reverse((_, key))| self.flying.remove(&key));
        match arrival {
            Some((true, datagram)) => {
                self.client.handle(now, SERVER.into(), &datagram);
                self.drain_client();
            }
            Some((false, datagram)) => {
                let path = self.host.path(CLIENT.into());
                self.host.handle(now, Input::Datagram(path, &datagram));
                self.drain_host();
            }
            None if self.wake.is_some_and(|at| at <= now) => self.drain_client(),
            None => {
                self.host.handle(now, Input::Timeout);
                self.drain_host();
            }
        }
    }

    fn drain_host(&mut self) {
        let mut produced = Produced::default();
        self.host.drain(self.now, &mut produced);
        let at = self.now - epoch();
        for event in produced.events {
            if matches!(event, Event::Connected { .. }) {
                self.seen.server.get_or_insert(at);
            }
        }
        for (_, datagram) in produced.datagrams {
            self.seen.datagrams += 1;
            self.seen.bytes += datagram.len();
            let arrival = self.down.send(self.now, &datagram);
            self.post(arrival, true, datagram);
        }
    }

    fn drain_client(&mut self) {
        let mut buffer = [0; MAX_DATAGRAM];
        loop {
            match self.client.poll(self.now, &mut buffer) {
                Output::Transmit { len, .. } => {
                    let datagram = buffer[..len].to_vec();
                    let arrival = self.up.send(self.now, &datagram);
                    self.post(arrival, false, datagram);
                }
                Output::Connected => self.seen.client = Some(self.now - epoch()),
                Output::WakeAt(at) => {
                    self.wake = at.map(|at| at.max(self.now + Duration::from_micros(100)));
                    return;
                }
                Output::Closed | Output::Failed(_) => {
                    self.wake = None;
                    return;
                }
            }
        }
    }

    fn post(&mut self, arrival: Option<Instant>, to_client: bool, datagram: Vec<u8>) {
        if let Some(at) = arrival {
            self.sent += 1;
            self.queue.push(Reverse((at, self.sent)));
            self.flying.insert(self.sent, (to_client, datagram));
        }
    }
}

fn offer(credentials: &IceCredentials, fingerprint: &[u8; 32]) -> String {
    let digest: Vec<String> = fingerprint
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\n\
         a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:actpass\r\n\
         a=rtpmap:96 VP8/90000\r\n",
        credentials.fragment,
        credentials.password,
        digest.join(":")
    )
}
