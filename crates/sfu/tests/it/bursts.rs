use std::time::Duration;

use crate::network::Network;

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
