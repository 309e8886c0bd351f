use std::time::Instant;

use sanderling_media::{Codec, H264Profile, Kind};
use sanderling_rtc::sdp::{Negotiated, Offer, Role};
use sanderling_rtc::{Config, Profile, Session, Str0mPublisher, Str0mViewer, TrackInfo};

use crate::{config, section, vector};

fn track(codec: Codec, profile: Profile) -> TrackInfo {
    TrackInfo {
        kind: codec.kind(),
        codec,
        profile,
        mid: "0".into(),
        layers: 1,
    }
}

#[test]
fn a_slot_takes_what_the_viewer_decodes_and_nothing_else() {
    let (mut session, _) =
        Str0mViewer::open(Instant::now(), &vector("chromium-viewer"), config()).unwrap();
    let h264 = |profile| track(Codec::H264, Profile::H264(profile));
    // (track, taken)
    let rows = [
        (track(Codec::Opus, Profile::None), true),
        (track(Codec::Vp8, Profile::None), true),
        (track(Codec::Vp9, Profile::Number(0)), true),
        (track(Codec::Vp9, Profile::Number(9)), false),
        (track(Codec::Av1, Profile::Number(0)), true),
        (h264(H264Profile::ConstrainedBaseline), true),
        (h264(H264Profile::Baseline), true),
        (h264(H264Profile::Main), true),
        (h264(H264Profile::High), false),
    ];
    for (track, taken) in rows {
        assert_eq!(session.bind(0, &track), taken, "{track}");
        assert!(!session.bind(2, &track), "no such slot");
    }
    let codecs = session.slot_codecs(0, Kind::Video);
    assert!(
        codecs.contains("VP8") && codecs.contains("H264 (constrained baseline)"),
        "{codecs}"
    );
}

#[test]
fn h264_without_fragmentation_is_passed_over() {
    let offer = vector("chromium-publisher");
    let only = |mode: &str| {
        let kept: Vec<&str> = offer
            .lines()
            .filter(|line| !line.starts_with("a=ssrc"))
            .collect();
        let video = kept
            .iter()
            .position(|line| line.starts_with("m=video"))
            .unwrap();
        let mut lines: Vec<String> = kept.iter().map(|line| (*line).to_owned()).collect();
        lines[video] = "m=video 9 UDP/TLS/RTP/SAVPF 102".into();
        lines.push("a=rtpmap:102 H264/90000".into());
        lines.retain(|line| !line.contains(":102 ") || line.contains("rtpmap:102"));
        lines.dedup();
        lines.push(format!(
            "a=fmtp:102 packetization-mode={mode};profile-level-id=42e01f"
        ));
        let mut seen = false;
        lines.retain(|line| {
            line != "a=rtpmap:102 H264/90000" || !std::mem::replace(&mut seen, true)
        });
        lines.join("\r\n") + "\r\n"
    };
    let agree =
        |mode| Negotiated::new(Role::Publisher, &Offer::parse(&only(mode)).unwrap(), None).unwrap();
    assert_eq!(agree("1").accepted(Kind::Video).count(), 1);
    assert_eq!(agree("0").accepted(Kind::Video).count(), 0);
    assert_eq!(
        agree("0").accepted(Kind::Audio).count(),
        1,
        "the sound goes on without it"
    );
}

#[test]
fn the_offerers_order_decides() {
    let offer = vector("wrtc-publisher").replace("SAVPF 96 97 98 99", "SAVPF 98 99 96 97");
    let (session, sdp) = Str0mPublisher::open(Instant::now(), &offer, config()).unwrap();
    assert_eq!(session.tracks()[1].codec, Codec::Vp9);
    assert_eq!(section(&sdp, 1)[0], "m=video 9 UDP/TLS/RTP/SAVPF 98 99");
}

#[test]
fn the_servers_order_comes_before_the_offerers() {
    let offer = vector("chromium-publisher");
    let chosen = |codecs: &[Codec], offer: &str| {
        let codecs = codecs.to_vec();
        let config = Config { codecs, ..config() };
        let (session, _) = Str0mPublisher::open(Instant::now(), offer, config).unwrap();
        session.tracks()[1].clone()
    };
    assert_eq!(chosen(&[], &offer).codec, Codec::Vp8);
    let h264 = chosen(&[Codec::H264, Codec::Vp8], &offer);
    assert_eq!(h264.codec, Codec::H264);
    assert_eq!(
        h264.profile,
        Profile::H264(H264Profile::ConstrainedBaseline),
        "a preference says nothing about profiles"
    );
    // What is not offered is passed over; where nothing wanted is offered, the offerer's order decides.
    let without_h264 = vector("wrtc-publisher").replace("SAVPF 96 97 98 99", "SAVPF 98 99 96 97");
    assert_eq!(
        chosen(&[Codec::H264, Codec::Vp8], &without_h264).codec,
        Codec::Vp8
    );
    assert_eq!(chosen(&[Codec::H264], &without_h264).codec, Codec::Vp9);
}

#[test]
fn a_later_offer_keeps_the_codec_that_was_chosen_first() {
    let offer = vector("chromium-publisher");
    let codecs = vec![Codec::H264];
    let config = Config { codecs, ..config() };
    let (mut session, first) = Str0mPublisher::open(Instant::now(), &offer, config).unwrap();
    let again = session.renegotiate(Instant::now(), &offer).unwrap();
    assert_eq!(section(&again, 1)[0], section(&first, 1)[0]);
}

#[test]
fn of_two_baselines_the_one_that_more_viewers_take_is_chosen() {
    let offer = vector("chromium-publisher").replace("SAVPF 96 97 102 103", "SAVPF 102 103 96 97");
    let (session, _) = Str0mPublisher::open(Instant::now(), &offer, config()).unwrap();
    let track = &session.tracks()[1];
    assert_eq!(track.codec, Codec::H264);
    assert_eq!(
        track.profile,
        Profile::H264(H264Profile::ConstrainedBaseline)
    );
}

#[test]
fn a_later_offer_may_add_but_not_move_sections() {
    let four = vector("wrtc-viewer");
    let end = four.match_indices("m=audio").nth(1).unwrap().0;
    let two = four[..end].replace("BUNDLE 0 1 2 3", "BUNDLE 0 1");
    let now = Instant::now();
    let (mut session, first) = Str0mViewer::open(now, &two, config()).unwrap();
    assert_eq!(session.slots(), 1);
    let more = session.renegotiate(now, &four).unwrap();
    assert_eq!(session.slots(), 2);
    for index in 0..2 {
        let own = |sdp: &str| -> Vec<String> {
            let lines = section(sdp, index)
                .into_iter()
                .filter(|line| line.starts_with("a=ssrc"));
            lines.map(str::to_owned).collect()
        };
        assert_eq!(own(&first), own(&more));
    }
    let version = |sdp: &str| {
        sdp.lines()
            .nth(1)
            .unwrap()
            .split(' ')
            .nth(2)
            .unwrap()
            .to_owned()
    };
    assert_eq!((version(&first), version(&more)), ("0".into(), "1".into()));

    let fewer = session.renegotiate(now, &two).unwrap_err();
    assert!(fewer.why.contains("fewer sections"), "{fewer}");
    let moved = session.renegotiate(
        now,
        &four
            .replace("a=mid:1\r\n", "a=mid:9\r\n")
            .replace("0 1 2 3", "0 9 2 3"),
    );
    assert!(moved.unwrap_err().why.contains("was 1 and is now 9"));
    assert_eq!(session.slots(), 2);
}

#[test]
fn new_credentials_are_answered_with_new_ones() {
    let now = Instant::now();
    let offer = vector("wrtc-viewer");
    let (mut session, _) = Str0mViewer::open(now, &offer, config()).unwrap();
    let before = session.fragment().to_owned();
    session.renegotiate(now, &offer).unwrap();
    assert_eq!(session.fragment(), before);
    let fragment = offer
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
        .unwrap();
    session
        .renegotiate(
            now,
            &offer.replace(&format!("a=ice-ufrag:{fragment}"), "a=ice-ufrag:anew"),
        )
        .unwrap();
    assert_ne!(session.fragment(), before);
}

#[test]
fn a_section_in_the_bundle_only_is_not_switched_off() {
    let offer = vector("chromium-publisher").replace("m=video 9 ", "m=video 0 ");
    let (session, _) = Str0mPublisher::open(Instant::now(), &offer, config()).unwrap();
    assert_eq!(session.tracks().len(), 1, "port 0 alone turns it off");
    let offer = offer.replace("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n");
    let (session, _) = Str0mPublisher::open(Instant::now(), &offer, config()).unwrap();
    assert_eq!(session.tracks().len(), 2);
}
