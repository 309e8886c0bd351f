//! RTCP as a viewer sends it, and as the server does (RFC 3550 section 6, RFC 4585, RFC 5104).

/// Bytes of one sender report without blocks.
pub(super) const SENDER_REPORT: usize = 28;
/// Sources that one BYE or SDES names (RFC 3550: a count of five bits).
pub(super) const COUNT_LIMIT: usize = 31;

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;

/// One thing that a viewer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Feedback<'a> {
    /// A report block.
    Report {
        /// Our source.
        ssrc: u32,
        /// Share lost since the last report, of 256.
        lost: u8,
        /// Middle of the NTP time of our last report; 0 when none came.
        last_report: u32,
        /// Time since that report, 1/65 536 s.
        delay: u32,
    },
    /// Packets that are missing: pairs of a sequence number and a mask of those after it (RFC 4585 section 6.2.1).
    Missing {
        /// Our source.
        ssrc: u32,
        /// The pairs, four bytes each.
        pairs: &'a [u8],
    },
    /// A key frame is needed.
    KeyFrame {
        /// Our source.
        ssrc: u32,
        /// Number of the request, for the kind that is repeated (FIR).
        number: Option<u8>,
    },
    /// Transport-wide feedback, without its header.
    Transport(&'a [u8]),
    /// The receiver's own estimate, bits per second.
    Estimate(u64),
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Read a compound packet. It ends at the first part that is damaged.
pub(super) fn read<'a>(mut data: &'a [u8], mut each: impl FnMut(Feedback<'a>)) {
    while let [first, kind, high, low, ..] = *data {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        let Some((packet, rest)) = data.split_at_checked(length) else {
            return;
        };
        data = rest;
        if first >> 6 != 2 {
            return;
        }
        let padding = match packet.last() {
            Some(count) if first & 0x20 != 0 => usize::from(*count),
            _ => 0,
        };
        let Some(body) = length
            .checked_sub(padding)
            .and_then(|end| packet.get(4..end))
        else {
            return;
        };
        let count = first & 0x1f;
        match kind {
            SR => blocks(body.get(24..).unwrap_or_default(), count, &mut each),
            RR => blocks(body.get(4..).unwrap_or_default(), count, &mut each),
            RTPFB | PSFB => feedback(kind, count, body, &mut each),
            _ => {}
        }
    }
}

fn blocks<'a>(blocks: &'a [u8], count: u8, each: &mut impl FnMut(Feedback<'a>)) {
    for block in blocks.chunks_exact(24).take(usize::from(count)) {
        if let (Some(ssrc), Some(last_report), Some(delay)) =
            (word(block, 0), word(block, 16), word(block, 20))
        {
            each(Feedback::Report {
                ssrc,
                lost: block[4],
                last_report,
                delay,
            });
        }
    }
}

fn feedback<'a>(kind: u8, format: u8, body: &'a [u8], each: &mut impl FnMut(Feedback<'a>)) {
    let (Some(ssrc), Some(rest)) = (word(body, 4), body.get(8..)) else {
        return;
    };
    match (kind, format) {
        (RTPFB, 1) => each(Feedback::Missing {
            ssrc,
            pairs: &rest[..rest.len() & !3],
        }),
        (RTPFB, 15) => each(Feedback::Transport(rest)),
        (PSFB, 1) => each(Feedback::KeyFrame { ssrc, number: None }),
        (PSFB, 4) => {
            // RFC 5104 section 4.3.1: the sources stand in the entries.
            for entry in rest.chunks_exact(8) {
                if let Some(ssrc) = word(entry, 0) {
                    let number = Some(entry[4]);
                    each(Feedback::KeyFrame { ssrc, number });
                }
            }
        }
        (PSFB, 15) if rest.starts_with(b"REMB") => {
            if let Some(value) = word(rest, 4) {
                let (exponent, mantissa) = (value >> 18 & 0x3f, value & 0x3_ffff);
                let rate = u64::from(mantissa).checked_shl(exponent).unwrap_or(0);
                each(Feedback::Estimate(rate));
            }
        }
        _ => {}
    }
}

/// Sequence numbers of one pair of a negative acknowledgement.
pub(super) fn missing(pair: &[u8]) -> impl Iterator<Item = u16> {
    let (first, mask) = match *pair {
        [a, b, c, d] => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        _ => (0, 0),
    };
    let later = (0..16_u16).filter(move |bit| mask >> bit & 1 != 0);
    std::iter::once(first).chain(later.map(move |bit| first.wrapping_add(bit + 1)))
}

/// A compound packet under construction in memory of the caller's.
pub(super) struct Compound<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Compound<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Length so far.
    pub(super) fn length(&self) -> usize {
        self.at
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.out.get_mut(self.at..self.at + bytes.len()) {
            room.copy_from_slice(bytes);
            self.at += bytes.len();
        }
    }

    fn header(&mut self, count: usize, kind: u8, length: usize) {
        let words = ((length / 4).wrapping_sub(1) as u16).to_be_bytes();
        self.put(&[0x80 | count as u8 & 0x1f, kind, words[0], words[1]]);
    }

    /// A sender report without blocks.
    pub(super) fn sender_report(
        &mut self,
        ssrc: u32,
        ntp: u64,
        timestamp: u32,
        packets: u32,
        octets: u32,
    ) {
        self.header(0, SR, SENDER_REPORT);
        self.put(&ssrc.to_be_bytes());
        self.put(&ntp.to_be_bytes());
        for value in [timestamp, packets, octets] {
            self.put(&value.to_be_bytes());
        }
    }

    /// A receiver report without blocks, which must stand first where there is no sender report.
    pub(super) fn empty_report(&mut self, ssrc: u32) {
        self.header(0, RR, 8);
        self.put(&ssrc.to_be_bytes());
    }

    /// The canonical name of up to [`COUNT_LIMIT`] sources.
    pub(super) fn names(&mut self, ssrcs: &[u32], cname: &str) {
        // SSRC, type, length, text, and at least one zero to the next multiple of four.
        let chunk = (6 + cname.len() + 1).next_multiple_of(4);
        self.header(ssrcs.len(), SDES, 4 + chunk * ssrcs.len());
        for ssrc in ssrcs {
            self.put(&ssrc.to_be_bytes());
            self.put(&[1, cname.len() as u8]);
            self.put(cname.as_bytes());
            self.put(&[0; 4][..chunk - 6 - cname.len()]);
        }
    }

    /// Goodbye of up to [`COUNT_LIMIT`] sources.
    pub(super) fn bye(&mut self, ssrcs: &[u32]) {
        self.header(ssrcs.len(), BYE, 4 + 4 * ssrcs.len());
        for ssrc in ssrcs {
            self.put(&ssrc.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8]) -> Vec<Feedback<'_>> {
        let mut out = Vec::new();
        read(data, |feedback| out.push(feedback));
        out
    }

    /// RR with one block, NACK, PLI, FIR, REMB and transport-wide feedback in one compound.
    fn compound() -> Vec<u8> {
        let mut data = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 5, 64, 0, 0, 3];
        data.extend([0, 0, 1, 2, 0, 0, 0, 9, 0x11, 0x22, 0x33, 0x44, 0, 1, 0, 0]);
        data.extend([0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0x80, 1]);
        data.extend([0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5]);
        data.extend([
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6, 7, 0, 0, 0,
        ]);
        data.extend([0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0]);
        data.extend(*b"REMB");
        data.extend([1, 0x0b, 0xff, 0xff, 0, 0, 0, 5]);
        data.extend([0xaf, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 5]);
        data.extend([0, 1, 0, 1, 0, 0, 0, 0, 0x20, 1, 9, 1]);
        data
    }

    #[test]
    fn a_compound_packet_is_read_part_by_part() {
        let data = compound();
        let expected = [
            Feedback::Report {
                ssrc: 5,
                lost: 64,
                last_report: 0x1122_3344,
                delay: 0x1_0000,
            },
            Feedback::Missing {
                ssrc: 5,
                pairs: &[0xff, 0xff, 0x80, 1],
            },
            Feedback::KeyFrame {
                ssrc: 5,
                number: None,
            },
            Feedback::KeyFrame {
                ssrc: 6,
                number: Some(7),
            },
            Feedback::Estimate(0x3_ffff << 2),
            Feedback::Transport(&[0, 1, 0, 1, 0, 0, 0, 0, 0x20, 1, 9]),
        ];
        assert_eq!(all(&data), expected);
        for cut in 0..data.len() {
            let read = all(&data[..cut]);
            assert_eq!(read[..], expected[..read.len()], "cut at {cut}");
            assert!(read.len() < expected.len());
        }
    }

    #[test]
    fn missing_packets_wrap_around() {
        let numbers: Vec<u16> = missing(&[0xff, 0xff, 0x80, 1]).collect();
        assert_eq!(numbers, [65535, 0, 15]);
    }

    #[test]
    fn reports_have_the_layout_of_rfc_3550() {
        let mut out = [0xff; 200];
        let mut compound = Compound::new(&mut out);
        compound.sender_report(0x0102_0304, 0x1111_1111_2222_2222, 3, 4, 5);
        compound.names(&[0x0102_0304, 6], "name1");
        compound.empty_report(9);
        compound.bye(&[7, 8]);
        let length = compound.length();
        let mut expected = vec![0x80, 200, 0, 6, 1, 2, 3, 4, 0x11, 0x11, 0x11, 0x11];
        expected.extend([0x22, 0x22, 0x22, 0x22, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]);
        expected.extend([
            0x82, 202, 0, 6, 1, 2, 3, 4, 1, 5, b'n', b'a', b'm', b'e', b'1', 0,
        ]);
        expected.extend([0, 0, 0, 6, 1, 5, b'n', b'a', b'm', b'e', b'1', 0]);
        expected.extend([
            0x80, 201, 0, 1, 0, 0, 0, 9, 0x82, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 8,
        ]);
        assert_eq!(out[..length], expected);
    }
}
