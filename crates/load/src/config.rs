//! What a generator is told at its start, what can be wrong with it, and what it tells.

use std::fmt;
use std::io;
use std::net::IpAddr;

use crate::sdp::Unusable;
use crate::viewer::Totals;

/// Most threads; a machine with more cores than this gains nothing.
pub const MAX_THREADS: usize = 64;
/// Most slots of a viewer.
pub const MAX_SLOTS: usize = 128;
/// How to generate.
#[derive(Debug, Clone)]
pub struct Config {
    /// Threads for viewers, 1 to [`MAX_THREADS`]. Publishers have one of their own.
    pub threads: usize,
    /// Address to bind and to name in candidates.
    pub listen: IpAddr,
    /// Seed of everything that is random; 0 for another one each time.
    pub seed: u64,
    /// Share of the media packets that viewers throw away on arrival, 0 to 1.
    pub loss: f64,
    /// What the caller's monotonic clock shows now, nanoseconds. Times of reports are on it.
    pub clock_ns: u64,
}

/// Counts over everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Viewers that are open.
    pub viewers: u64,
    /// Those of them that are connected.
    pub connected: u64,
    /// Datagrams of viewers and publishers that the system did not take.
    pub refused: u64,
    /// Counts of all viewers there ever were.
    pub totals: Totals,
}

/// Why something was not done.
#[derive(Debug)]
pub enum LoadError {
    /// An argument cannot be used; the text says which, why, and what to do.
    BadArgument(String),
    /// The operating system refused; the text says what was tried.
    System(String, io::Error),
    /// The generator was closed.
    Closed,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadArgument(text) => f.write_str(text),
            Self::System(text, error) => write!(f, "{text}: {error}"),
            Self::Closed => f.write_str("the load generator was closed"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Unusable> for LoadError {
    fn from(Unusable(text): Unusable) -> Self {
        Self::BadArgument(text)
    }
}

/// Refuse an argument.
pub(crate) fn bad<T>(text: impl Into<String>) -> Result<T, LoadError> {
    Err(LoadError::BadArgument(text.into()))
}
