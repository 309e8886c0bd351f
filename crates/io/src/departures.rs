//! Where a worker's datagrams leave: finished in the batch of their socket, or in the buffer of a connection.

use std::sync::Arc;

use mio::net::UdpSocket;
use sanderling_sfu::{Batch as Sink, MAX_DATAGRAM, Path, Protocol};

use crate::counters::Counters;
use crate::sockets::Routes;
use crate::tcp::Connections;
use crate::transmit::{Batch, Carrier};

/// Sockets and connections of one worker with what waits to leave by them.
pub(crate) struct Departures {
    carrier: Carrier,
    pub sockets: Vec<UdpSocket>,
    pub routes: Routes,
    pub tcp: Connections,
    batch: Batch,
    /// Where a frame of a connection is written before it is appended to what waits there.
    frame: Box<[u8; MAX_DATAGRAM]>,
    counters: Arc<[Counters]>,
    worker: usize,
}

impl Departures {
    pub fn new(
        carrier: Carrier,
        sockets: Vec<UdpSocket>,
        routes: Routes,
        tcp: Connections,
        counters: Arc<[Counters]>,
        worker: usize,
    ) -> Self {
        Departures {
            carrier,
            sockets,
            routes,
            tcp,
            batch: Batch::new(),
            frame: Box::new([0; MAX_DATAGRAM]),
            counters,
            worker,
        }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters[self.worker]
    }

    /// Count datagrams that were thrown away.
    pub fn dropped(&self, count: u64) {
        Counters::add(&self.counters().datagrams_dropped, count);
    }

    /// Send what was collected for UDP.
    pub fn flush(&mut self) {
        let sent = self.batch.flush(&mut self.carrier, &self.sockets);
        let counters = self.counters();
        Counters::add(&counters.packets_out, sent.packets);
        Counters::add(&counters.bytes_out, sent.bytes);
        Counters::add(&counters.datagrams_dropped, sent.dropped);
    }

    /// Forget what was not sent.
    pub fn clear(&mut self) {
        self.batch.clear();
    }
}

impl Sink for Departures {
    fn push(&mut self, path: Path, datagram: &[u8]) {
        self.put(path, datagram.len(), |room| {
            let fits = datagram.len().min(room.len());
            room[..fits].copy_from_slice(&datagram[..fits]);
            fits
        });
    }

    fn put(&mut self, path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        let limit = limit.min(MAX_DATAGRAM);
        match path.protocol {
            Protocol::Udp => {
                let Some(socket) = self.routes.socket(path.local, path.remote) else {
                    return self.dropped(1);
                };
                if self.batch.is_full() {
                    self.flush();
                }
                let len = write(&mut self.batch.space()[..limit]).min(limit);
                if len > 0 {
                    self.batch.commit(socket, path.remote, len);
                }
            }
            Protocol::Tcp => {
                let len = write(&mut self.frame[..limit]).min(limit);
                if len == 0 {
                } else if self.tcp.send(path, &self.frame[..len]) {
                    Counters::add(&self.counters().packets_out, 1);
                    Counters::add(&self.counters().bytes_out, len as u64);
                } else {
                    self.dropped(1);
                }
            }
        }
    }
}
