//! Entry points for fuzzing: any bytes, no panic. They live here so that the compiler keeps them alive.

use crate::frame::{Deframer, MAX_FRAME};

/// The framing of ICE-TCP: a stream gives the same frames however it is cut, and no more than one is held.
pub fn frames(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let read = |size: usize| {
        let (mut deframer, mut frames, mut broken) = (Deframer::default(), Vec::new(), None);
        for chunk in stream.chunks(size.max(1)) {
            if let Err(error) = deframer.push(chunk, |frame| frames.push(frame.to_vec())) {
                broken = Some(error);
                break;
            }
            assert!(deframer.held() <= MAX_FRAME + 2);
        }
        (frames, broken)
    };
    assert_eq!(read(stream.len()), read(usize::from(*cut)));
}

#[cfg(test)]
mod tests {
    /// A cheap generator (splitmix64), so that the entry point runs on every `cargo test`.
    fn bytes(seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let mut data = vec![next() as u8];
        for _ in 0..next() % 20 {
            // Mostly lengths and first bytes that are right, so that the search gets somewhere.
            let length = next() % 40;
            data.extend([0, length as u8]);
            let first = [0, 22, 128, 144, next() as u8][(next() % 5) as usize];
            data.extend((0..length).map(|n| if n == 0 { first } else { next() as u8 }));
        }
        data
    }

    #[test]
    fn streams_give_the_same_frames_however_they_are_cut() {
        for seed in 0..5_000 {
            super::frames(&bytes(seed));
        }
    }
}
