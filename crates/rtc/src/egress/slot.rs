//! One media section of a slot: where its packets get their headers, and what is counted on it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_media::{Codec, LayerStore, Packet};

use super::repair::Sent;
use super::rtp::{self, ExtensionIds, Fields, Values};
use super::srtp::{OVERHEAD, Outbound, Used};
use crate::random::Random;
use crate::sdp::Section;
use crate::session::Header;
use crate::track::{Profile, TrackInfo};

/// Time that a packet stays worth repeating.
const REPAIR_AGE: Duration = Duration::from_secs(2);
/// Bytes of the original sequence number in a repair (RFC 4588 section 4).
const ORIGINAL_NUMBER: usize = 2;

/// A codec that the section takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    codec: Codec,
    profile: Profile,
    payload_type: u8,
    repair: Option<u8>,
}

/// Time of a packet, in the forms that headers and records want.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Milliseconds of the session.
    pub(super) ms: u32,
    /// Seconds of the session, 6.18 fixed point.
    pub(super) send_time: u32,
}

impl Moment {
    #[inline]
    pub(super) fn new(opened: Instant, now: Instant) -> Self {
        let since = now.saturating_duration_since(opened);
        let fraction = (u64::from(since.subsec_nanos()) << 18) / 1_000_000_000;
        Self {
            ms: (since.as_secs() as u32)
                .wrapping_mul(1_000)
                .wrapping_add(since.subsec_millis()),
            send_time: (((since.as_secs() & 0x3f) << 18) | fraction) as u32,
        }
    }
}

/// What was sent last, for sender reports.
#[derive(Debug, Clone, Copy)]
struct Last {
    timestamp: u32,
    captured: Instant,
}

fn formats(section: &Section) -> Arc<[Format]> {
    let codecs = section.codecs.iter();
    codecs
        .map(|codec| Format {
            codec: codec.codec,
            profile: codec.profile,
            payload_type: codec.payload_type,
            repair: codec.repair_payload_type,
        })
        .collect()
}

/// What the packets that the peer misses are found by.
struct Repairs {
    sent: Sent,
    store: LayerStore,
}

/// Where a slot's packets of one kind leave. What only a stream that flows needs lies apart, and goes with it.
pub(super) struct Outlet {
    pub(super) ssrc: u32,
    pub(super) repair_ssrc: Option<u32>,
    payload_type: u8,
    repair_payload_type: Option<u8>,
    bound: bool,
    /// Until the peer reports on the source, packets name their section.
    acknowledged: bool,
    ids: ExtensionIds,
    last: Option<Last>,
    used: Used,
    repair_sequence: u64,
    /// Present while something is bound that is repaired.
    repairs: Option<Box<Repairs>>,
    round_trip_ms: u32,
    clock_rate: u32,

    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) repaired: u64,
    pub(super) repaired_bytes: u64,
    pub(super) nacks: u64,
    pub(super) key_frame_requests: u64,
    pub(super) loss: f64,
    last_request: Option<u8>,

    pub(super) section: usize,
    pub(super) name: Arc<str>,
    pub(super) active: bool,
    /// One list for all outlets that take the same.
    formats: Arc<[Format]>,
}

impl Outlet {
    pub(super) fn new(
        index: usize,
        section: &Section,
        random: &mut Random,
        clock_rate: u32,
    ) -> Self {
        let formats = formats(section);
        let repairable = formats.iter().any(|format| format.repair.is_some());
        let ssrc = random.ssrc();
        let repair_ssrc = repairable.then(|| random.ssrc());
        Self {
            ssrc,
            repair_ssrc,
            payload_type: 0,
            repair_payload_type: None,
            bound: false,
            acknowledged: false,
            ids: ExtensionIds::of(section),
            last: None,
            used: Used::default(),
            // Below 2^15: a receiver that misses the first packets must not take a wrap for a rollover.
            repair_sequence: u64::from(ssrc & 0x7fff),
            repairs: None,
            round_trip_ms: 0,
            clock_rate,
            packets: 0,
            bytes: 0,
            repaired: 0,
            repaired_bytes: 0,
            nacks: 0,
            key_frame_requests: 0,
            loss: 0.0,
            last_request: None,
            section: index,
            name: Arc::clone(&section.mid),
            active: true,
            formats,
        }
    }

    /// Take over what the answer to our own offer agrees to.
    pub(super) fn agree(&mut self, section: &Section) {
        self.formats = formats(section);
        self.ids = ExtensionIds::of(section);
        if self.formats.iter().all(|format| format.repair.is_none()) {
            self.repair_ssrc = None;
        }
    }

    /// Take the list of codecs of another outlet if it is the same.
    pub(super) fn share(&mut self, other: &Self) -> bool {
        let same = self.formats == other.formats;
        if same {
            self.formats = Arc::clone(&other.formats);
        }
        same
    }

    /// Codecs for a message to people, each once.
    pub(super) fn codecs(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for format in &*self.formats {
            let name = TrackInfo {
                kind: format.codec.kind(),
                codec: format.codec,
                profile: format.profile,
                mid: String::new(),
                layers: 1,
            }
            .codec_text();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    /// Send a track's codec from now on. False when the section does not take it.
    pub(super) fn bind(&mut self, track: &TrackInfo) -> bool {
        let fits =
            |format: &&Format| format.codec == track.codec && format.profile.decodes(track.profile);
        // The very profile first: a receiver may set its decoder up by it.
        let mut exact = self.formats.iter().filter(fits);
        let exact = exact.find(|format| format.profile == track.profile);
        let Some(format) = exact.or_else(|| self.formats.iter().find(fits)) else {
            return false;
        };
        (self.payload_type, self.repair_payload_type) = (format.payload_type, format.repair);
        self.bound = true;
        true
    }

    pub(super) fn unbind(&mut self) {
        self.bound = false;
        self.last = None;
        // A stream that ended is not repaired any more either; what is bound next goes on behind its numbers.
        self.repairs = None;
        self.used.pass();
    }

    /// Where packets that the peer misses are found.
    pub(super) fn repair_from(&mut self, store: &LayerStore) {
        if self.repair_ssrc.is_none() {
            return;
        }
        // Records of another store's packets would stand for nothing in this one.
        let mut sent = Sent::default();
        sent.set_round_trip(self.round_trip_ms);
        let store = store.clone();
        self.repairs = Some(Box::new(Repairs { sent, store }));
    }

    #[inline]
    pub(super) fn is_bound(&self) -> bool {
        self.bound
    }

    /// Whether packets take a number of the whole transport.
    #[inline]
    pub(super) fn counts_transport(&self) -> bool {
        self.ids.counts_transport()
    }

    /// Whether something was sent since the bind.
    #[inline]
    pub(super) fn flows(&self) -> bool {
        self.bound && self.last.is_some()
    }

    /// Read a value from each part that [`Outlet::seal`] uses.
    pub(super) fn warm(&self) -> u64 {
        let fixed = u64::from(self.ssrc) ^ self.packets ^ self.repaired ^ u64::from(self.bound);
        let repairs = self.repairs.as_ref().map_or(0, |r| r.sent.warm());
        let tables = self.used.warm() ^ repairs ^ self.ids.warm();
        fixed ^ u64::from(self.section as u32) ^ tables
    }

    /// Room that a packet takes at most.
    #[inline]
    pub(super) fn limit(packet: &Packet) -> usize {
        let header = rtp::header_limit(&packet.extensions);
        header + ORIGINAL_NUMBER + packet.payload.len() + OVERHEAD
    }

    /// Use a sequence number; false when it must not be used again.
    #[inline]
    pub(super) fn take(&mut self, sequence: u64) -> bool {
        self.used.take(sequence)
    }

    /// Write a packet to the start of `out`, protected. Returns its length.
    pub(super) fn seal(
        &mut self,
        out: &mut [u8],
        packet: &Packet,
        header: &Header,
        moment: Moment,
        transport: u16,
        keys: &Outbound,
    ) -> Option<usize> {
        let fields = Fields {
            marker: packet.marker,
            payload_type: self.payload_type,
            sequence: header.sequence as u16,
            timestamp: header.timestamp,
            ssrc: self.ssrc,
        };
        let values = Values {
            mid: !self.acknowledged,
            transport,
            send_time: moment.send_time,
            playout: header.playout_delay,
            picture: &header.picture,
            from: &packet.extensions,
        };
        let head = self.ids.write(out, &fields, &values);
        let total = match header.picture {
            // What every viewer gets alike is read where it is shared.
            None => keys.seal_rtp_from(out, head, &packet.payload, self.ssrc, header.sequence)?,
            Some(picture) => {
                let length = head + packet.payload.len();
                let body = out.get_mut(head..length)?;
                body.copy_from_slice(&packet.payload);
                picture.write(packet.codec, body);
                keys.seal_rtp(out, head, length, self.ssrc, header.sequence)?
            }
        };
        self.packets += 1;
        self.bytes += packet.payload.len() as u64;
        self.last = Some(Last {
            timestamp: header.timestamp,
            captured: packet.captured,
        });
        if let (Some(_), Some(repairs)) = (self.repair_payload_type, &mut self.repairs) {
            repairs.sent.push(packet, header, moment.ms);
        }
        Some(total)
    }

    /// Packets are missing at the peer: give `each` the extended numbers of those to send again.
    pub(super) fn missing(
        &mut self,
        numbers: impl Iterator<Item = u16>,
        ms: u32,
        again_ms: u32,
        mut each: impl FnMut(u64),
    ) {
        let Some(repairs) = &mut self.repairs else {
            return;
        };
        for number in numbers {
            if let Some(sequence) = repairs.sent.extend(number)
                && repairs.sent.missed(sequence, ms, again_ms)
            {
                each(sequence);
            }
        }
    }

    /// Write a packet again to the start of `out`, on the source for repairs. `None` when it is too late for it.
    pub(super) fn repair(
        &mut self,
        out: &mut [u8],
        sequence: u64,
        now: Instant,
        moment: Moment,
        transport: u16,
        keys: &Outbound,
    ) -> Option<usize> {
        let (ssrc, payload_type) = (self.repair_ssrc?, self.repair_payload_type?);
        let Repairs { sent, store } = self.repairs.as_deref_mut()?;
        let resend = sent.find(sequence)?;
        let packet = store.find(resend.layer, resend.source)?;
        if !store.repairs(&packet, now, REPAIR_AGE) || Self::limit(&packet) > out.len() {
            return None;
        }
        let fields = Fields {
            marker: packet.marker,
            payload_type,
            sequence: self.repair_sequence as u16,
            timestamp: resend.timestamp,
            ssrc,
        };
        let values = Values {
            mid: !self.acknowledged,
            transport,
            send_time: moment.send_time,
            playout: sent.delay.filter(|_| resend.delayed),
            picture: &resend.picture,
            from: &packet.extensions,
        };
        let head = self.ids.write(out, &fields, &values);
        let length = head + ORIGINAL_NUMBER + packet.payload.len();
        let (number, body) = out.get_mut(head..length)?.split_at_mut(ORIGINAL_NUMBER);
        number.copy_from_slice(&(sequence as u16).to_be_bytes());
        body.copy_from_slice(&packet.payload);
        if let Some(picture) = resend.picture {
            picture.write(packet.codec, body);
        }
        let total = keys.seal_rtp(out, head, length, ssrc, self.repair_sequence)?;
        self.repair_sequence += 1;
        self.repaired += 1;
        self.repaired_bytes += packet.payload.len() as u64;
        Some(total)
    }

    /// The round trip was measured.
    pub(super) fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip_ms = u32::try_from(round_trip.as_millis()).unwrap_or(u32::MAX);
        if let Some(repairs) = &mut self.repairs {
            repairs.sent.set_round_trip(self.round_trip_ms);
        }
    }

    /// The peer reported on the source.
    pub(super) fn reported(&mut self, lost: u8) {
        self.acknowledged = true;
        self.loss = f64::from(lost) / 256.0;
    }

    /// The peer needs a key frame. False for a repetition of a request that was counted already.
    pub(super) fn key_frame_requested(&mut self, number: Option<u8>) -> bool {
        if number.is_some() && number == self.last_request {
            return false;
        }
        self.last_request = number.or(self.last_request);
        self.key_frame_requests += 1;
        self.bound
    }

    /// RTP time at an instant, and packets and octets so far; `None` while nothing flows.
    pub(super) fn report(&self, now: Instant) -> Option<(u32, u32, u32)> {
        let last = self.last.filter(|_| self.bound)?;
        let since = now.saturating_duration_since(last.captured);
        let ticks = since.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        let timestamp = last.timestamp.wrapping_add(ticks as u32);
        Some((timestamp, self.packets as u32, self.bytes as u32))
    }
}
