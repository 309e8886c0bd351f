//! SRTP and SRTCP (RFC 3711) with AES-CM and HMAC-SHA1, and with AES-GCM (RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{constant_time, hmac};

/// Most bytes that protection adds to a packet: the tag and the index of SRTCP under GCM.
pub(crate) const OVERHEAD: usize = 20;

const GCM_TAG: usize = 16;
const SHA1_TAG: usize = 10;
/// SRTCP index with the bit that says "encrypted".
const INDEX: usize = 4;
const ENCRYPTED: u32 = 1 << 31;
/// Bytes of an RTCP packet that are never encrypted: header and sender.
const RTCP_HEADER: usize = 8;
/// Senders of RTCP whose indices are remembered; they are authentic, so only a broken peer has more.
const SENDER_LIMIT: usize = 64;

/// Labels of key derivation (RFC 3711 section 4.3.1).
const LABELS_RTP: [u8; 3] = [0, 1, 2];
const LABELS_RTCP: [u8; 3] = [3, 4, 5];

/// Protection profile that DTLS agreed on (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// SRTP_AES128_CM_HMAC_SHA1_80
    CmSha1,
    /// SRTP_AEAD_AES_128_GCM
    Gcm128,
    /// SRTP_AEAD_AES_256_GCM
    Gcm256,
}

impl Profile {
    const fn key_length(self) -> usize {
        match self {
            Self::CmSha1 | Self::Gcm128 => 16,
            Self::Gcm256 => 32,
        }
    }

    const fn salt_length(self) -> usize {
        match self {
            Self::CmSha1 => 14,
            Self::Gcm128 | Self::Gcm256 => 12,
        }
    }
}

/// Session keys of one direction and one protocol.
enum Cipher {
    Gcm { key: LessSafeKey, salt: GcmSalt },
    Cm(Box<CounterMode>),
}

/// Keys of AES-CM with HMAC-SHA1; most viewers have none, so they lie apart.
struct CounterMode {
    key: EncryptingKey,
    salt: [u8; 14],
    auth: hmac::Key,
}

/// Run AES in counter mode over `data`.
fn counter_mode(key: &EncryptingKey, iv: [u8; 16], data: &mut [u8]) -> Option<()> {
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(data, context).ok().map(|_| ())
}

fn counter_key(key: &[u8]) -> Option<EncryptingKey> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    EncryptingKey::ctr(UnboundCipherKey::new(algorithm, key).ok()?).ok()
}

/// Derive one session value. The master salt is padded to 14 bytes at its end (RFC 7714 section 11); the key
/// derivation rate is 0.
fn derive(master: &EncryptingKey, salt: &[u8], label: u8, out: &mut [u8]) -> Option<()> {
    let mut iv = [0; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label;
    out.fill(0);
    counter_mode(master, iv, out)
}

impl Cipher {
    fn new(profile: Profile, key: &[u8], salt: &[u8], labels: [u8; 3]) -> Option<Self> {
        let master = counter_key(key)?;
        let mut session = [0; 32];
        let session = &mut session[..profile.key_length()];
        derive(&master, salt, labels[0], session)?;
        match profile {
            Profile::CmSha1 => {
                let (mut auth, mut session_salt) = ([0; 20], [0; 14]);
                derive(&master, salt, labels[1], &mut auth)?;
                derive(&master, salt, labels[2], &mut session_salt)?;
                Self::cm(session, session_salt, &auth)
            }
            Profile::Gcm128 | Profile::Gcm256 => {
                let mut session_salt = [0; 12];
                derive(&master, salt, labels[2], &mut session_salt)?;
                Self::gcm(session, session_salt)
            }
        }
    }

    fn cm(key: &[u8], salt: [u8; 14], auth: &[u8]) -> Option<Self> {
        Some(Self::Cm(Box::new(CounterMode {
            key: counter_key(key)?,
            salt,
            auth: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth),
        })))
    }

    fn gcm(key: &[u8], salt: [u8; 12]) -> Option<Self> {
        let algorithm = if key.len() == 32 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        let salt = GcmSalt::new(salt);
        Some(Self::Gcm { key, salt })
    }

    /// Protect the RTP packet of `length` bytes at the start of `buffer`; `header` of them stay readable. Returns the
    /// length with the tag.
    fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Option<usize> {
        match self {
            Self::Gcm { key, salt } => {
                let nonce = salt.nonce(ssrc, sequence);
                seal_gcm(key, nonce, buffer, header..length, None)
            }
            Self::Cm(mode) => {
                let CounterMode { key, salt, auth } = &**mode;
                let iv = cm_iv(salt, ssrc, sequence);
                counter_mode(key, iv, buffer.get_mut(header..length)?)?;
                let rollover = ((sequence >> 16) as u32).to_be_bytes();
                // The rollover counter is authenticated but not sent; it stands where the tag will be.
                buffer
                    .get_mut(length..length + 4)?
                    .copy_from_slice(&rollover);
                let tag = hmac::sign(auth, buffer.get(..length + 4)?);
                let room = buffer.get_mut(length..length + SHA1_TAG)?;
                room.copy_from_slice(&tag.as_ref()[..SHA1_TAG]);
                Some(length + SHA1_TAG)
            }
        }
    }

    /// The same for a payload that lies elsewhere: read there, written behind the header, without a copy in between.
    fn seal_rtp_from(
        &self,
        buffer: &mut [u8],
        header: usize,
        payload: &[u8],
        ssrc: u32,
        sequence: u64,
    ) -> Option<usize> {
        let length = header + payload.len();
        let Self::Gcm { key, salt } = self else {
            buffer.get_mut(header..length)?.copy_from_slice(payload);
            return self.seal_rtp(buffer, header, length, ssrc, sequence);
        };
        let (front, rest) = buffer.split_at_mut_checked(header)?;
        let (body, room) = rest.split_at_mut_checked(payload.len())?;
        let (nonce, associated) = (salt.nonce(ssrc, sequence), Aad::from(&*front));
        let tag = room.get_mut(..GCM_TAG)?;
        key.seal_out_of_place_scatter(nonce, associated, payload, body, &[], tag)
            .ok()?;
        Some(length + GCM_TAG)
    }

    fn seal_rtcp(&self, buffer: &mut [u8], length: usize, index: u32) -> Option<usize> {
        let ssrc = u32::from_be_bytes(buffer.get(4..RTCP_HEADER)?.try_into().ok()?);
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Gcm { key, salt } => {
                let nonce = salt.nonce(ssrc, index.into());
                let end = seal_gcm(key, nonce, buffer, RTCP_HEADER..length, Some(word))?;
                buffer.get_mut(end..end + INDEX)?.copy_from_slice(&word);
                Some(end + INDEX)
            }
            Self::Cm(mode) => {
                let CounterMode { key, salt, auth } = &**mode;
                let iv = cm_iv(salt, ssrc, index.into());
                counter_mode(key, iv, buffer.get_mut(RTCP_HEADER..length)?)?;
                let end = length + INDEX;
                buffer.get_mut(length..end)?.copy_from_slice(&word);
                let tag = hmac::sign(auth, buffer.get(..end)?);
                let room = buffer.get_mut(end..end + SHA1_TAG)?;
                room.copy_from_slice(&tag.as_ref()[..SHA1_TAG]);
                Some(end + SHA1_TAG)
            }
        }
    }

    /// Open the SRTCP packet in `buffer`. Returns the length of the RTCP packet and its index.
    fn open_rtcp(&self, buffer: &mut [u8]) -> Option<(usize, u32)> {
        let ssrc = u32::from_be_bytes(buffer.get(4..RTCP_HEADER)?.try_into().ok()?);
        let total = buffer.len();
        let word_at = match self {
            Self::Gcm { .. } => total.checked_sub(INDEX)?,
            Self::Cm(_) => total.checked_sub(INDEX + SHA1_TAG)?,
        };
        let word: [u8; 4] = buffer.get(word_at..word_at + INDEX)?.try_into().ok()?;
        let (encrypted, index) = {
            let word = u32::from_be_bytes(word);
            (word & ENCRYPTED != 0, word & !ENCRYPTED)
        };
        match self {
            Self::Gcm { key, salt } => {
                // Both sides agreed on encryption; a packet without it is not looked at.
                let length = word_at
                    .checked_sub(GCM_TAG)
                    .filter(|length| encrypted && *length >= RTCP_HEADER)?;
                let mut associated = [0; RTCP_HEADER + INDEX];
                associated[..RTCP_HEADER].copy_from_slice(&buffer[..RTCP_HEADER]);
                associated[RTCP_HEADER..].copy_from_slice(&word);
                let nonce = salt.nonce(ssrc, index.into());
                let sealed = &mut buffer[RTCP_HEADER..word_at];
                key.open_in_place(nonce, Aad::from(associated), sealed)
                    .ok()?;
                Some((length, index))
            }
            Self::Cm(mode) => {
                let CounterMode { key, salt, auth } = &**mode;
                let (signed, tag) = buffer.split_at(word_at + INDEX);
                let right = hmac::sign(auth, signed);
                constant_time::verify_slices_are_equal(&right.as_ref()[..SHA1_TAG], tag).ok()?;
                if !encrypted || word_at < RTCP_HEADER {
                    return None;
                }
                let iv = cm_iv(salt, ssrc, index.into());
                counter_mode(key, iv, &mut buffer[RTCP_HEADER..word_at])?;
                Some((word_at, index))
            }
        }
    }
}

/// Seal `range` of `buffer`, with what stands before it (and `more`) as associated data; the tag follows the range.
fn seal_gcm(
    key: &LessSafeKey,
    nonce: Nonce,
    buffer: &mut [u8],
    range: std::ops::Range<usize>,
    more: Option<[u8; 4]>,
) -> Option<usize> {
    let end = range.end;
    let (front, rest) = buffer.split_at_mut_checked(range.start)?;
    let (body, room) = rest.split_at_mut_checked(end.checked_sub(range.start)?)?;
    let tag = match more {
        None => key.seal_in_place_separate_tag(nonce, Aad::from(&*front), body),
        Some(word) => {
            let mut associated = [0; RTCP_HEADER + INDEX];
            associated[..RTCP_HEADER].copy_from_slice(front);
            associated[RTCP_HEADER..].copy_from_slice(&word);
            key.seal_in_place_separate_tag(nonce, Aad::from(associated), body)
        }
    };
    room.get_mut(..GCM_TAG)?.copy_from_slice(tag.ok()?.as_ref());
    Some(end + GCM_TAG)
}

/// Session salt of AES-GCM as numbers, so that a nonce is made in registers.
#[derive(Clone, Copy)]
struct GcmSalt {
    first: u32,
    rest: u64,
}

impl GcmSalt {
    fn new(salt: [u8; 12]) -> Self {
        let salt = salt
            .iter()
            .fold(0, |all: u128, byte| all << 8 | u128::from(*byte));
        Self {
            first: (salt >> 64) as u32,
            rest: salt as u64,
        }
    }

    /// RFC 7714 section 8.1: 00 00, SSRC, rollover counter, sequence number; section 9.1: 00 00, SSRC, 00 00, index. In
    /// both the packet's number is 48 bits.
    #[inline]
    fn nonce(self, ssrc: u32, number: u64) -> Nonce {
        let mut nonce = [0; 12];
        let rest = u64::from(ssrc) << 48 | number & 0xffff_ffff_ffff;
        nonce[..4].copy_from_slice(&(self.first ^ ssrc >> 16).to_be_bytes());
        nonce[4..].copy_from_slice(&(self.rest ^ rest).to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

/// RFC 3711 section 4.1.1: salt, SSRC and packet index, each at its place, and 16 bits of block counter.
fn cm_iv(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    let mix = |place: &mut [u8], value: &[u8]| {
        place
            .iter_mut()
            .zip(value)
            .for_each(|(byte, value)| *byte ^= value);
    };
    mix(&mut iv[4..8], &ssrc.to_be_bytes());
    mix(&mut iv[8..14], &index.to_be_bytes()[2..]);
    iv
}

/// What the server sends with.
pub(crate) struct Outbound {
    rtp: Cipher,
    rtcp: Cipher,
    index: u32,
}

impl Outbound {
    /// Read a value.
    pub(super) fn warm(&self) -> u64 {
        let salt = match &self.rtp {
            Cipher::Gcm { salt, .. } => salt.rest,
            Cipher::Cm(keys) => u64::from(keys.salt[0]),
        };
        salt ^ u64::from(self.index)
    }

    /// Name of the protection profile (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
    pub(super) fn profile(&self) -> &'static str {
        match &self.rtp {
            Cipher::Cm(_) => "SRTP_AES128_CM_HMAC_SHA1_80",
            Cipher::Gcm { key, .. } if key.algorithm() == &AES_256_GCM => "SRTP_AEAD_AES_256_GCM",
            Cipher::Gcm { .. } => "SRTP_AEAD_AES_128_GCM",
        }
    }

    /// Protect the RTP packet of `length` bytes, `header` of them header, at the start of `buffer`. Returns the length
    /// with the tag. `sequence` is extended by the rollover counter.
    pub(crate) fn seal_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        length: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Option<usize> {
        self.rtp.seal_rtp(buffer, header, length, ssrc, sequence)
    }

    /// Protect an RTP packet whose header of `header` bytes is at the start of `buffer` and whose payload lies elsewhere.
    /// Returns the length with the tag.
    pub(super) fn seal_rtp_from(
        &self,
        buffer: &mut [u8],
        header: usize,
        payload: &[u8],
        ssrc: u32,
        sequence: u64,
    ) -> Option<usize> {
        self.rtp
            .seal_rtp_from(buffer, header, payload, ssrc, sequence)
    }

    /// Protect the compound RTCP packet of `length` bytes at the start of `buffer`.
    pub(crate) fn seal_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let index = self.index;
        self.index = (index + 1) & !ENCRYPTED;
        self.rtcp.seal_rtcp(buffer, length, index)
    }
}

/// What the peer's RTCP is read with. No RTP comes from a viewer.
pub(crate) struct Inbound {
    rtcp: Cipher,
    windows: Vec<(u32, Replay)>,
}

impl Inbound {
    /// Open the SRTCP packet in `buffer` in place. `None` when it is not authentic or came before.
    pub(crate) fn open_rtcp<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let (length, index) = self.rtcp.open_rtcp(buffer)?;
        let ssrc = u32::from_be_bytes(buffer.get(4..RTCP_HEADER)?.try_into().ok()?);
        let place = match self.windows.iter().position(|(sender, _)| *sender == ssrc) {
            Some(place) => place,
            None if self.windows.len() < SENDER_LIMIT => {
                self.windows.push((ssrc, Replay::default()));
                self.windows.len() - 1
            }
            None => return None,
        };
        self.windows[place]
            .1
            .admit(index)
            .then(|| &buffer[..length])
    }
}

/// Indices that came, so that none is taken twice (RFC 3711 section 3.3.2).
#[derive(Debug, Default)]
struct Replay {
    highest: Option<u32>,
    /// Bit `n` is set when `highest - n` came.
    seen: u64,
}

impl Replay {
    fn admit(&mut self, index: u32) -> bool {
        let Some(highest) = self.highest else {
            (self.highest, self.seen) = (Some(index), 1);
            return true;
        };
        if index > highest {
            let by = index - highest;
            self.seen = if by < 64 { self.seen << by | 1 } else { 1 };
            self.highest = Some(index);
            return true;
        }
        let bit = 1_u64.checked_shl(highest - index).unwrap_or(0);
        let fresh = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

/// Split keying material of DTLS (RFC 5764 section 4.2: client key, server key, client salt, server salt) into both
/// directions of the server. `None` when it has another length.
pub(super) fn contexts(profile: Profile, material: &[u8]) -> Option<(Outbound, Inbound)> {
    let (key, salt) = (profile.key_length(), profile.salt_length());
    if material.len() != 2 * (key + salt) {
        return None;
    }
    let (keys, salts) = material.split_at(2 * key);
    let (client_key, server_key) = keys.split_at(key);
    let (client_salt, server_salt) = salts.split_at(salt);
    let outbound = Outbound {
        rtp: Cipher::new(profile, server_key, server_salt, LABELS_RTP)?,
        rtcp: Cipher::new(profile, server_key, server_salt, LABELS_RTCP)?,
        index: 0,
    };
    let inbound = Inbound {
        rtcp: Cipher::new(profile, client_key, client_salt, LABELS_RTCP)?,
        windows: Vec::new(),
    };
    Some((outbound, inbound))
}

mod client;
mod used;

pub(crate) use client::{Receiver, client_contexts};
pub(super) use used::Used;

#[cfg(test)]
#[path = "srtp_vectors.rs"]
mod tests;
