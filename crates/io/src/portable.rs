//! The back end for every system: one call per datagram.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;

use crate::transmit::{Entry, MAX_DATAGRAM, Received, Sent};

/// Datagrams read before others get their turn.
const BATCH: usize = 64;
/// One byte more than is accepted, so that a longer datagram shows.
const SLOT: usize = MAX_DATAGRAM + 1;

/// Reads into its own slots, sends one by one.
pub(crate) struct Single {
    buffer: Vec<u8>,
    slots: Vec<Option<(SocketAddr, usize)>>,
}

impl Single {
    pub fn new() -> Self {
        Single {
            buffer: vec![0; BATCH * SLOT],
            slots: Vec::with_capacity(BATCH),
        }
    }

    pub fn receive(&mut self, socket: &UdpSocket) -> Received {
        self.slots.clear();
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

    pub fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let (from, len) = (*self.slots.get(index)?)?;
        Some((from, &self.buffer[index * SLOT..index * SLOT + len]))
    }

    pub fn send(&mut self, socket: &UdpSocket, buffer: &[u8], entries: &[Entry]) -> Sent {
        let mut sent = Sent::default();
        for entry in entries {
            match socket.send_to(&buffer[entry.start..entry.start + entry.len], entry.remote) {
                Ok(_) => {
                    sent.packets += 1;
                    sent.bytes += entry.len as u64;
                }
                Err(_) => sent.dropped += 1,
            }
        }
        sent
    }
}

/// The IPv6 flow label and scope are no part of a peer's identity; global addresses have no scope.
pub(crate) fn without_flow(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}
