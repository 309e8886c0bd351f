//! Where viewers' pictures begin, and who is asked for a key frame.

use std::time::{Duration, Instant};

use sanderling_rtc::Session;

use super::Worker;
use crate::publish::{Changes, KeyFrameDecision};
use crate::schedule::Timer;
use crate::subscribe::{Load, Step};
use crate::{LayerChoice, Output, PeerMessage, Reason, SessionId, StreamId, Ticket};

/// A viewer that lost the picture of a publisher who answers no requests gets a replay no more often than this.
const REPLAY_INTERVAL: Duration = Duration::from_secs(1);

/// A viewer on a path that carries too little gets a new picture so often at the least. Its key frames are everybody's,
/// so this is no less than what is decent to all.
const REFRESH_INTERVAL: Duration = Duration::from_secs(3);

impl Worker {
    /// Bring a viewer's pictures of a stream to where they should be.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        session: SessionId,
        slot: u16,
        id: StreamId,
        afresh: bool,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let Some(viewer) = self.viewers.get_mut(&session) else {
            return;
        };
        let begun = viewer.begin(now, slot, stream, afresh);
        if begun.behind {
            stream.paced.push((session, slot));
            self.pace_soon(id);
        }
        if let Some(layer) = begun.key_frame {
            self.request_key_frame(now, id, layer);
        }
    }

    /// A viewer says that it needs a key frame.
    pub(super) fn picture_lost(&mut self, now: Instant, session: SessionId, slot: u16) {
        let Some(viewer) = self.viewers.get(&session) else {
            return;
        };
        let Some((_, binding)) = viewer.bindings().find(|(number, _)| *number == slot) else {
            return;
        };
        let (id, feed) = (binding.stream, &binding.feed);
        let since = feed.refreshed.map(|at| now.saturating_duration_since(at));
        let recent = since.is_some_and(|time| time < REPLAY_INTERVAL);
        if feed.held || viewer.safety.share().is_some() {
            // It loses what does not fit, and no key frame would help against that.
            return;
        }
        let layer = viewer.layer(slot).unwrap_or(feed.wanted);
        let deaf = self.streams.get(&id).is_some_and(|stream| stream.is_deaf());
        if !deaf {
            self.request_key_frame(now, id, layer);
        } else if !recent && feed.cursor.is_none() {
            self.begin(now, session, slot, id, true);
        }
    }

    /// A viewer chooses the layer that it gets of a stream.
    pub(super) fn set_layer(
        &mut self,
        now: Instant,
        ticket: Ticket,
        session: SessionId,
        id: StreamId,
        choice: LayerChoice,
    ) {
        let Some(viewer) = self.viewers.get_mut(&session) else {
            let detail = format!("no viewer {}", session.0);
            return self.failed(ticket, Reason::UnknownSession, detail);
        };
        let Some(slot) = viewer.slot_of(id) else {
            let detail = format!("stream {} is not bound to viewer {}", id.0, session.0);
            return self.failed(ticket, Reason::UnknownStream, detail);
        };
        viewer.choose(slot, choice);
        self.begin(now, session, slot, id, false);
        self.done(ticket);
    }

    /// A viewer is to show a stream's pictures at most so late.
    pub(super) fn set_delay(
        &mut self,
        ticket: Ticket,
        session: SessionId,
        id: StreamId,
        most: u16,
    ) {
        let Some(viewer) = self.viewers.get_mut(&session) else {
            let detail = format!("no viewer {}", session.0);
            return self.failed(ticket, Reason::UnknownSession, detail);
        };
        let Some(slot) = viewer.slot_of(id) else {
            let detail = format!("stream {} is not bound to viewer {}", id.0, session.0);
            return self.failed(ticket, Reason::UnknownStream, detail);
        };
        viewer.set_delay(slot, most);
        self.done(ticket);
    }

    /// Packets brought something new about their stream.
    pub(super) fn changed(&mut self, now: Instant, id: StreamId, changes: Changes) {
        if let Some(answers) = changes.answers {
            self.answers(now, id, answers);
        }
        if changes.layers {
            for (session, slot) in self.viewers_of(id) {
                self.begin(now, session, slot, id, false);
            }
        }
        if let Some(layer) = changes.probe {
            self.request_key_frame(now, id, layer);
        }
    }

    /// It became known whether a publisher answers requests for key frames. If not, there is nothing to wait for.
    pub(super) fn answers(&mut self, now: Instant, id: StreamId, answers: bool) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        stream.learn(answers);
        for worker in &stream.pulled_by {
            let stream = id;
            let message = PeerMessage::Answers { stream, answers };
            self.outputs.push_back(Output::Peer(*worker, message));
        }
        if answers {
            return;
        }
        for (session, slot) in self.viewers_of(id) {
            let viewer = self.viewers.get(&session);
            if viewer.is_some_and(|viewer| viewer.waits(slot).is_some()) {
                self.begin(now, session, slot, id, true);
            }
        }
    }

    /// See what a viewer's network carries, and send it less or more.
    pub(super) fn judge(&mut self, now: Instant, session: SessionId) {
        let Some(viewer) = self.viewers.get_mut(&session) else {
            return;
        };
        if !viewer.life.connected() || !viewer.safety.due(now) {
            return;
        }
        let steps = viewer.safety.steps();
        let (mut load, mut more, mut all_sound) = (0.0, 0.0, 0.0);
        let (mut lower, mut higher) = (false, false);
        for (slot, binding) in viewer.bindings() {
            let Some(stream) = self.streams.get(&binding.stream) else {
                continue;
            };
            if binding.audio {
                all_sound += stream.sound.rate(0, now);
            }
            if binding.video {
                let pick = |steps| stream.layers.pick(binding.feed.choice, steps);
                let layer = viewer.layer(slot).unwrap_or(pick(steps));
                let next = pick(steps.saturating_sub(1));
                load += stream.layers.rate(layer, now);
                more += stream.layers.rate(next, now);
                lower |= pick(steps + 1) != pick(steps);
                higher |= next != pick(steps);
            }
        }
        let load = Load {
            now: load + all_sound,
            sound: all_sound,
            higher: higher.then_some(more + all_sound),
            lower,
        };
        let allowance = viewer.session.allowance(now);
        match viewer.safety.judge(now, allowance, load) {
            Step::Stay => return self.refresh(now, session),
            Step::Pause => return viewer.hold(true),
            Step::Resume => viewer.hold(false),
            Step::Layers => {}
        }
        self.begin_all(now, session);
    }

    /// Pictures that wait begin anew every now and then: those that were left out of a path that carries too little,
    /// and at once when it carries enough again.
    fn refresh(&mut self, now: Instant, session: SessionId) {
        let Some(viewer) = self.viewers.get(&session) else {
            return;
        };
        let free = viewer.safety.share().is_none();
        let due = viewer.bindings().find(|(slot, binding)| {
            let since = binding.feed.refreshed;
            let since = since.map(|at| now.saturating_duration_since(at));
            let interval = if free && binding.feed.left_out() {
                Duration::ZERO
            } else {
                REFRESH_INTERVAL
            };
            viewer.waits(*slot).is_some() && since.is_none_or(|time| time >= interval)
        });
        if let Some((slot, stream)) = due.map(|(slot, binding)| (slot, binding.stream)) {
            self.begin(now, session, slot, stream, false);
        }
    }

    /// Bring all pictures of a viewer to where they should be.
    pub(super) fn begin_all(&mut self, now: Instant, session: SessionId) {
        let bound: Vec<(u16, StreamId)> =
            self.viewers.get(&session).map_or_else(Vec::new, |viewer| {
                let bindings = viewer.bindings();
                bindings
                    .map(|(slot, binding)| (slot, binding.stream))
                    .collect()
            });
        for (slot, stream) in bound {
            self.begin(now, session, slot, stream, false);
        }
    }

    fn viewers_of(&self, id: StreamId) -> Vec<(SessionId, u16)> {
        let stream = self.streams.get(&id);
        stream.map_or_else(Vec::new, |stream| stream.viewers.clone())
    }

    /// Somebody needs a key frame of a stream's layer.
    pub(super) fn request_key_frame(&mut self, now: Instant, id: StreamId, layer: u8) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let layers = stream.video_track().and_then(|track| {
            let tracks = stream.tracks.as_ref()?;
            tracks.get(track).map(|track| track.layers)
        });
        if layers.is_none_or(|layers| layer >= layers) {
            return;
        }
        let decision = stream.request_key_frame(now, layer, stream.origin == self.id);
        self.decided(now, id, layer, decision);
    }

    fn decided(&mut self, now: Instant, id: StreamId, layer: u8, decision: KeyFrameDecision) {
        match decision {
            KeyFrameDecision::Ask => {
                self.ask_for_key_frame(now, id, layer);
                let due = self.streams.get(&id).and_then(|s| s.answer_due(layer));
                if let Some(due) = due {
                    self.schedule.earliest(Timer::KeyFrame(id), due);
                }
            }
            KeyFrameDecision::Wait(at) => self.schedule.earliest(Timer::KeyFrame(id), at),
        }
    }

    /// A request had to wait, or its answer is overdue.
    pub(super) fn key_frames_due(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        let mut wanted = 0_u32;
        for (session, slot) in &stream.viewers {
            let layer = self.viewers.get(session).and_then(|v| v.waits(*slot));
            wanted |= layer.map_or(0, |layer| 1_u32.checked_shl(layer.into()).unwrap_or(0));
        }
        for layer in 0..stream.store.layer_count().max(1) {
            let Some(stream) = self.streams.get_mut(&id) else {
                return;
            };
            let here = stream.origin == self.id;
            let waited = wanted
                .checked_shr(layer.into())
                .is_some_and(|bits| bits & 1 == 1);
            if let Some(decision) = stream.key_frame_due(now, layer, waited, here) {
                self.decided(now, id, layer, decision);
            }
        }
    }

    /// Ask the publisher, or the worker that holds it.
    fn ask_for_key_frame(&mut self, now: Instant, id: StreamId, layer: u8) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.origin != self.id {
            let message = PeerMessage::NeedKeyFrame { stream: id, layer };
            let origin = stream.origin;
            self.outputs.push_back(Output::Peer(origin, message));
            return;
        }
        let session = SessionId(id.0);
        if let (Some(track), Some(publisher)) =
            (stream.video_track(), self.publishers.get_mut(&session))
        {
            let round_trip = publisher.session.statistics().rtt_ms.unwrap_or(0.0);
            stream.round_trip = Duration::from_secs_f64(round_trip.clamp(0.0, 5_000.0) / 1_000.0);
            publisher.session.request_key_frame(now, track, layer);
            self.touch(session);
        }
    }
}
