//! Transport-wide feedback on the wire (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1).

/// Arrival times and their differences are in quarters of a millisecond.
pub(super) const TICKS_PER_MS: f64 = 4.0;
/// Ticks of one step of the reference time: 64 ms.
const REFERENCE: i64 = 256;

/// Symbols of a packet's status.
const LOST: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// One message of feedback.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrivals<'a> {
    /// Number of the first packet it speaks of.
    first: u16,
    count: u16,
    /// Reference time, 24 bits with a sign, 64 ms each.
    reference: i32,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

impl<'a> Arrivals<'a> {
    /// Read a message without its RTCP header. `None` when it is cut short before its packets.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let [b0, b1, c0, c1, r0, r1, r2, _, rest @ ..] = message else {
            return None;
        };
        let count = u16::from_be_bytes([*c0, *c1]);
        let mut covered = 0;
        let mut chunks = 0;
        while covered < u32::from(count) {
            let chunk = rest.get(chunks..chunks + 2)?;
            covered += u32::from(length(u16::from_be_bytes([chunk[0], chunk[1]])));
            chunks += 2;
            // A run of nothing covers nothing: whoever sends one after the other means no good.
            if covered == 0 {
                return None;
            }
        }
        let (chunks, deltas) = rest.split_at(chunks);
        Some(Self {
            first: u16::from_be_bytes([*b0, *b1]),
            count,
            reference: i32::from_be_bytes([*r0, *r1, *r2, 0]) >> 8,
            chunks,
            deltas,
        })
    }

    /// Reference time, 24 bits with a sign.
    pub(super) fn reference(&self) -> i32 {
        self.reference
    }

    /// Each packet's number, and the ticks from the reference time to its arrival if it came. It ends early where the
    /// message does.
    pub(super) fn packets(&self) -> impl Iterator<Item = (u16, Option<i64>)> + use<'a> {
        let (first, mut deltas, mut at) = (self.first, self.deltas, 0_i64);
        symbols(self.chunks, self.count).map_while(move |(offset, symbol)| {
            let size = match symbol {
                LOST => return Some((first.wrapping_add(offset), None)),
                SMALL => 1,
                LARGE => 2,
                _ => return None,
            };
            let (delta, rest) = deltas.split_at_checked(size)?;
            deltas = rest;
            at += match *delta {
                [small] => i64::from(small),
                [high, low] => i64::from(i16::from_be_bytes([high, low])),
                _ => 0,
            };
            Some((first.wrapping_add(offset), Some(at)))
        })
    }
}

/// Packets that a chunk speaks of: a run, 14 of one bit, or 7 of two.
fn length(chunk: u16) -> u16 {
    match chunk >> 14 {
        0 | 1 => chunk & 0x1fff,
        2 => 14,
        _ => 7,
    }
}

/// Offset and symbol of `count` packets; fewer when the chunks are cut short.
fn symbols(chunks: &[u8], count: u16) -> impl Iterator<Item = (u16, u8)> {
    let symbols = chunks.chunks_exact(2).flat_map(|chunk| {
        let chunk = u16::from_be_bytes([chunk[0], chunk[1]]);
        (0..length(chunk)).map(move |at| {
            let symbol = match chunk >> 14 {
                0 | 1 => chunk >> 13 & 3,
                2 => chunk >> (13 - at) & 1,
                _ => chunk >> (12 - 2 * at) & 3,
            };
            symbol as u8
        })
    });
    (0..count).zip(symbols)
}

/// Reference times as one clock that does not wrap.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<(i32, i64)>,
}

impl Clock {
    /// Ticks of a reference time, counted from the first one.
    pub(super) fn ticks(&mut self, reference: i32) -> i64 {
        let steps = match self.last {
            None => 0,
            // The difference of two 24-bit numbers, with its sign.
            Some((last, steps)) => steps + i64::from((reference.wrapping_sub(last) << 8) >> 8),
        };
        self.last = Some((reference, steps));
        steps * REFERENCE
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn chunks_by_table() {
        // (chunks, count, symbols)
        let rows: [(&[u8], u16, &[u8]); 5] = [
            (&[0x20, 3], 3, &[1; 3]),
            (&[0x00, 3], 3, &[0; 3]),
            (
                &[0xa0, 0x01],
                14,
                &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            ),
            (&[0xd5, 0x00, 0x40, 2], 9, &[1, 1, 1, 0, 0, 0, 0, 2, 2]),
            (&[0x20], 3, &[]),
        ];
        for (chunks, count, expected) in rows {
            let read: Vec<u8> = symbols(chunks, count).map(|(_, symbol)| symbol).collect();
            assert_eq!(read, expected, "{chunks:02x?}");
        }
    }

    #[test]
    fn arrivals_add_up_their_differences() {
        // Small, lost, large backwards, small; then the deltas are at their end.
        let message = [
            0xff, 0xff, 0, 5, 0xff, 0xff, 0xfe, 9, 0xd2, 0x50, 4, 0xff, 0xfe, 7,
        ];
        let arrivals = Arrivals::read(&message).unwrap();
        assert_eq!(arrivals.reference(), -2);
        let packets: Vec<_> = arrivals.packets().collect();
        let expected = [(0xffff, Some(4)), (0, None), (1, Some(2)), (2, Some(9))];
        assert_eq!(packets, expected, "the fifth has no delta");
        for cut in 0..10 {
            assert!(Arrivals::read(&message[..cut]).is_none(), "{cut}");
        }
        assert!(Arrivals::read(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        // The reserved symbol.
        let reserved = [0, 0, 0, 1, 0, 0, 0, 0, 0x60, 1, 5];
        assert_eq!(Arrivals::read(&reserved).unwrap().packets().count(), 0);
    }

    #[test]
    fn reference_times_wrap() {
        let mut clock = Clock::default();
        assert_eq!(clock.ticks(0x7f_fffe), 0);
        assert_eq!(clock.ticks(-0x80_0000), 2 * REFERENCE);
        assert_eq!(clock.ticks(0x7f_ffff), REFERENCE);
    }
}
