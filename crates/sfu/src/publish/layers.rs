//! Which simulcast layer of a video track goes to the viewers.

use std::time::{Duration, Instant};

/// A layer that was silent for so long has stopped.
const STOPPED: Duration = Duration::from_secs(1);
/// Time over which the layers' rates are compared.
const WINDOW: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Clone)]
struct Layer {
    seen: Option<Instant>,
    bytes: u64,
    rate: u64,
}

/// Activity of a track's layers. The one with the most bytes is the highest: rids have no order that all senders
/// keep to.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    target: Option<u8>,
    window: Option<Instant>,
}

impl Layers {
    /// Layer that viewers should get.
    pub(crate) fn target(&self) -> u8 {
        self.target.unwrap_or(0)
    }

    /// Count a packet. True when the target changed.
    pub(crate) fn count(&mut self, now: Instant, layer: u8, bytes: usize) -> bool {
        let index = usize::from(layer);
        if self.layers.len() <= index {
            self.layers.resize(index + 1, Layer::default());
        }
        self.layers[index].seen = Some(now);
        self.layers[index].bytes += bytes as u64;
        let Some(target) = self.target else {
            self.target = Some(layer);
            self.window = Some(now);
            return layer != 0;
        };
        if self.layers.len() == 1 {
            return false;
        }
        let window_over = self
            .window
            .is_none_or(|begin| now.saturating_duration_since(begin) >= WINDOW);
        if window_over {
            self.window = Some(now);
            for layer in &mut self.layers {
                layer.rate = std::mem::take(&mut layer.bytes);
            }
        }
        if !window_over && self.active(usize::from(target), now) {
            return false;
        }
        let best = (0..self.layers.len())
            .filter(|index| self.active(*index, now))
            .max_by_key(|index| self.layers[*index].rate.max(self.layers[*index].bytes));
        let best = best
            .and_then(|index| u8::try_from(index).ok())
            .unwrap_or(layer);
        self.target = Some(best);
        best != target
    }

    fn active(&self, index: usize, now: Instant) -> bool {
        let seen = self.layers.get(index).and_then(|layer| layer.seen);
        seen.is_some_and(|seen| now.saturating_duration_since(seen) < STOPPED)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_rate_wins_and_a_stopped_layer_falls_back() {
        let start = Instant::now();
        let mut layers = Layers::default();
        let mut changes = Vec::new();
        for ms in (0..4_000).step_by(20) {
            let now = start + Duration::from_millis(ms);
            let mut count = |layer: u8, bytes| {
                if layers.count(now, layer, bytes) {
                    changes.push((ms, layers.target()));
                }
            };
            count(0, 100);
            count(1, 400);
            if ms < 2_500 {
                count(2, 1_000);
            }
        }
        let targets: Vec<u8> = changes.iter().map(|(_, target)| *target).collect();
        assert_eq!(targets, [2, 1]);
        assert!(
            (3_480..=3_600).contains(&changes[1].0),
            "fell back at {} ms",
            changes[1].0
        );
    }

    #[test]
    fn one_layer_is_always_the_target() {
        let start = Instant::now();
        let mut layers = Layers::default();
        assert!(!layers.count(start, 0, 10));
        assert!(!layers.count(start + Duration::from_secs(9), 0, 10));
        assert_eq!(layers.target(), 0);
    }
}
