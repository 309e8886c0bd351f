//! A full ICE agent with one host candidate (RFC 8445), and its consent checks (RFC 7675).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use crate::egress::stun::{self, BindingRequest, REQUEST_LIMIT, Request};
use crate::random::Random;
use crate::session::IceCredentials;

/// First and longest time between two checks of a pair that has not answered. The first is kept for as many checks as
/// [`EAGER`] says: browsers check every 48 ms until something answers, and so connect at once where half gets lost.
const RETRANSMIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));
const EAGER: u8 = 30;
/// Checks of a pair that wait for their answer: at the first interval, for round trips of 0.8 s.
const OPEN: usize = 16;
/// Time between two consent checks, milliseconds: 5 s, a fifth more or less (RFC 7675 section 5.1).
const CONSENT_INTERVAL_MS: (u32, u32) = (4_000, 2_000);
/// Without an answer for so long nothing may be sent (RFC 7675 section 5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// Time for the first answer.
const DEADLINE: Duration = Duration::from_secs(15);
/// Pairs that are checked; the peer names at most so many candidates that count.
const PAIR_LIMIT: usize = 8;
/// Checks of a pair that never answers, once another one has.
const CHECKS: u8 = 7;
/// Checks by the peer that wait for their answers.
const ANSWERS: usize = 8;
/// Type preference of a peer-reflexive candidate, and the rest as of the first host candidate.
const PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;
/// Role conflict (RFC 8445 section 7.3.1.1).
const ROLE_CONFLICT: u16 = 487;

/// A way to the peer.
struct Pair {
    remote: SocketAddr,
    /// Checks that have not been answered, oldest first.
    open: VecDeque<([u8; 12], Instant)>,
    next_at: Instant,
    interval: Duration,
    answered: bool,
    checks: u8,
}

/// What the peer says about its ICE.
struct Remote {
    username: String,
    /// Key of what the peer signs, and of what it is sent.
    key: hmac::Key,
    lite: bool,
    since: Instant,
}

/// The agent.
pub(super) struct Agent {
    local: IceCredentials,
    key: hmac::Key,
    controlling: bool,
    tie_breaker: u64,
    remote: Option<Remote>,
    pairs: Vec<Pair>,
    selected: Option<usize>,
    consent_at: Option<Instant>,
    answers: VecDeque<(SocketAddr, [u8; 12])>,
    round_trip: Option<Duration>,
    random: Random,
}

impl Agent {
    pub(super) fn new(mut random: Random, controlling: bool) -> Self {
        let local = random.ice_credentials();
        let key = stun::integrity_key(&local.password);
        let tie_breaker = u64::from(random.number()) << 32 | u64::from(random.number());
        Self {
            local,
            key,
            controlling,
            tie_breaker,
            remote: None,
            pairs: Vec::new(),
            selected: None,
            consent_at: None,
            answers: VecDeque::new(),
            round_trip: None,
            random,
        }
    }

    pub(super) fn credentials(&self) -> &IceCredentials {
        &self.local
    }

    /// Begin to check the peer's candidates.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        credentials: &IceCredentials,
        lite: bool,
        candidates: &[SocketAddr],
    ) {
        self.remote = Some(Remote {
            username: format!("{}:{}", credentials.fragment, self.local.fragment),
            key: stun::integrity_key(&credentials.password),
            lite,
            since: now,
        });
        self.controlling |= lite;
        for remote in candidates {
            self.pair(now, *remote);
        }
    }

    fn pair(&mut self, now: Instant, remote: SocketAddr) -> Option<usize> {
        if let Some(known) = self.pairs.iter().position(|pair| pair.remote == remote) {
            return Some(known);
        }
        if self.pairs.len() == PAIR_LIMIT {
            return None;
        }
        self.pairs.push(Pair {
            remote,
            open: VecDeque::new(),
            next_at: now,
            interval: RETRANSMIT.0,
            answered: false,
            checks: 0,
        });
        Some(self.pairs.len() - 1)
    }

    /// Where media goes, as long as the peer consents.
    pub(super) fn path(&self, now: Instant) -> Option<SocketAddr> {
        let pair = self.pairs.get(self.selected?)?;
        self.consent_at
            .is_some_and(|at| now.saturating_duration_since(at) < CONSENT)
            .then_some(pair.remote)
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Why the peer cannot be reached, or no longer.
    pub(super) fn failure(&self, now: Instant) -> Option<&'static str> {
        let remote = self.remote.as_ref()?;
        match self.consent_at {
            Some(at) if now.saturating_duration_since(at) >= CONSENT => {
                Some("no answer to a consent check for 30 s")
            }
            None if now.saturating_duration_since(remote.since) >= DEADLINE => {
                Some("no answer to a connectivity check for 15 s")
            }
            _ => None,
        }
    }

    pub(super) fn handle(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let Some(remote) = &self.remote else {
            return;
        };
        if let Some(response) = stun::read_response(datagram, &remote.key) {
            self.answered(now, response);
            return;
        }
        let peer = remote.username.split(':').next().unwrap_or_default();
        let read = stun::read(datagram, &self.local.fragment, peer, &self.key);
        if let Request::Authentic(check) = read
            && self.answers.len() < ANSWERS
        {
            self.answers.push_back((from, check.transaction));
            // A triggered check (RFC 8445 section 7.3.1.4).
            let pair = self.pair(now, from);
            if check.nominates && !self.controlling && self.consent_at.is_some() {
                self.selected = pair.filter(|at| self.pairs[*at].answered).or(self.selected);
            }
        }
    }

    fn answered(&mut self, now: Instant, response: stun::Response) {
        let found = self.pairs.iter().enumerate().find_map(|(index, pair)| {
            let mut open = pair.open.iter();
            let (_, sent_at) =
                open.find(|(transaction, _)| *transaction == response.transaction)?;
            Some((index, *sent_at))
        });
        let Some((index, sent_at)) = found else {
            return;
        };
        if response.error.is_some() {
            if response.error == Some(ROLE_CONFLICT) {
                self.controlling = !self.controlling;
                self.pairs[index].next_at = now;
            }
            return;
        }
        let pair = &mut self.pairs[index];
        pair.open = VecDeque::new();
        self.round_trip = Some(now.saturating_duration_since(sent_at));
        let first = !std::mem::replace(&mut pair.answered, true);
        let (least, spread) = CONSENT_INTERVAL_MS;
        let pause = Duration::from_millis(u64::from(least + self.random.number() % spread));
        pair.next_at = now + pause;
        if self.selected.is_none() {
            self.selected = Some(index);
        }
        if self.selected == Some(index) {
            self.consent_at = Some(now);
            // A full peer learns with a second check that this is the path; a lite one was told with the first.
            let lite = self.remote.as_ref().is_some_and(|remote| remote.lite);
            if first && self.controlling && !lite {
                self.pairs[index].next_at = now;
            }
        }
    }

    /// Whether a pair is still asked. Once there is a path the others are of use only to a peer that may yet choose.
    fn is_checked(&self, index: usize) -> bool {
        let pair = &self.pairs[index];
        match self.selected {
            None => true,
            Some(chosen) if chosen == index => true,
            Some(_) => !self.controlling && !pair.answered && pair.checks < CHECKS,
        }
    }

    /// Write the next datagram that is due to `buffer`.
    pub(super) fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
        if let Some((to, transaction)) = self.answers.pop_front() {
            return Some((to, stun::success(buffer, transaction, to, &self.key)));
        }
        let remote = self.remote.as_ref()?;
        let chosen = self.selected;
        let index = (0..self.pairs.len())
            .find(|index| self.is_checked(*index) && self.pairs[*index].next_at <= now)?;
        let mut transaction = [0; 12];
        for word in transaction.chunks_exact_mut(4) {
            word.copy_from_slice(&self.random.number().to_be_bytes());
        }
        let pair = &mut self.pairs[index];
        if pair.open.len() == OPEN {
            pair.open.pop_front();
        }
        pair.open.push_back((transaction, now));
        pair.next_at = now + pair.interval;
        if pair.checks > EAGER {
            pair.interval = (pair.interval * 2).min(RETRANSMIT.1);
        }
        pair.checks = pair.checks.saturating_add(1);
        let request = BindingRequest {
            transaction,
            username: &remote.username,
            priority: PRIORITY,
            controlling: self.controlling,
            tie_breaker: self.tie_breaker,
            nominates: remote.lite || chosen == Some(index),
        };
        let length = request.write(buffer.get_mut(..REQUEST_LIMIT)?, &remote.key)?;
        Some((pair.remote, length))
    }

    /// When something is due next.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let remote = self.remote.as_ref()?;
        let checked = (0..self.pairs.len()).filter(|index| self.is_checked(*index));
        let due = checked.map(|index| self.pairs[index].next_at).min();
        let end = match self.consent_at {
            Some(at) => at + CONSENT,
            None => remote.since + DEADLINE,
        };
        Some(due.map_or(end, |due| due.min(end)))
    }
}
