//! A viewer: receives, and says what a browser would say about what it receives.

mod feedback;
mod report;

use std::time::{Duration, Instant};

use sanderling_media::demux::{self, Class};
use sanderling_media::{Codec, Kind};
use sanderling_rtc::client::{ClientTransport, Output, Remote};

use crate::arrivals::Arrivals;
use crate::exit::{Clock, Exit};
use crate::frames::Frame;
use crate::receive::{Came, Counts};
use crate::rtcp::{self, Said};
use crate::rtp::{self, Header};
use crate::sdp::{Description, TRANSPORT_WIDE_CC};
use crate::source::Source;

pub use report::{StreamReport, Totals, ViewerReport};

/// Time between two transport-wide feedbacks: libwebrtc's default at these rates.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);
/// Time between two receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Round trip that is assumed until ICE has measured one.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(50);
/// Sources of one viewer; a server that invents more is not followed.
const SOURCE_LIMIT: usize = 256;

/// What a payload type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Media { codec: Codec, asks: bool },
    Repair { of: u8 },
}

/// A source of repairs.
#[derive(Debug, Clone, Copy)]
struct Repair {
    ssrc: u32,
    highest: u64,
}

/// How a viewer receives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Whether every packet is opened and checked.
    pub checks: bool,
    /// Packets of 65 536 that are thrown away on arrival.
    pub drops: u32,
    /// Seed of that choice.
    pub seed: u64,
    pub clock: Clock,
}

/// One viewer.
pub(crate) struct Viewer {
    pub transport: ClientTransport,
    habits: Habits,
    /// Our source in RTCP.
    ssrc: u32,
    opened: Instant,
    connected: Option<Instant>,
    ended: Option<&'static str>,
    formats: Vec<(u8, Format)>,
    groups: Vec<(u32, u32)>,
    transport_id: u8,
    /// Whether RTCP may leave its compound form.
    reduced: bool,
    sources: Vec<Source>,
    repairs: Vec<Repair>,
    arrivals: Arrivals,
    transport_at: Option<Instant>,
    feedback_at: Option<Instant>,
    report_at: Option<Instant>,
    report_from: usize,
    asks: Vec<u64>,
    totals: Totals,
    chance: u64,
}

impl Viewer {
    pub(crate) fn new(now: Instant, transport: ClientTransport, ssrc: u32, habits: Habits) -> Self {
        Self {
            transport,
            habits,
            ssrc,
            opened: now,
            connected: None,
            ended: None,
            formats: Vec::new(),
            groups: Vec::new(),
            transport_id: 0,
            reduced: true,
            sources: Vec::new(),
            repairs: Vec::new(),
            arrivals: Arrivals::new(habits.clock.epoch),
            transport_at: None,
            feedback_at: None,
            report_at: None,
            report_from: 0,
            asks: Vec::new(),
            totals: Totals::default(),
            chance: habits.seed | 1,
        }
    }

    /// Take the server's description, and begin to connect.
    pub(crate) fn begin(&mut self, now: Instant, description: &Description, remote: &Remote) {
        self.describe(description);
        self.transport.begin(now, remote);
        self.transport_at = Some(now);
    }

    fn describe(&mut self, description: &Description) {
        for section in description
            .sections
            .iter()
            .filter(|section| !section.rejected)
        {
            for format in &section.payload_types {
                let asks = format.feedback.iter().any(|value| value == "nack");
                let known = match (format.codec(), format.repairs()) {
                    (Some(codec), _) => Format::Media { codec, asks },
                    (None, Some(of)) => Format::Repair { of },
                    _ => continue,
                };
                if !self
                    .formats
                    .iter()
                    .any(|(number, _)| *number == format.number)
                {
                    self.formats.push((format.number, known));
                }
            }
            self.groups.extend(&section.groups);
            self.reduced &= section.reduced;
            if self.transport_id == 0 {
                self.transport_id = section.extension(TRANSPORT_WIDE_CC);
            }
        }
    }

    /// Take in a datagram that the system received at `arrival`: a generator that comes late to its sockets is no delay
    /// of the path. `scratch` is room to open it in. What ends the handshake is acted upon at once: the first media is
    /// often in the same reading.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        arrival: Instant,
        from: std::net::SocketAddr,
        datagram: &[u8],
        scratch: &mut Vec<u8>,
        exit: &mut Exit<'_>,
    ) {
        match demux::classify(datagram) {
            Some(Class::Rtp) => self.receive_rtp(now, arrival, datagram, scratch),
            Some(Class::Rtcp) => self.receive_rtcp(now, datagram, scratch),
            Some(Class::Stun | Class::Dtls) => {
                self.transport.handle(now, from, datagram);
                self.transport_at = Some(now);
                if self.connected.is_none() {
                    self.poll_transport(now, exit);
                }
            }
            None => {}
        }
    }

    fn receive_rtp(
        &mut self,
        now: Instant,
        arrival: Instant,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) {
        let Some(header) = rtp::read(packet, self.transport_id) else {
            return;
        };
        if self.connected.is_none() || self.drops() {
            return;
        }
        let mut formats = self.formats.iter();
        let Some((_, format)) = formats.find(|(number, _)| *number == header.payload_type) else {
            return;
        };
        self.totals.bytes += packet.len() as u64;
        if let Some(number) = header.transport {
            self.arrivals.record(arrival, number);
            self.feedback_at.get_or_insert(now + FEEDBACK_INTERVAL);
        }
        match *format {
            Format::Media { codec, asks } => {
                self.media(now, arrival, &header, codec, asks, packet, scratch)
            }
            Format::Repair { of } => self.repair(now, arrival, &header, of, packet, scratch),
        }
    }

    fn drops(&mut self) -> bool {
        if self.habits.drops == 0 {
            return false;
        }
        // xorshift64: only has to be even, and the same for the same seed.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let drops = (self.chance >> 24) as u32 & 0xffff < self.habits.drops;
        self.totals.dropped += u64::from(drops);
        drops
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one packet and what is known of it"
    )]
    fn media(
        &mut self,
        now: Instant,
        arrival: Instant,
        header: &Header,
        codec: Codec,
        asks: bool,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) {
        let arrival_ns = self.habits.clock.ns(arrival);
        let found = self
            .sources
            .iter()
            .position(|source| source.ssrc == header.ssrc);
        let index = match found {
            Some(index) => index,
            None if self.sources.len() < SOURCE_LIMIT => {
                let source = Source::new(
                    now,
                    header.ssrc,
                    codec,
                    asks,
                    self.habits.checks,
                    arrival_ns,
                );
                self.sources.push(source);
                self.sources.len() - 1
            }
            None => return,
        };
        let source = &mut self.sources[index];
        (source.codec, source.asks) = (codec, asks);
        let Some(sequence) = source.reception.extend(header.sequence) else {
            return;
        };
        if source.reception.came(now, sequence) == Came::Again {
            return;
        }
        let since = arrival.saturating_duration_since(self.habits.clock.epoch);
        source.reception.transit(since, header.timestamp);
        if !source.is_watched() {
            return;
        }
        scratch.clear();
        scratch.extend_from_slice(packet);
        let opened = self
            .transport
            .open_rtp(scratch, header.length, header.ssrc, sequence);
        let payload = opened.and_then(|payload| rtp::without_padding(payload, header.padding));
        match payload {
            Some(payload) => {
                source.watch(
                    sequence,
                    header.timestamp,
                    header.marker,
                    payload,
                    arrival_ns,
                );
            }
            None => source.corrupted += 1,
        }
    }

    /// A repair (RFC 4588): the number of the packet, and its payload.
    fn repair(
        &mut self,
        now: Instant,
        arrival: Instant,
        header: &Header,
        of: u8,
        packet: &[u8],
        scratch: &mut Vec<u8>,
    ) {
        let known = self
            .repairs
            .iter()
            .position(|repair| repair.ssrc == header.ssrc);
        let highest = known.map(|index| self.repairs[index].highest);
        let Some(sequence) = rtp::extend(highest, header.sequence) else {
            return;
        };
        let group = self
            .groups
            .iter()
            .find(|(_, repair)| *repair == header.ssrc);
        let formats = &self.formats;
        let codec = formats.iter().find_map(|(number, format)| match format {
            Format::Media { codec, .. } if *number == of => Some(*codec),
            _ => None,
        });
        // Without a group the source is the only one of its codec.
        let mut alike = self
            .sources
            .iter()
            .enumerate()
            .filter(|(_, source)| match group {
                Some((media, _)) => source.ssrc == *media,
                None => Some(source.codec) == codec,
            });
        let (Some((index, _)), None) = (alike.next(), alike.next()) else {
            return;
        };
        scratch.clear();
        scratch.extend_from_slice(packet);
        let opened = self
            .transport
            .open_rtp(scratch, header.length, header.ssrc, sequence);
        let source = &mut self.sources[index];
        let Some(payload) = opened else {
            source.corrupted += 1;
            return;
        };
        match known {
            Some(index) => {
                let repair = &mut self.repairs[index];
                repair.highest = repair.highest.max(sequence);
            }
            None if self.repairs.len() < SOURCE_LIMIT => self.repairs.push(Repair {
                ssrc: header.ssrc,
                highest: sequence,
            }),
            None => return,
        }
        // What is all padding probes the path.
        let Some([high, low, payload @ ..]) = rtp::without_padding(payload, header.padding) else {
            return;
        };
        let Some(original) = source.reception.extend(u16::from_be_bytes([*high, *low])) else {
            return;
        };
        if source.reception.repaired(now, original) != Came::Again && source.is_watched() {
            let arrival_ns = self.habits.clock.ns(arrival);
            source.watch(
                original,
                header.timestamp,
                header.marker,
                payload,
                arrival_ns,
            );
        }
    }

    fn receive_rtcp(&mut self, now: Instant, packet: &[u8], scratch: &mut Vec<u8>) {
        scratch.clear();
        scratch.extend_from_slice(packet);
        let Some(opened) = self.transport.open_rtcp(scratch) else {
            return;
        };
        let sources = &mut self.sources;
        rtcp::read(opened, |said| {
            if let Said::SenderReport { ssrc, ntp } = said
                && let Some(source) = sources.iter_mut().find(|source| source.ssrc == ssrc)
            {
                source.reception.sender_report(now, ntp);
            }
        });
    }

    /// Do what is due. Returns when something will be.
    pub(crate) fn poll(&mut self, now: Instant, exit: &mut Exit<'_>) -> Option<Instant> {
        // Nearly always nothing is due but to receive.
        if let Some(at) = self.wake_at().filter(|at| *at > now) {
            return Some(at);
        }
        if self.transport_at.is_some_and(|at| at <= now) {
            self.poll_transport(now, exit);
        }
        if let Some(to) = self.transport.path(now) {
            if self.feedback_at.is_some_and(|at| at <= now) {
                self.feedback_at = None;
                self.send_feedback(now, to, exit);
            }
            if self.report_at.is_some_and(|at| at <= now) {
                self.report_at = Some(now + REPORT_INTERVAL);
                self.send_report(now, to, exit);
            }
            self.ask(now, to, exit);
        }
        self.wake_at()
    }

    fn round_trip(&self) -> Duration {
        self.transport.round_trip().unwrap_or(FIRST_ROUND_TRIP)
    }

    fn wake_at(&self) -> Option<Instant> {
        if self.ended.is_some() {
            return None;
        }
        let round_trip = self.round_trip();
        let sources = self
            .sources
            .iter()
            .filter_map(|source| source.wake_at(round_trip));
        let own = [self.transport_at, self.feedback_at, self.report_at];
        own.into_iter().flatten().chain(sources).min()
    }

    fn poll_transport(&mut self, now: Instant, exit: &mut Exit<'_>) {
        loop {
            match self.transport.poll(now, exit.buffer) {
                Output::Transmit { to, len } => exit.send(to, len),
                Output::Connected => {
                    self.connected = Some(now);
                    self.report_at = Some(now + REPORT_INTERVAL);
                }
                Output::Closed => self.ended = Some("the server said goodbye"),
                Output::Failed(why) => self.ended = Some(why),
                Output::WakeAt(at) => {
                    self.transport_at = at;
                    return;
                }
            }
        }
    }

    /// Counts so far.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.totals;
        for source in &self.sources {
            let Counts {
                packets,
                lost,
                repaired,
                repeated,
            } = source.reception.counts;
            totals.packets += packets;
            totals.lost += lost;
            totals.repaired += repaired;
            totals.repeated += repeated;
            totals.missing += source.reception.missing() as u64;
            totals.checked += source.checked;
            totals.corrupted += source.corrupted;
        }
        totals
    }

    /// Whether media may flow.
    pub(crate) fn is_connected(&self) -> bool {
        self.transport.is_connected()
    }

    pub(crate) fn report(&self) -> ViewerReport {
        let clock = self.habits.clock;
        let has_video = self.sources.iter().any(|s| s.codec.kind() == Kind::Video);
        let shown = self
            .sources
            .iter()
            .filter(|source| !has_video || source.codec.kind() == Kind::Video);
        let first = |time: fn(&Source) -> Option<u64>| shown.clone().filter_map(time).min();
        ViewerReport {
            opened_ns: clock.ns(self.opened),
            connected_ns: self.connected.map(|at| clock.ns(at)),
            first_packet_ns: first(|source| Some(source.first_packet_ns)),
            first_key_frame_ns: first(|source| source.first_key_frame_ns),
            second_frame_ns: first(|source| source.second_frame_ns),
            ended: self.ended.map(str::to_owned),
            totals: self.totals(),
            streams: self.sources.iter().map(Source::report).collect(),
        }
    }

    /// Frames of checked viewers that are whole.
    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        self.sources
            .iter_mut()
            .flat_map(Source::take_frames)
            .collect()
    }
}
