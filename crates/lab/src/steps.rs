//! The lab's clockwork: what is due next, and what comes of it.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sanderling_sfu::{Event, Input, WorkerId};

use crate::host::{Host, Produced};
use crate::lab::{Arrival, Lab};
use crate::network::order;

/// Time between two workers of a node.
const BETWEEN_WORKERS: Duration = Duration::from_micros(20);

impl Lab {
    pub(crate) fn next_at(&self) -> Option<Instant> {
        let arrival = self.queue.peek().map(|Reverse((at, _))| *at);
        let workers = self.hosts.iter().map(Host::wake_at);
        let clients = self.wakes.first().map(|(at, _)| *at);
        arrival.into_iter().chain(workers).chain(clients).min()
    }

    /// A client acted, or is gone: note when it wants to act next.
    pub(crate) fn note_wake(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        if let Some(before) = peer.wake.take() {
            self.wakes.remove(&(before, index));
        }
        if !peer.gone {
            let at = peer.client.wake_at();
            peer.wake = Some(at);
            self.wakes.insert((at, index));
        }
    }

    /// Do one thing that is due.
    pub(crate) fn step(&mut self) {
        if self
            .queue
            .peek()
            .is_some_and(|Reverse((at, _))| *at <= self.now)
        {
            if let Some(arrival) = self.take_arrival() {
                self.arrive(arrival);
            }
            return;
        }
        if let Some(worker) = self
            .hosts
            .iter()
            .position(|host| host.wake_at() <= self.now)
        {
            self.feed(worker, Input::Timeout);
            return;
        }
        let first = self.wakes.first().filter(|(at, _)| *at <= self.now);
        if let Some(&(_, peer)) = first {
            let mut out = Vec::new();
            self.peers[peer].client.wake(self.now, &mut out);
            self.note_wake(peer);
            self.send_up(peer, out);
        }
    }

    fn take_arrival(&mut self) -> Option<Arrival> {
        let Reverse((_, key)) = self.queue.pop()?;
        self.arrivals.remove(&key)
    }

    /// Whether the next arrival is due and one more datagram for this worker: it reads all of them before it answers.
    fn more_for(&self, host: usize) -> bool {
        self.queue.peek().is_some_and(|Reverse((at, key))| {
            *at <= self.now
                && matches!(self.arrivals.get(key), Some(Arrival::ToWorker { worker, .. }) if *worker == host)
        })
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::ToWorker {
                worker,
                from,
                datagram,
            } => {
                let host = &mut self.hosts[worker];
                let path = host.path(from);
                host.handle(self.now, Input::Datagram(path, &datagram));
                if !self.more_for(worker) {
                    self.drain(worker);
                }
            }
            Arrival::ToPeer {
                peer,
                from,
                datagram,
            } => {
                if !self.peers[peer].gone {
                    let mut out = Vec::new();
                    self.peers[peer]
                        .client
                        .receive(self.now, from, &datagram, &mut out);
                    self.note_wake(peer);
                    self.send_up(peer, out);
                }
            }
            Arrival::Between { to, from, message } => self.feed(to, Input::Peer(from, message)),
        }
    }

    pub(crate) fn feed(&mut self, worker: usize, input: Input<'_>) {
        self.hosts[worker].handle(self.now, input);
        self.drain(worker);
    }

    fn drain(&mut self, worker: usize) {
        let mut produced = Produced::default();
        self.hosts[worker].drain(self.now, &mut produced);
        let from = self.hosts[worker].address;
        order(&mut produced.datagrams);
        for (to, datagram) in produced.datagrams {
            let Some(peer) = self.by_address.get(&to).copied() else {
                continue;
            };
            if let Some(at) = self.peers[peer].down.send(self.now, &datagram) {
                self.post(
                    at,
                    Arrival::ToPeer {
                        peer,
                        from,
                        datagram,
                    },
                );
            }
        }
        for (to, message) in produced.peers {
            let from = WorkerId(worker as u16);
            self.post(
                self.now + BETWEEN_WORKERS,
                Arrival::Between {
                    to: usize::from(to.0),
                    from,
                    message,
                },
            );
        }
        for event in produced.events {
            self.event(event);
        }
    }

    fn send_up(&mut self, peer: usize, mut datagrams: Vec<(SocketAddr, Vec<u8>)>) {
        order(&mut datagrams);
        for (to, datagram) in datagrams {
            let Some(worker) = self.hosts.iter().position(|host| host.address == to) else {
                continue;
            };
            if let Some(at) = self.peers[peer].up.send(self.now, &datagram) {
                let from = self.peers[peer].client.address;
                self.post(
                    at,
                    Arrival::ToWorker {
                        worker,
                        from,
                        datagram,
                    },
                );
            }
        }
    }

    fn post(&mut self, at: Instant, arrival: Arrival) {
        self.sent += 1;
        self.queue.push(Reverse((at, self.sent)));
        self.arrivals.insert(self.sent, arrival);
    }

    fn event(&mut self, event: Event) {
        let at = self.elapsed();
        match event {
            Event::Answered {
                ticket,
                session,
                sdp,
                tracks,
            } => {
                self.trace.note(
                    at,
                    format_args!("answered {} with {} tracks", session.0, tracks.len()),
                );
                self.answers.insert(ticket.0, sdp);
            }
            Event::Bound {
                session,
                stream,
                slot,
                ..
            } => {
                self.trace.note(
                    at,
                    format_args!("bound {} to slot {slot} of {}", stream.0, session.0),
                );
            }
            Event::Done { .. } => {}
            Event::Failed {
                ticket,
                reason,
                detail,
            } => {
                self.trace.note(at, format_args!("failed {reason:?}"));
                self.failed.push((ticket, format!("{reason:?}: {detail}")));
            }
            Event::Connected { session } => {
                self.trace.note(at, format_args!("connected {}", session.0))
            }
            Event::Closed { session, reason } => {
                self.trace
                    .note(at, format_args!("closed {}: {reason:?}", session.0));
            }
            Event::TrackStarted {
                stream,
                kind,
                codec,
            } => {
                self.trace.note(
                    at,
                    format_args!("track of {} started: {kind} {codec}", stream.0),
                );
            }
            Event::Flowing {
                session,
                stream,
                kind,
                ..
            } => {
                self.trace.note(
                    at,
                    format_args!("{kind} of {} flows to {}", stream.0, session.0),
                );
            }
            Event::Stats { .. } => {}
            Event::Snapshot { json, .. } => self.snapshots.push(json),
        }
    }
}
