//! RTCP as a browser sends and reads it (RFC 3550 section 6, RFC 4585, RFC 5104).

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;

/// Report blocks in one packet (five bits).
pub(crate) const BLOCK_LIMIT: usize = 31;
/// Pairs of a number and a mask in one request for missing packets.
const PAIR_LIMIT: usize = 64;

/// What a receiver says about one source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub ssrc: u32,
    /// Share lost since the last report, of 256.
    pub fraction: u8,
    /// Lost in all; 24 bits on the wire.
    pub lost: u32,
    /// Highest sequence number with 16 bits of rollover.
    pub highest: u32,
    /// Ticks of the media clock.
    pub jitter: u32,
    /// Middle of the NTP time of the last sender report, 0 for none, and the time since it came, 1/65 536 s.
    pub last_report: u32,
    pub delay: u32,
}

/// A compound packet that is being written.
pub(crate) struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// Begin at the start of `out`.
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Size so far, bytes.
    pub(crate) fn len(&self) -> usize {
        self.at
    }

    fn room(&mut self, size: usize) -> Option<&mut [u8]> {
        let room = self.out.get_mut(self.at..self.at + size)?;
        self.at += size;
        Some(room)
    }

    fn head(room: &mut [u8], count: u8, kind: u8, sender: u32) {
        let words = (room.len() / 4 - 1) as u16;
        room[..2].copy_from_slice(&[0x80 | count, kind]);
        room[2..4].copy_from_slice(&words.to_be_bytes());
        room[4..8].copy_from_slice(&sender.to_be_bytes());
    }

    /// Append a receiver report of at most [`BLOCK_LIMIT`] blocks.
    pub(crate) fn receiver_report(&mut self, sender: u32, blocks: &[Block]) -> Option<()> {
        let blocks = &blocks[..blocks.len().min(BLOCK_LIMIT)];
        let room = self.room(8 + 24 * blocks.len())?;
        Self::head(room, blocks.len() as u8, RR, sender);
        for (room, block) in room[8..].chunks_exact_mut(24).zip(blocks) {
            let lost = block.lost.min(0x7f_ffff).to_be_bytes();
            room[..4].copy_from_slice(&block.ssrc.to_be_bytes());
            room[4..8].copy_from_slice(&[block.fraction, lost[1], lost[2], lost[3]]);
            let words = [block.highest, block.jitter, block.last_report, block.delay];
            for (room, word) in room[8..].chunks_exact_mut(4).zip(words) {
                room.copy_from_slice(&word.to_be_bytes());
            }
        }
        Some(())
    }

    /// Append a sender report without blocks. `ntp` and `timestamp` are the same moment.
    pub(crate) fn sender_report(
        &mut self,
        sender: u32,
        ntp: u64,
        timestamp: u32,
        packets: u32,
        bytes: u32,
    ) -> Option<()> {
        let room = self.room(28)?;
        Self::head(room, 0, SR, sender);
        room[8..16].copy_from_slice(&ntp.to_be_bytes());
        for (room, word) in room[16..]
            .chunks_exact_mut(4)
            .zip([timestamp, packets, bytes])
        {
            room.copy_from_slice(&word.to_be_bytes());
        }
        Some(())
    }

    /// Append the name that joins the sources of one sender.
    pub(crate) fn name(&mut self, sender: u32, name: &str) -> Option<()> {
        let size = (8 + 2 + name.len() + 1).next_multiple_of(4);
        let room = self.room(size)?;
        room.fill(0);
        Self::head(room, 1, SDES, sender);
        room[8..10].copy_from_slice(&[1, name.len() as u8]);
        room[10..10 + name.len()].copy_from_slice(name.as_bytes());
        Some(())
    }

    /// Append a request for missing packets. `sequences` grow.
    pub(crate) fn missing(
        &mut self,
        sender: u32,
        ssrc: u32,
        sequences: impl Iterator<Item = u64>,
    ) -> Option<()> {
        let mut pairs = [(0_u64, 0_u16); PAIR_LIMIT];
        let mut count = 0;
        for sequence in sequences {
            if let Some((first, mask)) = pairs[..count].last_mut()
                && let bit @ 1..=16 = sequence - *first
            {
                *mask |= 1 << (bit - 1);
                continue;
            }
            if count == PAIR_LIMIT {
                break;
            }
            pairs[count] = (sequence, 0);
            count += 1;
        }
        let room = self.room(12 + 4 * count)?;
        Self::head(room, 1, RTPFB, sender);
        room[8..12].copy_from_slice(&ssrc.to_be_bytes());
        for (room, (sequence, mask)) in room[12..].chunks_exact_mut(4).zip(&pairs[..count]) {
            room[..2].copy_from_slice(&(*sequence as u16).to_be_bytes());
            room[2..].copy_from_slice(&mask.to_be_bytes());
        }
        Some(())
    }

    /// Append a request for a key frame.
    pub(crate) fn picture_loss(&mut self, sender: u32, ssrc: u32) -> Option<()> {
        let room = self.room(12)?;
        Self::head(room, 1, PSFB, sender);
        room[8..12].copy_from_slice(&ssrc.to_be_bytes());
        Some(())
    }
}

/// One thing that the other side says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// A sender report: source and NTP time.
    SenderReport { ssrc: u32, ntp: u64 },
    /// Packets of ours that are missing: pairs of a number and a mask, four bytes each.
    Missing { ssrc: u32, pairs: &'a [u8] },
    /// A key frame of ours is needed.
    KeyFrame { ssrc: u32 },
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Read a compound packet. It ends at the first part that is damaged.
pub(crate) fn read<'a>(mut data: &'a [u8], mut each: impl FnMut(Said<'a>)) {
    while let [first, kind, high, low, ..] = *data {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        let Some((packet, rest)) = data.split_at_checked(length) else {
            return;
        };
        data = rest;
        if first >> 6 != 2 {
            return;
        }
        let body = &packet[4..];
        match (kind, first & 0x1f) {
            (SR, _) => {
                if let (Some(ssrc), Some(seconds), Some(fraction)) =
                    (word(body, 0), word(body, 4), word(body, 8))
                {
                    let ntp = u64::from(seconds) << 32 | u64::from(fraction);
                    each(Said::SenderReport { ssrc, ntp });
                }
            }
            (RTPFB, 1) => {
                if let (Some(ssrc), Some(pairs)) = (word(body, 4), body.get(8..)) {
                    each(Said::Missing { ssrc, pairs });
                }
            }
            (PSFB, 1) => {
                if let Some(ssrc) = word(body, 4) {
                    each(Said::KeyFrame { ssrc });
                }
            }
            // FIR names its sources in entries of eight bytes (RFC 5104 section 4.3.1).
            (PSFB, 4) => {
                for entry in body.get(8..).unwrap_or_default().chunks_exact(8) {
                    if let Some(ssrc) = word(entry, 0) {
                        each(Said::KeyFrame { ssrc });
                    }
                }
            }
            _ => {}
        }
    }
}

/// Sequence numbers of the pairs of a request.
pub(crate) fn sequences(pairs: &[u8]) -> impl Iterator<Item = u16> {
    pairs.chunks_exact(4).flat_map(|pair| {
        let first = u16::from_be_bytes([pair[0], pair[1]]);
        let mask = u16::from_be_bytes([pair[2], pair[3]]);
        let rest = (0..16).filter(move |bit| mask & 1 << bit != 0);
        std::iter::once(first).chain(rest.map(move |bit| first.wrapping_add(bit + 1)))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut out = [0; 256];
        let mut writer = Writer::new(&mut out);
        writer
            .sender_report(1, 0x0102_0304_0506_0708, 9, 10, 11)
            .unwrap();
        writer.name(1, "load").unwrap();
        writer
            .missing(1, 2, [65_535, 65_536, 65_551, 65_600].into_iter())
            .unwrap();
        writer.picture_loss(1, 3).unwrap();
        let length = writer.len();
        let mut said = Vec::new();
        read(&out[..length], |one| said.push(one));
        let [sr, missing, key] = &said[..] else {
            unreachable!("three things are said: {said:?}");
        };
        assert_eq!(
            *sr,
            Said::SenderReport {
                ssrc: 1,
                ntp: 0x0102_0304_0506_0708
            }
        );
        let Said::Missing { ssrc: 2, pairs } = missing else {
            unreachable!("{missing:?}");
        };
        assert_eq!(sequences(pairs).collect::<Vec<_>>(), [65_535, 0, 15, 64]);
        assert_eq!(*key, Said::KeyFrame { ssrc: 3 });
    }

    #[test]
    fn a_report_byte_by_byte() {
        let block = Block {
            ssrc: 5,
            fraction: 64,
            lost: 0x01_0203,
            highest: 0x0001_0002,
            jitter: 7,
            last_report: 8,
            delay: 9,
        };
        let mut out = [0; 64];
        let mut writer = Writer::new(&mut out);
        writer.receiver_report(1, &[block]).unwrap();
        let expected = [
            0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 5, 64, 1, 2, 3, 0, 1, 0, 2, 0, 0, 0, 7, 0, 0, 0,
            8, 0, 0, 0, 9,
        ];
        assert_eq!(writer.len(), expected.len());
        assert_eq!(out[..expected.len()], expected);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut out = [0; 10];
        let mut writer = Writer::new(&mut out);
        assert!(writer.picture_loss(1, 2).is_none());
        assert_eq!(writer.len(), 0);
        let many = (0..10_000).map(|n| n * 20);
        let mut out = [0; 512];
        let mut writer = Writer::new(&mut out);
        writer.missing(1, 2, many).unwrap();
        assert_eq!(writer.len(), 12 + 4 * PAIR_LIMIT);
    }

    #[test]
    fn fir_names_its_sources() {
        let packet = [
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 3, 0, 0, 0,
        ];
        let mut said = Vec::new();
        read(&packet, |one| said.push(one));
        assert_eq!(said, [Said::KeyFrame { ssrc: 7 }]);
        for cut in 0..packet.len() {
            read(&packet[..cut], |one| unreachable!("{one:?} of {cut} bytes"));
        }
    }
}
