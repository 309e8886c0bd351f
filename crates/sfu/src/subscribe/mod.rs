//! Viewers, and what is bound to their slots.

mod feed;
mod forwarder;
mod video;
mod viewer;

pub(crate) use viewer::{Forwarded, Viewer};
