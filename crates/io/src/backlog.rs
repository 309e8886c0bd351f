//! Datagrams that a socket would not take yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::transmit::Entry;

/// Time that media may wait. Later the packet after it, or a repair, serves the viewer better; and what waits holds up
/// what comes after it.
const MEDIA_AGE: Duration = Duration::from_millis(50);
/// Time that the rest may wait: checks and handshakes are repeated after about this, so an older copy is of no use.
const CONTROL_AGE: Duration = Duration::from_millis(500);
/// Bytes that may wait for one socket: 50 ms at 600 Mb/s.
const MOST: usize = 4 << 20;

/// What waits for one socket, oldest first. Bounded in age and in bytes.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    bytes: Vec<u8>,
    entries: VecDeque<Entry>,
    /// When each entry is of no use any more.
    ends: VecDeque<Instant>,
}

/// Time that a datagram may wait, by its first byte (RFC 7983): STUN and DTLS are control, and so is RTCP by its
/// second (RFC 5761 section 4).
fn age(datagram: &[u8]) -> Duration {
    match datagram {
        [128..=191, second, ..] if !(192..=223).contains(second) => MEDIA_AGE,
        _ => CONTROL_AGE,
    }
}

impl Backlog {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keep entries of `buffer`. Returns how many older ones had to go for them.
    pub fn keep(&mut self, now: Instant, buffer: &[u8], entries: &[Entry]) -> u64 {
        let mut dropped = 0;
        for entry in entries {
            let datagram = &buffer[entry.start..entry.start + entry.len];
            if self.bytes.len() + datagram.len() > MOST {
                dropped += self.make_room(datagram.len());
            }
            self.entries.push_back(Entry {
                start: self.bytes.len(),
                ..*entry
            });
            self.ends.push_back(now + age(datagram));
            self.bytes.extend_from_slice(datagram);
        }
        dropped
    }

    /// Take what is too old out. Returns how many that were.
    pub fn expire(&mut self, now: Instant) -> u64 {
        let before = self.entries.len();
        let ends = &self.ends;
        let mut index = 0;
        self.entries.retain(|_| {
            index += 1;
            ends[index - 1] > now
        });
        self.ends.retain(|end| *end > now);
        self.forget_if_empty();
        (before - self.entries.len()) as u64
    }

    /// What waits, and the bytes that the entries mean.
    pub fn waiting(&mut self) -> (&[u8], &[Entry]) {
        (&self.bytes, self.entries.make_contiguous())
    }

    /// The first `count` entries were dealt with.
    pub fn taken(&mut self, count: usize) {
        self.entries.drain(..count);
        self.ends.drain(..count);
        self.forget_if_empty();
    }

    /// Drop from the oldest on until a quarter of the room is free, so that the bytes behind are not moved for each
    /// new datagram.
    fn make_room(&mut self, length: usize) -> u64 {
        let mut dropped = 0;
        let mut held: usize = self.entries.iter().map(|entry| entry.len).sum();
        while held + length > MOST * 3 / 4 {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.ends.pop_front();
            held -= oldest.len;
            dropped += 1;
        }
        let mut end = 0;
        for entry in &mut self.entries {
            self.bytes
                .copy_within(entry.start..entry.start + entry.len, end);
            entry.start = end;
            end += entry.len;
        }
        self.bytes.truncate(end);
        dropped
    }

    fn forget_if_empty(&mut self) {
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn keep(backlog: &mut Backlog, now: Instant, datagram: &[u8]) -> u64 {
        let entry = Entry {
            socket: 0,
            remote: "127.0.0.1:9".parse().unwrap(),
            start: 0,
            len: datagram.len(),
        };
        backlog.keep(now, datagram, &[entry])
    }

    fn firsts(backlog: &mut Backlog) -> Vec<u8> {
        let (bytes, entries) = backlog.waiting();
        entries.iter().map(|entry| bytes[entry.start]).collect()
    }

    #[test]
    fn media_grows_old_before_checks_handshakes_and_reports() {
        let start = Instant::now();
        let mut backlog = Backlog::default();
        for datagram in [[0x80, 96], [0, 1], [22, 0], [0x80, 200], [0x90, 111]] {
            keep(&mut backlog, start, &datagram);
        }
        assert_eq!(backlog.expire(start + Duration::from_millis(49)), 0);
        assert_eq!(backlog.expire(start + Duration::from_millis(50)), 2);
        assert_eq!(firsts(&mut backlog), [0, 22, 0x80]);
        assert_eq!(backlog.expire(start + Duration::from_millis(500)), 3);
        assert!(backlog.is_empty() && backlog.bytes.is_empty());
    }

    #[test]
    fn what_was_taken_is_gone_and_the_rest_keeps_its_order() {
        let now = Instant::now();
        let mut backlog = Backlog::default();
        for n in 1..=5 {
            keep(&mut backlog, now, &[n, 0]);
        }
        backlog.taken(2);
        assert_eq!(firsts(&mut backlog), [3, 4, 5]);
        backlog.taken(3);
        assert!(backlog.bytes.is_empty());
    }

    #[test]
    fn a_socket_that_takes_nothing_costs_bounded_memory_and_the_newest_stay() {
        let now = Instant::now();
        let mut backlog = Backlog::default();
        let mut dropped = 0;
        let count = 20_000_u32;
        for n in 0..count {
            let mut datagram = [0x80; 1200];
            datagram[4..8].copy_from_slice(&n.to_be_bytes());
            dropped += keep(&mut backlog, now, &datagram);
            assert!(backlog.bytes.len() <= MOST);
        }
        let (bytes, entries) = backlog.waiting();
        assert_eq!(entries.len() as u64 + dropped, u64::from(count));
        let last = entries.last().unwrap();
        assert_eq!(
            bytes[last.start + 4..last.start + 8],
            (count - 1).to_be_bytes()
        );
        let number = |entry: &Entry| bytes[entry.start + 7];
        let numbers: Vec<u8> = entries.iter().map(number).collect();
        assert!(numbers.windows(2).all(|w| w[1] == w[0].wrapping_add(1)));
    }
}
