use std::time::Duration;

use sanderling_sfu::{Command, Event, Input, Kind, Path, Protocol, Reason, SessionId, StreamId};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::rtp::Extension;

use crate::client::Client;
use crate::network::{Network, address};

const SETTLE: Duration = Duration::from_millis(500);

type Publisher = (usize, Mid, Mid);
type Viewer = (usize, Vec<Mid>);

/// A network with a publisher of stream 1 and a viewer 2 that are connected.
fn connected(slots: usize) -> (Network, Publisher, Viewer) {
    let mut net = Network::new(1);
    let publisher = net.publisher(0, 1);
    let viewer = net.viewer(0, 2, slots);
    net.run(SETTLE);
    assert!(net.clients[publisher.0].connected && net.clients[viewer.0].connected);
    (net, publisher, viewer)
}

fn finish(mut net: Network, sessions: &[u64]) {
    for session in sessions {
        assert!(matches!(net.close(0, *session), Event::Done { .. }));
    }
    net.assert_empty();
}

#[test]
fn a_bound_stream_flows_from_a_key_frame_on() {
    let (mut net, (publisher, audio, video), (viewer, mids)) = connected(2);
    net.stream(publisher, audio, video, 10);
    assert!(net.clients[viewer].received.is_empty());

    let Event::Bound {
        slot,
        audio_mid,
        video_mid,
        tracks,
        ..
    } = net.bind(0, 2, 1, 0)
    else {
        panic!()
    };
    assert_eq!(
        (slot, audio_mid.as_str(), video_mid.as_str()),
        (0, &*mids[0], &*mids[1])
    );
    assert_eq!(tracks.len(), 2);
    net.run(Duration::from_millis(50));
    net.stream(publisher, audio, video, 30);
    net.run(Duration::from_millis(200));

    let pictures = net.clients[viewer].take_received(mids[1]);
    assert!(pictures.len() >= 80, "{} packets", pictures.len());
    assert_eq!(
        pictures[0].payload[4] & 1,
        0,
        "the first packet begins a key frame"
    );
    for pair in pictures.windows(2) {
        assert_eq!(*pair[1].seq_no, *pair[0].seq_no + 1);
    }
    let sound = net.clients[viewer].take_received(mids[0]);
    assert!(sound.len() >= 29, "{} packets", sound.len());
    assert_eq!(sound[0].header.ext_vals.audio_level, Some(-30));
    assert!(
        net.clients[publisher].feedback > 5,
        "transport-wide feedback for the publisher's controller"
    );

    let started = net
        .events
        .iter()
        .filter(|event| matches!(event, Event::TrackStarted { .. }))
        .count();
    assert_eq!(started, 2);
    let flowing: Vec<(Kind, u32)> = net
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Flowing {
                session: SessionId(2),
                stream: StreamId(1),
                kind,
                rtp_timestamp,
                ..
            } => Some((*kind, *rtp_timestamp)),
            _ => None,
        })
        .collect();
    assert_eq!(flowing.len(), 2);
    assert!(flowing.contains(&(Kind::Video, pictures[0].header.timestamp)));
    assert!(flowing.contains(&(Kind::Audio, sound[0].header.timestamp)));
    finish(net, &[1, 2]);
}

#[test]
fn requests_for_key_frames_are_merged() {
    let mut net = Network::new(1);
    let (publisher, ..) = net.publisher(0, 1);
    for session in 2..5 {
        net.viewer(0, session, 1);
    }
    net.run(SETTLE);
    assert_eq!(net.clients[publisher].key_frame_requests, 0);
    for session in 2..5 {
        net.bind(0, session, 1, 0);
    }
    net.run(Duration::from_millis(100));
    assert_eq!(net.clients[publisher].key_frame_requests, 1);
    // No key frame comes: what was asked meanwhile goes out once half a second has passed.
    net.run(Duration::from_millis(350));
    assert_eq!(net.clients[publisher].key_frame_requests, 1);
    net.run(Duration::from_millis(200));
    assert_eq!(net.clients[publisher].key_frame_requests, 2);
    finish(net, &[1, 2, 3, 4]);
}

#[test]
fn a_viewers_own_request_reaches_the_publisher() {
    let (mut net, (publisher, audio, video), (viewer, mids)) = connected(1);
    net.bind(0, 2, 1, 0);
    net.run(Duration::from_millis(100));
    net.stream(publisher, audio, video, 30);
    net.clients[publisher].key_frame_requests = 0;
    let now = net.now;
    net.clients[viewer].request_key_frame(now, mids[1]);
    net.run(Duration::from_millis(100));
    assert_eq!(net.clients[publisher].key_frame_requests, 1);
    finish(net, &[1, 2]);
}

#[test]
fn an_unbind_stops_the_sending_at_once() {
    let (mut net, (publisher, audio, video), (viewer, _)) = connected(1);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 20);
    // Packets get lost just before, so that the viewer asks for repairs afterwards.
    net.drop_every = 3;
    net.stream(publisher, audio, video, 2);
    assert!(matches!(net.unbind(0, 2, 1), Event::Done { .. }));
    let sent = net.media_transmitted;
    // What was on its way arrives; nothing is sent any more.
    net.run(Duration::from_millis(15));
    net.clients[viewer].received.clear();
    net.stream(publisher, audio, video, 20);
    assert_eq!(net.media_transmitted, sent, "neither packets nor repairs");
    assert_eq!(net.clients[viewer].received.len(), 0);
    assert!(
        matches!(net.unbind(0, 2, 1), Event::Done { .. }),
        "as free as before"
    );
    finish(net, &[1, 2]);
}

#[test]
fn a_slot_goes_on_where_it_was_when_another_stream_is_bound() {
    let (mut net, (publisher, audio, video), (viewer, mids)) = connected(1);
    let (other, other_audio, other_video) = net.publisher(0, 3);
    net.run(SETTLE);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 20);
    net.unbind(0, 2, 1);
    net.run(Duration::from_secs(2));
    let before = net.clients[viewer].take_received(mids[1]);
    net.clients[viewer].received.clear();

    net.bind(0, 2, 3, 0);
    net.stream(other, other_audio, other_video, 20);
    net.run(Duration::from_millis(100));
    let after = net.clients[viewer].take_received(mids[1]);
    let (last, first) = (before.last().unwrap(), &after[0]);
    assert_eq!(first.header.ssrc, last.header.ssrc);
    assert_eq!(*first.seq_no, *last.seq_no + 1);
    assert_eq!(first.payload[4] & 1, 0, "a rebind begins with a key frame");
    let jump = f64::from(first.header.timestamp.wrapping_sub(last.header.timestamp)) / 90_000.0;
    let waited = (first.timestamp - last.timestamp).as_secs_f64();
    assert!(
        (jump - waited).abs() < 0.1,
        "timestamps went on by {jump} s in {waited} s"
    );
    let picture = |payload: &[u8]| u16::from_be_bytes([payload[2] & 0x7f, payload[3]]);
    assert_eq!(picture(&first.payload), picture(&last.payload) + 1);
    finish(net, &[1, 2, 3]);
}

#[test]
fn lost_packets_are_repaired() {
    let (mut net, (publisher, audio, video), (viewer, mids)) = connected(1);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    net.drop_every = 5;
    net.stream(publisher, audio, video, 60);
    net.drop_every = 0;
    net.stream(publisher, audio, video, 40);
    let pictures = net.clients[viewer].take_received(mids[1]);
    let mut numbers: Vec<u64> = pictures.iter().map(|packet| *packet.seq_no).collect();
    numbers.sort_unstable();
    let (low, high) = (numbers[0], numbers[numbers.len() - 1]);
    assert_eq!(
        numbers.len() as u64,
        high - low + 1,
        "packets are missing for good"
    );
    assert!(numbers.len() > 300);
    let reported = net.events.iter().rev().find_map(|event| match event {
        Event::Stats {
            session: SessionId(2),
            values,
        } => Some(values.clone()),
        _ => None,
    });
    let rtx = reported
        .unwrap()
        .iter()
        .find(|(name, _)| *name == "rtx")
        .unwrap()
        .1;
    assert!(rtx >= 20.0, "{rtx} repairs");
    finish(net, &[1, 2]);
}

#[test]
fn frames_are_to_be_shown_at_once_where_the_viewer_agreed_to_it() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer_with(0, 2, 1, |config| {
        config
            .clear_codecs()
            .enable_opus(true)
            .enable_vp8(true)
            .set_extension(5, Extension::PlayoutDelay)
    });
    net.run(SETTLE);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    net.run(Duration::from_millis(100));
    let pictures = net.clients[viewer].take_received(mids[1]);
    let delay = |packet: &str0m::rtp::RtpPacket| {
        packet
            .header
            .ext_vals
            .play_delay_max
            .map(|delay| delay.numer())
    };
    assert_eq!(delay(&pictures[0]), Some(0));
    let sound = net.clients[viewer].take_received(mids[0]);
    assert_eq!(delay(&sound[0]), None);
    finish(net, &[1, 2]);
}

#[test]
fn sender_reports_line_sound_and_pictures_up() {
    let (mut net, (publisher, audio, video), (viewer, mids)) = connected(1);
    net.stream(publisher, audio, video, 60);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 90);
    let pictures = net.clients[viewer].take_received(mids[1]);
    let sound = net.clients[viewer].take_received(mids[0]);
    let client = &net.clients[viewer];
    let report = |mid| {
        client
            .reports
            .iter()
            .rev()
            .find(|(section, ..)| *section == mid)
            .copied()
            .unwrap()
    };
    // Sound and pictures of one call of `stream` were made at one time; their reports must say so.
    let shown = |packet: &str0m::rtp::RtpPacket, mid, rate: f64| {
        let (_, rtp, wall) = report(mid);
        let ahead = f64::from(packet.header.timestamp.wrapping_sub(rtp).cast_signed()) / rate;
        wall.duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs_f64()
            + ahead
    };
    let pair = pictures.iter().rev().find_map(|picture| {
        let ms = picture.header.timestamp / 90;
        sound
            .iter()
            .find(|sound| sound.header.timestamp / 48 == ms)
            .map(|sound| (picture, sound))
    });
    let (picture, sound) = pair.unwrap();
    let apart = shown(picture, mids[1], 90_000.0) - shown(sound, mids[0], 48_000.0);
    assert!(apart.abs() < 0.003, "{} ms apart", apart * 1000.0);
    finish(net, &[1, 2]);
}

#[test]
fn the_end_of_a_publisher_frees_its_slots() {
    let (mut net, (publisher, audio, video), (viewer, _)) = connected(1);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    assert_eq!(net.workers[0].bindings(), 1);
    assert!(matches!(net.close(0, 1), Event::Done { .. }));
    assert_eq!(net.workers[0].bindings(), 0);
    net.run(Duration::from_millis(100));
    assert!(net.clients[publisher].closed, "the publisher is told");
    assert!(!net.clients[viewer].closed);
    let Event::Failed { reason, .. } = net.bind(0, 2, 1, 0) else {
        panic!()
    };
    assert_eq!(reason, Reason::UnknownStream);
    finish(net, &[2]);
}

#[test]
fn a_stream_that_the_viewer_cannot_decode_is_refused_by_name() {
    let mut net = Network::new(1);
    net.publisher(0, 1);
    net.viewer_with(0, 2, 1, |config| {
        config
            .clear_codecs()
            .enable_opus(true)
            .enable_av1(true)
            .enable_h264(true)
    });
    net.run(SETTLE);
    let Event::Failed { reason, detail, .. } = net.bind(0, 2, 1, 0) else {
        panic!()
    };
    assert_eq!(reason, Reason::NoCodec);
    for name in ["VP8", "AV1", "H264"] {
        assert!(detail.contains(name), "{detail}");
    }
    assert_eq!(net.workers[0].bindings(), 0);
    finish(net, &[1, 2]);
}

#[test]
fn a_stream_bound_before_the_handshake_flows_after_it() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    net.run(SETTLE);
    let (viewer, mids) = net.viewer(0, 2, 1);
    assert!(matches!(net.bind(0, 2, 1, 0), Event::Bound { .. }));
    net.stream(publisher, audio, video, 30);
    let pictures = net.clients[viewer].take_received(mids[1]);
    assert!(pictures.len() > 30);
    assert_eq!(pictures[0].payload[4] & 1, 0);
    finish(net, &[1, 2]);
}

#[test]
fn a_viewer_that_gets_no_datagrams_through_is_served_over_tcp() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let client = Client::over(
        str0m::net::Protocol::Tcp,
        net.now,
        "198.51.100.90:6000",
        |config| config.clear_codecs().enable_opus(true).enable_vp8(true),
    );
    let sections = [
        (MediaKind::Audio, Direction::RecvOnly),
        (MediaKind::Video, Direction::RecvOnly),
    ];
    let mids = net.open(client, &sections, 0, |ticket, offer| Command::OpenViewer {
        ticket,
        session: SessionId(2),
        offer,
    });
    net.run(SETTLE);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(50));
    assert_eq!(net.clients[1].take_received(mids[1]).len(), 60);
    let path = Path {
        protocol: Protocol::Tcp,
        local: address(0),
        remote: net.clients[1].address,
    };
    net.handle(0, Input::TcpClosed(path));
    finish(net, &[1, 2]);
}

#[test]
fn behind_a_mapped_address_answers_leave_from_where_the_questions_came_to() {
    let mut net = Network::new(1);
    net.mapped = Some("10.0.0.5:3478".parse().unwrap());
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(SETTLE);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(50));
    assert_eq!(net.clients[viewer].take_received(mids[1]).len(), 60);
    finish(net, &[1, 2]);
}
