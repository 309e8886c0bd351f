//! When the packets of the pattern leave.

use std::time::{Duration, Instant};

/// Further behind than this the packets in between are left out instead of sent all at once.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the pattern looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Packets per second.
    pub packets_per_second: u32,
    /// Size of the RTP payload, bytes.
    pub packet_bytes: usize,
    /// Packets that leave back to back; together they are a frame.
    pub burst: u32,
    /// Packets from one key frame to the next, unless one is asked for.
    pub gop_packets: u64,
}

/// Packets to send now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    pub number: u64,
    pub packets: u32,
    pub bytes: usize,
    pub timestamp: u32,
    pub key_frame: bool,
}

/// The course of a pattern.
#[derive(Debug)]
pub(crate) struct Schedule {
    pattern: Pattern,
    start: Instant,
    /// Bursts that were due so far, sent or left out.
    bursts: u64,
    number: u64,
    since_key_frame: u64,
    key_frame: bool,
    timestamp: u32,
}

impl Schedule {
    /// Begin now; timestamps go on behind `timestamp`.
    pub(crate) fn new(now: Instant, pattern: Pattern, timestamp: u32) -> Self {
        Self {
            pattern,
            start: now,
            bursts: 0,
            number: 0,
            since_key_frame: 0,
            key_frame: true,
            timestamp: timestamp.wrapping_add(90_000),
        }
    }

    fn at(&self, burst: u64) -> Instant {
        let Pattern {
            packets_per_second,
            burst: packets,
            ..
        } = self.pattern;
        let ns = u128::from(burst) * u128::from(packets) * 1_000_000_000
            / u128::from(packets_per_second);
        self.start + Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// When the next burst is due.
    pub(crate) fn next_at(&self) -> Instant {
        self.at(self.bursts)
    }

    /// Nothing can be sent yet: begin no earlier than now.
    pub(crate) fn wait_until(&mut self, now: Instant) {
        if self.bursts == 0 {
            self.start = now;
        }
    }

    /// The next frame shall be a key frame.
    pub(crate) fn want_key_frame(&mut self) {
        self.key_frame = true;
    }

    /// Leave out what was due too long ago. Returns how many packets that are.
    pub(crate) fn catch_up(&mut self, now: Instant) -> u64 {
        let before = self.bursts;
        while self.next_at() + PATIENCE < now {
            self.bursts += 1;
        }
        (self.bursts - before) * u64::from(self.pattern.burst)
    }

    /// The next burst, when it is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Burst> {
        if self.next_at() > now {
            return None;
        }
        let Pattern {
            packets_per_second,
            packet_bytes,
            burst,
            gop_packets,
        } = self.pattern;
        let key_frame = self.key_frame || self.since_key_frame >= gop_packets;
        if key_frame {
            (self.key_frame, self.since_key_frame) = (false, 0);
        }
        let ticks = self.bursts * u64::from(burst) * 90_000 / u64::from(packets_per_second);
        let sending = Burst {
            number: self.number,
            packets: burst,
            bytes: packet_bytes,
            timestamp: self.timestamp.wrapping_add(ticks as u32),
            key_frame,
        };
        self.bursts += 1;
        self.number += u64::from(burst);
        self.since_key_frame += u64::from(burst);
        Some(sending)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const PATTERN: Pattern = Pattern {
        packets_per_second: 1_000,
        packet_bytes: 1_160,
        burst: 4,
        gop_packets: 20,
    };

    #[test]
    fn bursts_keep_their_rate_and_their_key_frames() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, PATTERN, 1_000);
        let mut all = Vec::new();
        for us in 0..100_000 {
            let now = start + Duration::from_micros(us);
            while let Some(burst) = schedule.next(now) {
                all.push((us, burst));
            }
        }
        assert_eq!(all.len(), 25);
        for (index, (us, burst)) in all.iter().enumerate() {
            let index = index as u64;
            assert_eq!(*us, index * 4_000);
            assert_eq!((burst.number, burst.packets), (index * 4, 4));
            assert_eq!(u64::from(burst.timestamp), 91_000 + index * 360);
            assert_eq!(burst.key_frame, index.is_multiple_of(5), "burst {index}");
        }
    }

    #[test]
    fn a_key_frame_on_request_begins_the_count_anew() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, PATTERN, 0);
        let mut keys = Vec::new();
        for index in 0..12 {
            if index == 3 {
                schedule.want_key_frame();
            }
            if schedule
                .next(start + Duration::from_secs(1))
                .is_some_and(|burst| burst.key_frame)
            {
                keys.push(index);
            }
        }
        assert_eq!(keys, [0, 3, 8]);
    }

    #[test]
    fn what_is_long_overdue_is_left_out_and_counted() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start, PATTERN, 0);
        assert_eq!(schedule.catch_up(start + Duration::from_millis(100)), 0);
        assert_eq!(schedule.catch_up(start + Duration::from_secs(1)), 900);
        schedule.wait_until(start + Duration::from_secs(9));
        assert_eq!(schedule.next_at(), start + Duration::from_millis(900));
    }
}
