//! The only crate that touches the operating system: sockets, clock, threads and descriptors.
//!
//! A [`Node`] runs a number of worker threads. Each owns one [`sanderling_sfu::Worker`] and its sockets, and does
//! nothing but carry datagrams, commands and messages in and what comes of them out. Nothing here knows what a
//! packet means.
#![allow(clippy::disallowed_methods)] // The border: this is where clock, sockets and threads come from.

mod added_delay;
mod backlog;
pub mod bench;
mod config;
mod counters;
mod datagrams;
mod departures;
mod frame;
pub mod fuzz;
mod interfaces;
mod journal;
#[cfg(target_os = "linux")]
mod linux;
mod mailbox;
mod node;
mod outbox;
mod portable;
mod reactor;
mod sockets;
mod tcp;
mod transmit;
mod wake;
mod worker_core;

pub use added_delay::{BUCKETS, bounds_us};
pub use config::{Backend, Config, StartError};
pub use counters::Totals;
pub use datagrams::{DatagramReceiver, DatagramSender};
pub use mailbox::Refused;
pub use node::Node;
pub use outbox::{Notice, Outbox};
