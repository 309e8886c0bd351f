//! Where a session's datagrams leave.

use std::net::SocketAddr;

use mio::net::UdpSocket;
use sanderling_io::DatagramSender;
use sanderling_rtc::MAX_DATAGRAM;

/// A socket and room for one datagram.
pub(crate) struct Exit<'a> {
    pub socket: &'a UdpSocket,
    pub buffer: &'a mut [u8; MAX_DATAGRAM],
    /// Datagrams that shall leave back to back.
    pub burst: &'a mut DatagramSender,
    /// Datagrams that the system did not take.
    pub refused: &'a mut u64,
}

impl Exit<'_> {
    /// Send the first `len` bytes of the buffer.
    pub(crate) fn send(&mut self, to: SocketAddr, len: usize) {
        // A full buffer or a missing route loses a datagram, as any network may.
        if self.socket.send_to(&self.buffer[..len], to).is_err() {
            *self.refused += 1;
        }
    }

    /// Put the first `len` bytes of the buffer to the burst.
    pub(crate) fn queue(&mut self, to: SocketAddr, len: usize) {
        self.burst.push(to, &self.buffer[..len]);
    }

    /// Send the burst. Returns how many datagrams the system did not take.
    pub(crate) fn send_burst(&mut self) -> u64 {
        let refused = self.burst.send(self.socket) as u64;
        *self.refused += refused;
        refused
    }
}

/// Translates to the caller's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub epoch: std::time::Instant,
    /// What the caller's clock showed at the epoch, nanoseconds.
    pub epoch_ns: u64,
}

impl Clock {
    /// Nanoseconds of the caller's clock.
    pub(crate) fn ns(&self, at: std::time::Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        self.epoch_ns
            .saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}
