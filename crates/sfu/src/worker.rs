//! A worker.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use sanderling_rtc::Certificate;

use crate::{Input, Output, Protocol, WorkerId};

/// What a worker is made with.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Number on this node.
    pub id: WorkerId,
    /// Secret randomness from the operating system; the same seed and inputs give the same SSRCs, ICE fragments and
    /// passwords.
    pub seed: [u8; 32],
    /// Host candidates of this worker, best first.
    pub candidates: Vec<(Protocol, SocketAddr)>,
    /// Certificate of the process.
    pub certificate: Certificate,
    /// Close a session that was silent for so long.
    pub consent_timeout: Duration,
    /// Most publishers and viewers together.
    pub max_sessions: usize,
    /// Wall clock at the `now` of [`Worker::new`].
    pub wall_clock: SystemTime,
}

/// A worker.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
}

impl Worker {
    /// Make a worker.
    pub fn new(config: WorkerConfig, _now: Instant) -> Self {
        Self { config }
    }

    /// Take in one thing.
    pub fn handle(&mut self, _now: Instant, _input: Input<'_>) {}

    /// Take the next thing to do.
    pub fn poll(&mut self, now: Instant, _buffer: &mut [u8]) -> Output {
        Output::WakeAt(now + self.config.consent_timeout)
    }
}
