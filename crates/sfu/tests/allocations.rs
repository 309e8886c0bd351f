//! Once it is warm, a worker forwards without allocating: from the packet that comes in to the datagrams that leave.
#![cfg(not(feature = "str0m-viewer"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    dead_code,
    missing_docs
)]

#[path = "../../rtc/tests/rig/allocator.rs"]
mod allocator;
#[path = "it/client.rs"]
mod client;
#[path = "it/network.rs"]
mod network;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_media::Extensions;
use sanderling_sfu::{
    Batch, Codec, Input, Kind, MAX_DATAGRAM, Output, Packet, Path, PeerMessage, StreamId, WorkerId,
};

use network::Network;

/// Packets that come in together.
const BURST: u64 = 8;
/// Time between two bursts.
const INTERVAL: Duration = Duration::from_millis(20);
/// Bursts from key frame to key frame.
const GROUP: u64 = 50;
/// Bursts before anything is counted: what is kept for repairs reaches back two seconds, and the viewers, who are not
/// there any more, are no longer taken for slow ones after some more.
const WARM_UP: u64 = 700;
/// Bursts that are counted.
const COUNTED: u64 = 150;

/// Takes datagrams into one buffer.
struct Sink {
    room: [u8; MAX_DATAGRAM],
    datagrams: u64,
}

impl Batch for Sink {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.room[..datagram.len()].copy_from_slice(datagram);
        self.datagrams += 1;
    }

    fn put(&mut self, _path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        self.datagrams += u64::from(write(&mut self.room[..limit]) > 0);
    }
}

fn packet(at: Instant, burst: u64, place: u64) -> Packet {
    let (first, key) = (place == 0, burst.is_multiple_of(GROUP));
    let start = if first { 0x90 } else { 0x80 };
    let mut payload = vec![start, 0x80, 0x80 | (burst >> 8) as u8, burst as u8];
    payload.push(u8::from(!key));
    payload.resize(1_000, place as u8);
    Packet {
        kind: Kind::Video,
        codec: Codec::Vp8,
        layer: 0,
        sequence: 1 << 20 | (burst * BURST + place),
        timestamp: (burst * 1_800) as u32,
        marker: place + 1 == BURST,
        frame_start: first,
        key_frame: first && key,
        extensions: Extensions::default(),
        arrival: at,
        captured: at,
        payload: Arc::from(payload),
    }
}

#[test]
fn a_warm_worker_forwards_without_allocating() {
    // The packets come from another worker: what a publisher's own session allocates to take one in is not the
    // fan-out's, and is there once per packet, however many viewers there are.
    let mut net = Network::new(2);
    let (publisher, audio, video) = net.publisher(0, 1);
    let viewers = [2, 3, 4];
    for viewer in viewers {
        net.viewer(1, viewer, 1);
    }
    net.run(Duration::from_millis(500));
    for viewer in viewers {
        net.bind(1, viewer, 1, 0);
    }
    net.stream(publisher, audio, video, 5);
    net.run(Duration::from_millis(100));

    let worker = &mut net.workers[1];
    let mut sink = Sink {
        room: [0; MAX_DATAGRAM],
        datagrams: 0,
    };
    let (mut allocated, mut forwarded) = (0, 0);
    for burst in 0..WARM_UP + COUNTED {
        let now = net.now + INTERVAL * u32::try_from(burst).unwrap();
        let packets: Vec<_> = (0..BURST)
            .map(|place| Arc::new(packet(now, burst, place)))
            .collect();
        let (calls, before) = (allocator::calls(), worker.packets_forwarded());
        for packet in packets {
            let message = PeerMessage::Packet {
                stream: StreamId(1),
                packet,
            };
            worker.handle(now, Input::Peer(WorkerId(0), message));
        }
        let mut events = 0;
        while !matches!(worker.poll(now, &mut sink), Output::WakeAt(_)) {
            events += 1;
        }
        // A report once a second and the like tells of it by an event; what is forwarded does not.
        if burst >= WARM_UP && events == 0 {
            allocated += allocator::calls() - calls;
            forwarded += worker.packets_forwarded() - before;
        }
    }
    assert!(
        forwarded >= COUNTED / 2 * BURST * viewers.len() as u64,
        "only {forwarded} packets were forwarded"
    );
    assert_eq!(allocated, 0, "allocations for {forwarded} packets");
}
