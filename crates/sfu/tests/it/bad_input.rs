use std::time::Duration;

use sanderling_sfu::{CloseReason, Command, Event, Input, Path, Protocol, Reason, SessionId};

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

/// A check that names `fragment`, with attributes behind the name.
fn check(fragment: &str, attributes: &[u8]) -> Vec<u8> {
    let mut name = format!("{fragment}:abcd").into_bytes();
    let length = name.len() as u16;
    name.resize(name.len().next_multiple_of(4), 0);
    let total = (4 + name.len() + attributes.len()) as u16;
    let mut bytes = vec![0, 1];
    bytes.extend(total.to_be_bytes());
    bytes.extend([0x21, 0x12, 0xa4, 0x42]);
    bytes.extend([7; 12]);
    bytes.extend([0, 6]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(name);
    bytes.extend_from_slice(attributes);
    bytes
}

#[test]
fn who_knows_no_password_gets_no_more_bytes_than_it_sent_and_fills_no_table() {
    let mut net = Network::new(1);
    let mut fragments = Vec::new();
    for (session, offer) in [
        (8, GOOD.to_owned()),
        (9, GOOD.replace("sendonly", "recvonly")),
    ] {
        let event = net.command(0, |ticket| match session {
            8 => Command::OpenPublisher {
                codecs: Vec::new(),
                ticket,
                session: SessionId(session),
                offer,
            },
            _ => Command::OpenViewer {
                ticket,
                session: SessionId(session),
                offer,
            },
        });
        let Event::Answered { sdp, .. } = event else {
            panic!("{event:?}")
        };
        let mut lines = sdp.lines();
        let fragment = lines.find_map(|line| line.strip_prefix("a=ice-ufrag:"));
        fragments.push(fragment.unwrap().to_owned());
    }
    let held = net.workers[0].table_entries();
    let mut integrity = vec![0, 8, 0, 20];
    integrity.extend([9; 20]);
    let mut hello = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60, 1, 0, 0, 48];
    hello.resize(73, 0);
    for fragment in &fragments {
        let requests = [
            check(fragment, &[]),
            check(fragment, &integrity),
            // An unknown attribute that must be understood, priority and control as in a real check.
            check(fragment, &[0x7f, 0x0f, 0, 0]),
            check(
                fragment,
                &[
                    0, 0x24, 0, 4, 1, 2, 3, 4, 0x80, 0x2a, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8,
                ],
            ),
            check(&format!("{fragment}x"), &integrity),
            hello.clone(),
        ];
        for port in 1..200_u16 {
            for request in &requests {
                let before = net.transmitted_bytes;
                let path = Path {
                    protocol: Protocol::Udp,
                    local: address(0),
                    remote: std::net::SocketAddr::new("203.0.113.9".parse().unwrap(), port),
                };
                net.handle(0, Input::Datagram(path, request));
                assert!(
                    net.transmitted_bytes - before <= request.len(),
                    "{request:?}"
                );
            }
        }
    }
    // Nothing was learnt from it: no path, no handshake.
    assert_eq!(net.workers[0].table_entries(), held);
    assert!(net.workers[0].datagrams_refused() >= 199 * 6 * 2);
}

#[test]
fn a_publisher_whose_handshake_breaks_ends_at_once() {
    let mut net = Network::new(1);
    net.publisher(0, 1);
    // Checks have passed on both sides, and the first flight is under way.
    net.run(Duration::from_millis(35));
    assert!(!net.clients[0].connected);
    let path = Path {
        protocol: Protocol::Udp,
        local: address(0),
        remote: net.clients[0].address,
    };
    // A fatal alert, handshake_failure: what a client says that accepts none of our ciphers.
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    net.handle(0, Input::Datagram(path, &alert));
    let closed = net.events.iter().find_map(|event| match event {
        Event::Closed { session, reason } => Some((*session, *reason)),
        _ => None,
    });
    assert_eq!(closed, Some((SessionId(1), CloseReason::DtlsFailed)));
    net.assert_empty();
}

#[test]
fn one_source_cannot_have_any_number_of_handshakes_under_way() {
    // Held by many at once in the table's own test; here one comes and goes with its session.
    let mut net = Network::new(1);
    net.publisher(0, 1);
    net.viewer(0, 2, 1);
    net.run(Duration::from_millis(35));
    let under_way = net.workers[0].handshakes();
    net.run(Duration::from_millis(500));
    assert!(net.clients.iter().all(|client| client.connected));
    assert_eq!((under_way, net.workers[0].handshakes()), (2, 0));
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
