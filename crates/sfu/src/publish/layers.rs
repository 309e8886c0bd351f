//! Simulcast layers of a video track: which ones flow, and which of them a viewer should be on.

use std::time::{Duration, Instant};

use crate::LayerChoice;

/// A layer that was silent for so long has stopped.
const STOPPED: Duration = Duration::from_secs(1);
/// Time over which the layers' rates are compared.
const WINDOW: Duration = Duration::from_secs(1);
/// Rate of a layer before the first window is over is taken over at least this time.
const LEAST_WINDOW: Duration = Duration::from_millis(200);
/// Layers change places only when one has so much more than the other; two that are alike would for ever.
const CLEARLY: f64 = 1.25;

#[derive(Debug, Default, Clone)]
struct Layer {
    seen: Option<Instant>,
    bytes: u64,
    /// Bytes of the last whole window.
    rate: Option<u64>,
}

/// Activity of a track's layers. The one with the most bytes is the highest: rids have no order that all senders
/// keep to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    /// Layers that flow, lowest first.
    ranking: Vec<u8>,
    window: Option<Instant>,
}

impl Layers {
    /// Layer for a viewer that made a choice and has to do with `down` steps less.
    pub(crate) fn pick(&self, choice: LayerChoice, down: usize) -> u8 {
        let top = self.ranking.len().saturating_sub(1);
        let index = match choice {
            LayerChoice::Automatic | LayerChoice::Big => top.saturating_sub(down),
            LayerChoice::Small => 0,
        };
        self.ranking.get(index).copied().unwrap_or(0)
    }

    /// Bits per second of a layer in the last second, or so far.
    pub(crate) fn rate(&self, layer: u8, now: Instant) -> f64 {
        let Some(layer) = self.layers.get(usize::from(layer)) else {
            return 0.0;
        };
        let begin = self.window.unwrap_or(now);
        let so_far = now.saturating_duration_since(begin).max(LEAST_WINDOW);
        match layer.rate {
            Some(rate) => rate as f64 * 8.0 / WINDOW.as_secs_f64(),
            None => layer.bytes as f64 * 8.0 / so_far.as_secs_f64(),
        }
    }

    /// Count a packet. True when another layer became the highest, the lowest or the next one to either.
    pub(crate) fn count(&mut self, now: Instant, layer: u8, bytes: usize) -> bool {
        let index = usize::from(layer);
        if self.layers.len() <= index {
            self.layers.resize(index + 1, Layer::default());
        }
        self.layers[index].seen = Some(now);
        self.layers[index].bytes += bytes as u64;
        if self.ranking.is_empty() {
            self.ranking.push(layer);
            self.window = Some(now);
            return true;
        }
        let begin = self.window.unwrap_or(now);
        let elapsed = now.saturating_duration_since(begin);
        let over = elapsed >= WINDOW;
        if over {
            self.window = Some(now);
            for layer in &mut self.layers {
                let bytes = std::mem::take(&mut layer.bytes) as f64;
                layer.rate = Some((bytes * WINDOW.as_secs_f64() / elapsed.as_secs_f64()) as u64);
            }
        }
        let stopped = self.layers.len() > 1
            && self
                .ranking
                .iter()
                .any(|layer| !self.active(usize::from(*layer), now));
        (over || stopped) && self.rank(now)
    }

    fn rank(&mut self, now: Instant) -> bool {
        let mut ranking = std::mem::take(&mut self.ranking);
        let before = ranking.len();
        ranking.retain(|layer| self.active(usize::from(*layer), now));
        let mut changed = ranking.len() < before;
        for layer in 0..self.layers.len() as u8 {
            if !ranking.contains(&layer) && self.active(usize::from(layer), now) {
                ranking.push(layer);
                changed = true;
            }
        }
        // A handful of layers: an insertion sort that leaves alone what is nearly in order.
        for end in 1..ranking.len() {
            let mut at = end;
            while at > 0 && self.bytes(ranking[at - 1]) > CLEARLY * self.bytes(ranking[at]) {
                ranking.swap(at - 1, at);
                changed = true;
                at -= 1;
            }
        }
        self.ranking = ranking;
        changed
    }

    fn bytes(&self, layer: u8) -> f64 {
        let layer = &self.layers[usize::from(layer)];
        layer.rate.unwrap_or(0).max(layer.bytes) as f64
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
    use crate::LayerChoice::{Automatic, Big, Small};

    #[test]
    fn the_highest_rate_wins_and_a_stopped_layer_falls_back() {
        let start = Instant::now();
        let mut layers = Layers::default();
        let mut changes = Vec::new();
        for ms in (0..4_000).step_by(20) {
            let now = start + Duration::from_millis(ms);
            let mut count = |layer: u8, bytes| {
                if layers.count(now, layer, bytes) {
                    changes.push((ms, layers.pick(Automatic, 0), layers.pick(Small, 0)));
                }
            };
            count(0, 100);
            count(1, 400);
            if ms < 2_500 {
                count(2, 1_000);
            }
        }
        assert_eq!(changes.len(), 3, "{changes:?}");
        assert_eq!((changes[0].1, changes[0].2), (0, 0));
        assert_eq!(changes[1], (1_000, 2, 0));
        assert_eq!((changes[2].1, changes[2].2), (1, 0));
        assert!(
            (3_480..=3_600).contains(&changes[2].0),
            "fell back at {} ms",
            changes[2].0
        );
    }

    #[test]
    fn a_choice_and_steps_down_pick_a_layer() {
        let start = Instant::now();
        let mut layers = Layers::default();
        for ms in (0..1_100).step_by(20) {
            let now = start + Duration::from_millis(ms);
            for (layer, bytes) in [(0, 900), (1, 100), (2, 300)] {
                layers.count(now, layer, bytes);
            }
        }
        for (choice, down, layer) in [
            (Automatic, 0, 0),
            (Big, 0, 0),
            (Big, 1, 2),
            (Automatic, 2, 1),
            (Automatic, 9, 1),
            (Small, 0, 1),
            (Small, 1, 1),
        ] {
            assert_eq!(layers.pick(choice, down), layer, "{choice:?} {down}");
        }
        let now = start + Duration::from_millis(1_100);
        assert!((layers.rate(0, now) - 367_200.0).abs() < 20_000.0);
    }

    #[test]
    fn one_layer_is_always_picked_and_two_that_are_alike_keep_their_places() {
        let start = Instant::now();
        let mut layers = Layers::default();
        assert!(layers.count(start, 0, 10));
        assert!(!layers.count(start + Duration::from_secs(9), 0, 10));
        assert_eq!(layers.pick(Small, 3), 0);
        let mut changes = 0;
        for ms in (9_500..20_000).step_by(10) {
            let now = start + Duration::from_millis(ms);
            let layer = u8::from(ms / 1_000 % 2 == 0);
            changes += usize::from(layers.count(now, layer, 100));
            changes += usize::from(layers.count(now, 1 - layer, 110));
        }
        assert_eq!(changes, 1, "only when the second one came");
    }
}
