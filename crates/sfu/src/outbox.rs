//! Datagrams that wait to leave.

use sanderling_media::Path;
use sanderling_rtc::{Batch, MAX_DATAGRAM};

/// Memory that is kept from burst to burst, bytes. What is forwarded before a command changes who gets it may be many
/// packets for each of thousands of viewers.
const KEPT: usize = 256 << 10;

/// Finished datagrams in one piece of memory that is kept from burst to burst. Forwarded packets do not come by here:
/// they are written to where they leave from.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes in use; what is behind them was used before and is kept, so that room need not be cleared again.
    end: usize,
    entries: Vec<(Path, usize, usize)>,
}

impl Outbox {
    /// Room for one datagram of [`MAX_DATAGRAM`] bytes; [`Outbox::commit`] keeps what was written to it.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.reserve(MAX_DATAGRAM)
    }

    fn reserve(&mut self, limit: usize) -> &mut [u8] {
        if self.bytes.len() < self.end + limit {
            self.bytes.resize(self.end + limit, 0);
        }
        &mut self.bytes[self.end..self.end + limit]
    }

    /// Keep the first `len` bytes of [`Outbox::room`].
    pub(crate) fn commit(&mut self, path: Path, len: usize) {
        let start = self.end;
        self.end = (start + len).min(self.bytes.len());
        self.entries.push((path, start, self.end));
    }

    /// Move everything to `batch`, oldest first.
    pub(crate) fn empty_into<B: Batch>(&mut self, batch: &mut B) {
        for (path, start, end) in self.entries.drain(..) {
            batch.push(path, &self.bytes[start..end]);
        }
        self.end = 0;
        if self.bytes.len() > KEPT {
            *self = Self::default();
        }
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
        let used = write(self.reserve(limit)).min(limit);
        if used > 0 {
            self.commit(path, used);
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
        #[derive(Default)]
        struct Lengths(Vec<usize>);
        impl Batch for Lengths {
            fn push(&mut self, _path: Path, datagram: &[u8]) {
                self.0.push(datagram.len());
            }
        }
        let mut outbox = Outbox::default();
        for _ in 0..2 {
            outbox.push(path, &[1, 2]);
            outbox.put(path, 9, |_| 0);
            outbox.room()[..3].fill(7);
            outbox.commit(path, 3);
            outbox.push(path, &[3]);
            assert_eq!(outbox.bytes[..6], [1, 2, 7, 7, 7, 3]);
            let mut lengths = Lengths::default();
            outbox.empty_into(&mut lengths);
            assert_eq!(lengths.0, [2, 3, 1]);
            assert_eq!((outbox.end, outbox.entries.len()), (0, 0));
        }
        for _ in 0..=KEPT / 1_000 {
            outbox.push(path, &[1; 1_000]);
        }
        let mut lengths = Lengths::default();
        outbox.empty_into(&mut lengths);
        assert_eq!(lengths.0.len(), KEPT / 1_000 + 1);
        let kept = outbox.bytes.capacity() + outbox.entries.capacity();
        assert_eq!(kept, 0, "a large burst's memory is given back");
    }
}
