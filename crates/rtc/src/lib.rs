//! One peer's WebRTC transport: offers and answers, ICE-lite, DTLS-SRTP, RTCP. The only crate that names str0m.

mod capture_clock;
mod certificate;
pub mod client;
mod config;
mod dependency;
mod egress;
pub mod fuzz;
mod peer;
mod publisher;
mod random;
pub mod sdp;
mod session;
mod track;
mod viewer;

pub use certificate::Certificate;
pub use config::{Config, WallClock};
pub use egress::EgressViewer;
pub use publisher::Str0mPublisher;
pub use random::Random;
pub use sdp::Rejected;
pub use session::{
    Accepted, Allowance, Batch, Event, Header, IceCredentials, MAX_DATAGRAM, Output, Session,
    Statistics, WakeReason, WriteError,
};
pub use track::{Profile, TrackInfo};
pub use viewer::Str0mViewer;
