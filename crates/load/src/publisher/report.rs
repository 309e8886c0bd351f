//! What a publisher has to tell.

/// What a publisher did and was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublisherReport {
    /// Whether media may flow.
    pub connected: bool,
    /// When ICE and DTLS were done, nanoseconds of the caller's clock.
    pub connected_ns: Option<u64>,
    /// Packets of video that were sent, repairs not counted.
    pub packets_sent: u64,
    /// Bytes of their datagrams.
    pub bytes_sent: u64,
    /// Key frames that were asked for.
    pub key_frame_requests: u64,
    /// When, nanoseconds of the caller's clock; the first hundred thousand.
    pub request_times_ns: Vec<u64>,
    /// Numbers of packets that were asked for again.
    pub nacks: u64,
    /// Repairs that were sent.
    pub repairs_sent: u64,
    /// Packets among those sent that the system did not take: its buffer was full.
    pub refused: u64,
    /// Packets of the pattern that were due too long ago to be sent.
    pub skipped: u64,
    /// Why the connection is over.
    pub ended: Option<String>,
}
