//! Streams that cross from worker to worker.

use std::sync::Arc;
use std::time::Instant;

use super::Worker;
use crate::schedule::Timer;
use crate::{Output, PeerMessage, Reason, StreamId, WorkerId};

impl Worker {
    pub(super) fn peer(&mut self, now: Instant, from: WorkerId, message: PeerMessage) {
        match message {
            PeerMessage::Pull { stream } => self.pull(from, stream),
            PeerMessage::Unpull { stream } => {
                if let Some(held) = self.streams.get_mut(&stream) {
                    held.pulled_by.retain(|worker| *worker != from);
                }
            }
            PeerMessage::Tracks {
                stream: id,
                tracks,
                cached,
            } => {
                let Some(stream) = self
                    .streams
                    .get_mut(&id)
                    .filter(|stream| stream.origin == from)
                else {
                    return;
                };
                let pending = std::mem::take(&mut stream.pending);
                if tracks.is_none() {
                    self.streams.remove(&id);
                    for bind in pending {
                        self.failed(
                            bind.ticket,
                            Reason::UnknownStream,
                            format!("no stream {}", id.0),
                        );
                    }
                    return;
                }
                stream.tracks = tracks;
                if let Some(cached) = cached {
                    stream.prime(&cached);
                }
                for bind in pending {
                    self.complete_bind(now, id, bind);
                }
                self.release_if_idle(id);
            }
            PeerMessage::Packet { stream, packet } => self.pulled(from, stream, &packet),
            PeerMessage::NeedKeyFrame { stream, layer } => {
                self.request_key_frame(now, stream, layer);
            }
            PeerMessage::Answers { stream, answers } => {
                let held = self.streams.get(&stream);
                if held.is_some_and(|held| held.origin == from) {
                    self.answers(now, stream, answers);
                }
            }
            PeerMessage::Ended { stream } => {
                if self
                    .streams
                    .get(&stream)
                    .is_some_and(|held| held.origin == from)
                {
                    self.end_stream(stream);
                }
            }
        }
    }

    /// Send a stream to another worker from now on: first what is cached, then what is live.
    fn pull(&mut self, from: WorkerId, id: StreamId) {
        let held = self
            .streams
            .get_mut(&id)
            .filter(|stream| stream.origin == self.id);
        let (mut tracks, mut cached) = (None, None);
        if let Some(stream) = held {
            if !stream.pulled_by.contains(&from) {
                stream.pulled_by.push(from);
            }
            tracks = stream.tracks.clone();
            let video = stream.video_track();
            cached = video.map(|_| Arc::new(stream.cached()));
        }
        let message = PeerMessage::Tracks {
            stream: id,
            tracks,
            cached,
        };
        self.outputs.push_back(Output::Peer(from, message));
    }

    /// Let go of a stream of another worker that nobody here needs any more.
    pub(super) fn release_if_idle(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else {
            return;
        };
        if stream.origin != self.id && stream.is_idle() {
            let origin = stream.origin;
            self.streams.remove(&id);
            self.forget_timers(id);
            self.outputs
                .push_back(Output::Peer(origin, PeerMessage::Unpull { stream: id }));
        }
    }

    fn forget_timers(&mut self, id: StreamId) {
        self.schedule.set(Timer::KeyFrame(id), None);
        self.schedule.set(Timer::Pace(id), None);
    }

    /// A stream is over: free its slots and tell those who pulled it.
    pub(super) fn end_stream(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        self.forget_timers(id);
        for (session, slot) in stream.viewers {
            if let Some(viewer) = self.viewers.get_mut(&session) {
                viewer.unbind(slot);
            }
        }
        for bind in stream.pending {
            self.failed(
                bind.ticket,
                Reason::UnknownStream,
                format!("stream {} ended", id.0),
            );
        }
        for worker in stream.pulled_by {
            self.outputs
                .push_back(Output::Peer(worker, PeerMessage::Ended { stream: id }));
        }
    }
}
