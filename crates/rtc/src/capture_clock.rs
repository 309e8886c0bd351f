//! From a publisher's clock to the node's.

use std::time::{Duration, Instant};

use crate::config::WallClock;

/// Reports that the smallest offset is taken over. At one report a second and stream it follows clocks that drift
/// apart, and a single report on a fast path is not forgotten at once.
const WINDOW: usize = 16;

/// Maps sender-report time (RFC 3550 section 6.4.1) of one publisher to the node's clock.
///
/// All streams of a publisher report on one wall clock, so one offset serves them all: the difference between its
/// audio and its video is kept exactly. The smallest offset seen is the one with the least network delay in it.
#[derive(Debug, Default)]
pub(crate) struct CaptureClock {
    offsets: Vec<i64>,
    next: usize,
}

/// RTP timestamp and publisher's wall clock of the last report on one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    rtp: u32,
    sender_ns: i64,
}

impl CaptureClock {
    /// A report came in: the publisher's clock showed `sender_ns` (Unix time) when its stream was at `rtp`.
    pub(crate) fn report(
        &mut self,
        rtp: u32,
        sender_ns: i64,
        received: Instant,
        wall: &WallClock,
    ) -> Reference {
        let offset = wall.unix_ns(received).saturating_sub(sender_ns);
        if self.offsets.len() < WINDOW {
            self.offsets.push(offset);
        } else {
            self.offsets[self.next] = offset;
            self.next = (self.next + 1) % WINDOW;
        }
        Reference { rtp, sender_ns }
    }

    /// Nanoseconds to add to the publisher's clock; `None` before the first report.
    pub(crate) fn offset(&self) -> Option<i64> {
        self.offsets.iter().min().copied()
    }

    /// When the media of an RTP timestamp was captured, never after its arrival. Before the first report that is the
    /// arrival itself.
    pub(crate) fn captured(
        &self,
        reference: Option<Reference>,
        rtp: u32,
        clock_rate: u32,
        arrival: Instant,
        wall: &WallClock,
    ) -> Instant {
        let (Some(reference), Some(offset)) = (reference, self.offset()) else {
            return arrival;
        };
        // Signed distance, so that it may lie on either side of the report (RFC 3550 timestamps wrap).
        let ticks = i64::from(rtp.wrapping_sub(reference.rtp).cast_signed());
        let distance_ns = ticks.saturating_mul(1_000_000_000) / i64::from(clock_rate);
        let unix_ns = reference
            .sender_ns
            .saturating_add(distance_ns)
            .saturating_add(offset);
        let captured = wall.instant(unix_ns).unwrap_or(arrival);
        // A report that makes no sense must not hold media back: nothing live is older than ten seconds.
        let oldest = arrival
            .checked_sub(Duration::from_secs(10))
            .unwrap_or(arrival);
        if captured < oldest {
            arrival
        } else {
            captured.min(arrival)
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn wall(start: Instant) -> WallClock {
        WallClock::new(start, SystemTime::UNIX_EPOCH + Duration::from_secs(50_000))
    }

    #[test]
    fn audio_and_video_of_a_publisher_keep_their_distance() {
        let start = Instant::now();
        let wall = wall(start);
        let mut clock = CaptureClock::default();
        // The publisher's clock is 7 s ahead; its reports take 30 and 80 ms.
        let ahead = 7_000_000_000;
        let at = |ms: u64| start + Duration::from_millis(ms);
        let audio = clock.report(48_000, wall.unix_ns(at(0)) + ahead, at(80), &wall);
        let video = clock.report(90_000, wall.unix_ns(at(10)) + ahead, at(40), &wall);
        let sound = clock.captured(Some(audio), 48_000 + 4_800, 48_000, at(200), &wall);
        let picture = clock.captured(Some(video), 90_000 + 9_000, 90_000, at(200), &wall);
        // 100 ms after their references, which were 10 ms apart; the fast report (30 ms) sets the delay.
        assert_eq!(picture - sound, Duration::from_millis(10));
        assert_eq!(sound - start, Duration::from_millis(130));
    }

    #[test]
    fn nothing_is_captured_after_it_arrived_or_long_before() {
        let start = Instant::now() + Duration::from_secs(60);
        let wall = wall(start);
        let mut clock = CaptureClock::default();
        assert_eq!(clock.captured(None, 5, 90_000, start, &wall), start);
        let reference = clock.report(0, wall.unix_ns(start), start, &wall);
        assert_eq!(
            clock.captured(Some(reference), 90_000, 90_000, start, &wall),
            start
        );
        let wild = clock.captured(
            Some(reference),
            0_u32.wrapping_sub(90_000 * 60),
            90_000,
            start,
            &wall,
        );
        assert_eq!(wild, start);
        let before = clock.captured(
            Some(reference),
            0_u32.wrapping_sub(90),
            90_000,
            start,
            &wall,
        );
        assert_eq!(start - before, Duration::from_millis(1));
    }
}
