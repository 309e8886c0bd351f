//! Picture numbers of every codec as a client gets them, from both engines, repairs included.

use std::time::{Duration, Instant};

use sanderling_media::{Codec, DependencyDescriptor, Extensions, Kind, PictureNumbers};
use sanderling_rtc::{Certificate, EgressViewer, Event, Header, Str0mPublisher, Str0mViewer};
use str0m::RtcConfig;
use str0m::media::Direction;
use str0m::rtp::{ExtensionValues, RtpWrite};

use crate::rig::descriptor::{Descriptor, with_descriptors};
use crate::rig::{Engine, Rig, packet, track};
use crate::{config, vector};

/// Payload of the codec with a number, 15 bits wide where it stands in the payload.
fn payload(codec: Codec, number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let mut payload = match codec {
        Codec::Vp8 => vec![0x90, 0xe0, 0x80 | high, low, low, 0x20, 0, 0],
        Codec::Vp9 => vec![0xa8, 0x80 | high, low, 0, low, 0],
        _ => vec![0x18, 0x0a, 0],
    };
    payload.resize(200, low);
    payload
}

/// A descriptor as long as that of a key frame with three spatial layers.
fn descriptor(number: u16) -> Option<DependencyDescriptor> {
    let [high, low] = number.to_be_bytes();
    let mut bytes = vec![0xc0, high, low, 0x80];
    bytes.resize(if number.is_multiple_of(10) { 90 } else { 7 }, 0x55);
    DependencyDescriptor::new(&bytes)
}

/// Numbers that the client reads after sixty packets of one codec, whose numbers are moved by a thousand.
fn numbers<S: Engine>(
    certificate: &Certificate,
    codec: Codec,
    lose: fn(usize) -> bool,
) -> Vec<(u16, Option<u8>)> {
    let codecs: fn(RtcConfig) -> RtcConfig = |config| {
        let config = config.clear_codecs().enable_opus(true).enable_vp8(true);
        with_descriptors(config.enable_vp9(true).enable_av1(true))
    };
    let mut rig: Rig<S> = Rig::describing(Instant::now(), certificate, Direction::RecvOnly, codecs);
    rig.lose = lose;
    assert!(rig.session.bind(0, &track(codec)));
    rig.session.repair_from(0, Kind::Video, &rig.store);
    for step in 0..60_u16 {
        let number = 0x6ff0 + step;
        let mut video = packet(
            codec,
            rig.now,
            u64::from(number),
            u32::from(step) * 3_000,
            &payload(codec, number),
        );
        if codec == Codec::Av1 {
            video.extensions.dependency = descriptor(number);
        }
        let came = PictureNumbers::of(&video).unwrap();
        let header = Header {
            sequence: 100 + u64::from(step),
            timestamp: u32::from(step) * 3_000,
            picture: Some(PictureNumbers {
                number: came.number.map(|number| (number + 1_000) & came.mask()),
                tl0_index: came.tl0_index.map(|index| index.wrapping_add(100)),
                ..came
            }),
            playout_delay: None,
        };
        rig.write(0, &video, header);
        rig.run(Duration::from_millis(30));
    }
    rig.run(Duration::from_millis(500));
    let mut received: Vec<_> = rig.seen.received.iter().collect();
    received.sort_by_key(|packet| *packet.seq_no);
    let read = received.iter().map(|received| {
        let got = received.header.ext_vals.user_values.get::<Descriptor>();
        let sent = descriptor(0x6ff0 + (*received.seq_no - 100) as u16).unwrap();
        match (codec, got) {
            (Codec::Av1, Some(got)) => {
                assert_eq!(got.0[..1], sent.as_bytes()[..1]);
                assert_eq!(got.0[3..], sent.as_bytes()[3..], "the structure is kept");
            }
            (Codec::Av1, None) => panic!("a descriptor got lost"),
            (_, got) => assert_eq!(got, None),
        }
        let mut video = packet(codec, rig.now, 0, 0, &received.payload);
        video.extensions = Extensions {
            dependency: got.and_then(|got| DependencyDescriptor::new(&got.0)),
            ..Extensions::default()
        };
        let numbers = PictureNumbers::of(&video).unwrap();
        (numbers.number.unwrap(), numbers.tl0_index)
    });
    read.collect()
}

#[test]
fn numbers_reach_the_client_as_they_were_rewritten() {
    let certificate = Certificate::generate().unwrap();
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let ours = numbers::<EgressViewer>(&certificate, codec, |number| number % 7 == 3);
        assert!(ours.len() >= 58, "{codec}: {} of 60", ours.len());
        for (number, tl0_index) in &ours {
            let step = number.wrapping_sub(0x6ff0 + 1_000);
            assert!(step < 60, "{codec}: {number:#x}");
            let low = (0x6ff0 + step) as u8;
            let expected = (codec != Codec::Av1).then(|| low.wrapping_add(100));
            assert_eq!(*tl0_index, expected, "{codec}");
        }
        let oracle = numbers::<Str0mViewer>(&certificate, codec, |_| false);
        assert_eq!(oracle.len(), 60);
        assert!(ours.iter().all(|number| oracle.contains(number)), "{codec}");
    }
}

/// Descriptors that the server takes from a publisher of one codec.
fn published(
    codec: Codec,
    codecs: fn(RtcConfig) -> RtcConfig,
) -> Vec<Option<DependencyDescriptor>> {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<Str0mPublisher> =
        Rig::describing(Instant::now(), &certificate, Direction::SendOnly, codecs);
    rig.events.clear();
    for number in 0..30_u16 {
        let mut values = ExtensionValues::default();
        let bytes = descriptor(number).unwrap().as_bytes().to_vec();
        values.user_values.set(Descriptor(bytes));
        let media = rig.rtc.media(rig.mids[1]).unwrap();
        let payload_type = media.remote_pts()[0];
        let mid = rig.mids[1];
        let mut direct = rig.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).unwrap();
        let write = RtpWrite::new(
            payload_type,
            u64::from(number).into(),
            u32::from(number) * 3_000,
            rig.now,
            payload(codec, number),
        );
        stream.write_rtp(write.ext_vals(values));
        rig.run(Duration::from_millis(30));
    }
    let packets = rig.events.into_iter().filter_map(|event| match event {
        Event::Packet { packet, .. } => Some(packet.extensions.dependency),
        _ => None,
    });
    packets.collect()
}

#[test]
fn a_publishers_descriptors_are_taken_with_av1_alone() {
    let av1 = published(Codec::Av1, |config| {
        let config = config.clear_codecs().enable_opus(true).enable_av1(true);
        with_descriptors(config)
    });
    let expected: Vec<_> = (0..30).map(descriptor).collect();
    assert_eq!(av1, expected);
    let vp8 = published(Codec::Vp8, |config| {
        let config = config.clear_codecs().enable_opus(true).enable_vp8(true);
        with_descriptors(config)
    });
    assert_eq!(vp8, vec![None; 30]);
}

#[test]
fn descriptors_are_agreed_on_with_long_extensions_alone() {
    let uri =
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
    let bare = vector("wrtc-viewer");
    assert!(!bare.contains(uri), "the vector does not offer it itself");
    let line = format!("a=rtcp-mux\r\na=extmap:14 {uri}\r\n");
    let with = bare.replace("a=rtcp-mux\r\n", &line);
    let mixed = "a=extmap-allow-mixed\r\n";
    let short = with.replace(mixed, "");
    let per_section = short.replace("a=rtcp-mux\r\n", &format!("a=rtcp-mux\r\n{mixed}"));
    let whole = short.replacen("m=", &format!("{mixed}m="), 1);
    // (offer, agreed)
    for (row, (offer, agreed)) in [
        (bare, false),
        (short, false),
        (per_section, true),
        (whole, true),
    ]
    .into_iter()
    .enumerate()
    {
        let (_, answer) = EgressViewer::open(Instant::now(), &offer, config()).unwrap();
        for section in answer.split("m=").skip(1) {
            let agreed = agreed && section.starts_with("video 9");
            assert_eq!(section.contains(uri), agreed, "row {row}: {section}");
            assert_eq!(section.contains(mixed), agreed, "row {row}: {section}");
        }
    }
}
