//! Viewers that the worker makes by an offer of its own.

use std::time::Duration;

use sanderling_sfu::{CloseReason, Command, Event, Reason, SessionId, StreamId};
use str0m::media::Mid;

use crate::client::Client;
use crate::network::Network;

const SETTLE: Duration = Duration::from_millis(500);

fn offered(net: &mut Network, session: u64, stream: u64) -> String {
    let event = net.command(0, |ticket| Command::OfferViewer {
        ticket,
        session: SessionId(session),
        stream: StreamId(stream),
    });
    let Event::Answered { sdp, .. } = event else {
        panic!("{event:?}")
    };
    sdp
}

fn accept(net: &mut Network, session: u64, answer: &str) -> Event {
    let answer = answer.to_owned();
    net.command(0, |ticket| Command::Accept {
        ticket,
        session: SessionId(session),
        answer,
    })
}

fn player(net: &Network) -> Client {
    Client::new(net.now, "198.51.100.90:5000", |config| {
        config.clear_codecs().enable_opus(true).enable_vp8(true)
    })
}

fn refused(event: &Event) -> (Reason, &str) {
    let Event::Failed { reason, detail, .. } = event else {
        panic!("{event:?}")
    };
    (*reason, detail)
}

#[test]
fn an_answer_to_the_own_offer_connects_and_plays() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    net.run(SETTLE);
    let offer = offered(&mut net, 2, 1);
    assert!(offer.contains("VP8/90000") && offer.contains("opus/48000/2"));
    assert_eq!(offer.matches("a=setup:actpass").count(), 2);
    assert_eq!(offer.matches("a=sendonly").count(), 2);
    assert!(offer.contains("a=candidate:") && offer.contains("a=ssrc-group:FID"));
    let mut client = player(&net);
    let answer = client.accept(net.now, &offer);
    let viewer = net.clients.len();
    net.clients.push(client);
    // Its checks are under way already; the worker passes over them until it knows whose they are.
    net.run(Duration::from_secs(1));
    assert!(!net.clients[viewer].connected);
    assert!(matches!(accept(&mut net, 2, &answer), Event::Done { .. }));
    net.run(Duration::from_secs(3));
    assert!(net.clients[viewer].connected);
    assert!(matches!(net.bind(0, 2, 1, 0), Event::Bound { .. }));
    net.stream(publisher, audio, video, 30);
    let [sound, pictures] = ["0", "1"].map(|mid| net.clients[viewer].take_received(Mid::from(mid)));
    assert!(
        sound.len() > 25 && pictures.len() > 30,
        "{}",
        pictures.len()
    );
    let again = accept(&mut net, 2, &answer);
    assert_eq!(refused(&again).0, Reason::BadOffer);
    for session in [2, 1] {
        net.close(0, session);
    }
    net.run(SETTLE);
    net.assert_empty();
}

#[test]
fn the_payload_types_and_ids_are_those_of_the_answer() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    net.run(SETTLE);
    let offer = offered(&mut net, 2, 1);
    // RFC 3264 section 6.1: an answer may number them in its own way.
    let renumbered = offer
        .replace("SAVPF 96 97", "SAVPF 100 101")
        .replace(":96 ", ":100 ")
        .replace(":97 ", ":101 ")
        .replace("apt=96", "apt=100");
    let mut client = player(&net);
    let answer = client.accept(net.now, &renumbered);
    let viewer = net.clients.len();
    net.clients.push(client);
    assert!(matches!(accept(&mut net, 2, &answer), Event::Done { .. }));
    net.run(Duration::from_secs(3));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    let pictures = net.clients[viewer].take_received(Mid::from("1"));
    assert!(!pictures.is_empty());
    assert!(
        pictures
            .iter()
            .all(|packet| *packet.header.payload_type == 100)
    );
}

#[test]
fn answers_that_cannot_be_used_say_why_and_change_nothing() {
    let mut net = Network::new(1);
    net.publisher(0, 1);
    net.run(SETTLE);
    let offer = offered(&mut net, 2, 1);
    let answer = player(&net).accept(net.now, &offer);
    let only_audio = answer.split("m=video").next().unwrap().to_owned();
    let turned = answer.replace("a=recvonly", "a=sendonly");
    let passive = answer.replace("a=setup:active", "a=setup:passive");
    let undecided = answer.replace("a=setup:active", "a=setup:actpass");
    let other = answer.replace("VP8", "AV1").replace("opus", "PCMU");
    let moved = answer
        .replace("a=mid:1", "a=mid:7")
        .replace("BUNDLE 0 1", "BUNDLE 0 7");
    for (bad, reason, word) in [
        ("v=0\r\n".to_owned(), Reason::BadOffer, "section"),
        (only_audio, Reason::BadOffer, "2"),
        (turned, Reason::BadOffer, "receives"),
        (passive, Reason::BadOffer, "DTLS server"),
        (undecided, Reason::BadOffer, "DTLS server"),
        (other, Reason::NoCodec, "codec"),
        (moved, Reason::BadOffer, "section 7"),
    ] {
        let event = accept(&mut net, 2, &bad);
        let (why, detail) = refused(&event);
        assert_eq!(why, reason, "{detail}");
        assert!(detail.contains(word), "{detail}");
    }
    assert!(matches!(accept(&mut net, 2, &answer), Event::Done { .. }));
}

#[test]
fn an_offer_that_nobody_answers_ends_and_leaves_nothing() {
    let mut net = Network::new(1);
    net.publisher(0, 1);
    net.run(SETTLE);
    offered(&mut net, 2, 1);
    net.run(Duration::from_secs(16));
    assert!(net.events.iter().any(|event| matches!(
        event,
        Event::Closed {
            session: SessionId(2),
            reason: CloseReason::IceTimeout
        }
    )));
    assert_eq!(refused(&accept(&mut net, 2, "")).0, Reason::UnknownSession);
    let none = net.command(0, |ticket| Command::OfferViewer {
        ticket,
        session: SessionId(3),
        stream: StreamId(9),
    });
    assert_eq!(refused(&none).0, Reason::UnknownStream);
    net.close(0, 1);
    net.run(SETTLE);
    net.assert_empty();
}
