//! Numbers that run on from picture to picture, wherever a codec keeps them.
//!
//! A viewer that is switched from one stream to another must see them go on, as it must see sequence numbers go on.

use super::{Codec, vp8, vp9};
use crate::packet::Packet;

/// Numbers of one packet's picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PictureNumbers {
    /// PictureID of VP8 and VP9; frame_number of AV1's dependency descriptor.
    pub number: Option<u16>,
    /// Bits that the number has on the wire: 7 or 15, 16 for AV1.
    pub bits: u8,
    /// TL0PICIDX, 8 bits; VP9 has it in non-flexible mode alone, and AV1 has none.
    pub tl0_index: Option<u8>,
}

impl PictureNumbers {
    /// Numbers of a packet; `None` when its codec has none, or its descriptor is cut short or missing.
    pub fn of(packet: &Packet) -> Option<Self> {
        match packet.codec {
            Codec::Av1 => {
                let descriptor = packet.extensions.dependency.as_ref()?;
                Some(Self {
                    number: Some(descriptor.frame_number()),
                    bits: 16,
                    tl0_index: None,
                })
            }
            codec => Self::in_payload(codec, &packet.payload),
        }
    }

    /// Numbers that stand in a payload.
    pub fn in_payload(codec: Codec, payload: &[u8]) -> Option<Self> {
        match codec {
            Codec::Vp8 => vp8::numbers(payload),
            Codec::Vp9 => vp9::numbers(payload),
            Codec::Av1 | Codec::H264 | Codec::Opus => None,
        }
    }

    /// Write the numbers over those of a payload. A field that the payload does not have is left out; AV1's number
    /// stands in a header extension and is written with it.
    pub fn write(self, codec: Codec, payload: &mut [u8]) {
        match codec {
            Codec::Vp8 => vp8::write(payload, self),
            Codec::Vp9 => vp9::write(payload, self),
            Codec::Av1 | Codec::H264 | Codec::Opus => {}
        }
    }

    /// Highest value of the number on the wire.
    pub const fn mask(&self) -> u16 {
        match self.bits {
            16.. => u16::MAX,
            bits => (1 << bits) - 1,
        }
    }
}

/// A PictureID of 7 or 15 bits at the start of `field`, and its length.
pub(super) fn read_id(field: &[u8]) -> Option<(u16, u8, usize)> {
    match *field {
        [high, low, ..] if high & 0x80 != 0 => {
            Some((u16::from(high & 0x7f) << 8 | u16::from(low), 15, 2))
        }
        [low, ..] if low & 0x80 == 0 => Some((u16::from(low), 7, 1)),
        _ => None,
    }
}

/// Write a PictureID over the one at the start of `field`, at its width. Returns its length.
pub(super) fn write_id(field: &mut [u8], number: Option<u16>) -> Option<usize> {
    let (_, _, length) = read_id(field)?;
    if let Some(number) = number {
        match field {
            [high, low, ..] if length == 2 => {
                [*high, *low] = (number | 0x8000).to_be_bytes();
            }
            [low, ..] => *low = (number & 0x7f) as u8,
            [] => {}
        }
    }
    Some(length)
}
