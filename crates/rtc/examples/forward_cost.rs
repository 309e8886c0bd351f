//! What one forwarded packet costs without a socket, and what one viewer weighs, on both engines for viewers.
//!
//! `cargo run --release --example forward_cost -- [viewers] [packets] [egress|str0m|both] [slots]` prints one JSON object per
//! engine. Under `valgrind --tool=callgrind --toggle-collect='*measured*'` the instructions counted are those of the
//! forwards alone; divide by `forwards`.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a measurement: it reads the clock and stops at the first surprise"
)]

#[path = "../tests/rig/allocator.rs"]
mod allocator;
#[allow(dead_code)]
#[path = "../tests/rig/mod.rs"]
mod rig;

use std::time::{Duration, Instant};

use sanderling_media::{Codec, LayerStore, Packet, Path};
use sanderling_rtc::{Certificate, EgressViewer, Header, Output, Str0mViewer};

use rig::{Engine, Rig, packet};

/// Payload of a packet, bytes: a full one of a browser's.
const PAYLOAD: usize = 1_150;
/// Between two packets: 250 a second, 2.3 Mb/s.
const INTERVAL: Duration = Duration::from_millis(4);
/// Packets before anything is measured: ten seconds of traffic.
const WARM_UP: u64 = 2_500;

/// Takes datagrams into one buffer.
struct Sink {
    room: Box<[u8; 2048]>,
    bytes: u64,
}

impl sanderling_rtc::Batch for Sink {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.room[..datagram.len()].copy_from_slice(datagram);
        self.bytes += datagram.len() as u64;
    }

    fn put(&mut self, _path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        self.bytes += write(&mut self.room[..limit]) as u64;
    }
}

/// Time that this thread has spent on a processor: on a busy machine the clock on the wall measures the others.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let ns = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(ns.unwrap())
}

fn picture(start: Instant, number: u64) -> (Packet, Header) {
    let mut payload = vec![0x90, 0xe0, 0x91, number as u8, 7, 0x20, 1];
    payload.resize(PAYLOAD, number as u8);
    let at = start + INTERVAL * u32::try_from(number).unwrap();
    let timestamp = (number * 360) as u32;
    let header = Header {
        sequence: 1_000 + number,
        timestamp,
        picture: None,
        playout_delay: None,
    };
    (packet(Codec::Vp8, at, number, timestamp, &payload), header)
}

/// One packet to every viewer, then what the worker does: drain each.
#[inline(never)]
fn measured<S: Engine>(sessions: &mut [S], packet: &Packet, header: Header, sink: &mut Sink) {
    let now = packet.arrival;
    for session in &mut *sessions {
        for slot in 0..session.slots() {
            session.write(now, slot, packet, header, sink).unwrap();
        }
    }
    for session in sessions {
        drain(session, now, sink);
    }
}

fn drain<S: Engine>(session: &mut S, now: Instant, sink: &mut Sink) {
    let wake = loop {
        match session.poll(now, &mut sink.room[..]) {
            Output::Transmit { len, .. } => sink.bytes += len as u64,
            Output::Event(_) => {}
            Output::WakeAt(at, _) => break at,
        }
    };
    if wake.is_some_and(|at| at <= now) {
        session.handle_timeout(now);
        while !matches!(session.poll(now, &mut sink.room[..]), Output::WakeAt(..)) {}
    }
}

fn run<S: Engine>(viewers: usize, packets: u64, slots: usize) {
    let certificate = Certificate::generate().unwrap();
    let start = Instant::now();
    let mut connected = start;
    let store = LayerStore::default();
    let mut sessions: Vec<S> = Vec::new();
    let before = allocator::live();
    for _ in 0..viewers {
        let mut rig: Rig<S> = Rig::connected(start, &certificate, slots);
        for slot in 0..rig.session.slots() {
            rig.session
                .repair_from(slot, sanderling_media::Kind::Video, &store);
        }
        // A receiver report and feedback are under way: long enough for the handshake to be over on both sides.
        connected = rig.now;
        sessions.push(rig.session);
    }
    let idle = (allocator::live() - before) / viewers as i64;
    let mut sink = Sink {
        room: Box::new([0; 2048]),
        bytes: 0,
    };
    for number in 0..WARM_UP {
        let (packet, header) = picture(connected, number);
        store.keep(&packet);
        measured(&mut sessions, &packet, header, &mut sink);
    }
    let ready: Vec<_> = (WARM_UP..WARM_UP + packets)
        .map(|number| picture(connected, number))
        .collect();
    let begin = cpu_time();
    let mut allocations = 0;
    for (packet, header) in &ready {
        store.keep(packet);
        let calls = allocator::calls();
        measured(&mut sessions, packet, *header, &mut sink);
        allocations += allocator::calls() - calls;
    }
    let spent = cpu_time() - begin;
    let forwards = packets * viewers as u64 * slots as u64;
    let with = allocator::live();
    drop(sessions);
    let bytes = (with - allocator::live()) / viewers as i64;
    println!(
        "{{\"engine\": \"{}\", \"viewers\": {viewers}, \"slots\": {slots}, \"forwards\": {forwards}, \"ns_per_forward\": {:.0}, \
         \"allocations_per_forward\": {:.3}, \"bytes_per_idle_viewer\": {idle}, \"bytes_per_viewer\": {bytes}, \
         \"bytes_sent\": {}}}",
        S::NAME,
        spent.as_nanos() as f64 / forwards as f64,
        allocations as f64 / forwards as f64,
        sink.bytes
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual: usize| {
        let given = arguments.get(at).and_then(|text| text.parse().ok());
        given.unwrap_or(usual)
    };
    let (viewers, packets) = (number(0, 50), number(1, 2_000) as u64);
    let slots = number(3, 1);
    let which = arguments.get(2).map_or("both", String::as_str);
    if matches!(which, "egress" | "both") {
        run::<EgressViewer>(viewers, packets, slots);
    }
    if matches!(which, "str0m" | "both") {
        run::<Str0mViewer>(viewers, packets, slots);
    }
}
