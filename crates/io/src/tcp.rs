//! ICE-TCP, passive side (RFC 6544): connections with bounded buffers, and an end to those that do nothing.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use sanderling_sfu::{Path, Protocol};

use crate::frame::{self, Deframer};

/// Connections per worker. Each open one costs a descriptor, whoever it belongs to.
pub(crate) const MAX_CONNECTIONS: usize = 4096;
/// Connections per source address: an office behind one address, but not a flood from one.
pub(crate) const MAX_PER_SOURCE: usize = 128;
/// A connection without one valid frame for so long is closed; so is one whose peer takes nothing for so long.
/// ICE consent checks come every 5 s (RFC 7675 section 5.1), so twice that has room for one lost in a busy peer.
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(10);
/// Bytes that may wait for a slow reader: about half a second of 4 Mbit/s. More would arrive too late to be played.
const MAX_WAITING: usize = 256 << 10;
/// A listener that cannot accept for want of descriptors is left alone for so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

struct Listener {
    socket: TcpListener,
    shown: SocketAddr,
    ready: bool,
}

struct Connection {
    stream: TcpStream,
    path: Path,
    deframer: Deframer,
    waiting: Vec<u8>,
    /// Bytes at the start of `waiting` that are written already.
    written: usize,
    readable: bool,
    writable: bool,
    last_frame: Instant,
    /// Since when `waiting` has not moved.
    stuck_since: Option<Instant>,
}

/// Listeners and connections of one worker.
pub(crate) struct Connections {
    listeners: Vec<Listener>,
    open: Vec<Option<Connection>>,
    free: Vec<usize>,
    by_path: HashMap<(SocketAddr, SocketAddr), usize>,
    per_source: HashMap<IpAddr, usize>,
    /// Connections with something to write in this turn.
    dirty: Vec<usize>,
    /// Connections with something to read in this turn.
    readable: Vec<usize>,
    first_token: usize,
    paused_until: Option<Instant>,
    swept: Instant,
}

/// What one look at a connection brought.
pub(crate) enum ReadResult {
    /// Bytes are in the caller's buffer.
    Bytes(usize),
    /// Nothing more now.
    Empty,
    /// It ended.
    Ended,
}

impl Connections {
    /// Register the listeners under tokens from `first_token` and connections after them.
    pub fn new(
        listeners: Vec<(TcpListener, SocketAddr)>,
        registry: &Registry,
        first_token: usize,
        now: Instant,
    ) -> io::Result<Self> {
        let mut registered = Vec::with_capacity(listeners.len());
        for (index, (mut socket, shown)) in listeners.into_iter().enumerate() {
            registry.register(&mut socket, Token(first_token + index), Interest::READABLE)?;
            registered.push(Listener {
                socket,
                shown,
                ready: false,
            });
        }
        Ok(Connections {
            listeners: registered,
            open: Vec::new(),
            free: Vec::new(),
            by_path: HashMap::new(),
            per_source: HashMap::new(),
            dirty: Vec::new(),
            readable: Vec::new(),
            first_token,
            paused_until: None,
            swept: now,
        })
    }

    /// Open connections.
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// Note what the event loop says about a token of ours.
    pub fn ready(&mut self, token: Token, readable: bool, writable: bool) {
        let index = token.0.saturating_sub(self.first_token);
        if let Some(listener) = self.listeners.get_mut(index) {
            listener.ready = true;
            return;
        }
        let index = index - self.listeners.len();
        let Some(connection) = self.open.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        if readable && !connection.readable {
            connection.readable = true;
            self.readable.push(index);
        }
        if writable {
            connection.writable = true;
            if !connection.waiting.is_empty() {
                self.dirty.push(index);
            }
        }
    }

    /// Something is left to read, write or accept: do not sleep.
    pub fn has_more(&self) -> bool {
        !self.readable.is_empty()
            || !self.dirty.is_empty()
            || (self.paused_until.is_none() && self.listeners.iter().any(|l| l.ready))
    }

    /// When to look again although nothing happens.
    pub fn wake_at(&self) -> Option<Instant> {
        let sweep = (self.len() > 0).then(|| self.swept + Duration::from_secs(1));
        match (sweep, self.paused_until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Accept what waits. A connection over a limit is closed at once, so that the queue never holds up others.
    pub fn accept(&mut self, registry: &Registry, now: Instant) {
        if self.paused_until.is_some_and(|until| now < until) {
            return;
        }
        self.paused_until = None;
        for index in 0..self.listeners.len() {
            while self.listeners[index].ready {
                match self.listeners[index].socket.accept() {
                    Ok((stream, remote)) => {
                        let shown = self.listeners[index].shown;
                        self.admit(
                            registry,
                            stream,
                            shown,
                            crate::portable::without_flow(remote),
                            now,
                        );
                    }
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => self.listeners[index].ready = false,
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                        _ => {
                            // Out of descriptors or memory: the connection stays queued, and there will be no new
                            // edge for it.
                            self.paused_until = Some(now + ACCEPT_PAUSE);
                            return;
                        }
                    },
                }
            }
        }
    }

    fn admit(
        &mut self,
        registry: &Registry,
        mut stream: TcpStream,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        let from_source = self.per_source.get(&remote.ip()).copied().unwrap_or(0);
        if self.len() >= MAX_CONNECTIONS
            || from_source >= MAX_PER_SOURCE
            || self.by_path.contains_key(&(local, remote))
        {
            return;
        }
        // A media frame must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let index = self.free.pop().unwrap_or_else(|| {
            self.open.push(None);
            self.open.len() - 1
        });
        let token = Token(self.first_token + self.listeners.len() + index);
        if registry
            .register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)
            .is_err()
        {
            self.free.push(index);
            return;
        }
        self.by_path.insert((local, remote), index);
        self.per_source.insert(remote.ip(), from_source + 1);
        self.readable.push(index);
        self.open[index] = Some(Connection {
            stream,
            path: Path {
                protocol: Protocol::Tcp,
                local,
                remote,
            },
            deframer: Deframer::default(),
            waiting: Vec::new(),
            written: 0,
            readable: true,
            writable: true,
            last_frame: now,
            stuck_since: None,
        });
    }

    /// The connections to read in this turn.
    pub fn take_readable(&mut self, into: &mut Vec<usize>) {
        into.clear();
        std::mem::swap(into, &mut self.readable);
    }

    /// The path of an open connection.
    pub fn path(&self, index: usize) -> Option<Path> {
        Some(self.open.get(index)?.as_ref()?.path)
    }

    /// Read once.
    pub fn read(&mut self, index: usize, buffer: &mut [u8]) -> ReadResult {
        let Some(connection) = self.open[index].as_mut() else {
            return ReadResult::Empty;
        };
        loop {
            match connection.stream.read(buffer) {
                Ok(0) => return ReadResult::Ended,
                Ok(count) => return ReadResult::Bytes(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.readable = false;
                    return ReadResult::Empty;
                }
                Err(_) => return ReadResult::Ended,
            }
        }
    }

    /// It has more, but it is the others' turn.
    pub fn read_later(&mut self, index: usize) {
        self.readable.push(index);
    }

    /// Borrow the deframer for a while; give it back with [`put_deframer`](Self::put_deframer).
    pub fn take_deframer(&mut self, index: usize) -> Deframer {
        self.open[index]
            .as_mut()
            .map(|c| std::mem::take(&mut c.deframer))
            .unwrap_or_default()
    }

    /// Give a deframer back, and say whether it found a frame.
    pub fn put_deframer(&mut self, index: usize, deframer: Deframer, found: bool, now: Instant) {
        if let Some(connection) = self.open[index].as_mut() {
            connection.deframer = deframer;
            if found {
                connection.last_frame = now;
            }
        }
    }

    /// Put a datagram down for a connection. False when there is none, or its peer reads too slowly: then the
    /// datagram is lost, as it would be on a full link.
    pub fn send(&mut self, path: Path, datagram: &[u8]) -> bool {
        let Some(index) = self.by_path.get(&(path.local, path.remote)).copied() else {
            return false;
        };
        let Some(connection) = self.open[index].as_mut() else {
            return false;
        };
        if datagram.len() > frame::MAX_FRAME
            || connection.waiting.len() + datagram.len() + 2 > MAX_WAITING
        {
            return false;
        }
        if connection.waiting.is_empty() {
            self.dirty.push(index);
        }
        frame::append(&mut connection.waiting, datagram);
        true
    }

    /// Write what waits. Connections that break are put into `ended`.
    pub fn flush(&mut self, now: Instant, ended: &mut Vec<usize>) {
        for index in self.dirty.drain(..) {
            let Some(connection) = self.open[index].as_mut() else {
                continue;
            };
            if connection.flush(now).is_err() {
                ended.push(index);
            }
        }
    }

    /// Once a second, put connections that do nothing into `ended`.
    pub fn sweep(&mut self, now: Instant, ended: &mut Vec<usize>) {
        if now < self.swept + Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        let idle = |since: Instant| now.saturating_duration_since(since) >= MAX_IDLE;
        for (index, slot) in self.open.iter().enumerate() {
            let Some(connection) = slot else { continue };
            if idle(connection.last_frame) || connection.stuck_since.is_some_and(idle) {
                ended.push(index);
            }
        }
    }

    /// Close a connection and return its path.
    pub fn close(&mut self, index: usize, registry: &Registry) -> Option<Path> {
        let mut connection = self.open.get_mut(index)?.take()?;
        // Dropping closes the descriptor, which also takes it out of the event loop.
        let _ = registry.deregister(&mut connection.stream);
        let Path { local, remote, .. } = connection.path;
        self.by_path.remove(&(local, remote));
        self.free.push(index);
        if let Some(count) = self.per_source.get_mut(&remote.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&remote.ip());
            }
        }
        self.readable.retain(|open| *open != index);
        Some(connection.path)
    }

    /// Close all of them.
    pub fn close_all(&mut self, registry: &Registry) {
        for index in 0..self.open.len() {
            self.close(index, registry);
        }
        self.dirty.clear();
    }
}

impl Connection {
    fn flush(&mut self, now: Instant) -> io::Result<()> {
        while self.writable && self.written < self.waiting.len() {
            match self.stream.write(&self.waiting[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    self.stuck_since = None;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
        }
        if self.written == self.waiting.len() {
            self.waiting.clear();
            self.written = 0;
            self.stuck_since = None;
        } else {
            // What is written must not count against the bound of what waits.
            self.waiting.drain(..self.written);
            self.written = 0;
            self.stuck_since.get_or_insert(now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mio::{Events, Poll};
    use std::net::TcpStream as Client;

    struct Fixture {
        poll: Poll,
        connections: Connections,
        address: SocketAddr,
        start: Instant,
    }

    fn fixture() -> Fixture {
        let poll = Poll::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let start = Instant::now();
        let connections =
            Connections::new(vec![(listener, address)], poll.registry(), 0, start).unwrap();
        Fixture {
            poll,
            connections,
            address,
            start,
        }
    }

    impl Fixture {
        fn turn(&mut self) {
            let mut events = Events::with_capacity(64);
            self.poll
                .poll(&mut events, Some(Duration::from_secs(5)))
                .unwrap();
            for event in &events {
                self.connections
                    .ready(event.token(), event.is_readable(), event.is_writable());
            }
            self.connections.accept(self.poll.registry(), self.start);
        }

        fn connect(&mut self) -> (Client, Path) {
            let before = self.connections.len();
            let client = Client::connect(self.address).unwrap();
            while self.connections.len() == before {
                self.turn();
            }
            let path = Path {
                protocol: Protocol::Tcp,
                local: self.address,
                remote: client.local_addr().unwrap(),
            };
            (client, path)
        }
    }

    #[test]
    fn a_connection_without_a_frame_is_ended_after_ten_seconds() {
        let mut f = fixture();
        let (_client, _) = f.connect();
        let mut ended = Vec::new();
        f.connections
            .sweep(f.start + MAX_IDLE - Duration::from_millis(1), &mut ended);
        assert!(ended.is_empty());
        f.connections
            .sweep(f.start + MAX_IDLE + Duration::from_secs(1), &mut ended);
        assert_eq!(ended.len(), 1);
        assert!(f.connections.close(ended[0], f.poll.registry()).is_some());
        assert_eq!(
            (f.connections.len(), f.connections.per_source.len()),
            (0, 0)
        );
        assert!(f.connections.close(ended[0], f.poll.registry()).is_none());
    }

    #[test]
    fn a_frame_puts_the_end_off() {
        let mut f = fixture();
        let (_client, _) = f.connect();
        let later = f.start + Duration::from_secs(9);
        f.connections
            .put_deframer(0, Deframer::default(), true, later);
        let mut ended = Vec::new();
        f.connections
            .sweep(f.start + Duration::from_secs(12), &mut ended);
        assert!(ended.is_empty());
        f.connections.sweep(later + MAX_IDLE, &mut ended);
        assert_eq!(ended, [0]);
    }

    #[test]
    fn one_source_cannot_take_all_the_places() {
        let mut f = fixture();
        let clients: Vec<_> = (0..MAX_PER_SOURCE).map(|_| f.connect()).collect();
        let mut refused = Client::connect(f.address).unwrap();
        f.turn();
        assert_eq!(f.connections.len(), clients.len());
        refused
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        assert_eq!(refused.read(&mut [0]).unwrap(), 0, "closed by the server");
    }

    #[test]
    fn what_a_slow_reader_does_not_take_is_bounded_and_it_is_ended() {
        let mut f = fixture();
        let (client, path) = f.connect();
        let (mut taken, mut ended) = (0, Vec::new());
        while f.connections.send(path, &[0x80; 1200]) {
            f.connections.flush(f.start, &mut ended);
            taken += 1;
            assert!(taken < 100_000, "the bound does not hold");
        }
        assert!(f.connections.open[0].as_ref().unwrap().waiting.len() <= MAX_WAITING);
        assert!(ended.is_empty());
        f.connections
            .put_deframer(0, Deframer::default(), true, f.start + MAX_IDLE);
        f.connections.sweep(f.start + MAX_IDLE, &mut ended);
        assert_eq!(ended, [0]);
        drop(client);
    }

    #[test]
    fn frames_go_out_whole() {
        let mut f = fixture();
        let (mut client, path) = f.connect();
        let mut ended = Vec::new();
        assert!(f.connections.send(path, &[0x80, 1]) && f.connections.send(path, &[0x80, 2, 3]));
        f.connections.flush(f.start, &mut ended);
        let mut got = [0; 9];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got, [0, 2, 0x80, 1, 0, 3, 0x80, 2, 3]);
        let stranger = Path {
            remote: "127.0.0.1:1".parse().unwrap(),
            ..path
        };
        assert!(!f.connections.send(stranger, &[0x80]));
    }
}
