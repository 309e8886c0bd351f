//! Reports in both directions: what the peer says of the streams, and what it is told of their clocks.

use std::time::{Duration, Instant};

use sanderling_media::Kind;

use super::rtcp::{self, COUNT_LIMIT, Compound, Feedback};
use super::slot::Moment;
use super::{EgressViewer, FIRST_ROUND_TRIP, index, rtp};
use crate::session::{Accepted, Event, MAX_DATAGRAM, Output};

/// Between reports on each stream.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// From the first packet of a stream to its first report: the receiver lines audio and video up by it. Long enough for
/// both to share a datagram.
const FIRST_REPORT: Duration = Duration::from_millis(50);
/// Streams that share one datagram of reports: 56 bytes each, so it stays below 1 100.
const REPORTS_AT_ONCE: usize = 18;
/// Packets that wait to be sent again; what is asked for beyond that is asked for again.
const REPAIR_LIMIT: usize = 1024;
/// Share of lost packets from which on repairs are doubled rather than held back.
const HEAVY_LOSS: f64 = 0.03;
/// Longest round trip that is believed.
const ROUND_TRIP_LIMIT: Duration = Duration::from_secs(10);

impl EgressViewer {
    /// Take in a datagram of RTCP.
    pub(super) fn handle_rtcp(&mut self, now: Instant, datagram: &[u8]) -> Accepted {
        let mut buffer = [0; MAX_DATAGRAM];
        let (Some(keys), Some(room)) = (&mut self.keys, buffer.get_mut(..datagram.len())) else {
            return Accepted::No;
        };
        room.copy_from_slice(datagram);
        let Some(plain) = keys.1.open_rtcp(room) else {
            return Accepted::No;
        };
        if let Some(association) = &mut self.association {
            association.confirm();
        }
        rtcp::read(plain, |feedback| self.feedback(now, &feedback));
        Accepted::Data
    }

    fn feedback(&mut self, now: Instant, feedback: &Feedback<'_>) {
        let moment = Moment::new(self.opened, now);
        let ms = moment.ms;
        match *feedback {
            Feedback::Report {
                ssrc,
                lost,
                last_report,
                delay,
            } => {
                let mut outlets = self.slots.iter_mut().flatten().flatten();
                if let Some(outlet) = outlets.find(|outlet| outlet.ssrc == ssrc) {
                    outlet.reported(lost);
                }
                if let Some(sample) = self.measure(now, last_report, delay) {
                    self.round_trip = Some(sample);
                    // The shortest of late, so that jitter does not hold repairs up.
                    let least = self.least_round_trip.unwrap_or(sample);
                    let risen = least + sample.saturating_sub(least) / 16;
                    self.least_round_trip = Some(risen.min(sample));
                    for outlet in self.slots.iter_mut().flatten().flatten() {
                        outlet.set_round_trip(sample);
                    }
                }
            }
            Feedback::Missing { ssrc, pairs } => self.missing(ms, ssrc, pairs),
            Feedback::KeyFrame { ssrc, number } => {
                let video = self.slots.iter_mut().zip(0_u16..).find_map(|(slot, at)| {
                    let outlet = slot[index(Kind::Video)].as_mut()?;
                    (outlet.ssrc == ssrc).then_some((at, outlet))
                });
                let Some((slot, outlet)) = video else {
                    return;
                };
                let asked = |event: &Event| matches!(event, Event::KeyFrameNeeded { slot: s } if *s == slot);
                if outlet.key_frame_requested(number) && !self.events.iter().any(asked) {
                    self.events.push_back(Event::KeyFrameNeeded { slot });
                }
            }
            Feedback::Transport(message) => {
                if let Some(estimate) = &mut self.estimate {
                    let round_trip = self.round_trip.map(|time| time.as_secs_f64() * 1_000.0);
                    estimate.feedback(ms, moment.send_time, round_trip, message);
                }
            }
            Feedback::Estimate(rate) => {
                let estimate = self.estimate.get_or_insert_with(Box::default);
                estimate.set_remote(ms, rate);
            }
        }
    }

    fn missing(&mut self, ms: u32, ssrc: u32, pairs: &[u8]) {
        let round_trip = self.least_round_trip.unwrap_or(FIRST_ROUND_TRIP);
        let loss = self.estimate.as_ref().and_then(|e| e.loss());
        let video = self.slots.iter_mut().zip(0_u16..).find_map(|(slot, at)| {
            let outlet = slot[index(Kind::Video)].as_mut()?;
            (outlet.ssrc == ssrc).then_some((at, outlet))
        });
        let Some((slot, outlet)) = video else {
            return;
        };
        outlet.nacks += 1;
        // A copy that left less than most of a round trip ago may still arrive. Where much gets lost it probably will
        // not, and the peer asks only so often.
        let again = match outlet.loss.max(loss.unwrap_or(0.0)) >= HEAVY_LOSS {
            true => round_trip / 4,
            false => round_trip * 4 / 5,
        };
        let room = REPAIR_LIMIT.saturating_sub(self.repairs.len());
        let numbers = pairs.chunks_exact(4).flat_map(rtcp::missing).take(room);
        let repairs = &mut self.repairs;
        outlet.missing(numbers, ms, again.as_millis() as u32, |sequence| {
            repairs.push_back((slot, sequence));
        });
    }

    /// Round trip by a report: now, less when the report it answers left, less the time it lay at the peer
    /// (RFC 3550 section 6.4.1).
    fn measure(&self, now: Instant, last_report: u32, delay: u32) -> Option<Duration> {
        if last_report == 0 {
            return None;
        }
        let units = (self.ntp(now) >> 16) as u32;
        let units = units.wrapping_sub(last_report).wrapping_sub(delay);
        let time = Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16);
        (time < ROUND_TRIP_LIMIT).then_some(time)
    }

    fn ntp(&self, now: Instant) -> u64 {
        let unix_ns = self.agreement.config().wall_clock.unix_ns(now);
        rtp::ntp(u64::try_from(unix_ns).unwrap_or(0))
    }

    /// A stream begins: report on it soon.
    pub(super) fn report_soon(&mut self, now: Instant) {
        let soon = now + FIRST_REPORT;
        self.report_at = Some(self.report_at.map_or(soon, |at| at.min(soon)));
    }

    /// Write sender reports that are due.
    pub(super) fn poll_report(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Output> {
        if self.report_at.is_none_or(|at| at > now) {
            return None;
        }
        let ntp = self.ntp(now);
        let mut ssrcs = [0; REPORTS_AT_ONCE];
        let mut count = 0;
        let mut compound = Compound::new(buffer);
        let outlets = self.slots.iter().flatten().skip(self.report_from);
        for outlet in outlets {
            if count == REPORTS_AT_ONCE {
                break;
            }
            self.report_from += 1;
            let Some(outlet) = outlet else {
                continue;
            };
            if let Some((timestamp, packets, octets)) = outlet.report(now) {
                compound.sender_report(outlet.ssrc, ntp, timestamp, packets, octets);
                ssrcs[count] = outlet.ssrc;
                count += 1;
            }
        }
        if self.report_from == 2 * self.slots.len() {
            self.report_from = 0;
            let flows = self.slots.iter().flatten().flatten().any(|o| o.flows());
            self.report_at = flows.then_some(now + REPORT_INTERVAL);
        }
        if count == 0 {
            return None;
        }
        compound.names(&ssrcs[..count], &self.agreement.cname);
        let length = compound.length();
        let path = self.ice.path(now)?;
        let len = self.keys.as_mut()?.0.seal_rtcp(buffer, length)?;
        Some(Output::Transmit { path, len })
    }

    /// Write a goodbye of every source that sent something.
    pub(super) fn goodbye(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let mut ssrcs = [0; COUNT_LIMIT];
        let mut count = 0;
        let sent = self.slots.iter().flatten().flatten();
        for (place, outlet) in ssrcs.iter_mut().zip(sent.filter(|o| o.packets > 0)) {
            *place = outlet.ssrc;
            count += 1;
        }
        let ssrcs = &ssrcs[..count];
        let mut compound = Compound::new(buffer);
        compound.empty_report(*ssrcs.first()?);
        compound.names(&ssrcs[..1], &self.agreement.cname);
        compound.bye(ssrcs);
        let length = compound.length();
        self.keys.as_mut()?.0.seal_rtcp(buffer, length)
    }
}
