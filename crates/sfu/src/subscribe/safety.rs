//! What a viewer's network carries, and what is sent less when that is not enough.

use std::time::{Duration, Instant};

use sanderling_rtc::Allowance;

/// The estimate is looked at so often.
const INTERVAL: Duration = Duration::from_millis(50);
/// Time that a step down gets to show.
const SETTLE: Duration = Duration::from_millis(500);
/// The estimate has to be too small for so long: one that is about to grow is no reason to go down.
const SHORT: Duration = Duration::from_millis(300);
/// A queue that grows for so long is too much, whatever the estimate: nothing may be heard any more that it is made of.
const STUCK: Duration = Duration::from_millis(500);
/// A queue that is gone before this was one frame that was larger than others.
const FLEETING: Duration = Duration::from_millis(150);
/// The next layer has to fit, with this much to spare, for so long.
const HEADROOM: (f64, Duration) = (1.25, Duration::from_secs(2));
/// Pictures pause for so long at least, and for twice as long each time that they went on too early.
const PAUSE: (Duration, Duration) = (Duration::from_millis(400), Duration::from_secs(4));
/// Pictures that went on for so long did not go on too early.
const PROVEN: Duration = Duration::from_secs(10);
/// Share of the estimate that is used on a path that carries less than the pictures, and how much more than them it
/// has to carry before they flow freely again.
const NARROW: (f64, f64) = (0.85, 1.1);
/// Where no queue grew for so long, so much of the estimate is used: what comes through raises it.
const PROBE: (f64, Duration) = (1.5, Duration::from_secs(3));
/// Least share of their rate that pictures get there: a key frame every now and then.
const LEAST: f64 = 0.05;

/// What is sent to a viewer, bits per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Everything.
    pub(crate) now: f64,
    /// Sound alone.
    pub(crate) sound: f64,
    /// Everything, with the next higher layer; `None` when there is none that was left.
    pub(crate) higher: Option<f64>,
    /// There is a lower layer.
    pub(crate) lower: bool,
}

/// What to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing.
    Stay,
    /// Other layers: [`Safety::steps`] changed.
    Layers,
    /// Send no pictures.
    Pause,
    /// Send pictures again.
    Resume,
}

/// Rate safety of one viewer, over everything that it plays.
#[derive(Debug)]
pub(crate) struct Safety {
    next: Option<Instant>,
    steps: usize,
    stepped: Option<Instant>,
    short_since: Option<Instant>,
    congested_since: Option<Instant>,
    /// When a queue grew last.
    congested_at: Option<Instant>,
    headroom_since: Option<Instant>,
    paused: Option<Instant>,
    resumed: Option<Instant>,
    pause: Duration,
    /// Share of their rate that pictures get on a path that carries less.
    share: Option<f64>,
    estimate: Option<f64>,
}

impl Safety {
    pub(crate) fn new() -> Self {
        Self {
            next: None,
            steps: 0,
            stepped: None,
            short_since: None,
            congested_since: None,
            congested_at: None,
            headroom_since: None,
            paused: None,
            resumed: None,
            pause: PAUSE.0,
            share: None,
            estimate: None,
        }
    }

    /// Layers that a viewer gets less than it could.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// Whether no pictures are sent.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Share of their rate that pictures get; `None`: all that they want. What does not fit is left out frame by frame.
    #[inline]
    pub(crate) fn share(&self) -> Option<f64> {
        self.share
    }

    /// Bits per second that the network carries, as of the last look.
    pub(crate) fn estimate(&self) -> Option<f64> {
        self.estimate
    }

    /// Whether it is time to look at the estimate.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        let due = self.next.is_none_or(|next| now >= next);
        if due {
            self.next = Some(now + INTERVAL);
        }
        due
    }

    /// Look at the estimate. Without one nothing is held back.
    pub(crate) fn judge(&mut self, now: Instant, allowance: Option<Allowance>, load: Load) -> Step {
        self.estimate = allowance.map(|allowance| allowance.bits_per_second);
        let congested = allowance.is_some_and(|allowance| allowance.congested);
        let carried = allowance.map_or(f64::INFINITY, |allowance| allowance.bits_per_second);
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        if congested {
            self.congested_at = Some(now);
        }
        let probes = since(self.congested_at).is_some_and(|time| time >= PROBE.1);
        let used = if probes { PROBE.0 } else { NARROW.0 };
        if let Some(paused) = since(self.paused) {
            if congested || paused < self.pause {
                return Step::Stay;
            }
            (self.paused, self.resumed) = (None, Some(now));
            self.congested_since = None;
            self.share = (carried < load.now).then_some(LEAST);
            self.divide(carried, load, used);
            return Step::Resume;
        }
        self.divide(carried, load, used);
        let short = carried < load.now;
        self.short_since = short.then(|| self.short_since.unwrap_or(now));
        let fits = load
            .higher
            .is_some_and(|higher| !congested && carried >= HEADROOM.0 * higher);
        self.headroom_since = fits.then(|| self.headroom_since.unwrap_or(now));
        self.congested_since = congested.then(|| self.congested_since.unwrap_or(now));
        // The queue of a key frame or a replay grows too; where the path carries the rest, it is gone soon.
        let stuck = since(self.congested_since).is_some_and(|time| time >= STUCK);
        // Where pictures get a share only, they have less already.
        let stands = since(self.congested_since).is_some_and(|time| time >= FLEETING);
        let overrun = stands && short && self.share.is_none() || stuck;
        let settled = since(self.stepped).is_none_or(|time| time >= SETTLE);
        let too_much = overrun || since(self.short_since).is_some_and(|time| time >= SHORT);
        if too_much && load.lower {
            if settled {
                return self.step(now, self.steps + 1);
            }
        } else if overrun {
            // A picture that went on only to be too much again waits for longer.
            let early = since(self.resumed).is_some_and(|time| time < PROVEN);
            self.pause = if early {
                (self.pause * 2).min(PAUSE.1)
            } else {
                PAUSE.0
            };
            self.paused = Some(now);
            return Step::Pause;
        } else if since(self.headroom_since).is_some_and(|time| time >= HEADROOM.1) {
            return self.step(now, self.steps.saturating_sub(1));
        }
        Step::Stay
    }

    /// Divide what a path carries that carries too little.
    fn divide(&mut self, carried: f64, load: Load, used: f64) {
        let pictures = (load.now - load.sound).max(1.0);
        let share = used * (carried - load.sound) / pictures;
        let narrow = self.share.is_some() && carried < NARROW.1 * load.now;
        self.share = narrow.then(|| share.clamp(LEAST, 1.0));
    }

    fn step(&mut self, now: Instant, steps: usize) -> Step {
        self.steps = steps;
        self.stepped = Some(now);
        (self.short_since, self.headroom_since) = (None, None);
        Step::Layers
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    const fn path(bits_per_second: f64, congested: bool) -> Option<Allowance> {
        Some(Allowance {
            bits_per_second,
            congested,
        })
    }

    const ALONE: Load = Load {
        now: 1e6,
        sound: 1e5,
        higher: None,
        lower: false,
    };

    #[test]
    fn without_an_estimate_nothing_is_held_back() {
        let (start, mut safety) = (Instant::now(), Safety::new());
        for ms in (0..5_000).step_by(50) {
            assert_eq!(safety.judge(at(start, ms), None, ALONE), Step::Stay);
        }
        assert!(!safety.is_paused() && safety.steps() == 0);
    }

    #[test]
    fn a_small_estimate_alone_pauses_nothing_and_a_queue_does_soon() {
        let (start, mut safety) = (Instant::now(), Safety::new());
        for ms in (0..5_000).step_by(50) {
            let step = safety.judge(at(start, ms), path(5e5, false), ALONE);
            assert_eq!(step, Step::Stay);
        }
        let step = safety.judge(at(start, 5_000), path(5e5, true), ALONE);
        assert_eq!(step, Step::Stay, "it may be gone at once");
        let step = safety.judge(at(start, 5_150), path(5e5, true), ALONE);
        assert_eq!((step, safety.is_paused()), (Step::Pause, true));
        let step = safety.judge(at(start, 5_500), path(5e5, false), ALONE);
        assert_eq!(step, Step::Stay, "too early");
        let step = safety.judge(at(start, 5_600), path(5e5, true), ALONE);
        assert_eq!(step, Step::Stay, "the queue is still there");
        let step = safety.judge(at(start, 5_650), path(5e5, false), ALONE);
        assert_eq!((step, safety.is_paused()), (Step::Resume, false));
        // Pictures get what sound leaves them, until there is room for all.
        let share = safety.share().unwrap();
        assert!((share - 0.85 * 4.0 / 9.0).abs() < 1e-6, "{share}");
        for (carried, share) in [
            (1.05e6, Some(0.85 * 9.5 / 9.0)),
            (5e4, Some(LEAST)),
            (1.2e6, None),
        ] {
            safety.judge(at(start, 6_000), path(carried, false), ALONE);
            let same = match (safety.share(), share) {
                (Some(got), Some(share)) => (got - share).abs() < 1e-6,
                (got, share) => got == share,
            };
            assert!(same, "{carried}: {:?}", safety.share());
        }
    }

    #[test]
    fn a_queue_on_a_path_that_carries_everything_gets_half_a_second() {
        let (start, mut safety) = (Instant::now(), Safety::new());
        let mut judge = |ms, congested| safety.judge(at(start, ms), path(2e6, congested), ALONE);
        for ms in (0..450).step_by(50) {
            assert_eq!(judge(ms, true), Step::Stay, "{ms}");
        }
        assert_eq!(judge(450, false), Step::Stay);
        for ms in (500..1_000).step_by(50) {
            assert_eq!(judge(ms, true), Step::Stay, "{ms}");
        }
        assert_eq!(judge(1_000, true), Step::Pause);
    }

    #[test]
    fn pauses_get_longer_while_they_do_not_help() {
        let (start, mut safety) = (Instant::now(), Safety::new());
        let mut pauses = Vec::new();
        let mut begun = 0;
        for ms in (0..60_000).step_by(10) {
            // The path is congested whenever pictures flow for 300 ms, until it gets better after 30 s.
            let congested = !safety.is_paused() && ms > begun + 300 && ms < 30_000;
            match safety.judge(at(start, ms), path(5e5, congested), ALONE) {
                Step::Pause => begun = ms,
                Step::Resume => {
                    pauses.push(ms - begun);
                    begun = ms;
                }
                _ => {}
            }
        }
        assert_eq!(pauses[..5], [400, 800, 1_600, 3_200, 4_000]);
        assert!(!safety.is_paused());
        safety.judge(at(start, 60_000), path(2e6, false), ALONE);
        safety.judge(at(start, 60_050), path(5e5, true), ALONE);
        let step = safety.judge(at(start, 60_200), path(5e5, true), ALONE);
        assert_eq!((step, safety.pause), (Step::Pause, PAUSE.0));
    }

    #[test]
    fn layers_go_down_at_once_and_up_after_two_seconds_of_room() {
        let (start, mut safety) = (Instant::now(), Safety::new());
        let both = |now, higher| Load {
            now,
            sound: 0.0,
            higher,
            lower: true,
        };
        safety.judge(at(start, 0), path(2e6, true), both(3e6, None));
        let step = safety.judge(at(start, 150), path(2e6, true), both(3e6, None));
        assert_eq!((step, safety.steps()), (Step::Layers, 1));
        // It gets half a second to show.
        let step = safety.judge(at(start, 500), path(1e6, true), both(1.5e6, Some(3e6)));
        assert_eq!(step, Step::Stay);
        let step = safety.judge(at(start, 650), path(1e6, true), both(1.5e6, Some(3e6)));
        assert_eq!((step, safety.steps()), (Step::Layers, 2));
        let lowest = Load {
            now: 5e5,
            sound: 0.0,
            higher: Some(1.5e6),
            lower: false,
        };
        let mut up = None;
        for ms in (1_000..6_000).step_by(50) {
            let room = if ms == 1_500 { 1.8e6 } else { 2e6 };
            let step = safety.judge(at(start, ms), path(room, false), lowest);
            if step == Step::Layers {
                up = up.or(Some((ms, safety.steps())));
                break;
            }
        }
        assert_eq!(up, Some((3_550, 1)));
        // An estimate that stays too small is as good as a queue.
        let small = |ms, safety: &mut Safety| {
            safety.judge(at(start, ms), path(1e6, false), both(1.5e6, Some(3e6)))
        };
        assert_eq!(small(5_000, &mut safety), Step::Stay);
        assert_eq!(small(5_300, &mut safety), Step::Layers);
    }
}
