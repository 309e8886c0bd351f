//! What the sockets alone can do, with the same code that workers use: the floor that a forward is compared with.

mod floor;
mod null_forwarder;

use std::time::Duration;

pub use floor::{Floor, FloorConfig, SendFloor};
pub use null_forwarder::{NullForwarder, NullReport};

/// Processor time of the calling thread; zero where the system has no way to ask.
fn cpu_time() -> Duration {
    #[cfg(target_os = "linux")]
    return crate::linux::cpu_time();
    #[cfg(not(target_os = "linux"))]
    Duration::ZERO
}
