//! VP9 payload descriptor (RFC 9628 section 4.2).

use super::picture::{self, PictureNumbers};
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

const HAS_PICTURE_ID: u8 = 0x80;
const HAS_LAYERS: u8 = 0x20;
const FLEXIBLE: u8 = 0x10;

/// Whether TL0PICIDX stands behind the layer indices: in flexible mode the references stand there instead, as
/// differences of PictureIDs, which a change of all of them leaves true.
fn has_tl0_index(first: u8) -> bool {
    first & (HAS_LAYERS | FLEXIBLE) == HAS_LAYERS
}

/// The numbers of one payload; `None` when the descriptor is cut short.
pub(super) fn numbers(payload: &[u8]) -> Option<PictureNumbers> {
    let (first, rest) = payload.split_first()?;
    let mut picture = PictureNumbers::default();
    let mut at = 0;
    if first & HAS_PICTURE_ID != 0 {
        let (number, bits, length) = picture::read_id(rest)?;
        at = length;
        (picture.number, picture.bits) = (Some(number), bits);
    }
    if has_tl0_index(*first) {
        picture.tl0_index = Some(*rest.get(at + 1)?);
    }
    Some(picture)
}

/// Put new numbers into a descriptor.
pub(super) fn write(payload: &mut [u8], numbers: PictureNumbers) {
    let Some((first, rest)) = payload.split_first_mut() else {
        return;
    };
    let mut at = 0;
    if *first & HAS_PICTURE_ID != 0 {
        let Some(length) = picture::write_id(rest, numbers.number) else {
            return;
        };
        at = length;
    }
    if let (true, Some(number), Some(field)) = (
        has_tl0_index(*first),
        numbers.tl0_index,
        rest.get_mut(at + 1),
    ) {
        *field = number;
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
    #[test]
    fn numbers_are_read_and_written_where_the_payload_has_them() {
        // (payload, number, bits, TL0PICIDX, written)
        type Row = (&'static [u8], Option<u16>, u8, Option<u8>, &'static [u8]);
        let rows: [Row; 6] = [
            // Non-flexible with layers, at both widths.
            (
                &[0xa8, 0x91, 0x23, 0x00, 7, 9],
                Some(0x1123),
                15,
                Some(7),
                &[0xa8, 0x92, 0x34, 0x00, 8, 9],
            ),
            (
                &[0xa8, 0x11, 0x00, 7],
                Some(0x11),
                7,
                Some(7),
                &[0xa8, 0x34, 0, 8],
            ),
            // Flexible: differences stand behind the layers.
            (
                &[0xf8, 0x91, 0x23, 0x00, 0x02, 9],
                Some(0x1123),
                15,
                None,
                &[0xf8, 0x92, 0x34, 0x00, 0x02, 9],
            ),
            (
                &[0x88, 0x91, 0x23, 0x55],
                Some(0x1123),
                15,
                None,
                &[0x88, 0x92, 0x34, 0x55],
            ),
            (&[0x28, 0x00, 7, 1], None, 0, Some(7), &[0x28, 0x00, 8, 1]),
            (&[0x08, 7, 1], None, 0, None, &[0x08, 7, 1]),
        ];
        for (payload, number, bits, tl0_index, written) in rows {
            let picture = PictureNumbers {
                number,
                bits,
                tl0_index,
            };
            assert_eq!(numbers(payload), Some(picture), "{payload:02x?}");
            let mut payload = payload.to_vec();
            let new = PictureNumbers {
                number: Some(0x1234),
                bits: 15,
                tl0_index: Some(8),
            };
            write(&mut payload, new);
            assert_eq!(payload, written);
        }
        for cut in [&[][..], &[0x88], &[0x88, 0x91], &[0xa8, 0x91, 0x23, 0x00]] {
            assert_eq!(numbers(cut), None, "{cut:02x?}");
            let mut same = cut.to_vec();
            write(&mut same, PictureNumbers::default());
            assert_eq!(same, cut);
        }
    }
}
