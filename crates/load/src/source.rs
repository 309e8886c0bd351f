//! One source at a viewer: what came, and what it shows.

use std::time::{Duration, Instant};

use sanderling_media::{Codec, FrameMark, Kind, codec};

use crate::first::{FirstFrames, Step};
use crate::frames::{Assembler, Frame, Media};
use crate::pattern::{self, Checked, Mark};
use crate::receive::Reception;
use crate::viewer::StreamReport;

/// Time without a picture after which a key frame is asked for, and again: as libwebrtc.
const KEY_FRAME_WAIT: Duration = Duration::from_millis(200);

/// A source.
pub(crate) struct Source {
    pub ssrc: u32,
    pub codec: Codec,
    /// Whether missing packets are asked for.
    pub asks: bool,
    pub reception: Reception,
    pub checked: u64,
    pub corrupted: u64,
    pub first_packet_ns: u64,
    pub first_key_frame_ns: Option<u64>,
    pub second_frame_ns: Option<u64>,
    checks: bool,
    /// Until the second frame.
    first: Option<Box<FirstFrames>>,
    /// While nothing can be shown: when a key frame is asked for next.
    key_frame_at: Option<Instant>,
    frames: Option<Box<Assembler>>,
    /// Last packet of the pattern: its number here and there.
    pattern: Option<(u64, Mark)>,
}

impl Source {
    pub(crate) fn new(
        now: Instant,
        ssrc: u32,
        codec: Codec,
        asks: bool,
        checks: bool,
        first_packet_ns: u64,
    ) -> Self {
        let video = codec.kind() == Kind::Video;
        Self {
            ssrc,
            codec,
            asks,
            reception: Reception::new(codec.kind().clock_rate()),
            checked: 0,
            corrupted: 0,
            first_packet_ns,
            first_key_frame_ns: None,
            second_frame_ns: None,
            checks,
            first: video.then(Box::default),
            key_frame_at: video.then_some(now + KEY_FRAME_WAIT),
            frames: (checks && video).then(Box::default),
            pattern: None,
        }
    }

    /// Whether packets have to be opened. The others are counted by what their headers say.
    pub(crate) fn is_watched(&self) -> bool {
        self.checks || self.first.is_some() || self.key_frame_at.is_some()
    }

    /// Look at a packet that was opened.
    pub(crate) fn watch(
        &mut self,
        sequence: u64,
        timestamp: u32,
        marker: bool,
        payload: &[u8],
        arrival_ns: u64,
    ) {
        let mark = codec::mark(self.codec, payload);
        if self.codec.kind() == Kind::Video {
            self.first_frames(sequence, timestamp, mark, marker, arrival_ns);
            if mark.key_frame {
                self.key_frame_at = None;
            }
        }
        if !self.checks {
            return;
        }
        let right = match pattern::check(payload) {
            Checked::Wrong => false,
            Checked::Right(mark) => self.follows(sequence, mark),
            Checked::Other => true,
        };
        match right {
            true => self.checked += 1,
            false => self.corrupted += 1,
        }
        if let Some(frames) = &mut self.frames {
            frames.push(&Media {
                codec: self.codec,
                sequence,
                timestamp,
                marker,
                mark,
                payload,
                arrival_ns,
            });
        }
    }

    fn first_frames(
        &mut self,
        sequence: u64,
        timestamp: u32,
        mark: FrameMark,
        marker: bool,
        arrival_ns: u64,
    ) {
        let Some(first) = &mut self.first else {
            return;
        };
        match first.push(sequence, timestamp, mark, marker) {
            Some(Step::Key) => self.first_key_frame_ns = Some(arrival_ns),
            Some(Step::Second) => {
                self.second_frame_ns = Some(arrival_ns);
                self.first = None;
            }
            None => {}
        }
    }

    /// Whether a packet of the pattern is the one that belongs behind the last: the same step in both countings,
    /// except where a key frame begins anew what is shown.
    fn follows(&mut self, sequence: u64, mark: Mark) -> bool {
        let last = self.pattern;
        // A late packet says nothing about the order of those that came before it.
        if last.is_none_or(|(number, _)| sequence > number) {
            self.pattern = Some((sequence, mark));
        }
        match last {
            Some((number, last)) if sequence == number + 1 => {
                let next = last.stream == mark.stream && mark.number == last.number + 1;
                next || mark.key_frame && mark.begins
            }
            _ => true,
        }
    }

    /// Give up what is too late; nothing can be shown then until a key frame comes.
    pub(crate) fn give_up(&mut self, now: Instant) {
        if !self.reception.give_up(now) {
            return;
        }
        if self.codec.kind() == Kind::Video {
            self.key_frame_at.get_or_insert(now);
        }
        if let Some(frames) = &mut self.frames {
            frames.skip();
        }
    }

    /// Whether a key frame is to be asked for now; it counts as asked.
    pub(crate) fn asks_for_key_frame(&mut self, now: Instant) -> bool {
        let due = self.key_frame_at.is_some_and(|at| at <= now);
        if due {
            self.key_frame_at = Some(now + KEY_FRAME_WAIT);
        }
        due
    }

    /// When something is due.
    pub(crate) fn wake_at(&self, round_trip: Duration) -> Option<Instant> {
        let missing = self.reception.wake_at(round_trip, self.asks);
        match (missing, self.key_frame_at) {
            (Some(missing), Some(key_frame)) => Some(missing.min(key_frame)),
            (one, other) => one.or(other),
        }
    }

    pub(crate) fn report(&self) -> StreamReport {
        let counts = self.reception.counts;
        StreamReport {
            ssrc: self.ssrc,
            codec: self.codec,
            packets: counts.packets,
            lost: counts.lost,
            repaired: counts.repaired,
            first_packet_ns: self.first_packet_ns,
            first_key_frame_ns: self.first_key_frame_ns,
            second_frame_ns: self.second_frame_ns,
        }
    }

    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        self.frames
            .as_mut()
            .map_or_else(Vec::new, |frames| frames.take())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn source(checks: bool) -> Source {
        Source::new(Instant::now(), 1, Codec::Vp8, true, checks, 5)
    }

    fn packet(number: u64, key_frame: bool) -> Vec<u8> {
        let mut payload = vec![0; 64];
        let mark = Mark {
            stream: 3,
            number,
            key_frame,
            begins: true,
        };
        pattern::write(&mut payload, &mark);
        payload
    }

    #[test]
    fn a_viewer_looks_no_longer_than_it_has_to() {
        let mut source = source(false);
        source.watch(0, 0, true, &packet(0, true), 10);
        assert!(source.is_watched());
        source.watch(1, 1, true, &packet(1, false), 20);
        assert!(!source.is_watched());
        assert_eq!(source.first_key_frame_ns, Some(10));
        assert_eq!(source.second_frame_ns, Some(20));
        assert_eq!((source.checked, source.corrupted), (0, 0));
    }

    #[test]
    fn the_order_of_the_pattern_is_checked() {
        let mut source = source(true);
        // (number here, number there, key frame, right)
        for (sequence, number, key, right) in [
            (10, 100, true, true),
            (11, 101, false, true),
            (12, 103, false, false),
            (13, 110, true, true),
            (15, 112, false, true),
            (14, 111, false, true),
        ] {
            let before = (source.checked, source.corrupted);
            source.watch(sequence, 0, true, &packet(number, key), 0);
            let after = (source.checked, source.corrupted);
            let expected = (before.0 + u64::from(right), before.1 + u64::from(!right));
            assert_eq!(after, expected, "{sequence}");
        }
        let mut damaged = packet(113, false);
        damaged[40] ^= 1;
        source.watch(16, 0, true, &damaged, 0);
        assert_eq!((source.checked, source.corrupted), (5, 2));
    }

    #[test]
    fn a_lost_packet_leads_to_one_request_at_a_time() {
        let start = Instant::now();
        let mut source = source(false);
        source.key_frame_at = None;
        source.reception.came(start, 0);
        source.reception.came(start, 2);
        source.give_up(start + Duration::from_secs(1));
        let now = start + Duration::from_secs(1);
        assert!(source.asks_for_key_frame(now));
        assert!(!source.asks_for_key_frame(now));
        assert!(source.asks_for_key_frame(now + KEY_FRAME_WAIT));
        source.watch(3, 9, true, &packet(7, true), 0);
        assert!(!source.asks_for_key_frame(now + 9 * KEY_FRAME_WAIT));
    }
}
