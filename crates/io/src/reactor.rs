//! One worker thread's loop: everything readable in, everything that comes of it out, one flush, sleep.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use sanderling_sfu::{Command, Input, Ticket, Worker, WorkerConfig};

use crate::config::Backend;
use crate::counters::Counters;
use crate::departures::Departures;
use crate::mailbox::{Mail, Mailbox};
use crate::outbox::{Notice, Outbox};
use crate::sockets::{Endpoint, Routes};
use crate::tcp::Connections;
use crate::transmit::{Receiver, Sender};
use crate::worker_core::Core;

/// The mailbox's token; sockets come after it.
pub(crate) const MAILBOX: Token = Token(0);
/// Datagrams read from one UDP socket in one turn, so that neither a flood on one holds up the timers, nor what a turn
/// sends to hundreds of viewers the next turn for long: at eight packets for each viewer nothing more is gained.
pub(crate) const DATAGRAMS_PER_TURN: usize = 64;
/// Bytes read from one TCP connection at once.
const READ_BUFFER: usize = 16 << 10;
/// Longest sleep: a bound for arithmetic, nothing depends on it.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What a thread is started with.
pub(crate) struct Start {
    pub poll: Poll,
    pub endpoints: Vec<Endpoint>,
    pub worker: WorkerConfig,
    pub backend: Backend,
    pub mailboxes: Arc<[Mailbox]>,
    pub counters: Arc<[Counters]>,
    pub outbox: Arc<Outbox>,
}

pub(crate) struct Reactor {
    core: Core,
    config: WorkerConfig,
    receiver: Receiver,
    poll: Poll,
    udp_ready: Vec<bool>,
    /// Sockets that are watched for taking datagrams again.
    udp_watched: Vec<bool>,
    mailboxes: Arc<[Mailbox]>,
    outbox: Arc<Outbox>,
    mail: Mail,
    readable: Vec<usize>,
    ended: Vec<usize>,
    scratch: Vec<u8>,
    /// The command that is being handled, to be answered if it brings the worker down.
    current: Option<Ticket>,
}

impl Reactor {
    /// Register the sockets and make the worker.
    pub fn new(start: Start) -> io::Result<Self> {
        let Start {
            poll,
            endpoints,
            worker: config,
            backend,
            mailboxes,
            counters,
            outbox,
        } = start;
        let now = Instant::now();
        let (mut sockets, mut listeners, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        for (index, endpoint) in endpoints.into_iter().enumerate() {
            let mut udp = UdpSocket::from_std(endpoint.udp);
            poll.registry()
                .register(&mut udp, Token(1 + index), Interest::READABLE)?;
            sockets.push(udp);
            listeners.push((
                mio::net::TcpListener::from_std(endpoint.tcp),
                endpoint.shown,
            ));
            shown.push(endpoint.shown);
        }
        let tcp = Connections::new(listeners, poll.registry(), 1 + sockets.len(), now)?;
        let receiver = Receiver::new(backend, &sockets);
        let core = Core {
            worker: Worker::new(
                WorkerConfig {
                    wall_clock: SystemTime::now(),
                    ..config.clone()
                },
                now,
            ),
            id: config.id,
            departures: Departures::new(
                Sender::new(backend, &sockets),
                sockets,
                Routes::new(shown),
                tcp,
                counters,
                usize::from(config.id.0),
                now,
            ),
            refused: 0,
            notices: Vec::new(),
            peers: (0..mailboxes.len()).map(|_| Vec::new()).collect(),
            wake_at: now,
        };
        Ok(Reactor {
            udp_ready: vec![true; core.departures.sockets.len()],
            udp_watched: vec![false; core.departures.sockets.len()],
            core,
            config,
            receiver,
            poll,
            mailboxes,
            outbox,
            mail: Mail::default(),
            readable: Vec::new(),
            ended: Vec::new(),
            scratch: vec![0; READ_BUFFER],
            current: None,
        })
    }

    /// Run until the mailbox is closed.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut now = Instant::now();
        while !self.mail.closed {
            let timeout = self.sleep(now);
            // Interrupted by a signal, or out of kernel memory for a moment: go round as if nothing had happened.
            let polled = self.poll.poll(&mut events, Some(timeout));
            now = Instant::now();
            if polled.is_ok() {
                self.note(&events);
            }
            match catch_unwind(AssertUnwindSafe(|| self.turn(now))) {
                Ok(later) => now = later,
                Err(panic) => {
                    now = Instant::now();
                    self.restart(now, panic.as_ref());
                }
            }
        }
    }

    /// How long the thread may sleep.
    fn sleep(&self, now: Instant) -> Duration {
        if self.mail.more || self.core.departures.tcp.has_more() || self.udp_ready.contains(&true) {
            return Duration::ZERO;
        }
        let mut until = self.core.wake_at;
        if let Some(at) = self.core.departures.tcp.wake_at() {
            until = until.min(at);
        }
        until.saturating_duration_since(now).min(LONGEST_SLEEP)
    }

    fn note(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                MAILBOX => {}
                Token(token) if token <= self.udp_ready.len() => self.udp_ready[token - 1] = true,
                token => {
                    self.core
                        .departures
                        .tcp
                        .ready(token, event.is_readable(), event.is_writable())
                }
            }
        }
    }

    /// One turn of the loop. Returns the time as it was taken last.
    fn turn(&mut self, mut now: Instant) -> Instant {
        let registry = self.poll.registry();
        let core = &mut self.core;
        core.departures.begin(now);

        self.mailboxes[usize::from(core.id.0)].take(&mut self.mail);
        core.departures.dropped(self.mail.dropped);
        for command in self.mail.commands.drain(..) {
            self.current = ticket(&command);
            core.feed(now, Input::Command(command));
            self.current = None;
        }
        for (from, message) in self.mail.peers.drain(..) {
            core.worker.handle(now, Input::Peer(from, message));
        }

        for index in 0..self.udp_ready.len() {
            let mut left = DATAGRAMS_PER_TURN;
            while self.udp_ready[index] && left > 0 {
                let (count, more) = core.receive(&mut self.receiver, index, &mut now);
                self.udp_ready[index] = more;
                left = left.saturating_sub(count.max(1));
            }
        }

        core.departures.tcp.accept(registry, now);
        core.departures.tcp.take_readable(&mut self.readable);
        for index in self.readable.drain(..) {
            if !core.read_tcp(index, &mut self.scratch, now)
                && let Some(path) = core.departures.tcp.close(index, registry)
            {
                core.feed(now, Input::TcpClosed(path));
            }
        }
        core.departures.tcp.sweep(now, &mut self.ended);

        if now >= core.wake_at {
            core.worker.handle(now, Input::Timeout);
        }
        core.drain(now);

        core.departures.flush();
        core.departures.tcp.flush(now, &mut self.ended);
        for index in self.ended.drain(..) {
            if let Some(path) = core.departures.tcp.close(index, registry) {
                core.feed(now, Input::TcpClosed(path));
            }
        }
        core.departures.flush();
        core.watch(&mut self.udp_watched, registry);
        core.deliver(&self.mailboxes);
        core.count();
        self.outbox.push(&mut core.notices);
        now
    }

    /// The worker panicked: say so, forget what it held, and go on with the same sockets.
    fn restart(&mut self, now: Instant, panic: &(dyn std::any::Any + Send)) {
        let said = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let detail = said.unwrap_or("no message").to_owned();
        let core = &mut self.core;
        core.departures.tcp.close_all(self.poll.registry());
        core.departures.clear();
        for peer in &mut core.peers {
            peer.clear();
        }
        self.readable.clear();
        self.ended.clear();
        // Commands already taken would otherwise never be answered.
        let mut unanswered: Vec<Ticket> = self
            .mail
            .commands
            .drain(..)
            .filter_map(|c| ticket(&c))
            .collect();
        unanswered.extend(self.current.take());
        let config = WorkerConfig {
            wall_clock: SystemTime::now(),
            seed: crate::node::seed(),
            ..self.config.clone()
        };
        core.worker = Worker::new(config, now);
        core.refused = 0;
        core.wake_at = now;
        core.notices.push(Notice::WorkerFailed {
            worker: core.id,
            detail: detail.clone(),
        });
        for ticket in unanswered {
            core.notices.push(Notice::Internal {
                ticket,
                detail: format!("the worker failed: {detail}"),
            });
        }
        core.count();
        self.outbox.push(&mut core.notices);
    }
}

/// The ticket of a command that wants an answer.
fn ticket(command: &Command) -> Option<Ticket> {
    match command {
        Command::OpenPublisher { ticket, .. }
        | Command::OpenViewer { ticket, .. }
        | Command::OfferViewer { ticket, .. }
        | Command::Accept { ticket, .. }
        | Command::Offer { ticket, .. }
        | Command::Bind { ticket, .. }
        | Command::Unbind { ticket, .. }
        | Command::SetLayer { ticket, .. }
        | Command::SetDelay { ticket, .. }
        | Command::Close { ticket, .. }
        | Command::Snapshot { ticket } => Some(*ticket),
        Command::RequestKeyFrame { .. } => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::{Config, Node};
    use sanderling_sfu::WorkerId;
    use std::net::IpAddr;

    const FATAL: Ticket = Ticket(u64::MAX);

    /// A command that brings the worker down, so that its restart can be seen.
    pub(crate) fn maybe_fail(input: &Input<'_>) {
        if matches!(input, Input::Command(Command::Snapshot { ticket }) if *ticket == FATAL) {
            panic!("asked to fail");
        }
    }

    #[test]
    fn a_worker_that_panics_says_so_answers_its_command_and_goes_on_with_the_same_sockets() {
        let config = Config {
            listen: vec![IpAddr::from([127, 0, 0, 1])],
            ..Config::default()
        };
        let node = Node::start(&config).unwrap();
        let address = node.candidates()[0][0].1;
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        node.command(WorkerId(0), Command::Snapshot { ticket: FATAL })
            .unwrap();

        let deadline = Instant::now() + Duration::from_secs(20);
        let mut notices = Vec::new();
        while notices.len() < 2 {
            assert!(
                Instant::now() < deadline,
                "the failure was not reported: {notices:?}"
            );
            node.take_notices(10, &mut notices);
            std::thread::yield_now();
        }
        assert!(
            matches!(&notices[0], Notice::WorkerFailed { worker: WorkerId(0), detail } if detail == "asked to fail")
        );
        assert!(matches!(
            &notices[1],
            Notice::Internal { ticket: FATAL, .. }
        ));

        client.send_to(&[0x80; 100], address).unwrap();
        while node.totals().packets_in == 0 {
            assert!(
                Instant::now() < deadline,
                "the worker is deaf after its restart"
            );
            std::thread::yield_now();
        }
    }
}
