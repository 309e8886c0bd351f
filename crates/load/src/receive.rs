//! What came of one source, what is missing, and what a receiver report says about it.

use std::time::{Duration, Instant};

use crate::rtcp::Block;
use crate::rtp::extend;

/// Time after which a missing packet is lost: a picture that waits longer is not shown in time.
const PATIENCE: Duration = Duration::from_secs(1);
/// Bounds of the time between two requests for one packet: a round trip, as far as it is known.
const REPEAT: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// Requests for one packet: as many as libwebrtc makes.
const ASKS: u8 = 10;
/// Missing packets that are followed; more at once are lost.
const MISSING_LIMIT: usize = 1024;
/// Numbers back from the highest in which a packet that is not missing must be one that came before.
const LATE: u64 = 1 << 15;

/// A packet that has not come.
#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    since: Instant,
    asked: Option<Instant>,
    asks: u8,
}

/// What a packet turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// The next one, or one after a gap.
    New,
    /// One that was missing.
    Late,
    /// One that came before, or is too old to tell.
    Again,
}

/// Counts since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Packets that came in their own right, late ones included.
    pub packets: u64,
    /// Packets that never came and can no longer be of use.
    pub lost: u64,
    /// Missing packets that came as repairs.
    pub repaired: u64,
    /// Packets that came more than once.
    pub repeated: u64,
}

/// The packets of one source.
#[derive(Debug)]
pub(crate) struct Reception {
    first: u64,
    highest: Option<u64>,
    missing: Vec<Missing>,
    pub counts: Counts,
    /// Ticks of the media clock per second.
    clock_rate: u32,
    /// Transit time of the last packet and jitter (RFC 3550 section A.8), ticks and sixteenths of a tick.
    transit: Option<i64>,
    jitter: i64,
    /// Middle of the last sender report's NTP time and when it came.
    report: Option<(u32, Instant)>,
    /// Packets expected and received at the last receiver report.
    before: (u64, u64),
}

impl Reception {
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self {
            first: 0,
            highest: None,
            missing: Vec::new(),
            counts: Counts::default(),
            clock_rate,
            transit: None,
            jitter: 0,
            report: None,
            before: (0, 0),
        }
    }

    /// The extended number that a packet must have. `None` for one from before the first.
    pub(crate) fn extend(&self, sequence: u16) -> Option<u64> {
        extend(self.highest, sequence)
    }

    /// Packets that are being waited for.
    pub(crate) fn missing(&self) -> usize {
        self.missing.len()
    }

    /// A packet came in its own right.
    pub(crate) fn came(&mut self, now: Instant, sequence: u64) -> Came {
        let highest = self.highest;
        let came = match highest {
            None => {
                self.first = sequence;
                self.highest = Some(sequence);
                Came::New
            }
            Some(highest) if sequence > highest => {
                self.skip(now, highest + 1, sequence);
                self.highest = Some(sequence);
                Came::New
            }
            Some(_) if self.found(sequence) => Came::Late,
            Some(_) => Came::Again,
        };
        match came {
            Came::Again => self.counts.repeated += 1,
            _ => self.counts.packets += 1,
        }
        came
    }

    /// A repair of a packet came.
    pub(crate) fn repaired(&mut self, now: Instant, sequence: u64) -> Came {
        let highest = self.highest;
        let came = match highest {
            // A repair may overtake the packets behind the gap that it closes.
            Some(highest) if sequence > highest && sequence - highest < LATE => {
                self.skip(now, highest + 1, sequence);
                self.highest = Some(sequence);
                Came::New
            }
            _ if self.found(sequence) => Came::Late,
            _ => Came::Again,
        };
        match came {
            Came::Again => self.counts.repeated += 1,
            _ => self.counts.repaired += 1,
        }
        came
    }

    fn found(&mut self, sequence: u64) -> bool {
        let place = self
            .missing
            .iter()
            .position(|missing| missing.sequence == sequence);
        place.map(|place| self.missing.remove(place)).is_some()
    }

    fn skip(&mut self, now: Instant, from: u64, to: u64) {
        let room = (MISSING_LIMIT - self.missing.len()) as u64;
        // The oldest of a gap that is too wide to follow are given up.
        let follow = to.saturating_sub(room).max(from);
        self.counts.lost += follow - from;
        for sequence in follow..to {
            self.missing.push(Missing {
                sequence,
                since: now,
                asked: None,
                asks: 0,
            });
        }
    }

    /// Time of arrival for the jitter (RFC 3550 section 6.4.1).
    pub(crate) fn transit(&mut self, since_epoch: Duration, timestamp: u32) {
        let ticks = since_epoch.as_micros() as i64 * i64::from(self.clock_rate) / 1_000_000;
        let transit = ticks - i64::from(timestamp);
        if let Some(last) = self.transit.replace(transit) {
            // Timestamps wrap, and a stream that is bound anew jumps; neither is jitter.
            let change = i64::from((transit - last) as i32).abs();
            if change < i64::from(self.clock_rate) {
                self.jitter += change - ((self.jitter + 8) >> 4);
            }
        }
    }

    /// A sender report came.
    pub(crate) fn sender_report(&mut self, now: Instant, ntp: u64) {
        self.report = Some(((ntp >> 16) as u32, now));
    }

    /// Give up what is too late. True when something was.
    pub(crate) fn give_up(&mut self, now: Instant) -> bool {
        let before = self.missing.len();
        self.missing
            .retain(|missing| now.saturating_duration_since(missing.since) < PATIENCE);
        let lost = before - self.missing.len();
        self.counts.lost += lost as u64;
        lost > 0
    }

    /// Numbers to ask for now, growing; they count as asked. `round_trip` is how long an answer takes.
    pub(crate) fn ask(&mut self, now: Instant, round_trip: Duration, into: &mut Vec<u64>) {
        into.clear();
        for missing in &mut self.missing {
            if due(missing, round_trip).is_some_and(|at| at <= now) {
                missing.asked = Some(now);
                missing.asks += 1;
                into.push(missing.sequence);
            }
        }
        into.sort_unstable();
    }

    /// When [`ask`](Self::ask) (`asks`) or [`give_up`](Self::give_up) has something to do.
    pub(crate) fn wake_at(&self, round_trip: Duration, asks: bool) -> Option<Instant> {
        let times = self.missing.iter().map(|missing| {
            let end = missing.since + PATIENCE;
            let due = due(missing, round_trip).filter(|_| asks);
            due.map_or(end, |due| due.min(end))
        });
        times.min()
    }

    /// The block of a receiver report; the next one counts from here.
    pub(crate) fn report(&mut self, now: Instant, ssrc: u32) -> Option<Block> {
        let highest = self.highest?;
        let expected = highest - self.first + 1;
        let received = self.counts.packets + self.counts.repaired;
        let (expected_before, received_before) =
            std::mem::replace(&mut self.before, (expected, received));
        let (all, came) = (expected - expected_before, received - received_before);
        let fraction = match all {
            0 => 0,
            _ => (all.saturating_sub(came) * 256 / all).min(255) as u8,
        };
        let (last_report, delay) = match self.report {
            None => (0, 0),
            Some((middle, at)) => {
                let since = now.saturating_duration_since(at).as_micros();
                (
                    middle,
                    (since * 65_536 / 1_000_000).min(u128::from(u32::MAX)) as u32,
                )
            }
        };
        Some(Block {
            ssrc,
            fraction,
            lost: expected.saturating_sub(received).min(u64::from(u32::MAX)) as u32,
            highest: highest as u32,
            jitter: (self.jitter >> 4).clamp(0, i64::from(u32::MAX)) as u32,
            last_report,
            delay,
        })
    }
}

/// When a packet is asked for next.
fn due(missing: &Missing, round_trip: Duration) -> Option<Instant> {
    let (least, most) = REPEAT;
    match missing.asked {
        // At once, as libwebrtc does where packets do not overtake one another.
        None => Some(missing.since),
        Some(asked) => (missing.asks < ASKS).then(|| asked + round_trip.clamp(least, most)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(40);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_gap_is_asked_for_repeated_and_given_up() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        for sequence in [10, 11, 15] {
            assert_eq!(reception.came(start, sequence), Came::New);
        }
        let mut ask = Vec::new();
        assert_eq!(reception.wake_at(RTT, true), Some(start));
        reception.ask(start + ms(10), RTT, &mut ask);
        assert_eq!(ask, [12, 13, 14]);
        assert_eq!(reception.came(start + ms(20), 13), Came::Late);
        assert_eq!(reception.repaired(start + ms(49), 12), Came::Late);
        assert_eq!(reception.repaired(start + ms(49), 12), Came::Again);
        reception.ask(start + ms(49), RTT, &mut ask);
        assert!(ask.is_empty(), "not before a round trip is over");
        reception.ask(start + ms(50), RTT, &mut ask);
        assert_eq!(ask, [14]);
        assert!(!reception.give_up(start + ms(999)));
        assert_eq!(reception.wake_at(RTT, false), Some(start + ms(1000)));
        assert!(reception.give_up(start + ms(1000)));
        assert_eq!(
            reception.came(start + ms(1001), 14),
            Came::Again,
            "too late is lost"
        );
        let expected = Counts {
            packets: 4,
            lost: 1,
            repaired: 1,
            repeated: 2,
        };
        assert_eq!(reception.counts, expected);
        assert_eq!(reception.missing(), 0);
    }

    #[test]
    fn nobody_asks_for_ever() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        reception.came(start, 0);
        reception.came(start, 2);
        let (mut ask, mut asked) = (Vec::new(), 0);
        for now in 0..999 {
            reception.ask(start + ms(now), Duration::ZERO, &mut ask);
            asked += ask.len();
        }
        assert_eq!(asked, usize::from(ASKS));
        assert_eq!(
            reception.wake_at(Duration::ZERO, true),
            Some(start + PATIENCE)
        );
    }

    #[test]
    fn a_gap_that_is_too_wide_to_follow_is_lost_at_once() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        reception.came(start, 0);
        reception.came(start, 5_001);
        assert_eq!(reception.missing(), MISSING_LIMIT);
        assert_eq!(reception.counts.lost, 5_000 - MISSING_LIMIT as u64);
        assert!(reception.give_up(start + PATIENCE));
        assert_eq!(reception.counts.lost, 5_000);
    }

    #[test]
    fn reports_count_what_was_lost_between_them() {
        let start = Instant::now();
        let mut reception = Reception::new(90_000);
        assert_eq!(reception.report(start, 7), None);
        for sequence in (0..100).filter(|n| n % 4 != 3) {
            reception.came(start, sequence);
        }
        reception.sender_report(start, 0x0000_0001_8000_0000);
        let block = reception.report(start + ms(500), 7).unwrap();
        assert_eq!((block.ssrc, block.highest, block.lost), (7, 98, 24));
        assert_eq!(block.fraction, (24 * 256 / 99) as u8);
        assert_eq!((block.last_report, block.delay), (0x0001_8000, 32_768));
        for sequence in 99..199 {
            reception.came(start, sequence);
        }
        assert_eq!(reception.report(start, 7).unwrap().fraction, 0);
    }

    #[test]
    fn even_arrivals_have_no_jitter_and_uneven_ones_do() {
        let mut reception = Reception::new(90_000);
        reception.came(Instant::now(), 0);
        for n in 0..50 {
            reception.transit(ms(20 * n), 1_800 * n as u32);
        }
        assert_eq!(reception.jitter, 0);
        for n in 50..150 {
            reception.transit(ms(20 * n + 10 * (n % 2)), 1_800 * n as u32);
        }
        let ticks = reception.jitter >> 4;
        assert!((850..950).contains(&ticks), "{ticks}");
    }
}
