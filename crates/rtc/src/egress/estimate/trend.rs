//! Whether a queue grows on the path: the slope of the one-way delay over the last groups of packets.
//!
//! In the spirit of draft-ietf-rmcat-gcc-02 section 5, with a line through the last delays in place of its Kalman
//! filter, and thresholds that adapt as in its section 5.4.

/// Packets that leave within so many milliseconds are one group (section 5.2).
const GROUP_MS: f64 = 5.0;
/// Groups that the line goes through.
const WINDOW: usize = 20;
/// Share of the old value in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// A slope weighs by how many groups it rests on, up to so many, times the gain: with both it is in milliseconds.
const WEIGHT_LIMIT: u32 = 60;
const GAIN: f64 = 4.0;
/// The threshold at first and its bounds, milliseconds.
const THRESHOLD: f64 = 12.5;
const THRESHOLDS: (f64, f64) = (6.0, 600.0);
/// How fast the threshold follows a trend above and below it, per millisecond.
const ADAPTION: (f64, f64) = (0.0087, 0.039);
/// A trend further above the threshold is a sudden change of the path, which the threshold must not follow.
const SUDDEN_MS: f64 = 15.0;
/// Time that the trend must be above the threshold.
const PERSISTENCE_MS: f64 = 10.0;
/// Packets that left over at least so long, each later than the one before and by so much in all, stand in a queue that
/// fills fast: no line is needed to see it. A key frame that is spread over 20 ms is over sooner.
const STEEP_MS: (f64, f64) = (40.0, 60.0);
/// Times apart further than this are another clock or another life of the path, milliseconds.
const BREAK_MS: f64 = 3_000.0;

/// What the delay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Usage {
    /// It keeps level.
    #[default]
    Normal,
    /// It falls: a queue is drained.
    Under,
    /// It grows: more is sent than the path carries.
    Over,
}

/// Packets that left together.
#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: f64,
    sent: f64,
    arrived: f64,
}

/// The delay's trend.
#[derive(Debug)]
pub(super) struct Trend {
    group: Option<Group>,
    previous: Option<Group>,
    /// Arrival and smoothed delay of the last groups, milliseconds, in no order.
    points: [(f64, f64); WINDOW],
    groups: u32,
    delay: f64,
    smoothed: f64,
    threshold: f64,
    last: f64,
    over_ms: f64,
    over_groups: u32,
    /// Time in which each group came later than the one before, and by how much in all, milliseconds.
    rise: (f64, f64),
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            group: None,
            previous: None,
            points: [(0.0, 0.0); WINDOW],
            groups: 0,
            delay: 0.0,
            smoothed: 0.0,
            threshold: THRESHOLD,
            last: 0.0,
            over_ms: 0.0,
            over_groups: 0,
            rise: (0.0, 0.0),
            usage: Usage::Normal,
        }
    }
}

impl Trend {
    /// What the delay does.
    pub(super) fn usage(&self) -> Usage {
        self.usage
    }

    /// A packet left and arrived; milliseconds, each on a clock of its own.
    pub(super) fn packet(&mut self, sent: f64, arrived: f64) {
        let Some(group) = &mut self.group else {
            self.group = Some(Group::new(sent, arrived));
            return;
        };
        if (sent - group.first_sent).abs() > BREAK_MS || (arrived - group.arrived).abs() > BREAK_MS
        {
            *self = Self {
                group: Some(Group::new(sent, arrived)),
                threshold: self.threshold,
                ..Self::default()
            };
        } else if sent < group.first_sent {
            // Feedback out of order: the group it belongs to is closed.
        } else if sent - group.first_sent <= GROUP_MS {
            group.sent = group.sent.max(sent);
            group.arrived = group.arrived.max(arrived);
        } else {
            let closed = *group;
            *group = Group::new(sent, arrived);
            self.close(closed);
        }
    }

    fn close(&mut self, group: Group) {
        let Some(previous) = self.previous.replace(group) else {
            return;
        };
        let (sent, arrived) = (group.sent - previous.sent, group.arrived - previous.arrived);
        if arrived < 0.0 {
            // Groups that overtook each other say nothing of a queue.
            self.previous = Some(previous);
            return;
        }
        self.delay += arrived - sent;
        self.smoothed = match self.groups {
            0 => self.delay,
            _ => SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay,
        };
        self.points[self.groups as usize % WINDOW] = (group.arrived, self.smoothed);
        self.groups = self.groups.saturating_add(1);
        let slope = slope(&self.points[..WINDOW.min(self.groups as usize)]);
        let trend = slope * f64::from(self.groups.min(WEIGHT_LIMIT)) * GAIN;
        // A key frame that left at once makes the delay jump and then fall: its queue is drained already, though the
        // line through the smoothed delay still rises.
        let rises = arrived >= sent && self.delay >= self.smoothed;
        if arrived > sent {
            self.rise.0 += sent;
            self.rise.1 += arrived - sent;
        } else {
            self.rise = (0.0, 0.0);
        }
        self.judge(trend, rises, sent.max(arrived).clamp(0.0, 100.0));
        self.last = trend;
    }

    fn judge(&mut self, trend: f64, rises: bool, elapsed: f64) {
        let steep = self.rise.0 >= STEEP_MS.0 && self.rise.1 >= STEEP_MS.1;
        if steep {
            self.usage = Usage::Over;
        } else if trend > self.threshold {
            self.over_ms += elapsed;
            self.over_groups += 1;
            let persists = self.over_ms > PERSISTENCE_MS && self.over_groups > 1;
            if persists && trend >= self.last && rises {
                self.usage = Usage::Over;
            }
        } else {
            (self.over_ms, self.over_groups) = (0.0, 0);
            self.usage = match trend < -self.threshold {
                true => Usage::Under,
                false => Usage::Normal,
            };
        }
        let excess = trend.abs() - self.threshold;
        if excess <= SUDDEN_MS {
            let rate = if excess > 0.0 { ADAPTION.0 } else { ADAPTION.1 };
            let (least, most) = THRESHOLDS;
            self.threshold =
                (self.threshold + rate * excess * elapsed.min(100.0)).clamp(least, most);
        }
    }
}

impl Group {
    fn new(sent: f64, arrived: f64) -> Self {
        Self {
            first_sent: sent,
            sent,
            arrived,
        }
    }
}

/// Slope of the line that fits the points best.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points
        .iter()
        .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |sum, (x, y)| {
        let x = x - mean_x;
        (sum.0 + x * (y - mean_y), sum.1 + x * x)
    });
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A group every 20 ms whose delay follows a function of the time.
    fn run(trend: &mut Trend, from: u32, to: u32, delay: impl Fn(f64) -> f64) {
        for step in from..to {
            let sent = f64::from(step) * 20.0;
            trend.packet(sent, 1_000_000.0 + sent + delay(sent));
        }
    }

    #[test]
    fn the_slope_of_a_line_is_found_in_any_order() {
        assert_eq!(slope(&[(2.0, 5.0), (0.0, 1.0), (1.0, 3.0)]), 2.0);
        assert_eq!(slope(&[(1.0, 3.0)]), 0.0);
        assert_eq!(slope(&[(1.0, 3.0), (1.0, 9.0)]), 0.0);
    }

    #[test]
    fn usage_by_table() {
        // (delay over time, usage after two seconds)
        type Row = (fn(f64) -> f64, Usage);
        let rows: [Row; 5] = [
            (|_| 30.0, Usage::Normal),
            // One in ten thousand: clocks that run apart.
            (|ms| 30.0 + ms / 10_000.0, Usage::Normal),
            // Jitter of a radio.
            (|ms| 30.0 + 8.0 * (ms * 1.7).sin(), Usage::Normal),
            (|ms| 30.0 + ms / 2.0, Usage::Over),
            (|ms| 900.0 - ms / 3.0, Usage::Under),
        ];
        for (row, (delay, usage)) in rows.into_iter().enumerate() {
            let mut trend = Trend::default();
            run(&mut trend, 0, 100, delay);
            assert_eq!(trend.usage(), usage, "row {row}");
        }
    }

    #[test]
    fn a_lone_late_frame_is_no_queue() {
        let mut trend = Trend::default();
        run(&mut trend, 0, 50, |_| 30.0);
        trend.packet(1_000.0, 1_001_130.0);
        run(&mut trend, 51, 100, |_| 30.0);
        for step in 100..200 {
            run(&mut trend, step, step + 1, |_| 30.0);
            assert_eq!(trend.usage(), Usage::Normal, "{step}");
        }
    }

    #[test]
    fn another_clock_begins_anew() {
        let mut trend = Trend::default();
        run(&mut trend, 0, 100, |ms| ms / 2.0);
        assert_eq!(trend.usage(), Usage::Over);
        run(&mut trend, 101, 103, |_| 1e9);
        assert_eq!(trend.usage(), Usage::Normal);
        run(&mut trend, 90, 95, |_| 1e9);
        assert_eq!(trend.usage(), Usage::Normal, "older than the group");
    }
}
