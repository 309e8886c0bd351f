//! A descriptor that is readable while something waits.

#[cfg(target_os = "linux")]
pub(crate) use crate::linux::EventFd as Wake;

#[cfg(not(target_os = "linux"))]
pub(crate) use portable::LoopbackWake as Wake;

/// Compiled in tests on Linux too, so that it is known to work.
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod portable {
    use std::io;
    use std::net::{Ipv4Addr, UdpSocket};

    /// A UDP socket connected to itself: the one descriptor every system's event loop can watch.
    #[derive(Debug)]
    pub(crate) struct LoopbackWake(UdpSocket);

    impl LoopbackWake {
        pub fn new() -> io::Result<Self> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(socket.local_addr()?)?;
            socket.set_nonblocking(true)?;
            Ok(LoopbackWake(socket))
        }

        /// Make it readable.
        pub fn raise(&self) {
            // A full buffer means that it is readable already.
            let _ = self.0.send(&[1]);
        }

        /// Make it unreadable.
        pub fn clear(&self) {
            while self.0.recv(&mut [0]).is_ok() {}
        }

        /// Its number, for an event loop.
        #[cfg(unix)]
        pub fn number(&self) -> i64 {
            use std::os::fd::AsRawFd;
            i64::from(self.0.as_raw_fd())
        }

        /// Its number, for an event loop.
        #[cfg(windows)]
        pub fn number(&self) -> i64 {
            use std::os::windows::io::AsRawSocket;
            self.0.as_raw_socket() as i64
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};
    use std::time::Duration;

    fn readable(number: i64) -> bool {
        let mut poll = Poll::new().unwrap();
        let fd = i32::try_from(number).unwrap();
        poll.registry()
            .register(&mut SourceFd(&fd), Token(0), Interest::READABLE)
            .unwrap();
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        !events.is_empty()
    }

    #[test]
    fn raised_is_readable_and_cleared_is_not() {
        let (native, loopback) = (Wake::new().unwrap(), portable::LoopbackWake::new().unwrap());
        for _ in 0..2 {
            assert!(!readable(native.number()) && !readable(loopback.number()));
            for _ in 0..3 {
                native.raise();
                loopback.raise();
            }
            assert!(readable(native.number()) && readable(loopback.number()));
            native.clear();
            loopback.clear();
        }
    }
}
