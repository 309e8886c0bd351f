//! A client's first message, which may come in pieces and in any order.

use super::dtls::HANDSHAKE;

/// Datagrams that are kept until the message is whole; browsers need two at most.
const DATAGRAM_LIMIT: usize = 8;
/// Largest message: one with a key share of a post-quantum method has 1.5 kB.
const SIZE_LIMIT: usize = 8 << 10;

/// SSL 3.3 and SSL 3.4 in the inverted counting of DTLS.
const VERSION_12: [u8; 2] = [0xfe, 0xfd];
const VERSION_13: [u8; 2] = [0xfe, 0xfc];

/// Datagrams of a handshake that has not begun.
#[derive(Debug, Default)]
pub(super) struct Opening {
    datagrams: Vec<Box<[u8]>>,
}

impl Opening {
    /// Take a datagram in. Returns whether to speak DTLS 1.3 once that is known.
    ///
    /// 1.3 saves a round trip, but there the engine takes the client's first SRTP profile, which for libwebrtc is
    /// AES-CM with SHA-1: four times the cost per packet. So it is for clients that put GCM first, or that speak
    /// nothing else.
    pub(super) fn push(&mut self, datagram: &[u8]) -> Option<bool> {
        self.datagrams.push(datagram.into());
        match self.message() {
            Some(message) => Some(prefers_13(&message)),
            // Whatever it is, it is no hello that is worth waiting for: the engine says what is wrong with it.
            None if self.datagrams.len() == DATAGRAM_LIMIT || !begins_hello(datagram) => {
                Some(false)
            }
            None => None,
        }
    }

    /// What came, in order.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.datagrams.iter().map(|datagram| &**datagram)
    }

    /// The body of the hello, put together from its fragments (RFC 6347 section 4.2.3).
    fn message(&self) -> Option<Vec<u8>> {
        let mut message: Vec<u8> = Vec::new();
        let mut known: Vec<bool> = Vec::new();
        for fragment in self.datagrams().flat_map(fragments) {
            if message.is_empty() {
                message.resize(fragment.size, 0);
                known.resize(fragment.size, false);
            }
            let range = fragment.offset..fragment.offset + fragment.body.len();
            if fragment.size != message.len() || range.end > message.len() {
                return None;
            }
            message[range.clone()].copy_from_slice(fragment.body);
            known[range].fill(true);
        }
        (!message.is_empty() && known.iter().all(|known| *known)).then_some(message)
    }
}

/// Whether a datagram has a piece of a hello.
fn begins_hello(datagram: &[u8]) -> bool {
    fragments(datagram).next().is_some()
}

/// A piece of a hello.
struct Fragment<'a> {
    size: usize,
    offset: usize,
    body: &'a [u8],
}

/// The pieces in a datagram: one record each, or several in a record.
fn fragments(datagram: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut records = Reader(datagram);
    let mut messages = Reader(&[]);
    std::iter::from_fn(move || {
        loop {
            if messages.0.is_empty() {
                let kind = records.take(1)?[0];
                // Version, epoch 0, and the number of the record.
                let epoch = &records.take(10)?[2..4];
                messages = Reader(records.sized(2)?);
                if kind != HANDSHAKE || epoch != [0, 0] {
                    return None;
                }
            }
            let header = messages.take(12)?;
            let number = |bytes: &[u8]| bytes.iter().fold(0, |all, b| all << 8 | usize::from(*b));
            let (size, offset, length) = (
                number(&header[1..4]),
                number(&header[6..9]),
                number(&header[9..12]),
            );
            let body = messages.take(length)?;
            // A hello is message 0 of the handshake, or 1 when a cookie was asked for.
            if header[0] == 1 && (1..=SIZE_LIMIT).contains(&size) && offset + length <= size {
                return Some(Fragment { size, offset, body });
            }
        }
    })
}

fn prefers_13(message: &[u8]) -> bool {
    let Some(hello) = Hello::read(message) else {
        return false;
    };
    let speaks = |version: [u8; 2]| {
        hello
            .versions
            .is_some_and(|all| all.chunks(2).any(|v| v == version))
    };
    // 0x0007 and 0x0008: RFC 7714 section 14.2.
    let gcm_first = hello
        .profiles
        .is_some_and(|all| matches!(all, [0, 7 | 8, ..]));
    speaks(VERSION_13) && (gcm_first || !speaks(VERSION_12))
}

/// The two lists of a hello that the choice of a version needs.
#[derive(Default)]
struct Hello<'a> {
    versions: Option<&'a [u8]>,
    profiles: Option<&'a [u8]>,
}

impl<'a> Hello<'a> {
    /// Read the body of a hello (RFC 6347 section 4.2.2).
    fn read(message: &'a [u8]) -> Option<Self> {
        let mut message = Reader(message);
        message.take(2 + 32)?;
        message.sized(1)?;
        message.sized(1)?;
        message.sized(2)?;
        message.sized(1)?;
        let mut extensions = Reader(message.sized(2)?);
        let mut hello = Self::default();
        while let Some(kind) = extensions.take(2) {
            let mut value = Reader(extensions.sized(2)?);
            match kind {
                [0, 43] => hello.versions = value.sized(1),
                [0, 14] => hello.profiles = value.sized(2),
                _ => {}
            }
        }
        Some(hello)
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A value after its length in so many bytes.
    fn sized(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let length = self.take(bytes)?;
        let length = length
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte));
        self.take(length)
    }
}

/// Cut the hello of a datagram into datagrams of so many bytes of it each.
#[cfg(test)]
pub(super) fn cut(datagram: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (record, message) = datagram.split_at(13);
    let (header, body) = message.split_at(12);
    let pieces = body.chunks(size).enumerate();
    let cut = pieces.map(|(number, piece)| {
        let mut out = record.to_vec();
        out[10] = number as u8;
        out[11..13].copy_from_slice(&(12 + piece.len() as u16).to_be_bytes());
        out.extend(&header[..6]);
        out.extend(&((number * size) as u32).to_be_bytes()[1..]);
        out.extend(&(piece.len() as u32).to_be_bytes()[1..]);
        out.extend(piece);
        out
    });
    cut.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(versions: &[u8], profiles: &[u8]) -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        let mut extensions = vec![0, 43, 0, versions.len() as u8 + 1, versions.len() as u8];
        extensions.extend(versions);
        extensions.extend([0, 14, 0, profiles.len() as u8 + 3, 0, profiles.len() as u8]);
        extensions.extend(profiles);
        extensions.push(0);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let length = body.len() as u8;
        let mut message = vec![1, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
        message.extend(body);
        let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        record.push(message.len() as u8);
        record.extend(message);
        record
    }

    const BOTH: [u8; 4] = [0xfe, 0xfc, 0xfe, 0xfd];

    #[test]
    fn versions_by_table() {
        // (versions, profiles, 1.3)
        let rows: [(&[u8], &[u8], bool); 5] = [
            (&BOTH, &[0, 1, 0, 8, 0, 7], false),
            (&BOTH, &[0, 8, 0, 7, 0, 1], true),
            (&BOTH, &[0, 7], true),
            (&[0xfe, 0xfc], &[0, 1], true),
            (&[0xfe, 0xfd], &[0, 7], false),
        ];
        for (versions, profiles, expected) in rows {
            let hello = hello(versions, profiles);
            let read = Opening::default().push(&hello);
            assert_eq!(read, Some(expected), "{versions:?} {profiles:?}");
            for cut in 0..hello.len() {
                assert_eq!(Opening::default().push(&hello[..cut]), Some(false));
            }
        }
    }

    #[test]
    fn pieces_are_put_together_in_any_order() {
        let whole = hello(&BOTH, &[0, 8]);
        let pieces = cut(&whole, 30);
        assert_eq!(pieces.len(), 3);
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut opening = Opening::default();
            assert_eq!(opening.push(&pieces[order[0]]), None, "{order:?}");
            assert_eq!(opening.push(&pieces[order[1]]), None, "{order:?}");
            assert_eq!(opening.push(&pieces[order[1]]), None, "a repetition");
            assert_eq!(opening.push(&pieces[order[2]]), Some(true), "{order:?}");
            assert_eq!(opening.datagrams().count(), 4);
        }
    }

    #[test]
    fn what_never_becomes_whole_is_left_to_the_engine() {
        let pieces = cut(&hello(&BOTH, &[0, 8]), 30);
        let mut opening = Opening::default();
        let decided: Vec<_> = (0..DATAGRAM_LIMIT)
            .map(|_| opening.push(&pieces[0]))
            .collect();
        assert_eq!(decided[..DATAGRAM_LIMIT - 1], [None; DATAGRAM_LIMIT - 1]);
        assert_eq!(decided[DATAGRAM_LIMIT - 1], Some(false));
        // Pieces of two messages.
        let mut other = pieces[1].clone();
        other[16] += 1;
        let mut opening = Opening::default();
        assert_eq!(opening.push(&pieces[0]), None);
        assert_eq!(opening.push(&other), None);
    }
}
