//! A viewer's session on str0m: slots that streams are bound to.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sanderling_media::{Codec, DependencyDescriptor, Kind, Packet, Path};
use str0m::media::{MediaTime, Mid};
use str0m::rtp::{
    AbsCaptureTime, ExtensionValues, RtpWrite, SeqNo, UserExtensionValues, VideoOrientation,
    Vp8Descriptor,
};

use crate::config::Config;
use crate::peer::{Peer, Step, mid};
use crate::sdp::{AgreedCodec, Rejected, Role, SectionState, Sender};
use crate::session::{
    Accepted, Batch, Event, Header, Output, Session, Statistics, WakeReason, WriteError,
};
use crate::track::TrackInfo;

/// Sent packets that are kept for repair: 2 s at 8 Mb/s.
const REPAIR_PACKETS: usize = 2048;
/// Age at which a packet comes too late to be of use.
const REPAIR_AGE: Duration = Duration::from_secs(3);

/// A viewer: streams go out on its slots, nothing comes in but feedback.
pub struct Str0mViewer {
    peer: Peer,
    slots: Vec<[Option<Outlet>; 2]>,
    pending: VecDeque<Event>,
    failed: bool,
}

/// One media section of a slot.
struct Outlet {
    section: usize,
    name: String,
    mid: Mid,
    ssrc: u32,
    repair: Option<u32>,
    codecs: Vec<AgreedCodec>,
    active: bool,
    /// Payload type in use and whether its packets can be repaired.
    bound: Option<(u8, bool)>,
    /// The engine reports on a stream from its declaration on, so it is declared with its first packet.
    declared: bool,
    written: u64,
    sent: u64,
    bytes: u64,
    nacks: u64,
    key_frame_requests: u64,
    loss: f64,
    rtt_ms: Option<f64>,
}

fn index(kind: Kind) -> usize {
    match kind {
        Kind::Audio => 0,
        Kind::Video => 1,
    }
}

impl Str0mViewer {
    /// Answer an offer. Returns the session and the answer.
    pub fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected> {
        let peer = Peer::new(now, Role::Viewer, offer, config)?;
        let mut session = Self {
            peer,
            slots: Vec::new(),
            pending: VecDeque::new(),
            failed: false,
        };
        session.add_outlets();
        let answer = session.answer();
        Ok((session, answer))
    }

    /// Offer a stream: this engine only answers.
    pub fn offer(_: Instant, _: &[TrackInfo], _: Config) -> Result<(Self, String), Rejected> {
        Err(Rejected::whole("this engine makes no offers"))
    }

    /// Take the answer to an own offer: this engine makes none, so its sessions have none to answer.
    pub fn accept(&mut self, _answer: &str) -> Result<(), Rejected> {
        Err(Rejected::whole(
            "the session has no offer that waits for an answer",
        ))
    }

    /// Give each new section its place: slot `i` holds the `i`-th audio and the `i`-th video section.
    fn add_outlets(&mut self) {
        for kind in [Kind::Audio, Kind::Video] {
            let mut slot = 0;
            for (section, agreed) in self.peer.negotiated.sections.iter().enumerate() {
                if agreed.kind != Some(kind) || agreed.state == SectionState::Rejected {
                    // A section that was accepted once keeps its slot, else the later ones would move.
                    let held = self
                        .slots
                        .iter()
                        .flatten()
                        .flatten()
                        .any(|outlet| outlet.section == section);
                    slot += usize::from(held && agreed.kind == Some(kind));
                    continue;
                }
                if slot == self.slots.len() {
                    self.slots.push([None, None]);
                }
                let place = &mut self.slots[slot][index(kind)];
                slot += 1;
                let active = agreed.state == SectionState::Active;
                match place {
                    Some(outlet) => outlet.active = active,
                    None => {
                        let repairable = agreed
                            .codecs
                            .iter()
                            .any(|codec| codec.repair_payload_type.is_some());
                        *place = Some(Outlet {
                            section,
                            name: agreed.mid.as_ref().to_owned(),
                            mid: mid(&agreed.mid),
                            ssrc: self.peer.random.ssrc(),
                            repair: repairable.then(|| self.peer.random.ssrc()),
                            codecs: agreed.codecs.to_vec(),
                            active,
                            bound: None,
                            declared: false,
                            written: 0,
                            sent: 0,
                            bytes: 0,
                            nacks: 0,
                            key_frame_requests: 0,
                            loss: 0.0,
                            rtt_ms: None,
                        });
                    }
                }
            }
        }
        for outlet in self.slots.iter_mut().flatten().flatten() {
            if self.peer.negotiated.sections[outlet.section].state == SectionState::Rejected {
                outlet.active = false;
            }
        }
    }

    fn answer(&self) -> String {
        self.peer.answer(|section| {
            let slots = self.slots.iter().enumerate();
            let mut outlets = slots.flat_map(|(slot, outlets)| {
                outlets.iter().flatten().map(move |outlet| (slot, outlet))
            });
            let (slot, outlet) = outlets.find(|(_, outlet)| outlet.section == section)?;
            Some(Sender {
                slot: u16::try_from(slot).ok()?,
                ssrc: outlet.ssrc,
                repair: outlet.repair,
            })
        })
    }

    fn outlet(&self, slot: u16, kind: Kind) -> Option<&Outlet> {
        self.slots.get(usize::from(slot))?[index(kind)].as_ref()
    }

    fn slot_of(&self, section: Mid) -> Option<u16> {
        let holds =
            |slot: &[Option<Outlet>; 2]| slot.iter().flatten().any(|outlet| outlet.mid == section);
        u16::try_from(self.slots.iter().position(holds)?).ok()
    }

    fn event(&mut self, event: str0m::Event) -> Option<Event> {
        match event {
            str0m::Event::Connected => {
                self.peer.connected = true;
                Some(Event::Connected)
            }
            str0m::Event::Closed => Some(Event::PeerClosed),
            str0m::Event::KeyframeRequest(request) => Some(Event::KeyFrameNeeded {
                slot: self.slot_of(request.mid)?,
            }),
            str0m::Event::MediaEgressStats(stats) => {
                let mut outlets = self.slots.iter_mut().flatten().flatten();
                let outlet = outlets.find(|outlet| outlet.mid == stats.mid)?;
                outlet.sent = stats.packets;
                outlet.bytes = stats.bytes;
                outlet.nacks = stats.nacks;
                outlet.key_frame_requests = stats.plis + stats.firs;
                outlet.loss = stats.loss.map_or(0.0, f64::from);
                outlet.rtt_ms = stats.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0);
                None
            }
            _ => None,
        }
    }
}

/// Values of header extensions in the engine's form. What a peer did not negotiate is left out on the wire.
fn extension_values(packet: &Packet, header: &Header) -> ExtensionValues {
    let from = &packet.extensions;
    let orientation = from.orientation.map(|quarter_turns| match quarter_turns {
        1 => VideoOrientation::Deg90,
        2 => VideoOrientation::Deg180,
        3 => VideoOrientation::Deg270,
        _ => VideoOrientation::Deg0,
    });
    let mut user_values = UserExtensionValues::default();
    if let Some(descriptor) = &from.dependency {
        let number = header.picture.and_then(|picture| picture.number);
        let mut bytes = vec![0; descriptor.as_bytes().len()];
        descriptor.write(number, &mut bytes);
        if let Some(descriptor) = DependencyDescriptor::new(&bytes) {
            user_values.set(descriptor);
        }
    }
    ExtensionValues {
        user_values,
        audio_level: from.audio_level.map(|level| level.dbov),
        voice_activity: from.audio_level.map(|level| level.voice),
        video_orientation: orientation,
        video_content_type: from.content_type,
        play_delay_min: header
            .playout_delay
            .map(|delay| MediaTime::from_hundredths(delay.min.into())),
        play_delay_max: header
            .playout_delay
            .map(|delay| MediaTime::from_hundredths(delay.max.into())),
        abs_capture_time: from.capture_unix_ns.map(|unix_ns| AbsCaptureTime {
            capture_time: std::time::SystemTime::UNIX_EPOCH + Duration::from_nanos(unix_ns),
            // The time is the node's, as are the sender reports: nothing is left to add.
            clock_offset: None,
        }),
        ..ExtensionValues::default()
    }
}

impl Session for Str0mViewer {
    fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Accepted {
        self.peer.handle_datagram(now, path, datagram)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
    }

    fn poll(&mut self, _now: Instant, buffer: &mut [u8]) -> Output {
        if let Some(event) = self.pending.pop_front() {
            return Output::Event(event);
        }
        loop {
            match self.peer.poll(buffer) {
                Step::Transmit(path, len) => return Output::Transmit { path, len },
                Step::Event(event) => {
                    if let Some(event) = self.event(event) {
                        return Output::Event(event);
                    }
                }
                Step::Failed if !self.failed => {
                    self.failed = true;
                    return Output::Event(if self.peer.connected {
                        Event::PeerClosed
                    } else {
                        Event::HandshakeFailed
                    });
                }
                Step::Failed => return Output::WakeAt(None, WakeReason::Idle),
                Step::Wake(at, reason) => return Output::WakeAt(at, reason),
            }
        }
    }

    fn renegotiate(&mut self, _now: Instant, offer: &str) -> Result<String, Rejected> {
        self.peer.renegotiate(offer)?;
        self.add_outlets();
        Ok(self.answer())
    }

    fn fragment(&self) -> &str {
        self.peer.fragment()
    }

    fn tracks(&self) -> &[TrackInfo] {
        &[]
    }

    fn slots(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    fn slot_mid(&self, slot: u16, kind: Kind) -> Option<&str> {
        self.outlet(slot, kind)
            .filter(|outlet| outlet.active)
            .map(|outlet| outlet.name.as_str())
    }

    fn slot_codecs(&self, slot: u16, kind: Kind) -> String {
        let Some(outlet) = self.outlet(slot, kind) else {
            return String::new();
        };
        let mut names: Vec<String> = Vec::new();
        for codec in &outlet.codecs {
            let name = TrackInfo {
                kind,
                codec: codec.codec,
                profile: codec.profile,
                mid: String::new(),
                layers: 1,
            }
            .codec_text();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.join(", ")
    }

    fn bind(&mut self, slot: u16, track: &TrackInfo) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(slot)) else {
            return false;
        };
        let Some(outlet) = slot[index(track.kind)]
            .as_mut()
            .filter(|outlet| outlet.active)
        else {
            return false;
        };
        let fits = |codec: &&AgreedCodec| {
            codec.codec == track.codec && codec.profile.decodes(track.profile)
        };
        // The very profile first: a receiver may set its decoder up by it.
        let exact = outlet
            .codecs
            .iter()
            .filter(fits)
            .find(|codec| codec.profile == track.profile);
        let Some(codec) = exact.or_else(|| outlet.codecs.iter().find(fits)) else {
            return false;
        };
        outlet.bound = Some((codec.payload_type, codec.repair_payload_type.is_some()));
        true
    }

    fn unbind(&mut self, slot: u16) {
        let Some(outlets) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        for outlet in outlets.iter_mut().flatten() {
            outlet.bound = None;
            if outlet.declared
                && let Some(stream) = self.peer.rtc.direct_api().stream_tx(&outlet.ssrc.into())
            {
                // Forget what was sent: a stream that ended is not repaired any more either.
                stream.set_rtx_cache(REPAIR_PACKETS, REPAIR_AGE, None);
            }
        }
    }

    fn write<B: Batch>(
        &mut self,
        now: Instant,
        slot: u16,
        packet: &Packet,
        header: Header,
        batch: &mut B,
    ) -> Result<(), WriteError> {
        if !self.peer.connected {
            return Err(WriteError::NotConnected);
        }
        let outlets = self
            .slots
            .get_mut(usize::from(slot))
            .ok_or(WriteError::NotBound)?;
        let outlet = outlets[index(packet.kind)]
            .as_mut()
            .ok_or(WriteError::NotBound)?;
        let (payload_type, repairable) = outlet.bound.ok_or(WriteError::NotBound)?;
        let mut direct = self.peer.rtc.direct_api();
        if !outlet.declared {
            let stream = direct.declare_stream_tx(
                outlet.ssrc.into(),
                outlet.repair.map(Into::into),
                outlet.mid,
                None,
            );
            // No cap on the share of repairs: under heavy loss that is when they are needed.
            stream.set_rtx_cache(REPAIR_PACKETS, REPAIR_AGE, None);
            outlet.declared = true;
        }
        let stream = direct
            .stream_tx(&outlet.ssrc.into())
            .ok_or(WriteError::NotBound)?;
        let mut payload = packet.payload.clone();
        if let (Some(picture), Codec::Vp9) = (header.picture, packet.codec) {
            let mut own = payload.to_vec();
            picture.write(packet.codec, &mut own);
            payload = own.into();
        }
        let mut write = RtpWrite::new(
            payload_type.into(),
            SeqNo::from(header.sequence),
            header.timestamp,
            packet.captured.min(now),
            payload,
        )
        .marker(packet.marker)
        .nackable(repairable)
        .ext_vals(extension_values(packet, &header));
        if let (Some(picture), Codec::Vp8) = (header.picture, packet.codec)
            && let Ok(descriptor) = Vp8Descriptor::parse(&packet.payload)
        {
            let mut patch = descriptor.patch();
            if let (Some(number), true) = (picture.number, descriptor.picture_id().is_some()) {
                patch = patch.picture_id(number & picture.mask());
            }
            if let (Some(number), true) = (picture.tl0_index, descriptor.tl0_pic_idx().is_some()) {
                patch = patch.tl0_pic_idx(number);
            }
            if let Ok(patch) = patch.build() {
                write = write.vp8_patch(patch);
            }
        }
        stream.write_rtp(write);
        outlet.written += 1;
        // The engine sends what was written when time passes.
        self.peer.handle_timeout(now);
        let mut events = Vec::new();
        if !self.peer.drain(batch, |event| events.push(event)) && !self.failed {
            self.failed = true;
            self.pending.push_back(Event::PeerClosed);
        }
        for event in events {
            let event = self.event(event);
            self.pending.extend(event);
        }
        Ok(())
    }

    fn request_key_frame(&mut self, _now: Instant, _track: usize, _layer: u8) -> bool {
        false
    }

    fn statistics(&self) -> Statistics {
        let mut total = Statistics::default();
        for outlet in self.slots.iter().flatten().flatten() {
            // The engine's figures are up to a second old; ours say what was written by now.
            let retransmitted = outlet.sent.saturating_sub(outlet.written);
            total.packets += outlet.written + retransmitted;
            total.bytes += outlet.bytes;
            total.nacks += outlet.nacks;
            total.key_frame_requests += outlet.key_frame_requests;
            total.retransmitted += retransmitted;
            total.loss = total.loss.max(outlet.loss);
            total.rtt_ms = total.rtt_ms.or(outlet.rtt_ms);
        }
        total
    }

    fn close<B: Batch>(&mut self, now: Instant, batch: &mut B) {
        self.peer.close(now, batch);
    }
}
