//! A viewer's session made for fan-out: what one forwarded packet costs is a header, a copy and a cipher.
//!
//! ICE-lite, SRTP, RTP and RTCP are here; DTLS is `dimpl`'s and the ciphers are those of `aws-lc-rs`. Payloads that a
//! peer may ask for again lie once in the [`LayerStore`] of their stream, however many viewers it has.

mod agreement;
pub(crate) mod data;
pub(crate) mod dtls;
mod estimate;
mod feedback;
mod flight;
pub(crate) mod fuzz;
mod hello;
mod ice;
mod own_offer;
mod repair;
mod rtcp;
mod rtp;
mod secure;
mod signing;
mod slot;
pub(crate) mod srtp;
pub(crate) mod stun;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sanderling_media::demux::{self, Class};
use sanderling_media::{Kind, LayerStore, Packet, Path};

use crate::config::Config;
use crate::sdp::{Rejected, Sender};
use crate::session::{
    Accepted, Allowance, Batch, Event, Header, IceCredentials, MAX_DATAGRAM, Output, Session,
    Statistics, WakeReason, WriteError,
};
use crate::track::TrackInfo;
use agreement::Agreement;
use data::Channels;
use dtls::Association;
use estimate::Estimate;
use hello::Opening;
use ice::Ice;
use slot::{Moment, Outlet};
use srtp::{Inbound, Outbound};

/// Round trip that is assumed until one is measured: repairs are not repeated within it.
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(20);

/// Sections of one slot by kind.
type Slot = [Option<Box<Outlet>>; 2];

/// A viewer: streams go out on its slots, nothing comes in but feedback.
pub struct EgressViewer {
    opened: Instant,
    ice: Ice,
    keys: Option<Box<(Outbound, Inbound)>>,
    slots: Vec<Slot>,
    /// Present when the peer gives transport-wide feedback or may send its own estimate.
    estimate: Option<Box<Estimate>>,
    association: Option<Box<Association>>,
    /// Present from the first message on, when the answer agreed to data channels.
    channels: Option<Box<Channels>>,
    /// What came of the handshake before it could begin.
    opening: Option<Box<Opening>>,
    connected: bool,
    /// Our own offer is out; nobody is the peer until it is answered.
    awaits_answer: bool,
    over: bool,
    /// Nothing but writes that leave nothing to poll has happened since the last drain.
    drained: bool,
    events: VecDeque<Event>,
    /// Slot and sequence number of packets to send again.
    repairs: VecDeque<(u16, u64)>,
    /// When the next sender reports are due, and the outlet they go on from.
    report_at: Option<Instant>,
    report_from: usize,
    round_trip: Option<Duration>,
    least_round_trip: Option<Duration>,
    agreement: Box<Agreement>,
}

#[inline]
pub(super) fn index(kind: Kind) -> usize {
    match kind {
        Kind::Audio => 0,
        Kind::Video => 1,
    }
}

impl EgressViewer {
    /// Answer an offer. Returns the session and the answer.
    pub fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected> {
        let (agreement, credentials) = Agreement::new(offer, config)?;
        let mut session = Self::new(now, agreement, credentials);
        session.agreement.grow(&mut session.slots);
        session.count_transport();
        let answer = session.describe("passive");
        session.agreement.trim();
        Ok((session, answer))
    }

    fn new(now: Instant, agreement: Agreement, credentials: IceCredentials) -> Self {
        Self {
            opened: now,
            ice: Ice::new(credentials, &agreement.negotiated.remote.fragment),
            keys: None,
            slots: Vec::new(),
            estimate: None,
            association: None,
            channels: None,
            opening: None,
            connected: false,
            awaits_answer: false,
            over: false,
            drained: false,
            events: VecDeque::new(),
            repairs: VecDeque::new(),
            report_at: None,
            report_from: 0,
            round_trip: None,
            least_round_trip: None,
            agreement: Box::new(agreement),
        }
    }

    fn describe(&self, setup: &'static str) -> String {
        let ice = self.ice.credentials();
        self.agreement.describe(setup, ice, |section| {
            let (slot, outlet) = self.outlets().find(|(_, o)| o.section == section)?;
            Some(Sender {
                slot,
                ssrc: outlet.ssrc,
                repair: outlet.repair_ssrc,
            })
        })
    }

    /// Number packets across streams once a section agrees to it.
    fn count_transport(&mut self) {
        if self.estimate.is_none() && self.outlets().any(|(_, o)| o.counts_transport()) {
            self.estimate = Some(Box::default());
        }
    }

    /// Outlets with their slots.
    fn outlets(&self) -> impl Iterator<Item = (u16, &Outlet)> {
        let slots = self.slots.iter().zip(0_u16..);
        slots.flat_map(|(slot, number)| slot.iter().flatten().map(move |o| (number, &**o)))
    }

    fn outlet(&self, slot: u16, kind: Kind) -> Option<&Outlet> {
        self.slots.get(usize::from(slot))?[index(kind)].as_deref()
    }

    fn outlet_mut(&mut self, slot: u16, kind: Kind) -> Option<&mut Outlet> {
        self.slots.get_mut(usize::from(slot))?[index(kind)].as_deref_mut()
    }

    /// Nothing comes out of the session any more.
    fn end(&mut self, event: Event) {
        self.stop();
        self.events.push_back(event);
    }

    fn stop(&mut self) {
        self.over = true;
        self.association = None;
        self.opening = None;
        self.channels = None;
        self.keys = None;
        self.repairs = VecDeque::new();
    }

    fn poll_repair(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Output> {
        while let Some((slot, sequence)) = self.repairs.pop_front() {
            let Some(path) = self.ice.path(now) else {
                continue;
            };
            let moment = Moment::new(self.opened, now);
            let transport = self.estimate.as_ref().map_or(0, |estimate| estimate.next());
            let outlet = self.slots.get_mut(usize::from(slot))?[index(Kind::Video)].as_deref_mut();
            let (Some(outlet), Some(keys)) = (outlet, &self.keys) else {
                continue;
            };
            if let Some(len) = outlet.repair(buffer, sequence, now, moment, transport, &keys.0) {
                if let (Some(estimate), true) = (&mut self.estimate, outlet.counts_transport()) {
                    estimate.departed(moment.ms, moment.send_time, len);
                }
                return Some(Output::Transmit { path, len });
            }
        }
        None
    }
}

impl Session for EgressViewer {
    fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Accepted {
        self.drained = false;
        match demux::classify(datagram).filter(|_| !self.over && !self.awaits_answer) {
            Some(Class::Stun) => self.ice.handle(now, path, datagram),
            Some(Class::Dtls) => self.handle_handshake(now, path, datagram),
            Some(Class::Rtcp) if self.ice.knows(&path) => self.handle_rtcp(now, datagram),
            // A viewer sends no media.
            _ => Accepted::No,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.drained = false;
        if let Some(association) = &mut self.association {
            association.handle_timeout(now);
        }
        if let Some(channels) = &mut self.channels {
            channels.handle_timeout(now);
        }
    }

    fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Output {
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if self.over {
            self.drained = true;
            return Output::WakeAt(None, WakeReason::Idle);
        }
        if let Some((path, len)) = self.ice.answer(buffer) {
            return Output::Transmit { path, len };
        }
        let secure = loop {
            let handshake = match self.poll_handshake(now, buffer) {
                Ok(output) => return output,
                Err(at) => at,
            };
            if self.channels.is_none() {
                break handshake;
            }
            match self.poll_channels(now) {
                Ok(Some(event)) => return Output::Event(event),
                // Something to send: the secure channel has it next.
                Ok(None) => {}
                Err(at) => break [handshake, at].into_iter().flatten().min(),
            }
        };
        if let Some(output) = self.poll_repair(now, buffer) {
            return output;
        }
        if let Some(output) = self.poll_report(now, buffer) {
            return output;
        }
        self.drained = true;
        match (secure, self.report_at) {
            (None, None) => Output::WakeAt(None, WakeReason::Idle),
            (Some(at), report) if report.is_none_or(|report| at < report) => {
                Output::WakeAt(Some(at), WakeReason::Dtls)
            }
            (_, report) => Output::WakeAt(report, WakeReason::Feedback),
        }
    }

    fn renegotiate(&mut self, _now: Instant, offer: &str) -> Result<String, Rejected> {
        self.drained = false;
        if self.awaits_answer {
            return Err(Rejected::whole(
                "the server's own offer is not answered yet",
            ));
        }
        if let Some(credentials) = self.agreement.renegotiate(offer)? {
            let remote = &self.agreement.negotiated.remote.fragment;
            self.ice.restart(credentials, remote);
        }
        self.agreement.grow(&mut self.slots);
        self.count_transport();
        let answer = self.describe("passive");
        self.agreement.trim();
        Ok(answer)
    }

    fn fragment(&self) -> &str {
        &self.ice.credentials().fragment
    }

    fn tracks(&self) -> &[TrackInfo] {
        &[]
    }

    fn slots(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    fn slot_mid(&self, slot: u16, kind: Kind) -> Option<&str> {
        let outlet = self.outlet(slot, kind).filter(|outlet| outlet.active)?;
        Some(&outlet.name)
    }

    fn slot_codecs(&self, slot: u16, kind: Kind) -> String {
        self.outlet(slot, kind)
            .map_or_else(String::new, Outlet::codecs)
    }

    fn bind(&mut self, slot: u16, track: &TrackInfo) -> bool {
        self.outlet_mut(slot, track.kind)
            .filter(|outlet| outlet.active)
            .is_some_and(|outlet| outlet.bind(track))
    }

    fn repair_from(&mut self, slot: u16, kind: Kind, store: &LayerStore) {
        if let Some(outlet) = self.outlet_mut(slot, kind) {
            outlet.repair_from(store);
        }
    }

    fn unbind(&mut self, slot: u16) {
        if let Some(outlets) = self.slots.get_mut(usize::from(slot)) {
            outlets.iter_mut().flatten().for_each(|o| o.unbind());
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
        let (Some(keys), true) = (&self.keys, self.connected) else {
            return Err(WriteError::NotConnected);
        };
        let path = self.ice.path(now).ok_or(WriteError::NotConnected)?;
        let outlet = self
            .slots
            .get_mut(usize::from(slot))
            .and_then(|outlets| outlets[index(packet.kind)].as_deref_mut())
            .filter(|outlet| outlet.is_bound())
            .ok_or(WriteError::NotBound)?;
        let limit = Outlet::limit(packet);
        if limit > MAX_DATAGRAM {
            return Err(WriteError::TooLarge);
        }
        if !outlet.take(header.sequence) {
            return Err(WriteError::Repeated);
        }
        let moment = Moment::new(self.opened, batch.leaves_at(now));
        let transport = self.estimate.as_ref().map_or(0, |estimate| estimate.next());
        let starts = !outlet.flows();
        let mut sent = 0;
        batch.put(path, limit, |room| {
            let sealed = outlet.seal(room, packet, &header, moment, transport, &keys.0);
            sent = sealed.unwrap_or(0);
            sent
        });
        if sent == 0 {
            return Err(WriteError::TooLarge);
        }
        if let (Some(estimate), true) = (&mut self.estimate, outlet.counts_transport()) {
            estimate.departed(moment.ms, moment.send_time, sent);
        }
        if starts {
            self.drained = false;
            self.report_soon(now);
        }
        Ok(())
    }

    fn warm(&self, slot: u16, kind: Kind) {
        let outlet = self.outlet(slot, kind).map(Outlet::warm);
        let keys = self.keys.as_ref().map(|keys| keys.0.warm());
        let estimate = self.estimate.as_ref().map(|estimate| estimate.warm());
        std::hint::black_box((outlet, keys, estimate));
    }

    fn is_drained(&self) -> bool {
        self.drained
    }

    fn request_key_frame(&mut self, _now: Instant, _track: usize, _layer: u8) -> bool {
        false
    }

    fn send_data(&mut self, now: Instant, channel: u16, binary: bool, message: &[u8]) -> bool {
        match &mut self.channels {
            Some(channels) => channels.send(now, channel, binary, message),
            None => false,
        }
    }

    fn allowance(&self, now: Instant) -> Option<Allowance> {
        let ms = Moment::new(self.opened, now).ms;
        self.estimate.as_ref()?.allowance(ms)
    }

    fn protection(&self) -> Option<&'static str> {
        self.keys.as_ref().map(|keys| keys.0.profile())
    }

    fn statistics(&self) -> Statistics {
        let mut total = Statistics {
            rtt_ms: self.round_trip.map(|time| time.as_secs_f64() * 1_000.0),
            delivered_bps: self.estimate.as_ref().and_then(|e| e.delivered()),
            estimate_bps: self.estimate.as_ref().and_then(|e| e.bits_per_second()),
            ..Statistics::default()
        };
        for (_, outlet) in self.outlets() {
            total.packets += outlet.packets + outlet.repaired;
            total.bytes += outlet.bytes + outlet.repaired_bytes;
            total.nacks += outlet.nacks;
            total.key_frame_requests += outlet.key_frame_requests;
            total.retransmitted += outlet.repaired;
            total.loss = total.loss.max(outlet.loss);
        }
        let measured = self.estimate.as_ref().and_then(|e| e.loss());
        total.loss = total.loss.max(measured.unwrap_or(0.0));
        total
    }

    fn close<B: Batch>(&mut self, now: Instant, batch: &mut B) {
        if let Some(path) = self.ice.path(now).filter(|_| !self.over) {
            let mut buffer = [0; MAX_DATAGRAM];
            if let Some(length) = self.goodbye(&mut buffer) {
                batch.push(path, &buffer[..length]);
            }
            let association = self.association.as_mut();
            if let Some(length) = association.and_then(|a| a.close(&mut buffer)) {
                batch.push(path, &buffer[..length]);
            }
        }
        self.stop();
        self.events.clear();
    }
}
