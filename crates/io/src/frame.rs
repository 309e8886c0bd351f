//! Framing of ICE-TCP (RFC 4571): a 16-bit length, then the datagram. Pure: bytes in, frames out.

/// Longest frame taken or sent. ICE, DTLS and SRTP keep to a path MTU, so nothing legitimate comes near it; a higher
/// bound would let each connection hold more memory.
pub const MAX_FRAME: usize = 2048;

/// Why a connection cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A frame announces more than [`MAX_FRAME`] bytes.
    TooLong(usize),
    /// A frame's first byte belongs to no protocol of RFC 7983 that is spoken here.
    Unknown(u8),
}

/// Cuts a byte stream into frames. Holds at most one unfinished frame.
#[derive(Debug, Default)]
pub struct Deframer {
    partial: Vec<u8>,
}

impl Deframer {
    /// Take bytes from the stream and hand each complete frame to `sink`. Empty frames (RFC 4571 allows them) are
    /// passed over. Returns how many frames there were.
    pub fn push(&mut self, mut bytes: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, Broken> {
        let mut frames = 0;
        while !bytes.is_empty() {
            if self.partial.is_empty() {
                // The common case: whole frames in one read, passed on without a copy.
                if let Some((frame, rest)) = whole(bytes)? {
                    bytes = rest;
                    if !frame.is_empty() {
                        frames += 1;
                        sink(frame);
                    }
                    continue;
                }
                self.partial.extend_from_slice(bytes);
                return Ok(frames);
            }
            let wanted = match *self.partial.as_slice() {
                [high, low, ..] => 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => 2,
            };
            let take = wanted.saturating_sub(self.partial.len()).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if let Some((frame, _)) = whole(&self.partial)? {
                if !frame.is_empty() {
                    frames += 1;
                    sink(frame);
                }
                self.partial.clear();
            }
        }
        Ok(frames)
    }

    /// Bytes held of an unfinished frame.
    pub fn held(&self) -> usize {
        self.partial.len()
    }
}

/// A frame and the bytes after it.
type Cut<'a> = (&'a [u8], &'a [u8]);

/// The first frame of `bytes` and what follows it; `None` while it is incomplete. Checked as early as it can be.
fn whole(bytes: &[u8]) -> Result<Option<Cut<'_>>, Broken> {
    let [high, low, body @ ..] = bytes else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_FRAME {
        return Err(Broken::TooLong(length));
    }
    match body.first() {
        // RFC 7983 section 7: STUN, DTLS, RTP and RTCP. TURN channels and ZRTP are not spoken here.
        Some(first) if length > 0 && !matches!(first, 0..=3 | 20..=63 | 128..=191) => {
            return Err(Broken::Unknown(*first));
        }
        _ => {}
    }
    Ok(body.split_at_checked(length))
}

/// Append `datagram` as a frame. The caller keeps to [`MAX_FRAME`].
pub fn append(out: &mut Vec<u8>, datagram: &[u8]) {
    debug_assert!(datagram.len() <= MAX_FRAME);
    let length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(datagram);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn split(chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, Broken> {
        let mut deframer = Deframer::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            deframer.push(chunk, |frame| frames.push(frame.to_vec()))?;
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_out_the_same_however_the_stream_is_cut() {
        let datagrams: Vec<Vec<u8>> = vec![
            vec![0x80; 1],
            vec![0x16; 1200],
            vec![0x00; 20],
            vec![0x90; MAX_FRAME],
        ];
        let mut stream = Vec::new();
        for datagram in &datagrams {
            append(&mut stream, datagram);
        }
        for size in [1, 2, 3, 7, 1201, stream.len()] {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            assert_eq!(split(&chunks).unwrap(), datagrams, "cut every {size} bytes");
        }
    }

    #[test]
    fn empty_frames_are_passed_over() {
        assert_eq!(
            split(&[&[0, 0, 0, 0, 0, 1, 0x80]]).unwrap(),
            vec![vec![0x80]]
        );
        assert_eq!(
            split(&[&[0], &[0], &[0, 1], &[0x80]]).unwrap(),
            vec![vec![0x80]]
        );
    }

    #[test]
    fn a_frame_that_is_too_long_or_speaks_something_else_breaks_the_stream() {
        assert_eq!(split(&[&[0x08, 0x01]]), Err(Broken::TooLong(2049)));
        assert_eq!(split(&[&[0x08], &[0x01]]), Err(Broken::TooLong(2049)));
        assert_eq!(
            split(&[b"GET / HTTP/1.1\r\n"]),
            Err(Broken::TooLong(0x4745))
        );
        assert_eq!(split(&[&[0, 5, 0x47]]), Err(Broken::Unknown(0x47)));
    }

    #[test]
    fn no_more_than_one_frame_is_held() {
        let mut deframer = Deframer::default();
        let mut stream = vec![0x08, 0x00];
        stream.extend(std::iter::repeat_n(0x80, MAX_FRAME - 1));
        for byte in stream {
            deframer
                .push(&[byte], |_| unreachable!("incomplete"))
                .unwrap();
            assert!(deframer.held() <= MAX_FRAME + 2);
        }
        assert_eq!(deframer.push(&[0x80], |_| ()), Ok(1));
        assert_eq!(deframer.held(), 0);
    }
}
