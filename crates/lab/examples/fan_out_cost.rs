//! What one forwarded packet costs the worker, from the publisher's datagram to finished datagrams, without sockets.
//!
//! `valgrind --tool=callgrind --toggle-collect='*Worker*handle*' --toggle-collect='*Worker*poll*' …/fan_out_cost
//! [viewers] [frames]` counts the instructions of the worker alone; divide them by `forwards` of the printed JSON
//! object. Frames are of three packets, which come in together. The viewers are gone once they are connected, so that
//! nothing is spent on receiving.

use std::time::Duration;

use sanderling_lab::{Lab, Link, Source, secs};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u64| {
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(usual)
    };
    let (viewers, frames) = (number(100), number(100));
    let mut lab = Lab::seed(1);
    let host = lab.publisher("host", Source::vp8(25).silent(), Link::clean());
    lab.run(secs(1));
    let guests: Vec<_> = (0..viewers)
        .map(|n| lab.viewer(&format!("guest {n}"), Link::clean()))
        .collect();
    lab.run(secs(1));
    for guest in &guests {
        lab.play(*guest, host);
    }
    lab.run(secs(1));
    for guest in &guests {
        lab.vanish(*guest);
    }
    let before = lab.packets_forwarded(0);
    lab.run(Duration::from_millis(40 * frames));
    let forwards = lab.packets_forwarded(0) - before;
    println!(
        "{{\"viewers\": {viewers}, \"frames\": {frames}, \"forwards\": {forwards}, \"before\": {before}}}"
    );
}
