//! The back end for every system: one call per datagram.

use std::io;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use mio::net::UdpSocket;

use crate::transmit::{Entry, MAX_DATAGRAM, Message, Received, Sent};

/// Datagrams read before others get their turn.
const BATCH: usize = 64;
/// One byte more than is accepted, so that a longer datagram shows.
const SLOT: usize = MAX_DATAGRAM + 1;

/// Reads into its own slots.
pub(crate) struct Receiver {
    buffer: Vec<u8>,
    slots: Vec<Option<(SocketAddr, usize)>>,
    /// When the batch was read: the nearest to a receive stamp that every system has.
    stamp_ns: u64,
}

/// Unix time in nanoseconds.
pub(crate) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

impl Receiver {
    pub fn new() -> Self {
        Receiver {
            buffer: vec![0; BATCH * SLOT],
            slots: Vec::with_capacity(BATCH),
            stamp_ns: 0,
        }
    }

    pub fn receive(&mut self, socket: &UdpSocket) -> Received {
        self.slots.clear();
        self.stamp_ns = unix_ns();
        // An error of an earlier datagram (a port unreachable, on some systems) also comes back here; it takes one
        // place, so that a flood of them cannot hold the thread.
        while self.slots.len() < BATCH {
            let start = self.slots.len() * SLOT;
            match socket.recv_from(&mut self.buffer[start..start + SLOT]) {
                Ok((len, from)) => self
                    .slots
                    .push((len <= MAX_DATAGRAM).then_some((without_flow(from), len))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Received {
                        count: self.slots.len(),
                        more: false,
                    };
                }
                Err(_) => self.slots.push(None),
            }
        }
        Received {
            count: self.slots.len(),
            more: true,
        }
    }

    pub fn message(&self, index: usize) -> Option<Message<'_>> {
        let (remote, len) = (*self.slots.get(index)?)?;
        let start = index * SLOT;
        Some(Message {
            remote,
            bytes: &self.buffer[start..start + len],
            segment: len,
            stamp_ns: self.stamp_ns,
        })
    }
}

/// Sends one by one.
#[derive(Debug, Default)]
pub(crate) struct Sender {
    /// Datagrams taken before the socket's buffer is said to be full.
    #[cfg(test)]
    pub full_after: Option<usize>,
}

impl Sender {
    pub fn send(&mut self, socket: &UdpSocket, buffer: &[u8], entries: &[Entry]) -> Sent {
        let mut sent = Sent::default();
        for entry in entries {
            #[cfg(test)]
            if let Some(left) = &mut self.full_after {
                if *left == 0 {
                    return sent;
                }
                *left -= 1;
            }
            let datagram = &buffer[entry.start..entry.start + entry.len];
            match socket.send_to(datagram, entry.remote) {
                Ok(_) => {
                    sent.packets += 1;
                    sent.bytes += entry.len as u64;
                    sent.calls += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return sent,
                Err(_) => sent.dropped += 1,
            }
            sent.taken += 1;
        }
        sent
    }
}

/// The IPv6 flow label and scope are no part of a peer's identity; global addresses have no scope.
pub(crate) fn without_flow(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}
