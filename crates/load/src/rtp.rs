//! RTP headers (RFC 3550 section 5.1, RFC 8285).

/// Fixed part of a header.
const FIXED: usize = 12;
/// Room for the header of a packet that we send: fixed part, extension header, mid of one character, transport number.
pub(crate) const HEADER_LIMIT: usize = FIXED + 4 + 8;

/// What a receiver needs of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Size with sources and extensions, bytes.
    pub length: usize,
    pub payload_type: u8,
    pub marker: bool,
    pub padding: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Number across the transport, where the packet has one.
    pub transport: Option<u16>,
}

/// Read a header. `transport_id` is the id of the transport-wide number, 0 for none. `None` for what is cut short.
pub(crate) fn read(packet: &[u8], transport_id: u8) -> Option<Header> {
    let fixed: &[u8; FIXED] = packet.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut length = FIXED + 4 * usize::from(fixed[0] & 0x0f);
    let mut transport = None;
    if fixed[0] & 0x10 != 0 {
        let [p0, p1, w0, w1] = *packet.get(length..length + 4)?.first_chunk()?;
        length += 4;
        let words = usize::from(u16::from_be_bytes([w0, w1]));
        let block = packet.get(length..length + 4 * words)?;
        if [p0, p1] == [0xbe, 0xde] && transport_id != 0 {
            transport = element(block, transport_id);
        }
        length += 4 * words;
    }
    if packet.len() < length {
        return None;
    }
    Some(Header {
        length,
        payload_type: fixed[1] & 0x7f,
        marker: fixed[1] & 0x80 != 0,
        padding: fixed[0] & 0x20 != 0,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        transport,
    })
}

/// A two-byte element with one-byte headers.
fn element(mut block: &[u8], wanted: u8) -> Option<u16> {
    while let [head, rest @ ..] = block {
        if *head == 0 {
            block = rest;
            continue;
        }
        let (id, size) = (head >> 4, usize::from(head & 0x0f) + 1);
        let value = rest.get(..size)?;
        if id == wanted {
            return Some(u16::from_be_bytes(*value.first_chunk()?));
        }
        block = rest.get(size..)?;
    }
    None
}

/// Cut padding off an opened payload; `None` when it claims more than there is.
pub(crate) fn without_padding(payload: &[u8], padding: bool) -> Option<&[u8]> {
    if !padding {
        return Some(payload);
    }
    let count = usize::from(*payload.last()?);
    payload.get(..payload.len().checked_sub(count)?)
}

/// Header of a packet that we send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Extension id and value of the mid; id 0 for none.
    pub mid: (u8, &'a str),
    /// Extension id and value of the transport-wide number; id 0 for none.
    pub transport: (u8, u16),
}

impl Outgoing<'_> {
    /// Write it to the start of `out`, which holds [`HEADER_LIMIT`] bytes. Returns its size.
    pub(crate) fn write(&self, out: &mut [u8]) -> usize {
        let mut block = [0; 8];
        let mut at = 0;
        if self.transport.0 != 0 {
            let [high, low] = self.transport.1.to_be_bytes();
            block[..3].copy_from_slice(&[self.transport.0 << 4 | 1, high, low]);
            at = 3;
        }
        // Mids of our own offers are one character.
        if let (id @ 1.., [character]) = (self.mid.0, self.mid.1.as_bytes()) {
            block[at..at + 2].copy_from_slice(&[id << 4, *character]);
            at += 2;
        }
        let words = at.div_ceil(4);
        out[0] = 0x80 | u8::from(words > 0) << 4;
        out[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..FIXED].copy_from_slice(&self.ssrc.to_be_bytes());
        if words == 0 {
            return FIXED;
        }
        out[FIXED..FIXED + 4].copy_from_slice(&[0xbe, 0xde, 0, words as u8]);
        let end = FIXED + 4 + 4 * words;
        out[FIXED + 4..end].copy_from_slice(&block[..4 * words]);
        end
    }
}

/// Extend a 16-bit number by the one nearest to `highest`. `None` when that would lie before 0.
pub(crate) fn extend(highest: Option<u64>, number: u16) -> Option<u64> {
    let Some(highest) = highest else {
        return Some(u64::from(number));
    };
    let step = i64::from(number.wrapping_sub(highest as u16) as i16);
    highest.checked_add_signed(step)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (mid, transport) in [
            ((1, "0"), (2, 0xabcd)),
            ((0, ""), (2, 7)),
            ((0, ""), (0, 0)),
        ] {
            let outgoing = Outgoing {
                payload_type: 96,
                marker: true,
                sequence: 0xfffe,
                timestamp: 0x0102_0304,
                ssrc: 0x0506_0708,
                mid,
                transport,
            };
            let mut out = [0xff; HEADER_LIMIT];
            let length = outgoing.write(&mut out);
            let header = read(&out[..length], 2).unwrap();
            assert_eq!(header.length, length);
            assert_eq!((header.payload_type, header.marker), (96, true));
            assert_eq!((header.sequence, header.timestamp), (0xfffe, 0x0102_0304));
            assert_eq!(header.ssrc, 0x0506_0708);
            assert_eq!(header.transport, (transport.0 != 0).then_some(transport.1));
            for cut in 0..length {
                assert_eq!(read(&out[..cut], 2), None);
            }
        }
    }

    #[test]
    fn elements_before_and_padding_between() {
        let packet = [
            0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 2, 0x10, b'0', 0, 0x21, 0x12,
            0x34, 0, 0,
        ];
        assert_eq!(read(&packet, 2).unwrap().transport, Some(0x1234));
        assert_eq!(read(&packet, 3).unwrap().transport, None);
        assert_eq!(read(&packet, 0).unwrap().transport, None);
    }

    #[test]
    fn numbers_grow_over_their_end() {
        assert_eq!(extend(None, 65_535), Some(65_535));
        assert_eq!(extend(Some(65_535), 0), Some(65_536));
        assert_eq!(extend(Some(65_536), 65_535), Some(65_535));
        assert_eq!(extend(Some(3), 65_535), None);
    }

    #[test]
    fn padding_is_cut_off() {
        assert_eq!(without_padding(&[1, 2, 0, 2], true), Some(&[1, 2][..]));
        assert_eq!(without_padding(&[1, 2], false), Some(&[1, 2][..]));
        assert_eq!(without_padding(&[9], true), None);
        assert_eq!(without_padding(&[], true), None);
    }
}
