//! What comes of handling things: the worker and where its outputs go.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use mio::{Interest, Registry, Token};
use sanderling_sfu::{Input, Output, Path, PeerMessage, Protocol, Worker, WorkerId};

use crate::counters::Counters;
use crate::departures::Departures;
use crate::mailbox::Mailbox;
use crate::outbox::Notice;
use crate::reactor::DATAGRAMS_PER_TURN;
use crate::tcp::ReadResult;
use crate::transmit::{MAX_DATAGRAM, Receiver};

/// Bytes read from one TCP connection before others get their turn.
const READ_PER_TURN: usize = 64 << 10;

/// The worker with everything that it feeds. Kept apart from what is read, so that a datagram can be handled where it
/// lies.
pub(crate) struct Core {
    pub worker: Worker,
    pub id: WorkerId,
    pub departures: Departures,
    pub notices: Vec<Notice>,
    /// Messages for each peer worker, delivered once per turn.
    pub peers: Vec<Vec<PeerMessage>>,
    pub wake_at: Instant,
    /// Datagrams that the worker refused, as of the last turn.
    pub refused: u64,
}

impl Core {
    /// One thing in, then everything that comes of it out.
    pub fn feed(&mut self, now: Instant, input: Input<'_>) {
        #[cfg(test)]
        crate::reactor::tests::maybe_fail(&input);
        self.worker.handle(now, input);
        self.drain(now);
    }

    /// Carry out what the worker wants done.
    pub fn drain(&mut self, now: Instant) {
        loop {
            match self.worker.poll(now, &mut self.departures) {
                Output::Event(event) => self.notices.push(Notice::Event(event)),
                Output::Peer(worker, message) => {
                    if let Some(messages) = self.peers.get_mut(usize::from(worker.0)) {
                        messages.push(message);
                    }
                }
                Output::WakeAt(at) => {
                    self.wake_at = at;
                    return;
                }
            }
        }
    }

    /// Read one batch from a UDP socket: how many datagrams it was, and whether there may be more. A batch may hold
    /// hundreds, put together by the system: what comes of them is sent in between, and the time taken anew.
    pub fn receive(
        &mut self,
        receiver: &mut Receiver,
        socket: usize,
        now: &mut Instant,
    ) -> (usize, bool) {
        let received = receiver.receive(&self.departures.sockets[socket]);
        let local = self.departures.routes.shown(socket);
        let (mut packets, mut bytes, mut dropped) = (0, 0, 0);
        let mut fed = 0;
        for index in 0..received.count {
            let Some(message) = receiver.message(index) else {
                dropped += 1;
                continue;
            };
            if fed >= DATAGRAMS_PER_TURN {
                fed = 0;
                self.drain(*now);
                self.departures.flush();
                *now = Instant::now();
                self.departures.begin(*now);
            }
            self.departures.arrived(message.stamp_ns);
            self.departures.routes.heard(socket, message.remote);
            let path = Path {
                protocol: Protocol::Udp,
                local,
                remote: message.remote,
            };
            for datagram in message.datagrams() {
                if datagram.len() > MAX_DATAGRAM {
                    dropped += 1;
                    continue;
                }
                packets += 1;
                fed += 1;
                bytes += datagram.len() as u64;
                self.worker.handle(*now, Input::Datagram(path, datagram));
            }
        }
        let counters = self.departures.counters();
        Counters::add(&counters.packets_in, packets);
        Counters::add(&counters.bytes_in, bytes);
        self.departures.dropped(dropped);
        ((packets + dropped) as usize, received.more)
    }

    /// Read a connection's share of this turn; false when it ended or broke the framing.
    pub fn read_tcp(&mut self, index: usize, scratch: &mut [u8], now: Instant) -> bool {
        let Some(path) = self.departures.tcp.path(index) else {
            return true;
        };
        let mut deframer = self.departures.tcp.take_deframer(index);
        let (mut packets, mut bytes, mut total) = (0, 0, 0);
        let open = loop {
            // Read until there is nothing: a short read says nothing about an end that came with it.
            let count = match self.departures.tcp.read(index, scratch) {
                ReadResult::Bytes(count) => count,
                ReadResult::Empty => break true,
                ReadResult::Ended => break false,
            };
            let outcome = deframer.push(&scratch[..count], |datagram| {
                packets += 1;
                bytes += datagram.len() as u64;
                self.worker.handle(now, Input::Datagram(path, datagram));
            });
            if outcome.is_err() {
                break false;
            }
            total += count;
            if total >= READ_PER_TURN {
                self.departures.tcp.read_later(index);
                break true;
            }
        };
        self.departures
            .tcp
            .put_deframer(index, deframer, packets > 0, now);
        Counters::add(&self.departures.counters().packets_in, packets);
        Counters::add(&self.departures.counters().bytes_in, bytes);
        open
    }

    /// Have the event loop say when a full socket takes datagrams again, and only then: otherwise each datagram that
    /// leaves would wake the thread.
    pub fn watch(&mut self, watched: &mut [bool], registry: &Registry) {
        for (index, watched) in watched.iter_mut().enumerate() {
            let waits = self.departures.waits(index);
            if waits == *watched {
                continue;
            }
            let interest = if waits {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            let socket = &mut self.departures.sockets[index];
            // Refused for want of kernel memory, it is tried again in the next turn.
            if registry
                .reregister(socket, Token(1 + index), interest)
                .is_ok()
            {
                *watched = waits;
            }
        }
    }

    /// Publish what the worker refused, and how much it holds. No session or binding comes or goes without an event, and counting bindings
    /// costs a walk over the viewers, so turns without one are left out.
    pub fn count(&mut self) {
        let refused = self.worker.datagrams_refused();
        let counters = self.departures.counters();
        let more = refused.saturating_sub(self.refused);
        Counters::add(&counters.datagrams_refused, more);
        Counters::add(&counters.datagrams_dropped, more);
        self.refused = refused;
        if !self.notices.is_empty() {
            let counters = self.departures.counters();
            counters
                .sessions
                .store(self.worker.sessions() as u64, Relaxed);
            counters
                .bindings
                .store(self.worker.bindings() as u64, Relaxed);
        }
    }

    /// Hand over what the peers are to know.
    pub fn deliver(&mut self, mailboxes: &[Mailbox]) {
        for (mailbox, messages) in mailboxes.iter().zip(&mut self.peers) {
            if !messages.is_empty() {
                mailbox.peers(self.id, messages);
            }
        }
    }
}
