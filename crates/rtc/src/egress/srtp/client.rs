//! The client's side of SRTP: media comes in, so packets of RTP are opened too.

use aws_lc_rs::aead::Aad;
use aws_lc_rs::{constant_time, hmac};

use super::{
    Cipher, CounterMode, Inbound, LABELS_RTCP, LABELS_RTP, Outbound, Profile, SHA1_TAG, cm_iv,
    counter_mode,
};

/// What the server's media and RTCP are read with.
pub(crate) struct Receiver {
    rtp: Cipher,
    rtcp: Inbound,
}

impl Receiver {
    /// Open the SRTP packet in `buffer` in place, `header` bytes of which are header. `sequence` is extended by the
    /// rollover counter. Returns the payload, padding included; `None` when the packet is not authentic. Whether it
    /// came before is for the caller to know, who counts its sequence numbers.
    pub(crate) fn open_rtp<'a>(
        &self,
        buffer: &'a mut [u8],
        header: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Option<&'a mut [u8]> {
        let length = self.rtp.open_rtp(buffer, header, ssrc, sequence)?;
        buffer.get_mut(header..length)
    }

    /// Open the SRTCP packet in `buffer` in place. `None` when it is not authentic or came before.
    pub(crate) fn open_rtcp<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        self.rtcp.open_rtcp(buffer)
    }
}

impl Cipher {
    /// Open the packet in `buffer`. Returns its length without the tag.
    fn open_rtp(
        &self,
        buffer: &mut [u8],
        header: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Option<usize> {
        match self {
            Self::Gcm { key, salt } => {
                let nonce = salt.nonce(ssrc, sequence);
                let (front, sealed) = buffer.split_at_mut_checked(header)?;
                let opened = key.open_in_place(nonce, Aad::from(&*front), sealed).ok()?;
                Some(header + opened.len())
            }
            Self::Cm(mode) => {
                let CounterMode { key, salt, auth } = &**mode;
                let length = buffer
                    .len()
                    .checked_sub(SHA1_TAG)
                    .filter(|at| *at >= header)?;
                let (signed, tag) = buffer.split_at_mut(length);
                let mut context = hmac::Context::with_key(auth);
                context.update(signed);
                context.update(&((sequence >> 16) as u32).to_be_bytes());
                let right = context.sign();
                constant_time::verify_slices_are_equal(&right.as_ref()[..SHA1_TAG], tag).ok()?;
                let iv = cm_iv(salt, ssrc, sequence);
                counter_mode(key, iv, signed.get_mut(header..)?)?;
                Some(length)
            }
        }
    }
}

/// Split keying material of DTLS (RFC 5764 section 4.2) into both directions of the client. `None` when it has another
/// length than the profile's.
pub(crate) fn client_contexts(profile: Profile, material: &[u8]) -> Option<(Outbound, Receiver)> {
    let (key, salt) = (profile.key_length(), profile.salt_length());
    if material.len() != 2 * (key + salt) {
        return None;
    }
    let (keys, salts) = material.split_at(2 * key);
    let (client_key, server_key) = keys.split_at(key);
    let (client_salt, server_salt) = salts.split_at(salt);
    let outbound = Outbound {
        rtp: Cipher::new(profile, client_key, client_salt, LABELS_RTP)?,
        rtcp: Cipher::new(profile, client_key, client_salt, LABELS_RTCP)?,
        index: 0,
    };
    let receiver = Receiver {
        rtp: Cipher::new(profile, server_key, server_salt, LABELS_RTP)?,
        rtcp: Inbound {
            rtcp: Cipher::new(profile, server_key, server_salt, LABELS_RTCP)?,
            windows: Vec::new(),
        },
    };
    Some((outbound, receiver))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::egress::srtp::contexts;

    const SSRC: u32 = 0x1234_5678;

    fn both(profile: Profile) -> ((Outbound, Inbound), (Outbound, Receiver)) {
        let length = 2 * (profile.key_length() + profile.salt_length());
        let material: Vec<u8> = (0..length as u8).collect();
        (
            contexts(profile, &material).unwrap(),
            client_contexts(profile, &material).unwrap(),
        )
    }

    #[test]
    fn each_side_opens_what_the_other_sealed_and_nothing_else() {
        for profile in [Profile::CmSha1, Profile::Gcm128, Profile::Gcm256] {
            let ((server, mut server_in), (mut client, client_in)) = both(profile);
            let mut packet = [0; 128];
            packet[0] = 0x80;
            packet[12..40].fill(7);
            let sequence = 0x1_ffff;
            let length = server
                .seal_rtp(&mut packet, 12, 40, SSRC, sequence)
                .unwrap();
            assert_ne!(packet[12..40], [7; 28]);

            let mut opened = packet[..length].to_vec();
            let payload = client_in.open_rtp(&mut opened, 12, SSRC, sequence).unwrap();
            assert_eq!(payload, [7; 28], "{profile:?}");
            // Another rollover counter is another packet.
            let mut other = packet[..length].to_vec();
            let next = sequence + 0x1_0000;
            assert!(client_in.open_rtp(&mut other, 12, SSRC, next).is_none());
            for at in 0..length {
                let mut changed = packet[..length].to_vec();
                changed[at] ^= 1;
                assert!(
                    client_in
                        .open_rtp(&mut changed, 12, SSRC, sequence)
                        .is_none()
                );
                let mut cut = packet[..at].to_vec();
                assert!(client_in.open_rtp(&mut cut, 12, SSRC, sequence).is_none());
            }

            let mut report = [0; 64];
            report[..8].copy_from_slice(&[0x80, 201, 0, 1, 1, 2, 3, 4]);
            let length = client.seal_rtcp(&mut report, 8).unwrap();
            assert_eq!(
                server_in.open_rtcp(&mut report[..length]).unwrap(),
                [0x80, 201, 0, 1, 1, 2, 3, 4]
            );
        }
    }

    #[test]
    fn material_of_another_length_makes_no_keys() {
        assert!(client_contexts(Profile::Gcm128, &[0; 55]).is_none());
        assert!(client_contexts(Profile::CmSha1, &[]).is_none());
    }
}
