use std::time::Duration;

use sanderling_sfu::{CloseReason, Command, Event, Input, Path, Protocol, Reason, SessionId};

use crate::network::{Network, address};

fn closed(net: &Network, wanted: u64) -> Option<CloseReason> {
    net.events.iter().find_map(|event| match event {
        Event::Closed { session, reason } if *session == SessionId(wanted) => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_session_that_never_connects_ends_after_fifteen_seconds() {
    let mut net = Network::new(1);
    net.publisher(0, 1);
    net.clients.clear();
    net.run(Duration::from_millis(14_900));
    assert_eq!(closed(&net, 1), None);
    net.run(Duration::from_millis(200));
    assert_eq!(closed(&net, 1), Some(CloseReason::IceTimeout));
    net.assert_empty();
}

#[test]
fn a_peer_that_falls_silent_is_let_go() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    net.clients.clear();
    net.run(Duration::from_secs(29));
    assert_eq!((closed(&net, 1), closed(&net, 2)), (None, None));
    net.run(Duration::from_secs(6));
    assert_eq!(closed(&net, 1), Some(CloseReason::ConsentExpired));
    assert_eq!(closed(&net, 2), Some(CloseReason::ConsentExpired));
    net.assert_empty();
}

#[test]
fn an_idle_viewer_stays_as_long_as_it_answers() {
    let mut net = Network::new(1);
    net.viewer(0, 2, 1);
    net.run(Duration::from_secs(120));
    assert_eq!(closed(&net, 2), None);
    assert!(net.workers[0].sessions() == 1);
}

#[test]
fn an_idle_viewer_is_reported_as_long_as_it_is_heard_and_no_longer() {
    let mut net = Network::new(1);
    net.viewer(0, 2, 1);
    net.run(Duration::from_secs(30));
    let silences = |net: &Network| -> Vec<f64> {
        let of = |event: &Event| {
            match event {
                Event::Stats { values, .. } => values.iter().find(|(name, _)| *name == "silent_ms"),
                _ => None,
            }
            .map(|(_, silent)| *silent)
        };
        net.events.iter().filter_map(of).collect()
    };
    let heard = silences(&net);
    assert!(heard.len() >= 3, "{} reports in 30 s", heard.len());
    assert!(heard.iter().all(|silent| *silent < 1_000.0), "{heard:?}");
    net.clients.clear();
    net.run(Duration::from_secs(2));
    let so_far = silences(&net).len();
    net.run(Duration::from_secs(20));
    assert_eq!(silences(&net).len(), so_far);
}

#[test]
fn a_peer_that_says_goodbye_is_gone_at_once() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, _) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 10);
    let now = net.now;
    net.clients[publisher].close(now);
    net.run(Duration::from_millis(100));
    assert_eq!(closed(&net, 1), Some(CloseReason::PeerClosed));
    assert_eq!(net.workers[0].bindings(), 0);
    let now = net.now;
    net.clients[viewer].close(now);
    net.run(Duration::from_millis(100));
    assert_eq!(closed(&net, 2), Some(CloseReason::PeerClosed));
    net.assert_empty();
}

#[test]
fn the_wrong_certificate_is_refused() {
    let mut net = Network::new(1);
    let (publisher, ..) = net.publisher(0, 1);
    // Same offer, but the fingerprint in it is another one's.
    let offer = net.clients[publisher]
        .rtc
        .direct_api()
        .local_dtls_fingerprint()
        .to_string();
    assert!(offer.len() > 60);
    net.clients.clear();
    net.close(0, 1);

    let mut client = crate::client::Client::new(net.now, "198.51.100.77:5000", |config| config);
    let sections = [(
        str0m::media::MediaKind::Audio,
        str0m::media::Direction::SendOnly,
    )];
    let (sdp, _) = client.offer(&sections);
    let line = sdp
        .lines()
        .find(|line| line.starts_with("a=fingerprint"))
        .unwrap()
        .to_owned();
    let wrong = line.replace(
        &line[line.len() - 2..],
        if line.ends_with("00") { "01" } else { "00" },
    );
    let sdp = sdp.replace(&line, &wrong);
    let event = net.command(0, |ticket| Command::OpenPublisher {
        ticket,
        session: SessionId(9),
        offer: sdp,
        codecs: Vec::new(),
    });
    let Event::Answered { sdp, .. } = event else {
        panic!("{event:?}")
    };
    client.answer(net.now, &sdp);
    net.clients.push(client);
    net.run(Duration::from_secs(2));
    assert_eq!(closed(&net, 9), Some(CloseReason::DtlsFailed));
    net.assert_empty();
}

#[test]
fn numbers_are_used_once_and_the_node_has_an_end() {
    let mut net = Network::new(1);
    for session in 1..=4 {
        net.viewer(0, session, 1);
    }
    let mut refused = |session: u64| {
        let mut client = crate::client::Client::new(net.now, "198.51.100.77:5000", |config| config);
        let sections = [(
            str0m::media::MediaKind::Audio,
            str0m::media::Direction::RecvOnly,
        )];
        let (offer, _) = client.offer(&sections);
        let event = net.command(0, |ticket| Command::OpenViewer {
            ticket,
            session: SessionId(session),
            offer,
        });
        let Event::Failed { reason, .. } = event else {
            panic!("{event:?}")
        };
        reason
    };
    assert_eq!(refused(1), Reason::Duplicate);
    assert_eq!(refused(5), Reason::TooManySessions);
    for session in 1..=4 {
        net.close(0, session);
    }
    let Event::Failed { reason, .. } = net.close(0, 4) else {
        panic!()
    };
    assert_eq!(reason, Reason::UnknownSession);
    net.assert_empty();
}

#[test]
fn work_grows_with_what_happens_and_not_with_who_is_there() {
    let mut net = Network::new(1);
    for session in 1..=4 {
        net.viewer(0, session, 1);
    }
    net.run(Duration::from_millis(700));
    let steps = |net: &mut Network| -> u64 {
        let event = net.command(0, |ticket| Command::Snapshot { ticket });
        let Event::Snapshot { json, .. } = event else {
            panic!("{event:?}")
        };
        let (_, rest) = json.split_once("\"drain_steps\":").unwrap();
        rest.split(',').next().unwrap().parse().unwrap()
    };
    let before = steps(&mut net);
    let path = Path {
        protocol: Protocol::Udp,
        local: address(0),
        remote: net.clients[0].address,
    };
    for _ in 0..50 {
        // A report that does not decipher: it is looked at by the one session on its path.
        net.handle(
            0,
            Input::Datagram(path, &[0x80, 201, 0, 7, 0, 0, 0, 1, 9, 9, 9, 9]),
        );
    }
    let grown = steps(&mut net) - before;
    assert!((50..=60).contains(&grown), "{grown} steps for 50 datagrams");
}
