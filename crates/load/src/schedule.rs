//! When the packets of the pattern leave.

use std::time::{Duration, Instant};

use crate::recorded;

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

/// The pattern in pictures as unequal as those of a recorded GOP.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    /// Lines of the recording: 360 or 540.
    pub height: u32,
    /// Pictures per second: how fast the recording is played.
    pub pictures_per_second: f64,
    /// Pictures from one key frame to the next, unless one is asked for; beyond the recording the others begin anew.
    pub gop_pictures: u64,
}

/// What the frames are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Course {
    Equal(Pattern),
    Recorded {
        /// Bytes of each picture, the key frame first; more than one.
        sizes: &'static [u32],
        pictures_per_second: f64,
        gop_pictures: u64,
    },
}

impl Course {
    /// Says what is wrong when it cannot be played like that.
    pub(crate) fn recorded(wanted: Recorded) -> Result<Self, String> {
        let Recorded {
            height,
            pictures_per_second,
            gop_pictures,
        } = wanted;
        let Some(sizes) = recorded::recorded(height) else {
            return Err(format!("height must be 360 or 540 lines, not {height}"));
        };
        if !(0.1..=100_000.0).contains(&pictures_per_second) {
            return Err(format!(
                "pictures_per_second must be 0.1 to 100000, not {pictures_per_second}"
            ));
        }
        if gop_pictures == 0 {
            return Err("gop_pictures must be 1 or more, not 0".to_owned());
        }
        Ok(Self::Recorded {
            sizes,
            pictures_per_second,
            gop_pictures,
        })
    }

    /// Nanoseconds from the beginning to frame `number`.
    fn at_ns(&self, number: u64) -> u64 {
        match self {
            Self::Equal(pattern) => {
                let ns = u128::from(number) * u128::from(pattern.burst) * 1_000_000_000
                    / u128::from(pattern.packets_per_second);
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
            Self::Recorded {
                pictures_per_second,
                ..
            } => (number as f64 * 1e9 / pictures_per_second) as u64,
        }
    }

    /// Packets of the frame `since` frames behind a key frame, and the payload of each.
    fn frame(&self, since: u64) -> (u32, usize) {
        match self {
            Self::Equal(pattern) => (pattern.burst, pattern.packet_bytes),
            Self::Recorded { sizes, .. } => {
                let others = sizes.len() as u64 - 1;
                let place = match since {
                    0 => 0,
                    _ => 1 + (since - 1) % others,
                };
                recorded::parts(sizes[place as usize])
            }
        }
    }

    /// Frames from one key frame to the next.
    fn gop(&self) -> u64 {
        match self {
            Self::Equal(pattern) => pattern.gop_packets.div_ceil(u64::from(pattern.burst)),
            Self::Recorded { gop_pictures, .. } => *gop_pictures,
        }
    }
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
    course: Course,
    start: Instant,
    /// Frames that were due so far, sent or left out.
    frames: u64,
    number: u64,
    /// Frames sent since the last key frame, which counts.
    since_key_frame: u64,
    key_frame: bool,
    timestamp: u32,
}

impl Schedule {
    /// Begin now; timestamps go on behind `timestamp`.
    pub(crate) fn new(now: Instant, course: Course, timestamp: u32) -> Self {
        Self {
            course,
            start: now,
            frames: 0,
            number: 0,
            since_key_frame: 0,
            key_frame: true,
            timestamp: timestamp.wrapping_add(90_000),
        }
    }

    /// When the next frame is due.
    pub(crate) fn next_at(&self) -> Instant {
        self.start + Duration::from_nanos(self.course.at_ns(self.frames))
    }

    /// Nothing can be sent yet: begin no earlier than now.
    pub(crate) fn wait_until(&mut self, now: Instant) {
        if self.frames == 0 {
            self.start = now;
        }
    }

    /// The next frame shall be a key frame.
    pub(crate) fn want_key_frame(&mut self) {
        self.key_frame = true;
    }

    /// Leave out what was due too long ago. Returns how many packets that are.
    pub(crate) fn catch_up(&mut self, now: Instant) -> u64 {
        let mut left_out = 0;
        while self.next_at() + PATIENCE < now {
            left_out += u64::from(self.course.frame(self.since_key_frame).0);
            self.frames += 1;
        }
        left_out
    }

    /// The next frame, when it is due.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Burst> {
        if self.next_at() > now {
            return None;
        }
        let key_frame = self.key_frame || self.since_key_frame >= self.course.gop();
        if key_frame {
            (self.key_frame, self.since_key_frame) = (false, 0);
        }
        let (packets, bytes) = self.course.frame(self.since_key_frame);
        let ticks = u128::from(self.course.at_ns(self.frames)) * 90_000 / 1_000_000_000;
        let sending = Burst {
            number: self.number,
            packets,
            bytes,
            timestamp: self.timestamp.wrapping_add(ticks as u32),
            key_frame,
        };
        self.frames += 1;
        self.number += u64::from(packets);
        self.since_key_frame += 1;
        Some(sending)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::unwrap_used)]
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
        let mut schedule = Schedule::new(start, Course::Equal(PATTERN), 1_000);
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
        let mut schedule = Schedule::new(start, Course::Equal(PATTERN), 0);
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
        let mut schedule = Schedule::new(start, Course::Equal(PATTERN), 0);
        assert_eq!(schedule.catch_up(start + Duration::from_millis(100)), 0);
        assert_eq!(schedule.catch_up(start + Duration::from_secs(1)), 900);
        schedule.wait_until(start + Duration::from_secs(9));
        assert_eq!(schedule.next_at(), start + Duration::from_millis(900));
    }
    #[test]
    fn a_recording_is_played_at_its_pace_and_begins_anew_with_each_key_frame() {
        let recorded = Recorded {
            height: 360,
            pictures_per_second: 50.0,
            gop_pictures: 260,
        };
        let packets = recorded::recorded_packets(360).unwrap();
        let start = Instant::now();
        let mut schedule = Schedule::new(start, Course::recorded(recorded).unwrap(), 0);
        let mut number = 0;
        for index in 0..300_u64 {
            if index == 270 {
                schedule.want_key_frame();
            }
            assert_eq!(
                schedule.next_at(),
                start + Duration::from_millis(20 * index)
            );
            let frame = schedule.next(schedule.next_at()).unwrap();
            // 260: the distance; 270: asked for. The recording's 249 others are played again from the first.
            let since = match index {
                0..260 => index,
                260..270 => index - 260,
                _ => index - 270,
            };
            let place = if since < 250 { since } else { since - 249 };
            assert_eq!(frame.packets, packets[place as usize], "picture {index}");
            assert_eq!(frame.key_frame, since == 0);
            assert_eq!(frame.number, number);
            assert_eq!(u64::from(frame.timestamp), 90_000 + 1_800 * index);
            number += u64::from(frame.packets);
        }
    }
}
