//! VP8 payload descriptor (RFC 7741 section 4.2).

use super::picture::{self, PictureNumbers};
use crate::packet::FrameMark;

/// The descriptor's numbers, its first byte, and where the VP8 payload header begins.
fn parse(payload: &[u8]) -> Option<(PictureNumbers, u8, usize)> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut picture = PictureNumbers::default();
    if first & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            let (number, bits, length) = picture::read_id(payload.get(at..)?)?;
            at += length;
            (picture.number, picture.bits) = (Some(number), bits);
        }
        if extension & 0x40 != 0 {
            picture.tl0_index = Some(*payload.get(at)?);
            at += 1;
        }
        if extension & 0x30 != 0 {
            at += 1;
        }
    }
    Some((picture, first, at))
}

/// The numbers of one payload; `None` when the descriptor is cut short.
pub(super) fn numbers(payload: &[u8]) -> Option<PictureNumbers> {
    parse(payload).map(|(picture, _, _)| picture)
}

/// Put new numbers into a descriptor.
pub(super) fn write(payload: &mut [u8], numbers: PictureNumbers) {
    let [first, extension, rest @ ..] = payload else {
        return;
    };
    if *first & 0x80 == 0 {
        return;
    }
    let mut at = 0;
    if *extension & 0x80 != 0 {
        let Some(length) = picture::write_id(rest, numbers.number) else {
            return;
        };
        at = length;
    }
    if *extension & 0x40 != 0
        && let (Some(number), Some(field)) = (numbers.tl0_index, rest.get_mut(at))
    {
        *field = number;
    }
}

/// S = 1 and PID = 0 begin a frame; the P bit of its payload header is 0 for a key frame.
pub(super) fn mark(payload: &[u8]) -> FrameMark {
    let Some((_, first, at)) = parse(payload) else {
        return FrameMark::default();
    };
    let frame_start = first & 0x10 != 0 && first & 0x07 == 0;
    let key_frame = frame_start && payload.get(at).is_some_and(|header| header & 0x01 == 0);
    FrameMark {
        frame_start,
        key_frame,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_by_table() {
        // (payload, frame start, key frame)
        let rows: [(&[u8], bool, bool); 9] = [
            (&[0x10, 0x00], true, true),
            (&[0x10, 0x01], true, false),
            (&[0x00, 0x00], false, false),
            (&[0x11, 0x00], false, false),
            (&[0x90, 0x80, 0x7f, 0x00], true, true),
            (&[0x90, 0x80, 0x80, 0x01, 0x00], true, true),
            (&[0x90, 0xe0, 0x81, 0x02, 0x07, 0x20, 0x01], true, false),
            (&[0x90, 0xe0, 0x81, 0x02, 0x07, 0x20, 0x00], true, true),
            (&[0x90, 0x80, 0x80], false, false),
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
    fn picture_numbers_are_read_at_both_widths() {
        let short = numbers(&[0x90, 0x80, 0x45, 0x00]);
        assert_eq!(
            short,
            Some(PictureNumbers {
                number: Some(0x45),
                bits: 7,
                tl0_index: None
            })
        );
        let long = numbers(&[0x90, 0xc0, 0x92, 0x34, 0x09, 0x00]);
        assert_eq!(
            long,
            Some(PictureNumbers {
                number: Some(0x1234),
                bits: 15,
                tl0_index: Some(9)
            })
        );
        assert_eq!(numbers(&[0x90, 0x40]), None);
        assert_eq!(numbers(&[0x90, 0x80, 0x80]), None);
    }

    #[test]
    fn numbers_are_written_where_the_payload_has_them() {
        let picture = PictureNumbers {
            number: Some(0x1234),
            bits: 15,
            tl0_index: Some(9),
        };
        // (payload, written)
        let rows: [(&[u8], &[u8]); 6] = [
            (
                &[0x90, 0xc0, 0x80, 1, 2, 7],
                &[0x90, 0xc0, 0x92, 0x34, 9, 7],
            ),
            (&[0x90, 0xc0, 0x01, 2, 7], &[0x90, 0xc0, 0x34, 9, 7]),
            (&[0x90, 0x40, 2, 7], &[0x90, 0x40, 9, 7]),
            (&[0x10, 0xc0, 0x80, 1, 2], &[0x10, 0xc0, 0x80, 1, 2]),
            (&[0x90, 0xc0, 0x80], &[0x90, 0xc0, 0x80]),
            (&[0x90], &[0x90]),
        ];
        for (payload, expected) in rows {
            let mut payload = payload.to_vec();
            write(&mut payload, picture);
            assert_eq!(payload, expected);
        }
    }
}
