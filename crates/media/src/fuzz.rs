//! Entry points for fuzzing: any bytes, no panic. They live here so that the compiler keeps them alive.

use crate::codec::{self, Codec, Vp8Picture};
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
    let _ = Vp8Picture::parse(data);
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
