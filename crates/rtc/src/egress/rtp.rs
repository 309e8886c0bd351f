//! RTP headers of packets that leave, and the numbers in VP8 payloads (RFC 3550, RFC 8285, RFC 7741).

use sanderling_media::{Extensions, PlayoutDelay, Vp8Picture};

use crate::sdp::{HeaderExtension, Section};

/// Size of the largest header, bytes.
pub(super) const HEADER_LIMIT: usize = FIXED + BLOCK;
/// Header without extensions.
const FIXED: usize = 12;
/// Largest extension block: its own header and every element, the mid with 16 bytes.
const BLOCK: usize = 4 + 48;
/// Longest mid that the one-byte form carries (RFC 8285 section 4.2).
const MID_LIMIT: usize = 16;

/// Ids of the header extensions that one section agreed on; 0 for those it did not.
#[derive(Debug, Clone, Default)]
pub(super) struct ExtensionIds {
    mid: u8,
    transport: u8,
    send_time: u8,
    playout: u8,
    capture: u8,
    level: u8,
    orientation: u8,
    content: u8,
    mid_value: [u8; MID_LIMIT],
    mid_length: u8,
}

/// Values that differ from packet to packet.
pub(super) struct Values<'a> {
    /// Whether the mid has to be sent: until the peer is known to have bound the SSRC.
    pub(super) mid: bool,
    /// Transport-wide sequence number.
    pub(super) transport: u16,
    /// Time of sending, 6.18 fixed-point seconds.
    pub(super) send_time: u32,
    /// Limits for the render delay.
    pub(super) playout: Option<PlayoutDelay>,
    /// What came with the packet.
    pub(super) from: &'a Extensions,
}

/// Fields of the fixed header.
pub(super) struct Fields {
    /// Marker bit.
    pub(super) marker: bool,
    /// Payload type.
    pub(super) payload_type: u8,
    /// Low 16 bits of the sequence number.
    pub(super) sequence: u16,
    /// RTP timestamp.
    pub(super) timestamp: u32,
    /// Source.
    pub(super) ssrc: u32,
}

/// An extension block under construction.
struct Block {
    bytes: [u8; BLOCK],
    at: usize,
}

impl Block {
    /// Append an element unless it was not agreed on.
    fn element(&mut self, id: u8, value: &[u8]) {
        if id == 0 {
            return;
        }
        if let Some([head, room @ ..]) = self.bytes.get_mut(self.at..self.at + 1 + value.len()) {
            *head = id << 4 | (value.len() as u8).wrapping_sub(1);
            room.copy_from_slice(value);
            self.at += 1 + value.len();
        }
    }
}

impl ExtensionIds {
    pub(super) fn of(section: &Section) -> Self {
        let id = |wanted| {
            let mut agreed = section.extensions.iter();
            agreed
                .find(|(_, extension)| *extension == wanted)
                .map_or(0, |(id, _)| *id)
        };
        let mut ids = Self {
            mid: id(HeaderExtension::Mid),
            transport: id(HeaderExtension::TransportWideCc),
            send_time: id(HeaderExtension::AbsSendTime),
            playout: id(HeaderExtension::PlayoutDelay),
            capture: id(HeaderExtension::AbsCaptureTime),
            level: id(HeaderExtension::AudioLevel),
            orientation: id(HeaderExtension::VideoOrientation),
            content: id(HeaderExtension::VideoContentType),
            ..Self::default()
        };
        let mid = section.mid.as_bytes();
        match ids.mid_value.get_mut(..mid.len()) {
            Some(room) if !mid.is_empty() => {
                room.copy_from_slice(mid);
                ids.mid_length = mid.len() as u8;
            }
            _ => ids.mid = 0,
        }
        ids
    }

    /// Whether packets are numbered across all streams of the transport.
    pub(super) fn counts_transport(&self) -> bool {
        self.transport != 0
    }

    /// Write a header to the start of `out`, which holds at least [`HEADER_LIMIT`] bytes. Returns its length.
    ///
    /// What every packet has stands first, and room for the playout delay is kept in packets without one, so that the
    /// packets of a frame are of one size: that is what UDP segmentation offload sends in one piece.
    pub(super) fn write(&self, out: &mut [u8], fields: &Fields, values: &Values<'_>) -> usize {
        let mut block = Block {
            bytes: [0; BLOCK],
            at: 4,
        };
        block.element(self.transport, &values.transport.to_be_bytes());
        block.element(self.send_time, &values.send_time.to_be_bytes()[1..]);
        match values.playout {
            Some(delay) => {
                let limits = u32::from(delay.min & 0xfff) << 12 | u32::from(delay.max & 0xfff);
                block.element(self.playout, &limits.to_be_bytes()[1..]);
            }
            None if self.playout != 0 => block.at += 4,
            None => {}
        }
        if values.mid {
            block.element(self.mid, &self.mid_value[..usize::from(self.mid_length)]);
        }
        let from = values.from;
        if let Some(unix_ns) = from.capture_unix_ns {
            block.element(self.capture, &ntp(unix_ns).to_be_bytes());
        }
        if let Some(level) = from.audio_level {
            let loudness = level.dbov.unsigned_abs() & 0x7f;
            block.element(self.level, &[u8::from(level.voice) << 7 | loudness]);
        }
        if let Some(quarter_turns) = from.orientation {
            // On the wire the turns are counted the other way round, as they are read at the publisher.
            block.element(self.orientation, &[quarter_turns.wrapping_neg() & 3]);
        }
        if let Some(content) = from.content_type {
            block.element(self.content, &[content]);
        }
        let length = block.at.next_multiple_of(4);
        let extended = length > 4;

        out[0] = 0x80 | u8::from(extended) << 4;
        out[1] = u8::from(fields.marker) << 7 | fields.payload_type & 0x7f;
        out[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
        if !extended {
            return FIXED;
        }
        block.bytes[..2].copy_from_slice(&[0xbe, 0xde]);
        block.bytes[3] = (length / 4 - 1) as u8;
        // The whole block in one copy of a known size; what is behind its end is overwritten by the payload.
        out[FIXED..FIXED + BLOCK].copy_from_slice(&block.bytes);
        FIXED + length
    }
}

/// Seconds between 1900, where NTP begins, and 1970, where Unix time does.
const NTP_OFFSET: u64 = 2_208_988_800;

/// Unix time as a 64-bit NTP timestamp.
pub(super) fn ntp(unix_ns: u64) -> u64 {
    let (seconds, ns) = (unix_ns / 1_000_000_000, unix_ns % 1_000_000_000);
    // Rounded, so that the way back gives the same nanosecond.
    let fraction = ((ns << 32) + 500_000_000) / 1_000_000_000;
    (seconds.wrapping_add(NTP_OFFSET) << 32).wrapping_add(fraction)
}

/// Put new numbers into a VP8 payload descriptor. A field that the payload does not have is left out.
pub(super) fn patch_vp8(payload: &mut [u8], picture: Vp8Picture) {
    let [first, extension, rest @ ..] = payload else {
        return;
    };
    if *first & 0x80 == 0 {
        return;
    }
    let mut at = 0;
    if *extension & 0x80 != 0 {
        let long = rest.first().is_some_and(|high| high & 0x80 != 0);
        let size = if long { 2 } else { 1 };
        if let (Some(number), Some(field)) = (picture.picture_id, rest.get_mut(..size)) {
            match field {
                [high, low] => {
                    [*high, *low] = (number | 0x8000).to_be_bytes();
                }
                [low] => *low = (number & 0x7f) as u8,
                _ => {}
            }
        }
        at = size;
    }
    if *extension & 0x40 != 0
        && let (Some(number), Some(field)) = (picture.tl0_index, rest.get_mut(at))
    {
        *field = number;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sanderling_media::AudioLevel;

    use super::*;

    fn ids() -> ExtensionIds {
        ExtensionIds {
            mid: 4,
            transport: 3,
            send_time: 2,
            playout: 5,
            capture: 7,
            level: 1,
            mid_value: *b"v1\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            mid_length: 2,
            ..ExtensionIds::default()
        }
    }

    const FIELDS: Fields = Fields {
        marker: true,
        payload_type: 96,
        sequence: 0x0102,
        timestamp: 0x0304_0506,
        ssrc: 0x0708_090a,
    };

    fn write(ids: &ExtensionIds, values: &Values<'_>) -> Vec<u8> {
        let mut out = [0xff; HEADER_LIMIT];
        let length = ids.write(&mut out, &FIELDS, values);
        out[..length].to_vec()
    }

    #[test]
    fn a_header_byte_by_byte() {
        let from = Extensions {
            audio_level: Some(AudioLevel {
                dbov: -30,
                voice: true,
            }),
            ..Extensions::default()
        };
        let mut values = Values {
            mid: true,
            transport: 0x1122,
            send_time: 0x00aa_bbcc,
            playout: Some(PlayoutDelay { min: 1, max: 0x234 }),
            from: &from,
        };
        let fixed = [0x90, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        let mut expected = fixed.to_vec();
        expected.extend([0xbe, 0xde, 0, 4, 0x31, 0x11, 0x22, 0x22, 0xaa, 0xbb, 0xcc]);
        expected.extend([0x52, 0x00, 0x12, 0x34, 0x41, b'v', b'1', 0x10, 0x9e]);
        assert_eq!(write(&ids(), &values), expected);

        let none = Extensions::default();
        (values.mid, values.playout, values.from) = (false, None, &none);
        let mut expected = fixed.to_vec();
        expected.extend([0xbe, 0xde, 0, 3, 0x31, 0x11, 0x22, 0x22, 0xaa, 0xbb, 0xcc]);
        expected.extend([0; 5]);
        assert_eq!(
            write(&ids(), &values),
            expected,
            "room for the delay is kept"
        );

        let mut bare = fixed.to_vec();
        bare[0] = 0x80;
        assert_eq!(write(&ExtensionIds::default(), &values), bare);
    }

    #[test]
    fn the_largest_block_fits() {
        let mut ids = ids();
        (ids.mid_length, ids.orientation, ids.content) = (16, 8, 9);
        let from = Extensions {
            audio_level: Some(AudioLevel {
                dbov: -1,
                voice: false,
            }),
            orientation: Some(3),
            playout_delay: None,
            capture_unix_ns: Some(1),
            content_type: Some(1),
        };
        let values = Values {
            mid: true,
            transport: 1,
            send_time: 1,
            playout: Some(PlayoutDelay::NONE),
            from: &from,
        };
        let header = write(&ids, &values);
        assert_eq!(header.len(), HEADER_LIMIT - 4);
        assert_eq!(header[HEADER_LIMIT - 7..HEADER_LIMIT - 5], [0x90, 1]);
    }

    #[test]
    fn vp8_numbers_are_written_where_the_payload_has_them() {
        let picture = Vp8Picture {
            picture_id: Some(0x1234),
            long: true,
            tl0_index: Some(9),
        };
        // (payload, patched)
        let rows: [(&[u8], &[u8]); 6] = [
            (
                &[0x90, 0xc0, 0x80, 1, 2, 7],
                &[0x90, 0xc0, 0x92, 0x34, 9, 7],
            ),
            (&[0x90, 0xc0, 0x01, 2, 7], &[0x90, 0xc0, 0x34, 9, 7]),
            (&[0x90, 0x40, 2, 7], &[0x90, 0x40, 9, 7]),
            (&[0x10, 0xc0, 0x80, 1, 2], &[0x10, 0xc0, 0x80, 1, 2]),
            (&[0x90, 0xc0, 0x80], &[0x90, 0xc0, 0x80]),
            (&[0x90], &[0x90]),
        ];
        for (payload, expected) in rows {
            let mut payload = payload.to_vec();
            patch_vp8(&mut payload, picture);
            assert_eq!(payload, expected);
        }
    }

    #[test]
    fn ntp_begins_seventy_years_earlier() {
        assert_eq!(ntp(0), NTP_OFFSET << 32);
        assert_eq!(ntp(1_500_000_000), (NTP_OFFSET + 1) << 32 | 0x8000_0000);
    }
}
