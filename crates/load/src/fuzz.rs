//! Entry points for fuzzing: any bytes, no panic.

use crate::arrivals::Arrivals;
use crate::{pattern, payload, rtcp, rtp, sdp};
use sanderling_media::Codec;

/// A description, what is used of it, and an answer to it that repeats none of its line breaks.
pub fn description(data: &[u8]) {
    let Ok(description) = sdp::Description::parse(&String::from_utf8_lossy(data)) else {
        return;
    };
    let listen = std::net::IpAddr::from([127, 0, 0, 1]);
    let _ = description.remote(listen);
    let ice = sanderling_rtc::IceCredentials {
        fragment: "fragment".into(),
        password: "password".into(),
    };
    let local = sdp::Local {
        session: 1,
        ice: &ice,
        fingerprint: &[0; 32],
        address: (listen, 5_000).into(),
    };
    if let Ok(answer) = sdp::answer(&local, &description) {
        for line in answer.split_terminator("\r\n") {
            let is_line = line.as_bytes().get(1) == Some(&b'=');
            assert!(is_line, "not a line of SDP: {line:?}");
        }
    }
}

/// A packet of media, its padding, its pattern, and every codec's payload in it.
pub fn media(data: &[u8]) {
    let payload = match rtp::read(data, 3) {
        Some(header) => {
            assert!(header.length <= data.len());
            rtp::without_padding(&data[header.length..], header.padding).unwrap_or_default()
        }
        None => data,
    };
    let _ = pattern::check(payload);
    for codec in Codec::ALL {
        let _ = payload::unpack(codec, payload.chunks(1 + data.len() / 3));
        for part in payload::pack(codec, payload, true, 7, 100).unwrap_or_default() {
            assert!(part.len() <= 100 || codec == Codec::Opus);
        }
    }
}

/// A compound RTCP packet, and feedback on the numbers in it.
pub fn control(data: &[u8]) {
    let epoch = std::time::Instant::now();
    let mut arrivals = Arrivals::new(epoch);
    rtcp::read(data, |said| {
        if let rtcp::Said::Missing { pairs, .. } = said {
            rtcp::sequences(pairs).for_each(drop);
        }
    });
    for pair in data.chunks_exact(3) {
        let at = epoch + std::time::Duration::from_millis(u64::from(pair[2]) * 50);
        arrivals.record(at, u16::from_be_bytes([pair[0], pair[1]]));
    }
    let mut out = [0; 1_100];
    let mut rounds = 0;
    while let Some(length) = arrivals.write(&mut out, 1, 2) {
        assert!(length % 4 == 0 && length <= out.len());
        rounds += 1;
        assert!(rounds <= data.len(), "feedback does not end");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sanderling_media::fuzz::Words;

    /// Bytes that are the same each time, some of them out of `seeds`.
    fn try_many(seeds: &[&[u8]], target: fn(&[u8])) {
        let mut words = Words(1);
        let mut next = move || words.draw() as usize;
        for round in 0..20_000 {
            let mut data = seeds[round % seeds.len()].to_vec();
            if round % 4 == 0 {
                data = (0..next() % 200).map(|_| next() as u8).collect();
            }
            for _ in 0..next() % 6 {
                if data.is_empty() {
                    break;
                }
                let at = next() % data.len();
                match next() % 3 {
                    0 => data[at] = next() as u8,
                    1 => drop(data.drain(at..)),
                    _ => data.insert(at, next() as u8),
                }
            }
            target(&data);
        }
    }

    #[test]
    fn no_description_does_harm() {
        let offer = b"v=0\r\na=ice-lite\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdabcdabcdabcdabcdabcd\r\na=setup:actpass\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n\
            a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
            a=ssrc-group:FID 1 2\r\na=candidate:1 1 udp 100 127.0.0.1 4000 typ host\r\n";
        try_many(&[offer], description);
    }

    #[test]
    fn no_packet_does_harm() {
        let extended = [
            0x90, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0x31, 1, 2, 0, 0x10, 0, 9, 9,
        ];
        let fragment = [0x7c, 0x85, 1, 2, 3, 4, 5];
        let stap = [0x18, 0, 2, 0x67, 1, 0, 2, 0x68, 1];
        let obus = [0x12, 0, 0x0a, 3, 1, 2, 3, 0x32, 2, 1, 1];
        let vp9 = [0xaa, 0x92, 1, 0x11, 0x18, 1, 0x04, 1, 1, 1, 1];
        try_many(&[&extended, &fragment, &stap, &obus, &vp9], media);
    }

    #[test]
    fn no_report_does_harm() {
        let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0xff, 0xff];
        let fir = [
            0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 3, 0, 0, 0,
        ];
        try_many(&[&nack, &fir], control);
    }
}
