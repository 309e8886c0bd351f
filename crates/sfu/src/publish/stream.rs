//! A stream as one worker sees it: published here, or pulled from the worker of its publisher.

use std::sync::Arc;
use std::time::Instant;

use sanderling_media::{Kind, LayerStore, Packet};
use sanderling_rtc::TrackInfo;

use super::key_frames::{Decision, KeyFrames};
use super::layers::Layers;
use crate::{SessionId, Ticket, WorkerId};

/// A bind that waits for another worker to say what the stream consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PendingBind {
    pub(crate) ticket: Ticket,
    pub(crate) session: SessionId,
    pub(crate) audio: bool,
    pub(crate) video: bool,
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
    /// Other workers that pulled it.
    pub(crate) pulled_by: Vec<WorkerId>,
    /// Binds that wait for `tracks`.
    pub(crate) pending: Vec<PendingBind>,
    /// Video packets for those who miss some, once for all viewers of this worker.
    pub(crate) sent: LayerStore,
    /// Packets that came in together and have not been forwarded yet, in the order in which they came.
    pub(crate) burst: Vec<Packet>,
    layers: Layers,
    key_frames: Vec<KeyFrames>,
}

impl Stream {
    pub(crate) fn new(origin: WorkerId, tracks: Option<Arc<[TrackInfo]>>) -> Self {
        Self {
            origin,
            tracks,
            viewers: Vec::new(),
            pulled_by: Vec::new(),
            pending: Vec::new(),
            sent: LayerStore::default(),
            burst: Vec::new(),
            layers: Layers::default(),
            key_frames: Vec::new(),
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

    /// Layer that viewers should get.
    pub(crate) fn target_layer(&self) -> u8 {
        self.layers.target()
    }

    fn requests(&mut self, layer: u8) -> &mut KeyFrames {
        let index = usize::from(layer);
        while self.key_frames.len() <= index {
            self.key_frames.push(KeyFrames::default());
        }
        &mut self.key_frames[index]
    }

    /// Somebody needs a key frame of the layer that is sent.
    pub(crate) fn request_key_frame(&mut self, now: Instant) -> Decision {
        let layer = self.target_layer();
        self.requests(layer).request(now)
    }

    /// The time of a request that had to wait has come: true when the publisher has to be asked.
    pub(crate) fn key_frame_due(&mut self, now: Instant) -> bool {
        let layer = self.target_layer();
        self.requests(layer).due(now)
    }

    /// Count a packet. True when the layer that is sent changed and a key frame of the new one has to be asked for.
    pub(crate) fn count(&mut self, now: Instant, packet: &Packet) -> bool {
        if packet.kind != Kind::Video {
            return false;
        }
        let changed = self.layers.count(now, packet.layer, packet.payload.len());
        if packet.key_frame {
            self.requests(packet.layer).arrived();
        }
        let target = self.target_layer();
        changed && !packet.key_frame && self.requests(target).request(now) == Decision::Ask
    }

    /// Packets that begin no key frame came on the layer that is sent. True when viewers wait for one and the last
    /// request seems to be lost.
    pub(crate) fn missed(&mut self, now: Instant, waiting: bool) -> bool {
        let target = self.target_layer();
        self.requests(target).missed(now, waiting)
    }

    /// Requests sent to the publisher and key frames received, of all layers.
    pub(crate) fn key_frame_counts(&self) -> (u64, u64) {
        let sent = self.key_frames.iter().map(|layer| layer.sent).sum();
        let received = self.key_frames.iter().map(|layer| layer.received).sum();
        (sent, received)
    }
}

pub(crate) use super::key_frames::Decision as KeyFrameDecision;
