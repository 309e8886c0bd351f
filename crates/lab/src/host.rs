//! One worker of the lab with what it wants done.

use std::net::SocketAddr;
use std::time::Instant;

use sanderling_sfu::{
    Batch, Event, Input, Output, Path, PeerMessage, Protocol, Worker, WorkerConfig, WorkerId,
};

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

impl Batch for Produced {
    fn push(&mut self, path: Path, datagram: &[u8]) {
        self.datagrams.push((path.remote, datagram.to_vec()));
    }
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

    /// Take in one thing; [`Host::drain`] before the clock moves.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.worker.handle(now, input);
    }

    /// Collect what came of it.
    pub fn drain(&mut self, now: Instant, produced: &mut Produced) {
        loop {
            match self.worker.poll(now, produced) {
                Output::Event(event) => produced.events.push(event),
                Output::Peer(worker, message) => produced.peers.push((worker, message)),
                Output::WakeAt(at) => {
                    self.wake_at = at;
                    return;
                }
            }
        }
    }

    /// One thing, then everything that comes of it.
    pub fn feed(&mut self, now: Instant, input: Input<'_>, produced: &mut Produced) {
        self.handle(now, input);
        self.drain(now, produced);
    }
}
