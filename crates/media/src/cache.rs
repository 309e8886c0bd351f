//! The packets of a layer since its last key frame: what somebody who comes now needs to see a picture.

use std::collections::VecDeque;
use std::time::Instant;

use crate::codec::Codec;
use crate::packet::Packet;
use crate::parameters::ParameterSets;

/// Most payload bytes of one layer: 8 s at 8 Mb/s. Beyond it the key frame alone is kept until the next one.
pub const BYTE_LIMIT: usize = 8 << 20;
/// Bit of a sequence number that no packet of a publisher has: parameter sets that are sent in front of a key frame
/// have the key frame's number with it, so that they too are found when the peer asks for them again.
const PARAMETERS: u64 = 1 << 31;

/// The last key frame of a layer and everything after it, in order of sequence numbers.
#[derive(Debug, Clone, Default)]
pub struct GopCache {
    packets: VecDeque<Packet>,
    /// Payload bytes in `packets`.
    bytes: usize,
    /// Frames in `packets`, counted by their timestamps.
    frames: u32,
    /// Parameter sets of the layer, whenever they came.
    parameters: ParameterSets,
    /// The key frame brings its own.
    in_band: bool,
    /// More came since the key frame than is kept: what follows it is not there.
    overflowed: bool,
}

/// What a cached key frame consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFrame {
    /// Payload bytes.
    pub bytes: usize,
    /// All of its packets are there.
    pub whole: bool,
    /// When its first packet came in.
    pub arrival: Instant,
}

impl GopCache {
    /// Keep a packet. True when a key frame begins with it.
    pub fn keep(&mut self, packet: &Packet) -> bool {
        let brings = packet.codec == Codec::H264 && self.parameters.learn(&packet.payload);
        let begins = packet.key_frame && self.begins(packet);
        if begins {
            // What overtook the first packet of the key frame belongs to it.
            let overtook = self.place(packet.sequence.saturating_add(1));
            self.packets.drain(..overtook);
            self.packets.push_front(packet.clone());
            self.recount();
        } else {
            self.insert(packet);
        }
        let of_key_frame = self
            .key()
            .is_some_and(|key| key.timestamp == packet.timestamp);
        self.in_band |= brings && of_key_frame;
        if self.bytes > BYTE_LIMIT {
            self.overflow();
        }
        begins
    }

    /// Keep the key frame alone, where it is not too much by itself.
    fn overflow(&mut self) {
        if let Some(timestamp) = self.key().map(|key| key.timestamp) {
            self.packets.retain(|packet| packet.timestamp == timestamp);
        }
        self.bytes = self.packets.iter().map(|packet| packet.payload.len()).sum();
        if self.bytes > BYTE_LIMIT {
            self.packets.clear();
            self.bytes = 0;
        }
        self.frames = u32::from(!self.packets.is_empty());
        self.overflowed = true;
    }

    /// Whether a packet that can begin a key frame begins a new one: an SPS, a PPS and an IDR slice are one.
    fn begins(&self, packet: &Packet) -> bool {
        self.key().is_none_or(|key| {
            packet.sequence > key.sequence && packet.timestamp != key.timestamp
                || packet.sequence < key.sequence && packet.timestamp == key.timestamp
        })
    }

    fn recount(&mut self) {
        self.bytes = self.packets.iter().map(|packet| packet.payload.len()).sum();
        self.frames = 0;
        let mut last = None;
        for packet in &self.packets {
            self.frames += u32::from(last.replace(packet.timestamp) != Some(packet.timestamp));
        }
        self.overflowed = false;
        self.in_band = false;
    }

    fn insert(&mut self, packet: &Packet) {
        let (Some(front), Some(back)) = (self.packets.front(), self.packets.back()) else {
            // Nothing can be shown before the first key frame.
            return;
        };
        if self.overflowed && packet.timestamp != front.timestamp {
            return;
        }
        if packet.sequence > back.sequence {
            self.frames += u32::from(packet.timestamp != back.timestamp);
            self.packets.push_back(packet.clone());
        } else if packet.sequence > front.sequence {
            let place = self.place(packet.sequence);
            let next = &self.packets[place];
            if next.sequence == packet.sequence {
                return;
            }
            let known = next.timestamp == packet.timestamp
                || self.packets[place - 1].timestamp == packet.timestamp;
            self.frames += u32::from(!known);
            self.packets.insert(place, packet.clone());
        } else {
            return;
        }
        self.bytes += packet.payload.len();
    }

    /// Index of the first packet with a sequence number of at least this.
    fn place(&self, sequence: u64) -> usize {
        self.packets
            .partition_point(|packet| packet.sequence < sequence)
    }

    /// First packet of the key frame; `None` when there is nothing to replay.
    pub fn key(&self) -> Option<&Packet> {
        self.packets.front()
    }

    /// The newest packet.
    pub fn newest(&self) -> Option<&Packet> {
        self.packets.back()
    }

    /// The key frame, as far as it came.
    pub fn key_frame(&self) -> Option<KeyFrame> {
        let key = self.key()?;
        let (mut bytes, mut expected, mut whole) = (0, key.sequence, true);
        let mut ended = false;
        for packet in &self.packets {
            if packet.timestamp != key.timestamp {
                // Not every encoder marks the end of a frame.
                ended |= packet.sequence == expected;
                break;
            }
            whole &= packet.sequence == expected;
            expected = packet.sequence + 1;
            bytes += packet.payload.len();
            ended = packet.marker;
        }
        Some(KeyFrame {
            bytes,
            whole: whole && ended,
            arrival: key.arrival,
        })
    }

    /// RTP ticks from the key frame to the newest frame.
    pub fn span(&self) -> u32 {
        match (self.key(), self.newest()) {
            (Some(key), Some(newest)) => newest.timestamp.wrapping_sub(key.timestamp),
            _ => 0,
        }
    }

    /// Frames, the key frame included.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Packets.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Payload bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether so much came since the key frame that it is kept alone, or nothing, until the next one.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Packets from a sequence number on.
    pub fn from(&self, sequence: u64) -> impl Iterator<Item = &Packet> {
        self.packets.range(self.place(sequence)..)
    }

    /// The packet with these low 32 bits of its sequence number.
    pub fn find(&self, sequence: u32) -> Option<Packet> {
        let key = self.key()?;
        if u64::from(sequence) & PARAMETERS != 0
            && let Some(parameters) = self.parameters()
            && parameters.sequence as u32 == sequence
        {
            return Some(parameters);
        }
        let ahead = sequence.wrapping_sub(key.sequence as u32);
        let sequence = key.sequence.checked_add(u64::from(ahead))?;
        let packet = self.packets.get(self.place(sequence))?;
        (packet.sequence == sequence).then(|| packet.clone())
    }

    /// A packet to send in front of the key frame, where a decoder that begins there would miss its parameter sets:
    /// those of an H.264 encoder that repeats them with no key frame.
    pub fn parameters(&self) -> Option<Packet> {
        let key = self.key()?;
        let payload = self.parameters.payload().filter(|_| !self.in_band)?;
        Some(Packet {
            sequence: PARAMETERS | (key.sequence & (PARAMETERS - 1)),
            marker: false,
            frame_start: true,
            key_frame: true,
            payload,
            ..key.clone()
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::{Extensions, Kind};

    struct Source(Instant);

    impl Source {
        /// The packets of frame `number` have the sequence numbers from ten times it on.
        fn packet(&self, number: u64, part: u64, key: bool) -> Packet {
            let at = self.0 + Duration::from_millis(number * 40);
            Packet {
                kind: Kind::Video,
                codec: Codec::Vp8,
                layer: 0,
                sequence: number * 3 + part,
                timestamp: (number * 3_600) as u32,
                marker: part == 2,
                frame_start: part == 0,
                key_frame: key && part == 0,
                extensions: Extensions::default(),
                arrival: at,
                captured: at,
                payload: Arc::from([0; 100].as_slice()),
            }
        }
    }

    fn sequences(cache: &GopCache) -> Vec<u64> {
        cache.from(0).map(|packet| packet.sequence).collect()
    }

    #[test]
    fn what_came_since_the_last_key_frame_is_kept_in_order() {
        let (source, mut cache) = (Source(Instant::now()), GopCache::default());
        assert!(!cache.keep(&source.packet(1, 0, false)));
        assert!(cache.is_empty() && cache.key_frame().is_none());
        assert!(cache.keep(&source.packet(2, 0, true)));
        for (number, part) in [(2, 2), (3, 0), (2, 1), (3, 0), (1, 2)] {
            assert!(!cache.keep(&source.packet(number, part, false)));
        }
        assert_eq!(sequences(&cache), [6, 7, 8, 9]);
        assert_eq!(
            (cache.bytes(), cache.frames(), cache.span()),
            (400, 2, 3_600)
        );
        // The next key frame is overtaken by its second packet.
        cache.keep(&source.packet(9, 1, false));
        assert!(cache.keep(&source.packet(9, 0, true)));
        assert_eq!(sequences(&cache), [27, 28]);
        assert_eq!((cache.bytes(), cache.frames()), (200, 1));
        assert!(!cache.keep(&source.packet(9, 0, true)), "a repetition");
        assert!(!cache.keep(&source.packet(2, 0, true)), "an older one");
        assert_eq!(sequences(&cache), [27, 28]);
    }

    #[test]
    fn a_key_frame_is_whole_when_no_packet_of_it_is_missing() {
        let source = Source(Instant::now());
        // (packets as (frame, part), whole, bytes)
        type Row<'a> = (&'a [(u64, u64)], bool, usize);
        let rows: [Row<'_>; 5] = [
            (&[(0, 0), (0, 1), (0, 2)], true, 300),
            (&[(0, 0), (0, 1)], false, 200),
            (&[(0, 0), (0, 2)], false, 200),
            (&[(0, 0), (0, 1), (1, 0)], false, 200),
            (&[(0, 0), (0, 1), (0, 2), (2, 0)], true, 300),
        ];
        for (packets, whole, bytes) in rows {
            let mut cache = GopCache::default();
            for &(number, part) in packets {
                cache.keep(&source.packet(number, part, number == 0));
            }
            let key_frame = cache.key_frame().unwrap();
            assert_eq!(
                (key_frame.whole, key_frame.bytes),
                (whole, bytes),
                "{packets:?}"
            );
        }
    }

    #[test]
    fn beyond_the_limit_the_key_frame_alone_is_kept_until_the_next_one() {
        let (source, mut cache) = (Source(Instant::now()), GopCache::default());
        let big: Arc<[u8]> = Arc::from(vec![0; 1 << 20]);
        let large = |packet| Packet {
            payload: Arc::clone(&big),
            ..packet
        };
        cache.keep(&source.packet(0, 0, true));
        cache.keep(&source.packet(0, 2, false));
        for number in 1..12 {
            cache.keep(&large(source.packet(number, 0, false)));
            assert_eq!(cache.overflowed(), number > 7);
        }
        assert_eq!((sequences(&cache), cache.frames()), (vec![0, 2], 1));
        assert_eq!(cache.bytes(), 200);
        // Repaired meanwhile.
        cache.keep(&source.packet(0, 1, false));
        assert!(cache.key_frame().is_some_and(|key| key.whole));
        // A key frame that is too large by itself is not kept.
        cache.keep(&large(source.packet(15, 0, true)));
        for part in 1..12 {
            cache.keep(&large(Packet {
                sequence: 45 + part,
                ..source.packet(15, 1, false)
            }));
        }
        assert!(cache.is_empty() && cache.overflowed());
        assert_eq!((cache.bytes(), cache.frames()), (0, 0));
        cache.keep(&source.packet(20, 0, true));
        assert!(!cache.overflowed());
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn packets_are_found_by_the_low_bits_of_their_number() {
        let (source, mut cache) = (Source(Instant::now()), GopCache::default());
        let far = |packet: Packet| Packet {
            sequence: packet.sequence + (7 << 32),
            ..packet
        };
        cache.keep(&far(source.packet(4, 0, true)));
        cache.keep(&far(source.packet(4, 2, false)));
        let found = |sequence| cache.find(sequence).map(|packet| packet.sequence);
        assert_eq!(found(12), Some((7 << 32) + 12));
        assert_eq!(found(14), Some((7 << 32) + 14));
        assert_eq!((found(13), found(11), found(15)), (None, None, None));
    }

    #[test]
    fn parameter_sets_that_came_once_stand_before_a_later_key_frame() {
        let (source, mut cache) = (Source(Instant::now()), GopCache::default());
        let h264 = |number, part, key, payload: &[u8]| Packet {
            codec: Codec::H264,
            payload: Arc::from(payload),
            ..source.packet(number, part, key)
        };
        let mut keep = |packet| cache.keep(&packet);
        assert!(keep(h264(1, 0, true, &[0x67, 1, 2])));
        keep(h264(1, 1, false, &[0x68, 3]));
        keep(Packet {
            key_frame: true,
            ..h264(1, 2, false, &[0x65, 4])
        });
        assert_eq!(sequences(&cache), [3, 4, 5]);
        assert!(cache.parameters().is_none(), "they are there");
        assert!(cache.keep(&h264(2, 0, true, &[0x65, 5])));
        let parameters = cache.parameters().unwrap();
        assert_eq!(*parameters.payload, [0x78, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 3]);
        assert_eq!(parameters.timestamp, 7_200);
        let again = cache.find(parameters.sequence as u32).unwrap();
        assert_eq!(again.payload, parameters.payload);
    }
}
