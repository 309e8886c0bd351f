//! Numbers under which nothing may be sealed again.

/// Sequence numbers that the packets of one source have used. A second packet under the same number would give the
/// cipher the same nonce twice, which gives its key away (RFC 7714 section 8.4).
#[derive(Debug, Default)]
pub(in crate::egress) struct Used {
    next: u64,
    /// One bit for each of the last numbers before `next`; without them all of those are used.
    bits: Option<Box<[u64; USED_WORDS]>>,
}

/// Room for 1 024 numbers: repairs of a publisher's packets come that late at most.
const USED_WORDS: usize = 16;

impl Used {
    /// Read the word that the next number is in.
    pub(in crate::egress) fn warm(&self) -> u64 {
        let bits = self.bits.as_deref();
        bits.map_or(self.next, |bits| bits[Self::place(self.next).0])
    }

    /// Keep only that no number so far may be used any more.
    pub(in crate::egress) fn pass(&mut self) {
        self.bits = None;
    }

    const fn place(sequence: u64) -> (usize, u64) {
        ((sequence / 64) as usize % USED_WORDS, 1 << (sequence % 64))
    }

    /// Use a number. False when it was used, or is so old that nobody knows.
    #[inline]
    pub(in crate::egress) fn take(&mut self, sequence: u64) -> bool {
        let reach = USED_WORDS as u64 * 64;
        let bits = self
            .bits
            .get_or_insert_with(|| Box::new([u64::MAX; USED_WORDS]));
        if sequence >= self.next {
            if sequence - self.next >= reach {
                **bits = [0; USED_WORDS];
            } else {
                for skipped in self.next..sequence {
                    let (word, bit) = Self::place(skipped);
                    bits[word] &= !bit;
                }
            }
            self.next = sequence + 1;
        } else {
            let (word, bit) = Self::place(sequence);
            if self.next - sequence > reach || bits[word] & bit != 0 {
                return false;
            }
        }
        let (word, bit) = Self::place(sequence);
        bits[word] |= bit;
        true
    }
}
