//! Requests for key frames of one layer: merged, limited, and whether the publisher answers them.

use std::time::{Duration, Instant};

/// A request that was not answered for so long is lost, or nobody listens. A key frame takes a round trip and the time
/// to the encoder's next picture.
const ANSWER: Duration = Duration::from_millis(500);
/// Frames that must have begun in that time: a source of one picture a second is slow, not deaf.
const FRAMES: u32 = 3;
/// Time that pays for one request, and most time that is saved up. After a quiet time two may follow each other at once:
/// one for a picture, one for whoever comes right after it. A request that is lost is repeated on credit, once. In no
/// 10 s there are more than ten requests, whatever the publisher does with them.
const PRICE: Duration = Duration::from_millis(1_250);
const SAVINGS: Duration = Duration::from_millis(2_500);
const CREDIT: Duration = PRICE;
/// Requests that have to stay unanswered: one may get lost on its way.
const REQUESTS: u32 = 2;
/// Intervals of key frames that differ by less than this share are the encoder's own rhythm.
const RHYTHM: u32 = 10;

/// What to do about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Ask the publisher now.
    Ask,
    /// It is too early; ask then if no key frame came.
    Wait(Instant),
}

/// Why a key frame is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Somebody comes, or lost the picture.
    Picture,
    /// The last one came damaged: the network is to blame, and nobody who comes can use it.
    Damaged,
    /// Another worker counts.
    Elsewhere,
}

/// Requests that no key frame came for.
#[derive(Debug, Clone, Copy)]
struct Open {
    /// When the first one went out.
    since: Instant,
    requests: u32,
    /// Frames that began since.
    frames: u32,
}

/// Requests for one layer.
#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    asked: Option<Instant>,
    /// Requests that no key frame came for.
    open: Option<Open>,
    /// Somebody asked after the last request went out.
    waiting: bool,
    /// Time saved up at an instant, the credit on top; `None` while nothing was spent.
    savings: Option<(Instant, Duration)>,
    /// Arrival of the last key frame, and the time between the last two.
    rhythm: (Option<Instant>, Option<Duration>),
    answers: Option<bool>,
    /// Requests that went out.
    pub(crate) sent: u64,
    /// Key frames that came in.
    pub(crate) received: u64,
}

impl KeyFrames {
    fn savings(&self, now: Instant) -> Duration {
        let most = SAVINGS + CREDIT;
        self.savings.map_or(most, |(at, saved)| {
            (saved + now.saturating_duration_since(at)).min(most)
        })
    }

    /// What must be saved up for a request now, the credit included: less where it repeats the first one, which seems
    /// to be lost. One that is ignored is not.
    fn needed(&self) -> Duration {
        let first = self.open.is_some_and(|open| open.requests == 1);
        match first && self.answers != Some(false) {
            true => PRICE,
            false => PRICE + CREDIT,
        }
    }

    /// When a request may go out at the earliest.
    fn free_at(&self, now: Instant, need: Need) -> Instant {
        let Some(asked) = self.asked else {
            return now;
        };
        let mut at = now;
        if self.open.is_some() || need == Need::Damaged {
            at = at.max(asked + ANSWER);
        }
        if need == Need::Picture {
            at = at.max(now + self.needed().saturating_sub(self.savings(now)));
        }
        at
    }

    /// Somebody needs a key frame.
    pub(crate) fn request(&mut self, now: Instant, need: Need) -> Decision {
        let at = self.free_at(now, need);
        if at > now {
            self.waiting = true;
            return Decision::Wait(at);
        }
        if need == Need::Picture {
            self.savings = Some((now, self.savings(now).saturating_sub(PRICE)));
        }
        self.asked = Some(now);
        let open = self.open.get_or_insert(Open {
            since: now,
            requests: 0,
            frames: 0,
        });
        open.requests += 1;
        self.waiting = false;
        self.sent += 1;
        Decision::Ask
    }

    /// The time of [`Decision::Wait`] has come, or a request was not answered that viewers wait for, or from which is
    /// to be learnt whether the publisher answers at all. What to do now.
    pub(crate) fn due(&mut self, now: Instant, wanted: bool, need: Need) -> Option<Decision> {
        let undecided = need != Need::Elsewhere && self.answers.is_none();
        let again = self
            .open
            .is_some_and(|open| wanted || undecided && open.requests < REQUESTS);
        (self.waiting || again).then(|| self.request(now, need))
    }

    /// When to look at [`KeyFrames::due`] after a request went out.
    pub(crate) fn answer_due(&self) -> Option<Instant> {
        self.open.and(self.asked).map(|asked| asked + ANSWER)
    }

    /// A frame begins that is no key frame. True when it shows that the publisher answers no requests, which was not
    /// known yet.
    pub(crate) fn frame(&mut self, now: Instant, round_trip: Duration) -> bool {
        let (Some(open), Some(asked)) = (&mut self.open, self.asked) else {
            return false;
        };
        open.frames += 1;
        let late = now.saturating_duration_since(asked) >= ANSWER + 2 * round_trip;
        let enough = open.frames >= FRAMES && open.requests >= REQUESTS;
        let deaf = late && enough && self.answers != Some(false);
        if deaf {
            self.answers = Some(false);
        }
        deaf
    }

    /// A key frame begins: everybody who waits is served by it. True when it shows that the publisher answers again.
    pub(crate) fn arrived(&mut self, now: Instant, round_trip: Duration) -> bool {
        self.received += 1;
        self.waiting = false;
        let open = self.open.take();
        let interval = self
            .rhythm
            .0
            .map(|last| now.saturating_duration_since(last));
        let regular = interval
            .zip(self.rhythm.1)
            .is_some_and(|(now, before)| now.abs_diff(before) <= before / RHYTHM);
        self.rhythm = (Some(now), interval);
        let in_time = open.is_some_and(|open| {
            now.saturating_duration_since(open.since) < ANSWER + 2 * round_trip
        });
        if !in_time || regular {
            // It would have come anyway, for all that is known.
            return false;
        }
        self.answers.replace(true) == Some(false)
    }

    /// Whether the publisher answers requests, as far as it is known.
    pub(crate) fn answers(&self) -> Option<bool> {
        self.answers
    }

    /// Another worker knows.
    pub(crate) fn learn(&mut self, answers: bool) {
        self.answers = Some(answers);
    }

    /// Whether nothing was asked yet.
    pub(crate) fn never_asked(&self) -> bool {
        self.asked.is_none()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn clock() -> impl Fn(u64) -> Instant {
        let start = Instant::now();
        move |ms| start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_request_goes_at_once_and_the_next_ones_are_merged() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        assert_eq!(key_frames.request(at(0), Need::Picture), Decision::Ask);
        for ms in [10, 200, 499] {
            let decision = key_frames.request(at(ms), Need::Picture);
            assert_eq!(decision, Decision::Wait(at(500)));
        }
        let due = key_frames.due(at(500), false, Need::Picture);
        assert_eq!(due, Some(Decision::Ask));
        assert_eq!(key_frames.due(at(500), false, Need::Picture), None);
        assert_eq!(key_frames.sent, 2);
    }

    #[test]
    fn there_are_never_more_than_ten_requests_in_ten_seconds() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        let mut asked = Vec::new();
        for ms in (0..60_000).step_by(5) {
            if key_frames.request(at(ms), Need::Picture) == Decision::Ask {
                asked.push(ms);
                key_frames.arrived(at(ms), NONE);
            }
        }
        assert_eq!(&asked[..4], [0, 5, 1_250, 2_500]);
        for begin in &asked {
            let within = asked
                .iter()
                .filter(|ms| (*begin..begin + 10_000).contains(ms));
            assert!(within.count() <= 10, "from {begin} ms on");
        }
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] <= 1_250));
    }

    #[test]
    fn a_key_frame_that_came_meanwhile_serves_those_who_waited() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        key_frames.request(at(0), Need::Picture);
        key_frames.request(at(100), Need::Picture);
        key_frames.arrived(at(150), NONE);
        assert_eq!(key_frames.due(at(500), true, Need::Picture), None);
        assert_eq!(key_frames.sent, 1);
    }

    #[test]
    fn a_lost_request_is_repeated_while_somebody_waits() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        key_frames.learn(true);
        key_frames.request(at(0), Need::Picture);
        assert_eq!(key_frames.answer_due(), Some(at(500)));
        assert_eq!(key_frames.due(at(600), false, Need::Picture), None);
        let again = key_frames.due(at(600), true, Need::Picture);
        assert_eq!(again, Some(Decision::Ask));
        // Whoever does not answer is not asked more often than others.
        let third = key_frames.due(at(1_100), true, Need::Picture);
        assert_eq!(third, Some(Decision::Wait(at(1_250))));
        let third = key_frames.due(at(1_250), true, Need::Picture);
        assert_eq!(third, Some(Decision::Ask));
        let fourth = key_frames.due(at(1_750), true, Need::Picture);
        assert_eq!(fourth, Some(Decision::Wait(at(2_500))));
        key_frames.arrived(at(2_000), NONE);
        assert_eq!(key_frames.answer_due(), None);
        assert_eq!(key_frames.due(at(2_500), true, Need::Picture), None);
        // Nothing is left of the savings, and yet one that is lost is repeated.
        assert_eq!(key_frames.request(at(2_500), Need::Picture), Decision::Ask);
        let again = key_frames.due(at(3_000), true, Need::Picture);
        assert_eq!(again, Some(Decision::Ask));
        let third = key_frames.due(at(3_500), true, Need::Picture);
        assert_eq!(third, Some(Decision::Wait(at(5_000))));
    }

    #[test]
    fn a_publisher_that_answers_late_gets_no_more_requests_than_others() {
        for delay in [0, 40, 600, 1_100, 1_600, 2_000, 2_600, 10_000] {
            let (at, mut key_frames) = (clock(), KeyFrames::default());
            key_frames.learn(true);
            let (mut asked, mut answer) = (Vec::new(), None);
            // Somebody wants a picture all the time.
            for ms in (0..60_000).step_by(10) {
                if answer.is_some_and(|due| ms >= due) {
                    key_frames.arrived(at(ms), NONE);
                    answer = None;
                }
                if key_frames.request(at(ms), Need::Picture) == Decision::Ask {
                    asked.push(ms);
                    answer.get_or_insert(ms + delay);
                }
            }
            for begin in &asked {
                let window = *begin..begin + 10_000;
                let within = asked.iter().filter(|ms| window.contains(ms)).count();
                assert!(
                    within <= 10,
                    "{within} after {begin} ms, answers after {delay} ms"
                );
            }
            assert!(asked.len() >= 46, "{delay}: {asked:?}");
        }
    }

    #[test]
    fn a_damaged_key_frame_does_not_count() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        for ms in (0..5_000).step_by(500) {
            assert_eq!(key_frames.request(at(ms), Need::Damaged), Decision::Ask);
            key_frames.arrived(at(ms + 50), NONE);
            let soon = key_frames.request(at(ms + 60), Need::Damaged);
            assert_eq!(soon, Decision::Wait(at(ms + 500)));
        }
    }

    #[test]
    fn a_publisher_that_answers_nothing_is_found_out_and_believed_again() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        assert!(!key_frames.frame(at(0), NONE));
        key_frames.request(at(0), Need::Picture);
        assert!(!(1..20).any(|n| key_frames.frame(at(n * 40), NONE)));
        // Nobody waits, but one request may have got lost.
        let again = key_frames.due(at(500), false, Need::Picture);
        assert_eq!(again, Some(Decision::Ask));
        let found = (13..40)
            .map(|n| n * 40)
            .find(|ms| key_frames.frame(at(*ms), NONE));
        assert_eq!((found, key_frames.answers()), (Some(1_000), Some(false)));
        assert_eq!(key_frames.due(at(1_100), false, Need::Picture), None);
        // Its own key frames, every two seconds, are no answers.
        for ms in (2_100..10_200).step_by(2_000) {
            if ms > 10_000 {
                let asked = key_frames.request(at(10_000), Need::Picture);
                assert_eq!(asked, Decision::Ask);
            }
            assert!(!key_frames.arrived(at(ms), NONE), "at {ms}");
        }
        assert_eq!(key_frames.answers(), Some(false));
        let asked = key_frames.request(at(20_500), Need::Picture);
        assert_eq!(asked, Decision::Ask);
        assert!(key_frames.arrived(at(20_600), NONE));
        assert_eq!(key_frames.answers(), Some(true));
    }

    #[test]
    fn a_slow_source_and_a_long_way_are_no_deafness() {
        let (at, mut key_frames) = (clock(), KeyFrames::default());
        key_frames.request(at(0), Need::Picture);
        key_frames.due(at(500), true, Need::Picture);
        assert!(!key_frames.frame(at(900), NONE) && !key_frames.frame(at(1_900), NONE));
        assert!(!key_frames.arrived(at(2_900), NONE));
        let far = Duration::from_millis(400);
        key_frames.request(at(3_000), Need::Picture);
        key_frames.due(at(3_500), true, Need::Picture);
        for ms in (3_000..4_800).step_by(40) {
            assert!(!key_frames.frame(at(ms), far), "at {ms}");
        }
        key_frames.arrived(at(4_900), far);
        key_frames.request(at(5_500), Need::Picture);
        assert!(!key_frames.arrived(at(6_400), far));
        assert_eq!(key_frames.answers(), Some(true));
    }
}
