//! One media packet, without its transport: no SSRC, no payload type, no cipher.

use std::sync::Arc;
use std::time::Instant;

use crate::codec::{self, Codec, DependencyDescriptor, Kind};

/// Loudness of an audio packet (RFC 6464).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// Level in dBov, 0 (loudest) down to -127.
    pub dbov: i8,
    /// Whether the encoder believes that it is speech.
    pub voice: bool,
}

/// Limits that a receiver is asked to keep for its render delay, in units of 10 ms as on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// Smallest delay, 10 ms units, at most 4095.
    pub min: u16,
    /// Largest delay, 10 ms units, at most 4095.
    pub max: u16,
}

impl PlayoutDelay {
    /// Render as soon as a frame is complete.
    pub const NONE: Self = Self { min: 0, max: 0 };
    /// The longest delay that the extension can say, 10 ms units.
    pub const LONGEST: u16 = 4095;
}

/// Header-extension values that are worth forwarding; the ids are each transport's own affair.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions {
    /// RFC 6464 level, audio only.
    pub audio_level: Option<AudioLevel>,
    /// 3GPP coordination of video orientation: clockwise quarter turns, 0 to 3.
    pub orientation: Option<u8>,
    /// Limits for the receiver's render delay.
    pub playout_delay: Option<PlayoutDelay>,
    /// Capture time of abs-capture-time, mapped to this node: nanoseconds of Unix time.
    pub capture_unix_ns: Option<u64>,
    /// Video content type (1 = screen share).
    pub content_type: Option<u8>,
    /// Dependency descriptor of an AV1 packet.
    pub dependency: Option<DependencyDescriptor>,
}

/// What a payload says about the frame it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameMark {
    /// The packet is the first of its frame, as far as the payload tells.
    pub frame_start: bool,
    /// The packet begins a frame from which a decoder can start.
    pub key_frame: bool,
}

/// One packet of one layer of one track, as it is shared by every viewer.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Audio or video.
    pub kind: Kind,
    /// Codec of the payload.
    pub codec: Codec,
    /// Simulcast layer, 0 for the first rid of the offer (or the only layer).
    pub layer: u8,
    /// Sequence number extended to 64 bits; the low 16 are those on the publisher's wire.
    pub sequence: u64,
    /// RTP timestamp, ticks of [`Kind::clock_rate`].
    pub timestamp: u32,
    /// Marker bit: last packet of a video frame, first after silence for audio.
    pub marker: bool,
    /// See [`FrameMark::frame_start`].
    pub frame_start: bool,
    /// See [`FrameMark::key_frame`].
    pub key_frame: bool,
    /// Values of header extensions.
    pub extensions: Extensions,
    /// When the datagram came in.
    pub arrival: Instant,
    /// When the media was captured, on this node's clock and never after `arrival`. A publisher's audio and video
    /// share one mapping, so their difference is the publisher's own.
    pub captured: Instant,
    /// RTP payload, without padding; cloning it copies a pointer.
    pub payload: Arc<[u8]>,
}

impl Packet {
    /// Look the frame flags up in the payload.
    pub fn mark(codec: Codec, payload: &[u8]) -> FrameMark {
        codec::mark(codec, payload)
    }
}
