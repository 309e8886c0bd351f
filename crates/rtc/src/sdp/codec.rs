//! Codecs that both sides speak.

use sanderling_media::{Codec, H264Profile, Kind};

use super::offer::OfferedCodec;
use crate::track::Profile;

/// A codec that both sides use in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedCodec {
    /// The codec.
    pub codec: Codec,
    /// Its profile.
    pub profile: Profile,
    /// Payload type, the offerer's.
    pub payload_type: u8,
    /// Payload type of its RTX.
    pub repair_payload_type: Option<u8>,
    /// Value of `a=fmtp`, as offered.
    pub parameters: String,
    /// Encoding with clock rate and channels, as in `a=rtpmap`.
    pub encoding: String,
    /// Agreed `a=rtcp-fb` values.
    pub feedback: Vec<&'static str>,
}

impl AgreedCodec {
    /// Take an offered codec with the RTX that `all` has for it; `None` when the server does not speak it.
    pub(super) fn new(kind: Kind, offered: &OfferedCodec, all: &[OfferedCodec]) -> Option<Self> {
        let (codec, profile) = supported(kind, offered)?;
        let repairs = |rtx: &&OfferedCodec| {
            let apt = rtx.parameter("apt").and_then(|apt| apt.parse().ok());
            rtx.name.eq_ignore_ascii_case("rtx") && apt == Some(offered.payload_type)
        };
        let repair = all.iter().find(repairs).map(|rtx| rtx.payload_type);
        Some(Self {
            codec,
            profile,
            payload_type: offered.payload_type,
            repair_payload_type: repair.filter(|_| kind == Kind::Video),
            parameters: offered.parameters.clone(),
            encoding: encoding(codec),
            feedback: feedback(offered),
        })
    }

    /// What a later offer is held against, without what only the answer needs.
    pub(crate) fn bare(&self) -> Self {
        Self {
            codec: self.codec,
            profile: self.profile,
            payload_type: self.payload_type,
            repair_payload_type: self.repair_payload_type,
            parameters: String::new(),
            encoding: String::new(),
            feedback: Vec::new(),
        }
    }

    fn payload_types(&self) -> [Option<u8>; 2] {
        [Some(self.payload_type), self.repair_payload_type]
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        self.codec == other.codec
            && self.profile == other.profile
            && self.payload_types() == other.payload_types()
    }

    /// Whether a payload type would have two meanings.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        !self.same(other)
            && self
                .payload_types()
                .iter()
                .flatten()
                .any(|number| other.payload_types().contains(&Some(*number)))
    }
}

/// Which codec of ours an offered one is, with its profile; `None` when the server cannot take it.
fn supported(kind: Kind, offered: &OfferedCodec) -> Option<(Codec, Profile)> {
    let codec = Codec::from_sdp_name(&offered.name).filter(|codec| codec.kind() == kind)?;
    if offered.clock_rate != kind.clock_rate() {
        return None;
    }
    let profile = match codec {
        Codec::Vp8 | Codec::Opus => Profile::None,
        Codec::Vp9 => Profile::Number(
            offered
                .parameter("profile-id")
                .map_or(Some(0), |value| value.parse().ok())?,
        ),
        Codec::Av1 => Profile::Number(
            offered
                .parameter("profile")
                .map_or(Some(0), |value| value.parse().ok())?,
        ),
        Codec::H264 => {
            // Mode 0 cannot fragment: pictures larger than a datagram would not fit.
            if offered.parameter("packetization-mode") != Some("1") {
                return None;
            }
            // RFC 6184 section 8.1: without a profile it is baseline, level 1.
            Profile::H264(H264Profile::from_profile_level_id(
                offered.parameter("profile-level-id").unwrap_or("42000a"),
            )?)
        }
    };
    Some((codec, profile))
}

pub(super) fn encoding(codec: Codec) -> String {
    match codec {
        Codec::Opus => "opus/48000/2".to_owned(),
        _ => format!("{}/90000", codec.name()),
    }
}

fn feedback(offered: &OfferedCodec) -> Vec<&'static str> {
    ["transport-cc", "ccm fir", "nack", "nack pli", "rrtr"]
        .into_iter()
        .filter(|value| offered.has_feedback(value))
        .collect()
}
