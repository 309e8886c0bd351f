//! What the path to a viewer carries, by the viewer's transport-wide feedback, or by an estimate of its own.
//!
//! Nothing is allocated per packet: departures lie in a ring of bounded size, arrivals in a few sums.

mod arrivals;
mod delivery;
mod departures;
mod rate;
mod trend;

use arrivals::{Arrivals, Clock, TICKS_PER_MS};
use delivery::Delivery;
use departures::Departures;
use rate::{Observation, Rate};
use trend::{Trend, Usage};

use crate::session::Allowance;

/// Time over which loss is counted, milliseconds.
const LOSS_WINDOW_MS: u32 = 500;
/// Packets leave and no feedback comes for so long: they wait in a queue, or feedback does.
const SILENCE_MS: u32 = 1_000;
/// After so long the peer is taken for one that gives no feedback, else a viewer whose sections with feedback are all
/// held back would wait for ever.
const GIVEN_UP_MS: u32 = 5_000;
/// Nothing is on its way and no feedback comes for so long: no queue is left.
const IDLE_MS: u32 = 500;
/// Time that the receiver's own estimate holds.
const REMOTE_MS: u32 = 10_000;
/// Round trip that is assumed until one is measured, milliseconds.
const ROUND_TRIP_MS: f64 = 100.0;

/// Numbers of the packets that leave, and what their arrivals say of the path.
#[derive(Debug, Default)]
pub(super) struct Estimate {
    departures: Departures,
    clock: Clock,
    trend: Trend,
    delivery: Delivery,
    rate: Rate,
    congested: bool,
    /// When the first packet left that no feedback has come after.
    waiting_ms: Option<u32>,
    /// When feedback came last.
    heard_ms: Option<u32>,
    window_ms: Option<u32>,
    received: u32,
    lost: u32,
    /// Share lost in the last whole window.
    loss: Option<f64>,
    /// The receiver's own estimate, bits per second, and when it came.
    remote: Option<(u64, u32)>,
}

impl Estimate {
    /// Read what the next departure is noted in.
    pub(super) fn warm(&self) -> u64 {
        self.departures.warm() ^ u64::from(self.waiting_ms.unwrap_or(0))
    }

    /// Number of the next packet.
    #[inline]
    pub(super) fn next(&self) -> u16 {
        self.departures.next()
    }

    /// The packet with the next number left, at `now_ms` of the session's time and `send_time`, the same in 6.18
    /// fixed-point seconds.
    #[inline]
    pub(super) fn departed(&mut self, now_ms: u32, send_time: u32, size: usize) {
        self.departures.push(send_time, size);
        if self.waiting_ms.is_none() {
            self.waiting_ms = Some(now_ms);
        }
    }

    /// Take in feedback, without its RTCP header.
    pub(super) fn feedback(
        &mut self,
        now_ms: u32,
        send_time: u32,
        round_trip_ms: Option<f64>,
        message: &[u8],
    ) {
        let Some(arrivals) = Arrivals::read(message) else {
            return;
        };
        let mut known = false;
        let mut reference = None;
        for (number, arrival) in arrivals.packets() {
            let Some((age_ms, size)) = self.departures.take(number, send_time) else {
                continue;
            };
            known = true;
            let Some(offset) = arrival else {
                self.lost = self.lost.saturating_add(1);
                continue;
            };
            self.received = self.received.saturating_add(1);
            let reference =
                *reference.get_or_insert_with(|| self.clock.ticks(arrivals.reference()));
            let arrived = (reference + offset) as f64 / TICKS_PER_MS;
            self.delivery.packet(arrived, size);
            self.trend.packet(f64::from(now_ms) - age_ms, arrived);
        }
        if !known {
            return;
        }
        (self.waiting_ms, self.heard_ms) = (None, Some(now_ms));
        self.count_loss(now_ms);
        let usage = self.trend.usage();
        self.congested = match usage {
            Usage::Over => true,
            Usage::Normal => false,
            Usage::Under => self.congested,
        };
        let seen = Observation {
            usage,
            delivered: self.delivery.bits_per_second(),
            loss: self.loss,
            round_trip_ms: round_trip_ms.unwrap_or(ROUND_TRIP_MS),
        };
        self.rate.update(now_ms, seen);
    }

    fn count_loss(&mut self, now_ms: u32) {
        let begin = *self.window_ms.get_or_insert(now_ms);
        let all = self.received.saturating_add(self.lost);
        if now_ms.wrapping_sub(begin) >= LOSS_WINDOW_MS && all > 0 {
            self.loss = Some(f64::from(self.lost) / f64::from(all));
            (self.received, self.lost) = (0, 0);
            self.window_ms = Some(now_ms);
        }
    }

    /// The receiver sent an estimate of its own, bits per second.
    pub(super) fn set_remote(&mut self, now_ms: u32, bits_per_second: u64) {
        self.remote = Some((bits_per_second, now_ms));
    }

    /// What may be sent; `None` while nothing is known of the path.
    pub(super) fn allowance(&self, now_ms: u32) -> Option<Allowance> {
        let remote = self
            .remote
            .filter(|(_, at)| now_ms.wrapping_sub(*at) < REMOTE_MS)
            .map(|(rate, _)| rate as f64);
        // What left late in a turn is dated after the turn's time.
        let silent = self
            .waiting_ms
            .map(|since| (now_ms.wrapping_sub(since) as i32).max(0) as u32);
        let measured = self
            .heard_ms
            .filter(|_| silent.is_none_or(|silent| silent < GIVEN_UP_MS));
        let Some(heard_ms) = measured else {
            return remote.map(|bits_per_second| Allowance {
                bits_per_second,
                congested: false,
            });
        };
        let idle = silent.is_none() && now_ms.wrapping_sub(heard_ms) >= IDLE_MS;
        let stuck = silent.is_some_and(|silent| silent >= SILENCE_MS);
        Some(Allowance {
            bits_per_second: self.rate.bits().min(remote.unwrap_or(f64::INFINITY)),
            congested: stuck || self.congested && !idle,
        })
    }

    /// Bits per second of the last [`Estimate::allowance`], whenever that was.
    pub(super) fn bits_per_second(&self) -> Option<f64> {
        let remote = self.remote.map(|(rate, _)| rate as f64);
        let measured = self.heard_ms.map(|_| self.rate.bits());
        match (measured, remote) {
            (Some(measured), Some(remote)) => Some(measured.min(remote)),
            (measured, remote) => measured.or(remote),
        }
    }

    /// Bits per second that reach the viewer; `None` while too little is known.
    pub(super) fn delivered(&self) -> Option<f64> {
        self.delivery.bits_per_second()
    }

    /// Share of packets that got lost, 0 to 1.
    pub(super) fn loss(&self) -> Option<f64> {
        self.loss
    }
}

#[cfg(test)]
mod tests;
