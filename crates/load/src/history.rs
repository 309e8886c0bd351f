//! Packets that were sent, for repairs.

/// Packets that are kept: a second at 16 Mbit/s.
const KEPT: usize = 2_048;

/// A packet that was sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
}

/// The last packets of one source. Their buffers are used again.
#[derive(Debug)]
pub(crate) struct History {
    slots: Vec<Sent>,
    next: Option<u64>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![Sent::default(); KEPT],
            next: None,
        }
    }

    /// Keep the next packet.
    pub(crate) fn keep(&mut self, sequence: u64, timestamp: u32, marker: bool, payload: &[u8]) {
        let slot = &mut self.slots[(sequence % KEPT as u64) as usize];
        (slot.sequence, slot.timestamp, slot.marker) = (sequence, timestamp, marker);
        slot.payload.clear();
        slot.payload.extend_from_slice(payload);
        self.next = Some(sequence + 1);
    }

    /// Find the packet with these low bits in its number, as long as it is kept.
    pub(crate) fn find(&self, sequence: u16) -> Option<&Sent> {
        let next = self.next?;
        let back = u64::from((next as u16).wrapping_sub(sequence));
        let sequence = next
            .checked_sub(back)
            .filter(|_| (1..=KEPT as u64).contains(&back))?;
        let sent = &self.slots[(sequence % KEPT as u64) as usize];
        (sent.sequence == sequence && !sent.payload.is_empty()).then_some(sent)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_until_they_are_overwritten() {
        let mut history = History::new();
        assert!(history.find(0).is_none());
        for sequence in 65_000..65_000 + KEPT as u64 + 1_000 {
            history.keep(sequence, sequence as u32, false, &sequence.to_be_bytes());
        }
        let last = 65_000 + KEPT as u64 + 999;
        for sequence in [last, last - 1_500, last + 1 - KEPT as u64] {
            let sent = history.find(sequence as u16).unwrap();
            assert_eq!(
                (sent.sequence, sent.payload.as_slice()),
                (sequence, &sequence.to_be_bytes()[..])
            );
        }
        assert!(history.find((last + 1) as u16).is_none(), "not sent yet");
        assert!(
            history.find((last - KEPT as u64) as u16).is_none(),
            "overwritten"
        );
    }
}
