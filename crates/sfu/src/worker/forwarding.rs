//! From datagrams to packets, and from one packet to many viewers.

use std::sync::Arc;
use std::time::Instant;

use sanderling_media::{Kind, Packet, Path};
use sanderling_rtc::{Accepted, Batch, Event as SessionEvent, Session};

use super::Worker;
use crate::publish::KeyFrameDecision;
use crate::schedule::Timer;
use crate::subscribe::Forwarded;
use crate::{CloseReason, Event, Output, PeerMessage, SessionId, StreamId, WorkerId};

/// Packets of a stream that one viewer gets in one piece before the next one's turn: what one send of UDP segmentation
/// offload carries. More would hold up the last viewers, fewer cost a look at each viewer's state more often.
const TRAIN: usize = 8;

impl Worker {
    pub(super) fn datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        self.counters.datagrams += 1;
        let Some(session) = self.demux.find(&path, datagram) else {
            self.counters.datagrams_dropped += 1;
            return;
        };
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
        }
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
            SessionEvent::KeyFrameNeeded { slot } => {
                let stream = self
                    .viewers
                    .get(&session)
                    .and_then(|viewer| viewer.stream_on(slot));
                if let Some(stream) = stream {
                    self.request_key_frame(now, stream);
                }
            }
        }
    }

    fn connected(&mut self, now: Instant, session: SessionId) {
        if let Some(life) = self.life(session) {
            life.connect(now);
        }
        self.event(Event::Connected { session });
        // Streams may have been bound before the handshake was over.
        let bound: Vec<StreamId> = self.viewers.get(&session).map_or_else(Vec::new, |viewer| {
            viewer
                .bindings()
                .filter(|(_, binding)| binding.video)
                .map(|(_, binding)| binding.stream)
                .collect()
        });
        for stream in bound {
            self.request_key_frame(now, stream);
        }
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
        let (mut ask, mut deltas) = (false, false);
        let mut targets = [0; TRAIN];
        for (packet, target) in train.iter().zip(&mut targets) {
            ask |= stream.count(now, packet);
            *target = stream.target_layer();
            if packet.kind == Kind::Video {
                deltas |= packet.layer == *target && !packet.key_frame;
                if !stream.viewers.is_empty() {
                    stream.sent.keep(packet);
                }
            }
        }
        let mut waiting = false;
        for &(session, slot) in &stream.viewers {
            let Some(viewer) = self.viewers.get_mut(&session) else {
                continue;
            };
            let mut sent = 0;
            for (packet, target) in train.iter().zip(targets) {
                let forwarded = viewer.forward(now, slot, target, packet, batch);
                sent += u64::from(forwarded != Forwarded::No);
                if let Forwarded::First(rtp_timestamp) = forwarded {
                    let mid = viewer.session.slot_mid(slot, packet.kind);
                    let event = Event::Flowing {
                        session,
                        stream: id,
                        mid: mid.unwrap_or_default().to_owned(),
                        kind: packet.kind,
                        rtp_timestamp,
                    };
                    self.outputs.push_back(Output::Event(event));
                }
            }
            waiting |= deltas && viewer.waits(slot);
            self.counters.packets_out += sent;
            let restless = sent > 0 && !viewer.session.is_drained();
            if restless && !std::mem::replace(&mut viewer.life.touched, true) {
                self.touched.push_back(session);
            }
        }
        if deltas {
            ask |= stream.missed(now, waiting);
        }
        if ask {
            self.ask_for_key_frame(now, id);
        }
    }

    /// Somebody needs a key frame of a stream.
    pub(super) fn request_key_frame(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.video_track().is_none() {
            return;
        }
        match stream.request_key_frame(now) {
            KeyFrameDecision::Ask => self.ask_for_key_frame(now, id),
            KeyFrameDecision::Wait(at) => self.schedule.earliest(Timer::KeyFrame(id), at),
        }
    }

    /// Ask the publisher, or the worker that holds it.
    pub(super) fn ask_for_key_frame(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        if stream.origin != self.id {
            self.outputs.push_back(Output::Peer(
                stream.origin,
                PeerMessage::NeedKeyFrame { stream: id },
            ));
            return;
        }
        let session = SessionId(id.0);
        let (track, layer) = (stream.video_track(), stream.target_layer());
        if let (Some(track), Some(publisher)) = (track, self.publishers.get_mut(&session)) {
            publisher.session.request_key_frame(now, track, layer);
            self.touch(session);
        }
    }
}
