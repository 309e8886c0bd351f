//! What somebody who comes later gets, packet by packet.

use std::time::{Duration, Instant};

use sanderling_sfu::{Command, SessionId};
use str0m::format::Codec;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::rtp::RtpPacket;

use crate::client::{Client, FRAME};
use crate::network::Network;

fn milliseconds(net: &Network) -> u32 {
    (net.now - net.start).as_millis() as u32
}

/// Time from the first to the last packet.
fn spread(packets: &[RtpPacket]) -> Duration {
    let at = |packet: Option<&RtpPacket>| -> Instant { packet.unwrap().timestamp };
    at(packets.last()) - at(packets.first())
}

/// A VP8 frame of so many packets.
fn frame(net: &mut Network, publisher: usize, video: Mid, packets: usize, key: bool) {
    let (now, ticks) = (net.now, milliseconds(net) * 90);
    for part in 0..packets {
        let mut payload = vec![if part == 0 { 0x10 } else { 0 }, u8::from(!key)];
        payload.resize(1_000, part as u8);
        let client = &mut net.clients[publisher];
        client.send(now, video, Codec::Vp8, ticks, part + 1 == packets, payload);
    }
}

#[test]
fn a_large_key_frame_leaves_within_twenty_milliseconds_but_not_at_once() {
    let mut net = Network::new(1);
    let (publisher, _, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    frame(&mut net, publisher, video, 3, true);
    net.run(Duration::from_millis(100));
    for _ in 0..60 {
        frame(&mut net, publisher, video, 3, false);
        net.run(FRAME);
    }
    net.clients[viewer].take_received(mids[1]);
    // (packets, key frame, least and most time in ms)
    for (packets, key, least, most) in [(8, true, 0, 0), (60, true, 10, 21), (40, false, 0, 0)] {
        frame(&mut net, publisher, video, packets, key);
        net.run(FRAME);
        frame(&mut net, publisher, video, 1, false);
        net.run(FRAME * 3);
        let got = net.clients[viewer].take_received(mids[1]);
        assert_eq!(got.len(), packets + 1);
        assert!(
            got.windows(2)
                .all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1)
        );
        let took = spread(&got[..packets]).as_millis();
        assert!(
            (least..=most).contains(&took),
            "{packets} packets took {took} ms"
        );
    }
    net.close(0, 2);
    net.close(0, 1);
    net.assert_empty();
}

#[test]
fn a_replay_is_paced_and_what_is_live_waits_behind_it() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    frame(&mut net, publisher, video, 40, true);
    net.run(FRAME);
    for _ in 0..8 {
        frame(&mut net, publisher, video, 4, false);
        net.run(FRAME);
    }
    net.bind(0, 2, 1, 0);
    for _ in 0..6 {
        frame(&mut net, publisher, video, 4, false);
        let (now, ticks) = (net.now, milliseconds(&net) * 48);
        net.clients[publisher].send_opus(now, audio, ticks);
        net.run(FRAME);
    }
    net.run(Duration::from_millis(300));
    let got = net.clients[viewer].take_received(mids[1]);
    assert_eq!(got.len(), 40 + 14 * 4, "everything since the key frame");
    assert!(
        got.windows(2)
            .all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1)
    );
    let cached = &got[..40 + 8 * 4];
    assert!(
        (20..=200).contains(&spread(cached).as_millis()),
        "{:?}",
        spread(cached)
    );
    // Sound does not wait for pictures.
    let sound = net.clients[viewer].take_received(mids[0]);
    assert_eq!(sound.len(), 6);
    assert!(sound[0].timestamp < cached.last().unwrap().timestamp);
    net.close(0, 2);
    net.close(0, 1);
    net.assert_empty();
}

#[test]
fn lost_packets_of_an_old_replay_are_repaired() {
    let mut net = Network::new(1);
    let (publisher, _, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    // Three frames in five seconds: all of it is replayed, older than anything that is kept for repair alone.
    for (packets, key) in [(40, true), (4, false), (4, false)] {
        frame(&mut net, publisher, video, packets, key);
        net.run(Duration::from_millis(2_500));
    }
    net.drop_every = 5;
    net.bind(0, 2, 1, 0);
    net.run(Duration::from_millis(100));
    net.drop_every = 0;
    frame(&mut net, publisher, video, 4, false);
    net.run(Duration::from_millis(500));
    let mut got: Vec<u64> = net.clients[viewer]
        .take_received(mids[1])
        .iter()
        .map(|packet| *packet.seq_no)
        .collect();
    got.sort_unstable();
    got.dedup();
    assert_eq!(got.len() as u64, got[got.len() - 1] - got[0] + 1, "{got:?}");
    assert!(got.len() >= 50, "{}", got.len());
    net.close(0, 2);
    net.close(0, 1);
    net.assert_empty();
}

#[test]
fn sender_reports_of_a_squeezed_replay_speak_of_what_is_live() {
    let mut net = Network::new(1);
    let (publisher, _, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    for number in 0..28 {
        frame(&mut net, publisher, video, 1, number == 0);
        net.run(FRAME);
    }
    net.bind(0, 2, 1, 0);
    net.run(Duration::from_millis(100));
    let replayed = net.clients[viewer].take_received(mids[1]);
    assert!(replayed.len() >= 27, "{}", replayed.len());
    for pair in replayed.windows(2) {
        let step = pair[1]
            .header
            .timestamp
            .wrapping_sub(pair[0].header.timestamp);
        assert!((85..=95).contains(&step), "{step} ticks apart");
    }
    for _ in 0..40 {
        frame(&mut net, publisher, video, 1, false);
        net.run(FRAME);
    }
    let live = net.clients[viewer].take_received(mids[1]);
    let step = live[0]
        .header
        .timestamp
        .wrapping_sub(replayed.last().unwrap().header.timestamp);
    assert!(
        (11_900..=12_100).contains(&step),
        "{step} ticks from the replay to live"
    );
    // Reports from the first one on put every packet at the time at which it came, less the way.
    let reports: Vec<_> = net.clients[viewer]
        .reports
        .iter()
        .filter(|(mid, ..)| *mid == mids[1])
        .collect();
    assert!(reports.len() >= 2, "{}", reports.len());
    let (_, first_rtp, first_wall) = reports[0];
    for (_, rtp, wall) in &reports {
        let clock = wall.duration_since(*first_wall).unwrap().as_secs_f64();
        let media = f64::from(rtp.wrapping_sub(*first_rtp)) / 90_000.0;
        assert!(
            (clock - media).abs() < 0.015,
            "{media} s of pictures in {clock} s"
        );
    }
    net.close(0, 2);
    net.close(0, 1);
    net.assert_empty();
}

#[test]
fn parameter_sets_that_came_once_are_sent_before_a_later_key_frame() {
    let h264 = |config: str0m::RtcConfig| config.clear_codecs().enable_opus(true).enable_h264(true);
    let mut net = Network::new(1);
    let client = Client::new(net.now, "198.51.100.1:5000", h264);
    let sections = [(MediaKind::Video, Direction::SendOnly)];
    let publisher = net.open(client, &sections, 0, |ticket, offer| {
        Command::OpenPublisher {
            ticket,
            session: SessionId(1),
            offer,
            codecs: Vec::new(),
        }
    });
    let video = publisher[0];
    net.run(Duration::from_millis(500));
    let send = |net: &mut Network, units: &[&[u8]]| {
        let (now, ticks) = (net.now, milliseconds(net) * 90);
        for (at, unit) in units.iter().enumerate() {
            let marker = at + 1 == units.len();
            net.clients[0].send(now, video, Codec::H264, ticks, marker, unit.to_vec());
        }
        net.run(FRAME);
    };
    let (sps, pps): (&[u8], &[u8]) = (&[0x67, 0x42, 0xe0, 0x1f, 1], &[0x68, 0xce]);
    send(&mut net, &[sps, pps, &[0x65, 1]]);
    send(&mut net, &[&[0x41, 2]]);
    send(&mut net, &[&[0x65, 3]]);
    send(&mut net, &[&[0x41, 4]]);
    for session in [2, 3] {
        let (viewer, mids) = net.viewer_with(0, session, 1, h264);
        net.run(Duration::from_millis(500));
        net.bind(0, session, 1, 0);
        if session == 3 {
            // Nothing is cached that is of use: it begins with the next key frame.
            net.run(Duration::from_millis(50));
            net.clients[viewer].received.clear();
            net.unbind(0, session, 1);
            net.bind(0, session, 1, 0);
        }
        net.run(Duration::from_millis(100));
        let got = net.clients[viewer].take_received(mids[1]);
        let payloads: Vec<&[u8]> = got.iter().map(|packet| &packet.payload[..]).collect();
        let both = [&[0x78, 0, 5], sps, &[0, 2], pps].concat();
        assert_eq!(
            payloads,
            [&both[..], &[0x65, 3], &[0x41, 4]],
            "viewer {session}"
        );
        assert_eq!(got[0].header.timestamp, got[1].header.timestamp);
        assert!(!got[0].header.marker);
        assert!(
            got.windows(2)
                .all(|pair| *pair[1].seq_no == *pair[0].seq_no + 1)
        );
    }
    for session in 1..4 {
        net.close(0, session);
    }
    net.assert_empty();
}
