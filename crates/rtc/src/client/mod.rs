//! The side of a connection that a browser would be: a full ICE agent, the DTLS client, SRTP both ways. Without sockets
//! and without a clock. Load generators drive servers with it.

mod dtls;
mod ice;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sanderling_media::demux::{self, Class};

use crate::certificate::Certificate;
use crate::egress::srtp::{Outbound, Receiver};
use crate::random::Random;
use crate::session::IceCredentials;
use dtls::{Association, Step};
use ice::Agent;

/// Most bytes that protection adds to a packet.
pub const PROTECTION: usize = crate::egress::srtp::OVERHEAD;

/// What the other side's description says about the transport.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its ICE credentials.
    pub credentials: IceCredentials,
    /// Whether it only answers checks (RFC 8445 section 2.5).
    pub lite: bool,
    /// SHA-256 digest of its certificate.
    pub fingerprint: [u8; 32],
    /// Its UDP candidates, best first.
    pub candidates: Vec<SocketAddr>,
}

/// What every transport of a process shares: certificate and settings.
#[derive(Clone)]
pub struct Identity {
    certificate: Certificate,
    settings: Arc<dimpl::Config>,
}

impl Identity {
    /// Make one. `None` when the system has no randomness to give.
    pub fn generate() -> Option<Self> {
        Some(Self {
            certificate: Certificate::generate()?,
            settings: dtls::settings()?,
        })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// What a transport wants done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Send the first `len` bytes of the buffer.
    Transmit {
        /// Receiver.
        to: SocketAddr,
        /// Size, bytes.
        len: usize,
    },
    /// ICE and DTLS are done: media may flow.
    Connected,
    /// The peer said goodbye. Nothing more comes.
    Closed,
    /// It is over, and why. Nothing more comes.
    Failed(&'static str),
    /// Nothing to do until then.
    WakeAt(Option<Instant>),
}

/// One connection to a server.
///
/// After each call that takes `now`, call [`poll`](Self::poll) until it returns [`Output::WakeAt`].
pub struct ClientTransport {
    agent: Agent,
    identity: Identity,
    fingerprint: Option<[u8; 32]>,
    association: Option<Box<Association>>,
    association_wake: Option<Instant>,
    keys: Option<Box<(Outbound, Receiver)>>,
    connected: bool,
    over: bool,
}

impl ClientTransport {
    /// A transport with new ICE credentials. `offers`: whether this side offers, and so is in control of ICE unless
    /// the other side is lite.
    pub fn new(identity: &Identity, random: Random, offers: bool) -> Self {
        Self {
            agent: Agent::new(random, offers),
            identity: identity.clone(),
            fingerprint: None,
            association: None,
            association_wake: None,
            keys: None,
            connected: false,
            over: false,
        }
    }

    /// Our ICE credentials.
    pub fn credentials(&self) -> &IceCredentials {
        self.agent.credentials()
    }

    /// Take the other side's description and begin.
    pub fn begin(&mut self, now: Instant, remote: &Remote) {
        self.fingerprint = Some(remote.fingerprint);
        self.agent
            .begin(now, &remote.credentials, remote.lite, &remote.candidates);
    }

    /// Whether it has the other side's description.
    pub fn has_begun(&self) -> bool {
        self.fingerprint.is_some()
    }

    /// Whether media may flow.
    pub fn is_connected(&self) -> bool {
        self.connected && !self.over
    }

    /// Time from the last check to its answer.
    pub fn round_trip(&self) -> Option<Duration> {
        self.agent.round_trip()
    }

    /// Where media goes; `None` before it may and after consent has ended.
    pub fn path(&self, now: Instant) -> Option<SocketAddr> {
        self.agent
            .path(now)
            .filter(|_| self.connected && !self.over)
    }

    /// Take in a datagram of STUN or DTLS. Others are left alone.
    pub fn handle(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        match demux::classify(datagram).filter(|_| !self.over) {
            Some(Class::Stun) => self.agent.handle(now, from, datagram),
            Some(Class::Dtls) => {
                if let Some(association) = &mut self.association {
                    association.handle(now, datagram);
                    self.association_wake = Some(now);
                }
            }
            _ => {}
        }
    }

    /// Take the next thing to do. `buffer` holds at least [`crate::MAX_DATAGRAM`] bytes.
    pub fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Output {
        if self.over {
            return Output::WakeAt(None);
        }
        if let Some(why) = self.agent.failure(now) {
            return self.end(Output::Failed(why));
        }
        if let Some((to, len)) = self.agent.poll(now, buffer) {
            return Output::Transmit { to, len };
        }
        if let Some(output) = self.poll_association(now, buffer) {
            return output;
        }
        let wakes = [self.agent.wake_at(), self.association_wake];
        Output::WakeAt(wakes.into_iter().flatten().min())
    }

    fn poll_association(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Output> {
        let to = self.agent.path(now)?;
        let association = match (&mut self.association, self.fingerprint) {
            (Some(association), _) => association,
            (none, Some(fingerprint)) => {
                self.association_wake = Some(now);
                none.insert(Box::new(Association::new(
                    now,
                    Arc::clone(&self.identity.settings),
                    &self.identity.certificate,
                    fingerprint,
                )))
            }
            _ => return None,
        };
        // A keyed connection has no timers; thousands of them are not asked in vain.
        if self.association_wake.is_none_or(|at| at > now) {
            return None;
        }
        association.handle_timeout(now);
        loop {
            match association.poll(now, buffer) {
                Step::Transmit(len) => return Some(Output::Transmit { to, len }),
                Step::Keys(keys) => self.keys = Some(keys),
                Step::Wake(at) => {
                    self.association_wake = at;
                    if !self.connected && self.keys.is_some() && association.is_connected() {
                        self.connected = true;
                        return Some(Output::Connected);
                    }
                    return None;
                }
                Step::Closed => return Some(self.end(Output::Closed)),
                Step::Failed(why) => return Some(self.end(Output::Failed(why))),
            }
        }
    }

    fn end(&mut self, output: Output) -> Output {
        self.over = true;
        self.association = None;
        self.keys = None;
        output
    }

    /// Protect the RTP packet of `length` bytes, `header` of them header, at the start of `buffer`, which has
    /// [`PROTECTION`] more. Returns the length with the tag.
    pub fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Option<usize> {
        let (outbound, _) = self.keys.as_deref()?;
        outbound.seal_rtp(buffer, header, length, ssrc, sequence)
    }

    /// Protect the compound RTCP packet of `length` bytes at the start of `buffer`, which has [`PROTECTION`] more.
    pub fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (outbound, _) = self.keys.as_deref_mut()?;
        outbound.seal_rtcp(buffer, length)
    }

    /// Open a packet of media in place. `sequence` is extended by the rollover counter. Returns the payload, padding
    /// included; `None` when it is not authentic.
    pub fn open_rtp<'a>(
        &self,
        packet: &'a mut [u8],
        header: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Option<&'a mut [u8]> {
        let (_, receiver) = self.keys.as_deref()?;
        receiver.open_rtp(packet, header, ssrc, sequence)
    }

    /// Open an RTCP packet in place. `None` when it is not authentic or came before.
    pub fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let (_, receiver) = self.keys.as_deref_mut()?;
        receiver.open_rtcp(packet)
    }

    /// Say goodbye: writes a close_notify to `buffer` and says where it goes. Nothing comes out afterwards.
    pub fn close(&mut self, now: Instant, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
        let to = self.agent.path(now);
        let len = self
            .association
            .as_mut()
            .and_then(|association| association.close(buffer));
        self.end(Output::Closed);
        Some((to?, len?))
    }
}

impl fmt::Debug for ClientTransport {
    /// The keys stay out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTransport")
            .field("connected", &self.connected)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
