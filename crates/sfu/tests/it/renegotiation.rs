use std::time::Duration;

use sanderling_sfu::{Command, Event, SessionId};
use str0m::media::{Direction, MediaKind};

use crate::network::Network;

fn ssrcs(sdp: &str) -> Vec<String> {
    sdp.lines()
        .filter(|line| line.starts_with("a=ssrc:"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_viewer_grows_its_slots_while_a_stream_flows() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (second, second_audio, second_video) = net.publisher(0, 3);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    let Event::Failed { reason, detail, .. } = net.bind(0, 2, 3, 0) else {
        panic!()
    };
    assert_eq!(reason, sanderling_sfu::Reason::NoSlot);
    assert!(detail.contains("1 slots"), "{detail}");

    let sections = [
        (MediaKind::Audio, Direction::RecvOnly),
        (MediaKind::Video, Direction::RecvOnly),
    ];
    let (offer, new) = net.clients[viewer].offer(&sections);
    let event = net.command(0, |ticket| Command::Offer {
        ticket,
        session: SessionId(2),
        offer: offer.clone(),
    });
    let Event::Answered { sdp, .. } = event else {
        panic!("{event:?}")
    };
    let now = net.now;
    net.clients[viewer].answer(now, &sdp);
    let Event::Bound {
        slot, video_mid, ..
    } = net.bind(0, 2, 3, 0)
    else {
        panic!()
    };
    assert_eq!((slot, video_mid.as_str()), (1, &*new[1]));
    net.clients[viewer].received.clear();
    for _ in 0..20 {
        net.stream(publisher, audio, video, 1);
        net.stream(second, second_audio, second_video, 1);
    }
    net.run(Duration::from_millis(100));
    assert!(net.clients[viewer].take_received(mids[1]).len() > 30);
    assert!(net.clients[viewer].take_received(new[1]).len() > 30);

    // The same offer again: what is there keeps its SSRCs.
    let event = net.command(0, |ticket| Command::Offer {
        ticket,
        session: SessionId(2),
        offer,
    });
    let Event::Answered { sdp: again, .. } = event else {
        panic!("{event:?}")
    };
    assert_eq!(ssrcs(&again), ssrcs(&sdp));
    assert_eq!(ssrcs(&sdp).len(), 2 * 2 * (1 + 2));
    for session in [1, 2, 3] {
        net.close(0, session);
    }
    net.assert_empty();
}

#[test]
fn an_ice_restart_keeps_the_stream() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);

    let offer = net.clients[viewer].ice_restart();
    let event = net.command(0, |ticket| Command::Offer {
        ticket,
        session: SessionId(2),
        offer,
    });
    let Event::Answered { sdp, .. } = event else {
        panic!("{event:?}")
    };
    let now = net.now;
    net.clients[viewer].answer(now, &sdp);
    net.stream(publisher, audio, video, 20);
    net.clients[viewer].received.clear();
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(50));
    let pictures = net.clients[viewer].take_received(mids[1]);
    assert_eq!(pictures.len(), 60);
    net.run(Duration::from_secs(60));
    assert_eq!(
        net.workers[0].sessions(),
        2,
        "consent goes on under the new credentials"
    );
}

#[test]
fn a_bad_later_offer_changes_nothing() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    let event = net.command(0, |ticket| Command::Offer {
        ticket,
        session: SessionId(2),
        offer: "v=0\r\nm=".into(),
    });
    assert!(
        matches!(
            event,
            Event::Failed {
                reason: sanderling_sfu::Reason::BadOffer,
                ..
            }
        ),
        "{event:?}"
    );
    net.stream(publisher, audio, video, 20);
    assert!(net.clients[viewer].take_received(mids[1]).len() > 30);
}
