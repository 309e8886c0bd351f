//! What a viewer, or all of them, have to tell.

use sanderling_media::Codec;

/// What a viewer has seen so far. Times are nanoseconds of the caller's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewerReport {
    /// When the session was opened.
    pub opened_ns: u64,
    /// When ICE and DTLS were done.
    pub connected_ns: Option<u64>,
    /// When the first packet of video came (of audio where there is no video).
    pub first_packet_ns: Option<u64>,
    /// When the first key frame was whole.
    pub first_key_frame_ns: Option<u64>,
    /// When another frame after it was whole.
    pub second_frame_ns: Option<u64>,
    /// Why the connection is over.
    pub ended: Option<String>,
    /// Counts over all sources.
    pub totals: Totals,
    /// The sources, in the order in which they came.
    pub streams: Vec<StreamReport>,
}

/// What a viewer has seen of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamReport {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Codec of its last packet.
    pub codec: Codec,
    /// Packets that came in their own right.
    pub packets: u64,
    /// Packets that never came, or too late.
    pub lost: u64,
    /// Packets that came as repairs.
    pub repaired: u64,
    /// When its first packet came.
    pub first_packet_ns: u64,
    /// When its first key frame was whole.
    pub first_key_frame_ns: Option<u64>,
    /// When another frame after it was whole.
    pub second_frame_ns: Option<u64>,
}

/// Counts over any number of viewers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Media packets that came in their own right.
    pub packets: u64,
    /// Bytes of all datagrams of media, repairs included.
    pub bytes: u64,
    /// Packets that never came, or came more than a second late.
    pub lost: u64,
    /// Packets that are missing and still waited for.
    pub missing: u64,
    /// Missing packets that came as repairs.
    pub repaired: u64,
    /// Packets that came more than once.
    pub repeated: u64,
    /// Packets that were opened and found right.
    pub checked: u64,
    /// Packets that were not authentic, damaged, or out of their order.
    pub corrupted: u64,
    /// Numbers of packets that were asked for again.
    pub nacks_sent: u64,
    /// Key frames that were asked for.
    pub key_frames_asked: u64,
    /// Packets that were thrown away on purpose.
    pub dropped: u64,
}

impl Totals {
    /// Add another viewer's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.missing += other.missing;
        self.repaired += other.repaired;
        self.repeated += other.repeated;
        self.checked += other.checked;
        self.corrupted += other.corrupted;
        self.nacks_sent += other.nacks_sent;
        self.key_frames_asked += other.key_frames_asked;
        self.dropped += other.dropped;
    }
}
