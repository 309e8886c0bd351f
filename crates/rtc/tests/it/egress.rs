//! The egress engine against the engine it replaces: a real client cannot tell them apart.

use std::time::{Duration, Instant};

use sanderling_media::{
    AudioLevel, Codec, DependencyDescriptor, Kind, PictureNumbers, PlayoutDelay,
};
use sanderling_rtc::{Certificate, EgressViewer, Event, Header, Session, Str0mViewer, WriteError};
use str0m::media::KeyframeRequestKind;
use str0m::rtp::{ExtensionValues, RtpPacket};

use crate::rig::descriptor::Descriptor;
use crate::rig::{Batch, Engine, Rig, packet, path, track};
use crate::{config, vector};

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn header(sequence: u64, timestamp: u32) -> Header {
    Header {
        sequence,
        timestamp,
        picture: None,
        playout_delay: None,
    }
}

/// One packet's payload: a descriptor with a number of 15 bits and a TL0 index, where the codec has them in there.
fn payload(codec: Codec, number: u64, part: u64, size: usize) -> Vec<u8> {
    let (key, low) = (number.is_multiple_of(25), number as u8);
    let mut payload = match codec {
        Codec::Vp9 => {
            // I, L and B or E; P unless it is a key frame.
            let edges = if part == 0 { 0x08 } else { 0 } | if part == 2 { 0x04 } else { 0 };
            vec![0xa0 | edges | u8::from(!key) << 6, 0x80 | 0x11, low, 0, 7]
        }
        // Z beyond the first packet, Y before the last, one element, N with a key frame.
        Codec::Av1 => match part {
            0 => vec![0x50 | u8::from(key) << 3, if key { 0x0a } else { 0x32 }],
            1 => vec![0xd0],
            _ => vec![0x90],
        },
        _ => {
            let start = if part == 0 { 0x90 } else { 0x80 };
            vec![start, 0xe0, 0x80 | 0x11, low, 7, 0x20, u8::from(!key)]
        }
    };
    payload.resize(payload.len() + size, low);
    payload
}

/// What AV1 has in a header extension instead, with the structure of a key frame.
fn descriptor(number: u64, part: u64) -> Option<DependencyDescriptor> {
    let edges = if part == 0 { 0x80 } else { 0 } | if part == 2 { 0x40 } else { 0 };
    let mut bytes = vec![edges, 0x11, number as u8];
    if part == 0 && number.is_multiple_of(25) {
        bytes.push(0x80);
        bytes.resize(90, 0x55);
    }
    DependencyDescriptor::new(&bytes)
}

/// A second and a half of pictures with sound; every value that a header or a payload can take is taken once.
fn play<S: Engine>(rig: &mut Rig<S>, slot: u16, codec: Codec) {
    for number in 0..50_u64 {
        let key = number % 25 == 0;
        let size = [1, 40, 700, 1_150][number as usize % 4];
        for part in 0..3_u64 {
            let payload = payload(codec, number, part, size);
            let mut video = packet(codec, rig.now, 65_000 + number * 3 + part, 90, &payload);
            if codec == Codec::Av1 {
                video.extensions.dependency = descriptor(number, part);
            }
            video.marker = part == 2;
            video.extensions.orientation = (part == 2 && key).then_some(number as u8 / 25 + 1);
            video.extensions.capture_unix_ns =
                (part == 0).then_some(1_767_225_600_123_456_789 + number);
            video.extensions.content_type = (number == 7).then_some(1);
            let picture = (number > 10).then_some(PictureNumbers {
                number: Some(0x1000 + number as u16),
                bits: if codec == Codec::Av1 { 16 } else { 15 },
                tl0_index: (codec != Codec::Av1).then_some(number as u8),
            });
            let header = Header {
                picture,
                playout_delay: (part == 0).then_some(PlayoutDelay { min: 0, max: 30 }),
                // Past a rollover of 16 bits, with a gap.
                ..header(
                    65_400 + number * 3 + part + if number > 30 { 5 } else { 0 },
                    (number * 3_000) as u32,
                )
            };
            rig.write(slot, &video, header);
        }
        let mut sound = packet(Codec::Opus, rig.now, number, 0, &[0x78; 80]);
        sound.extensions.audio_level = Some(AudioLevel {
            dbov: -(number as i8),
            voice: number % 2 == 0,
        });
        rig.write(slot, &sound, header(20 + number, (number * 1_440) as u32));
        rig.run(ms(30));
    }
    rig.run(ms(300));
}

/// What of a packet has to be the same; numbers of the transport and times of sending are each engine's own. The oracle
/// sets the bit for voice on every packet that is not silent, so that is checked apart.
fn essence(packet: &RtpPacket) -> (u32, u64, u32, u8, bool, Vec<u8>, ExtensionValues) {
    let header = &packet.header;
    let from = &header.ext_vals;
    let values = ExtensionValues {
        audio_level: from.audio_level,
        video_orientation: from.video_orientation,
        video_content_type: from.video_content_type,
        play_delay_min: from.play_delay_min,
        play_delay_max: from.play_delay_max,
        abs_capture_time: from.abs_capture_time,
        ..ExtensionValues::default()
    };
    (
        *header.ssrc,
        *packet.seq_no,
        header.timestamp,
        *header.payload_type,
        header.marker,
        packet.payload.to_vec(),
        values,
    )
}

/// Everything that a client got, in an order that repairs do not change.
fn received<S: Engine>(rig: &Rig<S>) -> Vec<String> {
    let mut all: Vec<_> = rig.seen.received.iter().collect();
    all.sort_by_key(|packet| (*packet.header.ssrc, *packet.seq_no));
    let all = all.into_iter().map(|packet| {
        let descriptor = packet.header.ext_vals.user_values.get::<Descriptor>();
        format!("{:?} {descriptor:?}", essence(packet))
    });
    all.collect()
}

fn both(lose: fn(usize) -> bool) -> (Rig<EgressViewer>, Rig<Str0mViewer>) {
    let (now, certificate) = (Instant::now(), Certificate::generate().unwrap());
    let mut ours = Rig::connected(now, &certificate, 2);
    let mut oracle = Rig::connected(now, &certificate, 2);
    (ours.lose, oracle.lose) = (lose, lose);
    play(&mut ours, 1, Codec::Vp8);
    play(&mut oracle, 1, Codec::Vp8);
    (ours, oracle)
}

#[test]
fn the_same_packets_give_the_client_the_same_media() {
    let (ours, oracle) = both(|_| false);
    let sound = |packet: &&RtpPacket| packet.header.ext_vals.audio_level.is_some();
    for packet in ours.seen.received.iter().filter(sound) {
        let voice = (*packet.seq_no - 20) % 2 == 0;
        assert_eq!(packet.header.ext_vals.voice_activity, Some(voice));
    }
    let (ours, oracle) = (received(&ours), received(&oracle));
    assert_eq!(oracle.len(), 200);
    for (ours, oracle) in ours.iter().zip(&oracle) {
        assert_eq!(ours, oracle);
    }
    assert_eq!(ours.len(), oracle.len());
}

#[test]
fn the_same_packets_of_other_codecs_give_the_client_the_same_media() {
    let certificate = Certificate::generate().unwrap();
    for codec in [Codec::Vp9, Codec::Av1] {
        let now = Instant::now();
        let mut ours = Rig::<EgressViewer>::speaking(now, &certificate, 2, codec);
        let mut oracle = Rig::<Str0mViewer>::speaking(now, &certificate, 2, codec);
        play(&mut ours, 1, codec);
        play(&mut oracle, 1, codec);
        let (ours, oracle) = (received(&ours), received(&oracle));
        assert_eq!(oracle.len(), 200, "{codec}");
        for (ours, oracle) in ours.iter().zip(&oracle) {
            assert_eq!(ours, oracle, "{codec}");
        }
        assert_eq!(ours.len(), oracle.len(), "{codec}");
        let described = ours.iter().filter(|packet| packet.contains("Descriptor"));
        assert_eq!(described.count() > 0, codec == Codec::Av1);
    }
}

#[test]
fn both_versions_of_dtls_carry_media() {
    use str0m::config::DtlsVersion;
    let certificate = Certificate::generate().unwrap();
    let set_ups: [fn(str0m::RtcConfig) -> str0m::RtcConfig; 3] = [
        |config| config.set_dtls_version(DtlsVersion::Dtls12),
        |config| config.set_dtls_version(DtlsVersion::Dtls13),
        |config| config.set_dtls_version(DtlsVersion::Auto),
    ];
    for set_up in set_ups {
        let mut rig: Rig<EgressViewer> = Rig::new(Instant::now(), &certificate, 1, set_up);
        assert_eq!(rig.session.protection(), None);
        rig.run(ms(500));
        assert!(rig.seen.connected);
        assert_eq!(rig.session.protection(), Some("SRTP_AEAD_AES_256_GCM"));
        assert!(
            rig.session.bind(0, &track(Codec::Vp8)) && rig.session.bind(0, &track(Codec::Opus))
        );
        play(&mut rig, 0, Codec::Vp8);
        assert_eq!(rig.seen.received.len(), 200);
    }
}

#[test]
fn answers_are_the_oracles_to_the_byte() {
    let config = config();
    for name in ["chromium-viewer", "wrtc-viewer"] {
        let (now, offer) = (Instant::now(), vector(name));
        let (mut ours, answer) = EgressViewer::open(now, &offer, config.clone()).unwrap();
        let (mut oracle, expected) = Str0mViewer::open(now, &offer, config.clone()).unwrap();
        assert_eq!(answer, expected);
        let restart = offer.replace("a=ice-pwd:", "a=ice-pwd:renewed");
        for offer in [&restart, &offer.replace("a=recvonly", "a=inactive"), &offer] {
            let (answer, expected) = (ours.renegotiate(now, offer), oracle.renegotiate(now, offer));
            assert_eq!(answer, expected);
            assert_eq!(ours.fragment(), oracle.fragment());
            for (slot, kind) in [(0, Kind::Audio), (1, Kind::Video), (2, Kind::Video)] {
                assert_eq!(ours.slot_mid(slot, kind), oracle.slot_mid(slot, kind));
                assert_eq!(ours.slot_codecs(slot, kind), oracle.slot_codecs(slot, kind));
            }
        }
        assert_eq!(
            ours.renegotiate(now, "v=0\r\n"),
            oracle.renegotiate(now, "v=0\r\n")
        );
    }
}

#[test]
fn lost_pictures_are_repaired_to_the_byte() {
    let (ours, oracle) = both(|number| number % 10 == 4);
    // Sound is not repaired, so compare what came on both sides and count the pictures.
    let videos = |all: &[String]| -> Vec<String> {
        let sound = "120, 120, 120, 120";
        all.iter()
            .filter(|packet| !packet.contains(sound))
            .cloned()
            .collect()
    };
    let (ours_all, oracle_all) = (videos(&received(&ours)), videos(&received(&oracle)));
    assert!(ours_all.len() >= 148, "{} of 150", ours_all.len());
    for packet in &ours_all {
        assert!(
            oracle_all.contains(packet) || oracle_all.len() < 150,
            "{packet}"
        );
    }
    let statistics = ours.session.statistics();
    assert!(statistics.retransmitted >= 13, "{statistics:?}");
    assert!(statistics.nacks > 0 && statistics.packets >= 200 + statistics.retransmitted);
}

#[test]
fn reports_carry_the_nodes_clock_and_measure_the_round_trip() {
    let (ours, oracle) = both(|_| false);
    let statistics = ours.session.statistics();
    let rtt = statistics.rtt_ms.unwrap();
    assert!((19.0..25.0).contains(&rtt), "{rtt} ms");
    assert!(statistics.loss < 0.1);
    let delivered = statistics.delivered_bps.unwrap();
    assert!((200_000.0..1_500_000.0).contains(&delivered), "{delivered}");
    let allowance = ours.session.allowance(ours.now).unwrap();
    assert!(!allowance.congested && allowance.bits_per_second >= delivered);
    assert_eq!(statistics.estimate_bps, Some(allowance.bits_per_second));
    let first = |rig: &[(u32, std::time::SystemTime)]| rig.first().copied();
    let (at, oracle_at) = (first(&ours.seen.reports), first(&oracle.seen.reports));
    assert!(at.is_some() && oracle_at.is_some());
    assert!(
        ours.seen.reports.len() >= 4,
        "{:?}",
        ours.seen.reports.len()
    );
}

#[test]
fn a_worker_that_is_late_is_no_queue_on_the_path() {
    let certificate = Certificate::generate().unwrap();
    let mut rig = Rig::<EgressViewer>::connected(Instant::now(), &certificate, 1);
    let video = track(Codec::Vp8);
    assert!(rig.session.bind(0, &video));
    for number in 0..150_u64 {
        let picture = packet(Codec::Vp8, rig.now, number, 0, &[0x55; 900]);
        let rtp = header(100 + number, (number * 1_800) as u32);
        // Its turns get longer and longer, and this viewer's turn comes at their end.
        rig.write_late(ms(number), 0, &picture, rtp);
        let allowance = rig.session.allowance(rig.now);
        assert!(allowance.is_none_or(|a| !a.congested), "{number}");
        rig.run(ms(20));
    }
    let allowance = rig.session.allowance(rig.now).unwrap();
    assert!(!allowance.congested, "{allowance:?}");
}

#[test]
fn requests_for_key_frames_name_their_slot() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 2);
    play(&mut rig, 1, Codec::Vp8);
    rig.events.clear();
    for kind in [KeyframeRequestKind::Pli, KeyframeRequestKind::Fir] {
        rig.ask_for_key_frame(rig.mids[3], kind);
        rig.run(ms(100));
        let asked = std::mem::take(&mut rig.events);
        assert!(
            matches!(asked[..], [Event::KeyFrameNeeded { slot: 1 }]),
            "{kind:?}: {asked:?}"
        );
    }
    assert_eq!(rig.session.statistics().key_frame_requests, 2);
    rig.session.unbind(1);
    rig.ask_for_key_frame(rig.mids[3], KeyframeRequestKind::Pli);
    rig.run(ms(100));
    assert!(rig.events.is_empty(), "{:?}", rig.events);
}

#[test]
fn a_goodbye_reaches_the_client_and_the_clients_reaches_us() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 1);
    play(&mut rig, 0, Codec::Vp8);
    let mut batch = Batch(Vec::new(), Duration::ZERO);
    rig.session.close(rig.now, &mut batch);
    assert_eq!(batch.0.len(), 2, "BYE and close_notify");
    for datagram in &batch.0 {
        rig.receive(datagram);
    }
    rig.run(ms(500));
    assert!(rig.seen.closed);
    let packet = packet(Codec::Vp8, rig.now, 9_999_999, 0, &[0x10, 0]);
    let written = rig
        .session
        .write(rig.now, 0, &packet, header(70_000, 0), &mut batch);
    assert_eq!(written, Err(WriteError::NotConnected));

    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 1);
    rig.hang_up();
    rig.run(ms(500));
    let closed = |event: &Event| matches!(event, Event::PeerClosed);
    assert!(rig.events.iter().any(closed), "{:?}", rig.events);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 1);
    let mut batch = Batch(Vec::new(), Duration::ZERO);
    let mut write = |rig: &mut Rig<EgressViewer>, slot, size: usize| {
        let packet = packet(Codec::Vp8, rig.now, 1, 0, &vec![0; size]);
        let header = header(1, 0);
        rig.session
            .write(rig.now, slot, &packet, header, &mut batch)
    };
    assert_eq!(write(&mut rig, 0, 1_900), Ok(()));
    assert_eq!(write(&mut rig, 0, 1_900), Err(WriteError::Repeated));
    assert_eq!(write(&mut rig, 0, 2_000), Err(WriteError::TooLarge));
    assert_eq!(write(&mut rig, 1, 1), Err(WriteError::NotBound));
    assert!(!rig.session.bind(0, &track(Codec::H264)));
    rig.session.unbind(0);
    assert_eq!(write(&mut rig, 0, 1), Err(WriteError::NotBound));
    assert_eq!(rig.session.slot_mid(0, Kind::Video), Some(&*rig.mids[1]));
}

#[test]
fn damaged_and_repeated_datagrams_do_a_connection_no_harm() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 1);
    play(&mut rig, 0, Codec::Vp8);
    let before = rig.session.statistics();
    let sent = std::mem::take(&mut rig.sent);
    assert!(sent.len() > 40, "checks, handshake and reports");
    let mut state = 1_u64;
    let mut next = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for datagram in &sent {
        rig.feed(datagram);
        for _ in 0..20 {
            let mut damaged = datagram.clone();
            for _ in 0..1 + next(3) {
                let at = next(damaged.len());
                damaged[at] ^= 1 << next(8);
            }
            damaged.truncate(1 + next(damaged.len() * 2));
            rig.feed(&damaged);
        }
    }
    let after = rig.session.statistics();
    let counts = |s: &sanderling_rtc::Statistics| (s.nacks, s.key_frame_requests, s.retransmitted);
    assert_eq!(counts(&after), counts(&before), "a replay was believed");
    assert!(
        rig.events
            .iter()
            .all(|event| matches!(event, Event::Connected)),
        "{:?}",
        rig.events
    );
    rig.seen.received.clear();
    let packet = packet(Codec::Vp8, rig.now, 99_999, 0, &[0x10, 0]);
    rig.write(0, &packet, header(65_600, 200_000));
    rig.run(ms(100));
    assert_eq!(rig.seen.received.len(), 1);
}

#[test]
fn nothing_is_sent_once_consent_is_over() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 1);
    let packet = packet(Codec::Vp8, rig.now, 1, 0, &[0x10, 0]);
    let mut batch = Batch(Vec::new(), Duration::ZERO);
    let mut at = |later| {
        let now = rig.now + later;
        rig.session.write(now, 0, &packet, header(1, 0), &mut batch)
    };
    assert_eq!(at(ms(25_000)), Ok(()));
    assert_eq!(at(ms(30_001)), Err(WriteError::NotConnected));
    rig.now += ms(30_001);
    let mut buffer = [0; 2048];
    let output = rig.session.poll(rig.now, &mut buffer);
    assert!(
        matches!(output, sanderling_rtc::Output::WakeAt(..)),
        "{output:?}"
    );
    rig.session.close(rig.now, &mut batch);
    assert_eq!(batch.0.len(), 1, "no goodbye either");
}

#[test]
fn a_handshake_starts_from_a_checked_address_alone_and_with_the_right_certificate_only() {
    let (now, certificate) = (Instant::now(), Certificate::generate().unwrap());
    let set_up: fn(str0m::RtcConfig) -> str0m::RtcConfig = |config| config;
    let mut rig: Rig<EgressViewer> = Rig::new(now, &certificate, 1, set_up);
    let hello = [&[22, 0xfe, 0xfd][..], &[0; 40]].concat();
    let answer = rig.session.handle_datagram(now, path(), &hello);
    assert_eq!(answer, sanderling_rtc::Accepted::No);

    // The client's certificate is not the one of its offer.
    let mut rig: Rig<EgressViewer> = Rig::impostor(now, &certificate);
    rig.run(ms(3_000));
    let failed = |event: &Event| matches!(event, Event::HandshakeFailed);
    assert!(rig.events.iter().any(failed), "{:?}", rig.events);
    assert!(!rig.seen.connected);
}
