//! Rate at which packets arrive, by the receiver's clock.

/// Time of one sum, milliseconds.
const SLICE_MS: f64 = 50.0;
/// Sums that make a rate, and one that is not whole yet.
const SLICES: usize = 11;
/// Whole sums that a first rate needs.
const LEAST: i64 = 3;

/// Bytes of the last half second.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    bytes: [u32; SLICES],
    /// First and last slice in use, counted from the receiver's first reference time.
    range: Option<(i64, i64)>,
}

fn place(slice: i64) -> usize {
    slice.rem_euclid(SLICES as i64) as usize
}

impl Delivery {
    /// A packet arrived at a time of the receiver's, milliseconds.
    pub(super) fn packet(&mut self, arrived_ms: f64, size: u16) {
        let slice = (arrived_ms / SLICE_MS).floor() as i64;
        let (first, last) = self.range.unwrap_or((slice, slice));
        let gap = slice - last;
        if gap.unsigned_abs() >= SLICES as u64 {
            // A pause, or another clock: what was before does not count.
            self.bytes = [0; SLICES];
            self.range = Some((slice, slice));
        } else {
            for new in last + 1..=slice {
                self.bytes[place(new)] = 0;
            }
            self.range = Some((first.min(slice), last.max(slice)));
        }
        let sum = &mut self.bytes[place(slice)];
        *sum = sum.saturating_add(u32::from(size));
    }

    /// Bits per second over the whole slices; `None` while they are too few.
    pub(super) fn bits_per_second(&self) -> Option<f64> {
        let (first, last) = self.range?;
        let whole = (last - first).min(SLICES as i64 - 1);
        if whole < LEAST {
            return None;
        }
        let sum: u64 = (last - whole..last)
            .map(|slice| u64::from(self.bytes[place(slice)]))
            .sum();
        Some(sum as f64 * 8_000.0 / (whole as f64 * SLICE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_by_table() {
        // (packets as (ms, bytes), bits per second)
        type Row = (&'static [(f64, u16)], Option<f64>);
        let rows: [Row; 6] = [
            (&[], None),
            (&[(0.0, 1_000), (149.0, 1_000)], None),
            (&[(0.0, 1_000), (150.0, 1_000)], Some(1_000.0 * 8.0 / 0.15)),
            (
                &[(0.0, 1_000), (100.0, 500), (220.0, 1), (140.0, 500)],
                Some(2_000.0 * 8.0 / 0.2),
            ),
            // A pause begins anew, and so does a clock that jumps back.
            (
                &[(0.0, 60_000), (160.0, 1), (9_000.0, 1_000), (9_150.0, 9)],
                Some(1_000.0 * 8.0 / 0.15),
            ),
            (
                &[(9_000.0, 60_000), (0.0, 1_000), (150.0, 9)],
                Some(1_000.0 * 8.0 / 0.15),
            ),
        ];
        for (packets, expected) in rows {
            let mut delivery = Delivery::default();
            for (at, size) in packets {
                delivery.packet(*at, *size);
            }
            assert_eq!(delivery.bits_per_second(), expected, "{packets:?}");
        }
        let mut delivery = Delivery::default();
        for ms in 0..5_000 {
            delivery.packet(f64::from(ms), 125);
        }
        assert_eq!(delivery.bits_per_second(), Some(1_000_000.0));
    }
}
