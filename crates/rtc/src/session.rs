//! The one face of a peer's transport, whichever engine is behind it.

use std::time::Instant;

use sanderling_media::{Kind, LayerStore, Packet, Path, PictureNumbers, PlayoutDelay};

use crate::sdp::Rejected;
use crate::track::TrackInfo;

/// One peer's transport: ICE, DTLS, SRTP and RTCP, without sockets and without a clock.
///
/// **Drain contract.** After each call that takes `now` (except [`Session::write`] and [`Session::close`], which put
/// what must leave at once into their batch), call [`Session::poll`] until it returns [`Output::WakeAt`]. `now` never
/// goes backwards. Datagrams are written into memory of the caller's; no signature forces an allocation.
///
/// A publisher's session has tracks and no slots, a viewer's has slots and no tracks. Methods of the other role do
/// nothing and say so in what they return.
pub trait Session {
    /// Take in a datagram. What it proves about its path tells the caller whether to learn the address.
    fn handle_datagram(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Accepted;

    /// Let time pass.
    fn handle_timeout(&mut self, now: Instant);

    /// Take the next thing that the session wants done. A datagram is written to the start of `buffer`, which holds
    /// at least [`MAX_DATAGRAM`] bytes.
    fn poll(&mut self, now: Instant, buffer: &mut [u8]) -> Output;

    /// Answer a later offer of the same session: more media sections, an ICE restart.
    fn renegotiate(&mut self, now: Instant, offer: &str) -> Result<String, Rejected>;

    /// ICE user fragment of ours, by which requests from unknown addresses find the session. A renegotiation may
    /// change it.
    fn fragment(&self) -> &str;

    /// Tracks that come in, in the order of the offer.
    fn tracks(&self) -> &[TrackInfo];

    /// Number of slots; slot `i` is the `i`-th audio section with the `i`-th video section.
    fn slots(&self) -> u16;

    /// Name the media section of a slot; `None` when it has none of that kind.
    fn slot_mid(&self, slot: u16, kind: Kind) -> Option<&str>;

    /// Say which codecs a slot takes, for a message to people.
    fn slot_codecs(&self, slot: u16, kind: Kind) -> String;

    /// Make a slot send a track's codec from now on. False when the slot has no payload type for it.
    fn bind(&mut self, slot: u16, track: &TrackInfo) -> bool;

    /// Where packets of a bound section are found that the peer asks for again. Until the slot is unbound, everything
    /// that is written to it must be kept there too. An engine that keeps packets itself needs none.
    fn repair_from(&mut self, _slot: u16, _kind: Kind, _store: &LayerStore) {}

    /// Stop sending on both sections of a slot.
    fn unbind(&mut self, slot: u16);

    /// Send a packet on a bound slot, under the sequence number and timestamp of `header`.
    fn write<B: Batch>(
        &mut self,
        now: Instant,
        slot: u16,
        packet: &Packet,
        header: Header,
        batch: &mut B,
    ) -> Result<(), WriteError>;

    /// Read what the next write to a slot needs, so that it lies in the processor's cache. It changes nothing and is
    /// worth a call for several sessions in a row: their reads overlap, those of writes one after the other do not.
    fn warm(&self, _slot: u16, _kind: Kind) {}

    /// Whether nothing has happened since [`Session::poll`] last returned [`Output::WakeAt`] that another call would
    /// bring out: a write usually leaves nothing behind.
    fn is_drained(&self) -> bool {
        false
    }

    /// Name the protection profile that the handshake agreed on, as in the registry of RFC 5764 section 4.1.2; `None`
    /// before it, and where the engine does not tell.
    fn protection(&self) -> Option<&'static str> {
        None
    }

    /// Ask the peer for a key frame of one layer of a track. False when there is no such thing to ask.
    fn request_key_frame(&mut self, now: Instant, track: usize, layer: u8) -> bool;

    /// Send a message on a data channel that the peer opened. False when there is no such channel, when the message is
    /// larger than 64 KiB, when the peer reads too slowly, or from an engine that has no data channels.
    fn send_data(&mut self, _now: Instant, _channel: u16, _binary: bool, _message: &[u8]) -> bool {
        false
    }

    /// What may be sent to the peer over all its slots, by its feedback. `None` while there is no feedback, and from an
    /// engine that estimates nothing: then nothing is known of the path, and nobody is to be held back.
    fn allowance(&self, _now: Instant) -> Option<Allowance> {
        None
    }

    /// Counters since the session began.
    fn statistics(&self) -> Statistics;

    /// Say goodbye to the peer into `batch`. Nothing comes out of the session afterwards.
    fn close<B: Batch>(&mut self, now: Instant, batch: &mut B);
}

/// Size of the largest datagram that a session sends, bytes.
pub const MAX_DATAGRAM: usize = 2048;

/// Where finished datagrams are put.
pub trait Batch {
    /// Append one datagram.
    fn push(&mut self, path: Path, datagram: &[u8]);

    /// When what is appended next leaves, as far as that is known. A turn that began at `now` may last for many
    /// milliseconds, and the last packets' wait in it is no delay of their path.
    fn leaves_at(&self, now: Instant) -> Instant {
        now
    }

    /// Append one datagram that `write` makes in place: it gets at least `limit` bytes of room, at most
    /// [`MAX_DATAGRAM`], and returns how many it used; 0 for none.
    fn put(&mut self, path: Path, limit: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        let mut room = [0; MAX_DATAGRAM];
        let room = &mut room[..limit.min(MAX_DATAGRAM)];
        let used = write(room).min(room.len());
        if used > 0 {
            self.push(path, &room[..used]);
        }
    }
}

/// What a datagram proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It was a STUN request with our credentials: the path belongs to this peer.
    Path,
    /// It went into the session; nothing is proved about its path.
    Data,
    /// It was none of ours and changed nothing.
    No,
}

/// RTP header fields of a forwarded packet that each receiver counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Sequence number extended to 64 bits; begins below 2^16 on every slot (RFC 3711 section 3.3.1: the rollover
    /// counter begins at 0).
    pub sequence: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// New picture numbers; `None` leaves those that came.
    pub picture: Option<PictureNumbers>,
    /// Limits for the receiver's render delay, which the server sets; `None` leaves the receiver's as they are.
    pub playout_delay: Option<PlayoutDelay>,
}

/// Why a packet was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// Not connected yet, or closed.
    NotConnected,
    /// No such slot, or nothing bound to its section of this kind.
    NotBound,
    /// It does not fit into a datagram.
    TooLarge,
    /// Something was sent under this sequence number, or long after it: a cipher must not use a number twice.
    Repeated,
}

/// What a session wants done.
#[derive(Debug)]
pub enum Output {
    /// Send the first `len` bytes of the caller's buffer.
    Transmit {
        /// Where to.
        path: Path,
        /// Bytes.
        len: usize,
    },
    /// Something happened.
    Event(Event),
    /// Nothing more until then, or until something arrives. `None`: no timer runs.
    WakeAt(Option<Instant>, WakeReason),
}

/// What happened in a session.
#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are up.
    Connected,
    /// The peer said goodbye.
    PeerClosed,
    /// The handshake failed.
    HandshakeFailed,
    /// A packet of a track came in.
    Packet {
        /// Index in [`Session::tracks`].
        track: usize,
        /// The packet.
        packet: Packet,
    },
    /// A message came on a data channel.
    Data {
        /// The channel: its SCTP stream.
        channel: u16,
        /// Whether it is binary, not text.
        binary: bool,
        /// The message, at most 64 KiB.
        message: Vec<u8>,
    },
    /// The peer needs a key frame on a slot.
    KeyFrameNeeded {
        /// The slot.
        slot: u16,
    },
}

/// Why a session wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeReason {
    /// Nothing is due.
    Idle,
    /// DTLS retransmission.
    Dtls,
    /// ICE.
    Ice,
    /// Reports and feedback: sender and receiver reports, transport-wide feedback, negative acknowledgements.
    Feedback,
    /// Packets wait to leave.
    Send,
    /// Statistics are gathered.
    Statistics,
    /// Anything else of the engine's.
    Other,
}

/// ICE user fragment and password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`
    pub fragment: String,
    /// `a=ice-pwd`
    pub password: String,
}

impl std::fmt::Debug for IceCredentials {
    /// The password stays out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials")
            .field("fragment", &self.fragment)
            .finish_non_exhaustive()
    }
}

/// What the path to a viewer carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// Estimate, bits per second, of all that is sent. Until the path has shown a limit it is a guess that is larger
    /// than any stream.
    pub bits_per_second: f64,
    /// A queue grows on the path, or nothing is heard of what was sent: more than the path carries is on its way.
    pub congested: bool,
}

/// Counters of a session since it began. A counter that does not belong to the role stays 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// RTP packets received by a publisher's session or sent by a viewer's, repairs included.
    pub packets: u64,
    /// Payload bytes of those packets.
    pub bytes: u64,
    /// Packets that never came (publisher).
    pub lost: u64,
    /// Negative acknowledgements sent (publisher) or received (viewer).
    pub nacks: u64,
    /// Key-frame requests sent (publisher) or received (viewer).
    pub key_frame_requests: u64,
    /// Repair packets sent (viewer).
    pub retransmitted: u64,
    /// Share of packets that the viewer's last reports called lost, 0 to 1.
    pub loss: f64,
    /// Round-trip time, milliseconds, when one was measured.
    pub rtt_ms: Option<f64>,
    /// Bits per second that reach the viewer, by its transport-wide feedback.
    pub delivered_bps: Option<f64>,
    /// Bits per second that the path to the viewer carries ([`Allowance::bits_per_second`]), or that the viewer's own
    /// estimate (REMB) says.
    pub estimate_bps: Option<f64>,
}
