//! The worker: what came in at one time, then everything that comes of it.

mod commands;
mod forwarding;
mod lifetime;
mod peers;
mod pictures;
mod snapshot;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sanderling_rtc::Str0mPublisher;
use sanderling_rtc::{
    Batch, Certificate, Config, Output as SessionOutput, Random, Session, WallClock,
};

use crate::demux::Demux;
use crate::handshakes::Handshakes;
use crate::number_map::NumberMap;
use crate::outbox::Outbox;
use crate::publish::{Publisher, Stream};
use crate::schedule::{Schedule, Timer};
use crate::subscribe::Viewer;
use crate::{
    Command, Event, Input, Output, PeerMessage, Protocol, SessionId, StreamId, Ticket, WorkerId,
};

/// Engine of publishers' sessions.
type Ingest = Str0mPublisher;
/// Engine of viewers' sessions.
#[cfg(not(feature = "str0m-viewer"))]
type Egress = sanderling_rtc::EgressViewer;
/// The same tests run over the engine that it has to agree with.
#[cfg(feature = "str0m-viewer")]
type Egress = sanderling_rtc::Str0mViewer;

/// Times that timers are run for one instant before the caller is asked to come back at once.
const ROUNDS: u32 = 4;

/// What a worker is made with.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Number on this node.
    pub id: WorkerId,
    /// Secret randomness from the operating system. The same seed and inputs give the same SSRCs, ICE fragments and
    /// passwords; another worker needs another seed.
    pub seed: [u8; 32],
    /// Host candidates of this worker, best first.
    pub candidates: Vec<(Protocol, SocketAddr)>,
    /// Certificate of the process.
    pub certificate: Certificate,
    /// A session that was connected and silent for so long ends.
    pub consent_timeout: Duration,
    /// Most publishers and viewers together.
    pub max_sessions: usize,
    /// Wall clock at the `now` of [`Worker::new`]: sender reports and capture times are on it.
    pub wall_clock: SystemTime,
}

/// Publishers, viewers and the fan-out between them, without sockets, clocks and threads.
///
/// **Drain contract**: any number of [`Worker::handle`] with the same `now`, then [`Worker::poll`] with that `now`
/// until it returns [`Output::WakeAt`]. Packets of one stream that come in together leave viewer by viewer, in the
/// order in which they came: a viewer's state is looked up once for several of them, and its datagrams lie side by
/// side in the batch.
pub struct Worker {
    id: WorkerId,
    consent_timeout: Duration,
    max_sessions: usize,
    /// Template of every session's configuration; its randomness is split off for each.
    config: Config,
    demux: Demux,
    handshakes: Handshakes,
    schedule: Schedule,
    publishers: NumberMap<SessionId, Publisher<Ingest>>,
    /// Behind pointers: a map has up to twice the room that it needs, and moves everything when it grows.
    viewers: NumberMap<SessionId, Box<Viewer<Egress>>>,
    streams: NumberMap<StreamId, Stream>,
    /// Sessions that something happened to and that have to be drained.
    touched: VecDeque<SessionId>,
    /// Streams with packets that have not been forwarded yet.
    bursts: Vec<StreamId>,
    /// Streams with viewers that are behind and may go on now.
    to_pace: Vec<StreamId>,
    /// Something came in since the last drain.
    fed: bool,
    outputs: VecDeque<Output>,
    outbox: Outbox,
    counters: Counters,
}

/// Totals since the worker began.
#[derive(Debug, Default, Clone, Copy)]
struct Counters {
    datagrams: u64,
    datagrams_dropped: u64,
    packets_in: u64,
    packets_out: u64,
    /// Steps of draining sessions: grows with what happens, not with how many there are.
    drain_steps: u64,
}

impl Worker {
    /// Make a worker.
    pub fn new(config: WorkerConfig, now: Instant) -> Self {
        let random = Random::new(&config.certificate, config.seed);
        Self {
            id: config.id,
            consent_timeout: config.consent_timeout,
            max_sessions: config.max_sessions,
            config: Config {
                certificate: config.certificate,
                candidates: Arc::from(config.candidates),
                wall_clock: WallClock::new(now, config.wall_clock),
                random,
                codecs: Vec::new(),
            },
            demux: Demux::default(),
            handshakes: Handshakes::default(),
            schedule: Schedule::default(),
            publishers: NumberMap::default(),
            viewers: NumberMap::default(),
            streams: NumberMap::default(),
            touched: VecDeque::new(),
            bursts: Vec::new(),
            to_pace: Vec::new(),
            fed: false,
            outputs: VecDeque::new(),
            outbox: Outbox::default(),
            counters: Counters::default(),
        }
    }

    /// Take in one thing. More may follow with the same `now` before the worker is drained.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.fed = true;
        match input {
            // Timers run once what came in is forwarded.
            Input::Timeout => {}
            Input::Datagram(path, datagram) => self.datagram(now, path, datagram),
            Input::Peer(from, PeerMessage::Packet { stream, packet }) => {
                self.pulled(from, stream, &packet);
            }
            other => {
                // It may change who gets what: packets that came before it are forwarded before it.
                self.settle(now);
                match other {
                    Input::Command(command) => self.command(now, command),
                    Input::Peer(worker, message) => self.peer(now, worker, message),
                    Input::TcpClosed(path) => self.demux.forget(&path),
                    Input::Datagram(..) | Input::Timeout => {}
                }
            }
        }
    }

    /// Take the next thing that the worker wants done. Datagrams to send are put into `batch` on the way.
    pub fn poll<B: Batch>(&mut self, now: Instant, batch: &mut B) -> Output {
        if std::mem::take(&mut self.fed) {
            self.forward(now, batch);
            // Whatever came in, time has passed.
            self.timers(now);
        }
        let mut rounds = ROUNDS;
        loop {
            self.outbox.empty_into(batch);
            while let Some(stream) = self.to_pace.pop() {
                self.pace(now, stream, batch);
            }
            if let Some(output) = self.outputs.pop_front() {
                return output;
            }
            if let Some(session) = self.touched.pop_front() {
                if let Some(life) = self.life(session) {
                    life.touched = false;
                }
                self.drain(now, session);
            } else if !self.bursts.is_empty() {
                self.forward(now, batch);
            } else if rounds > 0 && self.schedule.next().is_some_and(|at| at <= now) {
                // What was written may have made something due.
                rounds -= 1;
                self.timers(now);
            } else {
                break;
            }
        }
        // With nothing to wait for, an hour is as good as never.
        Output::WakeAt(
            self.schedule
                .next()
                .unwrap_or(now + Duration::from_secs(3600))
                .max(now),
        )
    }

    /// Drain one session. What it wants sent waits in the outbox.
    fn drain(&mut self, now: Instant, session: SessionId) {
        loop {
            self.counters.drain_steps += 1;
            let room = self.outbox.room();
            let output = if let Some(viewer) = self.viewers.get_mut(&session) {
                viewer.session.poll(now, room)
            } else if let Some(publisher) = self.publishers.get_mut(&session) {
                publisher.session.poll(now, room)
            } else {
                return;
            };
            match output {
                SessionOutput::Transmit { path, len } => self.outbox.commit(path, len),
                SessionOutput::Event(event) => self.session_event(now, session, event),
                SessionOutput::WakeAt(at, _) => {
                    if let Some(life) = self.life(session) {
                        life.wake_at = at;
                        let next = life.next();
                        self.schedule.set(Timer::Session(session), Some(next));
                    }
                    return;
                }
            }
        }
    }

    fn life(&mut self, session: SessionId) -> Option<&mut crate::session_life::SessionLife> {
        match self.publishers.get_mut(&session) {
            Some(publisher) => Some(&mut publisher.life),
            None => self
                .viewers
                .get_mut(&session)
                .map(|viewer| &mut viewer.life),
        }
    }

    /// Have a session drained.
    fn touch(&mut self, session: SessionId) {
        if let Some(life) = self.life(session)
            && !std::mem::replace(&mut life.touched, true)
        {
            self.touched.push_back(session);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn done(&mut self, ticket: Ticket) {
        self.event(Event::Done { ticket });
    }

    fn failed(&mut self, ticket: Ticket, reason: crate::Reason, detail: impl Into<String>) {
        self.event(Event::Failed {
            ticket,
            reason,
            detail: detail.into(),
        });
    }

    /// Sessions on this worker.
    pub fn sessions(&self) -> usize {
        self.publishers.len() + self.viewers.len()
    }

    /// Datagrams so far that belonged to no session, or that their session did not want.
    pub fn datagrams_refused(&self) -> u64 {
        self.counters.datagrams_dropped
    }

    /// Sources with handshakes under way.
    pub fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// Packets sent to viewers so far.
    pub fn packets_forwarded(&self) -> u64 {
        self.counters.packets_out
    }

    /// Bound slots of all viewers.
    pub fn bindings(&self) -> usize {
        self.viewers
            .values()
            .map(|viewer| viewer.bindings().count())
            .sum()
    }

    /// Entries of every table: 0 once the last session is gone.
    pub fn table_entries(&self) -> usize {
        self.sessions()
            + self.streams.len()
            + self.demux.len()
            + self.handshakes.len()
            + self.schedule.len()
            + self.touched.len()
            + self.bursts.len()
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::OpenPublisher {
                ticket,
                session,
                offer,
                codecs,
            } => self.open_publisher(now, ticket, session, &offer, codecs),
            Command::OpenViewer {
                ticket,
                session,
                offer,
            } => self.open_viewer(now, ticket, session, &offer),
            Command::OfferViewer {
                ticket,
                session,
                stream,
            } => self.offer_viewer(now, ticket, session, stream),
            Command::Accept {
                ticket,
                session,
                answer,
            } => self.accept(now, ticket, session, &answer),
            Command::Offer {
                ticket,
                session,
                offer,
            } => self.renegotiate(now, ticket, session, &offer),
            Command::Bind {
                ticket,
                session,
                stream,
                origin,
                audio,
                video,
            } => {
                let bind = crate::publish::PendingBind {
                    ticket,
                    session,
                    audio,
                    video,
                };
                self.bind(now, stream, origin, bind);
            }
            Command::Unbind {
                ticket,
                session,
                stream,
            } => self.unbind(ticket, session, stream),
            Command::SetLayer {
                ticket,
                session,
                stream,
                choice,
            } => self.set_layer(now, ticket, session, stream, choice),
            Command::SetDelay {
                ticket,
                session,
                stream,
                most,
            } => self.set_delay(ticket, session, stream, most),
            Command::RequestKeyFrame { stream } => {
                let layer = self.streams.get(&stream).map_or(0, |s| s.best_layer());
                self.request_key_frame(now, stream, layer);
            }
            Command::Close { ticket, session } => self.close(now, ticket, session),
            Command::Snapshot { ticket } => {
                let json = self.snapshot(now);
                self.event(Event::Snapshot { ticket, json });
            }
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker")
            .field("id", &self.id)
            .field("publishers", &self.publishers.len())
            .field("viewers", &self.viewers.len())
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}
