//! VP8 (RFC 7741 section 4.2), with a picture number of 15 bits.

const DESCRIPTOR: usize = 4;

pub(super) fn pack(frame: &[u8], picture: u16, limit: usize) -> Vec<Vec<u8>> {
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let parts = frame.chunks(limit - DESCRIPTOR).enumerate();
    parts
        .map(|(index, part)| {
            let begins = if index == 0 { 0x10 } else { 0 };
            [&[0x80 | begins, 0x80, high, low][..], part].concat()
        })
        .collect()
}

/// What stands behind the descriptor.
pub(super) fn unpack(payload: &[u8]) -> Option<&[u8]> {
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(1)?;
        at = 2;
        if extension & 0x80 != 0 {
            at += if *payload.get(2)? & 0x80 != 0 { 2 } else { 1 };
        }
        at += usize::from(extension & 0x40 != 0) + usize::from(extension & 0x30 != 0);
    }
    payload.get(at..)
}
