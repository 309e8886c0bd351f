//! How long datagrams were held: a histogram of fixed size that one thread writes and anybody reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets per doubling: each is an eighth wide, so a percentile is off by 12.5 % at most.
const STEPS: u64 = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Doublings that are told apart: up to 4.2 s.
const DOUBLINGS: u64 = 19;
/// Whole microseconds up to `STEPS`, then eighths of each doubling, then everything else.
pub const BUCKETS: usize = (STEPS + STEPS * DOUBLINGS + 1) as usize;

/// Counts by delay in microseconds, since the start.
#[derive(Debug)]
pub(crate) struct AddedDelay {
    counts: [AtomicU64; BUCKETS],
}

impl Default for AddedDelay {
    fn default() -> Self {
        AddedDelay {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }
}

fn bucket(us: u64) -> usize {
    if us < STEPS {
        return us as usize;
    }
    let doubling = us.ilog2() - STEP_BITS;
    let step = (us >> doubling) & (STEPS - 1);
    let index = STEPS + u64::from(doubling) * STEPS + step;
    (index as usize).min(BUCKETS - 1)
}

/// Upper bound of each bucket in microseconds, not included; the last is infinite.
pub fn bounds_us() -> impl Iterator<Item = f64> {
    let steps = STEPS as usize;
    (1..=BUCKETS).map(move |next| {
        if next == BUCKETS {
            return f64::INFINITY;
        }
        let doubling = (next / steps).saturating_sub(1);
        let within = if next < steps {
            next
        } else {
            steps + next % steps
        };
        (within << doubling) as f64
    })
}

impl AddedDelay {
    /// Count one delay.
    pub fn record(&self, delay: Duration) {
        let us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let count = &self.counts[bucket(us)];
        // One thread writes, so load and store need not be one step.
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// Add the counts to a sum.
    pub fn add_to(&self, sum: &mut [u64; BUCKETS]) {
        for (sum, count) in sum.iter_mut().zip(&self.counts) {
            *sum += count.load(Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_delay_lies_below_its_bound_and_not_below_the_one_before() {
        let bounds: Vec<f64> = bounds_us().collect();
        assert_eq!(bounds.len(), BUCKETS);
        assert!(bounds.is_sorted());
        let mut us = 0;
        while us < 1 << 23 {
            let index = bucket(us);
            assert!((us as f64) < bounds[index], "{us}");
            assert!(index == 0 || us as f64 >= bounds[index - 1], "{us}");
            us += 1 + us / 50;
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert!(bounds[BUCKETS - 2] > 4e6);
        for pair in bounds[8..BUCKETS - 1].windows(2) {
            assert!(pair[1] / pair[0] <= 1.13, "{pair:?}");
        }
    }

    #[test]
    fn what_was_recorded_is_counted_once() {
        let delays = AddedDelay::default();
        for us in [0, 7, 8, 250, 250, 10_000_000] {
            delays.record(Duration::from_micros(us));
        }
        let mut sum = [0; BUCKETS];
        delays.add_to(&mut sum);
        assert_eq!(sum.iter().sum::<u64>(), 6);
        assert_eq!(sum[bucket(250)], 2);
        assert_eq!(sum[BUCKETS - 1], 1);
    }
}
