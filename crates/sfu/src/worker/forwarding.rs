//! From datagrams to packets, and from one packet to many viewers.

use std::sync::Arc;
use std::time::Instant;

use sanderling_media::{Kind, Packet, Path};
use sanderling_rtc::{Accepted, Event as SessionEvent, Session};

use super::Worker;
use crate::publish::KeyFrameDecision;
use crate::schedule::Timer;
use crate::subscribe::Forwarded;
use crate::{CloseReason, Event, Output, PeerMessage, SessionId, StreamId};

impl Worker {
    pub(super) fn datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) {
        self.counters.datagrams += 1;
        let Some(session) = self.demux.find(&path, datagram) else {
            self.counters.datagrams_dropped += 1;
            return;
        };
        let accepted = if let Some(publisher) = self.publishers.get_mut(&session) {
            publisher.session.handle_datagram(now, path, datagram)
        } else if let Some(viewer) = self.viewers.get_mut(&session) {
            viewer.session.handle_datagram(now, path, datagram)
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
        self.touch(session);
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
        if pulled_by.is_empty() {
            return self.fan_out(now, id, &packet);
        }
        let packet = Arc::new(packet);
        for worker in pulled_by {
            let message = PeerMessage::Packet {
                stream: id,
                packet: Arc::clone(&packet),
            };
            self.outputs.push_back(Output::Peer(*worker, message));
        }
        self.fan_out(now, id, &packet);
    }

    /// Send one packet to every viewer of this worker.
    pub(super) fn fan_out(&mut self, now: Instant, id: StreamId, packet: &Packet) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let mut waiting = false;
        if packet.kind == Kind::Video && !packet.key_frame {
            let waits = |(viewer, slot): &(SessionId, u16)| {
                self.viewers.get(viewer).is_some_and(|v| v.waits(*slot))
            };
            waiting = stream.viewers.iter().any(waits);
        }
        let ask = stream.count(now, packet, waiting);
        let target = stream.target_layer();
        if packet.kind == Kind::Video && !stream.viewers.is_empty() {
            stream.sent.keep(packet);
        }
        for &(session, slot) in &stream.viewers {
            let Some(viewer) = self.viewers.get_mut(&session) else {
                continue;
            };
            let forwarded = viewer.forward(now, slot, target, packet, &mut self.outbox);
            if forwarded == Forwarded::No {
                continue;
            }
            self.counters.packets_out += 1;
            if !std::mem::replace(&mut viewer.life.touched, true) {
                self.touched.push_back(session);
            }
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
