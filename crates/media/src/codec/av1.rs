//! AV1 aggregation header (AOM RTP payload format, section 4.4).

use crate::packet::FrameMark;

const OBU_SEQUENCE_HEADER: u8 = 1;

/// Z = 0 begins with a fresh OBU element; N = 1 begins a new coded video sequence, which is a key frame with its
/// sequence header. A sender that leaves N out is caught by the first OBU being a sequence header.
pub(super) fn mark(payload: &[u8]) -> FrameMark {
    let Some(&header) = payload.first() else {
        return FrameMark::default();
    };
    let continues = header & 0x80 != 0;
    if continues || payload.len() < 2 {
        return FrameMark::default();
    }
    let new_sequence = header & 0x08 != 0;
    FrameMark {
        frame_start: true,
        key_frame: new_sequence || first_obu(payload) == Some(OBU_SEQUENCE_HEADER),
    }
}

/// Type of the first OBU element.
fn first_obu(payload: &[u8]) -> Option<u8> {
    let count = payload.first()? >> 4 & 0x03;
    let mut at = 1;
    // With W = 1 the only element has no length in front; otherwise it has (leb128, at most 8 bytes).
    if count != 1 {
        let length = payload
            .get(at..)?
            .iter()
            .take(8)
            .position(|byte| byte & 0x80 == 0)?;
        at += length + 1;
    }
    payload.get(at).map(|obu| obu >> 3 & 0x0f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_by_table() {
        // (payload, frame start, key frame)
        let rows: [(&[u8], bool, bool); 8] = [
            (&[0x18, 0x0a, 0x00], true, true),
            (&[0x10, 0x0a, 0x00], true, true),
            (&[0x10, 0x32, 0x00], true, false),
            (&[0x20, 0x02, 0x0a, 0x00, 0x32], true, true),
            (&[0x20, 0x82, 0x00, 0x0a, 0x00], true, true),
            (&[0x90, 0x0a, 0x00], false, false),
            (&[0x18], false, false),
            (&[0x20, 0xff, 0xff], true, false),
        ];
        for (payload, frame_start, key_frame) in rows {
            assert_eq!(
                mark(payload),
                FrameMark {
                    frame_start,
                    key_frame
                },
                "{payload:02x?}"
            );
        }
    }
}
