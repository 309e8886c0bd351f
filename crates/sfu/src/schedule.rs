//! Who wants to be woken when, without asking everybody.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::number_map::NumberMap;
use crate::{SessionId, StreamId};

/// Whose timer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A session's own timers and deadlines.
    Session(SessionId),
    /// A key-frame request of a stream that has to wait.
    KeyFrame(StreamId),
    /// Viewers of a stream that get packets at their own pace.
    Pace(StreamId),
}

/// One deadline per timer, sorted.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    sorted: BTreeSet<(Instant, Timer)>,
    current: NumberMap<Timer, Instant>,
}

impl Schedule {
    /// Set a timer, or take it away.
    pub(crate) fn set(&mut self, timer: Timer, at: Option<Instant>) {
        if self.current.get(&timer).copied() == at {
            return;
        }
        let before = match at {
            Some(at) => self.current.insert(timer, at),
            None => self.current.remove(&timer),
        };
        if let Some(before) = before {
            self.sorted.remove(&(before, timer));
        }
        if let Some(at) = at {
            self.sorted.insert((at, timer));
        }
    }

    /// Set a timer unless it already runs out earlier.
    pub(crate) fn earliest(&mut self, timer: Timer, at: Instant) {
        if self.current.get(&timer).is_none_or(|current| *current > at) {
            self.set(timer, Some(at));
        }
    }

    /// Take out a timer that is due.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.sorted.first()?;
        if at > now {
            return None;
        }
        self.set(timer, None);
        Some(timer)
    }

    /// When the next timer runs out.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.sorted.first().map(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_come_due_in_order_and_only_once() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (a, b) = (Timer::Session(SessionId(1)), Timer::KeyFrame(StreamId(1)));
        let mut schedule = Schedule::default();
        schedule.set(a, Some(at(20)));
        schedule.set(b, Some(at(10)));
        schedule.set(a, Some(at(5)));
        schedule.earliest(a, at(7));
        assert_eq!(schedule.next(), Some(at(5)));
        assert_eq!(schedule.due(at(4)), None);
        assert_eq!(schedule.due(at(30)), Some(a));
        assert_eq!(schedule.due(at(30)), Some(b));
        assert_eq!(schedule.due(at(30)), None);
        schedule.set(a, Some(at(1)));
        schedule.set(a, None);
        assert_eq!((schedule.next(), schedule.len()), (None, 0));
    }
}
