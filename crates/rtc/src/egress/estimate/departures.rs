//! Packets that left and are not accounted for yet, by their transport-wide number.

/// Records at first and at most; the ring grows until it reaches back [`REACH`]. The most are half a second at 20 Mb/s.
const LEAST: usize = 256;
const MOST: usize = 1024;
/// Time that feedback may take to come back, units of [`UNITS_PER_SECOND`].
const REACH: u16 = (UNITS_PER_SECOND / 2) as u16;
/// Departure times are in 4096ths of a second, and wrap after sixteen.
const UNITS_PER_SECOND: u32 = 1 << 12;

/// One packet that left, 4 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Departure {
    at: u16,
    /// Bytes; 0 when nothing is known of the number, or feedback on it came already.
    size: u16,
}

/// The last packets that left.
#[derive(Debug)]
pub(super) struct Departures {
    next: u16,
    records: Box<[Departure]>,
}

impl Default for Departures {
    fn default() -> Self {
        Self {
            next: 0,
            records: vec![Departure::default(); LEAST].into(),
        }
    }
}

impl Departures {
    /// Number of the next packet.
    #[inline]
    pub(super) fn next(&self) -> u16 {
        self.next
    }

    /// Read the record of the next packet.
    pub(super) fn warm(&self) -> u64 {
        u64::from(self.records[self.place(self.next)].at)
    }

    fn place(&self, number: u16) -> usize {
        usize::from(number) & (self.records.len() - 1)
    }

    /// The packet with the next number left. `send_time` is in 6.18 fixed-point seconds, as headers have it.
    #[inline]
    pub(super) fn push(&mut self, send_time: u32, size: usize) {
        let at = (send_time >> 6) as u16;
        let mut place = self.place(self.next);
        let old = self.records[place];
        if old.size != 0 && at.wrapping_sub(old.at) < REACH && self.records.len() < MOST {
            self.grow();
            place = self.place(self.next);
        }
        self.records[place] = Departure {
            at,
            size: size.min(usize::from(u16::MAX)) as u16,
        };
        self.next = self.next.wrapping_add(1);
    }

    #[cold]
    fn grow(&mut self) {
        let length = self.records.len();
        let grown = vec![Departure::default(); length * 2].into();
        let old = std::mem::replace(&mut self.records, grown);
        for back in 1..=length as u16 {
            let number = self.next.wrapping_sub(back);
            let place = self.place(number);
            self.records[place] = old[usize::from(number) & (length - 1)];
        }
    }

    /// Feedback came on a packet: milliseconds from its departure to `send_time`, and its size. Only once for each.
    pub(super) fn take(&mut self, number: u16, send_time: u32) -> Option<(f64, u16)> {
        let back = usize::from(self.next.wrapping_sub(number));
        if back == 0 || back > self.records.len() {
            return None;
        }
        let place = self.place(number);
        let record = &mut self.records[place];
        let size = std::mem::take(&mut record.size);
        let age = ((send_time >> 6) as u16).wrapping_sub(record.at);
        let age_ms = f64::from(age) * 1_000.0 / f64::from(UNITS_PER_SECOND);
        (size != 0).then_some((age_ms, size))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 6.18 fixed-point seconds.
    fn seconds(ms: u64) -> u32 {
        (((ms % 64_000) << 18) / 1_000) as u32
    }

    #[test]
    fn feedback_is_taken_once() {
        let mut departures = Departures::default();
        departures.push(seconds(63_900), 1_200);
        let (age, size) = departures.take(0, seconds(64_100)).unwrap();
        assert!((age - 200.0).abs() < 0.5, "{age}");
        assert_eq!(size, 1_200);
        assert!(departures.take(0, seconds(64_100)).is_none());
        assert!(
            departures.take(1, seconds(64_100)).is_none(),
            "not sent yet"
        );
        assert!(departures.take(65_535, seconds(64_100)).is_none());
    }

    #[test]
    fn the_ring_reaches_back_half_a_second_and_is_bounded() {
        // (packets a second, records)
        for (rate, length) in [
            (50, 256),
            (500, 256),
            (1_000, 512),
            (2_000, 1_024),
            (90_000, MOST),
        ] {
            let mut departures = Departures {
                next: 65_000,
                ..Departures::default()
            };
            for number in 0..3 * rate {
                departures.push(seconds(number * 1_000 / rate), 100);
            }
            assert_eq!(departures.records.len(), length, "{rate}");
            let oldest = departures.next().wrapping_sub(length as u16);
            let now = seconds(3_000);
            assert!(departures.take(oldest.wrapping_sub(1), now).is_none());
            if 3 * rate >= length as u64 {
                assert!(departures.take(oldest, now).is_some(), "{rate}");
            }
        }
    }
}
