//! Viewers, and what is bound to their slots.

mod feed;
mod forwarder;
mod safety;
mod video;
mod viewer;

pub(crate) use safety::{Load, Step};
pub(crate) use viewer::{Forwarded, Viewer};
