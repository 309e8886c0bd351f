//! What happened, line by line, so that two runs can be compared; and the line that replays a failure.

use std::fmt;
use std::time::Duration;

/// Lines in the order they happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace(Vec<String>);

impl Trace {
    pub(crate) fn note(&mut self, at: Duration, what: impl fmt::Display) {
        self.0.push(format!("{:>10} {what}", at.as_micros()));
    }

    /// The lines.
    pub fn lines(&self) -> &[String] {
        &self.0
    }

    /// The first line in which two traces differ, of both.
    pub fn first_difference<'a>(&'a self, other: &'a Trace) -> Option<(&'a str, &'a str)> {
        let count = self.0.len().max(other.0.len());
        let line =
            |trace: &'a Trace, index: usize| trace.0.get(index).map_or("(end)", String::as_str);
        (0..count)
            .map(|index| (line(self, index), line(other, index)))
            .find(|(a, b)| a != b)
    }
}

/// While it lives, a failing test prints the line that runs its seed again.
#[derive(Debug)]
pub struct Replay {
    test: &'static str,
    seed: u64,
}

impl Replay {
    /// Name of the variable that replaces a test's seeds.
    pub const VARIABLE: &'static str = "SANDERLING_LAB_SEED";

    /// Guard one run.
    pub fn new(test: &'static str, seed: u64) -> Self {
        Replay { test, seed }
    }

    /// The seeds to run: those given, or those of the variable (`7`, or `0..5000` to search for long).
    #[allow(clippy::disallowed_methods, reason = "read by tests only")]
    pub fn seeds(given: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let Ok(text) = std::env::var(Self::VARIABLE) else {
            return given.into_iter().collect();
        };
        let number = |text: &str| text.parse().ok();
        let range = text
            .split_once("..")
            .and_then(|(from, to)| Some((number(from)?..number(to)?).collect()));
        range
            .or_else(|| Some(vec![number(&text)?]))
            .unwrap_or_else(|| given.into_iter().collect())
    }

    /// The line.
    pub fn line(&self) -> String {
        format!(
            "replay: {}={} cargo test -p sanderling-lab {}",
            Self::VARIABLE,
            self.seed,
            self.test
        )
    }
}

impl Drop for Replay {
    #[allow(clippy::print_stderr, reason = "what a failing test is to say")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.line());
        }
    }
}
