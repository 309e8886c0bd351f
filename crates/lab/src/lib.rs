//! Virtual network and scripted peers around the worker core.
//!
//! A [`Lab`] holds real [`sanderling_sfu::Worker`]s and real WebRTC clients, a virtual clock and a network whose every
//! loss and delay comes from one seed. Nothing in it waits: hours of a call take as long as their packets.
//!
//! ```
//! use sanderling_lab::{Lab, Link, Source, secs};
//!
//! let mut lab = Lab::seed(7);
//! let host = lab.publisher("host", Source::vp8(25), Link::wifi());
//! let guest = lab.viewer("guest", Link::clean());
//! lab.run(secs(1));
//! lab.play(guest, host);
//! lab.run(secs(2));
//! assert!(lab.seen(guest).video.len() > 30);
//! lab.end();
//! ```

mod client;
pub mod fuzz;
mod handshake;
mod host;
mod lab;
mod media;
mod network;
mod random;
mod steps;
mod trace;

pub use client::Seen;
pub use handshake::{Handshake, Keys};
pub use lab::{Lab, PeerId};
pub use media::{SeenFrame, Source};
pub use network::Link;
pub use random::Random;
pub use sanderling_sfu::LayerChoice;
pub use trace::{Replay, Trace};

use std::time::Duration;

/// So many seconds.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// So many milliseconds.
pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
