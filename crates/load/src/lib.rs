//! Load generator: thousands of real viewers on one core, and publishers, against any WebRTC server.
//!
//! Every session has its own socket, a full ICE agent, a DTLS client and SRTP, and says over RTCP what a browser would
//! say: receiver reports each second, transport-wide feedback, requests for missing packets and key frames, consent
//! checks. Signalling is the caller's: it carries the descriptions.
//!
//! * [`load`](Load): the threads and what can be asked of them
//! * `worker`: one thread, its sockets and timers
//! * `viewer`, `source`, `receive`: what came, what is missing, what it shows
//! * `publisher`, `schedule`, `recorded`, `pattern`, `payload`: what is sent
//! * `sdp`, `rtp`, `rtcp`, `arrivals`: what is on the wire
#![allow(clippy::disallowed_methods)] // The border: sockets, clock and threads of a tool.

mod arrivals;
mod config;
mod exit;
mod first;
mod frames;
pub mod fuzz;
mod history;
mod load;
mod pattern;
mod payload;
mod publisher;
mod receive;
mod recorded;
mod rtcp;
mod rtp;
mod schedule;
mod sdp;
mod source;
mod viewer;
mod wheel;
mod worker;

pub use config::{Config, LoadError, MAX_SLOTS, MAX_THREADS, Report};
pub use frames::Frame;
pub use load::Load;
pub use publisher::PublisherReport;
pub use recorded::recorded_packets;
pub use schedule::{Pattern, Recorded};
pub use viewer::{StreamReport, Totals, ViewerReport};
