//! Totals since the start, added to by worker threads and read by anybody.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::added_delay::AddedDelay;

/// One worker's counters. Written by its thread only, once per loop turn.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub packets_in: AtomicU64,
    pub packets_out: AtomicU64,
    pub bytes_in: AtomicU64,
    pub bytes_out: AtomicU64,
    pub datagrams_dropped: AtomicU64,
    pub datagrams_late: AtomicU64,
    pub datagrams_refused: AtomicU64,
    pub flushes: AtomicU64,
    pub sends: AtomicU64,
    pub trains: AtomicU64,
    /// 1 while runs of datagrams leave as trains.
    pub segmentation: AtomicU64,
    pub added_delay: AddedDelay,
    pub sessions: AtomicU64,
    pub bindings: AtomicU64,
}

impl Counters {
    /// Add to a total.
    pub fn add(counter: &AtomicU64, amount: u64) {
        if amount > 0 {
            counter.fetch_add(amount, Relaxed);
        }
    }
}

/// Totals of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Datagrams and TCP frames received.
    pub packets_in: u64,
    /// Datagrams and TCP frames handed to the operating system.
    pub packets_out: u64,
    /// Their payload, in bytes.
    pub bytes_in: u64,
    /// Their payload, in bytes.
    pub bytes_out: u64,
    /// Datagrams and peer packets that were thrown away: too long, no room, refused by the system or by a worker.
    pub datagrams_dropped: u64,
    /// Those of them that waited too long for a socket to take them.
    pub datagrams_late: u64,
    /// Those of them that belonged to no session or that their session did not want.
    pub datagrams_refused: u64,
    /// Loop turns that sent forwarded packets over UDP; answers and reports alone are no flush.
    pub flushes: u64,
    /// System calls that sent datagrams.
    pub sends: u64,
    /// Messages among them that carried several datagrams of one peer (segmentation offload).
    pub trains: u64,
    /// Workers that send trains; the others' systems do not take them.
    pub segmentation: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Streams bound to viewers.
    pub bindings: u64,
    /// Events that wait to be taken.
    pub events_waiting: u64,
}

impl Totals {
    /// Add one worker's counters.
    pub(crate) fn include(&mut self, counters: &Counters) {
        self.packets_in += counters.packets_in.load(Relaxed);
        self.packets_out += counters.packets_out.load(Relaxed);
        self.bytes_in += counters.bytes_in.load(Relaxed);
        self.bytes_out += counters.bytes_out.load(Relaxed);
        self.datagrams_dropped += counters.datagrams_dropped.load(Relaxed);
        self.datagrams_late += counters.datagrams_late.load(Relaxed);
        self.datagrams_refused += counters.datagrams_refused.load(Relaxed);
        self.flushes += counters.flushes.load(Relaxed);
        self.sends += counters.sends.load(Relaxed);
        self.trains += counters.trains.load(Relaxed);
        self.segmentation += counters.segmentation.load(Relaxed);
        self.sessions += counters.sessions.load(Relaxed);
        self.bindings += counters.bindings.load(Relaxed);
    }
}
