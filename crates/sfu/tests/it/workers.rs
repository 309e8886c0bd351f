use std::time::Duration;

use sanderling_sfu::{Command, Event, Reason};

use crate::network::Network;

#[test]
fn a_stream_crosses_workers_once_and_ends_everywhere() {
    let mut net = Network::new(2);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (here, here_mids) = net.viewer(0, 2, 1);
    let (there, there_mids) = net.viewer(1, 3, 1);
    let (also, also_mids) = net.viewer(1, 4, 1);
    net.run(Duration::from_millis(500));
    for (worker, session) in [(0, 2), (1, 3), (1, 4)] {
        assert!(matches!(
            net.bind(worker, session, 1, 0),
            Event::Bound { .. }
        ));
    }
    net.run(Duration::from_millis(100));
    assert_eq!(
        net.clients[publisher].key_frame_requests, 1,
        "requests of both workers are merged"
    );
    net.stream(publisher, audio, video, 30);
    net.run(Duration::from_millis(100));
    for (viewer, mids) in [(here, here_mids), (there, there_mids), (also, also_mids)] {
        let pictures = net.clients[viewer].take_received(mids[1]);
        assert_eq!(pictures.len(), 90);
        assert_eq!(pictures[0].payload[4] & 1, 0);
    }
    net.close(0, 1);
    assert_eq!(
        (net.workers[0].bindings(), net.workers[1].bindings()),
        (0, 0)
    );
    for (worker, session) in [(0, 2), (1, 3), (1, 4)] {
        net.close(worker, session);
    }
    net.assert_empty();
}

#[test]
fn a_worker_lets_go_of_a_stream_with_its_last_viewer() {
    let mut net = Network::new(2);
    let (publisher, audio, video) = net.publisher(0, 1);
    let (there, mids) = net.viewer(1, 3, 1);
    net.run(Duration::from_millis(500));
    net.bind(1, 3, 1, 0);
    net.stream(publisher, audio, video, 10);
    net.unbind(1, 3, 1);
    net.close(1, 3);
    assert_eq!(net.workers[1].table_entries(), 0);
    let Event::Snapshot { json, .. } = net.command(0, |ticket| Command::Snapshot { ticket }) else {
        panic!()
    };
    assert!(json.contains("\"pulled_by\":[]"), "{json}");
    net.clients[there].take_received(mids[1]);
    // Nobody pulls: only the publisher's own worker has work.
    let before = net.transmitted;
    net.stream(publisher, audio, video, 1);
    assert!(net.transmitted - before < 6);
    net.close(0, 1);
    net.assert_empty();
}

#[test]
fn a_stream_that_no_worker_has_is_refused() {
    let mut net = Network::new(2);
    net.viewer(1, 3, 1);
    let Event::Failed { reason, .. } = net.bind(1, 3, 99, 0) else {
        panic!()
    };
    assert_eq!(reason, Reason::UnknownStream);
    net.close(1, 3);
    net.assert_empty();
}
