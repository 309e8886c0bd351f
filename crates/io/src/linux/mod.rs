//! The Linux back end: many datagrams per system call, and the descriptor of the event queue.
//!
//! The only module of the product with `unsafe`; every block is one system call or one view of its results.
#![allow(unsafe_code)]

mod address;
mod event_fd;
mod receive;
mod send;
mod thread;

pub(crate) use event_fd::EventFd;
pub(crate) use receive::{Receiver, prepare};
pub(crate) use send::Sender;
pub(crate) use thread::{cpu_time, pin};

const fn empty_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers only, for which all zeros is a valid value; the struct has private padding on
    // some C libraries, so it cannot be written out field by field.
    unsafe { std::mem::zeroed() }
}
