//! Bare sending.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;

use crate::bench::cpu_time;
use crate::config::{Backend, StartError};
use crate::sockets::bind_udp;
use crate::transmit::{Entry, MAX_DATAGRAM, Sender};

/// Most datagrams to one address in one flush.
const MOST_PER_FLUSH: usize = 64;

/// What to send.
#[derive(Debug, Clone)]
pub struct FloorConfig {
    /// Who gets it; all of one family.
    pub addresses: Vec<SocketAddr>,
    /// Length of each datagram, bytes.
    pub size: usize,
    /// Datagrams to each address in one flush.
    pub per_flush: usize,
    /// Address to send from.
    pub listen: IpAddr,
    /// Whether runs to one address may leave as trains.
    pub segmentation: bool,
}

/// What was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Floor {
    /// Datagrams handed to the system.
    pub packets: u64,
    /// Datagrams that it refused.
    pub dropped: u64,
    /// Their payload.
    pub bytes: u64,
    /// Rounds over all addresses.
    pub flushes: u64,
    /// System calls.
    pub sends: u64,
    /// Messages of several datagrams.
    pub trains: u64,
    /// Whether trains were in use at the end.
    pub segmentation: bool,
    /// Processor time of the sending thread.
    pub cpu: Duration,
    /// Time on the clock.
    pub elapsed: Duration,
}

/// A socket with one flush, prepared.
pub struct SendFloor {
    socket: UdpSocket,
    sender: Sender,
    buffer: Vec<u8>,
    entries: Vec<Entry>,
    total: Floor,
}

impl SendFloor {
    /// Bind the socket.
    pub fn new(config: &FloorConfig) -> Result<Self, StartError> {
        let bad = |text: String| Err(StartError::BadArgument(text));
        if config.addresses.is_empty() {
            return bad("addresses: at least one is needed".to_owned());
        }
        if config.size == 0 || config.size > MAX_DATAGRAM {
            return bad(format!(
                "size must be 1 to {MAX_DATAGRAM} bytes, not {}",
                config.size
            ));
        }
        if config.per_flush == 0 || config.per_flush > MOST_PER_FLUSH {
            return bad(format!(
                "per_flush must be 1 to {MOST_PER_FLUSH}, not {}",
                config.per_flush
            ));
        }
        let family = config.listen.is_ipv4();
        if let Some(other) = config.addresses.iter().find(|a| a.is_ipv4() != family) {
            return bad(format!(
                "{other} cannot be reached from {}: one is IPv4 and one is IPv6",
                config.listen
            ));
        }
        let socket = bind_udp(config.listen, 0)
            .map_err(|error| StartError::System("cannot bind a UDP socket".to_owned(), error))?;
        let socket = UdpSocket::from_std(socket);
        let mut sender = Sender::new(Backend::Native, std::slice::from_ref(&socket));
        if !config.segmentation {
            sender.stop_segmenting();
        }
        // Each datagram has its own bytes, as a forward's have: memory that is read once is part of the price.
        let count = config.addresses.len() * config.per_flush;
        let remotes = config
            .addresses
            .iter()
            .flat_map(|address| std::iter::repeat_n(*address, config.per_flush));
        let entry = |(index, remote)| Entry {
            socket: 0,
            remote,
            start: index * config.size,
            len: config.size,
        };
        Ok(SendFloor {
            socket,
            sender,
            buffer: vec![0x80; count * config.size],
            entries: remotes.enumerate().map(entry).collect(),
            total: Floor::default(),
        })
    }

    /// Send for so long, and say what was sent since the beginning.
    pub fn run(&mut self, time: Duration) -> io::Result<Floor> {
        let (begin, cpu) = (Instant::now(), cpu_time());
        while begin.elapsed() < time {
            let mut entries = &self.entries[..];
            while !entries.is_empty() {
                let sent = self.sender.send(&self.socket, &self.buffer, entries);
                // A full buffer is somebody else's limit: the floor goes on with the next datagram.
                let full = usize::from(sent.taken < entries.len());
                self.total.packets += sent.packets;
                self.total.bytes += sent.bytes;
                self.total.dropped += sent.dropped + full as u64;
                self.total.sends += sent.calls;
                self.total.trains += sent.trains;
                entries = &entries[sent.taken + full..];
            }
            self.total.flushes += 1;
        }
        self.total.segmentation = self.sender.segments();
        self.total.cpu += cpu_time().saturating_sub(cpu);
        self.total.elapsed += begin.elapsed();
        Ok(self.total)
    }
}
