//! Telling the protocols on one port apart (RFC 7983) and reading the user name of a STUN request.

/// What a datagram is, by its first byte (and the second for RTCP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// ICE connectivity check.
    Stun,
    /// DTLS record.
    Dtls,
    /// SRTP.
    Rtp,
    /// SRTCP (RFC 5761 section 4).
    Rtcp,
}

/// Classify a datagram; `None` for anything that belongs to none of the protocols or is too short for its header.
pub fn classify(datagram: &[u8]) -> Option<Class> {
    match *datagram.first()? {
        0..=3 if datagram.len() >= STUN_HEADER => Some(Class::Stun),
        20..=63 if datagram.len() >= 13 => Some(Class::Dtls),
        128..=191 if datagram.len() >= 12 => match datagram[1] {
            192..=223 => Some(Class::Rtcp),
            _ => Some(Class::Rtp),
        },
        128..=191 if datagram.len() >= 8 && (192..=223).contains(&datagram[1]) => Some(Class::Rtcp),
        _ => None,
    }
}

const STUN_HEADER: usize = 20;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const USERNAME: u16 = 0x0006;
const USE_CANDIDATE: u16 = 0x0025;
/// Longest user name of two ICE fragments with a colon (RFC 8445 section 15.4: 256 characters each).
const USERNAME_LIMIT: usize = 513;

/// Whether a STUN binding request nominates its path (USE-CANDIDATE, RFC 8445 section 7.1.2).
pub fn stun_nominates(datagram: &[u8]) -> bool {
    attributes(datagram)
        .is_some_and(|mut attributes| attributes.any(|(kind, _)| kind == USE_CANDIDATE))
}

/// Fragment of ours in the USERNAME of a STUN binding request, i.e. what stands before the colon
/// (RFC 8445 section 7.2.2). It says whose message this claims to be; only the integrity check proves it.
pub fn stun_local_fragment(datagram: &[u8]) -> Option<&str> {
    let (_, value) = attributes(datagram)?.find(|(kind, _)| *kind == USERNAME)?;
    if value.len() > USERNAME_LIMIT {
        return None;
    }
    let (local, _) = std::str::from_utf8(value).ok()?.split_once(':')?;
    (!local.is_empty()).then_some(local)
}

/// Attributes of a binding request; ends at the first that is cut short.
fn attributes(datagram: &[u8]) -> Option<impl Iterator<Item = (u16, &[u8])>> {
    let (header, mut rest) = datagram.split_at_checked(STUN_HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[..2] != BINDING_REQUEST || header[4..8] != STUN_COOKIE || length != rest.len() {
        return None;
    }
    Some(std::iter::from_fn(move || {
        let [t0, t1, l0, l1, after @ ..] = rest else {
            return None;
        };
        let size = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = after.get(..size)?;
        rest = after.get(size.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_be_bytes([*t0, *t1]), value))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding_request(attributes: &[u8]) -> Vec<u8> {
        let mut message = vec![0x00, 0x01];
        message.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
        message.extend_from_slice(&STUN_COOKIE);
        message.extend_from_slice(&[7; 12]);
        message.extend_from_slice(attributes);
        message
    }

    #[test]
    fn first_bytes_by_table() {
        let mut datagram = [0_u8; 64];
        for (first, second, expected) in [
            (0, 1, Some(Class::Stun)),
            (3, 0, Some(Class::Stun)),
            (4, 0, None),
            (19, 0, None),
            (20, 0xfe, Some(Class::Dtls)),
            (63, 0xfe, Some(Class::Dtls)),
            (64, 0, None),
            (127, 0, None),
            (128, 96, Some(Class::Rtp)),
            (144, 0xe0, Some(Class::Rtp)),
            (128, 200, Some(Class::Rtcp)),
            (191, 206, Some(Class::Rtcp)),
            (192, 200, None),
            (255, 255, None),
        ] {
            datagram[0] = first;
            datagram[1] = second;
            assert_eq!(classify(&datagram), expected, "{first} {second}");
        }
        assert_eq!(classify(&[]), None);
        assert_eq!(classify(&[0, 1]), None);
        assert_eq!(classify(&[128, 96, 0, 0]), None);
        assert_eq!(classify(&[128, 200, 0, 1, 0, 0, 0, 1]), Some(Class::Rtcp));
    }

    #[test]
    fn the_local_fragment_is_what_stands_before_the_colon() {
        let request = binding_request(&[
            0x80, 0x22, 0, 1, 9, 0, 0, 0, 0, 6, 0, 9, b'a', b'b', b'c', b'd', b':', b'w', b'x',
            b'y', b'z', 0, 0, 0,
        ]);
        assert_eq!(stun_local_fragment(&request), Some("abcd"));
    }

    #[test]
    fn nomination_is_an_attribute_without_a_value() {
        let plain = binding_request(&[0, 6, 0, 3, b'a', b':', b'b', 0]);
        assert!(!stun_nominates(&plain));
        let nominating = binding_request(&[0, 6, 0, 3, b'a', b':', b'b', 0, 0, 0x25, 0, 0]);
        assert!(stun_nominates(&nominating));
    }

    #[test]
    fn malformed_requests_have_no_fragment() {
        let good = binding_request(&[0, 6, 0, 3, b'a', b':', b'b', 0]);
        assert_eq!(stun_local_fragment(&good), Some("a"));
        for cut in 0..good.len() {
            assert_eq!(stun_local_fragment(&good[..cut]), None, "cut at {cut}");
        }
        let mut response = good.clone();
        response[0] = 1;
        assert_eq!(stun_local_fragment(&response), None);
        let mut cookie = good.clone();
        cookie[4] ^= 1;
        assert_eq!(stun_local_fragment(&cookie), None);
        assert_eq!(
            stun_local_fragment(&binding_request(&[0, 6, 0, 4, b'a', b'b', b'c', b'd'])),
            None
        );
        assert_eq!(
            stun_local_fragment(&binding_request(&[0, 6, 0, 2, b':', b'b', 0, 0])),
            None
        );
        assert_eq!(
            stun_local_fragment(&binding_request(&[0, 6, 0xff, 0xff, b'a', b':', b'b', 0])),
            None
        );
    }
}
