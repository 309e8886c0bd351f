//! Whose datagram is it?

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sanderling_media::Path;
use sanderling_media::demux::{self, Class};

use crate::SessionId;

/// Paths kept per session. A peer has a handful; more would be somebody filling the table.
const PATH_LIMIT: usize = 16;
/// A path whose owner was heard on it so recently is not given to another session: a forged sender address cannot
/// take a live peer's path away.
const OWNER_SILENCE: Duration = Duration::from_secs(5);

/// Tables from addresses and ICE fragments to sessions. An address is learnt only from a STUN request whose
/// integrity the session has checked; anything from elsewhere is dropped.
#[derive(Debug, Default)]
pub(crate) struct Demux {
    paths: HashMap<Path, (SessionId, Instant)>,
    fragments: HashMap<String, SessionId>,
    by_session: HashMap<SessionId, Vec<Path>>,
}

impl Demux {
    /// Session that a datagram claims to be for, and whether it is STUN.
    pub(crate) fn find(&self, path: &Path, datagram: &[u8]) -> Option<SessionId> {
        if demux::classify(datagram)? == Class::Stun
            && let Some(fragment) = demux::stun_local_fragment(datagram)
        {
            return self.fragments.get(fragment).copied();
        }
        self.paths.get(path).map(|(session, _)| *session)
    }

    /// A session proved that it is at the other end of a path.
    pub(crate) fn learn(&mut self, path: Path, session: SessionId, now: Instant) {
        match self.paths.get_mut(&path) {
            Some((owner, heard)) if *owner == session => *heard = now,
            Some((_, heard)) if now.saturating_duration_since(*heard) < OWNER_SILENCE => {}
            _ => {
                self.forget(&path);
                let paths = self.by_session.entry(session).or_default();
                if paths.len() == PATH_LIMIT {
                    self.paths.remove(&paths.remove(0));
                }
                paths.push(path);
                self.paths.insert(path, (session, now));
            }
        }
    }

    /// A path is gone.
    pub(crate) fn forget(&mut self, path: &Path) {
        if let Some((session, _)) = self.paths.remove(path)
            && let Some(paths) = self.by_session.get_mut(&session)
        {
            paths.retain(|known| known != path);
        }
    }

    /// Make a session findable by its ICE fragment. False when another one has the same.
    pub(crate) fn name(&mut self, fragment: &str, session: SessionId) -> bool {
        *self.fragments.entry(fragment.to_owned()).or_insert(session) == session
    }

    /// The fragment changed, or the session ended.
    pub(crate) fn unname(&mut self, fragment: &str) {
        self.fragments.remove(fragment);
    }

    /// Everything about a session.
    pub(crate) fn remove(&mut self, session: SessionId) {
        for path in self.by_session.remove(&session).unwrap_or_default() {
            self.paths.remove(&path);
        }
        self.fragments.retain(|_, owner| *owner != session);
    }

    /// Paths of a session.
    pub(crate) fn paths(&self, session: SessionId) -> &[Path] {
        self.by_session.get(&session).map_or(&[], Vec::as_slice)
    }

    /// Entries of all tables.
    pub(crate) fn len(&self) -> usize {
        self.paths.len() + self.fragments.len() + self.by_session.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use sanderling_media::Protocol;

    use super::*;

    fn path(port: u16) -> Path {
        let local = "192.0.2.1:40000".parse().unwrap();
        Path {
            protocol: Protocol::Udp,
            local,
            remote: std::net::SocketAddr::new("198.51.100.7".parse().unwrap(), port),
        }
    }

    const DTLS: [u8; 13] = [22; 13];

    #[test]
    fn a_live_path_is_not_taken_away_and_a_silent_one_is() {
        let now = Instant::now();
        let mut demux = Demux::default();
        demux.learn(path(1), SessionId(1), now);
        demux.learn(path(1), SessionId(2), now + Duration::from_secs(4));
        assert_eq!(demux.find(&path(1), &DTLS), Some(SessionId(1)));
        demux.learn(path(1), SessionId(2), now + Duration::from_secs(5));
        assert_eq!(demux.find(&path(1), &DTLS), Some(SessionId(2)));
        assert!(demux.paths(SessionId(1)).is_empty());
    }

    #[test]
    fn a_session_keeps_its_newest_paths_and_leaves_nothing_behind() {
        let now = Instant::now();
        let mut demux = Demux::default();
        assert!(demux.name("abc", SessionId(1)));
        assert!(!demux.name("abc", SessionId(2)));
        for port in 0..40 {
            demux.learn(path(port), SessionId(1), now);
        }
        assert_eq!(demux.paths(SessionId(1)).len(), PATH_LIMIT);
        assert_eq!(demux.find(&path(0), &DTLS), None);
        assert_eq!(demux.find(&path(39), &DTLS), Some(SessionId(1)));
        demux.forget(&path(39));
        assert_eq!(demux.find(&path(39), &DTLS), None);
        demux.remove(SessionId(1));
        assert_eq!(demux.len(), 0);
    }
}
