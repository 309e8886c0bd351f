//! A viewer's session with its slots.

use std::time::Instant;

use sanderling_media::{Kind, Packet};
use sanderling_rtc::{Batch, Header, Session, TrackInfo};

use super::feed::Feed;
use super::forwarder::Forwarder;
use super::safety::Safety;
use crate::session_life::SessionLife;
use crate::{Reason, StreamId};

/// What is bound to a slot.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) stream: StreamId,
    /// Kinds that are sent, and whether their first packet went out.
    pub(crate) audio: bool,
    pub(crate) video: bool,
    /// How its video is going.
    pub(crate) feed: Feed,
    pub(super) flowing: [bool; 2],
}

pub(super) struct Slot {
    pub(super) forwarders: [Forwarder; 2],
    pub(super) binding: Option<Binding>,
}

impl Binding {
    /// Write a packet to the session.
    pub(super) fn write<S: Session, B: Batch>(
        &mut self,
        session: &mut S,
        now: Instant,
        slot: u16,
        packet: &Packet,
        header: Header,
        batch: &mut B,
    ) -> Forwarded {
        if session.write(now, slot, packet, header, batch).is_err() {
            return Forwarded::No;
        }
        if std::mem::replace(&mut self.flowing[index(packet.kind)], true) {
            Forwarded::Sent
        } else {
            Forwarded::First(header.timestamp)
        }
    }
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forwarded {
    /// It does not belong there, or the viewer is not connected yet.
    No,
    /// It went out.
    Sent,
    /// It went out as the first of its kind since the bind, with this RTP timestamp.
    First(u32),
}

/// A viewer.
pub(crate) struct Viewer<S> {
    pub(crate) session: S,
    pub(crate) life: SessionLife,
    /// What its network carries.
    pub(crate) safety: Safety,
    pub(super) slots: Vec<Slot>,
}

pub(super) fn index(kind: Kind) -> usize {
    match kind {
        Kind::Audio => 0,
        Kind::Video => 1,
    }
}

impl<S: Session> Viewer<S> {
    pub(crate) fn new(session: S, life: SessionLife) -> Self {
        Self {
            session,
            life,
            safety: Safety::new(),
            slots: Vec::new(),
        }
    }

    /// Make room for the session's slots, each with first sequence numbers from `number`.
    pub(crate) fn grow(&mut self, mut number: impl FnMut() -> u16) {
        while self.slots.len() < usize::from(self.session.slots()) {
            self.slots.push(Slot {
                forwarders: [Forwarder::new(number()), Forwarder::new(number())],
                binding: None,
            });
        }
    }

    /// Read what forwarding to a slot needs; see [`Session::warm`].
    pub(crate) fn warm(&self, slot_number: u16, kind: Kind) {
        if let Some(slot) = self.slots.get(usize::from(slot_number)) {
            let binding = slot.binding.as_ref().map(|binding| binding.stream);
            std::hint::black_box((binding, slot.forwarders[index(kind)].source()));
        }
        self.session.warm(slot_number, kind);
    }

    /// Bindings with their slot.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (u16, &Binding)> {
        let bound = self.slots.iter().zip(0_u16..);
        bound.filter_map(|(slot, number)| slot.binding.as_ref().map(|binding| (number, binding)))
    }

    /// Slot that a stream is bound to.
    pub(crate) fn slot_of(&self, stream: StreamId) -> Option<u16> {
        self.bindings()
            .find(|(_, binding)| binding.stream == stream)
            .map(|(slot, _)| slot)
    }

    /// Stream that is bound to a slot.
    pub(crate) fn stream_on(&self, slot: u16) -> Option<StreamId> {
        self.slots
            .get(usize::from(slot))?
            .binding
            .as_ref()
            .map(|binding| binding.stream)
    }

    /// Bind tracks of a stream to the first free slot that has a section for each.
    pub(crate) fn bind(
        &mut self,
        stream: StreamId,
        tracks: &[&TrackInfo],
    ) -> Result<u16, (Reason, String)> {
        let free = (0..self.session.slots()).filter(|slot| self.stream_on(*slot).is_none());
        let fits = |slot: &u16| {
            tracks
                .iter()
                .all(|track| self.session.slot_mid(*slot, track.kind).is_some())
        };
        let Some(slot) = free.into_iter().find(fits) else {
            let taken = self.bindings().count();
            let all = self.session.slots();
            return Err((
                Reason::NoSlot,
                format!("{taken} of the viewer's {all} slots are taken and none of the rest fits"),
            ));
        };
        for track in tracks {
            if !self.session.bind(slot, track) {
                let takes = self.session.slot_codecs(slot, track.kind);
                self.session.unbind(slot);
                let text = format!(
                    "the stream's {} is {}; the viewer takes {takes}",
                    track.kind,
                    track.codec_text()
                );
                return Err((Reason::NoCodec, text));
            }
        }
        let carries = |kind| tracks.iter().any(|track| track.kind == kind);
        self.slots[usize::from(slot)].binding = Some(Binding {
            stream,
            audio: carries(Kind::Audio),
            video: carries(Kind::Video),
            feed: Feed::new(self.safety.is_paused()),
            flowing: [false; 2],
        });
        Ok(slot)
    }

    /// Free a slot; nothing is sent on it from now on.
    pub(crate) fn unbind(&mut self, slot: u16) {
        self.session.unbind(slot);
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            slot.binding = None;
            slot.forwarders.iter_mut().for_each(Forwarder::stop);
        }
    }

    /// Send a packet of sound on a slot, if it belongs there.
    pub(crate) fn forward_audio<B: Batch>(
        &mut self,
        now: Instant,
        slot_number: u16,
        packet: &Packet,
        batch: &mut B,
    ) -> Forwarded {
        let connected = self.life.connected();
        let Some(slot) = self.slots.get_mut(usize::from(slot_number)) else {
            return Forwarded::No;
        };
        let Some(binding) = slot.binding.as_mut().filter(|b| connected && b.audio) else {
            return Forwarded::No;
        };
        let forwarder = &mut slot.forwarders[index(Kind::Audio)];
        let Some(header) = forwarder.forward_sound(binding.stream, packet) else {
            return Forwarded::No;
        };
        binding.write(&mut self.session, now, slot_number, packet, header, batch)
    }

    /// Named counters for the control plane; `None` when nothing was sent yet.
    pub(crate) fn report(&self) -> Option<Vec<(&'static str, f64)>> {
        let total = self.session.statistics();
        if total.packets == 0 {
            return None;
        }
        let mut values = vec![
            ("bytes", total.bytes as f64),
            ("packets", total.packets as f64),
            ("nacks", total.nacks as f64),
            ("rtx", total.retransmitted as f64),
            ("plis", total.key_frame_requests as f64),
            ("loss", total.loss),
        ];
        if let Some(rtt_ms) = total.rtt_ms {
            values.push(("rtt_ms", rtt_ms));
        }
        Some(values)
    }
}
