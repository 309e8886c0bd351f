//! Requests for key frames, merged and throttled.

use std::time::{Duration, Instant};

/// At most one request per layer in this time. A key frame costs the publisher several times a normal frame; half a
/// second is about how long a viewer takes a missing picture for a network hiccup.
const INTERVAL: Duration = Duration::from_millis(500);

/// What to do about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Ask the publisher now.
    Ask,
    /// It is too early; ask then if no key frame came.
    Wait(Instant),
}

/// Requests for one layer.
#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    asked: Option<Instant>,
    /// Somebody asked after the last request went out.
    waiting: bool,
    /// No key frame came since the last request went out.
    unanswered: bool,
    /// Requests that went out.
    pub(crate) sent: u64,
    /// Key frames that came in.
    pub(crate) received: u64,
}

impl KeyFrames {
    fn open(&self, now: Instant) -> bool {
        self.asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= INTERVAL)
    }

    fn ask(&mut self, now: Instant) {
        self.asked = Some(now);
        self.waiting = false;
        self.unanswered = true;
        self.sent += 1;
    }

    /// Somebody needs a key frame.
    pub(crate) fn request(&mut self, now: Instant) -> Decision {
        match self.asked {
            Some(asked) if !self.open(now) => {
                self.waiting = true;
                Decision::Wait(asked + INTERVAL)
            }
            _ => {
                self.ask(now);
                Decision::Ask
            }
        }
    }

    /// The time of [`Decision::Wait`] has come. True when the publisher has to be asked.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let ask = self.waiting && self.open(now);
        if ask {
            self.ask(now);
        }
        ask
    }

    /// A packet came that begins no key frame. True when the last request seems to be lost and `wanted` viewers still
    /// wait.
    pub(crate) fn missed(&mut self, now: Instant, wanted: bool) -> bool {
        let ask = wanted && self.unanswered && self.open(now);
        if ask {
            self.ask(now);
        }
        ask
    }

    /// A key frame begins: everybody who waits is served by it.
    pub(crate) fn arrived(&mut self) {
        self.waiting = false;
        self.unanswered = false;
        self.received += 1;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_goes_at_once_and_the_next_ones_are_merged() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut key_frames = KeyFrames::default();
        assert_eq!(key_frames.request(at(0)), Decision::Ask);
        for ms in [10, 200, 499] {
            assert_eq!(key_frames.request(at(ms)), Decision::Wait(at(500)));
        }
        assert!(!key_frames.due(at(499)));
        assert!(key_frames.due(at(500)));
        assert!(!key_frames.due(at(500)));
        assert_eq!(key_frames.sent, 2);
    }

    #[test]
    fn a_key_frame_that_came_meanwhile_serves_those_who_waited() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut key_frames = KeyFrames::default();
        key_frames.request(at(0));
        key_frames.request(at(100));
        key_frames.arrived();
        assert!(!key_frames.due(at(500)));
        assert_eq!(key_frames.sent, 1);
    }

    #[test]
    fn a_lost_request_is_repeated_while_somebody_waits() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut key_frames = KeyFrames::default();
        key_frames.request(at(0));
        assert!(!key_frames.missed(at(499), true));
        assert!(!key_frames.missed(at(600), false));
        assert!(key_frames.missed(at(600), true));
        assert!(!key_frames.missed(at(700), true));
        key_frames.arrived();
        assert!(!key_frames.missed(at(1_300), true));
    }
}
