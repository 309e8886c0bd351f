//! RTP headers of packets that leave (RFC 3550, RFC 8285).

use sanderling_media::{Extensions, PictureNumbers, PlayoutDelay};

use crate::sdp::{HeaderExtension, Section};

/// Size of the largest header without a dependency descriptor, bytes.
pub(super) const HEADER_LIMIT: usize = FIXED + BLOCK;
/// Header without extensions.
const FIXED: usize = 12;
/// Largest extension block: its own header and every element, the mid with 16 bytes.
const BLOCK: usize = 4 + 48;
/// Bytes in front of an element: the short form, and the long one that a dependency descriptor needs (RFC 8285
/// sections 4.2 and 4.3).
const SHORT: usize = 1;
const LONG: usize = 2;
/// Largest extension block of long elements: one byte more for each, and a dependency descriptor.
const LONG_BLOCK: usize = BLOCK + 12 + LONG + 255 + 3;
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
    dependency: u8,
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
    /// Picture numbers, if they are not those that came.
    pub(super) picture: &'a Option<PictureNumbers>,
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

/// Size of the largest header that a packet with these values gets, bytes.
#[inline]
pub(super) fn header_limit(from: &Extensions) -> usize {
    let descriptor = from.dependency.as_ref();
    HEADER_LIMIT + descriptor.map_or(0, |value| LONG_BLOCK - BLOCK - 255 + value.as_bytes().len())
}

/// An extension block under construction, whose elements have `HEAD` bytes in front.
struct Block<const SIZE: usize, const HEAD: usize> {
    bytes: [u8; SIZE],
    at: usize,
}

impl<const SIZE: usize, const HEAD: usize> Block<SIZE, HEAD> {
    /// Room for an element's value, behind what stands in front of it.
    #[inline(always)]
    fn room(&mut self, id: u8, length: usize) -> Option<&mut [u8]> {
        let room = self.bytes.get_mut(self.at..self.at + HEAD + length)?;
        let (head, value) = room.split_at_mut(HEAD);
        match head {
            [short] => *short = id << 4 | (length as u8).wrapping_sub(1),
            [name, size] => (*name, *size) = (id, length as u8),
            _ => {}
        }
        self.at += HEAD + length;
        Some(value)
    }

    /// Append an element unless it was not agreed on.
    #[inline(always)]
    fn element(&mut self, id: u8, value: &[u8]) {
        if id != 0
            && let Some(room) = self.room(id, value.len())
        {
            room.copy_from_slice(value);
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
            dependency: id(HeaderExtension::DependencyDescriptor),
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

    /// Read a value.
    pub(super) fn warm(&self) -> u64 {
        u64::from(self.transport) ^ u64::from(self.mid_length)
    }

    /// Whether packets are numbered across all streams of the transport.
    #[inline]
    pub(super) fn counts_transport(&self) -> bool {
        self.transport != 0
    }

    /// Write a header to the start of `out`, which holds at least [`header_limit`] bytes. Returns its length.
    ///
    /// What every packet has stands first, and room for the playout delay is kept in packets without one, so that the
    /// packets of a frame are of one size: that is what UDP segmentation offload sends in one piece.
    pub(super) fn write(&self, out: &mut [u8], fields: &Fields, values: &Values<'_>) -> usize {
        if self.dependency != 0 && values.from.dependency.is_some() {
            return self.write_long(out, fields, values);
        }
        let mut block = self.block::<BLOCK, SHORT>(values);
        let length = block.at.next_multiple_of(4);
        let extended = length > 4;
        fields.write(out, extended);
        if !extended {
            return FIXED;
        }
        block.bytes[..2].copy_from_slice(&[0xbe, 0xde]);
        block.bytes[3] = (length / 4 - 1) as u8;
        // The whole block in one copy of a known size; what is behind its end is overwritten by the payload.
        out[FIXED..FIXED + BLOCK].copy_from_slice(&block.bytes);
        FIXED + length
    }

    /// The same with a dependency descriptor. That of a key frame is too long for the short form of elements.
    #[cold]
    fn write_long(&self, out: &mut [u8], fields: &Fields, values: &Values<'_>) -> usize {
        let mut block = self.block::<LONG_BLOCK, LONG>(values);
        if let Some(descriptor) = &values.from.dependency
            && let Some(room) = block.room(self.dependency, descriptor.as_bytes().len())
        {
            descriptor.write(values.picture.and_then(|picture| picture.number), room);
        }
        let length = block.at.next_multiple_of(4);
        fields.write(out, true);
        block.bytes[..2].copy_from_slice(&[0x10, 0x00]);
        block.bytes[3] = (length / 4 - 1) as u8;
        out[FIXED..FIXED + length].copy_from_slice(&block.bytes[..length]);
        FIXED + length
    }

    /// The elements that every packet may have, behind room for the block's header.
    #[inline(always)]
    fn block<const SIZE: usize, const HEAD: usize>(
        &self,
        values: &Values<'_>,
    ) -> Block<SIZE, HEAD> {
        let mut block = Block {
            bytes: [0; SIZE],
            at: 4,
        };
        block.element(self.transport, &values.transport.to_be_bytes());
        block.element(self.send_time, &values.send_time.to_be_bytes()[1..]);
        match values.playout {
            Some(delay) => {
                let limits = u32::from(delay.min & 0xfff) << 12 | u32::from(delay.max & 0xfff);
                block.element(self.playout, &limits.to_be_bytes()[1..]);
            }
            None if self.playout != 0 => block.at += HEAD + 3,
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
        block
    }
}

impl Fields {
    /// Write the fixed header.
    #[inline(always)]
    fn write(&self, out: &mut [u8], extended: bool) {
        out[0] = 0x80 | u8::from(extended) << 4;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sanderling_media::{AudioLevel, DependencyDescriptor};

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
            picture: &None,
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
            dependency: None,
        };
        let values = Values {
            mid: true,
            transport: 1,
            send_time: 1,
            playout: Some(PlayoutDelay::NONE),
            picture: &None,
            from: &from,
        };
        let header = write(&ids, &values);
        assert_eq!(header.len(), HEADER_LIMIT - 4);
        assert_eq!(header[HEADER_LIMIT - 7..HEADER_LIMIT - 5], [0x90, 1]);
        let longest = Extensions {
            dependency: DependencyDescriptor::new(&[7; 255]),
            ..from.clone()
        };
        let mut out = [0xff; HEADER_LIMIT + 300];
        ids.dependency = 14;
        let values = Values {
            from: &longest,
            ..values
        };
        let length = ids.write(&mut out, &FIELDS, &values);
        assert!(length <= header_limit(&longest), "{length}");
        assert_eq!(out[length - 8..length - 1], [7; 7]);
    }

    #[test]
    fn a_dependency_descriptor_takes_the_long_form() {
        let descriptor = [
            0xc0, 0x12, 0x34, 0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
        ];
        let from = Extensions {
            dependency: DependencyDescriptor::new(&descriptor),
            ..Extensions::default()
        };
        let values = Values {
            mid: true,
            transport: 0x1122,
            send_time: 0x00aa_bbcc,
            playout: None,
            picture: &Some(PictureNumbers {
                number: Some(0xabcd),
                bits: 16,
                tl0_index: None,
            }),
            from: &from,
        };
        let with = ExtensionIds {
            dependency: 12,
            ..ids()
        };
        let mut expected = vec![0x90, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
        expected.extend([0x10, 0, 0, 10, 3, 2, 0x11, 0x22, 2, 3, 0xaa, 0xbb, 0xcc]);
        expected.extend([0, 0, 0, 0, 0, 4, 2, b'v', b'1', 12, 17, 0xc0, 0xab, 0xcd]);
        expected.extend(&descriptor[3..]);
        expected.resize(FIXED + 44, 0);
        let mut out = [0xff; 400];
        let length = with.write(&mut out, &FIELDS, &values);
        assert_eq!(out[..length], expected);
        assert!(length <= header_limit(&from));
        // Who did not agree to it gets the short form without it.
        let length = ids().write(&mut out, &FIELDS, &values);
        assert_eq!(out[12..length], write(&ids(), &values)[12..]);
        assert_eq!(out[12..14], [0xbe, 0xde]);
    }

    #[test]
    fn ntp_begins_seventy_years_earlier() {
        assert_eq!(ntp(0), NTP_OFFSET << 32);
        assert_eq!(ntp(1_500_000_000), (NTP_OFFSET + 1) << 32 | 0x8000_0000);
    }
}
