//! Entry points for fuzzing: any bytes, no panic. They live here so that the compiler keeps them alive.

use crate::codec::{self, Codec, DependencyDescriptor, PictureNumbers};
use crate::demux;

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

#[cfg(test)]
mod tests {
    /// A cheap generator (splitmix64), so that the entry points run on every `cargo test`.
    fn bytes(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let length = (next() % 80) as usize;
        (0..length).map(|_| next() as u8).collect()
    }

    #[test]
    fn random_bytes_never_panic() {
        for seed in 0..20_000 {
            let data = bytes(seed);
            super::datagram(&data);
            super::payload(&data);
        }
    }
}
