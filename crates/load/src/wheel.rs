//! Timers: when which session wants to be woken, to a few milliseconds.

use std::time::{Duration, Instant};

/// Width of a slot.
const TICK: Duration = Duration::from_millis(2);
/// Slots: timers further away than all of them go round more than once.
const SLOTS: usize = 2_048;

/// A timer wheel. A session may be in it more than once; who is woken looks at what is due anyway.
#[derive(Debug)]
pub(crate) struct Wheel {
    start: Instant,
    /// Slots that were emptied.
    turned: u64,
    slots: Vec<Vec<(usize, u64)>>,
    waiting: usize,
}

impl Wheel {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            turned: 0,
            slots: vec![Vec::new(); SLOTS],
            waiting: 0,
        }
    }

    fn tick(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        (since.as_micros() / TICK.as_micros()) as u64
    }

    /// Wake `key` at `at`, or up to a slot's width after it.
    pub(crate) fn insert(&mut self, at: Instant, key: usize) {
        // A slot is emptied when its time is over.
        let tick = (self.tick(at) + 1).max(self.turned);
        self.slots[(tick % SLOTS as u64) as usize].push((key, tick));
        self.waiting += 1;
    }

    /// Take everybody whose time has come.
    pub(crate) fn due(&mut self, now: Instant, into: &mut Vec<usize>) {
        let end = self.tick(now) + 1;
        // After a long pause every slot is looked at once.
        let first = self.turned.max(end.saturating_sub(SLOTS as u64));
        for turn in first..end {
            let slot = &mut self.slots[(turn % SLOTS as u64) as usize];
            if slot.is_empty() {
                continue;
            }
            let before = slot.len();
            slot.retain(|(key, tick)| {
                let later = *tick >= end;
                if !later {
                    into.push(*key);
                }
                later
            });
            self.waiting -= before - slot.len();
        }
        self.turned = self.turned.max(end);
    }

    /// Time until the next slot with somebody in it.
    pub(crate) fn pause(&self, now: Instant) -> Option<Duration> {
        if self.waiting == 0 {
            return None;
        }
        let ahead = (0..SLOTS as u64).find(|ahead| {
            let turn = self.turned + ahead;
            let slot = &self.slots[(turn % SLOTS as u64) as usize];
            slot.iter().any(|(_, tick)| *tick <= turn)
        });
        let ticks = self.turned + ahead.unwrap_or(SLOTS as u64 - 1);
        let at = self.start + Duration::from_micros(ticks * TICK.as_micros() as u64);
        Some(at.saturating_duration_since(now))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn due(wheel: &mut Wheel, now: Instant) -> Vec<usize> {
        let mut keys = Vec::new();
        wheel.due(now, &mut keys);
        keys.sort_unstable();
        keys
    }

    #[test]
    fn timers_fire_after_their_time_and_soon_after_it() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert_eq!(wheel.pause(start), None);
        for (key, at) in [(1, 10), (2, 11), (3, 300), (4, 6_000), (5, 30_000)] {
            wheel.insert(start + ms(at), key);
        }
        let mut fired = [0; 6];
        for now in 0..40_000 {
            for key in due(&mut wheel, start + ms(now)) {
                fired[key] = now;
            }
        }
        for (key, at) in [(1, 10), (2, 11), (3, 300), (4, 6_000), (5, 30_000)] {
            assert!(
                (at..=at + 4).contains(&fired[key]),
                "{key} at {}",
                fired[key]
            );
        }
        assert_eq!(wheel.pause(start + ms(40_000)), None);
    }

    #[test]
    fn the_pause_ends_when_the_next_one_is_due() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.insert(start + ms(50), 7);
        let mut now = start;
        let mut rounds = 0;
        loop {
            let keys = due(&mut wheel, now);
            if !keys.is_empty() {
                assert_eq!(keys, [7]);
                break;
            }
            now += wheel.pause(now).unwrap_or_default().max(ms(1));
            rounds += 1;
        }
        assert!(rounds <= 3, "{rounds} rounds");
        assert!(now >= start + ms(50) && now <= start + ms(55));
    }

    #[test]
    fn a_timer_of_the_past_fires_at_once_and_a_long_pause_loses_none() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        assert!(due(&mut wheel, start + ms(1_000)).is_empty());
        wheel.insert(start, 1);
        wheel.insert(start + ms(5_000), 2);
        wheel.insert(start + ms(9_000), 3);
        assert_eq!(due(&mut wheel, start + ms(1_010)), [1]);
        assert_eq!(due(&mut wheel, start + ms(100_000)), [2, 3]);
    }
}
