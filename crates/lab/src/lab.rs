//! Workers, clients and the network between them, under one virtual clock.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use sanderling_sfu::{
    Certificate, Command, Input, LayerChoice, PeerMessage, Protocol, SessionId, StreamId, Ticket,
    WorkerConfig, WorkerId,
};

use crate::client::{Client, Seen};
use crate::host::Host;
use crate::media::Source;
use crate::network::{Direction, Link};
use crate::random::Random;
use crate::trace::Trace;

/// A publisher or a viewer of a [`Lab`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PeerId(usize);

/// Pairs of slots that a viewer offers.
const SLOTS: usize = 2;
/// Silence after which workers give a session up.
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(10);
/// Steps of the clock without an advance that mean that something spins.
const STUCK: u32 = 1_000_000;

/// Where every lab's clock begins. One for the whole process, because libraries round times from their own origin.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant can only be had from the clock; this one is never compared"
)]
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

pub(crate) struct Peer {
    pub(crate) client: Client,
    session: SessionId,
    worker: usize,
    pub(crate) up: Direction,
    pub(crate) down: Direction,
    /// Neither sends nor receives any more.
    pub(crate) gone: bool,
    publisher: bool,
    /// When it stands in the list of those that want to act.
    pub(crate) wake: Option<Instant>,
}

pub(crate) enum Arrival {
    ToWorker {
        worker: usize,
        from: SocketAddr,
        datagram: Vec<u8>,
    },
    ToPeer {
        peer: usize,
        from: SocketAddr,
        datagram: Vec<u8>,
    },
    Between {
        to: usize,
        from: WorkerId,
        message: PeerMessage,
    },
}

/// The laboratory.
pub struct Lab {
    seed: u64,
    start: Instant,
    pub(crate) now: Instant,
    pub(crate) hosts: Vec<Host>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) by_address: BTreeMap<SocketAddr, usize>,
    /// Due time and order of sending, to the key of `arrivals`.
    pub(crate) queue: BinaryHeap<Reverse<(Instant, u64)>>,
    pub(crate) arrivals: BTreeMap<u64, Arrival>,
    /// When clients want to act.
    pub(crate) wakes: BTreeSet<(Instant, usize)>,
    pub(crate) sent: u64,
    tickets: u64,
    next_worker: usize,
    pub(crate) trace: Trace,
    pub(crate) failed: Vec<(Ticket, String)>,
    pub(crate) snapshots: Vec<String>,
    pub(crate) answers: BTreeMap<u64, String>,
}

impl Lab {
    /// A lab with one worker.
    pub fn seed(seed: u64) -> Self {
        Self::with_workers(seed, 1)
    }

    /// A lab with several workers; peers go to them in turn.
    #[expect(clippy::expect_used, reason = "no lab without a certificate")]
    pub fn with_workers(seed: u64, workers: usize) -> Self {
        let now = epoch();
        let certificate = Certificate::generate().expect("a certificate");
        let mut random = Random::named(seed, "workers");
        let hosts = (0..workers)
            .map(|index| {
                let address = SocketAddr::from(([192, 0, 2, 1], 4000 + index as u16));
                let config = WorkerConfig {
                    id: WorkerId(index as u16),
                    seed: random.seed(),
                    candidates: vec![(Protocol::Udp, address)],
                    certificate: certificate.clone(),
                    consent_timeout: CONSENT_TIMEOUT,
                    max_sessions: 5000,
                    wall_clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
                };
                Host::new(address, config, now)
            })
            .collect();
        Lab {
            seed,
            start: now,
            now,
            hosts,
            peers: Vec::new(),
            by_address: BTreeMap::new(),
            queue: BinaryHeap::new(),
            arrivals: BTreeMap::new(),
            wakes: BTreeSet::new(),
            sent: 0,
            tickets: 0,
            next_worker: 0,
            trace: Trace::default(),
            failed: Vec::new(),
            snapshots: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// A publisher that begins to send as soon as it is connected.
    pub fn publisher(&mut self, name: &str, source: Source, link: Link) -> PeerId {
        let address = self.address();
        let (client, offer) = Client::publisher(name, address, source, self.now);
        self.open(client, offer, link, true)
    }

    /// A viewer with two slots.
    pub fn viewer(&mut self, name: &str, link: Link) -> PeerId {
        let address = self.address();
        let (client, offer) = Client::viewer(name, address, SLOTS, self.now);
        self.open(client, offer, link, false)
    }

    /// Bind a publisher's stream to a slot of a viewer.
    pub fn play(&mut self, viewer: PeerId, publisher: PeerId) {
        let ticket = self.ticket();
        let (session, worker) = (self.peers[viewer.0].session, self.peers[viewer.0].worker);
        let (stream, origin) = (
            self.stream(publisher),
            WorkerId(self.peers[publisher.0].worker as u16),
        );
        self.command(
            worker,
            Command::Bind {
                ticket,
                session,
                stream,
                origin,
                audio: true,
                video: true,
            },
        );
    }

    /// Choose the layer that a viewer gets of a stream.
    pub fn choose(&mut self, viewer: PeerId, publisher: PeerId, choice: LayerChoice) {
        let ticket = self.ticket();
        let (session, worker) = (self.peers[viewer.0].session, self.peers[viewer.0].worker);
        let stream = self.stream(publisher);
        self.command(
            worker,
            Command::SetLayer {
                ticket,
                session,
                stream,
                choice,
            },
        );
    }

    /// Free the slot.
    pub fn stop(&mut self, viewer: PeerId, publisher: PeerId) {
        let ticket = self.ticket();
        let (session, worker) = (self.peers[viewer.0].session, self.peers[viewer.0].worker);
        let stream = self.stream(publisher);
        self.command(
            worker,
            Command::Unbind {
                ticket,
                session,
                stream,
            },
        );
    }

    /// The control plane closes a peer's session.
    pub fn leave(&mut self, peer: PeerId) {
        let ticket = self.ticket();
        let (session, worker) = (self.peers[peer.0].session, self.peers[peer.0].worker);
        self.peers[peer.0].gone = true;
        self.note_wake(peer.0);
        self.command(worker, Command::Close { ticket, session });
    }

    /// A peer is no longer there, without a word.
    pub fn vanish(&mut self, peer: PeerId) {
        self.peers[peer.0].gone = true;
        self.note_wake(peer.0);
    }

    /// From now on a peer has another link.
    pub fn relink(&mut self, peer: PeerId, link: Link) {
        self.peers[peer.0].up.change(link);
        self.peers[peer.0].down.change(link);
    }

    /// Let time pass.
    #[expect(
        clippy::panic,
        reason = "a lab whose clock stands still has found a bug"
    )]
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut standing = 0;
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            standing = if at > self.now { 0 } else { standing + 1 };
            if standing > STUCK {
                panic!("the clock stands still at {:?}", self.elapsed());
            }
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Let time pass in which nobody acts, as on a machine that is suspended: what was due comes all at once afterwards.
    pub fn jump(&mut self, duration: Duration) {
        self.now += duration;
    }

    /// Let so much time pass that everything left behind has been given up.
    pub fn settle(&mut self) {
        self.run(3 * CONSENT_TIMEOUT);
    }

    /// Everybody who is still there leaves, and nothing may be left of anybody: how a scenario ends.
    pub fn end(&mut self) {
        for index in 0..self.peers.len() {
            if !self.peers[index].gone {
                self.leave(PeerId(index));
            }
        }
        self.settle();
        self.assert_empty();
    }

    /// What a viewer got so far.
    pub fn seen(&self, viewer: PeerId) -> &Seen {
        &self.peers[viewer.0].client.seen
    }

    /// Forget what a viewer got so far.
    pub fn forget(&mut self, viewer: PeerId) {
        self.peers[viewer.0].client.seen = Seen::default();
    }

    /// Key frames that a publisher was asked for.
    pub fn key_frames_asked(&self, publisher: PeerId) -> u64 {
        self.peers[publisher.0].client.key_frames_asked
    }

    /// Video frames that a publisher sent.
    pub fn frames_sent(&self, publisher: PeerId) -> u64 {
        self.peers[publisher.0].client.frames_sent
    }

    /// When a publisher made a video frame, by the lab's clock.
    pub fn made_at(&self, publisher: PeerId, number: u64) -> Duration {
        let at = self.peers[publisher.0].client.made_at(number);
        at.map_or(Duration::MAX, |at| at - self.start)
    }

    /// Whether ICE and DTLS are up on the client's side.
    pub fn connected(&self, peer: PeerId) -> bool {
        self.peers[peer.0].client.connected
    }

    /// Commands that failed, with reason and detail.
    pub fn failures(&self) -> Vec<&str> {
        self.failed.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// What happened.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Debug snapshot of a worker, JSON.
    pub fn snapshot(&mut self, worker: usize) -> String {
        let ticket = self.ticket();
        self.command(worker, Command::Snapshot { ticket });
        self.snapshots.pop().unwrap_or_default()
    }

    /// Packets that a worker sent to viewers so far.
    pub fn packets_forwarded(&self, worker: usize) -> u64 {
        self.hosts[worker].worker().packets_forwarded()
    }

    /// Fail unless every table of every worker is empty.
    #[expect(clippy::panic, reason = "an assertion")]
    pub fn assert_empty(&mut self) {
        for index in 0..self.hosts.len() {
            let worker = self.hosts[index].worker();
            let (left, text) = (worker.table_entries(), format!("{worker:?}"));
            if left != 0 {
                let snapshot = self.snapshot(index);
                panic!("worker {index} still holds {left} entries: {text} {snapshot}");
            }
        }
    }

    // ------------------------------------------------------------------------------------------- internals

    fn address(&self) -> SocketAddr {
        let number = self.peers.len() as u16;
        let [high, low] = number.to_be_bytes();
        SocketAddr::from(([10, 0, high, low.wrapping_add(1)], 5000 + number))
    }

    #[expect(
        clippy::panic,
        reason = "an offer that is refused fails the test, with its reason"
    )]
    fn open(&mut self, client: Client, offer: String, link: Link, publisher: bool) -> PeerId {
        let index = self.peers.len();
        let session = SessionId(1 + index as u64);
        let worker = self.next_worker;
        self.next_worker = (self.next_worker + 1) % self.hosts.len();
        let direction = |way: &str| {
            Direction::new(
                link,
                Random::named(self.seed, &format!("{} {way}", client.name)),
            )
        };
        let (up, down) = (direction("up"), direction("down"));
        self.by_address.insert(client.address, index);
        self.peers.push(Peer {
            client,
            session,
            worker,
            up,
            down,
            gone: false,
            publisher,
            wake: None,
        });
        let ticket = self.ticket();
        let command = match publisher {
            true => Command::OpenPublisher {
                ticket,
                session,
                offer,
                codecs: Vec::new(),
            },
            false => Command::OpenViewer {
                ticket,
                session,
                offer,
            },
        };
        self.command(worker, command);
        match self.answers.remove(&ticket.0) {
            Some(answer) => {
                self.peers[index].client.accept(&answer, self.now);
                self.note_wake(index);
            }
            None => panic!("the offer was not answered: {:?}", self.failed.last()),
        }
        PeerId(index)
    }

    fn stream(&self, publisher: PeerId) -> StreamId {
        debug_assert!(self.peers[publisher.0].publisher);
        StreamId(self.peers[publisher.0].session.0)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    pub(crate) fn command(&mut self, worker: usize, command: Command) {
        self.feed(worker, Input::Command(command));
    }
}
