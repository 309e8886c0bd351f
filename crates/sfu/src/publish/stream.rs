//! A stream as one worker sees it: published here, or pulled from the worker of its publisher.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_media::{GopCache, Kind, LayerStore, Packet};
use sanderling_rtc::TrackInfo;

use super::key_frames::{Decision, KeyFrames, Need};
use super::layers::Layers;
use super::spread::Spread;
use crate::{LayerChoice, SessionId, Ticket, WorkerId};

/// A publisher is asked for a key frame so long after its first picture, if nobody else asked before: then it is known
/// whether it answers before the first viewer comes.
const PROBE: Duration = Duration::from_secs(1);
/// A key frame that is still damaged after so long will not be repaired.
const REPAIRED: Duration = Duration::from_millis(200);

/// Bytes that RTP with its extensions and SRTP add to a packet.
const HEADERS: usize = 48;

/// A bind that waits for another worker to say what the stream consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingBind {
    pub(crate) ticket: Ticket,
    pub(crate) session: SessionId,
    pub(crate) audio: bool,
    pub(crate) video: bool,
}

/// What a worker that pulls a stream gets before its live packets: the packets since the last key frame of each layer
/// with their parameter sets, and what is known of the layers. Payloads are shared.
#[derive(Debug)]
pub struct Cached {
    gops: Vec<GopCache>,
    layers: Layers,
    answers: Option<bool>,
}

/// What a video packet means for those who get it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mark {
    /// A key frame begins with it.
    pub(crate) begins: bool,
    /// Parts of the key frame came before this, its first packet, or have to be sent in front of it.
    pub(crate) more: bool,
    /// It is part of a key frame that is too large to leave at once.
    pub(crate) spread: bool,
}

/// What a packet changed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Changes {
    /// Viewers may have to go to other layers.
    pub(crate) layers: bool,
    /// It became known whether the publisher answers requests for key frames.
    pub(crate) answers: Option<bool>,
    /// It is time to find out whether it does, on this layer.
    pub(crate) probe: Option<u8>,
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Worker of its publisher.
    pub(crate) origin: WorkerId,
    /// What it consists of; `None` until the origin has said so.
    pub(crate) tracks: Option<Arc<[TrackInfo]>>,
    /// Viewers on this worker, with their slot.
    pub(crate) viewers: Vec<(SessionId, u16)>,
    /// Those of them that get packets from the store at their own pace.
    pub(crate) paced: Vec<(SessionId, u16)>,
    /// Other workers that pulled it.
    pub(crate) pulled_by: Vec<WorkerId>,
    /// Binds that wait for `tracks`.
    pub(crate) pending: Vec<PendingBind>,
    /// Video packets for those who miss some or come later, once for all viewers of this worker.
    pub(crate) store: LayerStore,
    /// Packets that came in together and have not been forwarded yet, in the order in which they came.
    pub(crate) burst: Vec<Packet>,
    pub(crate) layers: Layers,
    /// Rate of the sound, as a layer of its own.
    pub(crate) sound: Layers,
    /// Round trip to the publisher, as far as it is known.
    pub(crate) round_trip: Duration,
    key_frames: Vec<KeyFrames>,
    spreads: Vec<Spread>,
    /// When the first picture came, until the publisher was asked for a key frame.
    unasked_since: Option<Instant>,
}

impl Stream {
    pub(crate) fn new(origin: WorkerId, tracks: Option<Arc<[TrackInfo]>>) -> Self {
        Self {
            origin,
            tracks,
            viewers: Vec::new(),
            paced: Vec::new(),
            pulled_by: Vec::new(),
            pending: Vec::new(),
            store: LayerStore::default(),
            burst: Vec::new(),
            layers: Layers::default(),
            sound: Layers::default(),
            round_trip: Duration::ZERO,
            key_frames: Vec::new(),
            spreads: Vec::new(),
            unasked_since: None,
        }
    }

    /// Index of the video track.
    pub(crate) fn video_track(&self) -> Option<usize> {
        self.tracks
            .as_ref()?
            .iter()
            .position(|track| track.kind == Kind::Video)
    }

    /// Whether nobody on this node needs it from here.
    pub(crate) fn is_idle(&self) -> bool {
        self.viewers.is_empty() && self.pending.is_empty() && self.pulled_by.is_empty()
    }

    /// Layer of those who chose none and can take everything.
    pub(crate) fn best_layer(&self) -> u8 {
        self.layers.pick(LayerChoice::Automatic, 0)
    }

    /// What another worker gets with its first subscription.
    pub(crate) fn cached(&self) -> Cached {
        Cached {
            gops: self.store.gops(),
            layers: self.layers.clone(),
            answers: self.answers(),
        }
    }

    /// Take over what the worker of the publisher sent.
    pub(crate) fn prime(&mut self, cached: &Cached) {
        self.store.prime(&cached.gops);
        self.layers = cached.layers.clone();
        if let Some(answers) = cached.answers {
            self.learn(answers);
        }
    }

    fn requests(&mut self, layer: u8) -> &mut KeyFrames {
        let index = usize::from(layer);
        while self.key_frames.len() <= index {
            self.key_frames.push(KeyFrames::default());
        }
        &mut self.key_frames[index]
    }

    /// Whether the publisher answers requests for key frames, as far as it is known. All layers come from one encoder.
    pub(crate) fn answers(&self) -> Option<bool> {
        let known = |layer: &KeyFrames| layer.answers();
        self.key_frames.iter().find_map(known)
    }

    /// Whether it is known that the publisher does not.
    pub(crate) fn is_deaf(&self) -> bool {
        self.answers() == Some(false)
    }

    /// It became known, here or elsewhere, whether the publisher answers.
    pub(crate) fn learn(&mut self, answers: bool) {
        self.requests(0);
        self.key_frames
            .iter_mut()
            .for_each(|layer| layer.learn(answers));
    }

    fn need(&self, now: Instant, layer: u8, here: bool) -> Need {
        let damaged = |gop: &GopCache| {
            gop.key_frame().is_some_and(|key| {
                !key.whole && now.saturating_duration_since(key.arrival) > REPAIRED
            })
        };
        match here {
            false => Need::Elsewhere,
            true if self.store.gop(layer, damaged) => Need::Damaged,
            true => Need::Picture,
        }
    }

    /// Somebody needs a key frame of a layer. `here`: this is the worker of the publisher.
    pub(crate) fn request_key_frame(&mut self, now: Instant, layer: u8, here: bool) -> Decision {
        let need = self.need(now, layer, here);
        self.requests(layer).request(now, need)
    }

    /// The time of a request that had to wait has come, or a request was not answered. What to do for a layer that
    /// viewers wait for if `wanted`.
    pub(crate) fn key_frame_due(
        &mut self,
        now: Instant,
        layer: u8,
        wanted: bool,
        here: bool,
    ) -> Option<Decision> {
        let need = self.need(now, layer, here);
        self.requests(layer).due(now, wanted, need)
    }

    /// When to look after the answer to a request.
    pub(crate) fn answer_due(&self, layer: u8) -> Option<Instant> {
        self.key_frames.get(usize::from(layer))?.answer_due()
    }

    /// Count a packet of sound, whose headers are as large as itself.
    pub(crate) fn count_sound(&mut self, now: Instant, packet: &Packet) {
        let bytes = packet.payload.len() + HEADERS;
        self.sound.count(now, 0, bytes);
    }

    /// Count a video packet and keep it for those who miss it or come later. `here`: this is the worker of the
    /// publisher.
    pub(crate) fn keep(
        &mut self,
        now: Instant,
        packet: &Packet,
        here: bool,
        changes: &mut Changes,
    ) -> Mark {
        let (layer, round_trip) = (packet.layer, self.round_trip);
        changes.layers |= self.layers.count(now, layer, packet.payload.len());
        let begins = self.store.keep(packet);
        if begins {
            let again = self.requests(layer).arrived(now, round_trip);
            if here && again {
                self.learn(true);
                changes.answers = Some(true);
            }
        } else if here && packet.frame_start && !packet.key_frame {
            if self.requests(layer).frame(now, round_trip) {
                self.learn(false);
                changes.answers = Some(false);
            }
            self.probe(now, layer, changes);
        }
        let rate = self.layers.rate(layer, now);
        let index = usize::from(layer);
        if self.spreads.len() <= index {
            self.spreads.resize_with(index + 1, Spread::default);
        }
        let spread = &mut self.spreads[index];
        self.store.gop(layer, |gop| Mark {
            begins,
            more: begins && (gop.len() > 1 || gop.parameters().is_some()),
            spread: spread.takes(now, packet, gop, rate),
        })
    }

    fn probe(&mut self, now: Instant, layer: u8, changes: &mut Changes) {
        if self.key_frames.iter().any(|layer| !layer.never_asked()) {
            return;
        }
        let since = *self.unasked_since.get_or_insert(now);
        if layer == self.best_layer() && now.saturating_duration_since(since) >= PROBE {
            changes.probe = Some(layer);
        }
    }

    /// Requests sent to the publisher and key frames received, of all layers.
    pub(crate) fn key_frame_counts(&self) -> (u64, u64) {
        let sent = self.key_frames.iter().map(|layer| layer.sent).sum();
        let received = self.key_frames.iter().map(|layer| layer.received).sum();
        (sent, received)
    }
}

pub(crate) use super::key_frames::Decision as KeyFrameDecision;
