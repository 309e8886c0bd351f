//! What publisher and viewer share: one str0m instance, its paths and its answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sanderling_media::demux::{self, Class};
use sanderling_media::{Codec, Kind, Path, Protocol};
use str0m::config::{DtlsCert, DtlsVersion, Fingerprint};
use str0m::format::{Codec as Str0mCodec, FormatParams};
use str0m::media::{MediaKind, Mid, Rid};
use str0m::net::{Protocol as Str0mProtocol, Receive, TcpType};
use str0m::rtp::Extension;
use str0m::{Candidate, IceCreds, Input, Output, Reason, Rtc, RtcConfig, RtcError};

use crate::config::Config;
use crate::dependency;
use crate::random::Random;
use crate::sdp::{
    HeaderExtension, LocalDescription, Negotiated, Offer, Rejected, Role, SectionState, Sender,
};
use crate::session::{Accepted, Batch, IceCredentials, WakeReason};

/// Between reports on each stream. libwebrtc wants a sender report early to line audio and video up.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Between statistics of the engine.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(1);
/// Address pairs that are remembered because a datagram came to an address that is no candidate.
const ALIAS_LIMIT: usize = 16;

/// A datagram that came to `path.local`, told to the engine as if it had come to `candidate`: with a wildcard
/// socket or behind a mapped address the address on the packet is none of the candidates.
#[derive(Debug, Clone, Copy)]
struct Alias {
    candidate: SocketAddr,
    path: Path,
}

/// The engine's next output.
// It is moved once and never kept; a box would cost an allocation per packet.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Step {
    /// Send `len` bytes of the caller's buffer.
    Transmit(Path, usize),
    /// Something happened.
    Event(str0m::Event),
    /// The engine failed for good.
    Failed,
    /// Drained.
    Wake(Option<Instant>, WakeReason),
}

/// One str0m instance behind an answered offer.
pub(crate) struct Peer {
    pub(crate) rtc: Rtc,
    pub(crate) negotiated: Negotiated,
    pub(crate) random: Random,
    pub(crate) connected: bool,
    config: Config,
    ice: IceCredentials,
    cname: String,
    origin: u32,
    version: u32,
    aliases: Vec<Alias>,
    /// After an ICE restart media follows the peer's nomination, not the engine's memory of the old path.
    restarted: bool,
    nominated: Option<Path>,
    over: bool,
    /// The handshake broke and the session has to end.
    broken: bool,
    /// Result of the last drain, as long as nothing touched the engine since.
    idle: Option<(Option<Instant>, WakeReason)>,
}

impl Peer {
    /// Agree on an offer and make the engine for it.
    pub(crate) fn new(
        now: Instant,
        role: Role,
        offer: &str,
        config: Config,
    ) -> Result<Self, Rejected> {
        let negotiated = Negotiated::preferring(role, &Offer::parse(offer)?, &config.codecs)?;
        let mut random = config.random.clone();
        let ice = random.ice_credentials();
        let mut rtc = engine(now, &negotiated, &config, &ice);
        for (protocol, address) in config.candidates.iter() {
            if let Some(candidate) = host_candidate(*protocol, *address) {
                rtc.add_local_candidate(candidate);
            }
        }
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(false);
        direct.set_remote_ice_credentials(credentials(&negotiated.remote));
        direct.set_remote_fingerprint(Fingerprint {
            hash_func: "sha-256".to_owned(),
            bytes: negotiated.fingerprint.to_vec(),
        });
        direct
            .start_dtls(false)
            .map_err(|error| Rejected::whole(format!("the handshake cannot be set up: {error}")))?;
        let (cname, origin) = (random.text(16), random.number() >> 1);
        let mut peer = Self {
            rtc,
            negotiated,
            random,
            connected: false,
            config,
            ice,
            cname,
            origin,
            version: 0,
            aliases: Vec::new(),
            restarted: false,
            nominated: None,
            over: false,
            broken: false,
            idle: None,
        };
        peer.declare_media(0);
        Ok(peer)
    }

    /// Agree on a later offer. Returns how many sections there were before.
    pub(crate) fn renegotiate(&mut self, offer: &str) -> Result<usize, Rejected> {
        let negotiated = Negotiated::new(
            self.negotiated.role,
            &Offer::parse(offer)?,
            Some(&self.negotiated),
        )?;
        let known = self.negotiated.sections.len();
        if negotiated.remote != self.negotiated.remote {
            // RFC 8445 section 9: the offerer asks for a restart by new credentials; so do we.
            self.ice = self.random.ice_credentials();
            let mut direct = self.rtc.direct_api();
            direct.set_local_ice_credentials(credentials(&self.ice));
            direct.set_remote_ice_credentials(credentials(&negotiated.remote));
            self.restarted = true;
        }
        self.negotiated = negotiated;
        self.version += 1;
        self.declare_media(known);
        self.idle = None;
        Ok(known)
    }

    fn declare_media(&mut self, from: usize) {
        let mut direct = self.rtc.direct_api();
        for section in self.negotiated.sections.iter().skip(from) {
            if let (Some(kind), true) = (section.kind, section.state != SectionState::Rejected) {
                let media = direct.declare_media(mid(&section.mid), media_kind(kind));
                for rid in &*section.rids {
                    media.expect_rid_rx(Rid::from(rid.as_str()));
                }
            }
        }
    }

    /// Write the answer to the offer that was agreed on last.
    pub(crate) fn answer(&self, sender: impl Fn(usize) -> Option<Sender>) -> String {
        let local = LocalDescription {
            session: self.origin,
            version: self.version,
            ice: &self.ice,
            fingerprint: self.config.certificate.fingerprint(),
            setup: "passive",
            candidates: &self.config.candidates,
            cname: &self.cname,
        };
        local.answer(&self.negotiated, sender)
    }

    pub(crate) fn fragment(&self) -> &str {
        &self.ice.fragment
    }

    pub(crate) fn wall_clock(&self) -> &crate::config::WallClock {
        &self.config.wall_clock
    }

    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
    ) -> Accepted {
        let Some(class) = demux::classify(datagram).filter(|_| !self.over) else {
            return Accepted::No;
        };
        let Some(destination) = self.destination(path) else {
            return Accepted::No;
        };
        let Ok(receive) = Receive::new(
            str0m_protocol(path.protocol),
            path.remote,
            destination,
            datagram,
        ) else {
            return Accepted::No;
        };
        let input = Input::Receive(now, receive);
        // The engine checks STUN integrity itself, but does not say what came of it.
        let stun = class == Class::Stun;
        if stun && !self.rtc.accepts(&input) {
            return Accepted::No;
        }
        self.idle = None;
        if let Err(error) = self.rtc.handle_input(input) {
            // A handshake that broke (a fatal alert, a message that cannot be) does not mend: the session ends once
            // the engine has been drained of its farewell. Junk that the protocol says to ignore is no error, and a
            // connection that stands is not ended by what anybody could have sent.
            self.broken |= !self.connected && matches!(error, RtcError::Dtls(_));
            return Accepted::No;
        }
        if stun {
            if self.restarted && demux::stun_nominates(datagram) {
                self.nominated = Some(path);
            }
            self.remember(destination, path);
            Accepted::Path
        } else {
            Accepted::Data
        }
    }

    /// Candidate that the engine is told a datagram came to.
    fn destination(&self, path: Path) -> Option<SocketAddr> {
        let candidates = || {
            self.config
                .candidates
                .iter()
                .filter(|(protocol, _)| *protocol == path.protocol)
        };
        if candidates().any(|(_, address)| *address == path.local) {
            return Some(path.local);
        }
        candidates()
            .map(|(_, address)| *address)
            .find(|address| address.is_ipv4() == path.remote.is_ipv4())
    }

    fn remember(&mut self, candidate: SocketAddr, path: Path) {
        self.aliases
            .retain(|alias| alias.candidate != candidate || alias.path.remote != path.remote);
        if candidate != path.local {
            if self.aliases.len() == ALIAS_LIMIT {
                self.aliases.remove(0);
            }
            self.aliases.push(Alias { candidate, path });
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.idle = None;
        if self.rtc.handle_input(Input::Timeout(now)).is_err() {
            self.over = true;
        }
    }

    pub(crate) fn poll(&mut self, buffer: &mut [u8]) -> Step {
        if let Some((at, reason)) = self.idle {
            return Step::Wake(at, reason);
        }
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let Some(room) = buffer.get_mut(..transmit.contents.len()) else {
                        continue;
                    };
                    room.copy_from_slice(&transmit.contents);
                    let path = self.route(&transmit);
                    return Step::Transmit(path, transmit.contents.len());
                }
                Ok(Output::Event(event)) => return Step::Event(event),
                Ok(Output::Timeout(_)) if std::mem::take(&mut self.broken) => {
                    self.over = true;
                    self.idle = Some((None, WakeReason::Idle));
                    return Step::Failed;
                }
                Ok(Output::Timeout(at)) => {
                    let reason = wake_reason(self.rtc.last_timeout_reason());
                    let at = (reason != WakeReason::Idle).then_some(at);
                    self.idle = Some((at, reason));
                    return Step::Wake(at, reason);
                }
                Err(_) => {
                    self.over = true;
                    self.idle = Some((None, WakeReason::Idle));
                    return Step::Failed;
                }
            }
        }
    }

    /// Drain into a batch, keeping what happened meanwhile.
    pub(crate) fn drain<B: Batch>(
        &mut self,
        batch: &mut B,
        mut event: impl FnMut(str0m::Event),
    ) -> bool {
        self.idle = None;
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    batch.push(self.route(&transmit), &transmit.contents)
                }
                Ok(Output::Event(happened)) => event(happened),
                Ok(Output::Timeout(at)) => {
                    let reason = wake_reason(self.rtc.last_timeout_reason());
                    self.idle = Some(((reason != WakeReason::Idle).then_some(at), reason));
                    return true;
                }
                Err(_) => {
                    self.over = true;
                    self.idle = Some((None, WakeReason::Idle));
                    return false;
                }
            }
        }
    }

    /// Real path of a datagram of the engine's.
    fn route(&self, transmit: &str0m::net::Transmit) -> Path {
        let stun = demux::classify(&transmit.contents) == Some(Class::Stun);
        if let (Some(nominated), false) = (self.nominated, stun) {
            return nominated;
        }
        let protocol = if transmit.proto == Str0mProtocol::Udp {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        let alias = self.aliases.iter().find(|alias| {
            alias.candidate == transmit.source
                && alias.path.remote == transmit.destination
                && alias.path.protocol == protocol
        });
        alias.map_or(
            Path {
                protocol,
                local: transmit.source,
                remote: transmit.destination,
            },
            |alias| alias.path,
        )
    }

    /// Say goodbye: RTCP BYE and DTLS close_notify.
    pub(crate) fn close<B: Batch>(&mut self, now: Instant, batch: &mut B) {
        let _ = self.rtc.handle_input(Input::Timeout(now));
        if self.rtc.close().is_ok() {
            self.drain(batch, |_| {});
        }
        self.over = true;
        self.idle = Some((None, WakeReason::Idle));
    }
}

fn engine(now: Instant, negotiated: &Negotiated, config: &Config, ice: &IceCredentials) -> Rtc {
    let mut engine = RtcConfig::new()
        .set_crypto_provider(Arc::clone(&config.certificate.provider))
        .set_dtls_cert(DtlsCert::clone(&config.certificate.certificate))
        .set_local_ice_credentials(credentials(ice))
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .set_dtls_version(dtls_version(negotiated.role))
        .set_stats_interval(Some(STATISTICS_INTERVAL))
        .set_rtcp_report_interval_audio(REPORT_INTERVAL)
        .set_rtcp_report_interval_video(REPORT_INTERVAL)
        .clear_codecs()
        .clear_extension_map();
    let mut known = Vec::new();
    for codec in negotiated
        .sections
        .iter()
        .flat_map(|section| section.codecs.iter())
    {
        if known.contains(&codec.payload_type) {
            continue;
        }
        known.push(codec.payload_type);
        let (engine_codec, channels) = match codec.codec {
            Codec::Vp8 => (Str0mCodec::Vp8, None),
            Codec::Vp9 => (Str0mCodec::Vp9, None),
            Codec::Av1 => (Str0mCodec::Av1, None),
            Codec::H264 => (Str0mCodec::H264, None),
            Codec::Opus => (Str0mCodec::Opus, Some(2)),
        };
        let clock_rate = match codec.codec.kind() {
            Kind::Audio => str0m::media::Frequency::FORTY_EIGHT_KHZ,
            Kind::Video => str0m::media::Frequency::NINETY_KHZ,
        };
        engine.codec_config().add_config(
            codec.payload_type.into(),
            codec.repair_payload_type.map(Into::into),
            engine_codec,
            clock_rate,
            channels,
            FormatParams::default(),
        );
    }
    for (id, extension) in negotiated
        .sections
        .iter()
        .flat_map(|section| section.extensions.iter())
    {
        engine = engine.set_extension(*id, engine_extension(*extension));
    }
    engine.build(now)
}

/// DTLS 1.3 saves a round trip, but there the engine takes the client's first SRTP profile, which is AES-CM with SHA-1
/// for libwebrtc. Under 1.2 it takes its own, AEAD GCM: a quarter of the cost per packet. A publisher's packets are
/// deciphered once, a viewer's are ciphered for it alone.
fn dtls_version(role: Role) -> DtlsVersion {
    match role {
        Role::Publisher => DtlsVersion::Auto,
        Role::Viewer => DtlsVersion::Dtls12,
    }
}

fn engine_extension(extension: HeaderExtension) -> Extension {
    match extension {
        HeaderExtension::Mid => Extension::RtpMid,
        HeaderExtension::RtpStreamId => Extension::RtpStreamId,
        HeaderExtension::RepairedRtpStreamId => Extension::RepairedRtpStreamId,
        HeaderExtension::TransportWideCc => Extension::TransportSequenceNumber,
        HeaderExtension::AbsSendTime => Extension::AbsoluteSendTime,
        HeaderExtension::AudioLevel => Extension::AudioLevel,
        HeaderExtension::VideoOrientation => Extension::VideoOrientation,
        HeaderExtension::PlayoutDelay => Extension::PlayoutDelay,
        HeaderExtension::AbsCaptureTime => Extension::AbsoluteCaptureTime,
        HeaderExtension::VideoContentType => Extension::VideoContentType,
        HeaderExtension::DependencyDescriptor => dependency::extension(),
    }
}

fn credentials(ice: &IceCredentials) -> IceCreds {
    IceCreds {
        ufrag: ice.fragment.clone(),
        pass: ice.password.clone(),
    }
}

/// `None` for an address that can be no candidate, such as a multicast one.
fn host_candidate(protocol: Protocol, address: SocketAddr) -> Option<Candidate> {
    match protocol {
        Protocol::Udp => Candidate::builder().udp().host(address).build().ok(),
        Protocol::Tcp => Candidate::builder()
            .tcp()
            .host(address)
            .tcptype(TcpType::Passive)
            .build()
            .ok(),
    }
}

fn str0m_protocol(protocol: Protocol) -> Str0mProtocol {
    match protocol {
        Protocol::Udp => Str0mProtocol::Udp,
        Protocol::Tcp => Str0mProtocol::Tcp,
    }
}

fn wake_reason(reason: Reason) -> WakeReason {
    match reason {
        Reason::NotHappening => WakeReason::Idle,
        Reason::DTLS => WakeReason::Dtls,
        Reason::Ice => WakeReason::Ice,
        Reason::Feedback | Reason::Nack | Reason::Twcc => WakeReason::Feedback,
        Reason::SendStream | Reason::Pacer(_) | Reason::Packetize => WakeReason::Send,
        Reason::Stats => WakeReason::Statistics,
        _ => WakeReason::Other,
    }
}

pub(crate) fn mid(mid: &str) -> Mid {
    Mid::from(mid)
}

fn media_kind(kind: Kind) -> MediaKind {
    match kind {
        Kind::Audio => MediaKind::Audio,
        Kind::Video => MediaKind::Video,
    }
}

/// Nanoseconds of Unix time.
pub(crate) fn unix_ns(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}
