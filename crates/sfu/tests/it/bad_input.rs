use std::time::Duration;

use sanderling_sfu::{Command, Event, Input, Path, Protocol, Reason, SessionId};

use crate::network::{Network, address};

fn noise(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn junk_harms_nobody() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    let mut state = 7;
    for round in 0..3_000 {
        let length = (noise(&mut state) % 120) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| noise(&mut state) as u8).collect();
        // Every other one looks like what the port expects, and half come from the publisher's own address.
        if let (Some(first), true) = (bytes.first_mut(), round % 2 == 0) {
            *first = [0, 22, 23, 0x80, 0x90][round / 2 % 5];
        }
        let remote = if round % 4 < 2 {
            net.clients[publisher].address
        } else {
            "203.0.113.9:9".parse().unwrap()
        };
        let path = Path {
            protocol: Protocol::Udp,
            local: address(0),
            remote,
        };
        net.handle(0, Input::Datagram(path, &bytes));
    }
    net.clients[viewer].received.clear();
    net.stream(publisher, audio, video, 20);
    net.run(Duration::from_millis(50));
    assert!(net.clients[viewer].take_received(mids[1]).len() > 50);
    net.close(0, 1);
    net.close(0, 2);
    net.assert_empty();
}

#[test]
fn unknown_senders_get_no_answer() {
    let mut net = Network::new(1);
    net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    let before = net.transmitted;
    let stranger = Path {
        protocol: Protocol::Udp,
        local: address(0),
        remote: "203.0.113.9:9".parse().unwrap(),
    };
    for first in 0..=255_u8 {
        let mut bytes = [first; 40];
        bytes[1] = 1;
        net.handle(0, Input::Datagram(stranger, &bytes));
    }
    assert_eq!(net.transmitted, before);
}

const GOOD: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:abcd\r\n\
    a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 \
    00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
    a=setup:actpass\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n";

#[test]
fn offers_that_cannot_be_used_are_refused_with_the_reason() {
    let mut net = Network::new(1);
    // (text to replace, with what, what the refusal says, reason)
    let rows = [
        (
            "v=0\r\n",
            "",
            "line 1: an SDP begins with v=0",
            Reason::BadOffer,
        ),
        (
            "m=audio 9",
            "m=audio x",
            "line 6: the port",
            Reason::BadOffer,
        ),
        (
            "a=ice-ufrag:abcd\r\n",
            "",
            "no a=ice-ufrag",
            Reason::BadOffer,
        ),
        (
            "a=ice-ufrag:abcd",
            "a=ice-ufrag:a",
            "line 9: an ICE value",
            Reason::BadOffer,
        ),
        (
            "a=ice-pwd:0123456789012345678901\r\n",
            "",
            "no a=ice-pwd",
            Reason::BadOffer,
        ),
        (
            "a=fingerprint:sha-256",
            "a=fingerprint:sha-1",
            "the only fingerprint is sha-1",
            Reason::BadOffer,
        ),
        (
            ":FF\r\n",
            "\r\n",
            "line 11: the fingerprint",
            Reason::BadOffer,
        ),
        (
            "a=setup:actpass",
            "a=setup:passive",
            "DTLS server",
            Reason::BadOffer,
        ),
        (
            "a=sendonly",
            "a=recvonly",
            "no section sends",
            Reason::BadOffer,
        ),
        ("a=rtcp-mux\r\n", "", "no a=rtcp-mux", Reason::BadOffer),
        (
            "opus/48000/2",
            "PCMU/8000",
            "offered PCMU; the server takes",
            Reason::NoCodec,
        ),
        (
            "a=mid:0",
            "a=mid:way-too-long-a-mid",
            "line 8: a mid has",
            Reason::BadOffer,
        ),
        (
            "a=rtpmap:111 opus",
            "a=rtpmap:200 opus",
            "line 15: a=rtpmap",
            Reason::BadOffer,
        ),
        (
            "t=0 0\r\n",
            "t=0 0\r\na=ice-lite\r\n",
            "ICE-lite",
            Reason::BadOffer,
        ),
        (
            "s=-",
            "s=\u{7}",
            "line 3: a control character",
            Reason::BadOffer,
        ),
    ];
    for (number, (from, to, says, wanted)) in rows.into_iter().enumerate() {
        assert!(GOOD.contains(from), "{from}");
        let offer = GOOD.replace(from, to);
        let event = net.command(0, |ticket| Command::OpenPublisher {
            ticket,
            session: SessionId(7),
            offer,
            codecs: Vec::new(),
        });
        let Event::Failed { reason, detail, .. } = event else {
            panic!("row {number}: {event:?}")
        };
        assert_eq!(reason, wanted, "row {number}: {detail}");
        assert!(detail.contains(says), "row {number}: {detail}");
    }
    for huge in [
        String::new(),
        "v=0\r\n".to_owned() + &"a=x\r\n".repeat(60_000),
    ] {
        let event = net.command(0, |ticket| Command::OpenViewer {
            ticket,
            session: SessionId(7),
            offer: huge,
        });
        assert!(
            matches!(
                event,
                Event::Failed {
                    reason: Reason::BadOffer,
                    ..
                }
            ),
            "{event:?}"
        );
    }
    net.assert_empty();
    let event = net.command(0, |ticket| Command::OpenPublisher {
        ticket,
        session: SessionId(7),
        offer: GOOD.into(),
        codecs: Vec::new(),
    });
    assert!(matches!(event, Event::Answered { .. }), "{event:?}");
    net.close(0, 7);
    net.assert_empty();
}
