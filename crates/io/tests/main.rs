//! A node with real sockets on loopback, on each back end.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use sanderling_io::{Backend, Config, Node, Notice, Refused, StartError};
use sanderling_sfu::{Command, Event, Protocol, Reason, SessionId, Ticket, WorkerId};

const BACKENDS: [Backend; 2] = [Backend::Native, Backend::Portable];

fn node(backend: Backend) -> Node {
    let config = Config {
        listen: vec![IpAddr::from([127, 0, 0, 1])],
        backend,
        ..Config::default()
    };
    Node::start(&config).unwrap()
}

fn address(node: &Node, worker: usize) -> SocketAddr {
    let (_, address) = node.candidates()[worker]
        .iter()
        .find(|(protocol, _)| *protocol == Protocol::Udp)
        .unwrap();
    *address
}

/// Go on until `done`; a bound on how long a machine may be busy with something else, not on performance.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// A cheap generator of junk, the same every time.
fn junk(seed: u64, bytes: &mut [u8]) {
    let mut state = seed | 1;
    for byte in bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
}

fn snapshot(node: &Node, ticket: u64) -> String {
    node.command(
        WorkerId(0),
        Command::Snapshot {
            ticket: Ticket(ticket),
        },
    )
    .unwrap();
    let mut notices = Vec::new();
    let mut found = None;
    until("the snapshot", || {
        node.take_notices(100, &mut notices);
        found = notices.drain(..).find_map(|notice| match notice {
            Notice::Event(Event::Snapshot { ticket: got, json }) if got == Ticket(ticket) => {
                Some(json)
            }
            _ => None,
        });
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn random_datagrams_do_no_harm() {
    for backend in BACKENDS {
        let node = node(backend);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(address(&node, 0)).unwrap();
        let mut datagram = [0; 1500];
        for n in 0..5_000_u64 {
            junk(n + 1, &mut datagram);
            // STUN, DTLS, RTP, RTCP and anything at all, in every length.
            if let Some(first) = [0x00, 0x01, 0x16, 0x80, 0x81].get(n as usize % 6) {
                datagram[0] = *first;
            }
            client.send(&datagram[..(n as usize * 7) % 1500]).unwrap();
            if n % 64 == 0 {
                until("reading", || node.totals().packets_in > n);
            }
        }
        until("reading", || node.totals().packets_in == 5_000);
        assert!(snapshot(&node, 1).starts_with('{'));
        assert_eq!(node.totals().sessions, 0);
    }
}

#[test]
fn random_bytes_on_tcp_end_the_connection_and_nothing_else() {
    for backend in BACKENDS {
        let node = node(backend);
        let mut bytes = vec![0; 4096];
        for n in 0..100 {
            let mut client = TcpStream::connect(address(&node, 0)).unwrap();
            client
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            junk(n + 1, &mut bytes);
            bytes[0] = 0x40; // Announces a frame that is too long.
            // The server may close before it has read all; either way the connection must end.
            let _ = client.write_all(&bytes);
            let ended = client.read(&mut [0]);
            assert!(!matches!(ended, Ok(1..)), "{ended:?}");
            assert!(
                !matches!(&ended, Err(e) if e.kind() == std::io::ErrorKind::WouldBlock),
                "still open"
            );
        }
        assert!(snapshot(&node, 1).starts_with('{'));
    }
}

#[test]
fn framed_junk_on_tcp_is_counted_and_the_connection_stays() {
    for backend in BACKENDS {
        let node = node(backend);
        let mut client = TcpStream::connect(address(&node, 0)).unwrap();
        let mut body = [0; 600];
        for n in 0..1_000_u64 {
            junk(n + 1, &mut body);
            body[0] = 0x80;
            client.write_all(&600_u16.to_be_bytes()).unwrap();
            client.write_all(&body).unwrap();
        }
        until("reading", || node.totals().packets_in == 1_000);
        assert_eq!(node.totals().bytes_in, 600_000);
    }
}

#[test]
fn a_bad_offer_is_answered_with_its_reason() {
    let node = node(Backend::Native);
    let offer = "v=0\r\nnonsense".to_owned();
    node.command(
        WorkerId(0),
        Command::OpenPublisher {
            ticket: Ticket(5),
            session: SessionId(1),
            offer,
            codecs: Vec::new(),
        },
    )
    .unwrap();
    let mut notices = Vec::new();
    until("the answer", || {
        node.take_notices(10, &mut notices);
        !notices.is_empty()
    });
    let expected = matches!(
        &notices[0],
        Notice::Event(Event::Failed {
            ticket: Ticket(5),
            reason: Reason::BadOffer,
            ..
        })
    );
    assert!(expected, "{notices:?}");
}

#[test]
fn a_stopped_node_refuses_and_stops_again() {
    let node = node(Backend::Native);
    assert!(node.wake_number().is_some());
    let ask = |worker| node.command(WorkerId(worker), Command::Snapshot { ticket: Ticket(1) });
    assert_eq!(ask(1), Err(Refused::NoSuchWorker));
    assert_eq!(ask(0), Ok(()));
    node.stop();
    node.stop();
    assert_eq!(ask(0), Err(Refused::Closed));
    assert_eq!(node.wake_number(), None);
    // The sockets are closed: the port is free again, on both protocols.
    let address = address(&node, 0);
    UdpSocket::bind(address).unwrap();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn each_worker_has_its_own_port_out_of_the_range() {
    let first = 41_700;
    let config = Config {
        workers: 3,
        listen: vec![IpAddr::from([127, 0, 0, 1])],
        // Some of the range may be taken by others; three of twenty-one are enough.
        ports: (first, first + 20),
        ..Config::default()
    };
    let node = Node::start(&config).unwrap();
    let ports: Vec<u16> = (0..3).map(|worker| address(&node, worker).port()).collect();
    assert!(ports.iter().all(|port| (first..=first + 20).contains(port)));
    assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);

    let full = Config {
        workers: 1,
        ports: (ports[0], ports[0]),
        ..config
    };
    assert!(matches!(Node::start(&full), Err(StartError::System(..))));
}
