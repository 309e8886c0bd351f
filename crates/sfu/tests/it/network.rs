//! Clients and workers on one virtual network: always the earliest event next.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use sanderling_sfu::{
    Batch, Certificate, Command, Event, Input, Output, Path, Protocol, SessionId, StreamId, Ticket,
    Worker, WorkerConfig, WorkerId,
};
use str0m::media::{Direction, MediaKind, Mid};

use crate::client::{Client, FRAME};

/// One way of every link.
pub const DELAY: Duration = Duration::from_millis(10);
/// Between two events at one place, so that time moves on.
const STEP: Duration = Duration::from_micros(10);

pub struct Network {
    pub now: Instant,
    pub start: Instant,
    pub workers: Vec<Worker>,
    pub clients: Vec<Client>,
    pub events: Vec<Event>,
    wakes: Vec<Instant>,
    flying: VecDeque<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    /// Address that datagrams come to on the server's side of a mapping, instead of its candidate.
    pub mapped: Option<SocketAddr>,
    next_ticket: u64,
    /// Datagrams to clients that get lost: every so-many-th, 0 for none.
    pub drop_every: usize,
    to_clients: usize,
    pub transmitted: usize,
    pub transmitted_bytes: usize,
    /// SRTP datagrams among them.
    pub media_transmitted: usize,
    /// Who got each of the datagrams that carried media, per drain that had some.
    pub bursts: Vec<Vec<SocketAddr>>,
}

/// What a worker wants sent, with where it leaves from.
#[derive(Default)]
struct Sent(Vec<(Path, Vec<u8>)>);

impl Batch for Sent {
    fn push(&mut self, path: Path, datagram: &[u8]) {
        self.0.push((path, datagram.to_vec()));
    }
}

pub fn address(worker: usize) -> SocketAddr {
    SocketAddr::new(
        "192.0.2.1".parse().unwrap(),
        40_000 + u16::try_from(worker).unwrap(),
    )
}

impl Network {
    pub fn new(workers: usize) -> Self {
        let now = Instant::now();
        let certificate = Certificate::generate().unwrap();
        let make = |number: usize| {
            let config = WorkerConfig {
                id: WorkerId(number as u16),
                seed: [number as u8 + 1; 32],
                candidates: vec![
                    (Protocol::Udp, address(number)),
                    (Protocol::Tcp, address(number)),
                ],
                certificate: certificate.clone(),
                consent_timeout: Duration::from_secs(30),
                max_sessions: 4,
                wall_clock: SystemTime::now(),
            };
            Worker::new(config, now)
        };
        Self {
            now,
            start: now,
            workers: (0..workers).map(make).collect(),
            clients: Vec::new(),
            events: Vec::new(),
            wakes: vec![now; workers],
            flying: VecDeque::new(),
            mapped: None,
            next_ticket: 1,
            drop_every: 0,
            to_clients: 0,
            transmitted: 0,
            transmitted_bytes: 0,
            media_transmitted: 0,
            bursts: Vec::new(),
        }
    }

    /// Give a worker something and drain it, with everything that crosses to other workers.
    pub fn handle(&mut self, worker: usize, input: Input<'_>) {
        self.workers[worker].handle(self.now, input);
        self.drain_all(worker);
    }

    fn drain_all(&mut self, worker: usize) {
        let mut crossing = VecDeque::new();
        self.drain(worker, &mut crossing);
        while let Some((from, to, message)) = crossing.pop_front() {
            let to: usize = usize::from(to);
            self.workers[to].handle(self.now, Input::Peer(from, message));
            self.drain(to, &mut crossing);
        }
    }

    fn drain(
        &mut self,
        worker: usize,
        crossing: &mut VecDeque<(WorkerId, u16, sanderling_sfu::PeerMessage)>,
    ) {
        let mut sent = Sent::default();
        loop {
            match self.workers[worker].poll(self.now, &mut sent) {
                Output::Event(event) => self.events.push(event),
                Output::Peer(to, message) => {
                    crossing.push_back((WorkerId(worker as u16), to.0, message))
                }
                Output::WakeAt(at) => {
                    self.wakes[worker] = at;
                    break;
                }
            }
        }
        let mut burst = Vec::new();
        for (path, bytes) in sent.0 {
            self.transmitted += 1;
            self.transmitted_bytes += bytes.len();
            assert_eq!(path.protocol, self.protocol(path.remote));
            let mut from = path.local;
            if let Some(mapped) = self.mapped {
                assert_eq!(
                    from, mapped,
                    "an answer leaves from where the question came to"
                );
                from = address(worker);
            }
            self.to_clients += 1;
            let rtp = bytes[0] & 0xc0 == 0x80 && !(192..224).contains(&bytes[1]);
            self.media_transmitted += usize::from(rtp);
            if rtp {
                burst.push(path.remote);
            }
            if rtp && self.drop_every > 0 && self.to_clients.is_multiple_of(self.drop_every) {
                continue;
            }
            self.flying
                .push_back((self.now + DELAY, from, path.remote, bytes));
        }
        if !burst.is_empty() {
            self.bursts.push(burst);
        }
    }

    pub fn command(&mut self, worker: usize, command: impl FnOnce(Ticket) -> Command) -> Event {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.handle(worker, Input::Command(command(ticket)));
        self.reply(ticket).expect("every command is answered")
    }

    /// What flies to a worker and a command reach it in one turn, the command last.
    pub fn hold_then(&mut self, worker: usize, command: impl FnOnce(Ticket) -> Command) {
        self.collect();
        let (here, there): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.flying)
            .into_iter()
            .partition(|(_, _, to, _)| *to == address(worker));
        self.flying = there;
        for (_, from, to, bytes) in here {
            let path = Path {
                protocol: self.protocol(from),
                local: to,
                remote: from,
            };
            self.workers[worker].handle(self.now, Input::Datagram(path, &bytes));
        }
        self.command(worker, command);
    }

    pub fn reply(&mut self, wanted: Ticket) -> Option<Event> {
        let place = self.events.iter().position(|event| match event {
            Event::Answered { ticket, .. }
            | Event::Bound { ticket, .. }
            | Event::Done { ticket }
            | Event::Failed { ticket, .. }
            | Event::Snapshot { ticket, .. } => *ticket == wanted,
            _ => false,
        })?;
        Some(self.events.remove(place))
    }

    fn collect(&mut self) {
        for client in &mut self.clients {
            let from = client.address;
            while let Some((to, bytes)) = client.take() {
                self.flying.push_back((self.now + DELAY, from, to, bytes));
            }
        }
    }

    /// Let everything happen until a time.
    pub fn run_until(&mut self, end: Instant) {
        loop {
            self.collect();
            let flight = self.flying.iter().map(|(at, ..)| *at).min();
            let worker = self.wakes.iter().copied().min();
            let client = self.clients.iter().map(Client::wake).min();
            let next = [flight, worker, client]
                .into_iter()
                .flatten()
                .min()
                .unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if flight == Some(next) {
                let place = self.flying.iter().position(|(at, ..)| *at == next).unwrap();
                let (_, from, to, bytes) = self.flying.remove(place).unwrap();
                self.deliver(next, from, to, &bytes);
            } else if worker == Some(next) {
                let place = self.wakes.iter().position(|at| *at == next).unwrap();
                self.handle(place, Input::Timeout);
                assert!(
                    self.wakes[place] > self.now || self.now == next,
                    "a worker that wakes without end"
                );
            } else {
                let now = self.now;
                let place = self
                    .clients
                    .iter()
                    .position(|client| client.wake() == next)
                    .unwrap();
                self.clients[place].drive(now);
            }
            self.now += STEP;
        }
    }

    /// How a client is connected.
    fn protocol(&self, address: SocketAddr) -> Protocol {
        let client = self.clients.iter().find(|client| client.address == address);
        match client.map(|client| client.protocol) {
            Some(str0m::net::Protocol::Tcp) => Protocol::Tcp,
            _ => Protocol::Udp,
        }
    }

    /// Deliver a datagram that is due at `at`; a worker reads with it what comes to it at the same time.
    fn deliver(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.now;
        if let Some(worker) = (0..self.workers.len()).find(|worker| address(*worker) == to) {
            let (mut from, mut bytes) = (from, bytes.to_vec());
            loop {
                let path = Path {
                    protocol: self.protocol(from),
                    local: self.mapped.unwrap_or(to),
                    remote: from,
                };
                self.workers[worker].handle(now, Input::Datagram(path, &bytes));
                let with_it = |(due, _, receiver, _): &(Instant, _, SocketAddr, _)| {
                    *due == at && *receiver == to
                };
                let Some(place) = self.flying.iter().position(with_it) else {
                    break;
                };
                (_, from, _, bytes) = self.flying.remove(place).unwrap();
            }
            self.drain_all(worker);
        } else if let Some(client) = self.clients.iter_mut().find(|client| client.address == to) {
            client.receive(now, from, bytes);
        }
    }

    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// A publisher of VP8 and Opus; its index and the mids.
    pub fn publisher(&mut self, worker: usize, session: u64) -> (usize, Mid, Mid) {
        let sections = [
            (MediaKind::Audio, Direction::SendOnly),
            (MediaKind::Video, Direction::SendOnly),
        ];
        let number = self.clients.len();
        let client = Client::new(
            self.now,
            &format!("198.51.100.{}:5000", number + 1),
            |config| config.clear_codecs().enable_opus(true).enable_vp8(true),
        );
        let mids = self.open(client, &sections, worker, |ticket, offer| {
            Command::OpenPublisher {
                ticket,
                session: SessionId(session),
                offer,
                codecs: Vec::new(),
            }
        });
        (number, mids[0], mids[1])
    }

    /// A viewer with this many slots; its index and the mids in the order audio, video, audio, video …
    pub fn viewer(&mut self, worker: usize, session: u64, slots: usize) -> (usize, Vec<Mid>) {
        self.viewer_with(worker, session, slots, |config| {
            config.clear_codecs().enable_opus(true).enable_vp8(true)
        })
    }

    pub fn viewer_with(
        &mut self,
        worker: usize,
        session: u64,
        slots: usize,
        set_up: impl FnOnce(str0m::RtcConfig) -> str0m::RtcConfig,
    ) -> (usize, Vec<Mid>) {
        let sections: Vec<_> = (0..slots)
            .flat_map(|_| {
                [
                    (MediaKind::Audio, Direction::RecvOnly),
                    (MediaKind::Video, Direction::RecvOnly),
                ]
            })
            .collect();
        let number = self.clients.len();
        let client = Client::new(self.now, &format!("198.51.100.{}:5000", number + 1), set_up);
        let mids = self.open(client, &sections, worker, |ticket, offer| {
            Command::OpenViewer {
                ticket,
                session: SessionId(session),
                offer,
            }
        });
        (number, mids)
    }

    pub fn open(
        &mut self,
        mut client: Client,
        sections: &[(MediaKind, Direction)],
        worker: usize,
        command: impl FnOnce(Ticket, String) -> Command,
    ) -> Vec<Mid> {
        let (offer, mids) = client.offer(sections);
        let event = self.command(worker, |ticket| command(ticket, offer));
        let Event::Answered { sdp, .. } = event else {
            panic!("{event:?}")
        };
        client.answer(self.now, &sdp);
        self.clients.push(client);
        mids
    }

    pub fn bind(&mut self, worker: usize, viewer: u64, stream: u64, origin: usize) -> Event {
        self.command(worker, |ticket| Command::Bind {
            ticket,
            session: SessionId(viewer),
            stream: StreamId(stream),
            origin: WorkerId(origin as u16),
            audio: true,
            video: true,
        })
    }

    pub fn unbind(&mut self, worker: usize, viewer: u64, stream: u64) -> Event {
        self.command(worker, |ticket| Command::Unbind {
            ticket,
            session: SessionId(viewer),
            stream: StreamId(stream),
        })
    }

    pub fn close(&mut self, worker: usize, session: u64) -> Event {
        self.command(worker, |ticket| Command::Close {
            ticket,
            session: SessionId(session),
        })
    }

    /// Send this many frames at 30 a second with sound. A key frame first and whenever one was asked for.
    pub fn stream(&mut self, publisher: usize, audio: Mid, video: Mid, frames: usize) {
        for frame in 0..frames {
            let now = self.now;
            let client = &mut self.clients[publisher];
            let ticks = (now - self.start).as_millis() as u32;
            let asked = std::mem::take(&mut client.key_frame_requests) > 0;
            client.send_vp8(now, video, ticks * 90, frame == 0 || asked);
            client.send_opus(now, audio, ticks * 48);
            self.run(FRAME);
        }
    }

    pub fn assert_empty(&self) {
        for worker in &self.workers {
            assert_eq!(worker.table_entries(), 0, "{worker:?}");
        }
    }
}
