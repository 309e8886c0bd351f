//! VP9 payload descriptor (RFC 9628 section 4.2).

use crate::packet::FrameMark;

/// B begins a layer frame. A key frame is one that is not inter-predicted (P = 0), in the lowest spatial layer, and
/// not used by an inter-layer prediction (D = 0): exactly the frame that a decoder can start from.
pub(super) fn mark(payload: &[u8]) -> FrameMark {
    let Some(&first) = payload.first() else {
        return FrameMark::default();
    };
    let has_picture_id = first & 0x80 != 0;
    let inter_predicted = first & 0x40 != 0;
    let has_layers = first & 0x20 != 0;
    let begins = first & 0x08 != 0;
    let mut at = 1;
    if has_picture_id {
        match payload.get(at) {
            Some(byte) if byte & 0x80 != 0 => at += 2,
            Some(_) => at += 1,
            None => return FrameMark::default(),
        }
    }
    let mut lowest = true;
    if has_layers {
        let Some(&layers) = payload.get(at) else {
            return FrameMark::default();
        };
        let spatial = layers >> 1 & 0x07;
        let depends = layers & 0x01 != 0;
        lowest = spatial == 0 && !depends;
    }
    FrameMark {
        frame_start: begins && lowest,
        key_frame: begins && lowest && !inter_predicted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_by_table() {
        // (payload, frame start, key frame)
        let rows: [(&[u8], bool, bool); 8] = [
            (&[0x08], true, true),
            (&[0x48], true, false),
            (&[0x00], false, false),
            (&[0x88, 0x91, 0x23], true, true),
            (&[0xa8, 0x91, 0x23, 0x00], true, true),
            (&[0xa8, 0x91, 0x23, 0x02], false, false),
            (&[0xa8, 0x91, 0x23, 0x01], false, false),
            (&[0xa8, 0x91], false, false),
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
