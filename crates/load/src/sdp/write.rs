//! Writing offers and answers.

use std::fmt::Write as _;
use std::net::SocketAddr;

use sanderling_media::{Codec, Kind};
use sanderling_rtc::IceCredentials;

use super::{Description, MID, PLAYOUT_DELAY, Section, TRANSPORT_WIDE_CC, Unusable};

/// Header extension ids of our own offers.
const IDS: [(u8, &str); 3] = [(1, MID), (2, TRANSPORT_WIDE_CC), (3, PLAYOUT_DELAY)];
/// Feedback that a browser gives for video.
const VIDEO_FEEDBACK: [&str; 4] = ["transport-cc", "nack", "nack pli", "ccm fir"];

/// What this side says about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Local<'a> {
    /// Number in `o=`.
    pub session: u64,
    pub ice: &'a IceCredentials,
    /// SHA-256 of the certificate.
    pub fingerprint: &'a [u8; 32],
    /// Host candidate.
    pub address: SocketAddr,
}

/// A codec as it is offered: payload type, that of its RTX, `a=fmtp`.
fn offered(codec: Codec) -> (u8, Option<u8>, &'static str) {
    match codec {
        Codec::Vp8 => (96, Some(97), ""),
        Codec::Vp9 => (98, Some(99), "profile-id=0"),
        Codec::Av1 => (100, Some(101), "profile=0"),
        Codec::H264 => (
            102,
            Some(103),
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ),
        Codec::Opus => (111, None, "minptime=10;useinbandfec=1"),
    }
}

/// Sources of a publisher's video section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VideoSources {
    pub media: u32,
    pub repair: u32,
}

/// What a publisher sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublisherOffer {
    pub codec: Codec,
    pub video: VideoSources,
    /// Source of its sound, if it has any.
    pub audio: Option<u32>,
}

/// An offer to receive on `slots` sections of each kind.
pub(crate) fn offer_viewer(local: &Local<'_>, slots: usize, audio: bool, video: bool) -> String {
    let kinds = [(audio, Kind::Audio), (video, Kind::Video)];
    let kinds = kinds.into_iter().filter(|(wanted, _)| *wanted);
    let sections: Vec<Kind> = (0..slots)
        .flat_map(|_| kinds.clone().map(|(_, kind)| kind))
        .collect();
    let mut out = start(local, (0..sections.len()).map(|mid| mid.to_string()));
    for (mid, kind) in sections.iter().enumerate() {
        let codecs: &[Codec] = match kind {
            Kind::Audio => &[Codec::Opus],
            Kind::Video => &[Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264],
        };
        section(&mut out, local, *kind, &mid.to_string(), codecs, "recvonly");
    }
    out
}

/// An offer to send one stream.
pub(crate) fn offer_publisher(local: &Local<'_>, publisher: &PublisherOffer) -> String {
    let count = 1 + usize::from(publisher.audio.is_some());
    let mut out = start(local, (0..count).map(|mid| mid.to_string()));
    section(
        &mut out,
        local,
        Kind::Video,
        "0",
        &[publisher.codec],
        "sendonly",
    );
    let VideoSources { media, repair } = publisher.video;
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "a=msid:load video\r\na=ssrc-group:FID {media} {repair}\r\na=ssrc:{media} cname:load\r\na=ssrc:{repair} \
         cname:load\r\n"
    );
    if let Some(source) = publisher.audio {
        section(
            &mut out,
            local,
            Kind::Audio,
            "1",
            &[Codec::Opus],
            "sendonly",
        );
        let _ = write!(out, "a=msid:load audio\r\na=ssrc:{source} cname:load\r\n");
    }
    out
}

fn start(local: &Local<'_>, mids: impl Iterator<Item = String>) -> String {
    let mids: Vec<String> = mids.collect();
    format!(
        "v=0\r\no=load {} 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=msid-semantic: WMS *\r\n",
        local.session,
        mids.join(" ")
    )
}

/// A section that we offer.
fn section(
    out: &mut String,
    local: &Local<'_>,
    kind: Kind,
    mid: &str,
    codecs: &[Codec],
    direction: &str,
) {
    let _ = write!(out, "m={kind} 9 UDP/TLS/RTP/SAVPF");
    for codec in codecs {
        let (number, repair, _) = offered(*codec);
        for number in [Some(number), repair].into_iter().flatten() {
            let _ = write!(out, " {number}");
        }
    }
    out.push_str("\r\n");
    transport(out, local, mid, direction, true);
    for (id, uri) in IDS {
        if kind == Kind::Video || uri != PLAYOUT_DELAY {
            let _ = write!(out, "a=extmap:{id} {uri}\r\n");
        }
    }
    for codec in codecs {
        let (number, repair, parameters) = offered(*codec);
        let channels = if *codec == Codec::Opus { "/2" } else { "" };
        let rate = kind.clock_rate();
        let _ = write!(out, "a=rtpmap:{number} {codec}/{rate}{channels}\r\n");
        let feedback = match kind {
            Kind::Audio => &VIDEO_FEEDBACK[..1],
            Kind::Video => &VIDEO_FEEDBACK[..],
        };
        for value in feedback {
            let _ = write!(out, "a=rtcp-fb:{number} {value}\r\n");
        }
        if !parameters.is_empty() {
            let _ = write!(out, "a=fmtp:{number} {parameters}\r\n");
        }
        if let Some(repair) = repair {
            let _ = write!(
                out,
                "a=rtpmap:{repair} rtx/{rate}\r\na=fmtp:{repair} apt={number}\r\n"
            );
        }
    }
}

/// Lines that every section has. The role is active: this side is always the DTLS client (RFC 9725 section 4.4.1).
fn transport(out: &mut String, local: &Local<'_>, mid: &str, direction: &str, reduced: bool) {
    let Local { ice, address, .. } = local;
    let digest: Vec<String> = local
        .fingerprint
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let _ = write!(
        out,
        "c=IN IP{} {}\r\na=mid:{mid}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 {}\r\na=setup:active\r\n\
         a=rtcp-mux\r\n{}a={direction}\r\na=candidate:1 1 udp 2130706431 {} {} typ host\r\n\
         a=end-of-candidates\r\n",
        if address.is_ipv4() { 4 } else { 6 },
        address.ip(),
        ice.fragment,
        ice.password,
        digest.join(":"),
        if reduced { "a=rtcp-rsize\r\n" } else { "" },
        address.ip(),
        address.port(),
    );
}

/// Answer an offer of media: every section that brings audio or video of a known codec is received.
pub(crate) fn answer(local: &Local<'_>, offer: &Description) -> Result<String, Unusable> {
    let takes = |section: &Section| {
        !section.rejected
            && section.sends
            && section
                .payload_types
                .iter()
                .any(|format| format.codec().is_some())
    };
    if !offer.sections.iter().any(takes) {
        return Err(Unusable::new(
            "the offer brings no audio or video of a codec known here (VP8, VP9, AV1, H264, opus)",
        ));
    }
    let mids = offer.sections.iter().filter(|section| takes(section));
    let mut out = start(local, mids.map(|section| section.mid.clone()));
    for section in &offer.sections {
        let Section {
            media,
            protocol,
            formats,
            mid,
            ..
        } = section;
        if !takes(section) {
            let _ = write!(
                out,
                "m={media} 0 {protocol} {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=inactive\r\n"
            );
            continue;
        }
        let known = |number: u8| {
            let mut all = section.payload_types.iter();
            all.any(|format| format.number == number && format.codec().is_some())
        };
        let taken: Vec<_> = section
            .payload_types
            .iter()
            .filter(|format| format.codec().is_some() || format.repairs().is_some_and(known))
            .collect();
        let _ = write!(out, "m={media} 9 {protocol}");
        for format in &taken {
            let _ = write!(out, " {}", format.number);
        }
        out.push_str("\r\n");
        transport(&mut out, local, mid, "recvonly", section.reduced);
        for (id, uri) in &section.extensions {
            if IDS.iter().any(|(_, known)| known == uri) {
                let _ = write!(out, "a=extmap:{id} {uri}\r\n");
            }
        }
        for format in taken {
            let number = format.number;
            let _ = write!(out, "a=rtpmap:{number} {}\r\n", format.encoding);
            for value in &format.feedback {
                if VIDEO_FEEDBACK.contains(&value.as_str()) {
                    let _ = write!(out, "a=rtcp-fb:{number} {value}\r\n");
                }
            }
            if !format.parameters.is_empty() {
                let _ = write!(out, "a=fmtp:{number} {}\r\n", format.parameters);
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sanderling_rtc::sdp::{Negotiated, Offer, Role, SectionState};

    fn credentials() -> IceCredentials {
        IceCredentials {
            fragment: "fragment".to_owned(),
            password: "passwordpasswordpassword".to_owned(),
        }
    }

    fn with_local<T>(use_it: impl FnOnce(&Local<'_>) -> T) -> T {
        use_it(&Local {
            session: 7,
            ice: &credentials(),
            fingerprint: &[0xab; 32],
            address: "127.0.0.1:5000".parse().unwrap(),
        })
    }

    #[test]
    fn the_server_takes_a_viewers_offer() {
        let offer = with_local(|local| offer_viewer(local, 3, true, true));
        let offer = Offer::parse(&offer).unwrap();
        let agreed = Negotiated::new(Role::Viewer, &offer, None).unwrap();
        assert_eq!(agreed.sections.len(), 6);
        assert!(
            agreed
                .sections
                .iter()
                .all(|s| s.state == SectionState::Active)
        );
        assert_eq!(agreed.sections[1].codecs.len(), 4);
        assert!(
            agreed.sections[1]
                .codecs
                .iter()
                .all(|c| c.repair_payload_type.is_some())
        );
        assert_eq!(agreed.sections[1].extensions.len(), 3);
        let only_video = with_local(|local| offer_viewer(local, 1, false, true));
        assert_eq!(Offer::parse(&only_video).unwrap().sections.len(), 1);
    }

    #[test]
    fn the_server_takes_a_publishers_offer() {
        let publisher = PublisherOffer {
            codec: Codec::H264,
            video: VideoSources {
                media: 5,
                repair: 6,
            },
            audio: Some(7),
        };
        let offer = with_local(|local| offer_publisher(local, &publisher));
        let agreed =
            Negotiated::new(Role::Publisher, &Offer::parse(&offer).unwrap(), None).unwrap();
        assert_eq!(*agreed.sections[0].ssrcs, [(5, Some(6))]);
        assert_eq!(agreed.sections[0].codecs[0].codec, Codec::H264);
        assert_eq!(*agreed.sections[1].ssrcs, [(7, None)]);
    }

    #[test]
    fn an_answer_takes_what_is_known_and_refuses_the_rest() {
        let offer = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 120 121 122\r\na=mid:v\r\na=sendonly\r\na=rtpmap:120 VP8/90000\r\n\
            a=rtcp-fb:120 nack\r\na=rtcp-fb:120 goog-remb\r\na=rtpmap:121 rtx/90000\r\na=fmtp:121 apt=120\r\n\
            a=rtpmap:122 H265/90000\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:5 other\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:d\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\na=recvonly\r\na=rtpmap:0 opus/48000/2\r\n";
        let description = Description::parse(offer).unwrap();
        let text = with_local(|local| answer(local, &description)).unwrap();
        assert!(text.contains("a=group:BUNDLE v\r\n"));
        assert!(text.contains("m=video 9 UDP/TLS/RTP/SAVPF 120 121\r\n"));
        assert!(text.contains("a=rtcp-fb:120 nack\r\n") && !text.contains("goog-remb"));
        assert!(text.contains("a=extmap:4 ") && !text.contains("other"));
        assert!(text.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
        assert!(text.contains("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"));
        let nothing = Description::parse("v=0\r\nm=audio 9 x 0\r\na=mid:a\r\n").unwrap();
        assert!(with_local(|local| answer(local, &nothing)).is_err());
    }
}
