//! Dependency descriptor of AV1 (AOM RTP payload format, appendix A): which frames a frame needs.

use std::sync::Arc;

/// First byte and frame number: what every descriptor has (appendix A.8.2).
const MANDATORY: usize = 3;
/// Most that a header extension holds (RFC 8285 section 4.3).
const LIMIT: usize = 255;

/// A descriptor as it came. All that is ours to change is its frame number: dependencies are differences of frame
/// numbers, and the template structure of a key frame goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyDescriptor(Arc<[u8]>);

impl DependencyDescriptor {
    /// Take the value of a header extension; `None` when it is too short for a descriptor, or longer than any.
    pub fn new(value: &[u8]) -> Option<Self> {
        (MANDATORY..=LIMIT)
            .contains(&value.len())
            .then(|| Self(value.into()))
    }

    /// The bytes that came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Number of the frame, 16 bits.
    pub fn frame_number(&self) -> u16 {
        match *self.0 {
            [_, high, low, ..] => u16::from_be_bytes([high, low]),
            _ => 0,
        }
    }

    /// Whether the packet is the first of its frame.
    pub fn starts_frame(&self) -> bool {
        self.0.first().is_some_and(|first| first & 0x80 != 0)
    }

    /// Whether the packet is the last of its frame.
    pub fn ends_frame(&self) -> bool {
        self.0.first().is_some_and(|first| first & 0x40 != 0)
    }

    /// Whether the templates that later descriptors refer to come with it, as they do with each key frame.
    pub fn has_structure(&self) -> bool {
        self.0.get(MANDATORY).is_some_and(|flags| flags & 0x80 != 0)
    }

    /// Copy the descriptor to `out`, which has its length, with another frame number.
    pub fn write(&self, frame_number: Option<u16>, out: &mut [u8]) {
        if out.len() == self.0.len() {
            out.copy_from_slice(&self.0);
            if let (Some(number), Some(field)) = (frame_number, out.get_mut(1..MANDATORY)) {
                field.copy_from_slice(&number.to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_by_table() {
        // (bytes, starts, ends, number, structure)
        let rows: [(&[u8], bool, bool, u16, bool); 4] = [
            (&[0x80, 0x12, 0x34], true, false, 0x1234, false),
            (&[0x45, 0xff, 0xff], false, true, 0xffff, false),
            (&[0xc0, 0, 1, 0x80, 0x01], true, true, 1, true),
            (&[0x00, 0, 0, 0x7f], false, false, 0, false),
        ];
        for (bytes, starts, ends, number, structure) in rows {
            let descriptor = DependencyDescriptor::new(bytes).unwrap();
            assert_eq!(descriptor.starts_frame(), starts, "{bytes:02x?}");
            assert_eq!(descriptor.ends_frame(), ends, "{bytes:02x?}");
            assert_eq!(descriptor.frame_number(), number, "{bytes:02x?}");
            assert_eq!(descriptor.has_structure(), structure, "{bytes:02x?}");
        }
        for length in [0, 2, 256] {
            assert!(DependencyDescriptor::new(&vec![0; length]).is_none());
        }
    }

    #[test]
    fn another_number_changes_nothing_else() {
        let bytes = [0xc0, 0x12, 0x34, 0x80, 7, 8, 9];
        let descriptor = DependencyDescriptor::new(&bytes).unwrap();
        let mut out = [0; 7];
        descriptor.write(Some(0xabcd), &mut out);
        assert_eq!(out, [0xc0, 0xab, 0xcd, 0x80, 7, 8, 9]);
        descriptor.write(None, &mut out);
        assert_eq!(out, bytes);
        let mut short = [0; 3];
        descriptor.write(None, &mut short);
        assert_eq!(short, [0; 3]);
    }
}
