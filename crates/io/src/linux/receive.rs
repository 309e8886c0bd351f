//! Reading: many datagrams per system call, several of them in one piece where the kernel or the sender put them
//! together, each piece with the kernel's receive stamp.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use mio::net::UdpSocket;

use super::address::Name;
use super::empty_header;
use crate::transmit::{MAX_DATAGRAM, Message, Received};

/// Messages per `recvmmsg`. Above some tens the cost per datagram no longer falls, and the buffers leave the cache.
const MESSAGES: usize = 32;
/// Room of one message. Without UDP_GRO a message is one datagram; with it, up to the longest UDP payload.
const ROOM: usize = 1 << 16;
/// Room for a receive stamp and a segment size, in words: a control message needs the alignment of its header.
const CONTROL: usize = 8;

/// `SO_TIMESTAMPNS`, also the type of the control message that carries a stamp (asm-generic/socket.h). The C library's
/// bindings leave it out because its value's form depends on the platform: here it is only read where a `timespec` has
/// one form.
const STAMP: libc::c_int = 35;
const STAMPS: bool = cfg!(target_pointer_width = "64");

type Control = [u64; CONTROL];

/// Buffers and headers of one batch, made once. The pointers in the headers lead into the other boxed slices, which
/// are never replaced, so they hold wherever this struct is moved to.
pub(crate) struct Receiver {
    bytes: Box<[u8]>,
    headers: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    /// Headers that the kernel wrote to and that have to be made ready again.
    used: usize,
}

// SAFETY: every pointer in `headers` and `pieces` leads into memory that this struct owns and that nobody else has
// a pointer to.
unsafe impl Send for Receiver {}

/// Ask the kernel to stamp what it receives and to put datagrams of one sender together. Both are favours: without
/// them the time of reading is taken, and each datagram comes by itself.
pub(crate) fn prepare(socket: &UdpSocket) {
    let on: libc::c_int = 1;
    for (level, option) in [(libc::SOL_SOCKET, STAMP), (libc::SOL_UDP, libc::UDP_GRO)] {
        // SAFETY: reads one integer that lives on the stack.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                option,
                ptr::from_ref(&on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
    }
}

impl Receiver {
    /// Make the buffers for reading from `sockets`, and set these up for it.
    pub fn new(sockets: &[UdpSocket]) -> Self {
        sockets.iter().for_each(prepare);
        let mut receiver = Receiver {
            bytes: vec![0; MESSAGES * ROOM].into(),
            headers: vec![empty_header(); MESSAGES].into(),
            pieces: vec![
                libc::iovec {
                    iov_base: ptr::null_mut(),
                    iov_len: 0
                };
                MESSAGES
            ]
            .into(),
            names: vec![Name::EMPTY; MESSAGES].into(),
            controls: vec![[0; CONTROL]; MESSAGES].into(),
            used: MESSAGES,
        };
        let rooms = receiver.bytes.chunks_exact_mut(ROOM);
        for (room, piece) in rooms.zip(&mut receiver.pieces) {
            piece.iov_base = room.as_mut_ptr().cast();
            piece.iov_len = ROOM;
        }
        receiver
    }

    fn make_ready(&mut self) {
        let parts = self.headers.iter_mut().zip(&mut self.pieces);
        let parts = parts.zip(self.names.iter_mut().zip(&mut self.controls));
        for ((header, piece), (name, control)) in parts.take(self.used) {
            *name = Name::EMPTY;
            *control = [0; CONTROL];
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_iov = piece;
            header.msg_iovlen = 1;
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            header.msg_flags = 0;
        }
        self.used = 0;
    }

    /// Read what is there, up to one batch.
    pub fn receive(&mut self, socket: &UdpSocket) -> Received {
        self.make_ready();
        // SAFETY: the headers point at distinct rooms, pieces, names and controls that live in boxes of `self`, which
        // is borrowed mutably for the whole call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                MESSAGES as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => {
                self.used = count;
                Received {
                    count,
                    more: count == MESSAGES,
                }
            }
            // A pending error of the socket is reported once and is gone; only an empty queue ends the reading.
            Err(_) => Received {
                count: 0,
                more: io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock,
            },
        }
    }

    /// A message of the last batch; `None` when it was cut short, came from no address, or is not there.
    pub fn message(&self, index: usize) -> Option<Message<'_>> {
        let header = self.headers[..self.used].get(index)?;
        if header.msg_hdr.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
            return None;
        }
        let start = index * ROOM;
        let bytes = self.bytes.get(start..start + header.msg_len as usize)?;
        let (mut segment, mut stamp_ns) = (bytes.len(), 0);
        // SAFETY: the kernel filled in the control messages and their total length; the two macros stay within it.
        // Each value is read unaligned from the data of a message whose length was checked to hold it.
        unsafe {
            let mut next = libc::CMSG_FIRSTHDR(&header.msg_hdr);
            while let Some(control) = next.as_ref() {
                let data = libc::CMSG_DATA(control);
                let length: usize = control.cmsg_len as _;
                match (control.cmsg_level, control.cmsg_type) {
                    (libc::SOL_SOCKET, STAMP)
                        if STAMPS
                            && length
                                >= libc::CMSG_LEN(size_of::<libc::timespec>() as u32) as usize =>
                    {
                        let time = data.cast::<libc::timespec>().read_unaligned();
                        stamp_ns =
                            (time.tv_sec as u64).wrapping_mul(1_000_000_000) + time.tv_nsec as u64;
                    }
                    (libc::SOL_UDP, libc::UDP_GRO)
                        if length >= libc::CMSG_LEN(size_of::<libc::c_int>() as u32) as usize =>
                    {
                        let size = data.cast::<libc::c_int>().read_unaligned();
                        segment = usize::try_from(size).unwrap_or(segment);
                    }
                    _ => {}
                }
                next = libc::CMSG_NXTHDR(&header.msg_hdr, control);
            }
        }
        Some(Message {
            remote: self.names[index].get()?,
            bytes,
            segment,
            stamp_ns,
        })
    }
}

const _: () = assert!(ROOM >= MAX_DATAGRAM);
