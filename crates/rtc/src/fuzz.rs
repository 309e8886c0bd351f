//! Entry points for fuzzing: any bytes, no panic. They live here so that the compiler keeps them alive.

use crate::IceCredentials;
pub use crate::egress::fuzz::{connected, hello, operations, rtcp, sctp, stun};
use crate::sdp::{LocalDescription, Negotiated, Offer, Role, Sender};
use crate::{Profile, TrackInfo};
use sanderling_media::Codec;

/// An offer, what is agreed on it, and an answer that repeats none of its line breaks.
pub fn offer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(offer) = Offer::parse(text) else {
        return;
    };
    answer(&offer);
    for role in [Role::Publisher, Role::Viewer] {
        let Ok(negotiated) = Negotiated::new(role, &offer, None) else {
            continue;
        };
        let ice = IceCredentials {
            fragment: "fragment".into(),
            password: "password".into(),
        };
        let local = LocalDescription {
            session: 1,
            version: 0,
            ice: &ice,
            fingerprint: &[0; 32],
            setup: "passive",
            candidates: &[],
            cname: "cname",
        };
        let answer = local.answer(&negotiated, |_| {
            Some(Sender {
                slot: 0,
                ssrc: 1,
                repair: Some(2),
            })
        });
        for line in answer.split_terminator("\r\n") {
            assert!(
                line.as_bytes().get(1) == Some(&b'='),
                "not a line of SDP: {line:?}"
            );
        }
        // The same offer again is a later offer of the same session.
        let again = Negotiated::new(role, &offer, Some(&negotiated));
        assert_eq!(again.as_ref(), Ok(&negotiated));
    }
}

/// The same text as the answer to an offer of our own.
fn answer(answer: &Offer) {
    let tracks = [Codec::Opus, Codec::Vp8].map(|codec| TrackInfo {
        kind: codec.kind(),
        codec,
        profile: Profile::None,
        mid: String::new(),
        layers: 1,
    });
    let remote = IceCredentials {
        fragment: "unknown".into(),
        password: "unknown".into(),
    };
    let offered = Negotiated::offering(&tracks, remote);
    if let Ok(agreed) = offered.answered(answer) {
        assert_eq!(agreed.sections.len(), offered.sections.len());
        assert!(agreed.sections.iter().all(|section| !section.data));
    }
}
