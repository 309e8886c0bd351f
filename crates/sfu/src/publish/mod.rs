//! Publishers and the streams they make.

mod key_frames;
mod layers;
mod publisher;
mod spread;
mod stream;

pub(crate) use publisher::Publisher;
pub(crate) use spread::{FASTER, SPREAD};
pub use stream::Cached;
pub(crate) use stream::{Changes, KeyFrameDecision, Mark, PendingBind, Stream};
