//! Offers of real clients, answered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

mod answers;
mod client;
mod data;
mod egress;
mod mutations;
mod negotiation;
mod pictures;
#[path = "../rig/mod.rs"]
mod rig;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use sanderling_media::Protocol;
use sanderling_rtc::{Certificate, Config, Random, WallClock};

/// An offer that a real client made; `vectors/sdp/README.md` says which.
pub fn vector(name: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/sdp/");
    std::fs::read_to_string(format!("{path}{name}.sdp")).unwrap()
}

pub const VECTORS: [&str; 6] = [
    "chromium-viewer",
    "chromium-publisher",
    "chromium-simulcast",
    "wrtc-viewer",
    "wrtc-publisher",
    "wrtc-simulcast",
];

pub fn config() -> Config {
    let certificate = Certificate::generate().unwrap();
    let address = "192.0.2.1:40000".parse().unwrap();
    Config {
        random: Random::new(&certificate, [5; 32]),
        codecs: Vec::new(),
        certificate,
        candidates: Arc::from([(Protocol::Udp, address), (Protocol::Tcp, address)]),
        wall_clock: WallClock::new(Instant::now(), SystemTime::now()),
    }
}

/// Lines of one section of an SDP, the m= line first.
pub fn section(sdp: &str, index: usize) -> Vec<&str> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in sdp.split_terminator("\r\n") {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections.swap_remove(index)
}
