//! One media section of a slot: numbers that run on, whatever is bound to it.

use std::time::{Duration, Instant};

use sanderling_media::{Codec, Kind, Packet, PlayoutDelay, Vp8Picture};
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

/// Offsets from a source's numbers to the slot's.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    source: Source,
    first_sequence: u64,
    sequence: u64,
    timestamp: u32,
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
    sent: Option<Sent>,
}

impl Forwarder {
    /// `first_sequence` of the slot's life, below 2^15: a receiver that misses the first packets must not take a
    /// wrap for a rollover (RFC 3711 section 3.3.1).
    pub(crate) fn new(first_sequence: u16) -> Self {
        Self {
            first_sequence: u64::from(first_sequence & 0x7fff),
            mapping: None,
            sent: None,
        }
    }

    /// Nothing is bound any more; the next source starts afresh.
    pub(crate) fn stop(&mut self) {
        self.mapping = None;
    }

    /// Whether a source runs.
    pub(crate) fn runs(&self) -> bool {
        self.mapping.is_some()
    }

    /// Header to send a packet under, or `None` to leave it out. `target` is the layer to be on: a change happens at
    /// its next key frame, and until then the old layer goes on.
    pub(crate) fn forward(
        &mut self,
        stream: StreamId,
        target: u8,
        packet: &Packet,
    ) -> Option<Header> {
        let source = Source {
            stream,
            layer: packet.layer,
        };
        match self.mapping {
            Some(mapping) if mapping.source == source => {}
            Some(_) | None => {
                let can_start = match packet.kind {
                    Kind::Audio => !packet.payload.is_empty(),
                    Kind::Video => packet.key_frame && packet.layer == target,
                };
                if !can_start {
                    return None;
                }
                self.start(source, packet);
            }
        }
        let mapping = self.mapping?;
        if packet.sequence < mapping.first_sequence {
            return None;
        }
        let sequence = packet.sequence - mapping.first_sequence + mapping.sequence;
        let timestamp = packet.timestamp.wrapping_add(mapping.timestamp);
        let (picture, vp8) = self.vp8(&mapping, packet);
        if self.sent.is_none_or(|sent| sequence > sent.sequence) {
            let (number, tl0) = picture.unwrap_or((
                self.sent.map_or(0, |sent| sent.picture),
                self.sent.map_or(0, |sent| sent.tl0),
            ));
            self.sent = Some(Sent {
                sequence,
                timestamp,
                captured: packet.captured,
                picture: number,
                tl0,
            });
        }
        let low_latency = packet.kind == Kind::Video && packet.frame_start;
        Some(Header {
            sequence,
            timestamp,
            vp8,
            playout_delay: low_latency.then_some(PlayoutDelay::NONE),
        })
    }

    fn start(&mut self, source: Source, packet: &Packet) {
        let picture = vp8_picture(packet);
        let mapping = match self.sent {
            None => Mapping {
                source,
                first_sequence: packet.sequence,
                sequence: self.first_sequence,
                timestamp: 0,
                picture: 0,
                tl0: 0,
            },
            Some(sent) => {
                let rate = packet.kind.clock_rate();
                let ticks = ticks(
                    packet.captured.saturating_duration_since(sent.captured),
                    rate,
                );
                // Never the same frame again: at least one frame of 30 a second, or 20 ms of sound.
                let least = match packet.kind {
                    Kind::Audio => rate / 50,
                    Kind::Video => rate / 30,
                };
                let timestamp = sent.timestamp.wrapping_add(ticks.max(least));
                let number = picture.and_then(|picture| picture.picture_id).unwrap_or(0);
                let tl0 = picture.and_then(|picture| picture.tl0_index).unwrap_or(0);
                Mapping {
                    source,
                    first_sequence: packet.sequence,
                    sequence: sent.sequence + 1,
                    timestamp: timestamp.wrapping_sub(packet.timestamp),
                    picture: sent.picture.wrapping_add(1).wrapping_sub(number) & 0x7fff,
                    tl0: sent.tl0.wrapping_add(1).wrapping_sub(tl0),
                }
            }
        };
        self.mapping = Some(mapping);
    }

    /// Numbers of a VP8 picture on the slot, and what to rewrite when they are not the payload's.
    fn vp8(&self, mapping: &Mapping, packet: &Packet) -> (Option<(u16, u8)>, Option<Vp8Picture>) {
        let Some(picture) = vp8_picture(packet) else {
            return (None, None);
        };
        let mask = if picture.long { 0x7fff } else { 0x7f };
        let number = picture
            .picture_id
            .map(|number| number.wrapping_add(mapping.picture) & mask);
        let tl0 = picture.tl0_index.map(|tl0| tl0.wrapping_add(mapping.tl0));
        let sent = (number.unwrap_or(0), tl0.unwrap_or(0));
        let rewritten = Vp8Picture {
            picture_id: number,
            long: picture.long,
            tl0_index: tl0,
        };
        (Some(sent), (rewritten != picture).then_some(rewritten))
    }
}

fn vp8_picture(packet: &Packet) -> Option<Vp8Picture> {
    if packet.codec == Codec::Vp8 {
        Vp8Picture::parse(&packet.payload)
    } else {
        None
    }
}

/// Clock ticks in a time. More than a full turn of the timestamp only says "long ago", so it may be cut off.
fn ticks(time: Duration, rate: u32) -> u32 {
    let ticks = time.as_nanos().saturating_mul(u128::from(rate)) / 1_000_000_000;
    // A jump past half the range would look like one backwards.
    u32::try_from(ticks).unwrap_or(u32::MAX).min(u32::MAX / 2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::sync::Arc;

    use sanderling_media::Extensions;

    use super::*;

    const A: StreamId = StreamId(1);
    const B: StreamId = StreamId(2);

    fn packet(start: Instant, sequence: u64, ms: u64, key: bool, picture: u8) -> Packet {
        let payload = [0x90, 0xc0, picture, picture, u8::from(!key), 0];
        let at = start + Duration::from_millis(ms);
        Packet {
            kind: Kind::Video,
            codec: Codec::Vp8,
            layer: 0,
            sequence,
            timestamp: (ms * 90) as u32,
            marker: true,
            frame_start: true,
            key_frame: key,
            extensions: Extensions::default(),
            arrival: at,
            captured: at,
            payload: Arc::from(payload.as_slice()),
        }
    }

    #[test]
    fn sequences_by_table() {
        let start = Instant::now();
        let mut forwarder = Forwarder::new(100);
        // (stream, sequence in, key frame, sequence out)
        let rows = [
            (A, 500, false, None),
            (A, 501, true, Some(100)),
            (A, 503, false, Some(102)),
            (A, 502, false, Some(101)),
            (A, 500, false, None),
            (B, 9, false, None),
            (B, 10, true, Some(103)),
            (B, 9, false, None),
            (B, 12, false, Some(105)),
            (B, 11, false, Some(104)),
            (B, 1 << 17, false, Some(103 + (1 << 17) - 10)),
        ];
        for (stream, sequence, key, out) in rows {
            let header = forwarder.forward(stream, 0, &packet(start, sequence, 0, key, 1));
            assert_eq!(
                header.map(|header| header.sequence),
                out,
                "{stream:?} {sequence}"
            );
        }
    }

    #[test]
    fn a_rebind_goes_on_by_the_time_between_the_captures() {
        let start = Instant::now();
        let mut forwarder = Forwarder::new(0);
        let first = forwarder
            .forward(A, 0, &packet(start, 1, 1_000, true, 5))
            .unwrap();
        forwarder.stop();
        assert!(!forwarder.runs());
        let mut next = packet(start, 77, 3_500, true, 90);
        next.timestamp = 12_345;
        let second = forwarder.forward(B, 0, &next).unwrap();
        assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 2_500 * 90);
        assert_eq!(second.sequence, first.sequence + 1);
        let picture = second.vp8.unwrap();
        assert_eq!((picture.picture_id, picture.tl0_index), (Some(6), Some(6)));
        forwarder.stop();
        let early = forwarder
            .forward(A, 0, &packet(start, 900, 1_000, true, 7))
            .unwrap();
        assert_eq!(early.timestamp.wrapping_sub(second.timestamp), 3_000);
    }

    #[test]
    fn a_layer_changes_at_a_key_frame_of_the_target_only() {
        let start = Instant::now();
        let mut forwarder = Forwarder::new(0);
        let on = |layer, sequence, key| Packet {
            layer,
            ..packet(start, sequence, 0, key, 0)
        };
        assert!(forwarder.forward(A, 0, &on(0, 1, true)).is_some());
        assert!(forwarder.forward(A, 1, &on(1, 50, false)).is_none());
        assert!(forwarder.forward(A, 1, &on(0, 2, false)).is_some());
        assert_eq!(
            forwarder.forward(A, 1, &on(1, 51, true)).unwrap().sequence,
            2
        );
        assert!(forwarder.forward(A, 1, &on(0, 3, false)).is_none());
    }

    #[test]
    fn sound_starts_at_once_but_not_with_padding() {
        let start = Instant::now();
        let mut forwarder = Forwarder::new(0);
        let mut sound = packet(start, 1, 0, false, 0);
        sound.kind = Kind::Audio;
        sound.codec = Codec::Opus;
        let padding = Packet {
            payload: Arc::from([].as_slice()),
            ..sound.clone()
        };
        assert!(forwarder.forward(A, 0, &padding).is_none());
        let header = forwarder.forward(A, 0, &sound).unwrap();
        assert_eq!((header.vp8, header.playout_delay), (None, None));
    }
}
