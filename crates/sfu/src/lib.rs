//! The worker core: publishers, viewers and the fan-out between them. No sockets, no clock, no threads.
//!
//! **Drain contract.** Give a [`Worker`] one thing with [`Worker::handle`], then call [`Worker::poll`] until it
//! returns [`Output::WakeAt`]; only then give it the next. Each datagram that [`Output::Transmit`] names stands in the
//! caller's buffer until the next call. `now` never goes backwards.

mod api;
mod demux;
mod json;
mod outbox;
mod publish;
mod schedule;
mod session_life;
mod subscribe;
mod worker;

pub use api::*;
pub use sanderling_media::{Codec, Packet};
pub use sanderling_rtc::{Certificate, TrackInfo};
pub use worker::{Worker, WorkerConfig};

/// Smallest buffer for [`Worker::poll`], bytes.
pub const MIN_BUFFER: usize = sanderling_rtc::MAX_DATAGRAM;
