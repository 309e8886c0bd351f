//! Entry points for fuzzing: any bytes, no panic. They live here so that the compiler keeps them alive.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::cache::GopCache;
use crate::codec::{self, Codec, DependencyDescriptor, PictureNumbers};
use crate::demux;
use crate::{Extensions, Kind, Packet};

/// Demultiplexing and STUN user names.
pub fn datagram(data: &[u8]) {
    if demux::classify(data) == Some(demux::Class::Stun) {
        let _ = demux::stun_local_fragment(data);
    }
    let _ = demux::stun_local_fragment(data);
}

/// Payloads of every codec; a key frame must also begin a frame.
pub fn payload(data: &[u8]) {
    for codec in Codec::ALL {
        let mark = codec::mark(codec, data);
        assert!(
            !mark.key_frame || mark.frame_start,
            "{codec}: a key frame that begins no frame"
        );
    }
    for codec in Codec::ALL {
        let Some(numbers) = PictureNumbers::in_payload(codec, data) else {
            continue;
        };
        // What was read is written to where it stood, and other numbers are read back.
        let mut same = data.to_vec();
        numbers.write(codec, &mut same);
        assert_eq!(same, data, "{codec}");
        let other = PictureNumbers {
            number: numbers.number.map(|number| !number & numbers.mask()),
            bits: numbers.bits,
            tl0_index: numbers.tl0_index.map(|index| !index),
        };
        other.write(codec, &mut same);
        let read = PictureNumbers::in_payload(codec, &same);
        assert_eq!(read, Some(other), "{codec}");
    }
    if let Some(descriptor) = DependencyDescriptor::new(data) {
        let mut same = vec![0; data.len()];
        descriptor.write(Some(descriptor.frame_number()), &mut same);
        assert_eq!(same, data);
    }
}

/// Packets of one layer in any order, four bytes and a short payload each: the cache stays in order and counts what it holds.
pub fn cache(data: &[u8]) {
    let (mut gop, epoch) = (GopCache::default(), epoch());
    let mut rest = data;
    while let [number, frame, flags, length, after @ ..] = rest {
        let (payload, next) = after.split_at(usize::from(*length % 8).min(after.len()));
        let packet = Packet {
            kind: Kind::Video,
            codec: if flags & 4 == 0 {
                Codec::H264
            } else {
                Codec::Vp8
            },
            layer: 0,
            sequence: 1_000 + u64::from(*number),
            timestamp: u32::from(*frame) << 24,
            marker: flags & 2 != 0,
            frame_start: flags & 1 != 0,
            key_frame: flags & 1 != 0,
            extensions: Extensions::default(),
            arrival: epoch,
            captured: epoch,
            payload: Arc::from(payload),
        };
        let begins = gop.keep(&packet);
        assert!(!begins || gop.key().is_some_and(|key| key.sequence == packet.sequence));
        check(&gop);
        rest = next;
    }
}

fn check(gop: &GopCache) {
    let sequences: Vec<u64> = gop.from(0).map(|packet| packet.sequence).collect();
    assert!(
        sequences.windows(2).all(|pair| pair[0] < pair[1]),
        "{sequences:?}"
    );
    let bytes: usize = gop.from(0).map(|packet| packet.payload.len()).sum();
    assert_eq!((bytes, sequences.len()), (gop.bytes(), gop.len()));
    assert!(gop.frames() as usize <= gop.len() && (gop.frames() == 0) == gop.is_empty());
    assert_eq!(gop.key_frame().is_some(), gop.key().is_some());
    for packet in gop.from(0) {
        let found = gop.find(packet.sequence as u32).map(|found| found.sequence);
        assert_eq!(found, Some(packet.sequence));
    }
    if let Some(parameters) = gop.parameters() {
        assert!(gop.find(parameters.sequence as u32).is_some());
    }
}

/// Words that are the same each time (SplitMix64), so that entry points run on every `cargo test`.
#[derive(Debug, Clone)]
pub struct Words(pub u64);

impl Words {
    /// The next word.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fewer than `limit` bytes.
    pub fn bytes(&mut self, limit: u64) -> Vec<u8> {
        (0..self.draw() % limit)
            .map(|_| self.draw() as u8)
            .collect()
    }
}

/// Where the clock of every run begins: nothing depends on when that is.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant can only be had from the clock; this one is never compared"
)]
pub fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn random_bytes_never_panic() {
        for seed in 0..20_000 {
            let data = Words(seed).bytes(80);
            super::datagram(&data);
            super::payload(&data);
            super::cache(&data);
        }
    }
}
