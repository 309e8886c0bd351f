//! What was sent under which sequence number: enough to send it again from the shared store.

use sanderling_media::{Packet, PictureNumbers, PlayoutDelay};

use crate::session::Header;

/// Records of a ring at first and at most. Every bound video has a ring: one of a few small packets a second needs no
/// more than these to reach back.
const LEAST: usize = 16;
const MOST: usize = 2048;
/// The ring grows until it reaches back four round trips, between these bounds, milliseconds.
const REACH_MS: (u32, u32) = (500, 2_000);
/// Layers that a record can name.
const LAYER_LIMIT: u8 = 16;

const USED: u8 = 1 << 7;
const PATCHED: u8 = 1 << 6;
const DELAYED: u8 = 1 << 5;
const RESENT: u8 = 1 << 4;
const LAYER: u8 = 0x0f;

/// One sent packet, 12 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    timestamp: u32,
    /// The publisher's sequence number: with [`Sent::latest`] it is the key in the store.
    source: u16,
    /// When it was last sent, milliseconds of the session. They come round after a minute: by then the record stands
    /// for nothing in the store.
    sent_ms: u16,
    picture: u16,
    tl0: u8,
    flags: u8,
}

/// A packet to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resend {
    /// Layer in the store.
    pub(super) layer: u8,
    /// Sequence number in the store, low 32 bits.
    pub(super) source: u32,
    /// Timestamp it was sent with.
    pub(super) timestamp: u32,
    /// Picture numbers it was sent with, if they were rewritten.
    pub(super) picture: Option<PictureNumbers>,
    /// Whether it carried limits for the render delay.
    pub(super) delayed: bool,
}

/// The last packets of a slot's video, by the low bits of the sequence number they went out with.
#[derive(Debug, Default)]
pub(super) struct Sent {
    records: Vec<Record>,
    /// Highest sequence number so far.
    highest: Option<u64>,
    /// The publisher's sequence number that came last on each layer, low 32 bits.
    latest: Vec<u32>,
    /// Time to reach back, milliseconds.
    reach_ms: u32,
    /// Limits for the render delay, which are the same for all that have them.
    pub(super) delay: Option<PlayoutDelay>,
}

impl Sent {
    fn place(&self, sequence: u64) -> usize {
        sequence as usize & (self.records.len() - 1)
    }

    /// Read the record that the next packet is noted in.
    pub(super) fn warm(&self) -> u64 {
        let next = self.highest.unwrap_or(0).wrapping_add(1) as usize;
        let record = self.records.get(next & self.records.len().wrapping_sub(1));
        let latest = self.latest.first().copied().unwrap_or(0);
        record.map_or(0, |record| u64::from(record.sent_ms)) ^ u64::from(latest)
    }

    /// The round trip was measured: requests come that late, and are repeated.
    pub(super) fn set_round_trip(&mut self, ms: u32) {
        self.reach_ms = ms.saturating_mul(4);
    }

    /// Note a packet that goes out.
    pub(super) fn push(&mut self, packet: &Packet, header: &Header, now_ms: u32) {
        if packet.layer >= LAYER_LIMIT {
            return;
        }
        if self.records.is_empty() {
            self.records.resize(LEAST, Record::default());
        }
        let highest = self.highest.unwrap_or(header.sequence);
        if header.sequence >= highest {
            if header.sequence > highest {
                self.make_room(highest, header.sequence, now_ms);
            }
            self.highest = Some(header.sequence);
            // Numbers that were skipped because they never came have no record; an old one must not stand for them.
            let skipped = (header.sequence - highest).min(self.records.len() as u64);
            for back in 1..skipped {
                let place = self.place(header.sequence - back);
                self.records[place] = Record::default();
            }
        } else if highest - header.sequence >= self.records.len() as u64 {
            return;
        }
        let layer = usize::from(packet.layer);
        if self.latest.len() <= layer {
            self.latest.resize(layer + 1, 0);
        }
        self.latest[layer] = packet.sequence as u32;
        let picture = header.picture.unwrap_or_default();
        self.delay = header.playout_delay.or(self.delay);
        let mut flags = USED | packet.layer;
        if header.picture.is_some() {
            flags |= PATCHED;
        }
        if header.playout_delay.is_some() {
            flags |= DELAYED;
        }
        let place = self.place(header.sequence);
        self.records[place] = Record {
            timestamp: header.timestamp,
            source: packet.sequence as u16,
            sent_ms: now_ms as u16,
            picture: picture.number.unwrap_or(0),
            tl0: picture.tl0_index.unwrap_or(0),
            flags,
        };
    }

    /// Grow the ring until going on from `highest` to `next` overwrites nothing that may still be asked for. A step
    /// that no ring spans is not grown for.
    #[inline]
    fn make_room(&mut self, highest: u64, next: u64, now_ms: u32) {
        let reach_ms = self.reach_ms.clamp(REACH_MS.0, REACH_MS.1);
        while self.records.len() < MOST && next - highest < MOST as u64 {
            // The newest of those that are overwritten.
            let newest = if next - highest < self.records.len() as u64 {
                self.place(next)
            } else {
                self.place(highest)
            };
            let old = self.records[newest];
            let age_ms = u32::from((now_ms as u16).wrapping_sub(old.sent_ms));
            if old.flags & USED == 0 || age_ms >= reach_ms {
                break;
            }
            self.grow(highest);
        }
    }

    fn grow(&mut self, highest: u64) {
        let length = self.records.len();
        let old = std::mem::replace(&mut self.records, vec![Record::default(); length * 2]);
        for back in 0..length as u64 {
            let Some(sequence) = highest.checked_sub(back) else {
                break;
            };
            let place = self.place(sequence);
            self.records[place] = old[sequence as usize & (length - 1)];
        }
    }

    /// The extended sequence number of one on the wire.
    pub(super) fn extend(&self, sequence: u16) -> Option<u64> {
        let highest = self.highest?;
        highest.checked_sub(u64::from((highest as u16).wrapping_sub(sequence)))
    }

    fn record(&mut self, sequence: u64) -> Option<&mut Record> {
        let back = self.highest?.checked_sub(sequence)?;
        if back >= self.records.len() as u64 {
            return None;
        }
        let place = self.place(sequence);
        let record = &mut self.records[place];
        (record.flags & USED != 0).then_some(record)
    }

    /// Whether to send a packet again that the peer misses: at once the first time, and then not while the last copy
    /// may still be under way, which is `again_ms`.
    pub(super) fn missed(&mut self, sequence: u64, now_ms: u32, again_ms: u32) -> bool {
        let Some(record) = self.record(sequence) else {
            return false;
        };
        let first = record.flags & RESENT == 0;
        let due = first || u32::from((now_ms as u16).wrapping_sub(record.sent_ms)) >= again_ms;
        if due {
            record.sent_ms = now_ms as u16;
            record.flags |= RESENT;
        }
        due
    }

    /// What to send again under a sequence number.
    pub(super) fn find(&mut self, sequence: u64) -> Option<Resend> {
        let record = *self.record(sequence)?;
        // As wide as any: what is written to has its own width.
        let picture = PictureNumbers {
            number: Some(record.picture),
            bits: 16,
            tl0_index: Some(record.tl0),
        };
        let layer = record.flags & LAYER;
        let latest = *self.latest.get(usize::from(layer))?;
        // A record reaches back much less than half the range.
        let distance = record.source.wrapping_sub(latest as u16).cast_signed();
        Some(Resend {
            layer,
            source: latest.wrapping_add_signed(distance.into()),
            timestamp: record.timestamp,
            picture: (record.flags & PATCHED != 0).then_some(picture),
            delayed: record.flags & DELAYED != 0,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use sanderling_media::{Codec, Extensions, Kind};

    use super::*;

    fn push(sent: &mut Sent, sequence: u64, source: u64, now_ms: u32) {
        let now = Instant::now();
        let packet = Packet {
            kind: Kind::Video,
            codec: Codec::Vp8,
            layer: 3,
            sequence: source,
            timestamp: 0,
            marker: false,
            frame_start: false,
            key_frame: false,
            extensions: Extensions::default(),
            arrival: now,
            captured: now,
            payload: Arc::from([].as_slice()),
        };
        let header = Header {
            sequence,
            timestamp: (source as u32).wrapping_mul(10),
            picture: None,
            playout_delay: None,
        };
        sent.push(&packet, &header, now_ms);
    }

    #[test]
    fn a_record_has_twelve_bytes() {
        assert_eq!(size_of::<Record>(), 12);
    }

    #[test]
    fn packets_are_found_by_the_number_they_went_out_with() {
        let mut sent = Sent::default();
        assert_eq!(sent.extend(1), None);
        for number in 0..3_000_u64 {
            push(
                &mut sent,
                65_000 + number,
                7_000_000_000 + number,
                number as u32,
            );
        }
        // Half a second of them is kept, and room for as many as make a power of two.
        assert_eq!(sent.records.len(), 512);
        let sequence = sent.extend((67_999 - 65_536) as u16).unwrap();
        assert_eq!(sequence, 67_999);
        let resend = sent.find(sequence).unwrap();
        assert_eq!(resend.source, 7_000_002_999_u64 as u32);
        assert_eq!(
            (resend.layer, resend.picture, resend.delayed),
            (3, None, false)
        );
        assert!(sent.find(67_999 - 511).is_some());
        assert!(sent.find(67_999 - 512).is_none());
        assert!(sent.find(68_000).is_none());
        // A number that is ahead of all is taken for an old one, not for one to come.
        assert_eq!(sent.extend(2_464), Some(2_464));
    }

    #[test]
    fn the_ring_reaches_back_four_round_trips() {
        // (round trip, records after 3 s of a packet a millisecond)
        for (round_trip, records) in [(5, 512), (200, 1_024), (300, 2_048), (9_000, 2_048)] {
            let mut sent = Sent::default();
            sent.set_round_trip(round_trip);
            for number in 0..3_000_u64 {
                push(&mut sent, number, number, number as u32);
            }
            assert_eq!(sent.records.len(), records, "{round_trip} ms");
        }
    }

    #[test]
    fn skipped_numbers_have_no_record_until_they_come_late() {
        let mut sent = Sent::default();
        for number in 0..64 {
            push(&mut sent, number, number, 0);
        }
        push(&mut sent, 70, 70, 5_000);
        assert!(sent.find(66).is_none() && sent.find(69).is_none());
        assert!(sent.find(63).is_some());
        push(&mut sent, 66, 66, 5_000);
        assert_eq!(sent.find(66).unwrap().source, 66);
        push(&mut sent, 2, 2, 5_000);
        assert!(sent.find(2).is_none(), "out of reach");
        push(&mut sent, 10_000, 10_000, 6_000);
        let kept = (0..=10_000).filter(|number| sent.find(*number).is_some());
        assert_eq!(kept.count(), 1);
    }

    #[test]
    fn a_ring_starts_small_and_a_gap_loses_nothing_young() {
        let mut sent = Sent::default();
        for number in 0..100 {
            push(&mut sent, number, number, number as u32 * 50);
        }
        assert_eq!(sent.records.len(), LEAST, "20 packets a second");
        // (packets that are missing, records then)
        for (gap, records) in [(LEAST as u64, 32), (200, 256), (1_000_000, 256)] {
            let last = sent.highest.unwrap();
            let now_ms = 5_000 + gap as u32;
            push(&mut sent, last + 1, 0, now_ms);
            push(&mut sent, last + 1 + gap, gap, now_ms);
            assert_eq!(sent.records.len(), records, "{gap}");
            let spanned = gap < records as u64;
            assert_eq!(sent.find(last + 1).is_some(), spanned, "{gap}");
            // One that comes late finds its place too.
            push(&mut sent, last + 2, 1, now_ms);
            assert_eq!(sent.find(last + 2).is_some(), spanned, "{gap}");
        }
    }

    #[test]
    fn keys_are_whole_again_across_a_wrap_and_a_new_beginning() {
        let mut sent = Sent::default();
        // (sequence, the publisher's)
        let rows = [
            (0, 0x1_fffe),
            (1, 0x2_0001),
            (2, 0x1_ffff),
            (3, 0x2_0002),
            (4, 7),
            (5, 6),
        ];
        for (at, (sequence, source)) in rows.into_iter().enumerate() {
            push(&mut sent, sequence, source, 0);
            let begun_anew = at >= 4;
            for (sequence, source) in &rows[if begun_anew { 4 } else { 0 }..=at] {
                assert_eq!(sent.find(*sequence).unwrap().source, *source as u32);
            }
        }
    }

    #[test]
    fn repeated_requests_wait_for_the_first_copy() {
        let mut sent = Sent::default();
        push(&mut sent, 5, 5, 100);
        // (time, answered)
        for (now_ms, answered) in [
            (110, true),
            (120, false),
            (149, false),
            (150, true),
            (151, false),
        ] {
            assert_eq!(sent.missed(5, now_ms, 40), answered, "{now_ms}");
        }
        assert!(!sent.missed(6, 1_000, 40));
    }
}
