//! One thread: its sessions, their sockets and their timers.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use sanderling_io::{DatagramReceiver, DatagramSender};
use sanderling_rtc::MAX_DATAGRAM;
use sanderling_rtc::client::ClientTransport;
use socket2::{Domain, Socket, Type};

use crate::config::Report;
use crate::exit::Exit;
use crate::publisher::Publisher;
use crate::viewer::{Totals, Viewer};
use crate::wheel::Wheel;

/// What other threads have done by a worker.
pub(crate) type Job = Box<dyn FnOnce(&mut Worker, Instant) + Send>;

/// Token of the wake-up; those of sessions follow it.
pub(crate) const WAKE: Token = Token(0);
/// Sockets that one look at the system may report.
const EVENTS: usize = 1_024;
/// Socket buffers asked for: half a second of a busy stream, so that a busy machine loses nothing here.
const SOCKET_BUFFER: usize = 1 << 20;
/// Batches read from one socket before another has its turn.
const TURN: usize = 16;
/// The system's timers are this coarse; what has to be more exact waits awake for the rest.
const COARSE: Duration = Duration::from_millis(1);

/// A session of either kind.
pub(crate) enum Session {
    Viewer(Box<Viewer>),
    Publisher(Box<Publisher>),
}

impl Session {
    pub(crate) fn transport(&self) -> &ClientTransport {
        match self {
            Self::Viewer(viewer) => &viewer.transport,
            Self::Publisher(publisher) => &publisher.transport,
        }
    }
}

struct Entry {
    id: u64,
    socket: UdpSocket,
    session: Session,
    /// The earliest timer of it in the wheel.
    wake: Option<Instant>,
}

/// State of one thread.
pub(crate) struct Worker {
    poll: Poll,
    jobs: Receiver<Job>,
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    ids: HashMap<u64, usize>,
    wheel: Wheel,
    /// Places of publishers, whose pattern is more exact than the wheel.
    publishers: Vec<usize>,
    receiver: DatagramReceiver,
    burst: DatagramSender,
    buffer: Box<[u8; MAX_DATAGRAM]>,
    scratch: Vec<u8>,
    /// Counts of viewers that were closed.
    closed: Totals,
    refused: u64,
}

impl Worker {
    pub(crate) fn new(poll: Poll, jobs: Receiver<Job>, now: Instant) -> Self {
        Self {
            poll,
            jobs,
            entries: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            wheel: Wheel::new(now),
            publishers: Vec::new(),
            receiver: DatagramReceiver::new(),
            burst: DatagramSender::new(),
            buffer: Box::new([0; MAX_DATAGRAM]),
            scratch: Vec::with_capacity(MAX_DATAGRAM),
            closed: Totals::default(),
            refused: 0,
        }
    }

    /// Work until the senders of jobs are gone; then say goodbye to everybody.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        let mut due = Vec::new();
        loop {
            let now = Instant::now();
            self.wheel.due(now, &mut due);
            for index in due.drain(..) {
                if let Some(entry) = self.entries[index].as_mut() {
                    // A timer that was overtaken by an earlier one costs one look.
                    if entry.wake.is_some_and(|at| at <= now) {
                        entry.wake = None;
                        self.advance(index, now);
                    }
                }
            }
            let pattern_at = self.send_patterns();
            let pause = self.pause(pattern_at);
            match self.poll.poll(&mut events, pause) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKE if !self.do_jobs() => {
                        self.close_all();
                        return;
                    }
                    WAKE => {}
                    Token(place) => self.read(place - 1),
                }
            }
        }
        self.close_all();
    }

    fn pause(&mut self, pattern_at: Option<Instant>) -> Option<Duration> {
        let now = Instant::now();
        let pause = self.wheel.pause(now);
        let Some(at) = pattern_at else {
            return pause;
        };
        let exact = at.saturating_duration_since(now);
        if exact <= COARSE {
            // Rounded up to a millisecond the system would wake us too late.
            if !exact.is_zero() {
                std::thread::sleep(exact);
            }
            return Some(Duration::ZERO);
        }
        let exact = exact - COARSE;
        Some(pause.map_or(exact, |pause| pause.min(exact)))
    }

    /// Do what others asked for. False when nobody can ask any more.
    fn do_jobs(&mut self) -> bool {
        loop {
            match self.jobs.try_recv() {
                Ok(job) => job(self, Instant::now()),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn send_patterns(&mut self) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for place in 0..self.publishers.len() {
            let Some(entry) = self.entries[self.publishers[place]].as_mut() else {
                continue;
            };
            let Session::Publisher(publisher) = &mut entry.session else {
                continue;
            };
            let mut exit = Exit {
                socket: &entry.socket,
                buffer: &mut self.buffer,
                burst: &mut self.burst,
                refused: &mut self.refused,
            };
            let at = publisher.poll_pattern(Instant::now(), &mut exit);
            next = match (next, at) {
                (Some(next), Some(at)) => Some(next.min(at)),
                (one, other) => one.or(other),
            };
        }
        next
    }

    /// Read what a socket holds, and let its session react.
    fn read(&mut self, index: usize) {
        let Some(Some(entry)) = self.entries.get_mut(index) else {
            return;
        };
        let now = Instant::now();
        let Entry {
            socket, session, ..
        } = entry;
        let (buffer, burst, refused) = (&mut self.buffer, &mut self.burst, &mut self.refused);
        let scratch = &mut self.scratch;
        let mut drained = false;
        for _ in 0..TURN {
            drained = !self.receiver.receive(socket, |from, arrival, bytes| {
                let mut exit = Exit {
                    socket,
                    buffer,
                    burst,
                    refused,
                };
                match session {
                    Session::Viewer(viewer) => {
                        viewer.receive(now, arrival, from, bytes, scratch, &mut exit);
                    }
                    Session::Publisher(publisher) => {
                        publisher.receive(now, from, bytes, scratch, &mut exit);
                    }
                }
            });
            if drained {
                break;
            }
        }
        self.advance(index, now);
        if !drained && let Some(Some(entry)) = self.entries.get_mut(index) {
            // Its readiness is told only once: tell it again for the rest.
            let token = Token(index + 1);
            let registry = self.poll.registry();
            let _ = registry.reregister(&mut entry.socket, token, Interest::READABLE);
        }
    }

    /// Let a session do what is due, and set its timer.
    fn advance(&mut self, index: usize, now: Instant) {
        let Some(Some(entry)) = self.entries.get_mut(index) else {
            return;
        };
        let mut exit = Exit {
            socket: &entry.socket,
            buffer: &mut self.buffer,
            burst: &mut self.burst,
            refused: &mut self.refused,
        };
        let wake = match &mut entry.session {
            Session::Viewer(viewer) => viewer.poll(now, &mut exit),
            Session::Publisher(publisher) => publisher.poll(now, &mut exit),
        };
        if let Some(at) = wake
            && entry.wake.is_none_or(|known| at < known)
        {
            entry.wake = Some(at);
            self.wheel.insert(at, index);
        }
    }

    /// Open a session on a socket of its own.
    pub(crate) fn open(
        &mut self,
        id: u64,
        listen: IpAddr,
        session: impl FnOnce(SocketAddr) -> Session,
    ) -> io::Result<()> {
        let socket = Socket::new(
            Domain::for_address(SocketAddr::new(listen, 0)),
            Type::DGRAM,
            None,
        )?;
        // Less than asked for costs packets in bursts only.
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(listen, 0).into())?;
        let mut socket = UdpSocket::from_std(socket.into());
        self.receiver.prepare(&socket);
        let address = socket.local_addr()?;
        let index = self.free.pop().unwrap_or(self.entries.len());
        let registered =
            self.poll
                .registry()
                .register(&mut socket, Token(index + 1), Interest::READABLE);
        if let Err(error) = registered {
            if index < self.entries.len() {
                self.free.push(index);
            }
            return Err(error);
        }
        let session = session(address);
        if matches!(session, Session::Publisher(_)) {
            self.publishers.push(index);
        }
        let entry = Entry {
            id,
            socket,
            session,
            wake: None,
        };
        if index == self.entries.len() {
            self.entries.push(Some(entry));
        } else {
            self.entries[index] = Some(entry);
        }
        self.ids.insert(id, index);
        Ok(())
    }

    /// Work on a session; what becomes due is done at once. `None` when there is no such session.
    pub(crate) fn with<T>(
        &mut self,
        id: u64,
        now: Instant,
        work: impl FnOnce(&mut Session, &mut Exit<'_>) -> T,
    ) -> Option<T> {
        let index = *self.ids.get(&id)?;
        let entry = self.entries[index].as_mut()?;
        let mut exit = Exit {
            socket: &entry.socket,
            buffer: &mut self.buffer,
            burst: &mut self.burst,
            refused: &mut self.refused,
        };
        let result = work(&mut entry.session, &mut exit);
        self.advance(index, now);
        Some(result)
    }

    /// Look at a session.
    pub(crate) fn look<T>(&mut self, id: u64, look: impl FnOnce(&mut Session) -> T) -> Option<T> {
        let index = *self.ids.get(&id)?;
        let entry = self.entries[index].as_mut()?;
        Some(look(&mut entry.session))
    }

    /// Say goodbye to a session's server and forget it. False when there is none.
    pub(crate) fn close(&mut self, id: u64, now: Instant) -> bool {
        let Some(index) = self.ids.remove(&id) else {
            return false;
        };
        let Some(mut entry) = self.entries[index].take() else {
            return false;
        };
        let mut exit = Exit {
            socket: &entry.socket,
            buffer: &mut self.buffer,
            burst: &mut self.burst,
            refused: &mut self.refused,
        };
        let transport = match &mut entry.session {
            Session::Viewer(viewer) => {
                self.closed.add(&viewer.totals());
                &mut viewer.transport
            }
            Session::Publisher(publisher) => {
                self.publishers.retain(|place| *place != index);
                &mut publisher.transport
            }
        };
        if let Some((to, length)) = transport.close(now, exit.buffer) {
            exit.send(to, length);
        }
        let _ = self.poll.registry().deregister(&mut entry.socket);
        self.free.push(index);
        true
    }

    fn close_all(&mut self) {
        let now = Instant::now();
        let ids: Vec<u64> = self
            .entries
            .iter()
            .flatten()
            .map(|entry| entry.id)
            .collect();
        for id in ids {
            self.close(id, now);
        }
    }

    /// Add what this thread's sessions count.
    pub(crate) fn report(&self, report: &mut Report) {
        report.refused += self.refused;
        report.totals.add(&self.closed);
        for entry in self.entries.iter().flatten() {
            if let Session::Viewer(viewer) = &entry.session {
                report.viewers += 1;
                report.connected += u64::from(viewer.is_connected());
                report.totals.add(&viewer.totals());
            }
        }
    }
}
