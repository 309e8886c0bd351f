use sanderling_rtc::fuzz;

use crate::{VECTORS, vector};

/// Real offers with bytes changed, cut out and doubled: whatever comes of it, nothing panics.
#[test]
fn damaged_offers_never_panic() {
    let mut state = 1_u64;
    let mut next = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for name in VECTORS {
        let original = vector(name).into_bytes();
        fuzz::offer(&original);
        for _ in 0..150 {
            let mut bytes = original.clone();
            for _ in 0..1 + next(4) {
                let (at, length) = (next(bytes.len()), 1 + next(40));
                let end = (at + length).min(bytes.len());
                match next(4) {
                    0 => bytes[at] = b" \r\n:;=/0aZ~"[next(11)],
                    1 => drop(bytes.drain(at..end)),
                    2 => bytes.extend_from_within(at..end),
                    _ => {
                        let piece = bytes[at..end].to_vec();
                        let place = next(bytes.len());
                        bytes.splice(place..place, piece);
                    }
                }
            }
            fuzz::offer(&bytes);
        }
    }
}
