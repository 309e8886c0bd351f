//! Where a worker's datagrams leave: finished in the batch of their socket, or in the buffer of a connection.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use sanderling_sfu::{Batch as Sink, Path, Protocol};

use crate::backlog::Backlog;
use crate::counters::Counters;
use crate::portable::unix_ns;
use crate::sockets::Routes;
use crate::tcp::Connections;
use crate::transmit::{Batch, MAX_DATAGRAM, Sender};

/// Sockets and connections of one worker with what waits to leave by them.
pub(crate) struct Departures {
    sender: Sender,
    pub sockets: Vec<UdpSocket>,
    backlogs: Vec<Backlog>,
    pub routes: Routes,
    pub tcp: Connections,
    batch: Batch,
    /// Where a frame of a connection is written before it is appended to what waits there.
    frame: Box<[u8; MAX_DATAGRAM]>,
    counters: Arc<[Counters]>,
    worker: usize,
    now: Instant,
    /// When the piece of this turn that is being written was begun: each piece leaves as soon as it is full.
    clock: Instant,
    /// When the system received the oldest datagram of this turn, Unix time in nanoseconds.
    oldest_ns: Option<u64>,
    /// Something that was forwarded is in the batch, and something that was has left in this turn.
    forwards: bool,
    flushed: bool,
}

impl Departures {
    pub fn new(
        sender: Sender,
        sockets: Vec<UdpSocket>,
        routes: Routes,
        tcp: Connections,
        counters: Arc<[Counters]>,
        worker: usize,
        now: Instant,
    ) -> Self {
        Departures {
            sender,
            backlogs: sockets.iter().map(|_| Backlog::default()).collect(),
            sockets,
            routes,
            tcp,
            batch: Batch::new(),
            frame: Box::new([0; MAX_DATAGRAM]),
            counters,
            worker,
            now,
            clock: now,
            oldest_ns: None,
            forwards: false,
            flushed: false,
        }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters[self.worker]
    }

    /// Count datagrams that were thrown away.
    pub fn dropped(&self, count: u64) {
        Counters::add(&self.counters().datagrams_dropped, count);
    }

    /// A turn of the loop begins.
    pub fn begin(&mut self, now: Instant) {
        (self.now, self.clock) = (now, now);
        self.oldest_ns = None;
        self.flushed = false;
    }

    /// A datagram came in that the system received then; 0 when it did not say.
    pub fn arrived(&mut self, stamp_ns: u64) {
        let stamp_ns = if stamp_ns == 0 { unix_ns() } else { stamp_ns };
        let oldest = self.oldest_ns.get_or_insert(stamp_ns);
        *oldest = stamp_ns.min(*oldest);
    }

    /// Send what was collected for UDP.
    pub fn flush(&mut self) {
        let sockets = &self.sockets;
        let sent = self
            .batch
            .flush(self.now, &mut self.sender, sockets, &mut self.backlogs);
        let counters = self.counters();
        if sent.packets > 0 {
            if let (Some(oldest), true) = (self.oldest_ns, self.forwards) {
                let held = Duration::from_nanos(unix_ns().saturating_sub(oldest));
                counters.added_delay.record(held);
            }
            Counters::add(&counters.packets_out, sent.packets);
            Counters::add(&counters.bytes_out, sent.bytes);
            Counters::add(&counters.sends, sent.calls);
            Counters::add(&counters.trains, sent.trains);
            if self.forwards && !self.flushed {
                Counters::add(&counters.flushes, 1);
            }
            let segments = u64::from(self.sender.segments());
            counters.segmentation.store(segments, Relaxed);
        }
        Counters::add(&counters.datagrams_dropped, sent.dropped);
        Counters::add(&counters.datagrams_late, sent.late);
        self.flushed |= self.forwards;
        self.forwards = false;
    }

    /// Write a datagram to where it leaves from. `forwards`: it is a copy of one that came in, not an answer to one.
    fn write(
        &mut self,
        path: Path,
        limit: usize,
        forwards: bool,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        let limit = limit.min(MAX_DATAGRAM);
        match path.protocol {
            Protocol::Udp => {
                let Some(socket) = self.routes.socket(path.local, path.remote) else {
                    return self.dropped(1);
                };
                if self.batch.ends_before(path.remote) {
                    self.flush();
                    self.clock = Instant::now();
                }
                let len = write(&mut self.batch.space()[..limit]).min(limit);
                if len > 0 {
                    self.batch.commit(socket, path.remote, len);
                    self.forwards |= forwards;
                }
            }
            Protocol::Tcp => {
                let len = write(&mut self.frame[..limit]).min(limit);
                if len == 0 {
                } else if self.tcp.send(path, &self.frame[..len]) {
                    Counters::add(&self.counters().packets_out, 1);
                    Counters::add(&self.counters().bytes_out, len as u64);
                } else {
                    self.dropped(1);
                }
            }
        }
    }

    /// Whether a socket has to say when it takes datagrams again.
    pub fn waits(&self, socket: usize) -> bool {
        !self.backlogs[socket].is_empty()
    }

    /// Forget what was not sent.
    pub fn clear(&mut self) {
        self.batch.clear();
    }
}

impl Sink for Departures {
    /// Answers, reports and repairs: sessions put them together elsewhere.
    fn push(&mut self, path: Path, datagram: &[u8]) {
        self.write(path, datagram.len(), false, |room| {
            let fits = datagram.len().min(room.len());
            room[..fits].copy_from_slice(&datagram[..fits]);
            fits
        });
    }

    fn leaves_at(&self, _now: Instant) -> Instant {
        self.clock
    }

    /// Forwarded packets: they are made in place.
    fn put(&mut self, path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        self.write(path, limit, true, write);
    }
}
