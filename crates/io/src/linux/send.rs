//! Writing: many datagrams per system call, runs of them to one address as trains that the kernel or the device cuts
//! up (UDP generic segmentation offload).

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use mio::net::UdpSocket;

use super::address::Name;
use super::empty_header;
use crate::transmit::{Entry, Sent, Train, train};

/// Messages per `sendmmsg`, the most that it takes (`UIO_MAXIOV`).
const MESSAGES: usize = 1024;
/// Room for a segment size in words: a control message needs the alignment of its header.
const CONTROL: usize = 3;
/// Longest segment that any path carries: the smallest MTU of IPv6 less its header and that of UDP. A train of shorter
/// ones is not refused for its size.
const SAFE_SEGMENT: usize = 1280 - 40 - 8;
/// Longest segment that is tried: what Ethernet carries under IPv4.
const LONGEST_SEGMENT: usize = 1500 - 20 - 8;

type Control = [u64; CONTROL];

/// Headers of one batch, made once. The pointers in them are set before each call and mean nothing between calls.
pub(crate) struct Sender {
    headers: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    trains: Box<[Train]>,
    /// Longest segment of a train; 0 when trains are off.
    segment_limit: usize,
    /// Errors that the next trains are refused with, in place of the kernel.
    #[cfg(test)]
    pub refuse_trains: Option<i32>,
    /// Messages taken before the socket's buffer is said to be full.
    #[cfg(test)]
    pub full_after: Option<usize>,
}

// SAFETY: the pointers in headers and pieces are written right before the system call that reads them, within one
// method call, and are never followed otherwise; everything they point at then is owned or borrowed by that call.
unsafe impl Send for Sender {}

/// Whether the kernel knows segmentation: it then has the socket option, whose value nobody here sets.
fn knows_segmentation(socket: &UdpSocket) -> bool {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: writes one integer and its length, both on the stack.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            ptr::from_mut(&mut value).cast(),
            &mut length,
        )
    };
    result == 0
}

impl Sender {
    /// Make the headers for sending on `sockets`, and see whether these take trains.
    pub fn new(sockets: &[UdpSocket]) -> Self {
        let piece = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Sender {
            headers: vec![empty_header(); MESSAGES].into(),
            pieces: vec![piece; MESSAGES].into(),
            names: vec![Name::EMPTY; MESSAGES].into(),
            controls: vec![[0; CONTROL]; MESSAGES].into(),
            trains: vec![Train::default(); MESSAGES].into(),
            segment_limit: if sockets.iter().all(knows_segmentation) {
                LONGEST_SEGMENT
            } else {
                0
            },
            #[cfg(test)]
            refuse_trains: None,
            #[cfg(test)]
            full_after: None,
        }
    }

    /// Whether trains are sent.
    pub fn segments(&self) -> bool {
        self.segment_limit > 0
    }

    /// Send one datagram per message from now on.
    pub fn stop_segmenting(&mut self) {
        self.segment_limit = 0;
    }

    /// Send entries in order, until all are dealt with or the socket's buffer is full.
    pub fn send(&mut self, socket: &UdpSocket, buffer: &[u8], entries: &[Entry]) -> Sent {
        let mut sent = Sent::default();
        while sent.taken < entries.len() {
            let messages = self.fill(buffer, &entries[sent.taken..]);
            if !self.send_filled(socket, messages, entries, &mut sent) {
                break;
            }
        }
        sent
    }

    /// Fill headers from the first entries on. Returns how many were filled.
    fn fill(&mut self, buffer: &[u8], mut entries: &[Entry]) -> usize {
        let mut count = 0;
        let parts = self.headers.iter_mut().zip(&mut self.pieces);
        let parts = parts.zip(self.names.iter_mut().zip(&mut self.controls));
        for (((header, piece), (name, control)), place) in parts.zip(&mut self.trains) {
            let Some(first) = entries.first() else {
                break;
            };
            *place = train(entries, self.segment_limit);
            let bytes = &buffer[first.start..first.start + place.bytes];
            // The kernel only reads what a header to send points at.
            *piece = libc::iovec {
                iov_base: bytes.as_ptr().cast_mut().cast(),
                iov_len: bytes.len(),
            };
            let header = &mut header.msg_hdr;
            header.msg_namelen = name.set(first.remote);
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_iov = piece;
            header.msg_iovlen = 1;
            if place.count > 1 {
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = size_of::<Control>() as _;
                let segment = first.len as u16;
                // SAFETY: the control buffer holds one header and a 16-bit value, which is what its length says.
                unsafe {
                    let control = libc::CMSG_FIRSTHDR(header);
                    (*control).cmsg_level = libc::SOL_UDP;
                    (*control).cmsg_type = libc::UDP_SEGMENT;
                    (*control).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
                    libc::CMSG_DATA(control)
                        .cast::<u16>()
                        .write_unaligned(segment);
                }
            } else {
                header.msg_control = ptr::null_mut();
                header.msg_controllen = 0;
            }
            entries = &entries[place.count..];
            count += 1;
        }
        count
    }

    /// Send `messages` filled headers, which stand for the entries from `sent.taken` on. False when the socket's buffer
    /// is full. After a train was refused the rest has to be filled anew.
    fn send_filled(
        &mut self,
        socket: &UdpSocket,
        messages: usize,
        entries: &[Entry],
        sent: &mut Sent,
    ) -> bool {
        let mut at = 0;
        while at < messages {
            match self.call(socket, at, messages) {
                Ok(count) => {
                    sent.calls += 1;
                    for train in &self.trains[at..at + count] {
                        sent.packets += train.count as u64;
                        sent.bytes += train.bytes as u64;
                        sent.trains += u64::from(train.count > 1);
                        sent.taken += train.count;
                    }
                    at += count;
                }
                Err(error) => match (error.kind(), error.raw_os_error()) {
                    (io::ErrorKind::Interrupted, _) => {}
                    (io::ErrorKind::WouldBlock, _) => return false,
                    (_, Some(code))
                        if self.trains[at].count > 1
                            && self.refused(code, entries[sent.taken].len) =>
                    {
                        return true;
                    }
                    // Nobody there, or not from here: it costs only itself.
                    _ => {
                        sent.dropped += self.trains[at].count as u64;
                        sent.taken += self.trains[at].count;
                        at += 1;
                    }
                },
            }
        }
        true
    }

    fn call(&mut self, socket: &UdpSocket, from: usize, to: usize) -> io::Result<usize> {
        #[cfg(test)]
        let to = self.injected(from, to)?;
        // SAFETY: headers `from..to` were filled by the caller and point into `self` and into the buffer that its own
        // caller still borrows; the kernel writes only `msg_len`.
        let count = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers[from..to].as_mut_ptr(),
                (to - from) as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// A train of segments of `length` bytes was refused. Whether that was for being a train: then there are fewer
    /// from now on, or none.
    fn refused(&mut self, code: i32, length: usize) -> bool {
        match code {
            // A path with a smaller MTU: shorter segments still go in trains. (Older kernels say EINVAL.)
            libc::EINVAL | libc::EMSGSIZE if length > SAFE_SEGMENT => {
                self.segment_limit = SAFE_SEGMENT;
                true
            }
            // No checksum offload on the way out, a transformed path, or a kernel that knows the option only.
            libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP => {
                self.stop_segmenting();
                true
            }
            _ => false,
        }
    }

    /// What a test makes of a call: how far it goes, or the error it ends with.
    #[cfg(test)]
    fn injected(&mut self, from: usize, to: usize) -> io::Result<usize> {
        if let Some(left) = &mut self.full_after {
            if *left == 0 {
                return Err(io::Error::from_raw_os_error(libc::EAGAIN));
            }
            let to = to.min(from + *left);
            *left -= to - from;
            return Ok(to);
        }
        let Some(code) = self.refuse_trains else {
            return Ok(to);
        };
        if self.trains[from].count > 1 {
            return Err(io::Error::from_raw_os_error(code));
        }
        let singles = self.trains[from..to]
            .iter()
            .take_while(|train| train.count == 1);
        Ok(from + singles.count())
    }
}
