//! Publishers and the streams they make.

mod key_frames;
mod layers;
mod publisher;
mod stream;

pub(crate) use publisher::Publisher;
pub(crate) use stream::{KeyFrameDecision, PendingBind, Stream};
