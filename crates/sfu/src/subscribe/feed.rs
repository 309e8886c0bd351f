//! The video of a binding: which layer it is on, and how far it is behind.

use std::time::{Duration, Instant};

use sanderling_media::{GopCache, Packet, PlayoutDelay};

use super::forwarder::{Forwarder, Replay};
use crate::publish::{FASTER, SPREAD};
use crate::{LayerChoice, StreamId};

/// A cached group of pictures is replayed when it is no longer than one of these: 400 ms as RTP ticks, frames, packets.
const YOUNG: (u32, u32, usize) = (400 * 90, 3, 96);
/// A lone key frame is shown when it is no older than this.
const STILL: Duration = Duration::from_secs(1);
/// Something newer should have come in this time; what is replayed may be outdated.
const STALE: Duration = Duration::from_secs(1);
/// Rate of a replay before anything is known of the viewer's network, bits per second. Three times as much overruns the
/// queue of a path of 1.5 Mb/s (200 ms of it) with what is replayed of a small stream.
const UNKNOWN_NETWORK: f64 = 5_000_000.0;
/// Replays leave so many times as fast as the viewer's estimate.
const PROBING: f64 = 1.5;
/// A path whose estimate is lower has shown a limit, bits per second. Only there a key frame that comes live may take
/// longer than [`SPREAD`].
const NARROW: f64 = 8_000_000.0;
/// Pictures that are so far behind on a path that carries too little are left out until the next key frame.
const LATE: Duration = Duration::from_millis(500);
/// Time that unused rate is saved up for.
const CREDIT: Duration = Duration::from_millis(5);

/// What a viewer that comes now gets of what is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Everything since the last key frame, then what is live.
    Whole,
    /// The last key frame alone; what is live from the next one on.
    Still,
    /// Nothing until the next key frame.
    Wait,
}

/// What to replay of a layer. `deaf`: its publisher answers no requests for key frames.
pub(crate) fn plan(gop: &GopCache, now: Instant, deaf: bool) -> Plan {
    let Some(key) = gop.key_frame() else {
        return Plan::Wait;
    };
    if gop.overflowed() {
        // Nothing better comes soon from a publisher that cannot be asked.
        let soon = !deaf && now.saturating_duration_since(key.arrival) > STILL;
        return if key.whole && !soon {
            Plan::Still
        } else {
            Plan::Wait
        };
    }
    let (span, frames, packets) = YOUNG;
    if deaf || gop.span() <= span || gop.frames() <= frames || gop.len() <= packets {
        Plan::Whole
    } else if key.whole && now.saturating_duration_since(key.arrival) <= STILL {
        Plan::Still
    } else {
        Plan::Wait
    }
}

/// Whether a replay may show something that is long over.
pub(crate) fn is_stale(gop: &GopCache, now: Instant) -> bool {
    gop.newest()
        .is_none_or(|newest| now.saturating_duration_since(newest.arrival) > STALE)
}

/// How the picture came, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Waiting,
    Replay,
    Still,
    Live,
    Held,
}

impl Mode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Replay => "replay",
            Self::Still => "still",
            Self::Live => "live",
            Self::Held => "held",
        }
    }
}

/// Where a viewer is in a layer's store while it is behind what is live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    pub(crate) layer: u8,
    /// Timestamp of the key frame that it began with.
    key: u32,
    /// Sequence number of the next packet.
    pub(crate) next: u64,
    /// The end: a key frame alone.
    pub(crate) still: bool,
    /// Parameter sets go first.
    pub(crate) parameters: bool,
    /// It is a key frame that comes live, not a replay.
    live: bool,
    /// Most bytes that were to go out, and bytes that went out or were out before.
    planned: usize,
    passed: usize,
    /// Bytes that may leave; below zero, so many too many left.
    credit: f64,
    at: Instant,
    rate: f64,
}

impl Cursor {
    /// Whether the store still holds what it stands in.
    pub(crate) fn stands_in(&self, gop: &GopCache) -> bool {
        let there = self.still || !gop.overflowed();
        there && gop.key().is_some_and(|key| key.timestamp == self.key)
    }

    /// Time has passed. `layer_rate` and `estimate` in bits per second; `share` of the layer's rate is all that there
    /// is, where the viewer's path carries less.
    pub(crate) fn advance(
        &mut self,
        now: Instant,
        gop: &GopCache,
        layer_rate: f64,
        estimate: Option<f64>,
        share: Option<f64>,
    ) {
        let network = estimate.map_or(UNKNOWN_NETWORK, |estimate| PROBING * estimate);
        let backlog = gop.bytes().saturating_sub(self.passed);
        self.planned = self.planned.max(backlog);
        let most = self.planned as f64 * 8.0 / SPREAD.as_secs_f64();
        let wide = estimate.is_none_or(|estimate| estimate >= NARROW);
        self.rate = match share {
            Some(share) => share * layer_rate / 8.0,
            None if self.live && wide => most / 8.0,
            None => (FASTER * layer_rate).max(network).min(most) / 8.0,
        };
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        let saved = self.rate * CREDIT.as_secs_f64();
        self.credit = (self.credit + elapsed * self.rate).min(saved);
        self.at = now;
    }

    /// Whether something may leave now.
    pub(crate) fn may_send(&self) -> bool {
        self.credit >= 0.0
    }

    /// Whether a packet comes too late to be worth what the path has left: no part of it left, and it has waited.
    pub(crate) fn is_late(&self, packet: &Packet, now: Instant) -> bool {
        let waited = now.saturating_duration_since(packet.arrival);
        packet.frame_start && packet.timestamp != self.key && waited > LATE
    }

    /// A packet of the store left.
    pub(crate) fn pass(&mut self, packet: &Packet) {
        self.next = packet.sequence + 1;
        self.passed += packet.payload.len();
        self.credit -= packet.payload.len() as f64;
    }

    /// When the next packet may leave; a whole number of milliseconds from now.
    pub(crate) fn next_at(&self, now: Instant) -> Instant {
        let seconds = -self.credit / self.rate.max(1.0);
        let ms = (seconds * 1_000.0).ceil().clamp(1.0, 1_000.0);
        now + Duration::from_millis(ms as u64)
    }
}

/// The video of a binding.
#[derive(Debug)]
pub(crate) struct Feed {
    /// What the viewer chose.
    pub(crate) choice: LayerChoice,
    /// How late live pictures may be shown.
    pub(crate) delay: PlayoutDelay,
    /// Layer that it should be on.
    pub(crate) wanted: u8,
    /// Where it is in the store while it is behind.
    pub(crate) cursor: Option<Cursor>,
    /// It stands in its stream's list of those that are behind.
    pub(crate) listed: bool,
    /// Nothing goes out because the viewer's network carries nothing more.
    pub(crate) held: bool,
    /// When the last replay began, or a key frame was asked for.
    pub(crate) refreshed: Option<Instant>,
    left_out: bool,
    mode: Mode,
}

impl Feed {
    /// `held`: the viewer gets no pictures now.
    pub(crate) fn new(held: bool) -> Self {
        Self {
            choice: LayerChoice::default(),
            delay: PlayoutDelay::NONE,
            wanted: 0,
            cursor: None,
            listed: false,
            held,
            refreshed: None,
            left_out: false,
            mode: Mode::Waiting,
        }
    }

    /// How the picture came.
    pub(crate) fn mode(&self) -> Mode {
        if self.held { Mode::Held } else { self.mode }
    }

    /// It is on what is live.
    pub(crate) fn live(&mut self) {
        self.cursor = None;
        self.mode = Mode::Live;
    }

    /// Pictures begin, or a key frame is asked for.
    pub(crate) fn refresh(&mut self, now: Instant) {
        self.refreshed = Some(now);
        self.left_out = false;
    }

    /// Whether pictures were left out since the last ones began.
    pub(crate) fn left_out(&self) -> bool {
        self.left_out
    }

    /// What is too late is left out until the next key frame.
    pub(crate) fn leave_out(&mut self, forwarder: &mut Forwarder) {
        self.lost(forwarder);
        self.left_out = true;
    }

    /// The next key frame is needed to go on.
    pub(crate) fn lost(&mut self, forwarder: &mut Forwarder) {
        forwarder.pause();
        self.cursor = None;
        if self.mode != Mode::Still {
            self.mode = Mode::Waiting;
        }
    }

    /// Begin with what is cached, or with the key frame alone.
    pub(crate) fn replay(
        &mut self,
        now: Instant,
        stream: StreamId,
        forwarder: &mut Forwarder,
        gop: &GopCache,
        still: bool,
    ) {
        let (Some(key), Some(newest)) = (gop.key(), gop.newest()) else {
            return;
        };
        let parameters = gop.parameters().is_some();
        let replay = Replay {
            newest: newest.timestamp,
            captured: newest.captured,
            frames: if still { 2 } else { gop.frames() },
        };
        forwarder.begin(stream, key, Some(replay), u64::from(parameters));
        let key_bytes = gop.key_frame().map_or(0, |key| key.bytes);
        self.cursor = Some(Cursor {
            layer: key.layer,
            key: key.timestamp,
            next: key.sequence,
            still,
            parameters,
            live: false,
            planned: if still { key_bytes } else { gop.bytes() },
            passed: 0,
            credit: 0.0,
            at: now,
            rate: 0.0,
        });
        self.mode = if still { Mode::Still } else { Mode::Replay };
    }

    /// Fall behind with a packet of the running source: a large key frame came faster than it should leave.
    /// False when nothing is cached to fall behind in.
    pub(crate) fn follow(&mut self, now: Instant, packet: &Packet, gop: &GopCache) -> bool {
        let Some(key) = gop.key().filter(|_| !gop.overflowed()) else {
            return false;
        };
        let ahead: usize = gop
            .from(packet.sequence)
            .map(|packet| packet.payload.len())
            .sum();
        self.cursor = Some(Cursor {
            layer: packet.layer,
            key: key.timestamp,
            next: packet.sequence,
            still: false,
            parameters: false,
            live: true,
            planned: gop.bytes(),
            passed: gop.bytes().saturating_sub(ahead),
            credit: 0.0,
            at: now,
            rate: 0.0,
        });
        true
    }
}
