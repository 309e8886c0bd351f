//! One loop turn's datagrams, collected in a buffer that is used again, and the back ends that carry them.

use std::net::SocketAddr;

use mio::net::UdpSocket;

use crate::config::Backend;
#[cfg(target_os = "linux")]
use crate::linux;
use crate::portable;

/// Longest datagram received or sent: above every path MTU in use, jumbo frames excepted.
pub(crate) const MAX_DATAGRAM: usize = 2048;
/// Datagrams collected before they are sent in the middle of a turn.
pub(crate) const MAX_BATCH: usize = 256;

/// A datagram in a [`Batch`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Index of the socket it leaves from.
    pub socket: usize,
    pub remote: SocketAddr,
    pub start: usize,
    pub len: usize,
}

/// Datagrams to send, back to back.
#[derive(Debug)]
pub(crate) struct Batch {
    buffer: Vec<u8>,
    used: usize,
    entries: Vec<Entry>,
}

/// What became of a batch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub packets: u64,
    pub bytes: u64,
    pub dropped: u64,
}

impl Batch {
    pub fn new() -> Self {
        Batch {
            buffer: vec![0; MAX_BATCH * MAX_DATAGRAM],
            used: 0,
            entries: Vec::with_capacity(MAX_BATCH),
        }
    }

    /// Room for one datagram. Send first when the batch [`is_full`](Self::is_full).
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.used..self.used + MAX_DATAGRAM]
    }

    /// Keep the first `len` bytes of [`space`](Self::space).
    pub fn commit(&mut self, socket: usize, remote: SocketAddr, len: usize) {
        self.entries.push(Entry {
            socket,
            remote,
            start: self.used,
            len,
        });
        self.used += len;
    }

    pub fn is_full(&self) -> bool {
        self.entries.len() >= MAX_BATCH || self.used + MAX_DATAGRAM > self.buffer.len()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.used = 0;
    }

    /// Send everything, runs of one socket together, in order.
    pub fn flush(&mut self, carrier: &mut Carrier, sockets: &[UdpSocket]) -> Sent {
        let mut total = Sent::default();
        for run in self.entries.chunk_by(|a, b| a.socket == b.socket) {
            let sent = carrier.send(&sockets[run[0].socket], &self.buffer, run);
            total.packets += sent.packets;
            total.bytes += sent.bytes;
            total.dropped += sent.dropped;
        }
        self.clear();
        total
    }
}

/// What one call to [`Carrier::receive`] brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    /// Datagrams to read with [`Carrier::datagram`].
    pub count: usize,
    /// The socket may hold more.
    pub more: bool,
}

/// The system calls behind a worker's datagrams.
pub(crate) enum Carrier {
    #[cfg(target_os = "linux")]
    Linux(linux::Batches),
    Portable(portable::Single),
}

impl Carrier {
    pub fn new(backend: Backend) -> Self {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Native => Carrier::Linux(linux::Batches::new()),
            #[cfg(not(target_os = "linux"))]
            Backend::Native => Carrier::Portable(portable::Single::new()),
            Backend::Portable => Carrier::Portable(portable::Single::new()),
        }
    }

    /// Read what is there, up to one batch.
    pub fn receive(&mut self, socket: &UdpSocket) -> Received {
        match self {
            #[cfg(target_os = "linux")]
            Carrier::Linux(batches) => batches.receive(socket),
            Carrier::Portable(single) => single.receive(socket),
        }
    }

    /// A received datagram; `None` when it was too long or came from no address.
    pub fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        match self {
            #[cfg(target_os = "linux")]
            Carrier::Linux(batches) => batches.datagram(index),
            Carrier::Portable(single) => single.datagram(index),
        }
    }

    fn send(&mut self, socket: &UdpSocket, buffer: &[u8], entries: &[Entry]) -> Sent {
        match self {
            #[cfg(target_os = "linux")]
            Carrier::Linux(batches) => batches.send(socket, buffer, entries),
            Carrier::Portable(single) => single.send(socket, buffer, entries),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mio::{Events, Interest, Poll, Token};
    use std::time::Duration;

    const BACKENDS: [Backend; 2] = [Backend::Native, Backend::Portable];

    fn pair(address: &str) -> (UdpSocket, UdpSocket) {
        let bind = || UdpSocket::bind(format!("{address}:0").parse().unwrap()).unwrap();
        (bind(), bind())
    }

    /// Read until `count` datagrams (or unusable ones) have come; loopback delivers before `send` returns.
    fn collect(
        carrier: &mut Carrier,
        socket: &mut UdpSocket,
        count: usize,
    ) -> Vec<Option<(SocketAddr, Vec<u8>)>> {
        let mut poll = Poll::new().unwrap();
        poll.registry()
            .register(socket, Token(0), Interest::READABLE)
            .unwrap();
        poll.poll(&mut Events::with_capacity(4), Some(Duration::from_secs(5)))
            .unwrap();
        let mut all = Vec::new();
        while all.len() < count {
            let received = carrier.receive(socket);
            for index in 0..received.count {
                all.push(
                    carrier
                        .datagram(index)
                        .map(|(from, bytes)| (from, bytes.to_vec())),
                );
            }
            if !received.more {
                break;
            }
        }
        poll.registry().deregister(socket).unwrap();
        all
    }

    #[test]
    fn a_batch_arrives_whole_and_in_order_on_every_back_end() {
        for address in ["127.0.0.1", "[::1]"] {
            for backend in BACKENDS {
                let (sender, mut receiver) = pair(address);
                let to = receiver.local_addr().unwrap();
                let mut carrier = Carrier::new(backend);
                let mut batch = Batch::new();
                for n in 0..200_u8 {
                    batch.space()[..=usize::from(n)].fill(n);
                    batch.commit(0, to, usize::from(n) + 1);
                }
                let sent = batch.flush(&mut carrier, std::slice::from_ref(&sender));
                assert_eq!(
                    sent,
                    Sent {
                        packets: 200,
                        bytes: (1..=200).sum(),
                        dropped: 0
                    }
                );
                let got = collect(&mut carrier, &mut receiver, 200);
                assert_eq!(got.len(), 200);
                for (n, datagram) in got.into_iter().enumerate() {
                    let (from, bytes) = datagram.unwrap();
                    assert_eq!(from, sender.local_addr().unwrap());
                    assert_eq!(bytes, vec![n as u8; n + 1]);
                }
            }
        }
    }

    #[test]
    fn one_datagram_that_cannot_be_sent_costs_only_itself() {
        for backend in BACKENDS {
            let (sender, mut receiver) = pair("127.0.0.1");
            let to = receiver.local_addr().unwrap();
            let mut carrier = Carrier::new(backend);
            let mut batch = Batch::new();
            for remote in [to, "[::1]:9".parse().unwrap(), to] {
                batch.commit(0, remote, 10);
            }
            let sent = batch.flush(&mut carrier, std::slice::from_ref(&sender));
            assert_eq!(
                sent,
                Sent {
                    packets: 2,
                    bytes: 20,
                    dropped: 1
                }
            );
            assert_eq!(collect(&mut carrier, &mut receiver, 2).len(), 2);
        }
    }

    #[test]
    fn a_datagram_that_is_too_long_is_left_out_and_the_next_one_read() {
        for backend in BACKENDS {
            let (sender, mut receiver) = pair("127.0.0.1");
            let to = receiver.local_addr().unwrap();
            sender.send_to(&vec![1; MAX_DATAGRAM + 1], to).unwrap();
            sender.send_to(&vec![2; MAX_DATAGRAM], to).unwrap();
            let got = collect(&mut Carrier::new(backend), &mut receiver, 2);
            assert!(got[0].is_none());
            assert_eq!(got[1].as_ref().unwrap().1, vec![2; MAX_DATAGRAM]);
        }
    }

    #[test]
    fn a_batch_is_full_before_it_has_no_room() {
        let mut batch = Batch::new();
        let to = "127.0.0.1:9".parse().unwrap();
        let mut count = 0;
        while !batch.is_full() {
            assert_eq!(batch.space().len(), MAX_DATAGRAM);
            batch.commit(0, to, MAX_DATAGRAM);
            count += 1;
        }
        assert_eq!(count, MAX_BATCH);
    }
}
