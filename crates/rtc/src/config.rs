//! What a session is made with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sanderling_media::{Codec, Protocol};

use crate::certificate::Certificate;
use crate::random::Random;

/// What every session of a worker is made with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Certificate of the process.
    pub certificate: Certificate,
    /// Host candidates, best first.
    pub candidates: Arc<[(Protocol, SocketAddr)]>,
    /// The node's wall clock.
    pub wall_clock: WallClock,
    /// Chance of this session alone.
    pub random: Random,
    /// Video codecs that a publisher is answered with, best first, where it offers them; the others come after, in the
    /// order of the offer.
    pub codecs: Vec<Codec>,
}

/// The node's wall clock, as a moment that is known on both clocks. Nothing here reads a clock.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    instant: Instant,
    unix: Duration,
}

impl WallClock {
    /// The wall clock shows `time` at `instant`.
    pub fn new(instant: Instant, time: SystemTime) -> Self {
        Self {
            instant,
            unix: time
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Nanoseconds of Unix time at an instant.
    pub fn unix_ns(&self, at: Instant) -> i64 {
        let base = i64::try_from(self.unix.as_nanos()).unwrap_or(i64::MAX);
        let later = i64::try_from(at.saturating_duration_since(self.instant).as_nanos())
            .unwrap_or(i64::MAX);
        let earlier = i64::try_from(self.instant.saturating_duration_since(at).as_nanos())
            .unwrap_or(i64::MAX);
        base.saturating_add(later).saturating_sub(earlier)
    }

    /// The instant at which the wall clock shows a time; `None` where the monotonic clock cannot express it.
    pub fn instant(&self, unix_ns: i64) -> Option<Instant> {
        let base = i64::try_from(self.unix.as_nanos()).ok()?;
        let distance = Duration::from_nanos(unix_ns.abs_diff(base));
        if unix_ns >= base {
            self.instant.checked_add(distance)
        } else {
            self.instant.checked_sub(distance)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_runs_with_the_monotonic_one_both_ways() {
        let start = Instant::now();
        let clock = WallClock::new(start, SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        assert_eq!(clock.unix_ns(start), 1_000_000_000_000);
        assert_eq!(
            clock.unix_ns(start + Duration::from_millis(5)),
            1_000_005_000_000
        );
        let later = start + Duration::from_secs(3);
        assert_eq!(clock.instant(clock.unix_ns(later)).unwrap(), later);
    }
}
