//! How late a viewer is asked to show pictures.

use std::time::Duration;

use sanderling_sfu::{Command, Event, Reason, SessionId, StreamId};
use str0m::rtp::{Extension, RtpPacket};

use crate::network::Network;

fn set_delay(net: &mut Network, viewer: u64, stream: u64, most: u16) -> Event {
    net.command(0, |ticket| Command::SetDelay {
        ticket,
        session: SessionId(viewer),
        stream: StreamId(stream),
        most,
    })
}

/// Limits that packets carry, milliseconds, each once.
fn limits(packets: &[RtpPacket]) -> Vec<(u128, u128)> {
    let mut seen: Vec<_> = packets
        .iter()
        .filter_map(|packet| {
            let values = &packet.header.ext_vals;
            let (least, most) = values.play_delay_min.zip(values.play_delay_max)?;
            let ms = |time: str0m::media::MediaTime| Duration::from(time).as_millis();
            Some((ms(least), ms(most)))
        })
        .collect();
    seen.dedup();
    seen
}

#[test]
fn live_pictures_carry_the_limit_of_their_binding() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let config = |config: str0m::RtcConfig| {
        config
            .clear_codecs()
            .enable_opus(true)
            .enable_vp8(true)
            .set_extension(5, Extension::PlayoutDelay)
    };
    let (viewer, mids) = net.viewer_with(0, 2, 1, config);
    let (other, other_mids) = net.viewer_with(0, 3, 1, config);
    net.run(Duration::from_millis(500));
    for session in [2, 3] {
        net.bind(0, session, 1, 0);
    }
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(100));
    for (client, mid) in [(viewer, mids[1]), (other, other_mids[1])] {
        let packets = net.clients[client].take_received(mid);
        assert_eq!(limits(&packets), [(0, 0)]);
    }
    assert!(matches!(set_delay(&mut net, 2, 1, 100), Event::Done { .. }));
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(100));
    assert_eq!(
        limits(&net.clients[viewer].take_received(mids[1])),
        [(0, 1000)]
    );
    // Each viewer has its own.
    assert_eq!(
        limits(&net.clients[other].take_received(other_mids[1])),
        [(0, 0)]
    );
    set_delay(&mut net, 2, 1, u16::MAX);
    net.stream(publisher, audio, video, 5);
    net.run(Duration::from_millis(100));
    assert_eq!(
        limits(&net.clients[viewer].take_received(mids[1])),
        [(0, 40_950)],
        "as much as the extension can say"
    );
    // A binding begins without.
    net.unbind(0, 2, 1);
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(100));
    assert_eq!(
        limits(&net.clients[viewer].take_received(mids[1])),
        [(0, 0)]
    );
    for session in [1, 2, 3] {
        net.close(0, session);
    }
    net.assert_empty();
}

#[test]
fn what_is_not_bound_has_no_limit() {
    let mut net = Network::new(1);
    net.publisher(0, 1);
    net.viewer(0, 2, 1);
    for (viewer, reason) in [(2, Reason::UnknownStream), (9, Reason::UnknownSession)] {
        let event = set_delay(&mut net, viewer, 1, 100);
        assert!(
            matches!(&event, Event::Failed { reason: found, .. } if *found == reason),
            "{event:?}"
        );
    }
}
