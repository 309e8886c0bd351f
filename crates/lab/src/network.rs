//! One direction of a peer's access: loss, delay, reordering, a rate with a bounded queue.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::random::Random;

/// What a link does to datagrams. The same in both directions; each direction draws its own chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    loss: f64,
    delay: Duration,
    jitter: Duration,
    /// Bits per second; 0 is without limit.
    rate: u64,
    /// How long the queue in front of the rate may get before its tail is dropped.
    queue: Duration,
}

impl Link {
    /// 5 ms one way and nothing else.
    pub const fn clean() -> Self {
        let none = Duration::ZERO;
        Link {
            loss: 0.0,
            delay: Duration::from_millis(5),
            jitter: none,
            rate: 0,
            queue: Duration::from_millis(200),
        }
    }

    /// 15 ms one way, 5 ms of jitter, 1 % loss.
    pub const fn wifi() -> Self {
        Link::clean()
            .delay(Duration::from_millis(15))
            .jitter(Duration::from_millis(5))
            .loss(0.01)
    }

    /// Share of datagrams that vanish, 0 to 1.
    pub const fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// Time one way.
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Up to so much is added to the delay of each datagram on its own, so that they overtake each other.
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// How long the queue in front of the rate may get.
    pub const fn queue(mut self, queue: Duration) -> Self {
        self.queue = queue;
        self
    }

    /// Bits per second.
    pub const fn rate(mut self, rate: u64) -> Self {
        self.rate = rate;
        self
    }
}

/// A link in use, one direction.
#[derive(Debug)]
pub(crate) struct Direction {
    link: Link,
    random: Random,
    /// Chance of copies of a handshake message: how often one is repeated does not change what becomes of the rest.
    repetitions: Random,
    handshakes: BTreeSet<Vec<u8>>,
    /// When the queue in front of the rate is empty.
    free_at: Option<Instant>,
}

/// Bytes of IP and UDP that the rate counts too.
const OVERHEAD: u64 = 28;
/// Handshake messages count as if they were so long: their true length depends on keys, which no seed fixes.
const HANDSHAKE: u64 = 1200;

impl Direction {
    pub fn new(link: Link, random: Random) -> Self {
        Direction {
            link,
            repetitions: random.another("repetitions"),
            handshakes: BTreeSet::new(),
            random,
            free_at: None,
        }
    }

    pub fn change(&mut self, link: Link) {
        self.link = link;
        self.free_at = None;
    }

    /// When a datagram sent now arrives; `None` when it is lost. Draws the same amount of chance for every datagram.
    pub fn send(&mut self, now: Instant, datagram: &[u8]) -> Option<Instant> {
        // RFC 7983: DTLS starts with 20 to 63.
        let handshake = datagram
            .first()
            .is_some_and(|first| (20..=63).contains(first));
        let random = match handshake && !self.handshakes.insert(datagram.to_vec()) {
            true => &mut self.repetitions,
            false => &mut self.random,
        };
        let lost = random.chance(self.link.loss);
        let jitter = self.link.jitter.mul_f64(random.share());
        let mut sent = now;
        let bytes = OVERHEAD
            + if handshake {
                HANDSHAKE
            } else {
                datagram.len() as u64
            };
        if let Some(nanoseconds) = (bytes * 8 * 1_000_000_000).checked_div(self.link.rate) {
            let begin = self.free_at.map_or(now, |at| at.max(now));
            if begin - now > self.link.queue {
                return None;
            }
            sent = begin + Duration::from_nanos(nanoseconds);
            self.free_at = Some(sent);
        }
        (!lost).then_some(sent + self.link.delay + jitter)
    }
}

/// Put datagrams of one instant into an order that no hash table has a say in: by protocol, then payload type. The
/// WebRTC library keeps its streams in tables with a random order, and each datagram draws its own chance.
pub(crate) fn order(datagrams: &mut [(SocketAddr, Vec<u8>)]) {
    datagrams.sort_by_key(|(to, datagram)| {
        let kind = datagram.first().map_or(0, |first| first >> 6);
        let payload_type = datagram
            .get(1)
            .filter(|_| kind == 2)
            .map_or(0, |second| second & 0x7f);
        (*to, kind, payload_type)
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    fn arrivals(link: Link, count: usize) -> Vec<Option<Duration>> {
        let start = Instant::now();
        let mut direction = Direction::new(link, Random::new(3));
        (0..count)
            .map(|_| direction.send(start, &[0x80; 972]).map(|at| at - start))
            .collect()
    }

    #[test]
    fn loss_is_about_what_was_asked_for_and_the_same_each_time() {
        let link = Link::clean().loss(0.1);
        let lost = arrivals(link, 10_000)
            .iter()
            .filter(|a| a.is_none())
            .count();
        assert!((900..1100).contains(&lost), "{lost}");
        assert_eq!(arrivals(link, 500), arrivals(link, 500));
    }

    #[test]
    fn jitter_reorders_and_the_rate_spaces_and_drops_the_tail() {
        let jittery = arrivals(Link::clean().jitter(Duration::from_millis(10)), 100);
        assert!(!jittery.is_sorted());
        // 1000 bytes at 800 kbit/s take 10 ms; 200 ms of queue hold 21 of them.
        let limited = arrivals(Link::clean().rate(800_000), 100);
        assert_eq!(limited[1], Some(Duration::from_millis(25)));
        assert_eq!(limited.iter().filter(|a| a.is_some()).count(), 21);
    }
}
