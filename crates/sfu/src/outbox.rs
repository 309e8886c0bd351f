//! Datagrams that wait to leave.

use sanderling_media::Path;
use sanderling_rtc::Batch;

/// Finished datagrams in one piece of memory that is kept from burst to burst.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes in use; what is behind them was used before and is kept, so that room need not be cleared again.
    end: usize,
    entries: Vec<(Path, usize, usize)>,
    next: usize,
}

impl Outbox {
    /// Copy the next datagram to the start of `buffer`. A datagram larger than the buffer is dropped.
    pub(crate) fn take(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        while let Some(&(path, start, end)) = self.entries.get(self.next) {
            self.next += 1;
            if let Some(room) = buffer.get_mut(..end - start) {
                room.copy_from_slice(&self.bytes[start..end]);
                return Some((path, end - start));
            }
        }
        self.end = 0;
        self.entries.clear();
        self.next = 0;
        None
    }
}

impl Batch for Outbox {
    fn push(&mut self, path: Path, datagram: &[u8]) {
        self.put(path, datagram.len(), |room| {
            room[..datagram.len()].copy_from_slice(datagram);
            datagram.len()
        });
    }

    fn put(&mut self, path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        let start = self.end;
        if self.bytes.len() < start + limit {
            self.bytes.resize(start + limit, 0);
        }
        let room = &mut self.bytes[start..];
        let used = write(room).min(room.len());
        if used > 0 {
            self.end = start + used;
            self.entries.push((path, start, self.end));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sanderling_media::Protocol;

    use super::*;

    #[test]
    fn datagrams_come_out_in_order_and_the_memory_is_used_again() {
        let address = "192.0.2.1:1".parse().unwrap();
        let path = Path {
            protocol: Protocol::Udp,
            local: address,
            remote: address,
        };
        let mut outbox = Outbox::default();
        let mut buffer = [0; 4];
        for _ in 0..2 {
            outbox.push(path, &[1, 2]);
            outbox.push(path, &[9; 5]);
            outbox.push(path, &[3]);
            assert_eq!(outbox.take(&mut buffer), Some((path, 2)));
            assert_eq!(buffer[..2], [1, 2]);
            assert_eq!(outbox.take(&mut buffer), Some((path, 1)));
            assert_eq!(outbox.take(&mut buffer), None);
            assert_eq!((outbox.end, outbox.entries.len()), (0, 0));
        }
    }
}
