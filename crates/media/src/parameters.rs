//! Parameter sets of an H.264 stream, kept apart from its pictures.

use std::sync::Arc;

const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
/// A NAL unit that is longer is no parameter set that anybody makes.
const UNIT_LIMIT: usize = 512;

/// The newest sequence and picture parameter set of a stream (RFC 6184 sends them as NAL units of their own or
/// together in a STAP-A; they are too short to be fragmented).
#[derive(Debug, Clone, Default)]
pub(crate) struct ParameterSets {
    sequence: Vec<u8>,
    picture: Vec<u8>,
    /// Both in one payload.
    payload: Option<Arc<[u8]>>,
}

impl ParameterSets {
    /// Take in what a payload holds. True when there is a sequence parameter set in it.
    pub(crate) fn learn(&mut self, payload: &[u8]) -> bool {
        match payload {
            [first, ..] if matches!(first & 0x1f, SPS | PPS) => self.unit(payload),
            [first, units @ ..] if first & 0x1f == STAP_A => {
                let (mut units, mut found) = (units, false);
                while let [high, low, rest @ ..] = units {
                    let size = usize::from(u16::from_be_bytes([*high, *low]));
                    let Some(unit) = rest.get(..size) else {
                        break;
                    };
                    found |= self.unit(unit);
                    units = &rest[size..];
                }
                found
            }
            _ => false,
        }
    }

    fn unit(&mut self, unit: &[u8]) -> bool {
        let kind = unit.first().map_or(0, |first| first & 0x1f);
        let known = match kind {
            SPS => &mut self.sequence,
            PPS => &mut self.picture,
            _ => return false,
        };
        if unit.len() <= UNIT_LIMIT && known.as_slice() != unit {
            known.clear();
            known.extend_from_slice(unit);
            self.payload = self.aggregate();
        }
        kind == SPS
    }

    /// STAP-A (RFC 6184 section 5.7.1) of both; its importance is that of the sequence parameter set.
    fn aggregate(&self) -> Option<Arc<[u8]>> {
        let first = self.sequence.first().filter(|_| !self.picture.is_empty())?;
        let mut payload = vec![first & 0xe0 | STAP_A];
        for unit in [&self.sequence, &self.picture] {
            payload.extend_from_slice(&u16::try_from(unit.len()).ok()?.to_be_bytes());
            payload.extend_from_slice(unit);
        }
        Some(Arc::from(payload))
    }

    /// Both parameter sets as one RTP payload; `None` until both came.
    pub(crate) fn payload(&self) -> Option<Arc<[u8]>> {
        self.payload.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_found_alone_and_together_and_the_newest_counts() {
        let mut sets = ParameterSets::default();
        assert!(sets.learn(&[0x67, 9]));
        assert!(sets.payload().is_none(), "no picture parameter set yet");
        assert!(!sets.learn(&[0x68, 8]));
        assert!(!sets.learn(&[0x65, 8]) && !sets.learn(&[]) && !sets.learn(&[0x7c, 0x85]));
        assert_eq!(
            *sets.payload().unwrap(),
            [0x78, 0, 2, 0x67, 9, 0, 2, 0x68, 8]
        );
        assert!(sets.learn(&[0x78, 0, 3, 0x67, 1, 2, 0, 1, 0x68, 0, 9, 0x67]));
        assert_eq!(
            *sets.payload().unwrap(),
            [0x78, 0, 3, 0x67, 1, 2, 0, 1, 0x68]
        );
        let long = [&[0x67; 1], [3; 600].as_slice()].concat();
        assert!(sets.learn(&long));
        assert_eq!(sets.payload().unwrap().len(), 9);
    }
}
