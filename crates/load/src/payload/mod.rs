//! Frames into RTP payloads and back.

mod av1;
mod h264;
mod vp8;
mod vp9;

use sanderling_media::Codec;

/// Cut an encoded frame into payloads of at most `limit` bytes. `picture` is the number of the frame. `None` when the
/// frame is not what the codec's bitstream looks like; nothing is sent of it then.
pub(crate) fn pack(
    codec: Codec,
    frame: &[u8],
    key_frame: bool,
    picture: u16,
    limit: usize,
) -> Option<Vec<Vec<u8>>> {
    if frame.is_empty() {
        return None;
    }
    match codec {
        Codec::Vp8 => Some(vp8::pack(frame, picture, limit)),
        Codec::Vp9 => Some(vp9::pack(frame, key_frame, picture, limit)),
        Codec::H264 => h264::pack(frame, limit),
        Codec::Av1 => av1::pack(frame, key_frame, limit),
        Codec::Opus => Some(vec![frame.to_vec()]),
    }
}

/// Put the payloads of one frame together. `None` when one of them is damaged.
pub(crate) fn unpack<'a>(
    codec: Codec,
    payloads: impl Iterator<Item = &'a [u8]>,
) -> Option<Vec<u8>> {
    match codec {
        Codec::Vp8 => joined(payloads.map(vp8::unpack)),
        Codec::Vp9 => joined(payloads.map(vp9::unpack)),
        Codec::H264 => h264::unpack(payloads),
        Codec::Av1 => av1::unpack(payloads),
        Codec::Opus => joined(payloads.map(Some)),
    }
}

fn joined<'a>(parts: impl Iterator<Item = Option<&'a [u8]>>) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    for part in parts {
        frame.extend_from_slice(part?);
    }
    Some(frame)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sanderling_media::codec::mark;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n % 251) as u8 | 1).collect()
    }

    /// A frame with a bitstream's shape, of about `length` bytes.
    fn frame(codec: Codec, key: bool, length: usize) -> Vec<u8> {
        match codec {
            Codec::Vp8 => [&[u8::from(!key), 0, 0][..], &bytes(length)].concat(),
            Codec::H264 => {
                let sets: &[u8] = match key {
                    true => &[0, 0, 0, 1, 0x67, 66, 0xe0, 31, 0, 0, 0, 1, 0x68, 0xce],
                    false => &[],
                };
                let nal = [0, 0, 0, 1, if key { 0x65 } else { 0x61 }];
                [sets, &nal, &bytes(length)].concat()
            }
            Codec::Av1 => {
                let sequence: &[u8] = if key { &[0x0a, 3, 1, 2, 3] } else { &[] };
                let body = bytes(length);
                let size = [(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
                [&[0x12, 0][..], sequence, &[0x32], &size, &body].concat()
            }
            _ => bytes(length),
        }
    }

    #[test]
    fn frames_come_back_as_they_went() {
        for codec in Codec::ALL {
            for key in [true, false] {
                for length in [200, 1_500, 9_000] {
                    let frame = frame(codec, key, length);
                    let payloads = pack(codec, &frame, key, 0x1234, 1_160).unwrap();
                    let most = payloads.iter().map(Vec::len).max().unwrap();
                    assert!(most <= 1_160 || codec == Codec::Opus, "{codec}: {most}");
                    let back = unpack(codec, payloads.iter().map(Vec::as_slice)).unwrap();
                    assert_eq!(back, frame, "{codec} {key} {length}");
                    let first = mark(codec, &payloads[0]);
                    assert!(first.frame_start, "{codec}");
                    assert_eq!(first.key_frame, key || codec == Codec::Opus, "{codec}");
                }
            }
        }
    }

    #[test]
    fn damaged_payloads_are_no_frame() {
        for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            let empty: [&[u8]; 1] = [&[]];
            assert_eq!(unpack(codec, empty.into_iter()), None, "{codec}");
        }
        assert_eq!(pack(Codec::H264, &[1, 2, 3], true, 0, 1_160), None);
        assert_eq!(pack(Codec::Av1, &[0x32, 0xff], true, 0, 1_160), None);
        assert_eq!(pack(Codec::Vp8, &[], true, 0, 1_160), None);
    }
}
