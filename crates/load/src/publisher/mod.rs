//! A publisher: sends frames it is given, or the pattern, and answers what the server asks for.

mod report;

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use sanderling_media::Codec;
use sanderling_media::demux::{self, Class};
use sanderling_rtc::client::{ClientTransport, Output, PROTECTION, Remote};

use crate::exit::{Clock, Exit};
use crate::history::History;
use crate::pattern::{self, Mark};
use crate::payload;
use crate::rtcp::{self, Said, Writer};
use crate::rtp::{HEADER_LIMIT, Outgoing};
use crate::schedule::{Course, Schedule};
use crate::sdp::{Description, MID, PublisherOffer, TRANSPORT_WIDE_CC, Unusable};

pub use report::PublisherReport;

/// Largest payload of a frame's packets: what libwebrtc makes of an MTU of 1 200 bytes.
const PAYLOAD_LIMIT: usize = 1_160;
/// Time between two sender reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Times of key-frame requests that are kept.
const REQUEST_LIMIT: usize = 100_000;
/// Sound: one packet of 20 ms (TOC 0x78: CELT, mono), 960 ticks.
const SOUND_INTERVAL: Duration = Duration::from_millis(20);
const SOUND_TICKS: u32 = 960;
const SOUND: [u8; 60] = {
    let mut packet = [0x55; 60];
    packet[0] = 0x78;
    packet
};
/// Seconds between 1900, where NTP begins, and 1970.
const NTP_OFFSET: u64 = 2_208_988_800;

/// What was agreed on for sending.
#[derive(Debug, Clone, Copy, Default)]
struct Agreed {
    video: Option<u8>,
    repair: Option<u8>,
    audio: Option<u8>,
    mid: u8,
    transport: u8,
}

/// One source that packets are sent under.
#[derive(Debug, Clone, Copy, Default)]
struct Counting {
    sequence: u64,
    packets: u32,
    bytes: u32,
    /// Timestamp of the last packet, and when it left.
    last: Option<(u32, Instant)>,
}

/// One publisher.
pub(crate) struct Publisher {
    pub transport: ClientTransport,
    offer: PublisherOffer,
    obliges: bool,
    clock: Clock,
    agreed: Agreed,
    history: History,
    video: Counting,
    audio: Counting,
    repair_sequence: u64,
    transport_number: u16,
    picture: u16,
    schedule: Option<Schedule>,
    pattern_sent: u64,
    sound_at: Option<Instant>,
    report_at: Option<Instant>,
    transport_at: Option<Instant>,
    report: PublisherReport,
    payload: Vec<u8>,
}

impl Publisher {
    /// `obliges`: whether it makes a key frame when it is asked for one.
    pub(crate) fn new(
        transport: ClientTransport,
        offer: PublisherOffer,
        obliges: bool,
        clock: Clock,
    ) -> Self {
        Self {
            transport,
            offer,
            obliges,
            clock,
            agreed: Agreed::default(),
            history: History::new(),
            video: Counting::default(),
            audio: Counting::default(),
            repair_sequence: 0,
            transport_number: 0,
            picture: 0,
            schedule: None,
            pattern_sent: 0,
            sound_at: None,
            report_at: None,
            transport_at: None,
            report: PublisherReport::default(),
            payload: vec![0; pattern::MOST],
        }
    }

    /// Take the server's answer, and begin to connect.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        description: &Description,
        remote: &Remote,
    ) -> Result<(), Unusable> {
        let codec = self.offer.codec;
        for section in description
            .sections
            .iter()
            .filter(|section| !section.rejected)
        {
            let formats = &section.payload_types;
            let number = |wanted: Codec| {
                let found = formats.iter().find(|format| format.codec() == Some(wanted));
                found.map(|format| format.number)
            };
            if let Some(video) = number(codec) {
                self.agreed.video = Some(video);
                let repair = formats
                    .iter()
                    .find(|format| format.repairs() == Some(video));
                self.agreed.repair = repair.map(|format| format.number);
                self.agreed.mid = section.extension(MID);
                self.agreed.transport = section.extension(TRANSPORT_WIDE_CC);
            }
            self.agreed.audio = self.agreed.audio.or(number(Codec::Opus));
        }
        if self.agreed.video.is_none() {
            return Err(Unusable::new(format!(
                "the server did not take {codec}; publish another codec, or allow this one there"
            )));
        }
        self.transport.begin(now, remote);
        self.transport_at = Some(now);
        Ok(())
    }

    /// Take in a datagram.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        scratch: &mut Vec<u8>,
        exit: &mut Exit<'_>,
    ) {
        match demux::classify(datagram) {
            Some(Class::Rtcp) => self.receive_rtcp(now, datagram, scratch, exit),
            Some(Class::Stun | Class::Dtls) => {
                self.transport.handle(now, from, datagram);
                self.transport_at = Some(now);
            }
            _ => {}
        }
    }

    fn receive_rtcp(
        &mut self,
        now: Instant,
        packet: &[u8],
        scratch: &mut Vec<u8>,
        exit: &mut Exit<'_>,
    ) {
        scratch.clear();
        scratch.extend_from_slice(packet);
        let Some(opened) = self.transport.open_rtcp(scratch) else {
            return;
        };
        let media = self.offer.video.media;
        rtcp::read(opened, |said| match said {
            Said::KeyFrame { ssrc } if ssrc == media => self.key_frame_wanted(now),
            Said::Missing { ssrc, pairs } if ssrc == media => {
                for sequence in rtcp::sequences(pairs) {
                    self.report.nacks += 1;
                    self.repair(now, sequence, exit);
                }
            }
            _ => {}
        });
    }

    fn key_frame_wanted(&mut self, now: Instant) {
        self.report.key_frame_requests += 1;
        if self.report.request_times_ns.len() < REQUEST_LIMIT {
            self.report.request_times_ns.push(self.clock.ns(now));
        }
        if let (Some(schedule), true) = (&mut self.schedule, self.obliges) {
            schedule.want_key_frame();
        }
    }

    /// Send a packet again (RFC 4588).
    fn repair(&mut self, now: Instant, sequence: u16, exit: &mut Exit<'_>) {
        let (Some(to), Some(payload_type)) = (self.transport.path(now), self.agreed.repair) else {
            return;
        };
        let Some(sent) = self.history.find(sequence) else {
            return;
        };
        let outgoing = Outgoing {
            payload_type,
            marker: sent.marker,
            sequence: self.repair_sequence as u16,
            timestamp: sent.timestamp,
            ssrc: self.offer.video.repair,
            mid: (self.agreed.mid, "0"),
            transport: (self.agreed.transport, self.transport_number),
        };
        let header = outgoing.write(exit.buffer);
        let length = header + 2 + sent.payload.len();
        let Some(room) = exit.buffer.get_mut(header..length) else {
            return;
        };
        room[..2].copy_from_slice(&(sent.sequence as u16).to_be_bytes());
        room[2..].copy_from_slice(&sent.payload);
        let sealed = self.transport.seal_rtp(
            exit.buffer,
            header,
            length,
            outgoing.ssrc,
            self.repair_sequence,
        );
        if let Some(length) = sealed {
            self.repair_sequence += 1;
            self.transport_number = self.transport_number.wrapping_add(1);
            self.report.repairs_sent += 1;
            exit.send(to, length);
        }
    }

    /// Put a packet of video to the burst.
    fn send(
        &mut self,
        now: Instant,
        to: SocketAddr,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
        exit: &mut Exit<'_>,
    ) {
        let Some(payload_type) = self.agreed.video else {
            return;
        };
        let sequence = self.video.sequence;
        let outgoing = Outgoing {
            payload_type,
            marker,
            sequence: sequence as u16,
            timestamp,
            ssrc: self.offer.video.media,
            mid: (self.agreed.mid, "0"),
            transport: (self.agreed.transport, self.transport_number),
        };
        let Some(length) = self.seal(&outgoing, payload, sequence, exit) else {
            return;
        };
        self.history.keep(sequence, timestamp, marker, payload);
        self.transport_number = self.transport_number.wrapping_add(1);
        self.report.packets_sent += 1;
        self.report.bytes_sent += length as u64;
        self.video.departed(now, timestamp, payload.len());
        exit.queue(to, length);
    }

    fn seal(
        &self,
        outgoing: &Outgoing<'_>,
        payload: &[u8],
        sequence: u64,
        exit: &mut Exit<'_>,
    ) -> Option<usize> {
        if HEADER_LIMIT + payload.len() + PROTECTION > exit.buffer.len() {
            return None;
        }
        let header = outgoing.write(exit.buffer);
        let length = header + payload.len();
        exit.buffer[header..length].copy_from_slice(payload);
        self.transport
            .seal_rtp(exit.buffer, header, length, outgoing.ssrc, sequence)
    }

    /// Send an encoded frame now. Says why not, when it cannot.
    pub(crate) fn frame(
        &mut self,
        now: Instant,
        data: &[u8],
        rtp_timestamp: u32,
        key_frame: bool,
        exit: &mut Exit<'_>,
    ) -> Result<(), Unusable> {
        let to = self
            .transport
            .path(now)
            .ok_or_else(|| match &self.report.ended {
                Some(why) => Unusable::new(format!("the publisher's connection is over: {why}")),
                None => Unusable::new(
                    "the publisher is not connected yet; wait until publisher_report() says so",
                ),
            })?;
        if self.schedule.is_some() {
            return Err(Unusable::new(
                "the publisher sends its pattern; call stop_pattern() before it sends frames",
            ));
        }
        let codec = self.offer.codec;
        let payloads = payload::pack(codec, data, key_frame, self.picture, PAYLOAD_LIMIT);
        let payloads = payloads.ok_or_else(|| {
            Unusable::new(format!(
                "this is no {codec} frame; H264 needs start codes (Annex B), AV1 OBUs with sizes"
            ))
        })?;
        self.picture = self.picture.wrapping_add(1) & 0x7fff;
        let count = payloads.len();
        for (index, payload) in payloads.iter().enumerate() {
            self.send(now, to, payload, rtp_timestamp, index + 1 == count, exit);
        }
        self.report.refused += exit.send_burst();
        Ok(())
    }

    /// Begin to send the pattern.
    pub(crate) fn start_pattern(&mut self, now: Instant, course: Course) -> Result<(), Unusable> {
        if self.offer.codec != Codec::Vp8 {
            return Err(Unusable::new(
                "the pattern is VP8; open the publisher with codec \"vp8\"",
            ));
        }
        self.pattern_sent = self.report.packets_sent;
        let last = self.video.last.map_or(0, |(timestamp, _)| timestamp);
        self.schedule = Some(Schedule::new(now, course, last));
        Ok(())
    }

    /// Stop; returns how many packets of it were sent.
    pub(crate) fn stop_pattern(&mut self) -> u64 {
        match self.schedule.take() {
            Some(_) => self.report.packets_sent - self.pattern_sent,
            None => 0,
        }
    }

    /// Send the packets of the pattern that are due. Returns when the next are.
    pub(crate) fn poll_pattern(&mut self, now: Instant, exit: &mut Exit<'_>) -> Option<Instant> {
        let schedule = self.schedule.as_mut()?;
        let Some(to) = self.transport.path(now) else {
            schedule.wait_until(now);
            return None;
        };
        self.report.skipped += schedule.catch_up(now);
        while let Some(burst) = self
            .schedule
            .as_mut()
            .and_then(|schedule| schedule.next(now))
        {
            let mut payload = std::mem::take(&mut self.payload);
            for index in 0..burst.packets {
                let mark = Mark {
                    stream: self.offer.video.media,
                    number: burst.number + u64::from(index),
                    key_frame: burst.key_frame,
                    begins: index == 0,
                };
                let payload = &mut payload[..burst.bytes];
                pattern::write(payload, &mark);
                let last = index + 1 == burst.packets;
                self.send(now, to, payload, burst.timestamp, last, exit);
            }
            self.payload = payload;
            self.report.refused += exit.send_burst();
        }
        self.schedule.as_ref().map(Schedule::next_at)
    }

    /// Do what is due, the pattern apart. Returns when something will be.
    pub(crate) fn poll(&mut self, now: Instant, exit: &mut Exit<'_>) -> Option<Instant> {
        if self.transport_at.is_some_and(|at| at <= now) {
            self.poll_transport(now, exit);
        }
        if let Some(to) = self.transport.path(now) {
            if self.report_at.is_some_and(|at| at <= now) {
                self.report_at = Some(now + REPORT_INTERVAL);
                self.send_reports(now, to, exit);
            }
            while let Some(at) = self.sound_at.filter(|at| *at <= now) {
                self.sound_at = Some(at + SOUND_INTERVAL);
                self.send_sound(now, to, exit);
            }
        }
        if self.report.ended.is_some() {
            return None;
        }
        let all = [self.transport_at, self.report_at, self.sound_at];
        all.into_iter().flatten().min()
    }

    fn poll_transport(&mut self, now: Instant, exit: &mut Exit<'_>) {
        loop {
            match self.transport.poll(now, exit.buffer) {
                Output::Transmit { to, len } => exit.send(to, len),
                Output::Connected => {
                    self.report.connected_ns = Some(self.clock.ns(now));
                    self.report_at = Some(now + SOUND_INTERVAL);
                    self.sound_at = self.offer.audio.and(self.agreed.audio).map(|_| now);
                }
                Output::Closed => self.report.ended = Some("the server said goodbye".to_owned()),
                Output::Failed(why) => self.report.ended = Some(why.to_owned()),
                Output::WakeAt(at) => {
                    self.transport_at = at;
                    return;
                }
            }
        }
    }

    fn send_sound(&mut self, now: Instant, to: SocketAddr, exit: &mut Exit<'_>) {
        let (Some(ssrc), Some(payload_type)) = (self.offer.audio, self.agreed.audio) else {
            return;
        };
        let sequence = self.audio.sequence;
        let timestamp = (sequence as u32).wrapping_mul(SOUND_TICKS);
        let outgoing = Outgoing {
            payload_type,
            marker: false,
            sequence: sequence as u16,
            timestamp,
            ssrc,
            mid: (self.agreed.mid, "1"),
            transport: (self.agreed.transport, self.transport_number),
        };
        if let Some(length) = self.seal(&outgoing, &SOUND, sequence, exit) {
            self.transport_number = self.transport_number.wrapping_add(1);
            self.audio.departed(now, timestamp, SOUND.len());
            exit.send(to, length);
        }
    }

    fn send_reports(&mut self, now: Instant, to: SocketAddr, exit: &mut Exit<'_>) {
        let sources = [
            (Some(self.offer.video.media), self.video, 90_000),
            (self.offer.audio, self.audio, 48_000),
        ];
        for (ssrc, counting, rate) in sources {
            let (Some(ssrc), Some((timestamp, at))) = (ssrc, counting.last) else {
                continue;
            };
            let since = now.saturating_duration_since(at).as_micros() * rate / 1_000_000;
            let timestamp = timestamp.wrapping_add(since as u32);
            let mut writer = Writer::new(&mut exit.buffer[..]);
            let (packets, bytes) = (counting.packets, counting.bytes);
            let written = writer
                .sender_report(ssrc, ntp(SystemTime::now()), timestamp, packets, bytes)
                .and_then(|()| writer.name(ssrc, "load"));
            let length = writer.len();
            if written.is_some()
                && let Some(length) = self.transport.seal_rtcp(exit.buffer, length)
            {
                exit.send(to, length);
            }
        }
    }

    pub(crate) fn report(&self) -> PublisherReport {
        PublisherReport {
            connected: self.transport.is_connected(),
            ..self.report.clone()
        }
    }
}

impl Counting {
    fn departed(&mut self, now: Instant, timestamp: u32, bytes: usize) {
        self.sequence += 1;
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(bytes as u32);
        self.last = Some((timestamp, now));
    }
}

/// A 64-bit NTP timestamp.
fn ntp(time: SystemTime) -> u64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    since.as_secs().wrapping_add(NTP_OFFSET) << 32 | fraction
}
