//! Real clients against a worker, in memory and in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs
)]

mod client;
mod network;
#[cfg(not(feature = "str0m-viewer"))]
mod own_offer;

mod bad_input;
mod bursts;
mod delay;
mod in_place;
mod layers;
mod lifetime;
mod publish_play;
mod renegotiation;
mod replay;
mod simulcast;
mod snapshot;
mod workers;
