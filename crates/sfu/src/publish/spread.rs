//! Key frames that come in faster than they should go out.

use std::time::{Duration, Instant};

use sanderling_media::{GopCache, Packet};

/// Bytes of a key frame that may leave at once: one train of packets. What is no larger is like any other frame.
const AT_ONCE: f64 = 8.0 * 1_200.0;
/// A key frame leaves faster than this only as far as the layer's rate asks for it. Bursts at line rate overrun the
/// shallow queues of access networks.
pub(crate) const SPREAD: Duration = Duration::from_millis(20);
/// Key frames and replays leave at least so many times as fast as their layer flows.
pub(crate) const FASTER: f64 = 2.5;

/// What of a layer's key frame may still leave at once.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    key: Option<u32>,
    at: Option<Instant>,
    allowed: f64,
}

impl Spread {
    /// Count a packet that was just kept, on a layer of `rate` bits per second. True when it must not leave at once.
    pub(crate) fn takes(
        &mut self,
        now: Instant,
        packet: &Packet,
        gop: &GopCache,
        rate: f64,
    ) -> bool {
        let key = gop.key().map(|key| key.timestamp);
        if key != Some(packet.timestamp) {
            return false;
        }
        if self.key != key {
            (self.key, self.at, self.allowed) = (key, Some(now), AT_ONCE);
        }
        let elapsed = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        let rate = (FASTER * rate / 8.0).max(gop.bytes() as f64 / SPREAD.as_secs_f64());
        self.allowed = (self.allowed + elapsed * rate).min(AT_ONCE) - packet.payload.len() as f64;
        self.at = Some(now);
        self.allowed < 0.0
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use std::sync::Arc;

    use sanderling_media::{Codec, Extensions, Kind};

    use super::*;

    fn packet(start: Instant, sequence: u64, timestamp: u32, ms: u64) -> Packet {
        let at = start + Duration::from_millis(ms);
        Packet {
            kind: Kind::Video,
            codec: Codec::Vp8,
            layer: 0,
            sequence,
            timestamp,
            marker: false,
            frame_start: true,
            key_frame: sequence == 0,
            extensions: Extensions::default(),
            arrival: at,
            captured: at,
            payload: Arc::from([0; 1_000].as_slice()),
        }
    }

    #[test]
    fn a_large_key_frame_that_comes_at_once_is_spread_and_nothing_else_is() {
        let start = Instant::now();
        // (milliseconds between packets, packets that leave at once of 50)
        for (gap, at_once) in [(0, 9), (1, 50)] {
            let (mut gop, mut spread) = (GopCache::default(), Spread::default());
            let mut left = 0;
            for number in 0..50 {
                let packet = packet(start, number, 0, number * gap);
                gop.keep(&packet);
                left += usize::from(!spread.takes(packet.arrival, &packet, &gop, 500_000.0));
            }
            assert_eq!(left, at_once, "{gap} ms apart");
            for number in 50..90 {
                let packet = packet(start, number, 3_000, 60);
                gop.keep(&packet);
                assert!(!spread.takes(packet.arrival, &packet, &gop, 500_000.0));
            }
        }
    }
}
