//! The worker core: publishers, viewers and the fan-out between them. No sockets, no clock, no threads.
//!
//! **Drain contract.** Give a [`Worker`] with [`Worker::handle`] what came in at one time, any number of things, then
//! call [`Worker::poll`] with the same `now` until it returns [`Output::WakeAt`]. Datagrams to send are put into the
//! caller's [`Batch`] meanwhile. `now` never goes backwards.

mod api;
mod demux;
mod handshakes;
mod json;
mod number_map;
mod outbox;
mod publish;
mod schedule;
mod session_life;
mod subscribe;
mod worker;

pub use api::*;
pub use sanderling_media::{Codec, Packet};
pub use sanderling_rtc::{Batch, Certificate, MAX_DATAGRAM, TrackInfo};
pub use worker::{Worker, WorkerConfig};
