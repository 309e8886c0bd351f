use std::time::Duration;

use sanderling_media::demux::{self, Class};
use sanderling_sfu::{Batch, Input, MAX_DATAGRAM, Output, Path, Protocol};

use crate::network::{Network, address};

/// Packets that come in together leave viewer by viewer, so that each one's lie side by side, and in their order.
fn together(workers: usize, viewers: &[(usize, u64)]) {
    let mut net = Network::new(workers);
    let (publisher, audio, video) = net.publisher(0, 1);
    let places: Vec<_> = viewers
        .iter()
        .map(|(worker, session)| net.viewer(*worker, *session, 1))
        .collect();
    net.run(Duration::from_millis(500));
    for (worker, session) in viewers {
        net.bind(*worker, *session, 1, 0);
    }
    net.stream(publisher, audio, video, 3);
    net.run(Duration::from_millis(200));
    for (viewer, mids) in &places {
        net.clients[*viewer].take_received(mids[1]);
    }

    net.bursts.clear();
    let (now, mut ticks) = (net.now, 500);
    for _ in 0..4 {
        net.clients[publisher].send_vp8(now, video, ticks * 90, false);
        net.clients[publisher].send_opus(now, audio, ticks * 48);
        ticks += 33;
    }
    net.run(Duration::from_millis(50));

    // Sixteen packets: two trains of eight, each for one viewer after the other.
    let mut expected: Vec<Vec<_>> = Vec::new();
    for worker in 0..workers {
        let here: Vec<_> = viewers
            .iter()
            .zip(&places)
            .filter(|((on, _), _)| *on == worker)
            .map(|(_, (viewer, _))| net.clients[*viewer].address)
            .collect();
        let train = here.iter().flat_map(|address| [*address; 8]);
        expected.push(train.clone().chain(train).collect());
    }
    if workers == 1 {
        assert_eq!(net.bursts, expected);
    } else {
        // Between the workers of this network each message is delivered by itself.
        assert_eq!(net.bursts[0], expected[0]);
        assert_eq!(net.bursts[1..].concat().len(), expected[1].len());
    }
    for (viewer, mids) in &places {
        let pictures = net.clients[*viewer].take_received(mids[1]);
        let sequences: Vec<u64> = pictures.iter().map(|packet| *packet.seq_no).collect();
        assert_eq!(sequences.len(), 12);
        assert!(sequences.is_sorted(), "{sequences:?}");
    }
}

#[test]
fn packets_that_come_together_leave_viewer_by_viewer() {
    together(1, &[(0, 2), (0, 3), (0, 4)]);
}

#[test]
fn so_do_those_of_another_worker() {
    together(2, &[(0, 2), (0, 3), (1, 4)]);
}

#[test]
fn what_came_before_a_viewer_left_still_reaches_it() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 3);
    net.run(Duration::from_millis(200));
    net.clients[viewer].take_received(mids[1]);
    let now = net.now;
    net.clients[publisher].send_vp8(now, video, 50_000, false);
    net.hold_then(0, |ticket| sanderling_sfu::Command::Close {
        ticket,
        session: sanderling_sfu::SessionId(2),
    });
    net.run(Duration::from_millis(50));
    assert_eq!(net.clients[viewer].take_received(mids[1]).len(), 3);
    net.close(0, 1);
    net.assert_empty();
}

/// Counts packets that are written where they leave from, and those that are copied there. Reports are copied.
#[derive(Default)]
struct Written {
    in_place: usize,
    copied: usize,
}

impl Batch for Written {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.copied += usize::from(demux::classify(datagram) == Some(Class::Rtp));
    }

    fn put(&mut self, _path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        let mut room = [0; MAX_DATAGRAM];
        self.in_place += usize::from(write(&mut room[..limit]) > 0);
    }
}

#[test]
fn a_timer_that_is_due_with_a_burst_does_not_have_it_copied() {
    let mut net = Network::new(1);
    let (publisher, audio, video) = net.publisher(0, 1);
    net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);
    net.stream(publisher, audio, video, 3);
    net.run(Duration::from_millis(200));
    let now = net.now;
    net.clients[publisher].send_vp8(now, video, 50_000, false);
    let path = Path {
        protocol: Protocol::Udp,
        local: address(0),
        remote: net.clients[publisher].address,
    };
    let worker = &mut net.workers[0];
    let before = worker.packets_forwarded();
    while let Some((_, datagram)) = net.clients[publisher].take() {
        worker.handle(now, Input::Datagram(path, &datagram));
    }
    worker.handle(now, Input::Timeout);
    let mut written = Written::default();
    while !matches!(worker.poll(now, &mut written), Output::WakeAt(_)) {}
    assert_eq!(worker.packets_forwarded() - before, 3);
    assert_eq!((written.in_place, written.copied), (3, 0));
}
