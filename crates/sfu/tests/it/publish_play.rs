use std::time::Duration;

use sanderling_sfu::{Event, Kind, SessionId, StreamId};

use crate::network::Network;

#[test]
fn a_bound_stream_flows_from_a_key_frame_on() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 2);
    net.run(Duration::from_millis(500));
    assert!(net.clients[publisher].connected && net.clients[viewer].connected);
    net.stream(publisher, audio, video, 10);
    assert!(net.clients[viewer].received.is_empty());

    let Event::Bound { slot, audio_mid, video_mid, tracks, .. } = net.bind(0, 2, 1, 0) else { panic!() };
    assert_eq!((slot, audio_mid.as_str(), video_mid.as_str()), (0, &*mids[0], &*mids[1]));
    assert_eq!(tracks.len(), 2);
    net.run(Duration::from_millis(50));
    net.stream(publisher, audio, video, 30);
    net.run(Duration::from_millis(200));

    let pictures = net.clients[viewer].take_received(mids[1]);
    assert!(pictures.len() >= 80, "{} packets", pictures.len());
    assert_eq!(pictures[0].payload[4] & 1, 0, "the first packet begins a key frame");
    assert_eq!(pictures[0].header.ext_vals.play_delay_max.map(|delay| delay.numer()), None);
    for pair in pictures.windows(2) {
        assert_eq!(*pair[1].seq_no, *pair[0].seq_no + 1);
    }
    let sound = net.clients[viewer].take_received(mids[0]);
    assert!(sound.len() >= 29, "{} packets", sound.len());
    assert_eq!(sound[0].header.ext_vals.audio_level, Some(-30));
    assert!(net.clients[publisher].feedback > 5, "transport-wide feedback for the publisher's controller");

    let started = net.events.iter().filter(|event| matches!(event, Event::TrackStarted { .. })).count();
    assert_eq!(started, 2);
    let flowing: Vec<(Kind, u32)> = net
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Flowing { session: SessionId(2), stream: StreamId(1), kind, rtp_timestamp, .. } => {
                Some((*kind, *rtp_timestamp))
            }
            _ => None,
        })
        .collect();
    assert_eq!(flowing.len(), 2);
    assert!(flowing.contains(&(Kind::Video, pictures[0].header.timestamp)));
    assert!(flowing.contains(&(Kind::Audio, sound[0].header.timestamp)));
}
