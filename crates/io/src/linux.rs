//! The Linux back end: many datagrams per system call, and the descriptor of the event queue.
//!
//! The only module of the product with `unsafe`; every block is one system call or one view of its results.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use mio::net::UdpSocket;

use crate::transmit::{Entry, MAX_BATCH, MAX_DATAGRAM, Received, Sent};

/// Datagrams per `recvmmsg`. Above some tens the cost per datagram no longer falls, and the buffers leave the cache.
const RECEIVE_BATCH: usize = 64;
/// `sendmmsg` takes at most 1024 (`UIO_MAXIOV`); a batch never has more entries than this.
const SEND_BATCH: usize = MAX_BATCH;

/// Address of any family, large enough for both used here.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

const EMPTY_V6: libc::sockaddr_in6 = libc::sockaddr_in6 {
    sin6_family: 0,
    sin6_port: 0,
    sin6_flowinfo: 0,
    sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
    sin6_scope_id: 0,
};

impl Name {
    const EMPTY: Name = Name { v6: EMPTY_V6 };

    /// Write an address; returns its length.
    fn set(&mut self, address: SocketAddr) -> libc::socklen_t {
        match address {
            SocketAddr::V4(v4) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from_ne_bytes(v4.ip().octets()),
                    },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            SocketAddr::V6(v6) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: v6.ip().octets(),
                    },
                    ..EMPTY_V6
                };
                size_of::<libc::sockaddr_in6>() as libc::socklen_t
            }
        }
    }

    /// Read the address that a system call of our two families wrote.
    fn get(&self) -> Option<SocketAddr> {
        // SAFETY: every member is plain integers, the union is initialized in full by `EMPTY`, and the family tells
        // which member the kernel wrote.
        unsafe {
            match i32::from(self.family) {
                libc::AF_INET => {
                    let ip = Ipv4Addr::from(self.v4.sin_addr.s_addr.to_ne_bytes());
                    Some(SocketAddr::new(
                        IpAddr::V4(ip),
                        u16::from_be(self.v4.sin_port),
                    ))
                }
                libc::AF_INET6 => {
                    let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
                    Some(SocketAddr::new(
                        IpAddr::V6(ip),
                        u16::from_be(self.v6.sin6_port),
                    ))
                }
                _ => None,
            }
        }
    }
}

/// Buffers and headers for whole batches, made once. The headers' pointers are set before each call and mean nothing
/// between calls.
pub(crate) struct Batches {
    received: Vec<u8>,
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
    names: Vec<Name>,
}

// SAFETY: the pointers in headers and pieces are written right before the system call that reads them, within one
// method call, and are never followed otherwise; everything they point at then is owned or borrowed by that call.
unsafe impl Send for Batches {}

const fn empty_header() -> libc::mmsghdr {
    // SAFETY: integers and pointers only, for which all zeros is a valid value; the struct has private padding on
    // some C libraries, so it cannot be written out field by field.
    unsafe { mem::zeroed() }
}

impl Batches {
    pub fn new() -> Self {
        let count = RECEIVE_BATCH.max(SEND_BATCH);
        Batches {
            received: vec![0; RECEIVE_BATCH * MAX_DATAGRAM],
            headers: vec![empty_header(); count],
            pieces: vec![
                libc::iovec {
                    iov_base: ptr::null_mut(),
                    iov_len: 0
                };
                count
            ],
            names: vec![Name::EMPTY; count],
        }
    }

    pub fn receive(&mut self, socket: &UdpSocket) -> Received {
        let slots = self.received.chunks_exact_mut(MAX_DATAGRAM);
        let parts = self
            .headers
            .iter_mut()
            .zip(&mut self.pieces)
            .zip(&mut self.names);
        for (slot, ((header, piece), name)) in slots.zip(parts) {
            *piece = libc::iovec {
                iov_base: slot.as_mut_ptr().cast(),
                iov_len: slot.len(),
            };
            *name = Name::EMPTY;
            *header = empty_header();
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: the first RECEIVE_BATCH headers point at distinct slots, pieces and names that live in `self`,
        // which is borrowed mutably for the whole call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                RECEIVE_BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => Received {
                count,
                more: count == RECEIVE_BATCH,
            },
            // A pending error of the socket is reported once and is gone; only an empty queue ends the reading.
            Err(_) => Received {
                count: 0,
                more: io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock,
            },
        }
    }

    pub fn datagram(&self, index: usize) -> Option<(SocketAddr, &[u8])> {
        let header = self.headers.get(index)?;
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let start = index * MAX_DATAGRAM;
        let bytes = self.received.get(start..start + header.msg_len as usize)?;
        Some((self.names[index].get()?, bytes))
    }

    pub fn send(&mut self, socket: &UdpSocket, buffer: &[u8], entries: &[Entry]) -> Sent {
        let mut sent = Sent::default();
        for entries in entries.chunks(SEND_BATCH) {
            let parts = self
                .headers
                .iter_mut()
                .zip(&mut self.pieces)
                .zip(&mut self.names);
            for (entry, ((header, piece), name)) in entries.iter().zip(parts) {
                let bytes = &buffer[entry.start..entry.start + entry.len];
                // The kernel only reads what a header to send points at.
                *piece = libc::iovec {
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                };
                *header = empty_header();
                header.msg_hdr.msg_namelen = name.set(entry.remote);
                header.msg_hdr.msg_name = ptr::from_mut(name).cast();
                header.msg_hdr.msg_iov = piece;
                header.msg_hdr.msg_iovlen = 1;
            }
            self.send_prepared(socket, entries, &mut sent);
        }
        sent
    }

    /// Send the headers that `entries` filled. A datagram that is refused is left out, and the rest goes on.
    fn send_prepared(&mut self, socket: &UdpSocket, entries: &[Entry], sent: &mut Sent) {
        let mut at = 0;
        while at < entries.len() {
            // SAFETY: headers `at..entries.len()` were filled by the caller and point into `self` and into the
            // buffer that it still borrows; the kernel writes only `msg_len`.
            let count = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    self.headers[at..].as_mut_ptr(),
                    (entries.len() - at) as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                )
            };
            match usize::try_from(count) {
                Ok(count) => {
                    sent.packets += count as u64;
                    sent.bytes += entries[at..at + count]
                        .iter()
                        .map(|e| e.len as u64)
                        .sum::<u64>();
                    at += count;
                }
                Err(_) => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        // The socket's buffer is full. Waiting would delay every other peer, so these are lost here
                        // as they would be on a full link.
                        sent.dropped += (entries.len() - at) as u64;
                        return;
                    }
                    _ => {
                        sent.dropped += 1;
                        at += 1;
                    }
                },
            }
        }
    }
}

/// An eventfd: readable while its counter is not zero.
#[derive(Debug)]
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it is owned.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Make it readable.
    pub fn raise(&self) {
        let one = 1_u64;
        // SAFETY: writes eight bytes from a live integer. It can fail only when the counter is full, and then the
        // descriptor is readable already.
        unsafe {
            libc::write(
                self.0.as_raw_fd(),
                ptr::from_ref(&one).cast(),
                size_of::<u64>(),
            )
        };
    }

    /// Make it unreadable.
    pub fn clear(&self) {
        let mut count = 0_u64;
        // SAFETY: reads eight bytes into a live integer. It fails only when the counter is zero already.
        unsafe {
            libc::read(
                self.0.as_raw_fd(),
                ptr::from_mut(&mut count).cast(),
                size_of::<u64>(),
            )
        };
    }

    /// Its number, for an event loop.
    pub fn number(&self) -> i64 {
        i64::from(self.0.as_raw_fd())
    }
}

/// Keep the calling thread on the `index`-th processor that this process may use. Only where there are enough for the
/// control plane to have its own; elsewhere the scheduler knows better.
pub(crate) fn pin(index: usize) {
    const ENOUGH: usize = 4;
    // SAFETY: `cpu_set_t` is an array of integers, all zeros is the empty set, and its size is passed along.
    unsafe {
        let mut allowed: libc::cpu_set_t = mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) != 0 {
            return;
        }
        let set = &allowed;
        let processors: Vec<usize> = (0..libc::CPU_SETSIZE as usize)
            .filter(|n| libc::CPU_ISSET(*n, set))
            .collect();
        if processors.len() < ENOUGH {
            return;
        }
        let mut one: libc::cpu_set_t = mem::zeroed();
        // From the far end, because the first processors usually serve interrupts.
        libc::CPU_SET(
            processors[processors.len() - 1 - index % processors.len()],
            &mut one,
        );
        // Refused is as good as not asked: it only costs cache misses.
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was_set() {
        for text in [
            "127.0.0.1:9",
            "203.0.113.200:65535",
            "[::1]:443",
            "[2001:db8::5]:1",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            let mut name = Name::EMPTY;
            name.set(address);
            assert_eq!(name.get(), Some(address));
        }
        assert_eq!(Name::EMPTY.get(), None);
    }
}
