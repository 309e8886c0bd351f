//! Forwarding without anything in between: what comes in goes out to everybody, byte for byte.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use sanderling_sfu::{Batch, Path, Protocol};

use crate::added_delay::BUCKETS;
use crate::bench::cpu_time;
use crate::config::{Backend, StartError};
use crate::counters::{Counters, Totals};
use crate::departures::Departures;
use crate::reactor::DATAGRAMS_PER_TURN;
use crate::sockets::{Routes, bind_udp};
use crate::tcp::Connections;
use crate::transmit::{MAX_TRAIN, Receiver, Sender};

const SOCKET: Token = Token(1);
const WAKER: Token = Token(0);

/// What a [`NullForwarder`] has done.
#[derive(Debug, Clone)]
pub struct NullReport {
    /// Counters of the kind that a node has.
    pub totals: Totals,
    /// Processor time of its thread.
    pub cpu: Duration,
    /// Counts of the delay added, by [`bounds_us`](crate::bounds_us).
    pub added_delay: [u64; BUCKETS],
}

/// A thread that receives datagrams on one socket and sends each unchanged to every address. Dropping it stops it.
#[derive(Debug)]
pub struct NullForwarder {
    address: SocketAddr,
    counters: Arc<[Counters]>,
    cpu_ns: Arc<AtomicU64>,
    stop: Arc<AtomicU64>,
    waker: Waker,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl NullForwarder {
    /// Bind a socket to `listen` and start the thread.
    pub fn start(addresses: Vec<SocketAddr>, listen: IpAddr) -> Result<Self, StartError> {
        let failed = |what: &str| {
            let text = format!("cannot {what}");
            move |error: io::Error| StartError::System(text, error)
        };
        let socket = bind_udp(listen, 0).map_err(failed("bind a UDP socket"))?;
        let address = socket.local_addr().map_err(failed("read the address"))?;
        let mut socket = UdpSocket::from_std(socket);
        let poll = Poll::new().map_err(failed("make an event loop"))?;
        let registry = poll.registry();
        registry
            .register(&mut socket, SOCKET, Interest::READABLE)
            .map_err(failed("watch the socket"))?;
        let waker = Waker::new(registry, WAKER).map_err(failed("make a wake-up descriptor"))?;
        let counters: Arc<[Counters]> = Arc::from([Counters::default()]);
        let (cpu_ns, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let sockets = vec![socket];
        let now = Instant::now();
        let forwarding = Forwarding {
            receiver: Receiver::new(Backend::Native, &sockets),
            departures: Departures::new(
                Sender::new(Backend::Native, &sockets),
                sockets,
                Routes::new(vec![address]),
                Connections::new(Vec::new(), registry, 2, now)
                    .map_err(failed("make an event loop"))?,
                Arc::clone(&counters),
                0,
                now,
            ),
            local: address,
            addresses,
            burst: Vec::new(),
            lengths: Vec::new(),
            watched: false,
        };
        let (spent, stopped) = (Arc::clone(&cpu_ns), Arc::clone(&stop));
        let thread = thread::Builder::new()
            .name("null-forwarder".to_owned())
            .spawn(move || forwarding.run(poll, &spent, &stopped))
            .map_err(failed("start a thread"))?;
        Ok(NullForwarder {
            address,
            counters,
            cpu_ns,
            stop,
            waker,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Where to send what is to be forwarded.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has done so far.
    pub fn report(&self) -> NullReport {
        let mut totals = Totals::default();
        totals.include(&self.counters[0]);
        let mut added_delay = [0; BUCKETS];
        self.counters[0].added_delay.add_to(&mut added_delay);
        NullReport {
            totals,
            cpu: Duration::from_nanos(self.cpu_ns.load(Relaxed)),
            added_delay,
        }
    }

    /// Stop and join the thread. Once is enough; more do nothing.
    pub fn stop(&self) {
        self.stop.store(1, Relaxed);
        // It can fail only when the thread is being woken already.
        let _ = self.waker.wake();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for NullForwarder {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Forwarding {
    receiver: Receiver,
    departures: Departures,
    local: SocketAddr,
    addresses: Vec<SocketAddr>,
    /// What came in this turn, back to back, and how long each datagram is.
    burst: Vec<u8>,
    lengths: Vec<usize>,
    watched: bool,
}

impl Forwarding {
    fn run(mut self, mut poll: Poll, cpu_ns: &AtomicU64, stop: &AtomicU64) {
        let mut events = Events::with_capacity(16);
        let mut ready = true;
        while stop.load(Relaxed) == 0 {
            let timeout = ready.then_some(Duration::ZERO);
            if poll.poll(&mut events, timeout).is_ok() {
                ready |= events.iter().any(|event| event.token() == SOCKET);
            }
            self.departures.begin(Instant::now());
            while ready && self.lengths.len() < DATAGRAMS_PER_TURN {
                ready = self.receive();
            }
            self.forward();
            self.departures.flush();
            self.watch(poll.registry());
            let spent = u64::try_from(cpu_time().as_nanos()).unwrap_or(u64::MAX);
            cpu_ns.store(spent, Relaxed);
        }
    }

    fn receive(&mut self) -> bool {
        let received = self.receiver.receive(&self.departures.sockets[0]);
        let mut packets = 0;
        for index in 0..received.count {
            let Some(message) = self.receiver.message(index) else {
                continue;
            };
            self.departures.arrived(message.stamp_ns);
            for datagram in message.datagrams() {
                packets += 1;
                self.burst.extend_from_slice(datagram);
                self.lengths.push(datagram.len());
            }
        }
        Counters::add(&self.departures.counters().packets_in, packets);
        received.more
    }

    fn forward(&mut self) {
        let mut begin = 0;
        for lengths in self.lengths.chunks(MAX_TRAIN) {
            let mut end = begin;
            for remote in &self.addresses {
                let path = Path {
                    protocol: Protocol::Udp,
                    local: self.local,
                    remote: *remote,
                };
                end = begin;
                for length in lengths {
                    let datagram = &self.burst[end..end + length];
                    self.departures.put(path, *length, |room| {
                        room.copy_from_slice(datagram);
                        room.len()
                    });
                    end += length;
                }
            }
            begin = end;
        }
        self.burst.clear();
        self.lengths.clear();
    }

    fn watch(&mut self, registry: &Registry) {
        let waits = self.departures.waits(0);
        if waits != self.watched {
            let interest = if waits {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            let socket = &mut self.departures.sockets[0];
            if registry.reregister(socket, SOCKET, interest).is_ok() {
                self.watched = waits;
            }
        }
    }
}
