//! A publisher's session on str0m.

use std::time::{Duration, Instant, SystemTime};

use sanderling_media::{AudioLevel, Codec, Extensions, Kind, Packet, Path, PlayoutDelay};
use str0m::media::{KeyframeRequestKind, Mid, Rid};
use str0m::rtp::{RtpPacket, Ssrc};

use crate::capture_clock::{CaptureClock, Reference};
use crate::config::Config;
use crate::peer::{Peer, Step, mid, unix_ns};
use crate::sdp::{Rejected, Role, Section};
use crate::session::{Accepted, Batch, Event, Header, Output, Session, Statistics, WriteError};
use crate::track::{Profile, TrackInfo};

/// SSRCs whose track and layer are remembered; a sender has a handful.
const ROUTE_LIMIT: usize = 64;

/// A publisher: its tracks come in, nothing goes out but feedback.
pub struct Str0mPublisher {
    peer: Peer,
    tracks: Vec<TrackInfo>,
    ingests: Vec<Ingest>,
    routes: Vec<(u32, usize, usize)>,
    clock: CaptureClock,
    failed: bool,
}

/// What is known of one track.
struct Ingest {
    mid: Mid,
    codec: Codec,
    payload_type: u8,
    layers: Vec<Layer>,
}

/// What is known of one layer.
#[derive(Default)]
struct Layer {
    rid: Option<Rid>,
    reference: Option<Reference>,
    /// Lowest and highest sequence number, and how many came.
    range: Option<(u64, u64)>,
    packets: u64,
    bytes: u64,
    nacks: u64,
    key_frame_requests: u64,
    rtt_ms: Option<f64>,
}

impl Str0mPublisher {
    /// Answer an offer. Returns the session and the answer.
    pub fn open(now: Instant, offer: &str, config: Config) -> Result<(Self, String), Rejected> {
        let peer = Peer::new(now, Role::Publisher, offer, config)?;
        let mut session = Self {
            peer,
            tracks: Vec::new(),
            ingests: Vec::new(),
            routes: Vec::new(),
            clock: CaptureClock::default(),
            failed: false,
        };
        session.peer.rtc.direct_api().enable_twcc_feedback();
        session.add_tracks(0);
        let answer = session.peer.answer(|_| None);
        Ok((session, answer))
    }

    fn add_tracks(&mut self, from: usize) {
        let sections: Vec<Section> = self
            .peer
            .negotiated
            .sections
            .iter()
            .skip(from)
            .cloned()
            .collect();
        for section in sections {
            let (Some(kind), Some(codec)) = (section.kind, section.codecs.first()) else {
                continue;
            };
            let section_mid = mid(&section.mid);
            let rids: Vec<Rid> = section
                .rids
                .iter()
                .map(|rid| Rid::from(rid.as_str()))
                .collect();
            let mut direct = self.peer.rtc.direct_api();
            for &(ssrc, repair) in &*section.ssrcs {
                let repair = repair.filter(|_| codec.repair_payload_type.is_some());
                let stream =
                    direct.expect_stream_rx(ssrc.into(), repair.map(Into::into), section_mid, None);
                // Without RTX there is nothing that could answer.
                stream.suppress_nack(repair.is_none());
            }
            let layers = if rids.is_empty() {
                vec![Layer::default()]
            } else {
                rids.iter()
                    .map(|rid| Layer {
                        rid: Some(*rid),
                        ..Layer::default()
                    })
                    .collect()
            };
            self.tracks.push(TrackInfo {
                kind,
                codec: codec.codec,
                profile: if kind == Kind::Video {
                    codec.profile
                } else {
                    Profile::None
                },
                mid: section.mid.as_ref().to_owned(),
                layers: u8::try_from(layers.len()).unwrap_or(u8::MAX),
            });
            self.ingests.push(Ingest {
                mid: section_mid,
                codec: codec.codec,
                payload_type: codec.payload_type,
                layers,
            });
        }
    }

    fn route(&mut self, ssrc: Ssrc) -> Option<(usize, usize)> {
        if let Some(&(_, track, layer)) = self.routes.iter().find(|(known, _, _)| *known == *ssrc) {
            return Some((track, layer));
        }
        let (stream_mid, rid) = {
            let mut direct = self.peer.rtc.direct_api();
            let stream = direct.stream_rx(&ssrc)?;
            (stream.mid(), stream.rid())
        };
        let (track, layer) = self.find(stream_mid, rid)?;
        if self.routes.len() == ROUTE_LIMIT {
            self.routes.clear();
        }
        self.routes.push((*ssrc, track, layer));
        Some((track, layer))
    }

    fn find(&self, section: Mid, rid: Option<Rid>) -> Option<(usize, usize)> {
        let track = self
            .ingests
            .iter()
            .position(|ingest| ingest.mid == section)?;
        let layer = self.ingests[track]
            .layers
            .iter()
            .position(|layer| layer.rid == rid)?;
        Some((track, layer))
    }

    fn packet(&mut self, packet: RtpPacket) -> Option<Event> {
        let (track, layer_index) = self.route(packet.header.ssrc)?;
        let ingest = &mut self.ingests[track];
        if *packet.header.payload_type != ingest.payload_type {
            return None;
        }
        let kind = ingest.codec.kind();
        let layer = &mut ingest.layers[layer_index];
        let sequence = *packet.seq_no;
        layer.packets += 1;
        layer.bytes += packet.payload.len() as u64;
        let (low, high) = layer.range.unwrap_or((sequence, sequence));
        layer.range = Some((low.min(sequence), high.max(sequence)));
        let timestamp = packet.header.timestamp;
        let wall = self.peer.wall_clock();
        let arrival = packet.timestamp;
        let captured =
            self.clock
                .captured(layer.reference, timestamp, kind.clock_rate(), arrival, wall);
        let mark = Packet::mark(ingest.codec, &packet.payload);
        let codec = ingest.codec;
        let mut extensions = self.extensions(&packet);
        if codec == Codec::Av1 {
            // Other codecs have their numbers in the payload, and a receiver that finds both must find them in step.
            let descriptor = packet.header.ext_vals.user_values.get();
            extensions.dependency = descriptor.cloned();
        }
        let packet = Packet {
            kind,
            codec,
            layer: u8::try_from(layer_index).ok()?,
            sequence,
            timestamp,
            marker: packet.header.marker,
            frame_start: mark.frame_start,
            key_frame: mark.key_frame,
            extensions,
            arrival,
            captured,
            payload: packet.payload,
        };
        Some(Event::Packet { track, packet })
    }

    fn extensions(&self, packet: &RtpPacket) -> Extensions {
        let values = &packet.header.ext_vals;
        let level = values.audio_level.zip(values.voice_activity);
        let delay = values.play_delay_min.zip(values.play_delay_max);
        let hundredths =
            |time: str0m::media::MediaTime| u16::try_from(time.numer()).unwrap_or(0) & 0x0fff;
        let captured = values.abs_capture_time.as_ref().zip(self.clock.offset());
        Extensions {
            audio_level: level.map(|(dbov, voice)| AudioLevel { dbov, voice }),
            orientation: values
                .video_orientation
                .map(|orientation| orientation as u8),
            playout_delay: delay.map(|(min, max)| PlayoutDelay {
                min: hundredths(min),
                max: hundredths(max),
            }),
            capture_unix_ns: captured.and_then(|(value, offset)| {
                u64::try_from(unix_ns(value.capture_time).saturating_add(offset)).ok()
            }),
            content_type: values.video_content_type,
            dependency: None,
        }
    }

    fn event(&mut self, event: str0m::Event) -> Option<Event> {
        match event {
            str0m::Event::Connected => {
                self.peer.connected = true;
                Some(Event::Connected)
            }
            str0m::Event::Closed => Some(Event::PeerClosed),
            str0m::Event::RtpPacket(packet) => self.packet(packet),
            str0m::Event::SenderFeedback(feedback) => {
                let (track, layer) = self.find(feedback.mid, feedback.rid)?;
                let info = &feedback.sender_info;
                self.report(
                    track,
                    layer,
                    info.rtp_time.numer(),
                    info.ntp_time,
                    feedback.received_at,
                );
                None
            }
            str0m::Event::MediaIngressStats(stats) => {
                let (track, layer) = self.find(stats.mid, stats.rid)?;
                let layer = &mut self.ingests[track].layers[layer];
                layer.nacks = stats.nacks;
                layer.key_frame_requests = stats.plis + stats.firs;
                layer.rtt_ms = stats.rtt.map(|rtt: Duration| rtt.as_secs_f64() * 1000.0);
                None
            }
            _ => None,
        }
    }

    fn report(
        &mut self,
        track: usize,
        layer: usize,
        rtp: u64,
        sent: SystemTime,
        received: Instant,
    ) {
        // The engine extends RTP time to 64 bits; the wire has the low 32.
        let rtp = (rtp & u64::from(u32::MAX)) as u32;
        let reference = self
            .clock
            .report(rtp, unix_ns(sent), received, self.peer.wall_clock());
        self.ingests[track].layers[layer].reference = Some(reference);
    }
}

impl Session for Str0mPublisher {
    fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Accepted {
        self.peer.handle_datagram(now, path, datagram)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.peer.handle_timeout(now);
    }

    fn poll(&mut self, _now: Instant, buffer: &mut [u8]) -> Output {
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
                Step::Failed => return Output::WakeAt(None, crate::WakeReason::Idle),
                Step::Wake(at, reason) => return Output::WakeAt(at, reason),
            }
        }
    }

    fn renegotiate(&mut self, _now: Instant, offer: &str) -> Result<String, Rejected> {
        let known = self.peer.renegotiate(offer)?;
        self.add_tracks(known);
        Ok(self.peer.answer(|_| None))
    }

    fn fragment(&self) -> &str {
        self.peer.fragment()
    }

    fn tracks(&self) -> &[TrackInfo] {
        &self.tracks
    }

    fn slots(&self) -> u16 {
        0
    }

    fn slot_mid(&self, _slot: u16, _kind: Kind) -> Option<&str> {
        None
    }

    fn slot_codecs(&self, _slot: u16, _kind: Kind) -> String {
        String::new()
    }

    fn bind(&mut self, _slot: u16, _track: &TrackInfo) -> bool {
        false
    }

    fn unbind(&mut self, _slot: u16) {}

    fn write<B: Batch>(
        &mut self,
        _now: Instant,
        _slot: u16,
        _packet: &Packet,
        _header: Header,
        _batch: &mut B,
    ) -> Result<(), WriteError> {
        Err(WriteError::NotBound)
    }

    fn request_key_frame(&mut self, now: Instant, track: usize, layer: u8) -> bool {
        let Some(ingest) = self
            .ingests
            .get(track)
            .filter(|ingest| ingest.codec.kind() == Kind::Video)
        else {
            return false;
        };
        let Some(layer) = ingest.layers.get(usize::from(layer)) else {
            return false;
        };
        let (section, rid) = (ingest.mid, layer.rid);
        let mut direct = self.peer.rtc.direct_api();
        let Some(stream) = direct.stream_rx_by_mid(section, rid) else {
            return false;
        };
        stream.request_keyframe(KeyframeRequestKind::Pli);
        // The engine turns wishes into RTCP when time passes.
        self.peer.handle_timeout(now);
        true
    }

    fn statistics(&self) -> Statistics {
        let mut total = Statistics::default();
        for layer in self.ingests.iter().flat_map(|ingest| &ingest.layers) {
            total.packets += layer.packets;
            total.bytes += layer.bytes;
            total.nacks += layer.nacks;
            total.key_frame_requests += layer.key_frame_requests;
            total.rtt_ms = total.rtt_ms.or(layer.rtt_ms);
            if let Some((low, high)) = layer.range {
                total.lost += (high - low + 1).saturating_sub(layer.packets);
            }
        }
        total
    }

    fn close<B: Batch>(&mut self, now: Instant, batch: &mut B) {
        self.peer.close(now, batch);
    }
}
