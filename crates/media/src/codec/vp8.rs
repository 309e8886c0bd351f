//! VP8 payload descriptor (RFC 7741 section 4.2).

use crate::packet::FrameMark;

/// Numbers of a VP8 payload descriptor that run on from picture to picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vp8Picture {
    /// PictureID, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Whether the PictureID has 15 bits.
    pub long: bool,
    /// TL0PICIDX, 8 bits.
    pub tl0_index: Option<u8>,
}

/// The descriptor, and where the VP8 payload header begins.
fn parse(payload: &[u8]) -> Option<(Vp8Picture, u8, usize)> {
    let first = *payload.first()?;
    let mut at = 1;
    let mut picture = Vp8Picture::default();
    if first & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            let high = *payload.get(at)?;
            at += 1;
            if high & 0x80 != 0 {
                let low = *payload.get(at)?;
                at += 1;
                picture.long = true;
                picture.picture_id = Some(u16::from(high & 0x7f) << 8 | u16::from(low));
            } else {
                picture.picture_id = Some(u16::from(high));
            }
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

impl Vp8Picture {
    /// Read the numbers of one payload; `None` when the descriptor is cut short.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        parse(payload).map(|(picture, _, _)| picture)
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
        let short = Vp8Picture::parse(&[0x90, 0x80, 0x45, 0x00]);
        assert_eq!(
            short,
            Some(Vp8Picture {
                picture_id: Some(0x45),
                long: false,
                tl0_index: None
            })
        );
        let long = Vp8Picture::parse(&[0x90, 0xc0, 0x92, 0x34, 0x09, 0x00]);
        assert_eq!(
            long,
            Some(Vp8Picture {
                picture_id: Some(0x1234),
                long: true,
                tl0_index: Some(9)
            })
        );
        assert_eq!(Vp8Picture::parse(&[0x90, 0x40]), None);
    }
}
