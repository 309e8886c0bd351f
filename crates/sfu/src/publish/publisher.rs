//! A publisher's session with what is counted on it.

use std::time::Instant;

use sanderling_media::{Kind, Packet};
use sanderling_rtc::Session;

use crate::session_life::SessionLife;

/// A publisher.
pub(crate) struct Publisher<S> {
    pub(crate) session: S,
    pub(crate) life: SessionLife,
    started: Vec<bool>,
    key_frames: u64,
    frames: Vec<u64>,
    reported: Reported,
}

/// Totals at the last report.
#[derive(Debug, Default)]
struct Reported {
    at: Option<Instant>,
    bytes: u64,
    frames: Vec<u64>,
}

impl<S: Session> Publisher<S> {
    pub(crate) fn new(session: S, life: SessionLife) -> Self {
        Self {
            session,
            life,
            started: Vec::new(),
            key_frames: 0,
            frames: Vec::new(),
            reported: Reported::default(),
        }
    }

    /// Count a packet. True for the first one of its track that carries media.
    pub(crate) fn count(&mut self, track: usize, packet: &Packet) -> bool {
        if packet.kind == Kind::Video {
            let layer = usize::from(packet.layer);
            if self.frames.len() <= layer {
                self.frames.resize(layer + 1, 0);
            }
            self.frames[layer] += u64::from(packet.marker);
            self.key_frames += u64::from(packet.key_frame);
        }
        if packet.payload.is_empty() {
            return false;
        }
        if self.started.len() <= track {
            self.started.resize(track + 1, false);
        }
        !std::mem::replace(&mut self.started[track], true)
    }

    /// Named counters for the control plane; `None` when nothing came yet.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Vec<(&'static str, f64)>> {
        let total = self.session.statistics();
        if total.packets == 0 {
            return None;
        }
        let seconds = self.reported.at.map_or(1.0, |at| {
            now.saturating_duration_since(at).as_secs_f64().max(1e-3)
        });
        let bits = (total.bytes - self.reported.bytes.min(total.bytes)) as f64 * 8.0;
        let before = |layer: usize| self.reported.frames.get(layer).copied().unwrap_or(0);
        // Layers show the same picture: the fastest one counts, not their sum.
        let frames = self
            .frames
            .iter()
            .enumerate()
            .map(|(layer, frames)| frames - before(layer))
            .max()
            .unwrap_or(0);
        let mut values = vec![
            ("bytes", total.bytes as f64),
            ("packets", total.packets as f64),
            ("lost", total.lost as f64),
            ("nacks", total.nacks as f64),
            ("plis", total.key_frame_requests as f64),
            ("key_frames", self.key_frames as f64),
            ("bitrate_kbps", bits / seconds / 1000.0),
            ("fps", frames as f64 / seconds),
        ];
        if let Some(rtt_ms) = total.rtt_ms {
            values.push(("rtt_ms", rtt_ms));
        }
        self.reported = Reported {
            at: Some(now),
            bytes: total.bytes,
            frames: self.frames.clone(),
        };
        Some(values)
    }
}
