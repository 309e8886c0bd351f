//! Forwarded packets are written where they leave from. The engine of the comparison hands each over in its own way.
#![cfg(not(feature = "str0m-viewer"))]

use std::time::Duration;

use sanderling_media::demux::{self, Class};
use sanderling_sfu::{Batch, Input, MAX_DATAGRAM, Output, Path, Protocol};

use crate::network::{Network, address};

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
