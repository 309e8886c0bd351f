//! VP9 (RFC 9628 section 4.2), one layer, non-flexible mode, with a picture number of 15 bits.

const DESCRIPTOR: usize = 3;

pub(super) fn pack(frame: &[u8], key_frame: bool, picture: u16, limit: usize) -> Vec<Vec<u8>> {
    let [high, low] = (picture | 0x8000).to_be_bytes();
    let count = frame.len().div_ceil(limit - DESCRIPTOR);
    let parts = frame.chunks(limit - DESCRIPTOR).enumerate();
    parts
        .map(|(index, part)| {
            let predicted = if key_frame { 0 } else { 0x40 };
            let begins = if index == 0 { 0x08 } else { 0 };
            let ends = if index + 1 == count { 0x04 } else { 0 };
            [&[0x80 | predicted | begins | ends, high, low][..], part].concat()
        })
        .collect()
}

/// What stands behind the descriptor.
pub(super) fn unpack(payload: &[u8]) -> Option<&[u8]> {
    let first = *payload.first()?;
    let (numbered, predicted) = (first & 0x80 != 0, first & 0x40 != 0);
    let (layered, flexible, structured) = (first & 0x20 != 0, first & 0x10 != 0, first & 0x02 != 0);
    let mut at = 1;
    if numbered {
        at += if *payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    if layered {
        at += if flexible { 1 } else { 2 };
    }
    if flexible && predicted {
        // At most three references, each telling whether another one follows.
        for _ in 0..3 {
            let reference = *payload.get(at)?;
            at += 1;
            if reference & 1 == 0 {
                break;
            }
        }
    }
    if structured {
        let head = *payload.get(at)?;
        at += 1;
        if head & 0x10 != 0 {
            at += 4 * (usize::from(head >> 5) + 1);
        }
        if head & 0x08 != 0 {
            let pictures = *payload.get(at)?;
            at += 1;
            for _ in 0..pictures {
                at += 1 + usize::from(*payload.get(at)? >> 2 & 3);
            }
        }
    }
    payload.get(at..)
}
