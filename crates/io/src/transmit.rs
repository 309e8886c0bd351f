//! One loop turn's datagrams, collected in a buffer that is used again, and the back ends that carry them.

use std::net::SocketAddr;
use std::time::Instant;

use mio::net::UdpSocket;

use crate::backlog::Backlog;
use crate::config::Backend;
#[cfg(target_os = "linux")]
use crate::linux;
use crate::portable;

/// Longest datagram received or sent: above every path MTU in use, jumbo frames excepted.
pub(crate) const MAX_DATAGRAM: usize = sanderling_sfu::MAX_DATAGRAM;
/// Bytes collected before they are sent in the middle of a turn. Enough for dozens of messages, beside which the price
/// of one more system call is nothing; and little enough that what was ciphered is still in the second-level cache when
/// the kernel reads it, and the memory is there when it is written to again.
const MAX_BATCH: usize = 128 << 10;
/// Room below which a batch is sent rather than begin with the next address: what a train usually takes.
const TRAIN_ROOM: usize = MAX_TRAIN * 1500;
/// Datagrams of a train. More of one peer's packets in one burst overflow buffers on its way.
pub(crate) const MAX_TRAIN: usize = 8;

/// A datagram in a [`Batch`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Index of the socket it leaves from.
    pub socket: usize,
    pub remote: SocketAddr,
    pub start: usize,
    pub len: usize,
}

/// Datagrams that leave in one message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Train {
    pub count: usize,
    pub bytes: usize,
}

/// The train that begins with the first of `entries`: datagrams to one address that lie back to back and are equally
/// long, but for the last, which may be shorter. `limit` is the longest that such a datagram may be.
pub(crate) fn train(entries: &[Entry], limit: usize) -> Train {
    let Some((first, rest)) = entries.split_first() else {
        return Train::default();
    };
    let mut train = Train {
        count: 1,
        bytes: first.len,
    };
    if first.len > limit {
        return train;
    }
    for next in rest.iter().take(MAX_TRAIN - 1) {
        let follows = next.start == first.start + train.bytes
            && next.len <= first.len
            && next.remote == first.remote;
        if !follows {
            break;
        }
        train.count += 1;
        train.bytes += next.len;
        if next.len < first.len {
            break;
        }
    }
    train
}

/// Datagrams to send, back to back.
#[derive(Debug)]
pub(crate) struct Batch {
    buffer: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
}

/// What became of entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Entries that were dealt with; fewer than there were when the socket's buffer is full.
    pub taken: usize,
    pub packets: u64,
    pub bytes: u64,
    /// Refused by the system, or too old after waiting.
    pub dropped: u64,
    /// Those of `dropped` that waited for too long.
    pub late: u64,
    /// System calls that sent something.
    pub calls: u64,
    /// Messages of several datagrams.
    pub trains: u64,
}

impl Sent {
    fn add(&mut self, other: Sent) {
        self.taken += other.taken;
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.dropped += other.dropped;
        self.late += other.late;
        self.calls += other.calls;
        self.trains += other.trains;
    }
}

impl Batch {
    pub fn new() -> Self {
        Batch {
            buffer: vec![0; MAX_BATCH],
            used: 0,
            entries: Vec::new(),
        }
    }

    /// Room for one datagram. Send first when the batch [`is_full`](Self::is_full).
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..self.used + MAX_DATAGRAM]
    }

    /// Keep the first `len` bytes of [`space`](Self::space).
    #[inline]
    pub fn commit(&mut self, socket: usize, remote: SocketAddr, len: usize) {
        self.entries.push(Entry {
            socket,
            remote,
            start: self.used,
            len,
        });
        self.used += len;
    }

    #[inline]
    pub fn is_full(&self) -> bool {
        self.used + MAX_DATAGRAM > self.buffer.len()
    }

    /// Whether to send before a datagram to `remote` is added, so that its train is not cut in two.
    #[inline]
    pub fn ends_before(&self, remote: SocketAddr) -> bool {
        self.used + TRAIN_ROOM > self.buffer.len()
            && (self.is_full() || self.entries.last().is_none_or(|last| last.remote != remote))
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.used = 0;
    }

    /// Send what waits and then everything here, runs of one socket together, in order. What a socket does not take
    /// waits in its backlog.
    pub fn flush(
        &mut self,
        now: Instant,
        sender: &mut Sender,
        sockets: &[UdpSocket],
        backlogs: &mut [Backlog],
    ) -> Sent {
        let mut total = Sent::default();
        for (socket, backlog) in sockets.iter().zip(&mut *backlogs) {
            if !backlog.is_empty() {
                total.add(send_waiting(now, sender, socket, backlog));
            }
        }
        for run in self.entries.chunk_by(|a, b| a.socket == b.socket) {
            let index = run[0].socket;
            let (socket, backlog) = (&sockets[index], &mut backlogs[index]);
            let mut taken = 0;
            if backlog.is_empty() {
                let sent = sender.send(socket, &self.buffer, run);
                taken = sent.taken;
                total.add(sent);
            }
            if taken < run.len() {
                let late = backlog.keep(now, &self.buffer, &run[taken..]);
                total.late += late;
                total.dropped += late;
            }
        }
        self.clear();
        total
    }
}

fn send_waiting(
    now: Instant,
    sender: &mut Sender,
    socket: &UdpSocket,
    backlog: &mut Backlog,
) -> Sent {
    let late = backlog.expire(now);
    let (bytes, entries) = backlog.waiting();
    let mut sent = sender.send(socket, bytes, entries);
    backlog.taken(sent.taken);
    sent.late += late;
    sent.dropped += late;
    sent
}

/// What one call to [`Receiver::receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Messages to read with [`Receiver::message`].
    pub count: usize,
    /// The socket may hold more.
    pub more: bool,
}

/// Datagrams of one sender that came in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub remote: SocketAddr,
    pub bytes: &'a [u8],
    /// Length of each datagram; the last may be shorter.
    pub segment: usize,
    /// When the system received the first of them, Unix time in nanoseconds; 0 when it does not say.
    pub stamp_ns: u64,
}

impl<'a> Message<'a> {
    /// The datagrams; one even when it is empty.
    pub fn datagrams(&self) -> impl Iterator<Item = &'a [u8]> {
        let empty = self.bytes.is_empty().then_some(self.bytes);
        self.bytes.chunks(self.segment.max(1)).chain(empty)
    }
}

/// The system calls that read a worker's datagrams.
pub(crate) enum Receiver {
    #[cfg(target_os = "linux")]
    Linux(linux::Receiver),
    Portable(portable::Receiver),
}

impl Receiver {
    /// Make one for reading from `sockets`.
    pub fn new(backend: Backend, sockets: &[UdpSocket]) -> Self {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Native => Receiver::Linux(linux::Receiver::new(sockets)),
            _ => {
                let _ = sockets;
                Receiver::Portable(portable::Receiver::new())
            }
        }
    }

    /// Set up one more socket for reading.
    pub fn prepare(&self, socket: &UdpSocket) {
        match self {
            #[cfg(target_os = "linux")]
            Receiver::Linux(_) => linux::prepare(socket),
            Receiver::Portable(_) => {
                let _ = socket;
            }
        }
    }

    /// Read what is there, up to one batch.
    pub fn receive(&mut self, socket: &UdpSocket) -> Received {
        match self {
            #[cfg(target_os = "linux")]
            Receiver::Linux(receiver) => receiver.receive(socket),
            Receiver::Portable(receiver) => receiver.receive(socket),
        }
    }

    /// A message of the last batch; `None` when it was too long or came from no address.
    pub fn message(&self, index: usize) -> Option<Message<'_>> {
        match self {
            #[cfg(target_os = "linux")]
            Receiver::Linux(receiver) => receiver.message(index),
            Receiver::Portable(receiver) => receiver.message(index),
        }
    }
}

/// The system calls that send a worker's datagrams.
pub(crate) enum Sender {
    #[cfg(target_os = "linux")]
    Linux(linux::Sender),
    Portable(portable::Sender),
}

impl Sender {
    /// Make one for sending on `sockets`.
    pub fn new(backend: Backend, sockets: &[UdpSocket]) -> Self {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Native => Sender::Linux(linux::Sender::new(sockets)),
            _ => {
                let _ = sockets;
                Sender::Portable(portable::Sender::default())
            }
        }
    }

    /// Whether runs of datagrams to one address leave as trains.
    pub fn segments(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Sender::Linux(sender) => sender.segments(),
            Sender::Portable(_) => false,
        }
    }

    /// Send one datagram per message from now on.
    pub fn stop_segmenting(&mut self) {
        match self {
            #[cfg(target_os = "linux")]
            Sender::Linux(sender) => sender.stop_segmenting(),
            Sender::Portable(_) => {}
        }
    }

    /// Send entries in order, until all are dealt with or the socket's buffer is full.
    pub fn send(&mut self, socket: &UdpSocket, buffer: &[u8], entries: &[Entry]) -> Sent {
        match self {
            #[cfg(target_os = "linux")]
            Sender::Linux(sender) => sender.send(socket, buffer, entries),
            Sender::Portable(sender) => sender.send(socket, buffer, entries),
        }
    }
}
#[cfg(test)]
mod tests;
