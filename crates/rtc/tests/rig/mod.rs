//! A viewer's session and a str0m client on one virtual link, in memory and in virtual time.

pub mod descriptor;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use sanderling_media::{Codec, Extensions, Kind, LayerStore, Packet, Path, Protocol};
use sanderling_rtc::{
    Certificate, Config, EgressViewer, Event, Output, Profile, Random, Rejected, Session,
    Str0mPublisher, Str0mViewer, TrackInfo, WallClock,
};
use str0m::change::SdpAnswer;
use str0m::channel::ChannelId;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol as Str0mProtocol, Receive};
use str0m::rtp::RtpPacket;
use str0m::{Candidate, Input, Output as RtcOutput, Rtc, RtcConfig};

/// One way of the link.
pub const DELAY: Duration = Duration::from_millis(10);

/// An engine for viewers.
pub trait Engine: Session + Sized {
    /// Name in messages.
    const NAME: &'static str;

    /// Answer an offer.
    fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected>;
}

impl Engine for EgressViewer {
    const NAME: &'static str = "egress";

    fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected> {
        Self::open(now, offer, config)
    }
}

impl Engine for Str0mPublisher {
    const NAME: &'static str = "publisher";

    fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected> {
        Self::open(now, offer, config)
    }
}

impl Engine for Str0mViewer {
    const NAME: &'static str = "str0m";

    fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected> {
        Self::open(now, offer, config)
    }
}

/// The server's address.
pub fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

/// The client's address.
pub fn client() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 5_000))
}

/// What both ends see of a datagram from the client.
pub fn path() -> Path {
    Path {
        protocol: Protocol::Udp,
        local: server(),
        remote: client(),
    }
}

/// What sessions are made with; the same for the same seed.
pub fn config(now: Instant, certificate: &Certificate, seed: u8) -> Config {
    let wall_clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    Config {
        random: Random::new(certificate, [seed; 32]),
        codecs: Vec::new(),
        certificate: certificate.clone(),
        candidates: Arc::from([(Protocol::Udp, server())]),
        wall_clock: WallClock::new(now, wall_clock),
    }
}

/// The track that is bound to a slot.
pub fn track(codec: Codec) -> TrackInfo {
    TrackInfo {
        kind: codec.kind(),
        codec,
        profile: match codec {
            Codec::Vp9 | Codec::Av1 => Profile::Number(0),
            _ => Profile::None,
        },
        mid: "0".into(),
        layers: 1,
    }
}

/// A packet of a publisher's, with `payload`.
pub fn packet(codec: Codec, at: Instant, sequence: u64, timestamp: u32, payload: &[u8]) -> Packet {
    let mark = Packet::mark(codec, payload);
    Packet {
        kind: codec.kind(),
        codec,
        layer: 0,
        sequence,
        timestamp,
        marker: true,
        frame_start: mark.frame_start,
        key_frame: mark.key_frame,
        extensions: Extensions::default(),
        arrival: at,
        captured: at,
        payload: Arc::from(payload),
    }
}

/// What the client saw.
#[derive(Default)]
pub struct Seen {
    pub received: Vec<RtpPacket>,
    /// Sections that sender reports came for, with their RTP and wall-clock time.
    pub reports: Vec<(u32, SystemTime)>,
    /// The data channel, once it is open, and what came on it.
    pub channel: Option<ChannelId>,
    pub messages: Vec<(bool, Vec<u8>)>,
    pub connected: bool,
    pub closed: bool,
}

/// A session and its client.
pub struct Rig<S> {
    pub session: S,
    pub rtc: Rtc,
    pub seen: Seen,
    pub events: Vec<Event>,
    pub mids: Vec<Mid>,
    pub now: Instant,
    pub store: LayerStore,
    /// RTP datagrams to the client that get lost, by their number.
    pub lose: fn(usize) -> bool,
    /// Everything that the client sent.
    pub sent: Vec<Vec<u8>>,
    media: usize,
    /// Datagrams to the session (false) and to the client (true).
    flying: VecDeque<(Instant, bool, Vec<u8>)>,
    session_wake: Option<Instant>,
    client_wake: Instant,
}

impl<S: Engine> Rig<S> {
    /// A client that offers so many slots, answered but not yet connected.
    pub fn new(
        now: Instant,
        certificate: &Certificate,
        slots: usize,
        set_up: fn(RtcConfig) -> RtcConfig,
    ) -> Self {
        Self::with_offer(now, certificate, slots, set_up, |offer| offer)
    }

    /// A client whose offer names another certificate than its own.
    pub fn impostor(now: Instant, certificate: &Certificate) -> Self {
        let set_up: fn(RtcConfig) -> RtcConfig = |config| config;
        Self::with_offer(now, certificate, 1, set_up, |offer| {
            let at = offer.find("a=fingerprint:sha-256 ").unwrap() + 22;
            let first = if &offer[at..at + 2] == "00" {
                "01"
            } else {
                "00"
            };
            offer.replace(
                &offer[at..at + 95],
                &format!("{first}{}", &offer[at + 2..at + 95]),
            )
        })
    }

    fn with_offer(
        now: Instant,
        certificate: &Certificate,
        slots: usize,
        set_up: fn(RtcConfig) -> RtcConfig,
        change: fn(String) -> String,
    ) -> Self {
        let direction = Direction::RecvOnly;
        Self::in_direction(now, certificate, slots, direction, None, set_up, change)
    }

    fn in_direction(
        now: Instant,
        certificate: &Certificate,
        slots: usize,
        direction: Direction,
        channel: Option<&str>,
        set_up: fn(RtcConfig) -> RtcConfig,
        change: fn(String) -> String,
    ) -> Self {
        let mut rtc = set_up(Rtc::builder().set_rtp_mode(true)).build(now);
        rtc.add_local_candidate(Candidate::host(client(), Str0mProtocol::Udp).unwrap());
        let mut changes = rtc.sdp_api();
        let mut mids = Vec::new();
        for _ in 0..slots {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                mids.push(changes.add_media(kind, direction, None, None, None));
            }
        }
        if let Some(label) = channel {
            changes.add_channel(label.to_owned());
        }
        let (offer, pending) = changes.apply().unwrap();
        let text = offer.to_sdp_string();
        let mut sections = text.lines().filter(|line| line.starts_with("a=mid:"));
        let mut distinct = std::collections::HashSet::new();
        if !sections.all(|section| distinct.insert(section)) {
            // The client draws them by lot, three letters each, that of the channel too.
            return Self::in_direction(now, certificate, slots, direction, channel, set_up, change);
        }
        let config = config(now, certificate, 5);
        let (session, answer) = S::open(now, &change(text), config).unwrap();
        let answer = SdpAnswer::from_sdp_string(&answer).unwrap();
        rtc.sdp_api().accept_answer(pending, answer).unwrap();
        Self {
            session,
            rtc,
            seen: Seen::default(),
            events: Vec::new(),
            mids,
            now,
            store: LayerStore::default(),
            lose: |_| false,
            sent: Vec::new(),
            media: 0,
            flying: VecDeque::new(),
            session_wake: Some(now),
            client_wake: now,
        }
    }

    /// A connected client with VP8 and Opus bound to every slot.
    pub fn connected(now: Instant, certificate: &Certificate, slots: usize) -> Self {
        let set_up: fn(RtcConfig) -> RtcConfig =
            |config| config.clear_codecs().enable_opus(true).enable_vp8(true);
        let mut rig = Self::new(now, certificate, slots, set_up);
        rig.run(Duration::from_millis(500));
        assert!(rig.seen.connected, "{} did not connect", S::NAME);
        for slot in 0..rig.session.slots() {
            for codec in [Codec::Opus, Codec::Vp8] {
                assert!(rig.session.bind(slot, &track(codec)));
                rig.session.repair_from(slot, codec.kind(), &rig.store);
            }
        }
        rig
    }

    /// A connected client that speaks every codec, with one of them and Opus bound to every slot.
    pub fn speaking(now: Instant, certificate: &Certificate, slots: usize, codec: Codec) -> Self {
        let codecs: fn(RtcConfig) -> RtcConfig = |config| {
            let config = config.clear_codecs().enable_opus(true).enable_vp8(true);
            descriptor::with_descriptors(config.enable_vp9(true).enable_av1(true))
        };
        let direction = Direction::RecvOnly;
        let change = descriptor::allow_long;
        let mut rig = Self::in_direction(now, certificate, slots, direction, None, codecs, change);
        rig.run(Duration::from_millis(500));
        assert!(rig.seen.connected, "{} did not connect", S::NAME);
        for slot in 0..rig.session.slots() {
            for codec in [Codec::Opus, codec] {
                assert!(rig.session.bind(slot, &track(codec)));
                rig.session.repair_from(slot, codec.kind(), &rig.store);
            }
        }
        rig
    }

    /// A connected client with a slot that has opened a data channel.
    pub fn talking(now: Instant, certificate: &Certificate) -> Self {
        let set_up: fn(RtcConfig) -> RtcConfig =
            |config| config.clear_codecs().enable_opus(true).enable_vp8(true);
        let (direction, change) = (Direction::RecvOnly, |offer| offer);
        let channel = Some("control");
        let mut rig = Self::in_direction(now, certificate, 1, direction, channel, set_up, change);
        rig.run(Duration::from_millis(700));
        assert!(rig.seen.connected, "{} did not connect", S::NAME);
        rig
    }

    /// A connected client of one slot that speaks some codecs, and dependency descriptors.
    pub fn describing(
        now: Instant,
        certificate: &Certificate,
        direction: Direction,
        codecs: fn(RtcConfig) -> RtcConfig,
    ) -> Self {
        let allow_long = descriptor::allow_long;
        let mut rig = Self::in_direction(now, certificate, 1, direction, None, codecs, allow_long);
        rig.run(Duration::from_millis(500));
        assert!(rig.seen.connected, "{} did not connect", S::NAME);
        rig
    }

    /// Let everything happen for a while.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let flight = self.flying.front().map(|(at, ..)| *at);
            let wakes = [flight, self.session_wake, Some(self.client_wake)];
            let next = wakes.into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if flight == Some(next) {
                let (_, to_client, datagram) = self.flying.pop_front().unwrap();
                if to_client {
                    self.receive(&datagram);
                } else {
                    self.feed(&datagram);
                }
            } else if self.session_wake == Some(next) {
                self.session.handle_timeout(self.now);
                self.drain();
                let stuck = self.session_wake.is_some_and(|at| at <= self.now);
                assert!(!stuck, "{} wakes without end", S::NAME);
            } else {
                self.rtc.handle_input(Input::Timeout(self.now)).unwrap();
                self.drain_client();
            }
        }
    }

    /// Let the client do at once what it was asked for.
    pub fn wake_client(&mut self) {
        self.rtc.handle_input(Input::Timeout(self.now)).unwrap();
        self.drain_client();
    }

    /// Everything that is under way gets lost.
    pub fn lose_in_flight(&mut self) {
        self.flying.clear();
    }

    /// Give the session a datagram from the client's address.
    pub fn feed(&mut self, datagram: &[u8]) {
        let _ = self.session.handle_datagram(self.now, path(), datagram);
        self.drain();
    }

    /// Send a packet on a slot.
    pub fn write(&mut self, slot: u16, packet: &Packet, header: sanderling_rtc::Header) {
        if packet.kind == Kind::Video {
            self.store.keep(packet);
        }
        self.write_late(Duration::ZERO, slot, packet, header);
    }

    /// The same, at the end of a turn that lasts so long.
    pub fn write_late(
        &mut self,
        late: Duration,
        slot: u16,
        packet: &Packet,
        header: sanderling_rtc::Header,
    ) {
        let mut batch = Batch(Vec::new(), late);
        self.session
            .write(self.now, slot, packet, header, &mut batch)
            .unwrap();
        for datagram in batch.0 {
            self.send(late, datagram);
        }
        self.drain();
    }

    /// Fetch everything that the session wants done.
    pub fn drain(&mut self) {
        let mut buffer = [0; 2048];
        loop {
            match self.session.poll(self.now, &mut buffer) {
                Output::Transmit { path: to, len } => {
                    assert_eq!(to, path());
                    self.send(Duration::ZERO, buffer[..len].to_vec());
                }
                Output::Event(event) => self.events.push(event),
                Output::WakeAt(at, _) => {
                    self.session_wake = at;
                    return;
                }
            }
        }
    }

    fn send(&mut self, late: Duration, datagram: Vec<u8>) {
        let rtp = datagram[0] >> 6 == 2 && !(192..224).contains(&datagram[1]);
        self.media += usize::from(rtp);
        if !rtp || !(self.lose)(self.media) {
            self.flying
                .push_back((self.now + late + DELAY, true, datagram));
        }
    }

    /// Give the client a datagram.
    pub fn receive(&mut self, datagram: &[u8]) {
        let receive = Receive::new(Str0mProtocol::Udp, server(), client(), datagram).unwrap();
        self.rtc
            .handle_input(Input::Receive(self.now, receive))
            .unwrap();
        self.drain_client();
    }

    fn drain_client(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                RtcOutput::Transmit(transmit) => {
                    let datagram = transmit.contents.to_vec();
                    self.sent.push(datagram.clone());
                    self.flying.push_back((self.now + DELAY, false, datagram));
                }
                RtcOutput::Event(event) => match event {
                    str0m::Event::Connected => self.seen.connected = true,
                    str0m::Event::Closed => self.seen.closed = true,
                    str0m::Event::ChannelOpen(id, _) => self.seen.channel = Some(id),
                    str0m::Event::ChannelData(data) => {
                        self.seen.messages.push((data.binary, data.data));
                    }
                    str0m::Event::RtpPacket(packet) => self.seen.received.push(packet),
                    str0m::Event::SenderFeedback(report) => {
                        let info = report.sender_info;
                        self.seen
                            .reports
                            .push((info.rtp_time.numer() as u32, info.ntp_time));
                    }
                    _ => {}
                },
                RtcOutput::Timeout(at) => {
                    self.client_wake = at.max(self.now + Duration::from_micros(10));
                    return;
                }
            }
        }
    }

    /// The client says goodbye.
    pub fn hang_up(&mut self) {
        self.rtc.close().unwrap();
        self.client_wake = self.now;
    }

    /// The client asks for a key frame on a section.
    pub fn ask_for_key_frame(&mut self, mid: Mid, kind: KeyframeRequestKind) {
        let mut direct = self.rtc.direct_api();
        direct
            .stream_rx_by_mid(mid, None)
            .unwrap()
            .request_keyframe(kind);
        self.client_wake = self.now;
    }
}

/// Datagrams in the order they came, which leave so much later than they are written.
pub struct Batch(pub Vec<Vec<u8>>, pub Duration);

impl sanderling_rtc::Batch for Batch {
    fn push(&mut self, _path: Path, datagram: &[u8]) {
        self.0.push(datagram.to_vec());
    }

    fn leaves_at(&self, now: Instant) -> Instant {
        now + self.1
    }
}
