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
        let (numbers, picture) = picture(&mapping, packet);
        if self.sent.is_none_or(|sent| sequence > sent.sequence) {
            let (number, tl0) = numbers.unwrap_or((
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
            picture,
            playout_delay: low_latency.then_some(PlayoutDelay::NONE),
        })
    }

    fn start(&mut self, source: Source, packet: &Packet) {
        let picture = PictureNumbers::of(packet);
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
                let number = picture.and_then(|picture| picture.number).unwrap_or(0);
                let tl0 = picture.and_then(|picture| picture.tl0_index).unwrap_or(0);
                Mapping {
                    source,
                    first_sequence: packet.sequence,
                    sequence: sent.sequence + 1,
                    timestamp: timestamp.wrapping_sub(packet.timestamp),
                    picture: sent.picture.wrapping_add(1).wrapping_sub(number),
                    tl0: sent.tl0.wrapping_add(1).wrapping_sub(tl0),
                }
            }
        };
        self.mapping = Some(mapping);
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
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::sync::Arc;

    use sanderling_media::{Codec, DependencyDescriptor, Extensions};

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
        let picture = second.picture.unwrap();
        assert_eq!((picture.number, picture.tl0_index), (Some(6), Some(6)));
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
        assert_eq!((header.picture, header.playout_delay), (None, None));
    }
    /// A packet with its codec's numbers.
    fn numbered(start: Instant, codec: Codec, sequence: u64, number: u16) -> Packet {
        let [high, low] = number.to_be_bytes();
        let payload = match codec {
            Codec::Vp8 => vec![0x90, 0xc0, 0x80 | high, low, low, 0, 0],
            Codec::Vp9 => vec![0xa8, 0x80 | high, low, 0, low, 0],
            _ => vec![0x18, 0x0a, 0],
        };
        let dependency = DependencyDescriptor::new(&[0xc0, high, low, 0x80, 1]);
        Packet {
            codec,
            extensions: Extensions {
                dependency: dependency.filter(|_| codec == Codec::Av1),
                ..Extensions::default()
            },
            payload: Arc::from(payload.as_slice()),
            ..packet(start, sequence, sequence * 33, true, 0)
        }
    }

    #[test]
    fn numbers_of_every_codec_go_on_across_switches() {
        let start = Instant::now();
        for (codec, mask) in [
            (Codec::Vp8, 0x7fff),
            (Codec::Vp9, 0x7fff),
            (Codec::Av1, 0xffff),
        ] {
            let mut forwarder = Forwarder::new(0);
            let mut seen = Vec::new();
            // (stream, layer, first number): two streams and two layers, some close to a wrap.
            for (stream, layer, first) in [
                (A, 0, 0x7ffd_u16),
                (B, 0, 3),
                (B, 1, 0x1234),
                (A, 0, 0xfffe & mask),
                (A, 1, 0),
            ] {
                for step in 0..5_u16 {
                    let number = first.wrapping_add(step) & mask;
                    let mut packet = numbered(start, codec, u64::from(step) + 70, number);
                    packet.layer = layer;
                    let header = forwarder.forward(stream, layer, &packet).unwrap();
                    let came = PictureNumbers::of(&packet).unwrap();
                    seen.push(header.picture.unwrap_or(came));
                }
            }
            for pair in seen.windows(2) {
                let numbers = |at: usize| (pair[at].number.unwrap(), pair[at].tl0_index);
                let ((last, last_tl0), (next, tl0)) = (numbers(0), numbers(1));
                assert_eq!(next, last.wrapping_add(1) & mask, "{codec}: {seen:?}");
                assert_eq!(tl0, last_tl0.map(|tl0| tl0.wrapping_add(1)), "{codec}");
                assert_eq!(tl0.is_some(), codec != Codec::Av1);
            }
        }
    }

    #[test]
    fn narrow_numbers_go_on_from_wide_ones() {
        let start = Instant::now();
        let mut forwarder = Forwarder::new(0);
        let wide = numbered(start, Codec::Vp8, 1, 0x1234);
        assert_eq!(forwarder.forward(A, 0, &wide).unwrap().picture, None);
        for (expected, number) in (0x1235..).zip(5..8) {
            let narrow = packet(start, u64::from(number) + 1, 50, true, number);
            let picture = forwarder.forward(B, 0, &narrow).unwrap().picture.unwrap();
            assert_eq!(picture.number, Some(expected & 0x7f));
        }
    }
}
