//! How long a session may live, and when it reports.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::CloseReason;

/// Time for ICE and DTLS. A phone on a bad network needs several seconds; a browser gives up after about 15.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(15);
/// Time between two reports of a session.
pub(crate) const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);

/// Deadlines of one session.
#[derive(Debug)]
pub(crate) struct SessionLife {
    opened: Instant,
    heard: Instant,
    consent_timeout: Duration,
    connected: bool,
    next_statistics: Instant,
    /// What the session itself asked for.
    pub(crate) wake_at: Option<Instant>,
    /// Whether it stands in the worker's list of sessions to drain.
    pub(crate) touched: bool,
    /// Where its handshake comes from, while it is under way.
    pub(crate) handshake_from: Option<IpAddr>,
}

impl SessionLife {
    pub(crate) fn new(now: Instant, consent_timeout: Duration) -> Self {
        Self {
            opened: now,
            heard: now,
            consent_timeout,
            connected: false,
            next_statistics: now + STATISTICS_INTERVAL,
            wake_at: None,
            touched: false,
            handshake_from: None,
        }
    }

    /// The peer became known only now: its deadlines begin.
    pub(crate) fn reopen(&mut self, now: Instant) {
        (self.opened, self.heard) = (now, now);
    }

    #[inline]
    pub(crate) fn connected(&self) -> bool {
        self.connected
    }

    pub(crate) fn connect(&mut self, now: Instant) {
        self.connected = true;
        self.heard = now;
        self.next_statistics = now + STATISTICS_INTERVAL;
    }

    /// The peer proved that it is there: STUN with our password, or media under our key.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Time since the session was opened.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.opened)
    }

    /// Time since the peer was heard.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    fn deadline(&self) -> Instant {
        if self.connected {
            self.heard + self.consent_timeout
        } else {
            self.opened + HANDSHAKE_DEADLINE
        }
    }

    /// Why the session has to end by now.
    pub(crate) fn expired(&self, now: Instant) -> Option<CloseReason> {
        (now >= self.deadline()).then_some(if self.connected {
            CloseReason::ConsentExpired
        } else {
            CloseReason::IceTimeout
        })
    }

    /// Whether a second has passed since the last report; counts from now when it has.
    pub(crate) fn statistics_due(&mut self, now: Instant) -> bool {
        let due = self.connected && now >= self.next_statistics;
        if due {
            self.next_statistics = now + STATISTICS_INTERVAL;
        }
        due
    }

    /// Next time that something has to be done for the session.
    pub(crate) fn next(&self) -> Instant {
        let mut next = self.deadline();
        if self.connected {
            next = next.min(self.next_statistics);
        }
        self.wake_at.map_or(next, |at| next.min(at))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_never_connects_and_one_that_falls_silent_end_for_different_reasons() {
        let start = Instant::now();
        let mut life = SessionLife::new(start, Duration::from_secs(30));
        assert_eq!(life.expired(start + Duration::from_millis(14_999)), None);
        assert_eq!(
            life.expired(start + HANDSHAKE_DEADLINE),
            Some(CloseReason::IceTimeout)
        );
        life.connect(start + Duration::from_secs(1));
        assert_eq!(life.expired(start + HANDSHAKE_DEADLINE), None);
        life.hear(start + Duration::from_secs(20));
        assert_eq!(life.expired(start + Duration::from_secs(49)), None);
        assert_eq!(
            life.expired(start + Duration::from_secs(50)),
            Some(CloseReason::ConsentExpired)
        );
    }

    #[test]
    fn reports_fall_due_once_a_second_and_only_when_connected() {
        let start = Instant::now();
        let mut life = SessionLife::new(start, Duration::from_secs(30));
        assert!(!life.statistics_due(start + Duration::from_secs(2)));
        life.connect(start);
        assert!(life.statistics_due(start + Duration::from_secs(2)));
        assert!(!life.statistics_due(start + Duration::from_millis(2_999)));
        assert_eq!(life.next(), start + Duration::from_secs(3));
    }
}
