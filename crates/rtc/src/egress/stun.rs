//! STUN binding requests of ICE, read and answered (RFC 8489, RFC 8445 section 7.3).

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

/// Size of the largest answer, bytes: header, an IPv6 address, integrity and fingerprint.
pub(crate) const ANSWER_LIMIT: usize = HEADER + 24 + INTEGRITY + FINGERPRINT;

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const INTEGRITY: usize = 24;
const FINGERPRINT: usize = 8;
/// What the CRC of a fingerprint is combined with (RFC 8489 section 14.7).
const FINGERPRINT_MASK: u32 = 0x5354_554e;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT_ATTRIBUTE: u16 = 0x8028;

/// A key of MESSAGE-INTEGRITY: the password itself (short-term credentials, RFC 8489 section 9.1.1).
pub(crate) fn integrity_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// What a datagram turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A request that knows the password.
    Authentic(Check),
    /// A request that has to be refused, with its error code.
    Refused([u8; 12], u16),
    /// An authentic request with an attribute that must be understood and is not.
    Unknown([u8; 12], u16),
    /// No binding request, or a damaged one: nothing is answered.
    Junk,
}

/// An authenticated connectivity check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Check {
    /// Transaction id.
    pub(crate) transaction: [u8; 12],
    /// The peer's idea of the priority of its side of the path.
    pub(crate) priority: u32,
    /// Whether the path is nominated.
    pub(crate) nominates: bool,
}

/// Read a request that was sent to `local` by the peer that calls itself `remote`.
pub(crate) fn read(datagram: &[u8], local: &str, remote: &str, key: &hmac::Key) -> Request {
    let Some((header, attributes)) = datagram.split_at_checked(HEADER) else {
        return Request::Junk;
    };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let kind = u16::from_be_bytes([header[0], header[1]]);
    if kind != BINDING_REQUEST || header[4..8] != COOKIE || length != attributes.len() {
        return Request::Junk;
    }
    let mut transaction = [0; 12];
    transaction.copy_from_slice(&header[8..]);

    let mut check = Check {
        transaction,
        priority: 0,
        nominates: false,
    };
    let (mut username, mut integrity, mut unknown) = (None, None, None);
    let mut at = HEADER;
    while at < datagram.len() {
        let Some([t0, t1, l0, l1]) = datagram.get(at..at + 4) else {
            return Request::Junk;
        };
        let kind = u16::from_be_bytes([*t0, *t1]);
        let size = usize::from(u16::from_be_bytes([*l0, *l1]));
        let Some(value) = datagram.get(at + 4..at + 4 + size) else {
            return Request::Junk;
        };
        let next = at + 4 + size.next_multiple_of(4);
        match kind {
            FINGERPRINT_ATTRIBUTE => {
                // The last attribute, over everything before it.
                let stated = <[u8; 4]>::try_from(value).ok().map(u32::from_be_bytes);
                let right = crc32(&datagram[..at]) ^ FINGERPRINT_MASK;
                if next != datagram.len() || stated != Some(right) {
                    return Request::Junk;
                }
            }
            // RFC 8489 section 14.5: what follows the integrity is ignored.
            _ if integrity.is_some() => {}
            MESSAGE_INTEGRITY => integrity = Some((at, value)),
            USERNAME => username = Some(value),
            PRIORITY => {
                if let Ok(priority) = <[u8; 4]>::try_from(value) {
                    check.priority = u32::from_be_bytes(priority);
                }
            }
            USE_CANDIDATE => check.nominates = true,
            MESSAGE_INTEGRITY_SHA256 => {}
            // The roles: the server is lite, therefore controlled, and leaves conflicts to the full side
            // (RFC 8445 section 6.1.1).
            0x8000.. => {}
            _ => unknown = unknown.or(Some(kind)),
        }
        at = next;
    }

    let (Some(username), Some((at, stated))) = (username, integrity) else {
        return Request::Refused(transaction, 400);
    };
    let named = username
        .strip_prefix(local.as_bytes())
        .and_then(|rest| rest.strip_prefix(b":"));
    if named != Some(remote.as_bytes()) || !is_authentic(datagram, at, stated, key) {
        return Request::Refused(transaction, 401);
    }
    match unknown {
        Some(kind) => Request::Unknown(transaction, kind),
        None => Request::Authentic(check),
    }
}

/// The integrity covers the message up to its own attribute, under a length that ends with that attribute.
fn is_authentic(datagram: &[u8], at: usize, stated: &[u8], key: &hmac::Key) -> bool {
    let tag = integrity(datagram, at, key);
    constant_time::verify_slices_are_equal(tag.as_ref(), stated).is_ok()
}

fn integrity(message: &[u8], at: usize, key: &hmac::Key) -> hmac::Tag {
    let length = (at + INTEGRITY - HEADER) as u16;
    let mut context = hmac::Context::with_key(key);
    context.update(&message[..2]);
    context.update(&length.to_be_bytes());
    context.update(&message[4..at]);
    context.sign()
}

/// A message that is being written.
struct Message<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Message<'a> {
    fn new(out: &'a mut [u8], kind: u16, transaction: [u8; 12]) -> Self {
        out[..2].copy_from_slice(&kind.to_be_bytes());
        out[4..8].copy_from_slice(&COOKIE);
        out[8..HEADER].copy_from_slice(&transaction);
        Self { out, at: HEADER }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let at = self.at;
        self.out[at..at + 2].copy_from_slice(&kind.to_be_bytes());
        self.out[at + 2..at + 4].copy_from_slice(&(value.len() as u16).to_be_bytes());
        let end = at + 4 + value.len().next_multiple_of(4);
        self.out[at + 4..end].fill(0);
        self.out[at + 4..at + 4 + value.len()].copy_from_slice(value);
        self.at = end;
    }

    fn length(&mut self, more: usize) {
        let length = (self.at + more - HEADER) as u16;
        self.out[2..4].copy_from_slice(&length.to_be_bytes());
    }

    fn finish(mut self) -> usize {
        self.length(FINGERPRINT);
        let crc = crc32(&self.out[..self.at]) ^ FINGERPRINT_MASK;
        self.attribute(FINGERPRINT_ATTRIBUTE, &crc.to_be_bytes());
        self.at
    }

    fn sign(&mut self, key: &hmac::Key) {
        self.length(INTEGRITY);
        let tag = integrity(self.out, self.at, key);
        self.attribute(MESSAGE_INTEGRITY, tag.as_ref());
    }
}

/// Write the answer to an authenticated check into `out`, which holds at least [`ANSWER_LIMIT`] bytes.
pub(crate) fn success(
    out: &mut [u8],
    transaction: [u8; 12],
    from: SocketAddr,
    key: &hmac::Key,
) -> usize {
    let mut message = Message::new(out, BINDING_SUCCESS, transaction);
    let mut value = [0; 20];
    let port = from.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    value[2..4].copy_from_slice(&port.to_be_bytes());
    let mask = COOKIE.iter().chain(&transaction);
    let size = match from.ip().to_canonical() {
        IpAddr::V4(address) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&address.octets());
            8
        }
        IpAddr::V6(address) => {
            value[1] = 2;
            value[4..20].copy_from_slice(&address.octets());
            20
        }
    };
    for (byte, mask) in value[4..size].iter_mut().zip(mask) {
        *byte ^= mask;
    }
    message.attribute(XOR_MAPPED_ADDRESS, &value[..size]);
    message.sign(key);
    message.finish()
}

/// Write a refusal. `key` is given when the request was authentic. Without a reason phrase: so it is smaller than any
/// request that has a user name.
pub(super) fn refusal(
    out: &mut [u8],
    transaction: [u8; 12],
    code: u16,
    unknown: Option<u16>,
    key: Option<&hmac::Key>,
) -> usize {
    let mut message = Message::new(out, BINDING_ERROR, transaction);
    message.attribute(ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8]);
    if let Some(kind) = unknown {
        message.attribute(UNKNOWN_ATTRIBUTES, &kind.to_be_bytes());
    }
    if let Some(key) = key {
        message.sign(key);
    }
    message.finish()
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (0xedb8_8320 * (value & 1));
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

/// CRC-32 of ISO 3309 (RFC 8489 section 14.7).
fn crc32(data: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| CRC_TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
    !data.iter().fold(u32::MAX, step)
}

/// A request as a full agent would send it: for tests and fuzzing.
pub(super) fn request(username: &str, priority: u32, nominates: bool, key: &hmac::Key) -> Vec<u8> {
    let mut out = [0; 700];
    let mut message = Message::new(&mut out, BINDING_REQUEST, [7; 12]);
    message.attribute(USERNAME, username.as_bytes());
    message.attribute(PRIORITY, &priority.to_be_bytes());
    message.attribute(0x802a, &[1; 8]);
    if nominates {
        message.attribute(USE_CANDIDATE, &[]);
    }
    message.sign(key);
    let length = message.finish();
    out[..length].to_vec()
}

mod client;

pub(crate) use client::{BindingRequest, REQUEST_LIMIT, Response, read_response};

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    /// RFC 5769 section 2.1: user "evtj:h6vY", password "VOkJxbRl1RmTxUk/WvJxBt".
    const SAMPLE: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5\
        b2d3f249c1b571a280280004e57a3bcf";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(|two| pair(two).unwrap()).collect()
    }

    #[test]
    fn the_sample_request_of_rfc_5769_is_authentic() {
        let key = integrity_key("VOkJxbRl1RmTxUk/WvJxBt");
        let sample = hex(SAMPLE);
        let Request::Authentic(check) = read(&sample, "evtj", "h6vY", &key) else {
            panic!("{:?}", read(&sample, "evtj", "h6vY", &key));
        };
        assert_eq!((check.priority, check.nominates), (0x6e00_01ff, false));
        for (local, remote) in [
            ("evtk", "h6vY"),
            ("evtj", "h6v"),
            ("", ""),
            ("evt", "j:h6vY"),
        ] {
            assert!(matches!(
                read(&sample, local, remote, &key),
                Request::Refused(_, 401)
            ));
        }
        let other = integrity_key("another");
        assert!(matches!(
            read(&sample, "evtj", "h6vY", &other),
            Request::Refused(_, 401)
        ));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let key = integrity_key("VOkJxbRl1RmTxUk/WvJxBt");
        let sample = hex(SAMPLE);
        // The fingerprint, the last eight bytes, stands behind what the integrity covers.
        for at in 0..sample.len() - FINGERPRINT {
            let mut changed = sample.clone();
            changed[at] ^= 1;
            let read = read(&changed, "evtj", "h6vY", &key);
            assert!(
                !matches!(read, Request::Authentic(_)),
                "byte {at}: {read:?}"
            );
            assert!(!matches!(
                super::read(&sample[..at], "evtj", "h6vY", &key),
                Request::Authentic(_)
            ));
        }
    }

    #[test]
    fn answers_have_the_address_and_the_integrity_of_the_peer() {
        let key = integrity_key("secret");
        for (from, family) in [("192.0.2.1:32853", 1), ("[2001:db8::5]:32853", 2)] {
            let from: SocketAddr = from.parse().unwrap();
            let mut out = [0xff; ANSWER_LIMIT];
            let length = success(&mut out, [9; 12], from, &key);
            assert_eq!(out[..2], [1, 1]);
            assert_eq!(usize::from(out[3]) + HEADER, length);
            assert_eq!(out[25], family);
            assert_eq!(u16::from_be_bytes([out[26], out[27]]) ^ 0x2112, 32853);
            let at = length - FINGERPRINT - INTEGRITY;
            assert!(is_authentic(
                &out[..length],
                at,
                &out[at + 4..at + 24],
                &key
            ));
            let crc = crc32(&out[..length - FINGERPRINT]) ^ FINGERPRINT_MASK;
            assert_eq!(out[length - 4..length], crc.to_be_bytes());
        }
    }

    #[test]
    fn refusals_are_smaller_than_what_they_refuse() {
        let key = integrity_key("secret");
        let request = request("a:b", 1, false, &key);
        let mut out = [0; ANSWER_LIMIT];
        assert!(refusal(&mut out, [9; 12], 401, None, None) < request.len());
        assert!(refusal(&mut out, [9; 12], 420, Some(0x7777), Some(&key)) <= ANSWER_LIMIT);
    }

    #[test]
    fn the_crc_has_its_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
