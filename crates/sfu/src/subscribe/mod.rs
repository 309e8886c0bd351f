//! Viewers, and what is bound to their slots.

mod forwarder;
mod viewer;

pub(crate) use viewer::{Forwarded, Viewer};
