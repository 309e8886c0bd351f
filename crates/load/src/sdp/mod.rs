//! Session descriptions, as much of them as a client needs (RFC 8866, RFC 8839, RFC 8843).

mod read;
mod write;

use std::net::SocketAddr;

use sanderling_media::Codec;

pub(crate) use write::{
    Local, PublisherOffer, VideoSources, answer, offer_publisher, offer_viewer,
};

/// URI of the header extension that numbers packets across a transport.
pub(crate) const TRANSPORT_WIDE_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// URI of the header extension that names the section of a packet.
pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// URI of the header extension that bounds the render delay.
pub(crate) const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

/// A payload type of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PayloadType {
    /// Its number.
    pub number: u8,
    /// Encoding as in `a=rtpmap`, e.g. `VP8/90000`.
    pub encoding: String,
    /// Value of `a=fmtp`, "" without one.
    pub parameters: String,
    /// Values of `a=rtcp-fb`.
    pub feedback: Vec<String>,
}

impl PayloadType {
    /// The codec; `None` for RTX and what nobody here knows.
    pub fn codec(&self) -> Option<Codec> {
        Codec::from_sdp_name(self.encoding.split('/').next()?)
    }

    /// Payload type whose packets this one repeats (RFC 4588 section 8.6).
    pub fn repairs(&self) -> Option<u8> {
        let name = self.encoding.split('/').next()?;
        if !name.eq_ignore_ascii_case("rtx") {
            return None;
        }
        let mut parameters = self.parameters.split(';');
        let value = parameters.find_map(|part| part.trim().strip_prefix("apt="))?;
        value.parse().ok()
    }
}

/// A media section.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Section {
    /// "audio", "video" or another word.
    pub media: String,
    /// Protocol and formats of the `m=` line.
    pub protocol: String,
    pub formats: String,
    /// Port 0: refused, or not offered.
    pub rejected: bool,
    /// Name.
    pub mid: String,
    /// Whether the peer sends on it.
    pub sends: bool,
    /// Whether RTCP may leave its compound form (RFC 5506).
    pub reduced: bool,
    pub payload_types: Vec<PayloadType>,
    /// Header extensions: id and URI.
    pub extensions: Vec<(u8, String)>,
    /// Media source and its repair source, from the FID groups.
    pub groups: Vec<(u32, u32)>,
    /// Sources that `a=ssrc` names.
    pub sources: Vec<u32>,
}

/// What one side says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub lite: bool,
    pub fragment: Option<String>,
    pub password: Option<String>,
    pub fingerprint: Option<[u8; 32]>,
    pub setup: Option<String>,
    /// UDP host candidates of component 1, best first.
    pub candidates: Vec<SocketAddr>,
    pub sections: Vec<Section>,
}

/// Why a description cannot be used; the text says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable(pub String);

impl Unusable {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Section {
    /// Id of a header extension; 0 when it was not agreed on.
    pub fn extension(&self, uri: &str) -> u8 {
        let found = self.extensions.iter().find(|(_, known)| known == uri);
        found.map_or(0, |(id, _)| *id)
    }
}
