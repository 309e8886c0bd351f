//! Pictures on their way to a viewer: begun, forwarded, replayed, switched.

use std::time::Instant;

use sanderling_media::{Kind, Packet, PlayoutDelay};
use sanderling_rtc::{Batch, Session};

use super::feed::{self, Plan};
use super::forwarder::Source;
use super::viewer::{Binding, Forwarded, Slot, Viewer, index};
use crate::LayerChoice;
use crate::publish::{Mark, Stream};

/// What to do after a viewer's pictures were begun.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Begun {
    /// A key frame of this layer is needed.
    pub(crate) key_frame: Option<u8>,
    /// The viewer is behind and has to be paced.
    pub(crate) behind: bool,
}

/// What came of pacing a viewer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paced {
    /// Packets that were sent.
    pub(crate) sent: u64,
    /// Timestamp of the first one since the bind.
    pub(crate) first: Option<u32>,
    /// When it goes on; `None`: it is live, or waits.
    pub(crate) next: Option<Instant>,
    /// A key frame of this layer is needed.
    pub(crate) key_frame: Option<u8>,
}

impl<S: Session> Viewer<S> {
    fn video(
        &mut self,
        slot: u16,
    ) -> Option<(&mut S, &mut Binding, &mut super::forwarder::Forwarder)> {
        let Slot {
            forwarders,
            binding,
        } = self.slots.get_mut(usize::from(slot))?;
        let binding = binding.as_mut().filter(|binding| binding.video)?;
        let connected = self.life.connected();
        connected.then_some((
            &mut self.session,
            binding,
            &mut forwarders[index(Kind::Video)],
        ))
    }

    /// Choose the layer of a slot.
    pub(crate) fn choose(&mut self, slot: u16, choice: LayerChoice) {
        let slot = self.slots.get_mut(usize::from(slot));
        if let Some(binding) = slot.and_then(|slot| slot.binding.as_mut()) {
            binding.feed.choice = choice;
        }
    }

    /// Say how late the pictures of a slot may be shown, in units of 10 ms.
    pub(crate) fn set_delay(&mut self, slot: u16, most: u16) {
        let slot = self.slots.get_mut(usize::from(slot));
        if let Some(binding) = slot.and_then(|slot| slot.binding.as_mut()) {
            let max = most.min(PlayoutDelay::LONGEST);
            binding.feed.delay = PlayoutDelay { min: 0, max };
        }
    }

    /// Send no pictures, or send them again from the next clean frame on.
    pub(crate) fn hold(&mut self, held: bool) {
        for slot in &mut self.slots {
            let Slot {
                forwarders,
                binding,
            } = slot;
            if let Some(binding) = binding.as_mut().filter(|binding| binding.video) {
                binding.feed.held = held;
                binding.feed.lost(&mut forwarders[index(Kind::Video)]);
            }
        }
    }

    /// Layer that a slot waits for a key frame of.
    pub(crate) fn waits(&self, slot: u16) -> Option<u8> {
        let slot = self.slots.get(usize::from(slot))?;
        let binding = slot.binding.as_ref().filter(|binding| binding.video)?;
        let layer = binding.feed.wanted;
        let source = Source {
            stream: binding.stream,
            layer,
        };
        let still = binding.feed.cursor.is_some_and(|cursor| cursor.still);
        let there = slot.forwarders[index(Kind::Video)].source() == Some(source) && !still;
        (self.life.connected() && !binding.feed.held && !there).then_some(layer)
    }

    /// Layer that a slot is on.
    pub(crate) fn layer(&self, slot: u16) -> Option<u8> {
        let slot = self.slots.get(usize::from(slot))?;
        let source = slot.forwarders[index(Kind::Video)].source();
        source.map(|source| source.layer)
    }

    /// Bring the pictures of a slot to the layer that they should be on: from the cache if it is young and nothing
    /// newer of the stream was shown, or at the next key frame. What runs goes on until then. `afresh`: also if it is
    /// that layer that runs.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        slot: u16,
        stream: &Stream,
        afresh: bool,
    ) -> Begun {
        let steps = self.safety.steps();
        let Some((_, binding, forwarder)) = self.video(slot) else {
            return Begun::default();
        };
        let feed = &mut binding.feed;
        feed.wanted = stream.layers.pick(feed.choice, steps);
        let source = Source {
            stream: binding.stream,
            layer: feed.wanted,
        };
        let still = feed.cursor.is_some_and(|cursor| cursor.still);
        if feed.held || forwarder.source() == Some(source) && !afresh && !still {
            return Begun::default();
        }
        feed.refresh(now);
        let wanted = feed.wanted;
        let deaf = stream.is_deaf();
        let needed = stream.store.gop(wanted, |gop| {
            let mut plan = feed::plan(gop, now, deaf);
            // What is cached was shown, on this layer or on another: the picture would jump back to it. Where no key
            // frame can be had, that is better than none, if pictures follow it.
            let last = deaf && forwarder.source().is_none();
            let shown = forwarder.shown(binding.stream);
            let shown = shown.filter(|_| gop.overflowed() || !afresh && !last);
            if shown.is_some_and(|shown| gop.key().is_some_and(|key| key.captured < shown)) {
                plan = Plan::Wait;
            }
            match plan {
                Plan::Whole => feed.replay(now, binding.stream, forwarder, gop, false),
                Plan::Still if forwarder.source().is_none() => {
                    feed.replay(now, binding.stream, forwarder, gop, true);
                }
                Plan::Still | Plan::Wait => {}
            }
            plan != Plan::Whole || deaf || feed::is_stale(gop, now)
        });
        Begun {
            key_frame: needed.then_some(wanted),
            behind: feed.cursor.is_some() && !std::mem::replace(&mut feed.listed, true),
        }
    }

    /// Send a picture's packet on a slot, if it belongs there. `behind` becomes true when the viewer has to be paced.
    #[expect(
        clippy::too_many_arguments,
        reason = "the forward step has no state of its own to put them into"
    )]
    pub(crate) fn forward_video<B: Batch>(
        &mut self,
        now: Instant,
        slot: u16,
        stream: &Stream,
        packet: &Packet,
        mark: Mark,
        behind: &mut bool,
        batch: &mut B,
    ) -> Forwarded {
        let narrow = self.safety.share().is_some();
        let Some((session, binding, forwarder)) = self.video(slot) else {
            return Forwarded::No;
        };
        let spread = mark.spread || narrow;
        let (id, layer) = (binding.stream, packet.layer);
        let feed = &mut binding.feed;
        let runs = forwarder.source() == Some(Source { stream: id, layer });
        let begins = mark.begins
            && !feed.held
            && (!runs && layer == feed.wanted || feed.cursor.is_some_and(|c| c.layer == layer));
        if begins {
            if mark.more || spread {
                // In front of it something else has to go.
                stream.store.gop(layer, |gop| {
                    if gop.key().is_some_and(|key| key.sequence == packet.sequence) {
                        feed.replay(now, id, forwarder, gop, false);
                    }
                });
                *behind |= feed.cursor.is_some() && !std::mem::replace(&mut feed.listed, true);
                return Forwarded::No;
            }
            forwarder.begin(id, packet, None, 0);
            feed.live();
        } else if !runs {
            return Forwarded::No;
        } else if let Some(cursor) = feed.cursor {
            if packet.sequence >= cursor.next {
                return Forwarded::No;
            }
        } else if spread && stream.store.gop(layer, |gop| feed.follow(now, packet, gop)) {
            *behind |= !std::mem::replace(&mut feed.listed, true);
            return Forwarded::No;
        }
        let Some((mut header, captured)) = forwarder.forward(id, packet) else {
            return Forwarded::No;
        };
        header.playout_delay = header.playout_delay.map(|_| feed.delay);
        if captured == packet.captured {
            return binding.write(session, now, slot, packet, header, batch);
        }
        let packet = Packet {
            captured,
            ..packet.clone()
        };
        binding.write(session, now, slot, &packet, header, batch)
    }

    /// Send as much of what a slot is behind as may leave by now.
    pub(crate) fn pace<B: Batch>(
        &mut self,
        now: Instant,
        slot: u16,
        stream: &Stream,
        batch: &mut B,
    ) -> Paced {
        let mut paced = Paced::default();
        let share = self.safety.share();
        let estimate = self.session.allowance(now);
        let estimate = estimate.map(|allowance| allowance.bits_per_second);
        let Some((session, binding, forwarder)) = self.video(slot) else {
            return paced;
        };
        let Some(mut cursor) = binding.feed.cursor.take() else {
            binding.feed.listed = false;
            return paced;
        };
        let id = binding.stream;
        let rate = stream.layers.rate(cursor.layer, now);
        let mut dropped = false;
        let caught_up = stream.store.gop(cursor.layer, |gop| {
            if !cursor.stands_in(gop) {
                return None;
            }
            cursor.advance(now, gop, rate, estimate, share);
            let key = gop.key().map(|key| key.timestamp);
            let mut send =
                |packet: &Packet, rewritten: Option<(sanderling_rtc::Header, Instant)>| {
                    let Some((header, captured)) = rewritten else {
                        return;
                    };
                    let packet = Packet {
                        captured,
                        ..packet.clone()
                    };
                    match binding.write(session, now, slot, &packet, header, batch) {
                        Forwarded::No => return,
                        Forwarded::Sent => {}
                        Forwarded::First(timestamp) => paced.first = Some(timestamp),
                    }
                    paced.sent += 1;
                };
            if std::mem::take(&mut cursor.parameters)
                && let (Some(parameters), Some(key)) = (gop.parameters(), gop.key())
            {
                send(&parameters, forwarder.ahead(key));
            }
            for packet in gop.from(cursor.next) {
                if cursor.still && Some(packet.timestamp) != key {
                    return Some(true);
                }
                if share.is_some() && cursor.is_late(packet, now) {
                    dropped = true;
                    return None;
                }
                if !cursor.may_send() {
                    return Some(false);
                }
                send(packet, forwarder.forward(id, packet));
                cursor.pass(packet);
            }
            Some(true)
        });
        let feed = &mut binding.feed;
        match caught_up {
            Some(false) => {
                paced.next = Some(cursor.next_at(now));
                feed.cursor = Some(cursor);
            }
            Some(true) if !cursor.still => feed.live(),
            Some(true) => feed.lost(forwarder),
            None if dropped => feed.leave_out(forwarder),
            None => {
                feed.lost(forwarder);
                paced.key_frame = Some(feed.wanted);
            }
        }
        feed.listed = feed.cursor.is_some();
        paced
    }
}
