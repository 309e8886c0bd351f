//! Warnings and errors of a worker thread's log, as notices. Nothing below a warning leaves the thread, and no address
//! does at all.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::metadata::LevelFilter;
use tracing::span;
use tracing::{Level, Metadata, Subscriber};

use crate::outbox::{Notice, Outbox};

/// Lines per second and worker. A peer that can provoke a warning shall not be able to fill the log with it.
const LINES_PER_SECOND: u64 = 10;
/// Longest line, in bytes.
const MAX_LINE: usize = 512;

/// A subscriber for one worker thread.
pub(crate) struct Journal {
    outbox: Arc<Outbox>,
    started: Instant,
    /// Second (upper 32 bits) and lines in it.
    window: AtomicU64,
}

impl Journal {
    pub fn new(outbox: Arc<Outbox>, started: Instant) -> Self {
        Journal {
            outbox,
            started,
            window: AtomicU64::new(0),
        }
    }

    /// Whether one more line may be written in second `second` since the start.
    fn admit(&self, second: u64) -> bool {
        let window = self.window.load(Relaxed);
        let lines = if window >> 32 == second {
            window & 0xffff_ffff
        } else {
            0
        };
        // One thread writes, so load and store need not be one step.
        self.window.store((second << 32) | (lines + 1), Relaxed);
        lines < LINES_PER_SECOND
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        if !self.admit(self.started.elapsed().as_secs()) {
            return;
        }
        let mut line = Line(String::new());
        event.record(&mut line);
        let metadata = event.metadata();
        let level = if *metadata.level() == Level::ERROR {
            "error"
        } else {
            "warning"
        };
        let message = without_addresses(&line.0);
        self.outbox.push(&mut vec![Notice::Log {
            level,
            target: metadata.target().to_owned(),
            message,
        }]);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Message and fields of an event, cut at [`MAX_LINE`].
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.0.len() >= MAX_LINE {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        // Writing to a string cannot fail; a value's own formatting may, and then the line is just shorter.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, "{name}={value:?}"),
        };
        if self.0.len() > MAX_LINE {
            let end = (0..=MAX_LINE)
                .rev()
                .find(|at| self.0.is_char_boundary(*at))
                .unwrap_or(0);
            self.0.truncate(end);
        }
    }
}

/// Replace everything that reads as an IP address, with or without a port.
fn without_addresses(text: &str) -> String {
    let in_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']');
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !in_address(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let core = word.trim_end_matches([':', '.']);
        let bare = core.trim_start_matches('[').trim_end_matches(']');
        if core.parse::<SocketAddr>().is_ok() || bare.parse::<IpAddr>().is_ok() {
            clean.push_str("(address)");
            clean.push_str(&word[core.len()..]);
        } else {
            clean.push_str(word);
        }
        let end = after.find(in_address).unwrap_or(after.len());
        clean.push_str(&after[..end]);
        rest = &after[end..];
    }
    clean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_do_not_reach_the_log() {
        let text = "lost 192.0.2.1:40000 and [2001:db8::1]:5 via fd00::2, at 10.0.0.1. Fine: bad 12:30 face";
        let clean =
            "lost (address) and (address) via (address), at (address). Fine: bad 12:30 face";
        assert_eq!(without_addresses(text), clean);
    }

    #[test]
    fn warnings_become_notices_and_the_rest_stays() {
        let outbox = Arc::new(Outbox::new().unwrap());
        let journal = Journal::new(Arc::clone(&outbox), Instant::now());
        tracing::subscriber::with_default(journal, || {
            tracing::info!("quiet");
            tracing::warn!(count = 3, "odd packet");
            tracing::error!("broken");
        });
        let mut taken = Vec::new();
        outbox.take(10, &mut taken);
        let lines: Vec<_> = taken
            .iter()
            .map(|notice| match notice {
                Notice::Log { level, message, .. } => format!("{level}: {message}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(lines, ["warning: odd packet count=3", "error: broken"]);
    }

    #[test]
    fn a_flood_of_lines_is_cut_off_until_the_next_second() {
        let journal = Journal::new(Arc::new(Outbox::new().unwrap()), Instant::now());
        let admitted = |second| (0..100).filter(|_| journal.admit(second)).count() as u64;
        assert_eq!(admitted(0), LINES_PER_SECOND);
        assert_eq!(admitted(1), LINES_PER_SECOND);
    }
}
