//! The estimate over links of simulated time: what it allows, and when it says that a queue grows.

use super::*;

/// Between two messages of feedback, as libwebrtc's receivers space them.
const FEEDBACK_MS: u32 = 50;
const SIZE: usize = 1_000;

/// A link with a queue before it, a receiver that gives feedback, and a sender of constant rate.
struct Link {
    estimate: Estimate,
    now_ms: u32,
    /// Milliseconds that the queue takes to drain.
    queue_ms: f64,
    capacity: f64,
    sending: f64,
    debt: f64,
    loss: f64,
    jitter_ms: f64,
    /// Extra bytes of a key frame, which leaves at once every two seconds.
    key_frame: f64,
    /// Arrivals that feedback is due on: number, and time unless lost.
    pending: Vec<(u16, Option<f64>)>,
    /// Messages that are under way, with the time they arrive.
    messages: Vec<(u32, Vec<u8>)>,
    shuffle: bool,
    random: u64,
}

impl Link {
    fn new(capacity: f64, sending: f64) -> Self {
        Self {
            estimate: Estimate::default(),
            now_ms: 0,
            queue_ms: 0.0,
            capacity,
            sending,
            debt: 0.0,
            loss: 0.0,
            jitter_ms: 0.0,
            key_frame: 0.0,
            pending: Vec::new(),
            messages: Vec::new(),
            shuffle: false,
            random: 7,
        }
    }

    /// 0 to 1.
    fn draw(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f64 / f64::from(1 << 24)
    }

    fn send_time(&self) -> u32 {
        let ms = u64::from(self.now_ms);
        (((ms % 64_000) << 18) / 1_000) as u32
    }

    fn step(&mut self) {
        self.now_ms += 1;
        self.queue_ms = (self.queue_ms - 1.0).max(0.0);
        self.debt += self.sending / 8_000.0;
        if self.now_ms.is_multiple_of(2_000) {
            self.debt += self.key_frame;
        }
        // Frames every 20 ms.
        if self.now_ms.is_multiple_of(20) {
            while self.debt >= SIZE as f64 {
                self.debt -= SIZE as f64;
                let number = self.estimate.next();
                self.estimate.departed(self.now_ms, self.send_time(), SIZE);
                self.queue_ms += SIZE as f64 * 8_000.0 / self.capacity;
                let jitter = self.jitter_ms * self.draw();
                let lost = self.draw() < self.loss;
                let at = f64::from(self.now_ms) + 20.0 + self.queue_ms + jitter;
                self.pending.push((number, (!lost).then_some(at)));
            }
        }
        if self.now_ms.is_multiple_of(FEEDBACK_MS) {
            self.report();
        }
        let now = self.now_ms;
        let due: Vec<_> = self.messages.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, message) in due {
            let send_time = self.send_time();
            self.estimate.feedback(now, send_time, Some(40.0), &message);
        }
    }

    fn report(&mut self) {
        let now = f64::from(self.now_ms);
        // Up to the last packet that arrived: of those after it nothing is known yet.
        let arrived = |(_, at): &(u16, Option<f64>)| at.is_some_and(|at| at <= now);
        let Some(last) = self.pending.iter().rposition(arrived) else {
            return;
        };
        let packets: Vec<_> = self.pending.drain(..=last).collect();
        let message = message(&packets);
        let extra = if self.shuffle {
            120.0 * self.draw()
        } else {
            0.0
        };
        self.messages
            .push((self.now_ms + 20 + extra as u32, message.clone()));
        if self.shuffle {
            self.messages.push((self.now_ms + 90, message));
        }
    }

    fn run(&mut self, ms: u32) {
        for _ in 0..ms {
            self.step();
        }
    }

    fn allowance(&self) -> Allowance {
        self.estimate.allowance(self.now_ms).unwrap_or(Allowance {
            bits_per_second: 0.0,
            congested: false,
        })
    }

    /// Milliseconds until the estimate calls the path congested.
    fn until_congested(&mut self, limit: u32) -> u32 {
        for ms in 0..limit {
            if self.allowance().congested {
                return ms;
            }
            self.step();
        }
        limit
    }
}

/// Feedback on packets in order, each with its time of arrival in milliseconds.
fn message(packets: &[(u16, Option<f64>)]) -> Vec<u8> {
    let (first, count) = (packets[0].0, packets.len() as u16);
    let begin = packets.iter().find_map(|(_, at)| *at).unwrap_or(0.0);
    let reference = (begin / 64.0).floor();
    let mut last = (reference * 64.0 * TICKS_PER_MS) as i64;
    let (mut chunks, mut deltas) = (Vec::new(), Vec::new());
    for group in packets.chunks(7) {
        let mut chunk = 3_u16 << 14;
        for (at, (_, arrival)) in group.iter().enumerate() {
            if let Some(arrival) = arrival {
                chunk |= 2 << (12 - 2 * at);
                let ticks = (arrival * TICKS_PER_MS) as i64;
                deltas.extend(((ticks - last) as i16).to_be_bytes());
                last = ticks;
            }
        }
        chunks.extend(chunk.to_be_bytes());
    }
    let mut message = first.to_be_bytes().to_vec();
    message.extend(count.to_be_bytes());
    message.extend(&(reference as i32).to_be_bytes()[1..]);
    message.push(0);
    message.extend(chunks);
    message.extend(deltas);
    message
}

#[test]
fn nothing_is_allowed_or_forbidden_before_feedback() {
    let mut link = Link::new(5e6, 2e6);
    assert!(link.estimate.allowance(0).is_none());
    link.run(60);
    assert!(link.estimate.allowance(link.now_ms).is_none());
    link.run(200);
    let allowance = link.allowance();
    assert!(allowance.bits_per_second > 2e6 && !allowance.congested);
}

#[test]
fn a_steady_link_is_never_called_congested() {
    // (jitter in ms, loss, extra bytes of key frames)
    for (jitter_ms, loss, key_frame) in [
        (0.0, 0.0, 0.0),
        (10.0, 0.0, 0.0),
        (5.0, 0.1, 0.0),
        (20.0, 0.3, 0.0),
        (2.0, 0.0, 40_000.0),
    ] {
        let mut link = Link::new(5e6, 2e6);
        (link.jitter_ms, link.loss, link.key_frame) = (jitter_ms, loss, key_frame);
        for ms in 0..60_000 {
            link.step();
            let allowance = link.estimate.allowance(link.now_ms);
            let held_back = allowance.is_some_and(|a| a.congested || a.bits_per_second < 1.9e6);
            assert!(!held_back, "{jitter_ms} ms, {loss}: {ms}: {allowance:?}");
        }
        let delivered = link.estimate.delivered().unwrap_or(0.0);
        let expected = 2e6 * (1.0 - loss);
        if key_frame == 0.0 {
            assert!((delivered / expected - 1.0).abs() < 0.2, "{delivered}");
        }
    }
}

#[test]
fn a_link_that_narrows_is_congested_within_half_a_second() {
    let rows = [(1e6, 0.0), (5e5, 0.0), (1e6, 0.2), (1.2e6, 0.1)];
    for (at, (capacity, loss)) in (0..).zip(rows.into_iter().cycle().take(32)) {
        let mut link = Link::new(5e6, 2e6);
        (link.loss, link.random) = (loss, at);
        link.run(5_000 + 7 * at as u32);
        link.capacity = capacity;
        let ms = link.until_congested(2_000);
        assert!(ms <= 500, "{at}: {capacity}, {loss}: {ms} ms");
        link.run(100);
        let allowed = link.allowance().bits_per_second;
        assert!(allowed < 1.7e6, "{allowed}");
        // It settles at what the path carries.
        for _ in 0..120 {
            link.sending = link.allowance().bits_per_second.min(2e6) * 0.95;
            link.run(100);
        }
        let allowed = link.allowance().bits_per_second;
        assert!(
            (0.5 * capacity..1.4 * capacity).contains(&allowed),
            "{capacity}, {loss}: {allowed}"
        );
        assert!(link.queue_ms < 400.0, "{} ms", link.queue_ms);
    }
}

#[test]
fn a_link_that_recovers_is_used_again() {
    let mut link = Link::new(5e6, 2e6);
    link.run(3_000);
    link.capacity = 6e5;
    link.run(1_000);
    link.sending = 3e5;
    link.run(6_000);
    assert!(!link.allowance().congested && link.queue_ms < 100.0);
    let narrow = link.allowance().bits_per_second;
    assert!(narrow < 1e6, "{narrow}");
    link.capacity = 5e6;
    let mut waited = 0;
    // A little more than the small layer carries at a time, until the large one fits with a quarter to spare.
    while link.allowance().bits_per_second < 2.5e6 && waited < 60_000 {
        link.run(1_000);
        waited += 1_000;
    }
    assert!(waited <= 40_000, "{waited} ms");
    link.sending = 2e6;
    link.run(5_000);
    let allowance = link.allowance();
    assert!(!allowance.congested && allowance.bits_per_second > 2e6);
}

#[test]
fn random_loss_does_not_cut_to_the_ground() {
    for loss in [0.1, 0.3, 0.5, 0.7] {
        let mut link = Link::new(5e6, 1e6);
        link.run(3_000);
        let before = link.allowance().bits_per_second;
        link.loss = loss;
        let mut least = f64::INFINITY;
        for _ in 0..20_000 {
            link.step();
            assert!(!link.allowance().congested, "{loss}");
            least = least.min(link.allowance().bits_per_second);
        }
        // Ten per cent are no signal at all; much more is believed once.
        let floor = if loss <= 0.1 { before } else { 5e5 };
        assert!(least >= floor, "{loss}: {least} of {before}");
        let after = link.allowance().bits_per_second;
        assert!(after >= 1e6, "{loss}: {after}");
    }
}

#[test]
fn feedback_out_of_order_and_twice_changes_nothing_much() {
    let mut link = Link::new(5e6, 2e6);
    link.shuffle = true;
    for _ in 0..20_000 {
        link.step();
        let allowance = link.estimate.allowance(link.now_ms);
        assert!(allowance.is_none_or(|a| !a.congested && a.bits_per_second > 2e6));
    }
    assert!(link.estimate.loss().is_some_and(|loss| loss < 0.01));
    link.capacity = 1e6;
    assert!(link.until_congested(2_000) <= 700);
}

#[test]
fn garbage_is_not_feedback() {
    let mut estimate = Estimate::default();
    for _ in 0..10 {
        estimate.departed(0, 0, SIZE);
    }
    for message in [
        &[][..],
        &[0, 1, 2],
        &[0, 99, 0, 2, 0, 0, 0, 0, 0x20, 2, 1, 1],
        &[0, 1, 0xff, 0xff, 0, 0, 0, 0, 0x3f, 0xff],
        &[0, 1, 0, 3, 0, 0, 0, 0, 0x20, 3],
    ] {
        estimate.feedback(10, 0, None, message);
    }
    assert!(estimate.allowance(20).is_none() && estimate.loss().is_none());
}

#[test]
fn clocks_that_jump_are_no_congestion() {
    let mut link = Link::new(5e6, 2e6);
    link.run(3_000);
    for at in [9e9, 0.0, 4e9] {
        let number = link.estimate.next();
        for (n, ms) in [(0, 0.0), (1, 40.0)] {
            link.estimate.departed(link.now_ms, link.send_time(), SIZE);
            let message = message(&[(number + n, Some(at + ms))]);
            let send_time = link.send_time();
            link.estimate
                .feedback(link.now_ms, send_time, None, &message);
        }
        assert!(!link.allowance().congested, "{at}");
    }
    link.run(3_000);
    assert!(!link.allowance().congested);
}

#[test]
fn silence_is_congestion_at_first_and_no_feedback_after_a_while() {
    let mut link = Link::new(5e6, 2e6);
    link.run(2_000);
    link.loss = 1.0;
    link.pending.clear();
    assert_eq!(link.until_congested(3_000) / 100, 10);
    link.run(GIVEN_UP_MS);
    assert!(link.estimate.allowance(link.now_ms).is_none());
    link.loss = 0.0;
    link.run(1_000);
    assert!(!link.allowance().congested);
    // Who sends nothing waits for nothing.
    link.sending = 0.0;
    link.run(20_000);
    assert!(link.estimate.allowance(link.now_ms).is_some());
    assert!(!link.allowance().congested);
}

#[test]
fn the_receivers_own_estimate_stands_in_and_is_a_cap() {
    let mut estimate = Estimate::default();
    estimate.set_remote(0, 300_000);
    let allowed = |estimate: &Estimate, ms| estimate.allowance(ms).map(|a| a.bits_per_second);
    assert_eq!(allowed(&estimate, 9_999), Some(300_000.0));
    assert_eq!(allowed(&estimate, 10_000), None);
    let mut link = Link::new(5e6, 2e6);
    link.run(2_000);
    link.estimate.set_remote(link.now_ms, 700_000);
    assert_eq!(allowed(&link.estimate, link.now_ms), Some(700_000.0));
    assert!(allowed(&link.estimate, link.now_ms + REMOTE_MS).is_none_or(|bits| bits > 2e6));
}
