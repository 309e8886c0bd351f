//! Synthetic media that a receiver can check byte by byte: VP8 to every server, numbers and known bytes inside.

/// Payload descriptor (RFC 7741 section 4.2) without extensions: nothing in it that a server would have to rewrite.
const BEGINS: u8 = 0x10;
/// Start of a key frame's payload header: frame tag, start code, 1280 x 720 (RFC 6386 section 9.1).
const KEY: [u8; 10] = [0x50, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x05, 0xd0, 0x02];
/// Frame tag of another frame.
const DELTA: [u8; 3] = [0x51, 0, 0];
const MAGIC: [u8; 4] = *b"SndP";
/// Magic, stream, number, flags, size.
const MARK: usize = 4 + 4 + 8 + 1 + 2;

/// Smallest payload that holds a mark.
pub(crate) const LEAST: usize = 1 + KEY.len() + MARK + 8;
/// Largest payload: with header and tag it stays below an Ethernet frame.
pub(crate) const MOST: usize = 1_400;

/// What a packet of the pattern says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which publisher made it.
    pub stream: u32,
    /// Number of the packet, from 0.
    pub number: u64,
    /// Whether it is part of a key frame.
    pub key_frame: bool,
    /// Whether it is the first of its frame.
    pub begins: bool,
}

/// What checking found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Every byte is as it was made.
    Right(Mark),
    /// It was the pattern and is damaged.
    Wrong,
    /// Other media.
    Other,
}

/// The bytes behind a mark: from its numbers alone, eight at a time (SplitMix64).
fn fill(stream: u32, number: u64) -> impl Iterator<Item = [u8; 8]> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(stream) << 17;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ word >> 31).to_le_bytes()
    })
}

/// Write a packet's payload over the whole of `payload`, which is [`LEAST`] to [`MOST`] bytes long.
pub(crate) fn write(payload: &mut [u8], mark: &Mark) {
    let length = payload.len() as u16;
    let head: &[u8] = match (mark.begins, mark.key_frame) {
        (true, true) => &KEY,
        (true, false) => &DELTA,
        (false, _) => &[],
    };
    payload[0] = if mark.begins { BEGINS } else { 0 };
    let (front, body) = payload.split_at_mut(1 + head.len());
    front[1..].copy_from_slice(head);
    body[..4].copy_from_slice(&MAGIC);
    body[4..8].copy_from_slice(&mark.stream.to_be_bytes());
    body[8..16].copy_from_slice(&mark.number.to_be_bytes());
    body[16] = u8::from(mark.key_frame) | u8::from(mark.begins) << 1;
    body[17..MARK].copy_from_slice(&length.to_be_bytes());
    for (room, word) in body[MARK..]
        .chunks_mut(8)
        .zip(fill(mark.stream, mark.number))
    {
        room.copy_from_slice(&word[..room.len()]);
    }
}

/// Check a payload.
pub(crate) fn check(payload: &[u8]) -> Checked {
    let (begins, skipped) = match payload {
        [BEGINS, tag, ..] if tag & 1 == 0 => (true, 1 + KEY.len()),
        [BEGINS, ..] => (true, 1 + DELTA.len()),
        [0, ..] => (false, 1),
        _ => return Checked::Other,
    };
    let Some(body) = payload.get(skipped..).filter(|body| body.len() >= MARK) else {
        return Checked::Other;
    };
    if body[..4] != MAGIC {
        return Checked::Other;
    }
    let number = |range: std::ops::Range<usize>| {
        body[range]
            .iter()
            .fold(0, |all, byte| all << 8 | u64::from(*byte))
    };
    let (stream, count, length) = (number(4..8) as u32, number(8..16), number(17..MARK));
    let mark = Mark {
        stream,
        number: count,
        key_frame: body[16] & 1 != 0,
        begins: body[16] & 2 != 0,
    };
    let head: &[u8] = match (begins, mark.key_frame) {
        (true, true) => &KEY,
        (true, false) => &DELTA,
        (false, _) => &[],
    };
    let mut words = body[MARK..].chunks(8).zip(fill(stream, count));
    let right = mark.begins == begins
        && payload[1..skipped] == *head
        && length == payload.len() as u64
        && words.all(|(bytes, word)| *bytes == word[..bytes.len()]);
    match right {
        true => Checked::Right(mark),
        false => Checked::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_media::{Codec, codec};

    fn payload(mark: &Mark, length: usize) -> Vec<u8> {
        let mut payload = vec![0xff; length];
        write(&mut payload, mark);
        payload
    }

    fn marks() -> impl Iterator<Item = Mark> {
        (0..4).map(|n| Mark {
            stream: 7,
            number: 1 << 40 | n,
            key_frame: n & 1 != 0,
            begins: n & 2 != 0,
        })
    }

    #[test]
    fn what_is_written_checks_and_is_vp8_to_a_server() {
        for mark in marks() {
            for length in [LEAST, LEAST + 3, 1160, MOST] {
                let payload = payload(&mark, length);
                assert_eq!(check(&payload), Checked::Right(mark));
                let frame = codec::mark(Codec::Vp8, &payload);
                assert_eq!(frame.frame_start, mark.begins);
                assert_eq!(frame.key_frame, mark.begins && mark.key_frame);
            }
        }
    }

    #[test]
    fn no_byte_changes_unnoticed() {
        for mark in marks() {
            let good = payload(&mark, LEAST + 5);
            for at in 0..good.len() {
                let mut changed = good.clone();
                changed[at] ^= 1;
                assert_ne!(
                    check(&changed),
                    Checked::Right(mark),
                    "byte {at} of {mark:?}"
                );
            }
            for cut in 0..good.len() {
                assert_ne!(check(&good[..cut]), Checked::Right(mark));
            }
        }
    }

    #[test]
    fn other_media_is_no_pattern() {
        assert_eq!(check(&[]), Checked::Other);
        assert_eq!(check(&[0x10, 0x50, 0, 0, 0x9d, 1, 0x2a]), Checked::Other);
        assert_eq!(check(&[0x78; 80]), Checked::Other);
    }
}
