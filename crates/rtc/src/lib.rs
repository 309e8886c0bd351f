//! One peer's WebRTC transport.

mod certificate;
pub mod sdp;
mod session;
mod track;

pub use certificate::Certificate;
pub use session::*;
pub use track::{Profile, TrackInfo};
