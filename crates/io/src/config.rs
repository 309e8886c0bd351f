//! What a node is told at its start, and what can be wrong with it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Upper bound of worker threads; a machine with more cores gains nothing, and a typing error shall not make them.
pub const MAX_WORKERS: usize = 256;

/// Which code reads and writes datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The fastest one this system has.
    #[default]
    Native,
    /// One system call per datagram, on every system. Chosen by tests, and where there is no other.
    Portable,
}

/// Everything a node needs to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Number of worker threads, 1 to [`MAX_WORKERS`].
    pub workers: usize,
    /// Addresses to bind; empty, or an unspecified one, means those of every interface.
    pub listen: Vec<IpAddr>,
    /// Range to take ports from, inclusive; `(0, 0)` means any free ones.
    pub ports: (u16, u16),
    /// Addresses to put into candidates instead of the bound ones (behind a one-to-one NAT).
    pub advertise: Vec<IpAddr>,
    /// A session whose peer is silent for so long is closed.
    pub consent_timeout: Duration,
    /// Sessions per node, divided evenly among the workers.
    pub max_sessions: usize,
    /// Which code reads and writes datagrams.
    pub backend: Backend,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            workers: 1,
            listen: Vec::new(),
            ports: (0, 0),
            advertise: Vec::new(),
            consent_timeout: Duration::from_secs(30),
            max_sessions: 20_000,
            backend: Backend::Native,
        }
    }
}

impl Config {
    /// Check what can be checked without the operating system.
    pub(crate) fn validate(&self) -> Result<(), StartError> {
        let bad = |text: String| Err(StartError::BadArgument(text));
        if self.workers == 0 || self.workers > MAX_WORKERS {
            return bad(format!(
                "workers must be 1 to {MAX_WORKERS}, not {}",
                self.workers
            ));
        }
        let (first, last) = self.ports;
        if (first == 0) != (last == 0) || first > last {
            return bad(format!(
                "ports must be (0, 0) or a range from low to high, not ({first}, {last})"
            ));
        }
        if first != 0 && usize::from(last - first) + 1 < self.workers {
            return bad(format!(
                "ports {first} to {last} are fewer than the {} workers",
                self.workers
            ));
        }
        if let Some(address) = self
            .advertise
            .iter()
            .find(|a| a.is_unspecified() || a.is_multicast())
        {
            return bad(format!(
                "advertise: {address} is not an address a peer can send to"
            ));
        }
        if let Some(address) = self.listen.iter().find(|a| a.is_multicast()) {
            return bad(format!("listen: {address} is a multicast address"));
        }
        if self.consent_timeout < Duration::from_secs(1) {
            return bad(format!(
                "consent timeout must be at least 1000 ms, not {}",
                self.consent_timeout.as_millis()
            ));
        }
        if self.max_sessions == 0 {
            return bad("max_sessions must be at least 1".to_owned());
        }
        Ok(())
    }
}

/// Why a node did not start.
#[derive(Debug)]
pub enum StartError {
    /// An argument cannot be used; the text says which and why.
    BadArgument(String),
    /// The operating system refused; the text says what was tried.
    System(String, io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::BadArgument(text) => f.write_str(text),
            StartError::System(text, error) => write!(f, "{text}: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::BadArgument(_) => None,
            StartError::System(_, error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        match config.validate() {
            Err(StartError::BadArgument(text)) => text,
            other => format!("not refused: {other:?}"),
        }
    }

    #[test]
    fn the_default_is_accepted() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn each_bad_argument_is_named() {
        assert!(refused(|c| c.workers = 0).starts_with("workers"));
        assert!(refused(|c| c.workers = 257).starts_with("workers"));
        assert!(refused(|c| c.ports = (5000, 4000)).starts_with("ports"));
        assert!(refused(|c| c.ports = (0, 4000)).starts_with("ports"));
        assert!(refused(|c| (c.workers, c.ports) = (3, (4000, 4001))).contains("fewer"));
        assert!(
            refused(|c| c.advertise = vec![IpAddr::from([0, 0, 0, 0])]).starts_with("advertise")
        );
        assert!(refused(|c| c.listen = vec![IpAddr::from([224, 0, 0, 1])]).starts_with("listen"));
        assert!(refused(|c| c.consent_timeout = Duration::ZERO).starts_with("consent"));
        assert!(refused(|c| c.max_sessions = 0).starts_with("max_sessions"));
    }
}
