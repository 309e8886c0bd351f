//! The whole surface of the worker core: what goes in, what comes out.
//!
//! A [`crate::Worker`] owns publishers, viewers and the fan-out between them. It has no socket, no clock and no
//! thread. Contract: any number of `handle` with one `now`, then `poll` until it returns [`Output::WakeAt`].

// Fields of commands and events are nouns of the glossary; their variant says what they are for.
#![allow(missing_docs)]

use std::sync::Arc;
use std::time::Instant;

/// Number of a worker on this node, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// A transport: a publisher or a viewer. Chosen by the control plane, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// A published stream; the same number as its publisher's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// Ties a command to the event that says what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

pub use sanderling_media::{Path, Protocol};

/// One thing that happens to a worker.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram(Path, &'a [u8]),
    /// A TCP connection ended.
    TcpClosed(Path),
    /// The control plane wants something.
    Command(Command),
    /// Another worker of this node sent something.
    Peer(WorkerId, PeerMessage),
    /// The time asked for by [`Output::WakeAt`] has come (or passed).
    Timeout,
}

/// What the control plane asks for. Every command with a ticket is answered by exactly one event with it.
#[derive(Debug)]
pub enum Command {
    /// Answer a send-only offer; the session is also the stream. `codecs`: video codecs to choose, best first; where none
    /// of them is offered, the first that is.
    OpenPublisher {
        ticket: Ticket,
        session: SessionId,
        offer: String,
        codecs: Vec<sanderling_media::Codec>,
    },
    /// Answer a receive-only offer.
    OpenViewer {
        ticket: Ticket,
        session: SessionId,
        offer: String,
    },
    /// Make a viewer by an offer of our own, of a stream that this worker has; answered with the offer.
    OfferViewer {
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
    },
    /// The answer to the offer of [`Command::OfferViewer`].
    Accept {
        ticket: Ticket,
        session: SessionId,
        answer: String,
    },
    /// A later offer of an open session: more slots, ICE restart.
    Offer {
        ticket: Ticket,
        session: SessionId,
        offer: String,
    },
    /// Bind a stream to a free slot of a viewer. `origin` is the worker of its publisher.
    Bind {
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
        origin: WorkerId,
        audio: bool,
        video: bool,
    },
    /// Free the slot; sending stops with this call.
    Unbind {
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
    },
    /// Choose the simulcast layer that a viewer gets of a stream. It changes at the next clean key frame of that layer;
    /// until then the old one goes on.
    SetLayer {
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
        choice: LayerChoice,
    },
    /// Ask a viewer to show a stream's pictures at most this late, in units of 10 ms: 0 is as soon as they are
    /// complete, more lets it even out what the network does to them. Pictures of a replay go at once whatever it is.
    SetDelay {
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
        most: u16,
    },
    /// Ask a publisher for a key frame; merged and throttled.
    RequestKeyFrame { stream: StreamId },
    /// Close a session.
    Close { ticket: Ticket, session: SessionId },
    /// Describe everything this worker holds.
    Snapshot { ticket: Ticket },
}

/// Which simulcast layer a viewer gets (`set_play_stream_video_type`: DEFAULT 0, SMALL 1, BIG 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LayerChoice {
    /// The highest that the viewer's network carries.
    #[default]
    Automatic,
    /// The lowest.
    Small,
    /// The highest; lower only while the viewer's network carries no more.
    Big,
}

impl LayerChoice {
    /// The choice with the product's number; `None` for a number that is none.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Automatic),
            1 => Some(Self::Small),
            2 => Some(Self::Big),
            _ => None,
        }
    }
}

pub use crate::publish::Cached;

/// What a worker says to another one. One copy of a packet per worker that has viewers, never per viewer.
#[derive(Debug, Clone)]
pub enum PeerMessage {
    /// The sender has (its first) viewers of this stream.
    Pull { stream: StreamId },
    /// The sender has no viewers of this stream any more.
    Unpull { stream: StreamId },
    /// Answer to `Pull`: what the stream consists of, or `None` when there is no such stream.
    Tracks {
        stream: StreamId,
        tracks: Option<Arc<[sanderling_rtc::TrackInfo]>>,
        /// What came since the last key frame, when the stream has video.
        cached: Option<Arc<Cached>>,
    },
    /// One packet of a pulled stream.
    Packet {
        stream: StreamId,
        packet: Arc<sanderling_media::Packet>,
    },
    /// A viewer of the sender needs a key frame of a layer.
    NeedKeyFrame { stream: StreamId, layer: u8 },
    /// It became known whether the publisher answers requests for key frames.
    Answers { stream: StreamId, answers: bool },
    /// The stream ended.
    Ended { stream: StreamId },
}

/// Kind of a track.
pub use sanderling_media::Kind;

/// What happened, for the control plane.
#[derive(Debug, Clone)]
pub enum Event {
    /// An offer was answered, or made: the SDP is the answer or the offer.
    Answered {
        ticket: Ticket,
        session: SessionId,
        sdp: String,
        tracks: Vec<sanderling_rtc::TrackInfo>,
    },
    /// A stream was bound. Mids are empty where the stream has no such track or it was not wanted.
    Bound {
        ticket: Ticket,
        session: SessionId,
        stream: StreamId,
        slot: u16,
        audio_mid: String,
        video_mid: String,
        tracks: Vec<sanderling_rtc::TrackInfo>,
    },
    /// A command was carried out.
    Done { ticket: Ticket },
    /// A command failed.
    Failed {
        ticket: Ticket,
        reason: Reason,
        detail: String,
    },
    /// ICE and DTLS are up.
    Connected { session: SessionId },
    /// The session ended by itself.
    Closed {
        session: SessionId,
        reason: CloseReason,
    },
    /// First packet of a publisher's track.
    TrackStarted {
        stream: StreamId,
        kind: Kind,
        codec: String,
    },
    /// First packet of a binding was sent.
    Flowing {
        session: SessionId,
        stream: StreamId,
        mid: String,
        kind: Kind,
        rtp_timestamp: u32,
    },
    /// Once a second for each session that carries media: named counters.
    Stats {
        session: SessionId,
        values: Vec<(&'static str, f64)>,
    },
    /// Debug snapshot as JSON.
    Snapshot { ticket: Ticket, json: String },
}

/// Why a command failed; the control plane maps it to a product code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The SDP cannot be used; the detail says which line and why.
    BadOffer,
    /// No codec in common; the detail names both sides'.
    NoCodec,
    /// Every slot of the viewer is taken.
    NoSlot,
    /// No such session on this worker.
    UnknownSession,
    /// No such stream.
    UnknownStream,
    /// The number is in use, or the stream is already bound to this viewer.
    Duplicate,
    /// The node is full.
    TooManySessions,
}

/// Why a session ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// Never connected within the deadline.
    IceTimeout,
    /// The peer stopped answering or sending.
    ConsentExpired,
    /// The handshake failed.
    DtlsFailed,
    /// The peer closed.
    PeerClosed,
}

/// What a worker wants done, besides the datagrams that it puts into the caller's batch.
#[derive(Debug)]
pub enum Output {
    /// Hand to the control plane.
    Event(Event),
    /// Hand to another worker.
    Peer(WorkerId, PeerMessage),
    /// Nothing more until then (or until something arrives).
    WakeAt(Instant),
}
