//! The worker core: publishers, viewers and the fan-out between them.

mod api;
mod worker;

pub use api::*;
pub use worker::{Worker, WorkerConfig};
