//! Vectors of RFC 3711 appendix B and RFC 7714 sections 16 and 17, and what must not pass.
#![allow(clippy::unwrap_used)]

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
    digits.chunks(2).map(|two| pair(two).unwrap()).collect()
}

const GALLIA: &[u8] = b"Gallia est omnis divisa in partes tres";

/// Keys of RFC 7714 section 16: bytes counting up, of either length; the salt is "Quid pro quo".
fn gallic(length: u8) -> Cipher {
    let key: Vec<u8> = (0..length).collect();
    Cipher::gcm(&key, *b"Quid pro quo").unwrap()
}

#[test]
fn rtp_of_rfc_7714() {
    let rows = [
        (
            16,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
             899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            32,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for (length, expected) in rows {
        let mut packet = hex("8040f17b8041f8d35501a0b2");
        packet.extend_from_slice(GALLIA);
        packet.resize(packet.len() + GCM_TAG, 0);
        let total = gallic(length)
            .seal_rtp(&mut packet, 12, 12 + GALLIA.len(), 0x5501_a0b2, 0xf17b)
            .unwrap();
        assert_eq!(total, packet.len());
        assert_eq!(packet[12..], hex(expected), "{length} bytes of key");
    }
}

#[test]
fn a_payload_that_lies_elsewhere_is_sealed_as_one_behind_its_header() {
    let payload: Vec<u8> = (0..1_200_u32).map(|n| (n * 7) as u8).collect();
    for profile in [Profile::CmSha1, Profile::Gcm128, Profile::Gcm256] {
        let (keys, _) = ends(profile);
        for length in [0, 1, 15, 16, 17, 255, 1_150, 1_200] {
            let payload = &payload[..length];
            for header in [12, 20, 44] {
                let mut apart = vec![0x80; header + length + OVERHEAD];
                let mut behind = apart.clone();
                behind[header..header + length].copy_from_slice(payload);
                let total = keys.seal_rtp(&mut behind, header, header + length, 0xcafe, 77_777);
                let written = keys.seal_rtp_from(&mut apart, header, payload, 0xcafe, 77_777);
                assert_eq!(written, total, "{profile:?}, {length} bytes");
                assert!(total.is_some_and(|total| total > header + length));
                assert_eq!(apart, behind, "{profile:?}, {length} bytes behind {header}");
            }
        }
        // Neither room for the tag nor for the payload.
        for room in [12 + 9, 40, 44] {
            let mut short = vec![0; room];
            let written = keys.seal_rtp_from(&mut short, 12, &payload[..32], 1, 1);
            assert_eq!(written, None, "{profile:?}, room for {room} bytes");
        }
    }
}

#[test]
fn rtcp_of_rfc_7714() {
    let plain = hex(
        "81c8000d4d617273 4e5450314e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
         deadbeef deadbeef deadbeef deadbeef",
    );
    let rows = [
        (
            16,
            "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda\
             4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade",
        ),
        (
            32,
            "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be\
             8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be",
        ),
    ];
    for (length, expected) in rows {
        let mut packet = plain.clone();
        packet.resize(plain.len() + OVERHEAD, 0);
        let cipher = gallic(length);
        let total = cipher.seal_rtcp(&mut packet, plain.len(), 0x5d4).unwrap();
        assert_eq!(
            packet[RTCP_HEADER..total - INDEX],
            hex(expected),
            "{length}"
        );
        assert_eq!(packet[total - INDEX..total], hex("800005d4"));
        assert_eq!(cipher.open_rtcp(&mut packet), Some((plain.len(), 0x5d4)));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn counter_mode_of_rfc_3711() {
    let key = counter_key(&hex("2b7e151628aed2a6abf7158809cf4f3c")).unwrap();
    let salt: [u8; 14] = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd").try_into().unwrap();
    let mut stream = [0; 48];
    counter_mode(&key, cm_iv(&salt, 0, 0), &mut stream).unwrap();
    let expected = "e03ead0935c95e80e166b16dd92b4eb4 d23513162b02d0f72a43a2fe4a5f97ab 41e95b3bb0a2e8dd477901e4fca894c0";
    assert_eq!(stream.as_slice(), hex(expected));
}

#[test]
fn key_derivation_of_rfc_3711() {
    let master = counter_key(&hex("e1f97a0d3e018be0d64fa32c06de4139")).unwrap();
    let salt = hex("0ec675ad498afeebb6960b3aabe6");
    let rows = [
        (0, "c61e7a93744f39ee10734afe3ff7a087"),
        (2, "30cbbc08863d8c85d49db34a9ae1"),
        (1, "cebe321f6ff7716b6fd4ab49af256a156d38baa4"),
    ];
    for (label, expected) in rows {
        let expected = hex(expected);
        let mut out = vec![0xff; expected.len()];
        derive(&master, &salt, label, &mut out).unwrap();
        assert_eq!(out, expected, "label {label}");
    }
}

/// Packets that another implementation of SRTP publishes for checking one's own, from the keys of RFC 3711.
#[test]
fn whole_packets_under_counter_mode() {
    let key = hex("e1f97a0d3e018be0d64fa32c06de4139");
    let salt = hex("0ec675ad498afeebb6960b3aabe6");
    let cipher = |labels| Cipher::new(Profile::CmSha1, &key, &salt, labels).unwrap();

    let mut packet = hex("800f1234 decafbad cafebabe");
    packet.extend([0xab; 16]);
    packet.resize(64, 0);
    let length = cipher(LABELS_RTP)
        .seal_rtp(&mut packet, 12, 28, 0xcafe_babe, 0x1234)
        .unwrap();
    let expected = "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb";
    assert_eq!(packet[..length], hex(expected));

    let mut packet = hex("81c8000b cafebabe");
    packet.extend([0xab; 16]);
    packet.resize(64, 0);
    let length = cipher(LABELS_RTCP).seal_rtcp(&mut packet, 24, 1).unwrap();
    let expected =
        "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798";
    assert_eq!(packet[..length], hex(expected));
}

/// Both ends of a session: the client sends with what the server receives with.
fn ends(profile: Profile) -> (Outbound, Inbound) {
    let (key, salt) = (profile.key_length(), profile.salt_length());
    let mut material = vec![7; key];
    material.extend_from_within(..);
    material.extend(std::iter::repeat_n(9, 2 * salt));
    contexts(profile, &material).unwrap()
}

#[test]
fn rtcp_comes_through_once_and_unchanged_only() {
    let report = hex("80c900010000cafe 81c80001 12345678");
    for profile in [Profile::CmSha1, Profile::Gcm128, Profile::Gcm256] {
        let (mut sender, mut receiver) = ends(profile);
        let mut packet = [0; 64];
        packet[..report.len()].copy_from_slice(&report);
        let length = sender.seal_rtcp(&mut packet, report.len()).unwrap();
        for at in 0..length {
            let mut changed = packet;
            changed[at] ^= 1;
            let opened = receiver.open_rtcp(&mut changed[..length]);
            assert!(opened.is_none(), "{profile:?}: byte {at}");
            let mut cut = packet;
            assert!(receiver.open_rtcp(&mut cut[..at]).is_none());
        }
        let mut again = packet;
        assert_eq!(receiver.open_rtcp(&mut packet[..length]), Some(&report[..]));
        assert!(
            receiver.open_rtcp(&mut again[..length]).is_none(),
            "a replay"
        );
    }
}

#[test]
fn replays_by_table() {
    // (index, taken)
    let rows = [
        (5, true),
        (5, false),
        (4, true),
        (4, false),
        (70, true),
        (7, true),
        (6, false),
        (69, true),
        (70, false),
        (200, true),
        (136, false),
        (137, true),
    ];
    let mut replay = Replay::default();
    for (index, taken) in rows {
        assert_eq!(replay.admit(index), taken, "{index}");
    }
}

#[test]
fn no_number_is_used_twice() {
    // (number, may be used)
    let rows = [
        (30_000, true),
        (30_000, false),
        (30_003, true),
        (30_001, true),
        (30_001, false),
        (30_002, true),
        (31_024, true),
        (30_001, false),
        (30_000, false),
        (30_004, true),
        (90_000, true),
        (89_999, true),
        (89_999, false),
        (88_977, true),
        (88_976, false),
        (31_024, false),
    ];
    let mut used = Used::default();
    for (number, taken) in rows {
        assert_eq!(used.take(number), taken, "{number}");
    }
}

#[test]
fn no_number_from_before_a_pass_is_used_again() {
    let mut used = Used::default();
    assert!(used.take(50) && used.take(90));
    used.pass();
    // (number, whether it may be used)
    let rows = [
        (50, false),
        (70, false),
        (90, false),
        (93, true),
        (91, true),
        (92, true),
        (92, false),
        (89, false),
        (5_000, true),
        (4_500, true),
        (93, false),
    ];
    for (number, taken) in rows {
        assert_eq!(used.take(number), taken, "{number}");
    }
    used.pass();
    assert!(!used.take(5_000) && !used.take(4_600) && used.take(5_001));
}

#[test]
fn keying_material_of_the_wrong_length_is_refused() {
    for profile in [Profile::CmSha1, Profile::Gcm128, Profile::Gcm256] {
        assert!(contexts(profile, &[0; 59]).is_none());
        assert!(contexts(profile, &[]).is_none());
    }
}
