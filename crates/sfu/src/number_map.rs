//! Maps whose keys are numbers that the control plane chose.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map by session, stream or timer. No peer chooses these numbers, so they need no keyed hash; there is one look-up
/// per viewer and burst.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Multiplies each part by an odd constant (the golden ratio times 2^64, as Fibonacci hashing does) and brings the
/// high bits, which depend on all of the number, down to where the map takes its bucket from.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, Hash};

    use super::*;
    use crate::{SessionId, StreamId, schedule::Timer};

    fn spread<K: Hash>(keys: impl Iterator<Item = K>) -> usize {
        let build = BuildHasherDefault::<NumberHasher>::default();
        let buckets: HashSet<u64> = keys.map(|key| build.hash_one(key) & 0xfff).collect();
        buckets.len()
    }

    #[test]
    fn neighbouring_and_strided_numbers_land_in_different_buckets() {
        // 2^12 balls in 2^12 buckets fill about 63 % of them when thrown at random.
        for stride in [1, 2, 256, 1 << 16, 1 << 32, 1_000_003] {
            let sessions = (0..4096).map(|n| SessionId(n * stride));
            assert!(spread(sessions) > 2000, "stride {stride}");
            let timers = (0..4096).map(|n| Timer::KeyFrame(StreamId(n * stride)));
            assert!(spread(timers) > 2000, "timers, stride {stride}");
        }
    }
}
