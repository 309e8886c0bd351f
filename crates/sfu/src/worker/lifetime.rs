//! Timers, reports and ends.

use std::time::Instant;

use sanderling_rtc::Session;

use super::Worker;
use crate::schedule::Timer;
use crate::session_life::STATISTICS_INTERVAL;
use crate::{CloseReason, Event, Reason, SessionId, StreamId, Ticket};

impl Worker {
    /// Run everything that is due.
    pub(super) fn timers(&mut self, now: Instant) {
        while let Some(timer) = self.schedule.due(now) {
            match timer {
                Timer::Session(session) => self.session_timer(now, session),
                Timer::KeyFrame(stream) => self.key_frames_due(now, stream),
                Timer::Pace(stream) => self.pace_soon(stream),
            }
        }
    }

    fn session_timer(&mut self, now: Instant, session: SessionId) {
        let Some(life) = self.life(session) else {
            return;
        };
        if let Some(reason) = life.expired(now) {
            return self.end(now, session, reason);
        }
        let report_due = life.statistics_due(now);
        let silence = life.silence(now);
        let engine_due = life.wake_at.is_some_and(|at| at <= now);
        let mut values = None;
        if let Some(publisher) = self.publishers.get_mut(&session) {
            if engine_due {
                publisher.session.handle_timeout(now);
            }
            if report_due {
                values = publisher.report(now);
            }
        } else if let Some(viewer) = self.viewers.get_mut(&session) {
            if engine_due {
                viewer.session.handle_timeout(now);
            }
            if report_due {
                values = viewer.report();
            }
        }
        if values.is_none() && report_due && silence < STATISTICS_INTERVAL {
            // It carries nothing, but consents: whoever watches over the peer's life has to know.
            values = Some(Vec::new());
        }
        if let Some(mut values) = values {
            values.push(("silent_ms", silence.as_secs_f64() * 1000.0));
            self.event(Event::Stats { session, values });
        }
        self.touch(session);
    }

    /// The control plane closes a session.
    pub(super) fn close(&mut self, now: Instant, ticket: Ticket, session: SessionId) {
        if self.remove(now, session) {
            self.done(ticket);
        } else {
            self.failed(
                ticket,
                Reason::UnknownSession,
                format!("no session {}", session.0),
            );
        }
    }

    /// A session ends by itself.
    pub(super) fn end(&mut self, now: Instant, session: SessionId, reason: CloseReason) {
        if self.remove(now, session) {
            self.event(Event::Closed { session, reason });
        }
    }

    /// Take a session out of every table, saying goodbye to its peer. False when there is none.
    fn remove(&mut self, now: Instant, session: SessionId) -> bool {
        self.settle(now);
        let from = self.life(session).and_then(|life| life.handshake_from);
        if let Some(source) = from {
            self.handshakes.end(source);
        }
        if let Some(mut publisher) = self.publishers.remove(&session) {
            publisher.session.close(now, &mut self.outbox);
            self.end_stream(StreamId(session.0));
        } else if let Some(mut viewer) = self.viewers.remove(&session) {
            viewer.session.close(now, &mut self.outbox);
            self.remove_viewer(
                session,
                &viewer
                    .bindings()
                    .map(|(_, binding)| binding.stream)
                    .collect::<Vec<_>>(),
            );
        } else {
            return false;
        }
        self.demux.remove(session);
        self.schedule.set(Timer::Session(session), None);
        self.touched.retain(|touched| *touched != session);
        true
    }

    fn remove_viewer(&mut self, session: SessionId, bound: &[StreamId]) {
        for id in bound {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.viewers.retain(|(viewer, _)| *viewer != session);
            }
            self.release_if_idle(*id);
        }
        let waiting: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, stream)| {
                stream
                    .pending
                    .iter()
                    .any(|pending| pending.session == session)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            let Some(stream) = self.streams.get_mut(&id) else {
                continue;
            };
            let tickets: Vec<Ticket> = stream
                .pending
                .iter()
                .filter(|pending| pending.session == session)
                .map(|pending| pending.ticket)
                .collect();
            stream.pending.retain(|pending| pending.session != session);
            for ticket in tickets {
                self.failed(
                    ticket,
                    Reason::UnknownSession,
                    "the viewer closed before the stream was bound",
                );
            }
            self.release_if_idle(id);
        }
    }
}
