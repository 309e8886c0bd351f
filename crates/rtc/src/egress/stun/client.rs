//! Requests as a full ICE agent sends them, and the answers to them (RFC 8445 section 7.2).

use aws_lc_rs::hmac;

use super::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, COOKIE, ERROR_CODE, FINGERPRINT,
    FINGERPRINT_ATTRIBUTE, FINGERPRINT_MASK, HEADER, INTEGRITY, MESSAGE_INTEGRITY, Message,
    PRIORITY, USE_CANDIDATE, USERNAME, crc32, is_authentic,
};

/// ICE-CONTROLLED and ICE-CONTROLLING (RFC 8445 section 16.1).
const ICE_CONTROLLED: u16 = 0x8029;
const ICE_CONTROLLING: u16 = 0x802a;

/// Longest user name that fits: two fragments of 256 characters with a colon (RFC 8445 section 15.4).
const USERNAME_LIMIT: usize = 513;
/// Size of the largest request, bytes.
pub(crate) const REQUEST_LIMIT: usize =
    HEADER + 4 + USERNAME_LIMIT.next_multiple_of(4) + 8 + 12 + 4 + INTEGRITY + FINGERPRINT;

/// A connectivity or consent check.
pub(crate) struct BindingRequest<'a> {
    /// Transaction id.
    pub(crate) transaction: [u8; 12],
    /// Fragment of the receiver, colon, fragment of the sender.
    pub(crate) username: &'a str,
    /// Priority of a peer-reflexive candidate that the check may uncover.
    pub(crate) priority: u32,
    /// Whether the sender controls which path is used, and its tie breaker.
    pub(crate) controlling: bool,
    /// Tie breaker of the sender's role.
    pub(crate) tie_breaker: u64,
    /// Whether the path shall be used.
    pub(crate) nominates: bool,
}

impl BindingRequest<'_> {
    /// Write it to `out`, which holds at least [`REQUEST_LIMIT`] bytes; `key` is the receiver's. `None` when the user
    /// name is longer than RFC 8445 allows.
    pub(crate) fn write(&self, out: &mut [u8], key: &hmac::Key) -> Option<usize> {
        if self.username.len() > USERNAME_LIMIT || out.len() < REQUEST_LIMIT {
            return None;
        }
        let mut message = Message::new(out, BINDING_REQUEST, self.transaction);
        message.attribute(USERNAME, self.username.as_bytes());
        message.attribute(PRIORITY, &self.priority.to_be_bytes());
        let role = match self.controlling {
            true => ICE_CONTROLLING,
            false => ICE_CONTROLLED,
        };
        message.attribute(role, &self.tie_breaker.to_be_bytes());
        if self.nominates && self.controlling {
            message.attribute(USE_CANDIDATE, &[]);
        }
        message.sign(key);
        Some(message.finish())
    }
}

/// An answer to a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Response {
    /// Transaction id of the request.
    pub(crate) transaction: [u8; 12],
    /// Code of an error response; `None` for success.
    pub(crate) error: Option<u16>,
}

/// Read an answer that the holder of `key` gave. `None` for anything that is no answer, is damaged, or is not from
/// there. Error responses to unauthenticated requests carry no integrity (RFC 8489 section 9.1.3) and are not believed.
pub(crate) fn read_response(datagram: &[u8], key: &hmac::Key) -> Option<Response> {
    let (header, attributes) = datagram.split_at_checked(HEADER)?;
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let kind = u16::from_be_bytes([header[0], header[1]]);
    let answers = kind == BINDING_SUCCESS || kind == BINDING_ERROR;
    if !answers || header[4..8] != COOKIE || length != attributes.len() {
        return None;
    }
    let (mut at, mut authentic, mut error) = (HEADER, false, None);
    while at < datagram.len() {
        let [t0, t1, l0, l1] = *datagram.get(at..at + 4)?.first_chunk()?;
        let size = usize::from(u16::from_be_bytes([l0, l1]));
        let value = datagram.get(at + 4..at + 4 + size)?;
        match u16::from_be_bytes([t0, t1]) {
            FINGERPRINT_ATTRIBUTE => {
                let right = crc32(&datagram[..at]) ^ FINGERPRINT_MASK;
                if value != right.to_be_bytes() {
                    return None;
                }
            }
            // What follows the integrity is ignored.
            _ if authentic => {}
            MESSAGE_INTEGRITY => {
                authentic = is_authentic(datagram, at, value, key);
                if !authentic {
                    return None;
                }
            }
            ERROR_CODE => {
                let [_, _, class, number, ..] = *value else {
                    return None;
                };
                error = Some(u16::from(class & 7) * 100 + u16::from(number));
            }
            _ => {}
        }
        at += 4 + size.next_multiple_of(4);
    }
    if !authentic || (kind == BINDING_ERROR) != error.is_some() {
        return None;
    }
    Some(Response {
        transaction: header[8..HEADER].try_into().ok()?,
        error,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::egress::stun::{ANSWER_LIMIT, Request, integrity_key, read, refusal, success};

    fn request(controlling: bool, nominates: bool) -> BindingRequest<'static> {
        BindingRequest {
            transaction: [3; 12],
            username: "evtj:h6vY",
            priority: 0x6e00_01ff,
            controlling,
            tie_breaker: 9,
            nominates,
        }
    }

    #[test]
    fn the_server_reads_what_the_client_writes() {
        let key = integrity_key("VOkJxbRl1RmTxUk/WvJxBt");
        let mut out = [0; REQUEST_LIMIT];
        for (controlling, nominates, seen) in [
            (true, true, true),
            (true, false, false),
            // Only the side in control nominates.
            (false, true, false),
        ] {
            let length = request(controlling, nominates)
                .write(&mut out, &key)
                .unwrap();
            let Request::Authentic(check) = read(&out[..length], "evtj", "h6vY", &key) else {
                unreachable!("the request is authentic");
            };
            assert_eq!((check.transaction, check.nominates), ([3; 12], seen));
            assert_eq!(check.priority, 0x6e00_01ff);
        }
        let long = "x".repeat(USERNAME_LIMIT + 1);
        let too_long = BindingRequest {
            username: &long,
            ..request(true, true)
        };
        assert!(too_long.write(&mut out, &key).is_none());
    }

    #[test]
    fn answers_are_read_when_they_are_authentic() {
        let key = integrity_key("secret");
        let mut out = [0; ANSWER_LIMIT];
        let length = success(&mut out, [9; 12], "192.0.2.1:5".parse().unwrap(), &key);
        let good = out[..length].to_vec();
        let expected = Response {
            transaction: [9; 12],
            error: None,
        };
        assert_eq!(read_response(&good, &key), Some(expected));
        assert_eq!(read_response(&good, &integrity_key("other")), None);
        // The fingerprint, the last eight bytes, stands behind what the integrity covers.
        for at in 0..good.len() - FINGERPRINT {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert_eq!(read_response(&changed, &key), None, "byte {at}");
            assert_eq!(read_response(&good[..at], &key), None);
        }
        let length = refusal(&mut out, [9; 12], 487, None, Some(&key));
        let read = read_response(&out[..length], &key).unwrap();
        assert_eq!(read.error, Some(487));
        let length = refusal(&mut out, [9; 12], 401, None, None);
        assert_eq!(read_response(&out[..length], &key), None);
    }
}
