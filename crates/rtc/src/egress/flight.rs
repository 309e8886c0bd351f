//! The flight of a handshake that was sent last, sent again until the peer answers.
//!
//! The engine's own timer doubles from one retransmission to the next and only once in a while answers a peer that
//! repeats itself. Where half of everything gets lost that takes many seconds; a few exact copies, evenly spaced, take
//! a fraction of one. Copies have the record numbers of the first: a receiver that has it drops them unread.

use std::time::{Duration, Instant};

/// Bounds of the time between two copies: a round trip and a half. What is known of the round trip is the time from
/// the peer's first check to its first message, which loss makes longer: hence the upper bound.
const INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(150));
/// Copies after each message of the peer's: at an even chance the peer misses all of them once in a thousand times.
const COPIES: u8 = 10;
/// Copies of the last flight, which nobody answers, as long as nothing shows that something got lost.
const LAST_COPIES: u8 = 7;
/// Copies in all, whatever the peer sends.
const BUDGET: u8 = 60;
/// Bytes of a flight that are kept: certificates of a sane size fit many times.
const LIMIT: usize = 8 << 10;

/// A flight and when to repeat it.
#[derive(Debug)]
pub(super) struct Flight {
    datagrams: Vec<Box<[u8]>>,
    /// Whether what is sent next belongs to another flight.
    over: bool,
    interval: Duration,
    /// When its last datagram was sent first.
    sent: Option<Instant>,
    /// When the next copy is due.
    due: Option<Instant>,
    /// Next datagram of the copy that is going out.
    place: usize,
    copies: u8,
    budget: u8,
    /// Nobody answers the last flight.
    last: bool,
    /// Something got lost, or seems so.
    lossy: bool,
}

impl Flight {
    /// `round_trip` is a guess.
    pub(super) fn new(round_trip: Duration) -> Self {
        Self {
            datagrams: Vec::new(),
            over: true,
            interval: interval(round_trip),
            sent: None,
            due: None,
            place: 0,
            copies: COPIES,
            budget: BUDGET,
            last: false,
            lossy: false,
        }
    }

    /// The engine sent a datagram.
    pub(super) fn push(&mut self, now: Instant, datagram: &[u8]) {
        if std::mem::take(&mut self.over) {
            self.datagrams.clear();
            self.place = 0;
        }
        let kept: usize = self.datagrams.iter().map(|kept| kept.len()).sum();
        if kept + datagram.len() <= LIMIT {
            self.datagrams.push(datagram.into());
        }
        (self.sent, self.due) = (Some(now), Some(now + self.interval));
        if self.last {
            self.hold();
        }
        self.place = self.datagrams.len();
    }

    /// The handshake is over on this side: what was sent last and what is still sent for it is the last flight.
    pub(super) fn hold(&mut self) {
        self.last = true;
        if !self.lossy {
            self.copies = self.copies.min(LAST_COPIES);
        }
    }

    /// The engine's own timer went off: what it sends is the flight in a new form.
    pub(super) fn renew(&mut self) {
        self.over = true;
    }

    /// A message came. Either it is answered by another flight, or the peer has not got this one.
    pub(super) fn answered(&mut self, now: Instant) {
        self.over = true;
        self.copies = COPIES;
        // Who speaks after the last flight has not got it.
        self.lossy |= self.last;
        if let Some(sent) = self.sent.take() {
            let measured = interval(now.saturating_duration_since(sent));
            self.interval = self.interval.min(measured);
        }
        if !self.datagrams.is_empty() {
            self.due.get_or_insert(now);
        }
    }

    /// The peer has got everything.
    pub(super) fn end(&mut self) {
        self.datagrams = Vec::new();
        self.due = None;
    }

    /// When the next copy is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.due
    }

    /// Write the next datagram that is due to the start of `buffer`.
    pub(super) fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Option<usize> {
        if self.place >= self.datagrams.len() {
            self.due.filter(|due| *due <= now)?;
            if self.copies == 0 || self.budget == 0 || self.datagrams.is_empty() {
                self.due = None;
                return None;
            }
            self.lossy = true;
            self.copies -= 1;
            self.budget -= 1;
            self.place = 0;
            self.due = Some(now + self.interval);
        }
        let datagram = &self.datagrams[self.place];
        self.place += 1;
        let room = buffer.get_mut(..datagram.len())?;
        room.copy_from_slice(datagram);
        Some(room.len())
    }
}

fn interval(round_trip: Duration) -> Duration {
    let (least, most) = INTERVAL;
    (round_trip * 3 / 2).clamp(least, most)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Milliseconds at which copies leave, and how many datagrams each has.
    fn copies(flight: &mut Flight, start: Instant, from: u32, to: u32) -> Vec<(u32, usize)> {
        let mut out = Vec::new();
        let mut buffer = [0; 2048];
        for ms in from..to {
            let count = std::iter::from_fn(|| flight.poll(start + MS * ms, &mut buffer)).count();
            if count > 0 {
                out.push((ms, count));
            }
        }
        out
    }

    #[test]
    fn copies_leave_evenly_until_the_peer_answers() {
        let start = Instant::now();
        // (round trip, interval)
        for (round_trip, interval) in [(1, 50), (40, 60), (100, 150), (900, 150)] {
            let mut flight = Flight::new(MS * round_trip);
            flight.push(start, &[1; 100]);
            flight.push(start, &[2; 100]);
            let expected: Vec<_> = (1..=10).map(|copy| (copy * interval, 2)).collect();
            assert_eq!(
                copies(&mut flight, start, 0, 9_000),
                expected,
                "{round_trip}"
            );
            assert_eq!(flight.wake_at(), None);
        }
    }

    #[test]
    fn an_answer_begins_another_flight_and_a_repetition_the_same_again() {
        let start = Instant::now();
        let mut flight = Flight::new(MS * 40);
        flight.push(start, &[1; 100]);
        assert_eq!(copies(&mut flight, start, 0, 100), [(60, 1)]);
        flight.answered(start + MS * 100);
        flight.push(start + MS * 100, &[2; 30]);
        assert_eq!(copies(&mut flight, start, 100, 200), [(160, 1)]);
        let mut buffer = [0; 100];
        assert_eq!(flight.poll(start + MS * 220, &mut buffer), Some(30));
        assert_eq!(buffer[..30], [2; 30]);
        assert_eq!(copies(&mut flight, start, 221, 2_000).len(), 8);
        // All copies got lost: the peer says its part again.
        flight.answered(start + MS * 2_000);
        assert_eq!(
            copies(&mut flight, start, 2_000, 2_070),
            [(2_000, 1), (2_060, 1)]
        );
        flight.end();
        assert_eq!(copies(&mut flight, start, 2_070, 9_000), []);
    }

    #[test]
    fn the_last_flight_is_repeated_more_where_something_got_lost() {
        let start = Instant::now();
        for lossy in [false, true] {
            let mut flight = Flight::new(MS * 40);
            flight.push(start, &[1; 100]);
            let before = copies(&mut flight, start, 0, if lossy { 70 } else { 50 });
            assert_eq!(before.len(), usize::from(lossy));
            flight.answered(start + MS * 100);
            flight.hold();
            flight.push(start + MS * 100, &[2; 30]);
            let after = copies(&mut flight, start, 100, 1_000);
            assert_eq!(after.len(), if lossy { 10 } else { 7 });
            // The engine repeats its flight once by itself.
            flight.answered(start + MS * 1_000);
            flight.push(start + MS * 1_000, &[2; 30]);
            assert_eq!(copies(&mut flight, start, 1_000, 2_000).len(), 10);
        }
    }

    #[test]
    fn a_peer_that_repeats_itself_for_ever_gets_no_more_than_the_budget() {
        let start = Instant::now();
        let mut flight = Flight::new(MS * 40);
        flight.push(start, &[1; 100]);
        let mut all = 0;
        for ms in 0..60_000 {
            flight.answered(start + MS * ms);
            all += copies(&mut flight, start, ms, ms + 1).len();
        }
        assert_eq!(all, usize::from(BUDGET));
        for _ in 0..100 {
            flight.push(start, &[1; 1_000]);
        }
        assert!(flight.datagrams.len() * 1_000 <= LIMIT);
    }
}
