//! What transport-wide feedback says of the path (draft-holmer-rmcat-transport-wide-cc-extensions-01).

/// Packets that are remembered until feedback comes: 0.6 s at 8 Mb/s.
const REMEMBERED: usize = 512;
/// Time over which a rate is taken, milliseconds.
const WINDOW_MS: u32 = 500;

/// One packet that left.
#[derive(Debug, Clone, Copy, Default)]
struct Departure {
    number: u16,
    /// Bytes; 0 when nothing is known.
    size: u16,
}

/// Numbers of the packets that leave, and how many of them came.
#[derive(Debug)]
pub(super) struct Estimate {
    next: u16,
    departures: Box<[Departure; REMEMBERED]>,
    window_ms: Option<u32>,
    bytes: u64,
    received: u64,
    lost: u64,
    /// Rate and loss of the last whole window.
    result: Option<(f64, f64)>,
    /// The receiver's own estimate, bits per second, where it sends one.
    pub(super) remote: Option<u64>,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            next: 0,
            departures: Box::new([Departure::default(); REMEMBERED]),
            window_ms: None,
            bytes: 0,
            received: 0,
            lost: 0,
            result: None,
            remote: None,
        }
    }
}

impl Estimate {
    /// Number of the next packet.
    pub(super) fn next(&self) -> u16 {
        self.next
    }

    /// The packet with the next number left.
    pub(super) fn departed(&mut self, size: usize) {
        self.departures[usize::from(self.next) % REMEMBERED] = Departure {
            number: self.next,
            size: size.min(usize::from(u16::MAX)) as u16,
        };
        self.next = self.next.wrapping_add(1);
    }

    /// Take in feedback, without its RTCP header.
    pub(super) fn feedback(&mut self, now_ms: u32, message: &[u8]) {
        let [b0, b1, c0, c1, _, _, _, _, chunks @ ..] = message else {
            return;
        };
        let first = u16::from_be_bytes([*b0, *b1]);
        let count = u16::from_be_bytes([*c0, *c1]);
        for (number, received) in statuses(chunks, count) {
            self.status(first.wrapping_add(number), received);
        }
        let begin = *self.window_ms.get_or_insert(now_ms);
        let elapsed = now_ms.wrapping_sub(begin);
        let all = self.received + self.lost;
        if elapsed >= WINDOW_MS && all > 0 {
            let rate = self.bytes as f64 * 8_000.0 / f64::from(elapsed);
            self.result = Some((rate, self.lost as f64 / all as f64));
            (self.bytes, self.received, self.lost) = (0, 0, 0);
            self.window_ms = Some(now_ms);
        }
    }

    fn status(&mut self, number: u16, received: bool) {
        let departure = &mut self.departures[usize::from(number) % REMEMBERED];
        // Each packet is counted once, whatever is said of it later.
        if departure.number != number || departure.size == 0 {
            return;
        }
        let size = std::mem::take(&mut departure.size);
        if received {
            self.received += 1;
            self.bytes += u64::from(size);
        } else {
            self.lost += 1;
        }
    }

    /// Bits per second that reached the viewer, or its own estimate.
    pub(super) fn bits_per_second(&self) -> Option<f64> {
        let measured = self.result.map(|(rate, _)| rate);
        measured.or(self.remote.map(|rate| rate as f64))
    }

    /// Share of packets that got lost, 0 to 1.
    pub(super) fn loss(&self) -> Option<f64> {
        self.result.map(|(_, loss)| loss)
    }
}

/// Offset and arrival of `count` packets from the chunks of a message; fewer when it is cut short.
fn statuses(chunks: &[u8], count: u16) -> impl Iterator<Item = (u16, bool)> {
    let symbols = chunks.chunks_exact(2).flat_map(|chunk| {
        let chunk = u16::from_be_bytes([chunk[0], chunk[1]]);
        // Run length, or a vector of 14 symbols of one bit, or of 7 of two.
        let (length, symbol): (u16, fn(u16, u16) -> bool) = match chunk >> 14 {
            0 | 1 => (chunk & 0x1fff, |chunk, _| chunk >> 13 & 3 != 0),
            2 => (14, |chunk, at| chunk >> (13 - at) & 1 != 0),
            _ => (7, |chunk, at| chunk >> (12 - 2 * at) & 3 != 0),
        };
        (0..length).map(move |at| symbol(chunk, at))
    });
    (0..count).zip(symbols)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn chunks_by_table() {
        // (chunks, count, arrivals)
        let rows: [(&[u8], u16, &[bool]); 5] = [
            (&[0x20, 3], 3, &[true; 3]),
            (&[0x00, 3], 3, &[false; 3]),
            (
                &[0xa0, 0x01],
                14,
                &[
                    true, false, false, false, false, false, false, false, false, false, false,
                    false, false, true,
                ],
            ),
            (
                &[0xd5, 0x00, 0x40, 2],
                9,
                &[true, true, true, false, false, false, false, true, true],
            ),
            (&[0x20], 3, &[]),
        ];
        for (chunks, count, expected) in rows {
            let read: Vec<bool> = statuses(chunks, count).map(|(_, came)| came).collect();
            assert_eq!(read, expected, "{chunks:02x?}");
        }
    }

    #[test]
    fn rate_and_loss_are_those_of_the_last_window() {
        let mut estimate = Estimate {
            next: u16::MAX - 1,
            ..Estimate::default()
        };
        for window in 0..3_u32 {
            let first = estimate.next().to_be_bytes();
            for _ in 0..4 {
                estimate.departed(1_000);
            }
            // Three came, one got lost.
            let message = [first[0], first[1], 0, 4, 0, 0, 0, 0, 0x20, 3, 0x00, 1];
            estimate.feedback(window * 500, &message);
            estimate.feedback(window * 500, &message);
        }
        assert_eq!(estimate.loss(), Some(0.25));
        // Two windows of feedback fall into the first half second.
        assert_eq!(estimate.bits_per_second(), Some(3_000.0 * 8.0 * 2.0));
    }

    #[test]
    fn the_receivers_own_estimate_stands_in() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.bits_per_second(), None);
        estimate.remote = Some(300_000);
        assert_eq!(estimate.bits_per_second(), Some(300_000.0));
        estimate.feedback(0, &[0, 1, 2]);
        estimate.feedback(0, &[0, 9, 0xff, 0xff, 0, 0, 0, 0, 0x3f, 0xff]);
        assert_eq!(estimate.loss(), None, "nothing is known of these numbers");
    }
}
