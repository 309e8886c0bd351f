//! What the control plane asks for.

use std::sync::Arc;
use std::time::Instant;

use sanderling_media::{Codec, Kind};
use sanderling_rtc::{Config, Rejected, Session, TrackInfo};

use super::{Egress, Ingest, Worker};
use crate::publish::{PendingBind, Publisher, Stream};
use crate::session_life::SessionLife;
use crate::subscribe::Viewer;
use crate::{Event, Output, PeerMessage, Reason, SessionId, StreamId, Ticket, WorkerId};

impl Worker {
    /// Configuration of a new session, or why there can be none.
    fn admit(&mut self, session: SessionId) -> Result<Config, (Reason, String)> {
        if self.publishers.contains_key(&session) || self.viewers.contains_key(&session) {
            return Err((
                Reason::Duplicate,
                format!("session {} exists already", session.0),
            ));
        }
        if self.sessions() >= self.max_sessions {
            return Err((
                Reason::TooManySessions,
                format!("all {} sessions are in use", self.max_sessions),
            ));
        }
        let random = self.config.random.fork();
        Ok(Config {
            random,
            ..self.config.clone()
        })
    }

    pub(super) fn open_publisher(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        offer: &str,
        codecs: Vec<Codec>,
    ) {
        let config = match self.admit(session) {
            Ok(config) => Config { codecs, ..config },
            Err((reason, detail)) => return self.failed(ticket, reason, detail),
        };
        if self.streams.contains_key(&StreamId(session.0)) {
            // Viewers here wait for or play a stream of this number from another worker.
            let detail = format!("stream {} is another worker's", session.0);
            return self.failed(ticket, Reason::Duplicate, detail);
        }
        let (engine, sdp) = match Ingest::open(now, offer, config) {
            Ok(opened) => opened,
            Err(rejected) => return self.rejected(ticket, &rejected),
        };
        if !self.demux.name(engine.fragment(), session) {
            return self.failed(
                ticket,
                Reason::Duplicate,
                "the ICE fragment is in use; try again",
            );
        }
        let tracks: Arc<[TrackInfo]> = Arc::from(engine.tracks());
        let life = SessionLife::new(now, self.consent_timeout);
        self.publishers
            .insert(session, Publisher::new(engine, life));
        let stream = StreamId(session.0);
        self.streams
            .insert(stream, Stream::new(self.id, Some(Arc::clone(&tracks))));
        self.touch(session);
        self.event(Event::Answered {
            ticket,
            session,
            sdp,
            tracks: tracks.to_vec(),
        });
    }

    pub(super) fn open_viewer(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        offer: &str,
    ) {
        let config = match self.admit(session) {
            Ok(config) => config,
            Err((reason, detail)) => return self.failed(ticket, reason, detail),
        };
        let (engine, sdp) = match Egress::open(now, offer, config) {
            Ok(opened) => opened,
            Err(rejected) => return self.rejected(ticket, &rejected),
        };
        self.add_viewer(now, ticket, session, engine, sdp);
    }

    /// Make a viewer by an offer of the server's own.
    pub(super) fn offer_viewer(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
    ) {
        let config = match self.admit(session) {
            Ok(config) => config,
            Err((reason, detail)) => return self.failed(ticket, reason, detail),
        };
        let Some(tracks) = self.streams.get(&stream).and_then(|s| s.tracks.clone()) else {
            let detail = format!("no stream {} on this worker", stream.0);
            return self.failed(ticket, Reason::UnknownStream, detail);
        };
        let (engine, sdp) = match Egress::offer(now, &tracks, config) {
            Ok(offered) => offered,
            Err(rejected) => return self.rejected(ticket, &rejected),
        };
        self.add_viewer(now, ticket, session, engine, sdp);
    }

    fn add_viewer(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        engine: Egress,
        sdp: String,
    ) {
        if !self.demux.name(engine.fragment(), session) {
            return self.failed(
                ticket,
                Reason::Duplicate,
                "the ICE fragment is in use; try again",
            );
        }
        let mut viewer = Viewer::new(engine, SessionLife::new(now, self.consent_timeout));
        viewer.grow(|| first_sequence(&mut self.config));
        self.viewers.insert(session, Box::new(viewer));
        self.touch(session);
        self.event(Event::Answered {
            ticket,
            session,
            sdp,
            tracks: Vec::new(),
        });
    }

    /// Take the answer to an offer of the server's own. Its handshake has the whole deadline from here on.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        answer: &str,
    ) {
        let Some(viewer) = self.viewers.get_mut(&session) else {
            let detail = format!("no viewer {}", session.0);
            return self.failed(ticket, Reason::UnknownSession, detail);
        };
        if let Err(rejected) = viewer.session.accept(answer) {
            return self.rejected(ticket, &rejected);
        }
        viewer.life.reopen(now);
        self.touch(session);
        self.done(ticket);
    }

    fn rejected(&mut self, ticket: Ticket, rejected: &Rejected) {
        let reason = if rejected.no_codec {
            Reason::NoCodec
        } else {
            Reason::BadOffer
        };
        self.failed(ticket, reason, rejected.to_string());
    }

    pub(super) fn renegotiate(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        offer: &str,
    ) {
        let (before, answered, after, tracks) =
            if let Some(publisher) = self.publishers.get_mut(&session) {
                let before = publisher.session.fragment().to_owned();
                let answered = publisher.session.renegotiate(now, offer);
                let tracks = publisher.session.tracks().to_vec();
                (
                    before,
                    answered,
                    publisher.session.fragment().to_owned(),
                    tracks,
                )
            } else if let Some(viewer) = self.viewers.get_mut(&session) {
                let before = viewer.session.fragment().to_owned();
                let answered = viewer.session.renegotiate(now, offer);
                viewer.grow(|| first_sequence(&mut self.config));
                (
                    before,
                    answered,
                    viewer.session.fragment().to_owned(),
                    Vec::new(),
                )
            } else {
                return self.failed(
                    ticket,
                    Reason::UnknownSession,
                    format!("no session {}", session.0),
                );
            };
        let sdp = match answered {
            Ok(sdp) => sdp,
            Err(rejected) => return self.rejected(ticket, &rejected),
        };
        if before != after {
            self.demux.unname(&before);
            self.demux.name(&after, session);
        }
        if let Some(stream) = self.streams.get_mut(&StreamId(session.0))
            && !tracks.is_empty()
        {
            stream.tracks = Some(Arc::from(tracks.as_slice()));
        }
        self.touch(session);
        self.event(Event::Answered {
            ticket,
            session,
            sdp,
            tracks,
        });
    }

    pub(super) fn bind(&mut self, now: Instant, id: StreamId, origin: WorkerId, bind: PendingBind) {
        let Some(viewer) = self.viewers.get(&bind.session) else {
            return self.failed(
                bind.ticket,
                Reason::UnknownSession,
                format!("no viewer {}", bind.session.0),
            );
        };
        let waiting = self.streams.get(&id).is_some_and(|stream| {
            stream
                .pending
                .iter()
                .any(|pending| pending.session == bind.session)
        });
        if waiting || viewer.slot_of(id).is_some() {
            let detail = format!(
                "stream {} is bound to viewer {} already",
                id.0, bind.session.0
            );
            return self.failed(bind.ticket, Reason::Duplicate, detail);
        }
        match self.streams.get_mut(&id) {
            Some(stream) if stream.tracks.is_some() => self.complete_bind(now, id, bind),
            Some(stream) => stream.pending.push(bind),
            None if origin == self.id => {
                self.failed(
                    bind.ticket,
                    Reason::UnknownStream,
                    format!("no stream {}", id.0),
                );
            }
            None => {
                let mut stream = Stream::new(origin, None);
                stream.pending.push(bind);
                self.streams.insert(id, stream);
                self.outputs
                    .push_back(Output::Peer(origin, PeerMessage::Pull { stream: id }));
            }
        }
    }

    /// Bind a stream whose tracks are known.
    pub(super) fn complete_bind(&mut self, now: Instant, id: StreamId, bind: PendingBind) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(viewer) = self.viewers.get_mut(&bind.session) else {
            // It closed while the other worker was asked.
            self.failed(
                bind.ticket,
                Reason::UnknownSession,
                format!("no viewer {}", bind.session.0),
            );
            return self.release_if_idle(id);
        };
        let tracks = stream.tracks.clone().unwrap_or_default();
        let first =
            |kind: Kind, wanted: bool| tracks.iter().find(|track| wanted && track.kind == kind);
        let bound: Vec<&TrackInfo> = [
            first(Kind::Audio, bind.audio),
            first(Kind::Video, bind.video),
        ]
        .into_iter()
        .flatten()
        .collect();
        let slot = match viewer.bind(id, &bound) {
            Ok(slot) => slot,
            Err((reason, detail)) => {
                self.failed(bind.ticket, reason, detail);
                return self.release_if_idle(id);
            }
        };
        viewer.session.repair_from(slot, Kind::Video, &stream.store);
        stream.viewers.push((bind.session, slot));
        let mid = |kind| {
            let sent = bound.iter().any(|track| track.kind == kind);
            viewer
                .session
                .slot_mid(slot, kind)
                .filter(|_| sent)
                .unwrap_or_default()
                .to_owned()
        };
        let event = Event::Bound {
            ticket: bind.ticket,
            session: bind.session,
            stream: id,
            slot,
            audio_mid: mid(Kind::Audio),
            video_mid: mid(Kind::Video),
            tracks: bound.iter().map(|track| (*track).clone()).collect(),
        };
        let session = bind.session;
        self.event(event);
        self.begin(now, session, slot, id, false);
    }

    pub(super) fn unbind(&mut self, ticket: Ticket, session: SessionId, id: StreamId) {
        let Some(viewer) = self.viewers.get_mut(&session) else {
            return self.failed(
                ticket,
                Reason::UnknownSession,
                format!("no viewer {}", session.0),
            );
        };
        if let Some(slot) = viewer.slot_of(id) {
            viewer.unbind(slot);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.viewers.retain(|(viewer, _)| *viewer != session);
            let (gone, kept) = stream
                .pending
                .iter()
                .partition(|pending| pending.session == session);
            stream.pending = kept;
            let gone: Vec<PendingBind> = gone;
            for pending in gone {
                self.failed(
                    pending.ticket,
                    Reason::UnknownStream,
                    "unbound before it was bound",
                );
            }
        }
        self.release_if_idle(id);
        // Idempotent: a stream that ended meanwhile is as free as one that is unbound now.
        self.done(ticket);
    }
}

fn first_sequence(config: &mut Config) -> u16 {
    (config.random.number() & 0x7fff) as u16
}
