//! Codecs that pass through, and what their payloads say about frames.

mod av1;
mod dependency;
mod h264;
mod picture;
mod vp8;
mod vp9;

use std::fmt;

use crate::packet::FrameMark;

pub use dependency::DependencyDescriptor;
pub use h264::H264Profile;
pub use picture::PictureNumbers;

/// Kind of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

impl Kind {
    /// The word of SDP and of the control plane: "audio" or "video".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }

    /// RTP clock rate in Hz: Opus always runs at 48 kHz (RFC 7587 section 4.1), video at 90 kHz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Audio => 48_000,
            Self::Video => 90_000,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A codec that passes through the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// AOM "RTP Payload Format For AV1".
    Av1,
    /// RFC 6184.
    H264,
    /// RFC 7587.
    Opus,
}

impl Codec {
    /// Every codec, in no order of preference.
    pub const ALL: [Self; 5] = [Self::Vp8, Self::Vp9, Self::Av1, Self::H264, Self::Opus];

    /// Find a codec by its SDP encoding name, in any case.
    pub fn from_sdp_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// SDP encoding name; Opus is lower case there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
            Self::H264 => "H264",
            Self::Opus => "opus",
        }
    }

    /// Kind of track that the codec makes.
    pub const fn kind(self) -> Kind {
        match self {
            Self::Opus => Kind::Audio,
            Self::Vp8 | Self::Vp9 | Self::Av1 | Self::H264 => Kind::Video,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one RTP payload says about its frame. Every Opus packet is a frame that a decoder can start from.
pub fn mark(codec: Codec, payload: &[u8]) -> FrameMark {
    match codec {
        Codec::Vp8 => vp8::mark(payload),
        Codec::Vp9 => vp9::mark(payload),
        Codec::Av1 => av1::mark(payload),
        Codec::H264 => h264::mark(payload),
        Codec::Opus => FrameMark {
            frame_start: !payload.is_empty(),
            key_frame: !payload.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_unknown_ones_are_not() {
        assert_eq!(Codec::from_sdp_name("vp8"), Some(Codec::Vp8));
        assert_eq!(Codec::from_sdp_name("OPUS"), Some(Codec::Opus));
        assert_eq!(Codec::from_sdp_name("H265"), None);
        for codec in Codec::ALL {
            assert_eq!(Codec::from_sdp_name(codec.name()), Some(codec));
        }
    }

    #[test]
    fn an_empty_payload_begins_nothing() {
        for codec in Codec::ALL {
            assert_eq!(mark(codec, &[]), FrameMark::default(), "{codec}");
        }
    }
}
