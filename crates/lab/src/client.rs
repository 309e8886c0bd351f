//! A WebRTC client of the lab: publishes a source, or shows what it gets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{
    Direction, KeyframeRequestKind, MediaData, MediaKind, MediaTime, Mid, Rid, Simulcast,
    SimulcastLayer,
};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc};

use crate::lab::epoch;
use crate::media::{LAYERS, SeenFrame, Source, sound};

/// What a viewer got.
#[derive(Debug, Default)]
pub struct Seen {
    /// Video frames in the order they came out of the jitter buffer.
    pub video: Vec<SeenFrame>,
    /// Opus packets.
    pub audio: Vec<SeenFrame>,
    /// Times that the viewer asked for a key frame because something was missing.
    pub key_frame_requests: u64,
}

impl Seen {
    /// Longest time between two video frames that could be shown.
    pub fn longest_gap(&self) -> Duration {
        let shown: Vec<Duration> = self
            .video
            .iter()
            .filter(|f| f.shown)
            .map(|f| f.at)
            .collect();
        shown
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap_or(Duration::MAX)
    }

    /// Video and sound as they were sent, whenever they came.
    pub fn media(&self) -> (Vec<SeenFrame>, Vec<SeenFrame>) {
        let timeless = |frame: &SeenFrame| SeenFrame {
            at: Duration::ZERO,
            ..frame.clone()
        };
        let all = |frames: &[SeenFrame]| frames.iter().map(timeless).collect();
        (all(&self.video), all(&self.audio))
    }

    /// Numbers of the video frames that could be shown.
    pub fn numbers(&self) -> Vec<u64> {
        self.video
            .iter()
            .filter(|f| f.shown)
            .map(|f| f.number)
            .collect()
    }
}

/// A viewer asks for a key frame no more often than this.
const REQUEST_INTERVAL: Duration = Duration::from_millis(500);
/// A silent publisher's sound goes out every so often.
const SOUND_INTERVAL: Duration = Duration::from_millis(20);
/// Frames a viewer waits for a missing packet: half a second of the sources here, so that repairs arrive in time.
const REORDERING: usize = 12;

struct Sending {
    source: Source,
    video: Mid,
    audio: Option<Mid>,
    started: Instant,
    next_video: u64,
    next_audio: u64,
    key_wanted: bool,
}

/// Times that a client may ask to act again at the same instant.
const ROUNDS: u32 = 32;
/// Sent packets that a publisher keeps for repair, and for how long.
const REPAIR_PACKETS: usize = 1024;
const REPAIR_AGE: Duration = Duration::from_secs(3);

/// What a player would remember of one section.
#[derive(Default)]
struct Screen {
    /// Number of the last frame, as long as nothing was missing since a key frame.
    last: Option<u64>,
    asked: Option<Instant>,
    /// Sequence number and timestamp that the section began with.
    began: Option<(i64, i64)>,
}

impl Screen {
    /// Where a frame stands in what the section got.
    fn place(&mut self, mut frame: SeenFrame, data: &MediaData) -> SeenFrame {
        let [first, last] = [data.seq_range.start(), data.seq_range.end()].map(|n| **n as i64);
        let time = data.time.numer() as i64;
        let (sequence_began, time_began) = *self.began.get_or_insert((first, time));
        frame.sequence = (first - sequence_began, last - sequence_began);
        frame.time = time - time_began;
        frame
    }

    fn show(&mut self, mut frame: SeenFrame) -> SeenFrame {
        let follows = frame.key || self.last.is_some_and(|last| frame.number == last + 1);
        frame.shown = frame.whole && follows;
        self.last = frame.shown.then_some(frame.number);
        frame
    }

    fn may_ask(&mut self, now: Instant) -> bool {
        let may = self.asked.is_none_or(|at| now >= at + REQUEST_INTERVAL);
        if may {
            self.asked = Some(now);
        }
        may
    }
}

pub(crate) struct Client {
    pub name: String,
    pub address: SocketAddr,
    pub connected: bool,
    pub seen: Seen,
    /// Key frames that the server asked this publisher for.
    pub key_frames_asked: u64,
    pub frames_sent: u64,
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    sending: Option<Sending>,
    screens: HashMap<Mid, Screen>,
    wake_at: Instant,
    started: Instant,
}

/// What a client wants sent, and where.
pub(crate) type Datagrams = Vec<(SocketAddr, Vec<u8>)>;

impl Client {
    /// A publisher and its offer.
    pub fn publisher(
        name: &str,
        address: SocketAddr,
        source: Source,
        now: Instant,
    ) -> (Self, String) {
        let mut client = Self::new(name, address, Some(source.codec), now);
        let mut changes = client.rtc.sdp_api();
        let add = |changes: &mut str0m::change::SdpApi<'_>, kind, simulcast| {
            changes.add_media(
                kind,
                Direction::SendOnly,
                Some("stream".to_owned()),
                None,
                simulcast,
            )
        };
        let audio = source
            .sound
            .then(|| add(&mut changes, MediaKind::Audio, None));
        let layers = source.layered.then(|| {
            let mut layers = Simulcast::new();
            for rid in LAYERS {
                layers.add_send_layer(SimulcastLayer::new(rid));
            }
            layers
        });
        let video = add(&mut changes, MediaKind::Video, layers);
        let (started, key_wanted) = (now, true);
        let offer = changes.apply();
        client.sending = Some(Sending {
            source,
            video,
            audio,
            started,
            next_video: 0,
            next_audio: 0,
            key_wanted,
        });
        client.offered(offer)
    }

    /// A viewer with `slots` pairs of sections, and its offer.
    pub fn viewer(name: &str, address: SocketAddr, slots: usize, now: Instant) -> (Self, String) {
        let mut client = Self::new(name, address, None, now);
        let offer = loop {
            let mut changes = client.rtc.sdp_api();
            let mut mids: Vec<Mid> = Vec::new();
            for _ in 0..slots {
                for kind in [MediaKind::Audio, MediaKind::Video] {
                    mids.push(changes.add_media(kind, Direction::RecvOnly, None, None, None));
                }
            }
            // The mids of one offer are drawn from three characters each without a look at one another.
            if (1..mids.len()).all(|at| !mids[..at].contains(&mids[at])) {
                break changes.apply();
            }
        };
        client.offered(offer)
    }

    fn new(name: &str, address: SocketAddr, codec: Option<Codec>, now: Instant) -> Self {
        // A publisher offers the one codec it has; otherwise the server chooses, and not what this source makes.
        let mut builder = Rtc::builder().clear_codecs().enable_opus(true);
        builder = match codec {
            Some(Codec::H264) => builder.enable_h264(true),
            Some(_) => builder.enable_vp8(true),
            None => builder.enable_vp8(true).enable_h264(true),
        };
        let mut rtc = builder
            .set_reordering_size_video(REORDERING)
            .set_stats_interval(None)
            .build(now);
        if let Ok(candidate) = Candidate::host(address, Protocol::Udp) {
            rtc.add_local_candidate(candidate);
        }
        Client {
            name: name.to_owned(),
            address,
            connected: false,
            seen: Seen::default(),
            key_frames_asked: 0,
            frames_sent: 0,
            rtc,
            pending: None,
            sending: None,
            screens: HashMap::new(),
            wake_at: now,
            started: epoch(),
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "sections were just added, so there is an offer"
    )]
    fn offered(
        mut self,
        offer: Option<(str0m::change::SdpOffer, SdpPendingOffer)>,
    ) -> (Self, String) {
        let (offer, pending) = offer.expect("an offer");
        self.pending = Some(pending);
        (self, offer.to_sdp_string())
    }

    /// Set the server's answer.
    #[expect(
        clippy::expect_used,
        reason = "an answer that a client refuses fails the test, with its reason"
    )]
    pub fn accept(&mut self, answer: &str, now: Instant) {
        let answer = SdpAnswer::from_sdp_string(answer).expect("the answer parses");
        let pending = self.pending.take().expect("an offer is pending");
        self.rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .expect("the answer is accepted");
        self.wake_at = now;
    }

    /// When it makes a video frame.
    pub fn made_at(&self, number: u64) -> Option<Instant> {
        let sending = self.sending.as_ref()?;
        let number = u32::try_from(number).ok()?;
        Some(sending.started + sending.source.interval() * number)
    }

    /// When it wants to act next.
    pub fn wake_at(&self) -> Instant {
        let media = self
            .sending
            .as_ref()
            .filter(|_| self.connected)
            .map(Sending::next_at);
        media.map_or(self.wake_at, |at| at.min(self.wake_at))
    }

    /// Take in a datagram.
    pub fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut Datagrams,
    ) {
        // What does not parse is dropped, as by any client.
        if let Ok(receive) = Receive::new(Protocol::Udp, from, self.address, datagram) {
            let _ = self.rtc.handle_input(Input::Receive(now, receive));
            self.drain(now, out);
        }
    }

    /// Let time pass.
    pub fn wake(&mut self, now: Instant, out: &mut Datagrams) {
        if now >= self.wake_at {
            let _ = self.rtc.handle_input(Input::Timeout(now));
            self.drain(now, out);
        }
        while self.connected && self.send_next(now) {
            self.drain(now, out);
        }
    }

    fn drain(&mut self, now: Instant, out: &mut Datagrams) {
        let mut again = ROUNDS;
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    out.push((transmit.destination, transmit.contents.to_vec()))
                }
                Ok(Output::Event(event)) => self.event(now, event),
                Ok(Output::Timeout(at)) if at <= now && again > 0 => {
                    again -= 1;
                    let _ = self.rtc.handle_input(Input::Timeout(now));
                }
                Ok(Output::Timeout(at)) => {
                    // A deadline in the past would never let the clock advance.
                    self.wake_at = at.max(now + Duration::from_micros(100));
                    return;
                }
                Err(_) => {
                    // It is over: say nothing more.
                    self.wake_at = now + Duration::from_secs(3600);
                    return;
                }
            }
        }
    }

    fn event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => {
                self.connected = true;
                if let Some(sending) = &mut self.sending {
                    sending.started = now;
                    // The default refuses repairs above 15 % of what is sent, which 10 % of loss exceeds in bursts.
                    if let Some(stream) =
                        self.rtc.direct_api().stream_tx_by_mid(sending.video, None)
                    {
                        stream.set_rtx_cache(REPAIR_PACKETS, REPAIR_AGE, None);
                    }
                }
            }
            Event::KeyframeRequest(_) => {
                self.key_frames_asked += 1;
                if let Some(sending) = &mut self.sending {
                    sending.key_wanted |= !sending.source.deaf;
                }
            }
            Event::MediaData(data) => {
                let frame = SeenFrame::read(now - self.started, &data.data);
                let screen = self.screens.entry(data.mid).or_default();
                let frame = frame.map(|frame| screen.place(frame, &data));
                if data.params.spec().codec.is_audio() {
                    self.seen.audio.extend(frame);
                    return;
                }
                let frame = frame.map(|frame| screen.show(frame));
                let frozen = frame.as_ref().is_none_or(|frame| !frame.shown);
                self.seen.video.extend(frame);
                if frozen && screen.may_ask(now) {
                    self.ask_for_key_frame(data.mid);
                }
            }
            _ => {}
        }
    }

    fn ask_for_key_frame(&mut self, mid: Mid) {
        self.seen.key_frame_requests += 1;
        if let Some(mut writer) = self.rtc.writer(mid) {
            // Refused where the section has no key-frame requests: then the picture stays frozen, and that shows.
            let _ = writer.request_keyframe(None, KeyframeRequestKind::Pli);
        }
    }

    /// Send one frame or one packet of sound that is due; false when none is.
    fn send_next(&mut self, now: Instant) -> bool {
        let Some(sending) = &mut self.sending else {
            return false;
        };
        if sending.next_at() > now {
            return false;
        }
        let (mid, codec, time, frames): (_, _, _, Vec<(Option<Rid>, Vec<u8>)>);
        if sending.video_at() <= sending.audio_at().unwrap_or(now) {
            let key =
                std::mem::take(&mut sending.key_wanted) | sending.source.begins(sending.next_video);
            (mid, codec) = (sending.video, sending.source.codec);
            let frame = |part| sending.source.frame(sending.next_video, key, part);
            frames = if sending.source.layered {
                let [low, high] = LAYERS.map(|rid| Some(Rid::from(rid)));
                vec![(low, frame(20)), (high, frame(100))]
            } else {
                vec![(None, frame(100))]
            };
            time = MediaTime::from_90khz(sending.next_video * 90_000 / sending.source.fps);
            sending.next_video += 1;
            self.frames_sent += 1;
        } else {
            let Some(audio) = sending.audio else {
                return false;
            };
            (mid, codec) = (audio, Codec::Opus);
            frames = vec![(None, sound(sending.next_audio))];
            time = MediaTime::new(
                sending.next_audio * 960,
                str0m::media::Frequency::FORTY_EIGHT_KHZ,
            );
            sending.next_audio += 1;
        }
        for (rid, data) in frames {
            let Some(writer) = self.rtc.writer(mid) else {
                return true;
            };
            let payload_type = writer
                .payload_params()
                .find(|p| p.spec().codec == codec)
                .map(|p| p.pt());
            if let Some(payload_type) = payload_type {
                let writer = match rid {
                    Some(rid) => writer.rid(rid),
                    None => writer,
                };
                let _ = writer.write(payload_type, now, time, data);
            }
        }
        true
    }
}

impl Sending {
    fn video_at(&self) -> Instant {
        self.started + self.source.interval() * u32::try_from(self.next_video).unwrap_or(u32::MAX)
    }

    fn audio_at(&self) -> Option<Instant> {
        let number = u32::try_from(self.next_audio).unwrap_or(u32::MAX);
        self.audio.map(|_| self.started + SOUND_INTERVAL * number)
    }

    fn next_at(&self) -> Instant {
        self.audio_at()
            .map_or(self.video_at(), |audio| audio.min(self.video_at()))
    }
}
