//! From datagrams to packets, and from one packet to many viewers.

use std::sync::Arc;
use std::time::Instant;

use sanderling_media::demux::{self, Class};
use sanderling_media::{Kind, Packet, Path};
use sanderling_rtc::{Accepted, Batch, Event as SessionEvent, Session};

use super::Worker;
use crate::handshakes;
use crate::publish::{Changes, Mark};
use crate::schedule::Timer;
use crate::subscribe::{Forwarded, Viewer};
use crate::{CloseReason, Event, Output, PeerMessage, SessionId, StreamId, WorkerId};

/// Packets of a stream that one viewer gets in one piece before the next one's turn: what one send of UDP segmentation
/// offload carries. More would hold up the last viewers, fewer cost a look at each viewer's state more often.
const TRAIN: usize = 8;
/// Viewers whose state is read before the first of them gets its packets. It lies in a dozen places, none of which is in
/// a cache when there are hundreds; reads of several viewers overlap, which makes of a dozen waits each about one.
const AHEAD: usize = 8;

impl Worker {
    pub(super) fn datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        self.counters.datagrams += 1;
        let Some(session) = self.demux.find(&path, datagram) else {
            self.counters.datagrams_dropped += 1;
            return;
        };
        if !self.admit_handshake(session, &path, datagram) {
            self.counters.datagrams_dropped += 1;
            return;
        }
        let mut publishes = false;
        let accepted = if let Some(publisher) = self.publishers.get_mut(&session) {
            publishes = true;
            publisher.session.handle_datagram(now, path, datagram)
        } else if let Some(viewer) = self.viewers.get_mut(&session) {
            if viewer.life.touched {
                // A session is drained before it gets the next datagram.
                self.drain(now, session);
            }
            match self.viewers.get_mut(&session) {
                Some(viewer) => viewer.session.handle_datagram(now, path, datagram),
                None => Accepted::No,
            }
        } else {
            Accepted::No
        };
        match accepted {
            Accepted::Path => {
                self.demux.learn(path, session, now);
                if let Some(life) = self.life(session) {
                    life.hear(now);
                }
            }
            Accepted::Data => {}
            Accepted::No => self.counters.datagrams_dropped += 1,
        }
        if publishes {
            // At once, so that its packets can leave together with those that came before and after.
            self.drain(now, session);
        } else {
            self.touch(session);
            self.judge(now, session);
        }
    }

    /// Whether a datagram may go to its session. The first of a handshake may not while its source has too many of
    /// them under way; it is sent again in time.
    fn admit_handshake(&mut self, session: SessionId, path: &Path, datagram: &[u8]) -> bool {
        if demux::classify(datagram) != Some(Class::Dtls) {
            return true;
        }
        let begins = self
            .life(session)
            .is_some_and(|life| !life.connected() && life.handshake_from.is_none());
        if !begins {
            return true;
        }
        let source = handshakes::source(path.remote.ip());
        if !self.handshakes.begin(source) {
            return false;
        }
        if let Some(life) = self.life(session) {
            life.handshake_from = Some(source);
        }
        true
    }

    pub(super) fn session_event(&mut self, now: Instant, session: SessionId, event: SessionEvent) {
        match event {
            SessionEvent::Connected => self.connected(now, session),
            SessionEvent::PeerClosed => {
                let connected = self.life(session).is_some_and(|life| life.connected());
                let reason = if connected {
                    CloseReason::PeerClosed
                } else {
                    CloseReason::DtlsFailed
                };
                self.end(now, session, reason);
            }
            SessionEvent::HandshakeFailed => self.end(now, session, CloseReason::DtlsFailed),
            SessionEvent::Packet { track, packet } => self.published(now, session, track, packet),
            // Nothing speaks over data channels yet: the control plane has a connection of its own.
            SessionEvent::Data { .. } => {}
            SessionEvent::KeyFrameNeeded { slot } => self.picture_lost(now, session, slot),
        }
    }

    fn connected(&mut self, now: Instant, session: SessionId) {
        let from = self.life(session).and_then(|life| {
            life.connect(now);
            life.handshake_from.take()
        });
        if let Some(source) = from {
            self.handshakes.end(source);
        }
        self.event(Event::Connected { session });
        // Streams may have been bound before the handshake was over.
        self.begin_all(now, session);
    }

    /// A packet of a publisher on this worker.
    fn published(&mut self, now: Instant, session: SessionId, track: usize, packet: Packet) {
        let id = StreamId(session.0);
        let Some(publisher) = self.publishers.get_mut(&session) else {
            return;
        };
        // It was decrypted with the session's key: the peer is there.
        publisher.life.hear(now);
        self.counters.packets_in += 1;
        if publisher.count(track, &packet) {
            let codec = packet.codec.name().to_owned();
            self.event(Event::TrackStarted {
                stream: id,
                kind: packet.kind,
                codec,
            });
        }
        let pulled_by = self
            .streams
            .get(&id)
            .map_or(&[][..], |stream| &stream.pulled_by);
        if !pulled_by.is_empty() {
            let shared = Arc::new(packet.clone());
            for worker in pulled_by {
                let message = PeerMessage::Packet {
                    stream: id,
                    packet: Arc::clone(&shared),
                };
                self.outputs.push_back(Output::Peer(*worker, message));
            }
        }
        self.collect(id, packet);
    }

    /// A packet of a publisher on another worker.
    pub(super) fn pulled(&mut self, from: WorkerId, id: StreamId, packet: &Packet) {
        let held = self.streams.get(&id);
        if held.is_some_and(|held| held.origin == from) {
            self.collect(id, packet.clone());
        }
    }

    /// Keep a packet until everything that came in with it is there.
    fn collect(&mut self, id: StreamId, packet: Packet) {
        if let Some(stream) = self.streams.get_mut(&id) {
            if stream.burst.is_empty() {
                self.bursts.push(id);
            }
            stream.burst.push(packet);
        }
    }

    /// Forward what was collected before something changes who gets it.
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.bursts.is_empty() {
            let mut outbox = std::mem::take(&mut self.outbox);
            self.forward(now, &mut outbox);
            self.outbox = outbox;
        }
    }

    /// Send what was collected to every viewer of this worker.
    pub(super) fn forward<B: Batch>(&mut self, now: Instant, batch: &mut B) {
        let mut bursts = std::mem::take(&mut self.bursts);
        for id in bursts.drain(..) {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            let mut burst = std::mem::take(&mut stream.burst);
            for train in burst.chunks(TRAIN) {
                self.fan_out(now, id, train, batch);
            }
            burst.clear();
            if let Some(stream) = self.streams.get_mut(&id) {
                stream.burst = burst;
            }
        }
        self.bursts = bursts;
    }

    /// Send up to [`TRAIN`] packets to every viewer of this worker, viewer by viewer.
    fn fan_out<B: Batch>(&mut self, now: Instant, id: StreamId, train: &[Packet], batch: &mut B) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let here = stream.origin == self.id;
        let mut changes = Changes::default();
        let mut marks = [Mark::default(); TRAIN];
        for (packet, mark) in train.iter().zip(&mut marks) {
            match packet.kind {
                Kind::Audio => stream.count_sound(now, packet),
                Kind::Video => *mark = stream.keep(now, packet, here, &mut changes),
            }
        }
        let mut paced = std::mem::take(&mut stream.paced);
        let before = paced.len();
        let stream = &*stream;
        let kind = train.first().map_or(Kind::Video, |packet| packet.kind);
        for (index, &(session, slot)) in stream.viewers.iter().enumerate() {
            if index % AHEAD == 0 {
                let next = stream.viewers.iter().skip(index).take(AHEAD);
                for (session, slot) in next {
                    if let Some(viewer) = self.viewers.get(session) {
                        viewer.warm(*slot, kind);
                    }
                }
            }
            let Some(viewer) = self.viewers.get_mut(&session) else {
                continue;
            };
            let (mut sent, mut behind) = (0, false);
            for (packet, mark) in train.iter().zip(marks) {
                let forwarded = match packet.kind {
                    Kind::Audio => viewer.forward_audio(now, slot, packet, batch),
                    Kind::Video => {
                        viewer.forward_video(now, slot, stream, packet, mark, &mut behind, batch)
                    }
                };
                sent += u64::from(forwarded != Forwarded::No);
                if let Forwarded::First(rtp_timestamp) = forwarded {
                    let event = flowing(viewer, session, slot, id, packet.kind, rtp_timestamp);
                    self.outputs.push_back(Output::Event(event));
                }
            }
            if behind {
                paced.push((session, slot));
            }
            self.counters.packets_out += sent;
            let restless = sent > 0 && !viewer.session.is_drained();
            if restless && !std::mem::replace(&mut viewer.life.touched, true) {
                self.touched.push_back(session);
            }
        }
        let more = paced.len() > before;
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.paced = paced;
        }
        if more {
            self.pace_soon(id);
        }
        self.changed(now, id, changes);
    }

    /// Go on with those who are behind before the worker is drained.
    pub(super) fn pace_soon(&mut self, id: StreamId) {
        if !self.to_pace.contains(&id) {
            self.to_pace.push(id);
        }
    }

    /// Go on with those who are behind.
    pub(super) fn pace<B: Batch>(&mut self, now: Instant, id: StreamId, batch: &mut B) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let mut behind = std::mem::take(&mut stream.paced);
        let stream = &*stream;
        let (mut next, mut needed) = (None, None);
        behind.retain(|&(session, slot)| {
            let Some(viewer) = self.viewers.get_mut(&session) else {
                return false;
            };
            if viewer.stream_on(slot) != Some(id) {
                return false;
            }
            let paced = viewer.pace(now, slot, stream, batch);
            self.counters.packets_out += paced.sent;
            if paced.sent > 0 && !std::mem::replace(&mut viewer.life.touched, true) {
                self.touched.push_back(session);
            }
            if let Some(timestamp) = paced.first {
                let event = flowing(viewer, session, slot, id, Kind::Video, timestamp);
                self.outputs.push_back(Output::Event(event));
            }
            needed = needed.or(paced.key_frame);
            next = match (next, paced.next) {
                (Some(one), Some(other)) => Some(std::cmp::min::<Instant>(one, other)),
                (one, other) => one.or(other),
            };
            paced.next.is_some()
        });
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.paced = behind;
        }
        self.schedule.set(Timer::Pace(id), next);
        if let Some(layer) = needed {
            self.request_key_frame(now, id, layer);
        }
    }
}

fn flowing<S: Session>(
    viewer: &Viewer<S>,
    session: SessionId,
    slot: u16,
    stream: StreamId,
    kind: Kind,
    rtp_timestamp: u32,
) -> Event {
    let mid = viewer.session.slot_mid(slot, kind);
    Event::Flowing {
        session,
        stream,
        mid: mid.unwrap_or_default().to_owned(),
        kind,
        rtp_timestamp,
    }
}
