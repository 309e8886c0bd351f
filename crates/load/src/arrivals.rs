//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): which packets came, and when.

use std::time::{Duration, Instant};

use crate::rtp::extend;

/// Packets that one feedback interval remembers: 0.1 s at 80 Mbit/s and more.
const REMEMBERED: usize = 1024;
/// Numbers that one packet of feedback covers, so that it fits into a datagram.
const SPAN: u64 = 400;
/// Units of the reference time and of arrival times, µs.
const REFERENCE_US: u64 = 64_000;
const TICK_US: u64 = 250;
/// Packets without which there is something to say, but the numbers went on: skipped over, as lost long ago.
const REACH: u64 = 4_096;

/// Arrivals since the last feedback.
#[derive(Debug)]
pub(crate) struct Arrivals {
    epoch: Instant,
    highest: Option<u64>,
    /// First number that no feedback covered.
    next: u64,
    came: Vec<(u64, Instant)>,
    count: u8,
}

impl Arrivals {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            highest: None,
            next: 0,
            came: Vec::new(),
            count: 0,
        }
    }

    /// A packet with this number came.
    pub(crate) fn record(&mut self, now: Instant, number: u16) {
        let Some(number) = extend(self.highest, number) else {
            return;
        };
        if self.highest.is_none() {
            self.next = number;
        }
        self.highest = self.highest.max(Some(number));
        // One that feedback already called lost stays lost: libwebrtc sends it again, but nobody uses it.
        if number >= self.next && self.came.len() < REMEMBERED {
            self.came.push((number, now));
        }
    }

    /// Whether there is something to say.
    pub(crate) fn is_due(&self) -> bool {
        !self.came.is_empty()
    }

    /// Write one packet of feedback on what came to the start of `out`. `None` when there is nothing (more) to say.
    pub(crate) fn write(&mut self, out: &mut [u8], sender: u32, ssrc: u32) -> Option<usize> {
        if self.came.is_empty() {
            return None;
        }
        // Nearly always in order already.
        self.came.sort_unstable_by_key(|(number, _)| *number);
        let (first, earliest) = self.came[0];
        if first - self.next > REACH {
            self.next = first;
        }
        let base = self.next.max(first.saturating_sub(SPAN / 2));
        let since = |at: Instant| {
            let time: Duration = at.saturating_duration_since(self.epoch);
            time.as_micros() as u64
        };
        let reference = since(earliest) / REFERENCE_US;
        let mut tick = reference * (REFERENCE_US / TICK_US);

        let mut statuses = [0_u8; SPAN as usize];
        let mut deltas = [0_i16; SPAN as usize];
        let (mut end, mut used) = (base, 0);
        for (number, at) in &self.came {
            let place = (number - base) as usize;
            if place >= statuses.len() {
                break;
            }
            used += 1;
            if *number < end {
                continue; // Came twice.
            }
            let now = since(*at) / TICK_US;
            let Ok(delta) = i16::try_from(now as i64 - tick as i64) else {
                used -= 1;
                break; // Too long after the one before: the next packet has a new reference.
            };
            statuses[place] = if (0..=255).contains(&delta) { 1 } else { 2 };
            deltas[place] = delta;
            (tick, end) = (now, number + 1);
        }
        let count = (end - base) as usize;
        let length = self.packet(
            out,
            sender,
            ssrc,
            base,
            reference,
            &statuses[..count],
            &deltas,
        )?;
        self.came.drain(..used);
        self.next = end;
        self.count = self.count.wrapping_add(1);
        Some(length)
    }

    #[expect(clippy::too_many_arguments, reason = "fields of one packet")]
    fn packet(
        &self,
        out: &mut [u8],
        sender: u32,
        ssrc: u32,
        base: u64,
        reference: u64,
        statuses: &[u8],
        deltas: &[i16],
    ) -> Option<usize> {
        let chunks = statuses.len().div_ceil(7) * 2;
        let sizes: usize = statuses.iter().map(|status| usize::from(*status)).sum();
        let bare = 20 + chunks + sizes;
        let length = bare.next_multiple_of(4);
        let room = out.get_mut(..length)?;
        room[bare..].fill(0);
        let padding = (length - bare) as u8;
        room[..2].copy_from_slice(&[0x80 | u8::from(padding > 0) << 5 | 15, 205]);
        room[2..4].copy_from_slice(&((length / 4 - 1) as u16).to_be_bytes());
        room[4..8].copy_from_slice(&sender.to_be_bytes());
        room[8..12].copy_from_slice(&ssrc.to_be_bytes());
        room[12..14].copy_from_slice(&(base as u16).to_be_bytes());
        room[14..16].copy_from_slice(&(statuses.len() as u16).to_be_bytes());
        room[16..20]
            .copy_from_slice(&((reference as u32) << 8 | u32::from(self.count)).to_be_bytes());
        // Vectors of seven two-bit symbols.
        for (room, symbols) in room[20..].chunks_exact_mut(2).zip(statuses.chunks(7)) {
            let mut vector = 0b11_u16 << 14;
            for (place, symbol) in symbols.iter().enumerate() {
                vector |= u16::from(*symbol) << (12 - 2 * place);
            }
            room.copy_from_slice(&vector.to_be_bytes());
        }
        let mut at = 20 + chunks;
        for (status, delta) in statuses.iter().zip(deltas) {
            match status {
                1 => room[at] = *delta as u8,
                2 => room[at..at + 2].copy_from_slice(&delta.to_be_bytes()),
                _ => {}
            }
            at += usize::from(*status);
        }
        if padding > 0 {
            room[length - 1] = padding;
        }
        Some(length)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    /// Base, and for each number from it on its arrival in µs, as a server would read it.
    fn read(packet: &[u8]) -> (u16, Vec<Option<u64>>) {
        assert_eq!(packet.len() % 4, 0);
        assert_eq!(
            packet.len() / 4 - 1,
            usize::from(u16::from_be_bytes([packet[2], packet[3]]))
        );
        let count = usize::from(u16::from_be_bytes([packet[14], packet[15]]));
        let reference = u32::from_be_bytes([0, packet[16], packet[17], packet[18]]);
        let mut time = i64::from(reference) * 64_000;
        let chunks = count.div_ceil(7);
        let mut at = 20 + 2 * chunks;
        let mut all = Vec::new();
        for n in 0..count {
            let chunk = 20 + 2 * (n / 7);
            let vector = u16::from_be_bytes([packet[chunk], packet[chunk + 1]]);
            assert_eq!(vector >> 14, 3);
            let delta = match vector >> (12 - 2 * (n % 7)) & 3 {
                0 => {
                    all.push(None);
                    continue;
                }
                1 => {
                    at += 1;
                    i64::from(packet[at - 1])
                }
                _ => {
                    at += 2;
                    i64::from(i16::from_be_bytes([packet[at - 2], packet[at - 1]]))
                }
            };
            time += delta * 250;
            all.push(Some(time as u64));
        }
        (u16::from_be_bytes([packet[12], packet[13]]), all)
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn arrivals_and_losses_over_the_end_of_the_numbers() {
        let epoch = Instant::now();
        let mut arrivals = Arrivals::new(epoch);
        let mut out = [0; 1200];
        assert_eq!(arrivals.write(&mut out, 1, 2), None);
        for (number, at) in [
            (65_534, 1000),
            (65_535, 1001),
            (2, 1200),
            (1, 1201),
            (2, 1202),
        ] {
            arrivals.record(epoch + ms(at), number);
        }
        let length = arrivals.write(&mut out, 1, 2).unwrap();
        let (base, times) = read(&out[..length]);
        assert_eq!(base, 65_534);
        let expected = [Some(1000), Some(1001), None, Some(1201), Some(1200)];
        assert_eq!(
            times,
            expected.map(|time: Option<u64>| time.map(|ms| ms * 1000))
        );
        assert!(!arrivals.is_due());

        // The next goes on where this one ended; what came too late is not told again.
        arrivals.record(epoch + ms(1300), 0);
        arrivals.record(epoch + ms(1301), 4);
        let length = arrivals.write(&mut out, 1, 2).unwrap();
        assert_eq!(read(&out[..length]), (3, vec![None, Some(1_301_000)]));
        assert_eq!(out[19], 1, "feedback is counted");
    }

    #[test]
    fn long_pauses_and_wide_gaps_take_several_packets() {
        let epoch = Instant::now();
        let mut arrivals = Arrivals::new(epoch);
        for (number, at) in [(10, 0), (11, 20_000), (1_000, 20_001), (60_000, 20_002)] {
            arrivals.record(epoch + ms(at), number);
        }
        let mut out = [0; 1200];
        let mut seen = Vec::new();
        while let Some(length) = arrivals.write(&mut out, 1, 2) {
            let (base, times) = read(&out[..length]);
            let came = times.iter().enumerate().filter_map(|(n, time)| {
                time.map(|time| (base.wrapping_add(n as u16), time / 1000))
            });
            seen.extend(came);
        }
        // The wide step back to 60 000 is one before number 0 and so was never sent.
        assert_eq!(seen, [(10, 0), (11, 20_000), (1_000, 20_001)]);
    }

    #[test]
    fn a_busy_interval_is_told_whole() {
        let epoch = Instant::now();
        let mut arrivals = Arrivals::new(epoch);
        for n in 0..1000 {
            arrivals.record(epoch + ms(n / 10), n as u16);
        }
        let mut out = [0; 1200];
        let mut total = 0;
        while let Some(length) = arrivals.write(&mut out, 1, 2) {
            assert!(length <= 1200);
            total += read(&out[..length]).1.iter().flatten().count();
        }
        assert_eq!(total, 1000);
    }
}
