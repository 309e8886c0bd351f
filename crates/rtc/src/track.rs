//! What a published stream consists of.

use std::fmt;

use sanderling_media::{Codec, H264Profile, Kind};

/// Profile of a track's codec, where the codec has profiles that not every decoder plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// The codec has no profiles that matter here.
    None,
    /// `profile-id` of VP9 or `profile` of AV1; 0 is the main one.
    Number(u8),
    /// H.264.
    H264(H264Profile),
}

impl Profile {
    /// Whether a decoder with this profile plays a stream with `stream`'s.
    pub fn decodes(self, stream: Self) -> bool {
        match (self, stream) {
            (Self::H264(decoder), Self::H264(stream)) => decoder.decodes(stream),
            _ => self == stream,
        }
    }
}

/// One track of a published stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackInfo {
    /// Audio or video.
    pub kind: Kind,
    /// The one codec that was agreed on.
    pub codec: Codec,
    /// Profile of the codec.
    pub profile: Profile,
    /// Media section at the publisher.
    pub mid: String,
    /// Number of simulcast layers, at least 1.
    pub layers: u8,
}

impl TrackInfo {
    /// Codec with its profile, for people: "H264 (constrained baseline)".
    pub fn codec_text(&self) -> String {
        match self.profile {
            Profile::H264(profile) => format!("{} ({profile})", self.codec),
            Profile::Number(number) if number > 0 => format!("{} (profile {number})", self.codec),
            Profile::Number(_) | Profile::None => self.codec.to_string(),
        }
    }
}

impl fmt::Display for TrackInfo {
    /// "video H264 (constrained baseline)"
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.codec_text())
    }
}
