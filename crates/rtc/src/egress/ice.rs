//! The lite side of ICE (RFC 8445 section 2.5): it answers checks, learns paths from them, and follows nominations.

use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use sanderling_media::Path;

use super::stun::{self, Request};
use crate::session::{Accepted, IceCredentials};

/// Nothing is sent so long after the last authenticated check (RFC 7675 section 5.1).
pub(super) const CONSENT: Duration = Duration::from_secs(30);
/// Paths that are remembered; a peer has an address or two on each of a few interfaces.
const PATH_LIMIT: usize = 8;
/// Answers that wait to be fetched; each input is drained before the next, so more than one means a broken caller.
const ANSWER_LIMIT: usize = 4;

/// A path that passed an authenticated check.
struct Known {
    path: Path,
    checked: Instant,
    priority: u32,
    /// Nominations since another path was nominated.
    nominations: u32,
}

/// An answer to a check.
struct Answer {
    path: Path,
    length: usize,
    bytes: [u8; stun::ANSWER_LIMIT],
}

/// ICE state of a viewer.
pub(super) struct Ice {
    local: IceCredentials,
    remote: String,
    known: Vec<Known>,
    selected: Option<Path>,
    nominated: bool,
    /// When the peer's consent ends, unless it checks again. Kept as an end, because it is asked for with each packet.
    consented: Option<Instant>,
    first: Option<Instant>,
    answers: Vec<Answer>,
}

impl Ice {
    pub(super) fn new(local: IceCredentials, remote: &str) -> Self {
        Self {
            local,
            remote: remote.to_owned(),
            known: Vec::new(),
            selected: None,
            nominated: false,
            consented: None,
            first: None,
            answers: Vec::new(),
        }
    }

    pub(super) fn credentials(&self) -> &IceCredentials {
        &self.local
    }

    /// Key of the peer's checks. It takes 700 bytes and less than a microsecond to make, and is used every few seconds.
    pub(super) fn key(&self) -> hmac::Key {
        stun::integrity_key(&self.local.password)
    }

    /// New credentials of both sides. The old path is in use until the peer nominates one under the new ones.
    pub(super) fn restart(&mut self, local: IceCredentials, remote: &str) {
        self.local = local;
        remote.clone_into(&mut self.remote);
        self.known.retain(|known| Some(known.path) == self.selected);
        for known in &mut self.known {
            (known.priority, known.nominations) = (0, 0);
        }
        self.nominated = false;
    }

    /// Take in a STUN message.
    pub(super) fn handle(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Accepted {
        let key = self.key();
        let request = stun::read(datagram, &self.local.fragment, &self.remote, &key);
        let mut bytes = [0; stun::ANSWER_LIMIT];
        let (length, accepted) = match request {
            Request::Authentic(check) => {
                self.learn(now, path, check);
                let from = path.remote;
                let length = stun::success(&mut bytes, check.transaction, from, &key);
                (length, Accepted::Path)
            }
            Request::Unknown(transaction, kind) => {
                let length = stun::refusal(&mut bytes, transaction, 420, Some(kind), Some(&key));
                (length, Accepted::No)
            }
            Request::Refused(transaction, code) => {
                let length = stun::refusal(&mut bytes, transaction, code, None, None);
                // Who has not shown that the address is its own gets no more bytes than it sent.
                (
                    if length <= datagram.len() { length } else { 0 },
                    Accepted::No,
                )
            }
            Request::Junk => (0, Accepted::No),
        };
        if length > 0 && self.answers.len() < ANSWER_LIMIT {
            // Vectors begin with room for four.
            self.answers.reserve_exact(1);
            self.answers.push(Answer {
                path,
                length,
                bytes,
            });
        }
        accepted
    }

    fn learn(&mut self, now: Instant, path: Path, check: stun::Check) {
        self.consented = Some(now + CONSENT);
        self.first.get_or_insert(now);
        let place = match self.known.iter().position(|known| known.path == path) {
            Some(place) => place,
            None => {
                if self.known.len() == PATH_LIMIT {
                    let selected = self.selected;
                    let oldest = (0..self.known.len())
                        .filter(|place| Some(self.known[*place].path) != selected)
                        .min_by_key(|place| self.known[*place].checked);
                    if let Some(oldest) = oldest {
                        self.known.swap_remove(oldest);
                    }
                }
                self.known.reserve_exact(1);
                self.known.push(Known {
                    path,
                    checked: now,
                    priority: 0,
                    nominations: 0,
                });
                self.known.len() - 1
            }
        };
        let known = &mut self.known[place];
        known.checked = now;
        known.priority = check.priority;
        if !check.nominates {
            known.nominations = 0;
            // Until the peer has chosen, the first path that works is as good as any.
            self.selected.get_or_insert(path);
            return;
        }
        known.nominations += 1;
        let (nominations, priority) = (known.nominations, known.priority);
        if self.selected == Some(path) {
            self.nominated = true;
            for other in self.known.iter_mut().filter(|other| other.path != path) {
                other.nominations = 0;
            }
            return;
        }
        // A peer that nominates every path means the one with the highest priority; one that moves nominates the new
        // path again while the old one is no longer nominated.
        let current = self.known.iter().find(|k| Some(k.path) == self.selected);
        let better = current.is_none_or(|k| k.nominations == 0 || priority > k.priority);
        if !self.nominated || better || nominations > 1 {
            self.selected = Some(path);
            self.nominated = true;
        }
    }

    /// Whether datagrams of other protocols may come from a path.
    pub(super) fn knows(&self, path: &Path) -> bool {
        self.known.iter().any(|known| known.path == *path)
    }

    /// Where to send, as long as the peer agrees to receive.
    #[inline]
    pub(super) fn path(&self, now: Instant) -> Option<Path> {
        match self.consented {
            Some(end) if now < end => self.selected,
            _ => None,
        }
    }

    /// When the first check came.
    pub(super) fn first_check(&self) -> Option<Instant> {
        self.first
    }

    /// Write a waiting answer to the start of `buffer`.
    pub(super) fn answer(&mut self, buffer: &mut [u8]) -> Option<(Path, usize)> {
        let answer = self.answers.pop()?;
        buffer
            .get_mut(..answer.length)?
            .copy_from_slice(&answer.bytes[..answer.length]);
        Some((answer.path, answer.length))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use sanderling_media::Protocol;

    use super::*;

    fn path(number: u8) -> Path {
        Path {
            protocol: Protocol::Udp,
            local: ([192, 0, 2, 1], 4000).into(),
            remote: ([198, 51, 100, number], 5000).into(),
        }
    }

    fn ice() -> (Ice, hmac::Key) {
        let local = IceCredentials {
            fragment: "ours".into(),
            password: "password".into(),
        };
        (Ice::new(local, "theirs"), stun::integrity_key("password"))
    }

    #[test]
    fn paths_are_learnt_from_authentic_checks_alone() {
        let (mut ice, key) = ice();
        let now = Instant::now();
        let wrong = stun::integrity_key("guess");
        let guessed = stun::request("ours:theirs", 9, true, &wrong);
        assert_eq!(ice.handle(now, path(1), &guessed), Accepted::No);
        assert!(!ice.knows(&path(1)) && ice.path(now).is_none());
        let mut out = [0; 100];
        let (to, length) = ice.answer(&mut out).unwrap();
        assert_eq!((to, &out[..2]), (path(1), &[0x01, 0x11][..]));
        assert!(length <= guessed.len());

        let good = stun::request("ours:theirs", 9, false, &key);
        assert_eq!(ice.handle(now, path(2), &good), Accepted::Path);
        assert!(ice.knows(&path(2)));
        assert_eq!(ice.path(now), Some(path(2)));
        assert_eq!(ice.answer(&mut out).unwrap().0, path(2));
        assert!(ice.answer(&mut out).is_none());
    }

    #[test]
    fn consent_ends_thirty_seconds_after_the_last_check() {
        let (mut ice, key) = ice();
        let start = Instant::now();
        ice.handle(start, path(1), &stun::request("ours:theirs", 9, true, &key));
        assert!(
            ice.path(start + CONSENT - Duration::from_millis(1))
                .is_some()
        );
        assert!(ice.path(start + CONSENT).is_none());
        let later = start + CONSENT * 2;
        ice.handle(
            later,
            path(1),
            &stun::request("ours:theirs", 9, false, &key),
        );
        assert_eq!(ice.path(later), Some(path(1)));
    }

    #[test]
    fn nominations_by_table() {
        // (checks as (path, priority, nominates), path in use)
        type Row = (&'static [(u8, u32, bool)], u8);
        let rows: [Row; 6] = [
            (&[(1, 5, false), (2, 9, false)], 1),
            (&[(1, 5, false), (2, 1, true)], 2),
            (&[(1, 5, true), (2, 9, true), (1, 5, true), (2, 9, true)], 2),
            (&[(2, 9, true), (1, 5, true), (2, 9, true), (1, 5, true)], 2),
            (&[(2, 9, true), (1, 5, true), (1, 5, true)], 1),
            (&[(2, 9, true), (2, 9, false), (1, 5, true)], 1),
        ];
        for (checks, expected) in rows {
            let (mut ice, key) = ice();
            let now = Instant::now();
            for (from, priority, nominates) in checks {
                let check = stun::request("ours:theirs", *priority, *nominates, &key);
                ice.handle(now, path(*from), &check);
            }
            assert_eq!(ice.path(now), Some(path(expected)), "{checks:?}");
        }
    }

    #[test]
    fn a_restart_keeps_the_old_path_until_a_new_one_is_nominated() {
        let (mut ice, key) = ice();
        let now = Instant::now();
        ice.handle(now, path(1), &stun::request("ours:theirs", 9, true, &key));
        let renewed = IceCredentials {
            fragment: "new".into(),
            password: "renewed".into(),
        };
        ice.restart(renewed, "peer");
        let old = stun::request("ours:theirs", 9, true, &key);
        assert_eq!(ice.handle(now, path(2), &old), Accepted::No);
        assert_eq!(ice.path(now), Some(path(1)));
        let key = stun::integrity_key("renewed");
        ice.handle(now, path(2), &stun::request("new:peer", 1, false, &key));
        assert_eq!(ice.path(now), Some(path(1)));
        ice.handle(now, path(2), &stun::request("new:peer", 1, true, &key));
        assert_eq!(ice.path(now), Some(path(2)));
    }

    #[test]
    fn the_table_of_paths_is_bounded_and_keeps_the_one_in_use() {
        let (mut ice, key) = ice();
        let now = Instant::now();
        ice.handle(now, path(0), &stun::request("ours:theirs", 9, true, &key));
        for number in 1..100 {
            let at = now + Duration::from_millis(number.into());
            ice.handle(
                at,
                path(number),
                &stun::request("ours:theirs", 9, false, &key),
            );
        }
        assert_eq!(ice.known.len(), PATH_LIMIT);
        assert!(ice.knows(&path(0)) && ice.knows(&path(99)));
        assert!(ice.answers.len() <= ANSWER_LIMIT);
    }
}
