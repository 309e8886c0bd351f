//! H.264 payloads (RFC 6184) and the profiles that two ends can share.

use std::fmt;

use crate::packet::FrameMark;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// A payload begins a frame unless it continues a fragment; an IDR slice or a sequence parameter set in it begins
/// a key frame.
pub(super) fn mark(payload: &[u8]) -> FrameMark {
    let Some(&first) = payload.first() else {
        return FrameMark::default();
    };
    match first & 0x1f {
        1..=23 => FrameMark {
            frame_start: true,
            key_frame: starts_decoding(first & 0x1f),
        },
        STAP_A => FrameMark {
            frame_start: true,
            key_frame: aggregate_starts_decoding(&payload[1..]),
        },
        FU_A => {
            let Some(&fragment) = payload.get(1) else {
                return FrameMark::default();
            };
            let start = fragment & 0x80 != 0;
            FrameMark {
                frame_start: start,
                key_frame: start && starts_decoding(fragment & 0x1f),
            }
        }
        _ => FrameMark::default(),
    }
}

fn starts_decoding(nal_type: u8) -> bool {
    matches!(nal_type, IDR | SPS)
}

/// STAP-A: 16-bit sizes, each in front of one NAL unit (RFC 6184 section 5.7.1).
fn aggregate_starts_decoding(mut units: &[u8]) -> bool {
    while let [high, low, rest @ ..] = units {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        match rest.get(..size) {
            Some([nal, ..]) if starts_decoding(nal & 0x1f) => return true,
            Some(_) => units = &rest[size..],
            None => return false,
        }
    }
    false
}

/// Profile of a `profile-level-id` (RFC 6184 section 8.1; the constraint bits tell the baselines apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum H264Profile {
    /// Constrained baseline: what every decoder can play.
    ConstrainedBaseline,
    /// Baseline, with tools that no browser decodes.
    Baseline,
    /// Main.
    Main,
    /// Constrained high.
    ConstrainedHigh,
    /// High.
    High,
}

impl H264Profile {
    /// Read `profile-level-id`, six hexadecimal digits. `None` for another profile or a malformed value.
    pub fn from_profile_level_id(value: &str) -> Option<Self> {
        if value.len() != 6 || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(value, 16).ok()?;
        let profile = (number >> 16) as u8;
        let constraints = (number >> 8) as u8;
        match profile {
            0x42 if constraints & 0x40 != 0 => Some(Self::ConstrainedBaseline),
            0x42 => Some(Self::Baseline),
            0x4d if constraints & 0x80 != 0 => Some(Self::ConstrainedBaseline),
            0x4d => Some(Self::Main),
            0x64 if constraints & 0x0c == 0x0c => Some(Self::ConstrainedHigh),
            0x64 => Some(Self::High),
            _ => None,
        }
    }

    /// Whether a decoder of this profile plays a stream of `stream`'s.
    pub fn decodes(self, stream: Self) -> bool {
        use H264Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, High, Main};
        match stream {
            ConstrainedBaseline => true,
            Baseline => self == Baseline,
            Main => matches!(self, Main | High),
            ConstrainedHigh => matches!(self, ConstrainedHigh | High),
            High => self == High,
        }
    }
}

impl fmt::Display for H264Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConstrainedBaseline => "constrained baseline",
            Self::Baseline => "baseline",
            Self::Main => "main",
            Self::ConstrainedHigh => "constrained high",
            Self::High => "high",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_by_table() {
        // (payload, frame start, key frame)
        let rows: [(&[u8], bool, bool); 11] = [
            (&[0x65, 0x88], true, true),
            (&[0x67, 0x42], true, true),
            (&[0x61, 0x88], true, false),
            (
                &[0x78, 0x00, 0x02, 0x67, 0x42, 0x00, 0x01, 0x68],
                true,
                true,
            ),
            (&[0x78, 0x00, 0x01, 0x68, 0x00, 0x01, 0x65], true, true),
            (&[0x78, 0x00, 0x01, 0x68, 0x00, 0x01, 0x61], true, false),
            (&[0x78, 0x00, 0x09, 0x67], true, false),
            (&[0x7c, 0x85], true, true),
            (&[0x7c, 0x05], false, false),
            (&[0x7c, 0x81], true, false),
            (&[0x7c], false, false),
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
    fn profiles_by_table() {
        let rows = [
            ("42e01f", Some(H264Profile::ConstrainedBaseline)),
            ("42001f", Some(H264Profile::Baseline)),
            ("4d001f", Some(H264Profile::Main)),
            ("64001f", Some(H264Profile::High)),
            ("640c1f", Some(H264Profile::ConstrainedHigh)),
            ("7a001f", None),
            ("42e01", None),
            ("+2e01f", None),
            ("zzzzzz", None),
        ];
        for (value, profile) in rows {
            assert_eq!(
                H264Profile::from_profile_level_id(value),
                profile,
                "{value}"
            );
        }
    }

    #[test]
    fn a_higher_decoder_plays_a_lower_stream_but_not_the_other_way() {
        assert!(H264Profile::High.decodes(H264Profile::Main));
        assert!(!H264Profile::Main.decodes(H264Profile::High));
        assert!(H264Profile::Main.decodes(H264Profile::ConstrainedBaseline));
        assert!(!H264Profile::ConstrainedBaseline.decodes(H264Profile::Baseline));
    }
}
