//! Sample media: frames that look like a codec's and carry their own number, so that what arrives can be checked.

use std::time::Duration;

use str0m::format::Codec;

/// What a publisher sends: one video track, and sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    pub(crate) codec: Codec,
    pub(crate) fps: u64,
    pub(crate) sound: bool,
    /// Bytes of a key frame and of the others.
    pub(crate) key_bytes: usize,
    pub(crate) delta_bytes: usize,
    /// Frames from one key frame to the next; 0: only when one is asked for.
    pub(crate) gop: u64,
    /// It makes no key frame when it is asked for one.
    pub(crate) deaf: bool,
    /// It sends everything a second time, in frames of a fifth of the size.
    pub(crate) layered: bool,
}

/// Names of the layers of a source that has two, the smaller one first.
pub(crate) const LAYERS: [&str; 2] = ["lo", "hi"];

impl Source {
    /// VP8, about 0.6 Mbit/s at 25 frames per second, with sound.
    pub const fn vp8(fps: u64) -> Self {
        Source {
            codec: Codec::Vp8,
            fps,
            sound: true,
            key_bytes: 12_000,
            delta_bytes: 3_000,
            gop: 0,
            deaf: false,
            layered: false,
        }
    }

    /// H.264 of the same size.
    pub const fn h264(fps: u64) -> Self {
        Source {
            codec: Codec::H264,
            ..Source::vp8(fps)
        }
    }

    /// No sound.
    pub const fn silent(mut self) -> Self {
        self.sound = false;
        self
    }

    /// Other sizes of key frames and of the frames between them, bytes.
    pub const fn bytes(mut self, key: usize, delta: usize) -> Self {
        (self.key_bytes, self.delta_bytes) = (key, delta);
        self
    }

    /// A key frame every so many frames.
    pub const fn gop(mut self, frames: u64) -> Self {
        self.gop = frames;
        self
    }

    /// Key frames come when they come, and not when they are asked for: a file, an encoder.
    pub const fn deaf(mut self) -> Self {
        self.deaf = true;
        self
    }

    /// In two layers: the second one in frames of a fifth of the size.
    pub const fn layered(mut self) -> Self {
        self.layered = true;
        self
    }

    /// Whether it makes no key frame when it is asked for one.
    pub const fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// Whether a frame is a key frame by its number.
    pub(crate) fn begins(&self, number: u64) -> bool {
        self.gop > 0 && number.is_multiple_of(self.gop)
    }

    /// Time between two frames.
    pub(crate) fn interval(&self) -> Duration {
        Duration::from_nanos(1_000_000_000 / self.fps)
    }

    /// A video frame; `part` of its size, in percent.
    pub(crate) fn frame(&self, number: u64, key: bool, part: usize) -> Vec<u8> {
        let length = if key {
            self.key_bytes
        } else {
            self.delta_bytes
        };
        let length = length * part / 100;
        let body = marked(number, key, length);
        match self.codec {
            Codec::H264 => h264(key, &body),
            _ => vp8(key, &body),
        }
    }
}

/// 20 ms of sound: one Opus packet of 80 bytes, number inside (TOC 0x78: CELT, 20 ms, mono).
pub(crate) fn sound(number: u64) -> Vec<u8> {
    let mut packet = vec![0x78];
    packet.extend(marked(number, true, 79));
    packet
}

/// RFC 6386 section 9.1: frame tag, and for a key frame the start code and the size.
fn vp8(key: bool, body: &[u8]) -> Vec<u8> {
    let first_partition = body.len().min(1 << 18) as u32;
    let tag = u32::from(!key) | (1 << 4) | (first_partition << 5);
    let mut frame = tag.to_le_bytes()[..3].to_vec();
    if key {
        frame.extend([0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
    }
    frame.extend_from_slice(body);
    frame
}

/// Annex B: parameter sets before a key frame, then one slice.
fn h264(key: bool, body: &[u8]) -> Vec<u8> {
    const START: [u8; 4] = [0, 0, 0, 1];
    const PARAMETERS: [&[u8]; 2] = [
        &[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40, 0x50, 0x1e, 0xd0],
        &[0x68, 0xce, 0x3c, 0x80],
    ];
    let mut frame = Vec::with_capacity(body.len() + 32);
    if key {
        for parameter in PARAMETERS {
            frame.extend(START);
            frame.extend_from_slice(parameter);
        }
    }
    frame.extend(START);
    frame.push(if key { 0x65 } else { 0x41 });
    frame.extend_from_slice(body);
    frame
}

const MARK: &[u8] = b"#frame ";
const MARK_LENGTH: usize = MARK.len() + 10 + 1 + 8 + 1 + 1;

/// `length` bytes that say which frame they belong to, whether it is a key frame, and how long they are.
fn marked(number: u64, key: bool, length: usize) -> Vec<u8> {
    let mut body = MARK.to_vec();
    body.extend(format!("{number:010} {length:08}").into_bytes());
    body.push(if key { b'K' } else { b'D' });
    body.push(b'#');
    body.resize(length.max(MARK_LENGTH), b'x');
    body
}

/// A frame as a viewer got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFrame {
    /// Time since the lab began.
    pub at: Duration,
    /// Number that its publisher gave it.
    pub number: u64,
    /// Bytes that its publisher gave it.
    pub bytes: usize,
    /// Whether it can be decoded without others.
    pub key: bool,
    /// Whether all of its bytes are there.
    pub whole: bool,
    /// Whether a decoder could show it: whole, and so is every frame back to a key frame.
    pub shown: bool,
    /// Digest of what it consists of.
    pub digest: u64,
    /// Numbers of its first and last packet, from the section's first one on.
    pub sequence: (i64, i64),
    /// RTP ticks since the section's first frame.
    pub time: i64,
}

impl SeenFrame {
    /// Read the mark of a frame; `None` when there is none.
    pub(crate) fn read(at: Duration, data: &[u8]) -> Option<SeenFrame> {
        let start = data.windows(MARK.len()).position(|window| window == MARK)?;
        let body = &data[start..];
        let text = std::str::from_utf8(body.get(MARK.len()..MARK_LENGTH)?).ok()?;
        let number = text.get(..10)?.parse().ok()?;
        let length: usize = text.get(11..19)?.parse().ok()?;
        let rest = body.get(MARK_LENGTH..)?;
        let whole = body.len() == length && rest.iter().all(|byte| *byte == b'x');
        Some(SeenFrame {
            at,
            number,
            bytes: length,
            key: text.get(19..20)? == "K",
            whole,
            shown: whole,
            digest: digest(data),
            sequence: (0, 0),
            time: 0,
        })
    }
}

/// The same in every run: FNV-1a, 64 bits.
fn digest(data: &[u8]) -> u64 {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    data.iter().fold(START, |digest, byte| {
        (digest ^ u64::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_frame_says_what_it_is_and_a_damaged_one_that_it_is() {
        for source in [Source::vp8(25), Source::h264(25)] {
            for key in [true, false] {
                let frame = source.frame(1234, key, 100);
                let seen = SeenFrame::read(Duration::ZERO, &frame).unwrap();
                assert_eq!((seen.number, seen.key, seen.whole), (1234, key, true));
                let cut = SeenFrame::read(Duration::ZERO, &frame[..frame.len() - 1]).unwrap();
                assert!(!cut.whole);
            }
        }
        let seen = SeenFrame::read(Duration::ZERO, &sound(5)).unwrap();
        assert_eq!((seen.number, seen.whole), (5, true));
        assert_eq!(SeenFrame::read(Duration::ZERO, b"nothing"), None);
    }
}
