//! A client on str0m's own SDP interface, as far from the server's code as can be.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{ExtensionValues, RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc};

#[path = "../../../rtc/tests/rig/descriptor.rs"]
pub mod descriptor;

pub struct Client {
    pub protocol: Protocol,
    pub rtc: Rtc,
    pub address: SocketAddr,
    pending: Option<SdpPendingOffer>,
    /// Sections that were offered.
    mids: Vec<Mid>,
    wake: Instant,
    pub connected: bool,
    pub closed: bool,
    pub received: Vec<RtpPacket>,
    pub key_frame_requests: usize,
    pub feedback: usize,
    /// Sender reports: section, RTP time, wall clock.
    pub reports: Vec<(Mid, u32, std::time::SystemTime)>,
    out: VecDeque<(SocketAddr, Vec<u8>)>,
    sequence: std::collections::HashMap<Mid, u64>,
    picture: u16,
    layer_sequence: std::collections::HashMap<String, u64>,
}

impl Client {
    pub fn new(
        now: Instant,
        address: &str,
        set_up: impl FnOnce(str0m::RtcConfig) -> str0m::RtcConfig,
    ) -> Self {
        Self::over(Protocol::Udp, now, address, set_up)
    }

    pub fn over(
        protocol: Protocol,
        now: Instant,
        address: &str,
        set_up: impl FnOnce(str0m::RtcConfig) -> str0m::RtcConfig,
    ) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let config = set_up(Rtc::builder().set_rtp_mode(true).enable_raw_packets(true));
        let mut rtc = config.build(now);
        let candidate = match protocol {
            Protocol::Udp => Candidate::builder().udp().host(address).build(),
            _ => Candidate::builder()
                .tcp()
                .host(address)
                .tcptype(TcpType::Active)
                .build(),
        };
        rtc.add_local_candidate(candidate.unwrap());
        Self {
            protocol,
            rtc,
            address,
            pending: None,
            mids: Vec::new(),
            wake: now,
            connected: false,
            closed: false,
            received: Vec::new(),
            key_frame_requests: 0,
            feedback: 0,
            reports: Vec::new(),
            out: VecDeque::new(),
            sequence: std::collections::HashMap::new(),
            picture: 0,
            layer_sequence: std::collections::HashMap::new(),
        }
    }

    /// An offer with these sections added.
    pub fn offer(&mut self, sections: &[(MediaKind, Direction)]) -> (String, Vec<Mid>) {
        loop {
            let mut api = self.rtc.sdp_api();
            let mids: Vec<Mid> = sections
                .iter()
                .map(|(kind, direction)| api.add_media(*kind, *direction, None, None, None))
                .collect();
            // str0m draws them by lot, three characters each, without a look at those that there are.
            let all: Vec<&Mid> = self.mids.iter().chain(&mids).collect();
            if (1..all.len()).any(|at| all[..at].contains(&all[at])) {
                continue;
            }
            let (offer, pending) = api.apply().unwrap();
            self.pending = Some(pending);
            self.mids.extend(&mids);
            return (descriptor::allow_long(offer.to_sdp_string()), mids);
        }
    }

    /// An offer of one video section in layers.
    pub fn offer_layers(&mut self, rids: &[&str]) -> (String, Mid) {
        let mut simulcast = Simulcast::new();
        for rid in rids {
            simulcast.add_send_layer(SimulcastLayer::new(rid));
        }
        let mut api = self.rtc.sdp_api();
        let mid = api.add_media(
            MediaKind::Video,
            Direction::SendOnly,
            None,
            None,
            Some(simulcast),
        );
        let (offer, pending) = api.apply().unwrap();
        self.pending = Some(pending);
        (descriptor::allow_long(offer.to_sdp_string()), mid)
    }

    /// One VP8 frame of one packet on a layer; `size` in bytes tells the layers apart.
    pub fn send_layer(
        &mut self,
        now: Instant,
        layer: (Mid, &str),
        timestamp: u32,
        key: bool,
        size: usize,
    ) {
        self.send_layer_of(Codec::Vp8, now, layer, timestamp, key, size);
    }

    /// The same of another codec, with numbers where the codec has them.
    pub fn send_layer_of(
        &mut self,
        codec: Codec,
        now: Instant,
        layer: (Mid, &str),
        timestamp: u32,
        key: bool,
        size: usize,
    ) {
        let (mid, rid) = layer;
        let pt = self.rtc.media(mid).unwrap().remote_pts()[0];
        self.picture = (self.picture + 1) & 0x7fff;
        let [high, low] = self.picture.to_be_bytes();
        let mut values = ExtensionValues::default();
        let mut payload = match codec {
            // I, L, B and E; P unless it is a key frame; layers; TL0PICIDX.
            Codec::Vp9 => vec![0xac | u8::from(!key) << 6, 0x80 | high, low, 0, low],
            Codec::Av1 => {
                let mut bytes = vec![0xc0, high, low];
                // The structure of a key frame.
                bytes.extend_from_slice(if key { &[0x80; 20] } else { &[] });
                values.user_values.set(descriptor::Descriptor(bytes));
                vec![0x10 | u8::from(key) << 3, if key { 0x0a } else { 0x32 }]
            }
            _ => vec![0x90, 0x80, 0x80 | high, low, u8::from(!key)],
        };
        payload.resize(size, 0);
        let number = self.layer_sequence.entry(rid.to_owned()).or_insert(1000);
        *number += 1;
        let sequence = *number;
        let mut direct = self.rtc.direct_api();
        let stream = direct
            .stream_tx_by_mid(mid, Some(rid.into()))
            .expect("a layer that was agreed on");
        let write = RtpWrite::new(pt, sequence.into(), timestamp, now, payload);
        stream.write_rtp(write.marker(true).nackable(true).ext_vals(values));
        self.drive(now);
    }

    pub fn ice_restart(&mut self) -> String {
        let mut api = self.rtc.sdp_api();
        api.ice_restart(true);
        let (offer, pending) = api.apply().unwrap();
        self.pending = Some(pending);
        offer.to_sdp_string()
    }

    pub fn answer(&mut self, now: Instant, sdp: &str) {
        let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
        self.rtc
            .sdp_api()
            .accept_answer(self.pending.take().unwrap(), answer)
            .unwrap();
        self.drive(now);
    }

    /// Answer the server's own offer. Returns the answer.
    #[cfg(not(feature = "str0m-viewer"))]
    pub fn accept(&mut self, now: Instant, offer: &str) -> String {
        // str0m would be the DTLS server of an actpass offer; browsers choose active (RFC 8829 section 5.3.1), and so has it.
        let offer = offer.replace("a=setup:actpass", "a=setup:passive");
        let offer = str0m::change::SdpOffer::from_sdp_string(&offer).unwrap();
        let answer = self.rtc.sdp_api().accept_offer(offer).unwrap();
        self.drive(now);
        answer.to_sdp_string()
    }

    pub fn wake(&self) -> Instant {
        self.wake
    }

    pub fn drive(&mut self, now: Instant) {
        self.rtc.handle_input(Input::Timeout(now)).unwrap();
        self.drain();
    }

    pub fn receive(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        let Ok(receive) = Receive::new(self.protocol, from, self.address, bytes) else {
            return;
        };
        self.rtc.handle_input(Input::Receive(now, receive)).unwrap();
        self.drain();
    }

    pub fn take(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.out.pop_front()
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().unwrap() {
                Output::Transmit(transmit) => {
                    self.out
                        .push_back((transmit.destination, transmit.contents.to_vec()));
                }
                Output::Event(Event::Connected) => self.connected = true,
                Output::Event(Event::Closed) => self.closed = true,
                Output::Event(Event::RtpPacket(packet)) => self.received.push(packet),
                Output::Event(Event::KeyframeRequest(_)) => self.key_frame_requests += 1,
                Output::Event(Event::RawPacket(raw)) => {
                    if let str0m::rtp::RawPacket::RtcpRx(str0m::rtp::rtcp::Rtcp::Twcc(_)) = *raw {
                        self.feedback += 1;
                    }
                }
                Output::Event(Event::SenderFeedback(report)) => {
                    let info = report.sender_info;
                    self.reports
                        .push((report.mid, info.rtp_time.numer() as u32, info.ntp_time));
                }
                Output::Event(_) => {}
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
            }
        }
    }

    /// Send one RTP packet.
    pub fn send(
        &mut self,
        now: Instant,
        mid: Mid,
        codec: Codec,
        timestamp: u32,
        marker: bool,
        payload: Vec<u8>,
    ) {
        let pt = self
            .rtc
            .media(mid)
            .unwrap()
            .remote_pts()
            .iter()
            .copied()
            .find(|pt| {
                self.rtc
                    .codec_config()
                    .params()
                    .iter()
                    .any(|params| params.pt() == *pt && params.spec().codec == codec)
            });
        let pt = pt.expect("the codec was agreed on");
        let sequence = self.sequence.entry(mid).or_insert(1000);
        let number = *sequence;
        *sequence += 1;
        let mut direct = self.rtc.direct_api();
        let stream = direct.stream_tx_by_mid(mid, None).expect("a send stream");
        let extensions = ExtensionValues {
            audio_level: Some(-30),
            voice_activity: Some(true),
            ..Default::default()
        };
        stream.write_rtp(
            RtpWrite::new(pt, number.into(), timestamp, now, payload)
                .marker(marker)
                .nackable(codec.is_video())
                .ext_vals(extensions),
        );
        self.drive(now);
    }

    /// One VP8 frame of three packets.
    pub fn send_vp8(&mut self, now: Instant, mid: Mid, timestamp: u32, key: bool) {
        self.picture = (self.picture + 1) & 0x7fff;
        let [high, low] = (self.picture | 0x8000).to_be_bytes();
        for part in 0..3_u8 {
            let mut payload = vec![if part == 0 { 0x90 } else { 0x80 }, 0x80, high, low];
            payload.push(u8::from(!key));
            payload.extend_from_slice(&[part; 200]);
            self.send(now, mid, Codec::Vp8, timestamp, part == 2, payload);
        }
    }

    pub fn send_opus(&mut self, now: Instant, mid: Mid, timestamp: u32) {
        self.send(now, mid, Codec::Opus, timestamp, false, vec![0x78; 80]);
    }

    /// Ask for a key frame on a section.
    pub fn request_key_frame(&mut self, now: Instant, mid: Mid) {
        let mut direct = self.rtc.direct_api();
        direct
            .stream_rx_by_mid(mid, None)
            .expect("something came")
            .request_keyframe(KeyframeRequestKind::Pli);
        self.drive(now);
    }

    pub fn close(&mut self, now: Instant) {
        self.rtc.close().unwrap();
        self.drive(now);
    }

    /// Packets of a section since the last call.
    pub fn take_received(&mut self, mid: Mid) -> Vec<RtpPacket> {
        let ssrcs: Vec<_> = self
            .received
            .iter()
            .map(|packet| packet.header.ssrc)
            .filter(|ssrc| {
                self.rtc
                    .direct_api()
                    .stream_rx(ssrc)
                    .is_some_and(|stream| stream.mid() == mid)
            })
            .collect();
        let (of_section, rest) = std::mem::take(&mut self.received)
            .into_iter()
            .partition(|packet| ssrcs.contains(&packet.header.ssrc));
        self.received = rest;
        of_section
    }
}

pub const FRAME: Duration = Duration::from_millis(33);
