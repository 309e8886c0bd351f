//! The workers' way of moving datagrams, for other programs of the product that move many.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use mio::net::UdpSocket;

use crate::config::Backend;
use crate::transmit::{Entry, MAX_DATAGRAM, Receiver, Sender};

/// No datagram waits for longer in a socket that is read at all.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Reads many datagrams per system call, from any number of sockets.
pub struct DatagramReceiver(Receiver);

impl DatagramReceiver {
    /// Make the buffers.
    pub fn new() -> Self {
        Self(Receiver::new(Backend::Native, &[]))
    }

    /// Let the system hand over datagrams of one sender together, where it can.
    pub fn prepare(&self, socket: &UdpSocket) {
        self.0.prepare(socket);
    }

    /// Read one batch of what is there and give each datagram away, with its sender and when the system received it
    /// (when it was read, where the system does not say). Returns whether the socket may hold more.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(SocketAddr, Instant, &[u8]),
    ) -> bool {
        let received = self.0.receive(socket);
        if received.count == 0 {
            return received.more;
        }
        // Stamps are of the wall clock. Both clocks are read at one moment: a pause between would be taken for time
        // on the way.
        let (now, unix) = (Instant::now(), SystemTime::now());
        let unix = unix
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        for message in (0..received.count).filter_map(|index| self.0.message(index)) {
            // A clock that was set meanwhile must not turn into a wait.
            let waited = unix
                .checked_sub(Duration::from_nanos(message.stamp_ns))
                .filter(|waited| message.stamp_ns != 0 && *waited < LONGEST_WAIT)
                .unwrap_or_default();
            let arrival = now.checked_sub(waited).unwrap_or(now);
            message
                .datagrams()
                .for_each(|datagram| each(message.remote, arrival, datagram));
        }
        received.more
    }
}

impl Default for DatagramReceiver {
    fn default() -> Self {
        Self::new()
    }
}

/// Sends datagrams back to back: runs of equal size to one address leave in one piece, where the system knows how.
pub struct DatagramSender {
    sender: Option<Sender>,
    buffer: Vec<u8>,
    entries: Vec<Entry>,
}

impl DatagramSender {
    /// Make an empty one; its memory grows to the largest burst.
    pub fn new() -> Self {
        Self {
            sender: None,
            buffer: Vec::new(),
            entries: Vec::new(),
        }
    }

    /// Add a datagram of at most 2 048 bytes; a longer one is left out.
    pub fn push(&mut self, remote: SocketAddr, datagram: &[u8]) {
        if datagram.len() > MAX_DATAGRAM {
            return;
        }
        self.entries.push(Entry {
            socket: 0,
            remote,
            start: self.buffer.len(),
            len: datagram.len(),
        });
        self.buffer.extend_from_slice(datagram);
    }

    /// Send all of them. Returns how many the system did not take; these are gone.
    pub fn send(&mut self, socket: &UdpSocket) -> usize {
        if self.entries.is_empty() {
            return 0;
        }
        let sockets = std::slice::from_ref(socket);
        let sender = self
            .sender
            .get_or_insert_with(|| Sender::new(Backend::Native, sockets));
        let sent = sender.send(socket, &self.buffer, &self.entries);
        let refused = self.entries.len() - usize::try_from(sent.packets).unwrap_or(0);
        self.entries.clear();
        self.buffer.clear();
        refused
    }
}

impl Default for DatagramSender {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bursts_arrive_whole_and_in_order_from_one_socket_to_another() {
        // The clocks tick apart by less than this.
        let start = Instant::now() - Duration::from_millis(5);
        let bind = || UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let (from, to) = (bind(), bind());
        let (mut sender, mut receiver) = (DatagramSender::new(), DatagramReceiver::new());
        receiver.prepare(&to);
        let remote = to.local_addr().unwrap();
        assert_eq!(sender.send(&from), 0);
        for round in 0..3_u8 {
            for n in 0..10 {
                sender.push(
                    remote,
                    &[round * 10 + n; 100][..if n == 9 { 40 } else { 100 }],
                );
            }
            sender.push(remote, &[0; MAX_DATAGRAM + 1]);
            assert_eq!(sender.send(&from), 0);
        }
        let mut seen = Vec::new();
        // Loopback delivers before `send` returns.
        while seen.len() < 30 {
            receiver.receive(&to, |source, arrival, datagram| {
                assert_eq!(source, from.local_addr().unwrap());
                assert!((start..=Instant::now()).contains(&arrival));
                seen.push((datagram[0], datagram.len()));
            });
        }
        let expected: Vec<_> = (0..30)
            .map(|n| (n, if n % 10 == 9 { 40 } else { 100 }))
            .collect();
        assert_eq!(seen, expected);
    }
}
