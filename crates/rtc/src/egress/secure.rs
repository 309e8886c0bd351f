//! The secure channel of a viewer: its handshake, its keys, and the data channels over it.

use std::time::Instant;

use sanderling_media::Path;

use super::EgressViewer;
use super::data::{self, Channels};
use super::dtls::{self, Association, Step};
use crate::session::{Accepted, Event, Output};

impl EgressViewer {
    /// Take in a record.
    pub(super) fn handle_handshake(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Accepted {
        // Who has not passed a check gets no handshake: the server would answer with more than it was sent.
        if !self.ice.knows(&path) {
            return Accepted::No;
        }
        if let Some(association) = &mut self.association {
            association.handle(now, datagram);
        } else {
            if datagram[0] != dtls::HANDSHAKE {
                return Accepted::No;
            }
            let opening = self.opening.get_or_insert_default();
            let Some(version_13) = opening.push(datagram) else {
                return Accepted::Data;
            };
            let since = self.ice.first_check().unwrap_or(now);
            let round_trip = now.saturating_duration_since(since);
            let (config, fingerprint) = self.agreement.identity();
            let association =
                Association::new(now, opening, version_13, round_trip, config, fingerprint);
            self.opening = None;
            let Some(association) = association else {
                self.end(Event::HandshakeFailed);
                return Accepted::No;
            };
            self.association = Some(Box::new(association));
        }
        Accepted::Data
    }

    /// Drain the handshake. `Err` says when it wants to be woken.
    pub(super) fn poll_handshake(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
    ) -> Result<Output, Option<Instant>> {
        loop {
            let Some(association) = &mut self.association else {
                return Err(None);
            };
            match association.poll(now, buffer) {
                Step::Transmit(len) => {
                    // Without consent the record is as good as lost.
                    if let Some(path) = self.ice.path(now) {
                        return Ok(Output::Transmit { path, len });
                    }
                }
                Step::Keys(keys) => self.keys = Some(keys),
                Step::Data(message) => {
                    // Where data channels were refused, what comes nevertheless is left unread.
                    if self.agreement.takes_data() {
                        let channels = self
                            .channels
                            .get_or_insert_with(|| Box::new(Channels::new()));
                        channels.handle(now, &message);
                    }
                }
                Step::Wake(at) => {
                    if !self.connected && self.keys.is_some() && association.is_connected() {
                        self.connected = true;
                        return Ok(Output::Event(Event::Connected));
                    }
                    return Err(at);
                }
                Step::Closed | Step::Failed => {
                    self.stop();
                    return Ok(Output::Event(if self.connected {
                        Event::PeerClosed
                    } else {
                        Event::HandshakeFailed
                    }));
                }
            }
        }
    }

    /// Drain the data channels. `Err` says when they want to be woken.
    pub(super) fn poll_channels(&mut self, now: Instant) -> Result<Option<Event>, Option<Instant>> {
        let Some(channels) = &mut self.channels else {
            return Err(None);
        };
        match channels.poll(now) {
            data::Step::Transmit(datagram) => {
                if let Some(association) = &mut self.association {
                    association.send(&datagram);
                }
                Ok(None)
            }
            data::Step::Message {
                channel,
                binary,
                message,
            } => Ok(Some(Event::Data {
                channel,
                binary,
                message,
            })),
            data::Step::Wake(at) => Err(at),
        }
    }
}
