//! Layers that viewers choose.

use std::time::Duration;

use sanderling_sfu::{Command, Event, LayerChoice, Reason, SessionId, StreamId};
use str0m::RtcConfig;
use str0m::format::Codec;
use str0m::media::Mid;
use str0m::rtp::RtpPacket;

use crate::client::descriptor::{Descriptor, with_descriptors};
use crate::client::{Client, FRAME};
use crate::network::Network;

const LOW: usize = 120;
const HIGH: usize = 600;

const CODECS: [Codec; 3] = [Codec::Vp8, Codec::Vp9, Codec::Av1];

/// A client that speaks one codec for pictures.
fn only(config: RtcConfig, codec: Codec) -> RtcConfig {
    let config = config.clear_codecs().enable_opus(true);
    match codec {
        Codec::Vp9 => config.enable_vp9(true),
        Codec::Av1 => with_descriptors(config.enable_av1(true)),
        _ => config.enable_vp8(true),
    }
}

/// A publisher of two layers.
struct Publisher {
    codec: Codec,
    video: Mid,
    frames: usize,
}

impl Publisher {
    fn open(net: &mut Network, codec: Codec) -> Self {
        let mut client = Client::new(net.now, "198.51.100.1:5000", |config| only(config, codec));
        let (offer, video) = client.offer_layers(&["lo", "hi"]);
        let event = net.command(0, |ticket| Command::OpenPublisher {
            ticket,
            session: SessionId(1),
            offer,
            codecs: Vec::new(),
        });
        let Event::Answered { sdp, .. } = event else {
            panic!("{event:?}")
        };
        client.answer(net.now, &sdp);
        net.clients.push(client);
        Self {
            codec,
            video,
            frames: 0,
        }
    }

    /// Send frames on both layers; key frames on both whenever one is asked for.
    fn send(&mut self, net: &mut Network, count: usize) {
        for _ in 0..count {
            let now = net.now;
            let ticks = (now - net.start).as_millis() as u32 * 90;
            let client = &mut net.clients[0];
            let key = std::mem::take(&mut client.key_frame_requests) > 0 || self.frames == 0;
            let (codec, high) = (self.codec, ticks.wrapping_add(777));
            client.send_layer_of(codec, now, (self.video, "lo"), ticks, key, LOW);
            client.send_layer_of(codec, now, (self.video, "hi"), high, key, HIGH);
            self.frames += 1;
            net.run(FRAME);
        }
        net.run(Duration::from_millis(50));
    }
}

fn choose(net: &mut Network, viewer: u64, stream: u64, choice: LayerChoice) -> Event {
    net.command(0, |ticket| Command::SetLayer {
        ticket,
        session: SessionId(viewer),
        stream: StreamId(stream),
        choice,
    })
}

/// Number of a packet's picture.
fn picture(codec: Codec, packet: &RtpPacket) -> u16 {
    let descriptor = packet.header.ext_vals.user_values.get::<Descriptor>();
    let (high, low) = match codec {
        Codec::Vp9 => (packet.payload[1] & 0x7f, packet.payload[2]),
        Codec::Av1 => {
            let Descriptor(bytes) = descriptor.expect("a descriptor with every packet");
            (bytes[1], bytes[2])
        }
        _ => (packet.payload[2] & 0x7f, packet.payload[3]),
    };
    u16::from_be_bytes([high, low])
}

fn is_key(codec: Codec, packet: &RtpPacket) -> bool {
    match codec {
        Codec::Vp9 => packet.payload[0] & 0x40 == 0,
        Codec::Av1 => packet.payload[0] & 0x08 != 0,
        _ => packet.payload[4] & 1 == 0,
    }
}

fn sizes(packets: &[RtpPacket]) -> Vec<usize> {
    packets.iter().map(|packet| packet.payload.len()).collect()
}

#[test]
fn viewers_of_one_stream_are_on_the_layers_that_they_chose() {
    let mut net = Network::new(1);
    let mut publisher = Publisher::open(&mut net, Codec::Vp8);
    let (small, small_mids) = net.viewer(0, 2, 1);
    let (big, big_mids) = net.viewer(0, 3, 1);
    let (own, own_mids) = net.viewer(0, 4, 1);
    net.run(Duration::from_millis(500));
    publisher.send(&mut net, 40);
    for session in 2..5 {
        net.bind(0, session, 1, 0);
    }
    for (session, choice) in [(2, LayerChoice::Small), (3, LayerChoice::Big)] {
        assert!(matches!(
            choose(&mut net, session, 1, choice),
            Event::Done { .. }
        ));
    }
    publisher.send(&mut net, 30);
    for (viewer, mids, size) in [
        (small, small_mids, LOW),
        (big, big_mids, HIGH),
        (own, own_mids, HIGH),
    ] {
        let packets = net.clients[viewer].take_received(mids[1]);
        assert!(packets.len() > 29, "{} packets", packets.len());
        let last = sizes(&packets[packets.len() - 25..]);
        assert!(last.iter().all(|got| *got == size), "{last:?}");
    }
    for session in 1..5 {
        net.close(0, session);
    }
    net.assert_empty();
}

#[test]
fn a_change_of_layer_has_no_seam_and_no_gap() {
    CODECS.into_iter().for_each(no_seam_and_no_gap);
}

fn no_seam_and_no_gap(codec: Codec) {
    let mut net = Network::new(1);
    let mut publisher = Publisher::open(&mut net, codec);
    let (viewer, mids) = net.viewer_with(0, 2, 1, |config| only(config, codec));
    net.run(Duration::from_millis(500));
    // Beyond what is replayed: a change needs a new key frame.
    publisher.send(&mut net, 130);
    net.bind(0, 2, 1, 0);
    publisher.send(&mut net, 110);
    let mut all = net.clients[viewer].take_received(mids[1]);
    for (choice, size) in [
        (LayerChoice::Small, LOW),
        (LayerChoice::Big, HIGH),
        (LayerChoice::Small, LOW),
        (LayerChoice::Automatic, HIGH),
    ] {
        choose(&mut net, 2, 1, choice);
        publisher.send(&mut net, 110);
        let packets = net.clients[viewer].take_received(mids[1]);
        let changed = packets
            .iter()
            .position(|packet| packet.payload.len() == size);
        let changed = changed.unwrap_or_else(|| panic!("{codec:?} {choice:?}: never"));
        // A round trip to the publisher and its next frame: the old layer goes on meanwhile.
        assert!(changed <= 4, "{codec:?} {choice:?}: after {changed} frames");
        assert!(
            packets[changed..]
                .iter()
                .all(|packet| packet.payload.len() == size)
        );
        assert!(
            is_key(codec, &packets[changed]),
            "{codec:?}: it begins with a key frame"
        );
        assert!(
            packets.len() >= 110,
            "{codec:?} {choice:?}: {} frames",
            packets.len()
        );
        all.extend(packets);
    }
    for pair in all.windows(2) {
        assert_eq!(*pair[1].seq_no, *pair[0].seq_no + 1, "{codec:?}");
        let numbers = (picture(codec, &pair[0]), picture(codec, &pair[1]));
        assert!(numbers.1 > numbers.0, "{codec:?}: {numbers:?}");
        if codec == Codec::Vp9 {
            // TL0PICIDX goes on as well: every picture is of the lowest temporal layer.
            let steps = pair[1].payload[4].wrapping_sub(pair[0].payload[4]);
            assert!((1..=4).contains(&steps), "{steps}");
        }
        let step = pair[1]
            .header
            .timestamp
            .wrapping_sub(pair[0].header.timestamp);
        assert!((1..90 * 200).contains(&step), "a step of {step} ticks");
    }
    net.close(0, 2);
    net.close(0, 1);
    net.assert_empty();
}

/// What is cached of the other layer was shown already, on this one: it would take the picture back.
#[test]
fn a_change_of_layer_shows_nothing_twice() {
    CODECS.into_iter().for_each(nothing_twice);
}

fn nothing_twice(codec: Codec) {
    let mut net = Network::new(1);
    let mut publisher = Publisher::open(&mut net, codec);
    let (viewer, mids) = net.viewer_with(0, 2, 1, |config| only(config, codec));
    net.run(Duration::from_millis(500));
    publisher.send(&mut net, 60);
    net.bind(0, 2, 1, 0);
    publisher.send(&mut net, 10);
    let replayed = net.clients[viewer].take_received(mids[1]);
    assert!(
        replayed.len() > 11,
        "{} packets, cached ones among them",
        replayed.len()
    );
    assert_eq!(net.clients[0].key_frame_requests, 0);
    choose(&mut net, 2, 1, LayerChoice::Small);
    net.run(Duration::from_millis(60));
    assert!(net.clients[viewer].take_received(mids[1]).is_empty());
    assert_eq!(net.clients[0].key_frame_requests, 1);
    publisher.send(&mut net, 5);
    let packets = net.clients[viewer].take_received(mids[1]);
    assert_eq!(sizes(&packets), [LOW; 5]);
    assert!(is_key(codec, &packets[0]), "{codec:?}");
    net.close(0, 2);
    net.close(0, 1);
    net.assert_empty();
}

#[test]
fn a_choice_about_nothing_is_refused_with_its_reason() {
    let mut net = Network::new(1);
    Publisher::open(&mut net, Codec::Vp8);
    net.viewer(0, 2, 1);
    for (viewer, stream, expected) in [
        (9, 1, Reason::UnknownSession),
        (2, 9, Reason::UnknownStream),
        (2, 1, Reason::UnknownStream),
    ] {
        let event = choose(&mut net, viewer, stream, LayerChoice::Big);
        let Event::Failed { reason, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!(reason, expected, "{viewer} {stream}");
    }
}
