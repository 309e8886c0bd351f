//! How much to send: up slowly, down at once (draft-ietf-rmcat-gcc-02 section 5.5), with loss as a weak signal.

use super::trend::Usage;

/// Estimate before the path has shown a limit, bits per second: it hinders nobody.
const START: f64 = 10_000_000.0;
/// Bounds of the estimate.
const BOUNDS: (f64, f64) = (50_000.0, 200_000_000.0);
/// Share of the delivered rate that is left after the queue grew.
const CUT: f64 = 0.85;
/// Growth per second, as a factor.
const GROWTH: f64 = 1.08;
/// Near the rate at which a queue grew last, growth is by one such packet per response of the path, bits.
const PACKET: f64 = 1_200.0 * 8.0;
/// How near that is, as shares of it.
const NEAR: (f64, f64) = (0.9, 1.1);
/// Most that the estimate exceeds what is delivered. A stream that was switched down must be able to come back, and
/// nothing but sending more proves that the path takes more.
const HEADROOM: f64 = 20.0;
/// The path's response to a change: its round trip and this, milliseconds.
const RESPONSE_MS: f64 = 100.0;
/// Loss that is this far above what the path loses anyway may be a queue that is too short to be seen.
const LOSS_STEP: f64 = 0.15;
/// Time in which such loss becomes what the path loses anyway: by then it has not gone away with a lower rate, ms.
const LOSS_MEMORY_MS: f64 = 2_000.0;
/// Time after a cut until what arrives is what was sent under it, milliseconds.
const SETTLED_MS: f64 = 1_000.0;
/// Longest step that growth is taken over, milliseconds.
const STEP_MS: f64 = 1_000.0;

/// What feedback says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    pub(super) usage: Usage,
    /// Bits per second that arrive; `None` while too little is known.
    pub(super) delivered: Option<f64>,
    /// Share of packets that got lost of late, 0 to 1; `None` while too little is known.
    pub(super) loss: Option<f64>,
    /// Round trip, milliseconds.
    pub(super) round_trip_ms: f64,
}

/// The estimate and how it came about.
#[derive(Debug)]
pub(super) struct Rate {
    bits: f64,
    /// Rate delivered when the queue grew last.
    ceiling: Option<f64>,
    /// Time since the last cut, milliseconds.
    since_cut_ms: f64,
    /// What the path loses however little is sent, as far as seen.
    inherent_loss: Option<f64>,
    last_ms: Option<u32>,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            bits: START,
            ceiling: None,
            since_cut_ms: f64::INFINITY,
            inherent_loss: None,
            last_ms: None,
        }
    }
}

impl Rate {
    /// Bits per second that the path carries.
    pub(super) fn bits(&self) -> f64 {
        self.bits
    }

    /// Feedback came.
    pub(super) fn update(&mut self, now_ms: u32, seen: Observation) {
        let elapsed = match self.last_ms.replace(now_ms) {
            Some(last) => f64::from(now_ms.wrapping_sub(last)).min(STEP_MS),
            None => 0.0,
        };
        self.since_cut_ms += elapsed;
        let response = seen.round_trip_ms + RESPONSE_MS;
        let excess_loss = self.learn_loss(seen.loss, elapsed);
        // What was sent so that this much arrived. Loss that does not come from us is no reason to send less.
        let arrives = |loss: Option<f64>| (1.0 - loss.unwrap_or(0.0)).max(0.1);
        let sent = seen
            .delivered
            .map(|rate| rate / arrives(self.inherent_loss));
        match (seen.usage, sent) {
            (Usage::Over, Some(sent)) if self.since_cut_ms > response => {
                self.cut(CUT * sent);
                self.ceiling = Some(sent);
            }
            (Usage::Normal, Some(sent)) if excess_loss && self.since_cut_ms > 2.0 * response => {
                self.cut(CUT * sent * arrives(self.inherent_loss) / arrives(seen.loss));
            }
            (Usage::Normal, Some(sent)) if !excess_loss => self.grow(elapsed, response, sent),
            _ => {}
        }
    }

    fn cut(&mut self, bits: f64) {
        self.bits = self.bits.min(bits).max(BOUNDS.0);
        self.since_cut_ms = 0.0;
    }

    fn grow(&mut self, elapsed: f64, response: f64, sent: f64) {
        let limit = (HEADROOM * sent).min(BOUNDS.1);
        let near = |ceiling: f64| {
            let (least, most) = NEAR;
            (ceiling * least..ceiling * most).contains(&self.bits)
        };
        let grown = match self.ceiling {
            Some(ceiling) if near(ceiling) => self.bits + PACKET * elapsed / response,
            _ => self.bits * GROWTH.powf(elapsed / 1_000.0),
        };
        if self.ceiling.is_some_and(|ceiling| grown > ceiling * NEAR.1) {
            // The path carries more than it did.
            self.ceiling = None;
        }
        self.bits = self.bits.max(grown.min(limit));
        if self.since_cut_ms > SETTLED_MS {
            // What arrived was carried, whatever was thought before.
            self.bits = self.bits.max(sent.min(BOUNDS.1));
        }
    }

    /// Follow what the path loses anyway: down at once, up slowly. Returns whether more got lost than that.
    fn learn_loss(&mut self, loss: Option<f64>, elapsed: f64) -> bool {
        let Some(loss) = loss else {
            return false;
        };
        let inherent = self.inherent_loss.get_or_insert(loss);
        let gap = loss - *inherent;
        *inherent += gap.min(gap * (elapsed / LOSS_MEMORY_MS).min(1.0));
        loss - *inherent > LOSS_STEP
    }
}
