//! RTP header extensions by their URI (RFC 8285).

use super::negotiate::Role;

/// Header extensions that the server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderExtension {
    /// RFC 8843 section 15.
    Mid,
    /// RFC 8852.
    RtpStreamId,
    /// RFC 8852.
    RepairedRtpStreamId,
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01.
    TransportWideCc,
    /// WebRTC abs-send-time.
    AbsSendTime,
    /// RFC 6464.
    AudioLevel,
    /// 3GPP TS 26.114.
    VideoOrientation,
    /// WebRTC playout-delay.
    PlayoutDelay,
    /// WebRTC abs-capture-time.
    AbsCaptureTime,
    /// WebRTC video-content-type.
    VideoContentType,
    /// AV1 dependency descriptor (AOM RTP payload format, appendix A).
    DependencyDescriptor,
}

impl HeaderExtension {
    const ALL: [Self; 11] = [
        Self::Mid,
        Self::RtpStreamId,
        Self::RepairedRtpStreamId,
        Self::TransportWideCc,
        Self::AbsSendTime,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::AbsCaptureTime,
        Self::VideoContentType,
        Self::DependencyDescriptor,
    ];

    /// URI in `a=extmap`.
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::RtpStreamId => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRtpStreamId => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportWideCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::VideoContentType => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
            }
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    pub(super) fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|extension| extension.uri() == uri)
    }

    /// Whether the server wants it from a peer of this role.
    pub(super) fn fits(self, role: Role) -> bool {
        match self {
            Self::RtpStreamId | Self::RepairedRtpStreamId => role == Role::Publisher,
            _ => true,
        }
    }

    /// Whether its value may be longer than the short form of elements holds, so that both sides must allow the long
    /// one (RFC 8285 section 6).
    pub(super) fn needs_long_form(self) -> bool {
        self == Self::DependencyDescriptor
    }
}
