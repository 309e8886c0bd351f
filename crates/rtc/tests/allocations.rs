//! Once it is warm, forwarding a packet allocates nothing, and a viewer stays small.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

#[path = "rig/allocator.rs"]
mod allocator;
#[allow(dead_code)]
#[path = "rig/mod.rs"]
mod rig;

use std::time::{Duration, Instant};

use sanderling_media::{Codec, Path};
use sanderling_rtc::{Certificate, EgressViewer, Header, Output, Session};

use rig::{Rig, packet};

/// Takes datagrams into one buffer.
struct Sink {
    room: [u8; 2048],
    datagrams: usize,
}

impl sanderling_rtc::Batch for Sink {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.room[..datagram.len()].copy_from_slice(datagram);
        self.datagrams += 1;
    }

    fn put(&mut self, _path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        self.datagrams += usize::from(write(&mut self.room[..limit]) > 0);
    }
}

fn allocations(set_up: fn(str0m::RtcConfig) -> str0m::RtcConfig) -> (usize, u64) {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::new(Instant::now(), &certificate, 1, set_up);
    rig.run(Duration::from_millis(500));
    assert!(rig.seen.connected);
    assert!(rig.session.bind(0, &rig::track(Codec::Vp8)));
    rig.session
        .repair_from(0, sanderling_media::Kind::Video, &rig.store);
    let start = rig.now;
    let packets: Vec<_> = (0..2_000_u64)
        .map(|number| {
            let at = start + Duration::from_millis(number * 4);
            let payload = [&[0x90, 0x80, 0x91, 0][..], &[number as u8; 1_100]].concat();
            packet(Codec::Vp8, at, number, number as u32, &payload)
        })
        .collect();
    let mut sink = Sink {
        room: [0; 2048],
        datagrams: 0,
    };
    let mut buffer = [0; 2048];
    let mut before = 0;
    for (packet, number) in packets.iter().zip(0_u64..) {
        if number == 1_000 {
            before = allocator::calls();
            sink.datagrams = 0;
        }
        let header = Header {
            sequence: 100 + number,
            timestamp: packet.timestamp,
            picture: sanderling_media::PictureNumbers::of(packet),
            playout_delay: None,
        };
        let session = &mut rig.session;
        session
            .write(packet.arrival, 0, packet, header, &mut sink)
            .unwrap();
        // Reports that fall due meanwhile go out the same way.
        while !matches!(
            session.poll(packet.arrival, &mut buffer),
            Output::WakeAt(..)
        ) {}
    }
    (sink.datagrams, allocator::calls() - before)
}

#[test]
fn a_forward_allocates_nothing() {
    assert_eq!(
        allocations(|config| config.clear_codecs().enable_vp8(true).enable_opus(true)),
        (1_000, 0)
    );
}

/// Heap of a viewer with so many bound slots after ten seconds at this many packets a second on each, and
/// once nothing is bound any more.
fn heap(slots: usize, rate: u32) -> [i64; 2] {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, slots);
    let mut sink = Sink {
        room: [0; 2048],
        datagrams: 0,
    };
    let mut buffer = [0; 2048];
    let start = rig.now;
    for number in 0..10 * rate {
        let now = start + Duration::from_secs(1) / rate * number;
        let number = u64::from(number);
        let payload = [0x90, 0x80, 0x91, 0, 1];
        let packet = packet(Codec::Vp8, now, number, number as u32, &payload);
        for slot in 0..rig.session.slots() {
            let header = Header {
                sequence: 100 + number,
                timestamp: packet.timestamp,
                picture: None,
                playout_delay: None,
            };
            let session = &mut rig.session;
            session
                .write(now, slot, &packet, header, &mut sink)
                .unwrap();
        }
        while !matches!(rig.session.poll(now, &mut buffer), Output::WakeAt(..)) {}
        rig.session.handle_timeout(now);
    }
    let bound = allocator::live();
    for slot in 0..rig.session.slots() {
        rig.session.unbind(slot);
    }
    let unbound = allocator::live();
    drop(rig.session);
    let without = allocator::live();
    [bound - without, unbound - without]
}

#[test]
fn a_viewer_stays_small() {
    // (bound slots, packets a second on each, bytes, bytes after they are unbound)
    let rows = [
        (1, 250, 17 << 10, 15 << 10),
        (16, 250, 58 << 10, 30 << 10),
        (16, 25, 34 << 10, 27 << 10),
    ];
    for (slots, rate, limit, unbound_limit) in rows {
        let [bound, unbound] = heap(slots, rate);
        assert!(bound <= limit, "{slots} slots at {rate}/s: {bound} bytes");
        assert!(
            unbound <= unbound_limit,
            "{slots} slots, unbound: {unbound} bytes"
        );
    }
}

#[test]
fn the_counter_counts() {
    let before = allocator::calls();
    let kept = vec![1_u8; 100];
    assert!(allocator::calls() > before && allocator::live() > 0);
    drop(kept);
}
