//! One worker of the lab with what it wants done.

use std::net::SocketAddr;
use std::time::Instant;

use sanderling_sfu::{
    Event, Input, Output, Path, PeerMessage, Protocol, Worker, WorkerConfig, WorkerId,
};

/// Size of the buffer that the worker writes datagrams to.
const BUFFER: usize = 2048;

pub(crate) struct Host {
    pub address: SocketAddr,
    worker: Worker,
    wake_at: Instant,
}

/// What came of one input.
#[derive(Default)]
pub(crate) struct Produced {
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    pub events: Vec<Event>,
    pub peers: Vec<(WorkerId, PeerMessage)>,
}

impl Host {
    pub fn new(address: SocketAddr, config: WorkerConfig, now: Instant) -> Self {
        Host {
            address,
            worker: Worker::new(config, now),
            wake_at: now,
        }
    }

    pub fn wake_at(&self) -> Instant {
        self.wake_at
    }

    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The path of a datagram that comes from a client.
    pub fn path(&self, remote: SocketAddr) -> Path {
        Path {
            protocol: Protocol::Udp,
            local: self.address,
            remote,
        }
    }

    /// One mutation, then drain.
    pub fn feed(&mut self, now: Instant, input: Input<'_>, produced: &mut Produced) {
        self.worker.handle(now, input);
        let mut buffer = [0; BUFFER];
        loop {
            match self.worker.poll(now, &mut buffer) {
                Output::Transmit { path, len } => produced
                    .datagrams
                    .push((path.remote, buffer[..len].to_vec())),
                Output::Event(event) => produced.events.push(event),
                Output::Peer(worker, message) => produced.peers.push((worker, message)),
                Output::WakeAt(at) => {
                    self.wake_at = at;
                    return;
                }
            }
        }
    }
}
