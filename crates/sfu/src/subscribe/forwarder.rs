//! One media section of a slot: numbers that run on, whatever is bound to it.

use std::time::{Duration, Instant};

use sanderling_media::{Kind, Packet, PictureNumbers, PlayoutDelay};
use sanderling_rtc::Header;

use crate::StreamId;

/// Where packets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// The stream.
    pub(crate) stream: StreamId,
    /// Its layer.
    pub(crate) layer: u8,
}

/// Packets that were made before a source is begun on the slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    /// Timestamp of the newest frame: what is newer is live.
    pub(crate) newest: u32,
    /// When that was captured.
    pub(crate) captured: Instant,
    /// Frames that are replayed, at least 1; the newest one counts whether it is replayed or not.
    pub(crate) frames: u32,
}

/// Frames so much older than the newest one still keep their distance from it in a replay, ticks: 400 ms.
const TRUE_SPACING: u32 = 400 * 90;
/// Distance of replayed frames that are further apart, ticks: 1 ms.
const SQUEEZED: u32 = 90;

/// Timestamps of a replay: those before `newest` are drawn together towards it.
#[derive(Debug, Clone, Copy)]
struct Squeeze {
    newest: u32,
    captured: Instant,
    /// Ticks from the first frame to the newest one, at the publisher and on the slot.
    span: u32,
    squeezed: u32,
}

/// Offsets from a source's numbers to the slot's.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    source: Source,
    first_sequence: u64,
    sequence: u64,
    timestamp: u32,
    squeeze: Option<Squeeze>,
    picture: u16,
    tl0: u8,
}

/// What was sent last.
#[derive(Debug, Clone, Copy)]
struct Sent {
    sequence: u64,
    timestamp: u32,
    captured: Instant,
    picture: u16,
    tl0: u8,
}

/// Rewrites packets of changing sources into one RTP stream. Sequence numbers have no gap at a change and keep those
/// of the source, so that a repaired packet still finds its place. Timestamps go on by the time between the captures,
/// so that sender reports stay true across a change.
#[derive(Debug)]
pub(crate) struct Forwarder {
    first_sequence: u64,
    mapping: Option<Mapping>,
    /// What is bound, as far as something of it was sent.
    bound: Option<StreamId>,
    sent: Option<Sent>,
}

impl Forwarder {
    /// `first_sequence` of the slot's life, below 2^15: a receiver that misses the first packets must not take a
    /// wrap for a rollover (RFC 3711 section 3.3.1).
    pub(crate) fn new(first_sequence: u16) -> Self {
        Self {
            first_sequence: u64::from(first_sequence & 0x7fff),
            mapping: None,
            bound: None,
            sent: None,
        }
    }

    /// Nothing is bound any more; the next source starts afresh.
    pub(crate) fn stop(&mut self) {
        self.mapping = None;
        self.bound = None;
    }

    /// Nothing is sent until the source begins anew.
    pub(crate) fn pause(&mut self) {
        self.mapping = None;
    }

    /// What runs.
    #[inline]
    pub(crate) fn source(&self) -> Option<Source> {
        self.mapping.map(|mapping| mapping.source)
    }

    /// When the newest packet was captured that was sent of this stream since it was bound.
    pub(crate) fn shown(&self, stream: StreamId) -> Option<Instant> {
        let sent = self.sent.filter(|_| self.bound == Some(stream));
        sent.map(|sent| sent.captured)
    }

    /// Header to send a packet of the running source under, and the time it says that the packet was captured at.
    /// `None` to leave it out.
    pub(crate) fn forward(
        &mut self,
        stream: StreamId,
        packet: &Packet,
    ) -> Option<(Header, Instant)> {
        let layer = packet.layer;
        let mapping = self
            .mapping
            .filter(|mapping| mapping.source == Source { stream, layer })?;
        if packet.sequence < mapping.first_sequence {
            return None;
        }
        let sequence = packet.sequence - mapping.first_sequence + mapping.sequence;
        let (timestamp, captured) = mapping.time(packet);
        let (numbers, picture) = picture(&mapping, packet);
        if self.sent.is_none_or(|sent| sequence > sent.sequence) {
            let (number, tl0) = numbers.unwrap_or((
                self.sent.map_or(0, |sent| sent.picture),
                self.sent.map_or(0, |sent| sent.tl0),
            ));
            self.bound = Some(stream);
            self.sent = Some(Sent {
                sequence,
                timestamp,
                captured,
                picture: number,
                tl0,
            });
        }
        let low_latency = packet.kind == Kind::Video && packet.frame_start;
        let header = Header {
            sequence,
            timestamp,
            picture,
            playout_delay: low_latency.then_some(PlayoutDelay::NONE),
        };
        Some((header, captured))
    }

    /// Header to send a packet of sound under, which begins whatever it belongs to.
    pub(crate) fn forward_sound(&mut self, stream: StreamId, packet: &Packet) -> Option<Header> {
        if self.mapping.is_none() {
            if packet.payload.is_empty() {
                return None;
            }
            self.begin(stream, packet, None, 0);
        }
        self.forward(stream, packet).map(|(header, _)| header)
    }

    /// Header of a packet in front of the first one of the running source, for which [`Forwarder::begin`] left room.
    pub(crate) fn ahead(&self, first: &Packet) -> Option<(Header, Instant)> {
        let mapping = self.mapping?;
        let (timestamp, captured) = mapping.time(first);
        let header = Header {
            sequence: mapping.sequence.checked_sub(1)?,
            timestamp,
            picture: None,
            playout_delay: None,
        };
        Some((header, captured))
    }

    /// Go on with a source, from a packet on that a decoder can start from, leaving room for `ahead` packets in front
    /// of it. `replay` says where live is when it is not there.
    pub(crate) fn begin(
        &mut self,
        stream: StreamId,
        packet: &Packet,
        replay: Option<Replay>,
        ahead: u64,
    ) {
        let source = Source {
            stream,
            layer: packet.layer,
        };
        let live = replay.unwrap_or(Replay {
            newest: packet.timestamp,
            captured: packet.captured,
            frames: 1,
        });
        let span = live.newest.wrapping_sub(packet.timestamp);
        let squeezed = SQUEEZED.saturating_mul(live.frames.saturating_sub(1));
        let (offset, fits) = self.offset(packet.kind, live, span);
        let squeeze = squeezed < span && (span > TRUE_SPACING || !fits);
        let offset = if squeeze {
            self.offset(packet.kind, live, squeezed).0
        } else {
            offset
        };
        let squeeze = squeeze.then_some(Squeeze {
            newest: live.newest,
            captured: live.captured,
            span,
            squeezed,
        });
        let picture = PictureNumbers::of(packet);
        let mapping = match self.sent {
            None => Mapping {
                source,
                first_sequence: packet.sequence,
                sequence: self.first_sequence + ahead,
                timestamp: offset,
                squeeze,
                picture: 0,
                tl0: 0,
            },
            Some(sent) => {
                let number = picture.and_then(|picture| picture.number).unwrap_or(0);
                let tl0 = picture.and_then(|picture| picture.tl0_index).unwrap_or(0);
                Mapping {
                    source,
                    first_sequence: packet.sequence,
                    sequence: sent.sequence + 1 + ahead,
                    timestamp: offset,
                    squeeze,
                    picture: sent.picture.wrapping_add(1).wrapping_sub(number),
                    tl0: sent.tl0.wrapping_add(1).wrapping_sub(tl0),
                }
            }
        };
        self.mapping = Some(mapping);
    }

    /// Offset of timestamps that puts live where it belongs, by the time since what was sent last; and whether there
    /// is room for `before` ticks in front of it. Where there is not, it is made.
    fn offset(&self, kind: Kind, live: Replay, before: u32) -> (u32, bool) {
        let Some(sent) = self.sent else {
            return (0, true);
        };
        let rate = kind.clock_rate();
        let ticks = ticks(live.captured.saturating_duration_since(sent.captured), rate);
        // Never the same frame again: at least one frame of 30 a second, or 20 ms of sound.
        let least = match kind {
            Kind::Audio => rate / 50,
            Kind::Video => rate / 30,
        };
        let least = least.saturating_add(before);
        let timestamp = sent.timestamp.wrapping_add(ticks.max(least));
        (timestamp.wrapping_sub(live.newest), ticks >= least)
    }
}

impl Mapping {
    /// Timestamp of a packet on the slot, and the time of its capture that goes with it.
    fn time(&self, packet: &Packet) -> (u32, Instant) {
        let natural = packet.timestamp.wrapping_add(self.timestamp);
        let Some(squeeze) = self.squeeze else {
            return (natural, packet.captured);
        };
        let before = squeeze.newest.wrapping_sub(packet.timestamp);
        if before == 0 || before > squeeze.span {
            return (natural, packet.captured);
        }
        let drawn = u64::from(before) * u64::from(squeeze.squeezed) / u64::from(squeeze.span);
        let newest = squeeze.newest.wrapping_add(self.timestamp);
        let time = Duration::from_nanos(drawn * 1_000_000 / 90);
        let captured = squeeze.captured.checked_sub(time);
        (
            newest.wrapping_sub(drawn as u32),
            captured.unwrap_or(squeeze.captured),
        )
    }
}

/// Numbers of a picture on the slot, and what to rewrite when they are not those that came. They go on at the width
/// that the packet has: what is left of a wider number is the offset's lower bits.
fn picture(mapping: &Mapping, packet: &Packet) -> (Option<(u16, u8)>, Option<PictureNumbers>) {
    let Some(picture) = PictureNumbers::of(packet) else {
        return (None, None);
    };
    let number = picture
        .number
        .map(|number| number.wrapping_add(mapping.picture) & picture.mask());
    let tl0_index = picture.tl0_index.map(|tl0| tl0.wrapping_add(mapping.tl0));
    let sent = (number.unwrap_or(0), tl0_index.unwrap_or(0));
    let rewritten = PictureNumbers {
        number,
        tl0_index,
        ..picture
    };
    (Some(sent), (rewritten != picture).then_some(rewritten))
}

/// Clock ticks in a time. More than a full turn of the timestamp only says "long ago", so it may be cut off.
fn ticks(time: Duration, rate: u32) -> u32 {
    let ticks = time.as_nanos().saturating_mul(u128::from(rate)) / 1_000_000_000;
    // A jump past half the range would look like one backwards.
    u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
mod tests;
