//! The server's own offer, for a player whose offer has nothing in common with a stream (draft-ietf-wish-whep-03
//! section 4.3.2), and what the player's answer makes of it.

use std::sync::Arc;

use sanderling_media::{Codec, H264Profile, Kind};

use super::Rejected;
use super::codec::{AgreedCodec, encoding};
use super::extension::HeaderExtension;
use super::negotiate::{MediaLine, Negotiated, Role, Section, SectionState};
use super::offer::Offer;
use crate::session::IceCredentials;
use crate::track::{Profile, TrackInfo};

const OPUS: u8 = 111;
const VIDEO: u8 = 96;
const REPAIR: u8 = 97;

/// Header extensions of both kinds, and of video alone; one id means one extension in the whole bundle.
const SHARED: [(u8, HeaderExtension); 4] = [
    (1, HeaderExtension::Mid),
    (2, HeaderExtension::TransportWideCc),
    (3, HeaderExtension::AbsSendTime),
    (4, HeaderExtension::AbsCaptureTime),
];
const OF_AUDIO: [(u8, HeaderExtension); 1] = [(5, HeaderExtension::AudioLevel)];
const OF_VIDEO: [(u8, HeaderExtension); 3] = [
    (6, HeaderExtension::PlayoutDelay),
    (7, HeaderExtension::VideoOrientation),
    (8, HeaderExtension::VideoContentType),
];
const OF_AV1: [(u8, HeaderExtension); 1] = [(9, HeaderExtension::DependencyDescriptor)];

impl Negotiated {
    /// What the server offers of a stream: its first audio and its first video track, each in its one codec.
    ///
    /// `remote` and the fingerprint of zeros stand until the answer names the player's own.
    pub fn offering(tracks: &[TrackInfo], remote: IceCredentials) -> Self {
        let kinds = [Kind::Audio, Kind::Video];
        let first = kinds.map(|kind| tracks.iter().find(|track| track.kind == kind));
        let sections = first.into_iter().flatten().enumerate();
        Self {
            role: Role::Viewer,
            remote,
            fingerprint: [0; 32],
            sections: sections
                .map(|(number, track)| section(number, track))
                .collect(),
        }
    }

    /// What the player's answer makes of this offer (RFC 3264 section 6). Payload types and extension ids are the
    /// answer's from here on: they are what the player takes.
    pub fn answered(&self, answer: &Offer) -> Result<Self, Rejected> {
        match answer.transport()?.setup.as_deref() {
            Some("active") => {}
            Some(setup) => {
                return Err(Rejected::whole(format!(
                    "a=setup:{setup}: the server is always the DTLS server, an answer is a=setup:active"
                )));
            }
            None => return Err(Rejected::whole("the answer has no a=setup:active")),
        }
        if answer.sections.len() != self.sections.len() {
            return Err(Rejected::whole(format!(
                "the answer has {} sections, the offer had {} (RFC 3264 section 6)",
                answer.sections.len(),
                self.sections.len()
            )));
        }
        let mut agreed = Self::new(Role::Viewer, answer, None)?;
        let both = agreed.sections.iter_mut().zip(&self.sections);
        for ((theirs, ours), read) in both.zip(&answer.sections) {
            // A section that is turned down needs no mid (RFC 9143 section 7.3).
            let refused = theirs.state == SectionState::Rejected;
            if theirs.kind != ours.kind || (theirs.mid != ours.mid && !refused) {
                let why = format!("the answer has section {} for {}", theirs.mid, ours.mid);
                return Err(Rejected::at(read.line, why));
            }
            let offered = |codec: &&AgreedCodec| {
                ours.codecs
                    .iter()
                    .any(|own| own.codec == codec.codec && codec.profile.decodes(own.profile))
            };
            theirs.codecs = theirs.codecs.iter().filter(offered).cloned().collect();
            if theirs.codecs.is_empty() {
                theirs.state = SectionState::Rejected;
            }
        }
        if !agreed
            .sections
            .iter()
            .any(|s| s.state == SectionState::Active)
        {
            return Err(Rejected {
                line: 0,
                why: "the answer receives none of the offered codecs".to_owned(),
                no_codec: true,
            });
        }
        Ok(agreed)
    }
}

fn section(number: usize, track: &TrackInfo) -> Section {
    let codec = codec(track);
    let payload_types = [Some(codec.payload_type), codec.repair_payload_type];
    let own: &[_] = match track.kind {
        Kind::Audio => &OF_AUDIO,
        Kind::Video => &OF_VIDEO,
    };
    let descriptor: &[_] = if track.codec == Codec::Av1 {
        &OF_AV1
    } else {
        &[]
    };
    Section {
        mid: number.to_string().into(),
        kind: Some(track.kind),
        data: false,
        state: SectionState::Active,
        media_line: Arc::new(MediaLine {
            media: track.kind.to_string(),
            protocol: "UDP/TLS/RTP/SAVPF".to_owned(),
            formats: payload_types.iter().flatten().map(u8::to_string).collect(),
        }),
        codecs: Arc::from([codec]),
        extensions: [&SHARED, own, descriptor].concat().into(),
        rtcp_reduced: track.kind == Kind::Video,
        ssrcs: Box::from([]),
        rids: Box::from([]),
    }
}

fn codec(track: &TrackInfo) -> AgreedCodec {
    let (payload_type, repair_payload_type) = match track.kind {
        Kind::Audio => (OPUS, None),
        Kind::Video => (VIDEO, Some(REPAIR)),
    };
    let feedback = match track.kind {
        Kind::Audio => vec!["transport-cc"],
        Kind::Video => vec!["transport-cc", "ccm fir", "nack", "nack pli"],
    };
    AgreedCodec {
        codec: track.codec,
        profile: track.profile,
        payload_type,
        repair_payload_type,
        parameters: parameters(track),
        encoding: encoding(track.codec),
        feedback,
    }
}

/// `a=fmtp` of a track. The level of H.264 is the least that every decoder of pictures up to 720p takes; a receiver
/// with a higher one says so (RFC 6184 section 8.1, level-asymmetry-allowed).
fn parameters(track: &TrackInfo) -> String {
    match (track.codec, track.profile) {
        (Codec::Opus, _) => "minptime=10;useinbandfec=1".to_owned(),
        (Codec::Vp9, Profile::Number(number)) => format!("profile-id={number}"),
        (Codec::Av1, Profile::Number(number)) => format!("profile={number}"),
        (Codec::H264, Profile::H264(profile)) => {
            let profile = match profile {
                H264Profile::ConstrainedBaseline => "42e0",
                H264Profile::Baseline => "4200",
                H264Profile::Main => "4d00",
                H264Profile::ConstrainedHigh => "640c",
                H264Profile::High => "6400",
            };
            format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}1f")
        }
        _ => String::new(),
    }
}
