use std::time::Instant;

use sanderling_media::{Codec, Kind};
use sanderling_rtc::{Session, Str0mPublisher, Str0mViewer};

use crate::{VECTORS, config, section, vector};

fn publisher(name: &str) -> (Str0mPublisher, String) {
    Str0mPublisher::open(Instant::now(), &vector(name), config()).unwrap()
}

fn viewer(name: &str) -> (Str0mViewer, String) {
    Str0mViewer::open(Instant::now(), &vector(name), config()).unwrap()
}

fn values<'a>(section: &[&'a str], prefix: &str) -> Vec<&'a str> {
    section
        .iter()
        .filter_map(|line| line.strip_prefix(prefix))
        .collect()
}

#[test]
fn every_answer_is_one_that_another_stack_reads() {
    for name in VECTORS {
        let sdp = if name.ends_with("viewer") {
            viewer(name).1
        } else {
            publisher(name).1
        };
        str0m::change::SdpAnswer::from_sdp_string(&sdp)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{sdp}"));
        for line in ["a=ice-lite", "a=setup:passive", "a=end-of-candidates"] {
            assert!(
                sdp.contains(&format!("\r\n{line}\r\n")),
                "{name} has no {line}"
            );
        }
        assert_eq!(
            sdp.matches("typ host").count(),
            2,
            "{name}: one section has the candidates"
        );
        assert!(
            sdp.contains(" 192.0.2.1 40000 typ host tcptype passive"),
            "{name}"
        );
        assert!(
            !sdp.to_lowercase().contains("ulpfec")
                && !sdp.contains(" red/")
                && !sdp.contains("flexfec"),
            "{name}"
        );
    }
}

#[test]
fn a_publisher_agrees_on_one_codec_with_its_repair() {
    for name in ["chromium-publisher", "wrtc-publisher"] {
        let (session, sdp) = publisher(name);
        let tracks = session.tracks();
        assert_eq!(tracks.len(), 2, "{name}");
        assert_eq!(
            (tracks[0].kind, tracks[0].codec),
            (Kind::Audio, Codec::Opus)
        );
        assert_eq!((tracks[1].kind, tracks[1].codec), (Kind::Video, Codec::Vp8));
        let video = section(&sdp, 1);
        assert_eq!(video[0], "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "{name}");
        assert!(video.contains(&"a=recvonly"));
        assert!(video.contains(&"a=fmtp:97 apt=96"));
        assert!(video.contains(&"a=fmtp:96 x-google-start-bitrate=1000"));
        let feedback = values(&video, "a=rtcp-fb:96 ");
        for value in ["transport-cc", "ccm fir", "nack", "nack pli"] {
            assert!(feedback.contains(&value), "{name}: {feedback:?}");
        }
        let audio = section(&sdp, 0);
        assert!(
            audio.contains(&"a=fmtp:111 minptime=10;useinbandfec=1"),
            "{name}: {audio:?}"
        );
        assert_eq!(sdp.matches("start-bitrate").count(), 1);
        assert!(values(&video, "a=ssrc").is_empty());
    }
}

#[test]
fn stereo_is_kept() {
    let offer = vector("chromium-publisher")
        .replace("useinbandfec=1", "useinbandfec=1;stereo=1;sprop-stereo=1");
    let (_, sdp) = Str0mPublisher::open(Instant::now(), &offer, config()).unwrap();
    assert!(
        sdp.contains("a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1\r\n"),
        "{sdp}"
    );
}

#[test]
fn simulcast_layers_are_taken_in_the_order_of_the_offer_and_data_channels_are_not() {
    let (session, sdp) = publisher("chromium-simulcast");
    assert_eq!(session.tracks()[1].layers, 3);
    let video = section(&sdp, 1);
    assert_eq!(values(&video, "a=rid:"), ["q recv", "h recv", "f recv"]);
    assert_eq!(values(&video, "a=simulcast:"), ["recv q;h;f"]);
    assert!(
        values(&video, "a=extmap:")
            .iter()
            .any(|line| line.ends_with("repaired-rtp-stream-id"))
    );
    let data = section(&sdp, 2);
    assert_eq!(data[0], "m=application 0 UDP/DTLS/SCTP webrtc-datachannel");
    assert!(sdp.contains("a=group:BUNDLE 0 1\r\n"));
}

#[test]
fn slots_are_named_and_their_sources_stand_in_the_answer() {
    for name in ["chromium-viewer", "wrtc-viewer"] {
        let (session, sdp) = viewer(name);
        assert_eq!(session.slots(), 2);
        let mut cnames = Vec::new();
        let mut ssrcs = Vec::new();
        for (index, msid) in [
            "slot0 audio0",
            "slot0 video0",
            "slot1 audio1",
            "slot1 video1",
        ]
        .into_iter()
        .enumerate()
        {
            let lines = section(&sdp, index);
            assert!(lines.contains(&"a=sendonly"), "{name}");
            assert_eq!(values(&lines, "a=msid:"), [msid]);
            let of_section: Vec<&str> = values(&lines, "a=ssrc:");
            cnames.extend(
                of_section
                    .iter()
                    .filter_map(|value| value.split_once(" cname:"))
                    .map(|(_, cname)| cname),
            );
            ssrcs.extend(
                of_section
                    .iter()
                    .filter_map(|value| value.split_once(" cname:"))
                    .map(|(ssrc, _)| ssrc),
            );
            let groups = values(&lines, "a=ssrc-group:FID ");
            assert_eq!(
                groups.len(),
                index % 2,
                "{name}: video has a repair source, audio has none"
            );
        }
        assert_eq!(ssrcs.len(), 6);
        ssrcs.sort_unstable();
        ssrcs.dedup();
        assert_eq!(ssrcs.len(), 6, "{name}: sources differ");
        cnames.dedup();
        assert_eq!(cnames.len(), 1, "{name}: one canonical name");
        assert_eq!(session.slot_mid(1, Kind::Video), Some("3"));
        assert!(sdp.contains("playout-delay"), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let config = config();
    let offer = vector("wrtc-viewer");
    let answer = |config| Str0mViewer::open(Instant::now(), &offer, config).unwrap().1;
    assert_eq!(answer(config.clone()), answer(config));
}
