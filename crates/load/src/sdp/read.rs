//! Reading descriptions.

use std::net::{IpAddr, SocketAddr};

use sanderling_rtc::IceCredentials;
use sanderling_rtc::client::Remote;

use super::{Description, PayloadType, Section, Unusable};

/// Bounds on what is kept of a description: a wrong one shall not fill the memory.
const TEXT_LIMIT: usize = 1 << 20;
const SECTION_LIMIT: usize = 512;
const LIST_LIMIT: usize = 64;

impl Description {
    /// Read an offer or an answer. Unknown lines are left alone.
    pub(crate) fn parse(text: &str) -> Result<Self, Unusable> {
        if text.len() > TEXT_LIMIT {
            return Err(Unusable::new("the description is larger than 1 MiB"));
        }
        if !text.trim_start().starts_with("v=0") {
            return Err(Unusable::new(
                "this is no SDP: it does not begin with v=0; pass the body of the server's answer",
            ));
        }
        let mut description = Self::default();
        let mut candidates: Vec<(u32, SocketAddr)> = Vec::new();
        for line in text.lines().map(str::trim_end) {
            let Some((kind, value)) = line.split_once('=') else {
                continue;
            };
            match kind {
                "m" => description.section(value)?,
                "a" => {
                    let (name, value) = value.split_once(':').unwrap_or((value, ""));
                    if let Some(section) = description.sections.last_mut() {
                        section.attribute(name, value);
                    }
                    match name {
                        "candidate" if candidates.len() < LIST_LIMIT => {
                            candidates.extend(candidate(value));
                        }
                        _ => description.transport(name, value),
                    }
                }
                _ => {}
            }
        }
        // Best first; of equals the first named.
        candidates.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
        for (_, address) in candidates {
            if !description.candidates.contains(&address) {
                description.candidates.push(address);
            }
        }
        Ok(description)
    }

    fn section(&mut self, value: &str) -> Result<(), Unusable> {
        if self.sections.len() == SECTION_LIMIT {
            return Err(Unusable::new(format!(
                "the description has more than {SECTION_LIMIT} media sections"
            )));
        }
        let mut words = value.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (media, port, protocol, formats) = (word(), word(), word(), word());
        self.sections.push(Section {
            media,
            protocol,
            formats,
            rejected: port == "0",
            sends: true,
            ..Section::default()
        });
        Ok(())
    }

    /// Attributes of the transport. All sections are bundled, so the first that has one speaks for all.
    fn transport(&mut self, name: &str, value: &str) {
        let keep = |place: &mut Option<String>| {
            if place.is_none() && (1..=256).contains(&value.len()) {
                *place = Some(value.to_owned());
            }
        };
        match name {
            "ice-lite" => self.lite = true,
            "ice-ufrag" => keep(&mut self.fragment),
            "ice-pwd" => keep(&mut self.password),
            "setup" => keep(&mut self.setup),
            "fingerprint" if self.fingerprint.is_none() => {
                if let Some((hash, digest)) = value.split_once(' ')
                    && hash.eq_ignore_ascii_case("sha-256")
                {
                    self.fingerprint = digest_of(digest);
                }
            }
            _ => {}
        }
    }

    /// What the transport needs. `listen`: address of our candidate; others of its family cannot be reached from it.
    pub(crate) fn remote(&self, listen: IpAddr) -> Result<Remote, Unusable> {
        let missing = |what: &str| Unusable::new(format!("the description has no {what}"));
        if self.sections.iter().all(|section| section.rejected) {
            return Err(Unusable::new(
                "every media section is refused (port 0): no codec in common, or nothing to play",
            ));
        }
        if self.setup.as_deref() == Some("active") {
            return Err(Unusable::new(
                "a=setup:active: this side is the DTLS client, so the server has to be passive",
            ));
        }
        let reachable = |address: &&SocketAddr| address.is_ipv4() == listen.is_ipv4();
        let candidates: Vec<_> = self.candidates.iter().filter(reachable).copied().collect();
        if candidates.is_empty() {
            let family = if listen.is_ipv4() { "IPv4" } else { "IPv6" };
            return Err(Unusable::new(format!(
                "the description has no UDP candidate with an {family} address; let the server put its candidates \
                 into the description, or listen on an address of its family"
            )));
        }
        Ok(Remote {
            credentials: IceCredentials {
                fragment: self
                    .fragment
                    .clone()
                    .ok_or_else(|| missing("a=ice-ufrag"))?,
                password: self.password.clone().ok_or_else(|| missing("a=ice-pwd"))?,
            },
            lite: self.lite,
            fingerprint: self
                .fingerprint
                .ok_or_else(|| missing("a=fingerprint:sha-256"))?,
            candidates,
        })
    }
}

impl Section {
    fn attribute(&mut self, name: &str, value: &str) {
        match name {
            "mid" => self.mid = value.chars().take(16).collect(),
            "recvonly" | "inactive" => self.sends = false,
            "rtcp-rsize" => self.reduced = true,
            "rtpmap" => {
                if let Some((number, encoding)) = numbered(value)
                    && self.payload_types.len() < LIST_LIMIT
                    && self.format(number).is_none()
                {
                    self.payload_types.push(PayloadType {
                        number,
                        encoding: encoding.to_owned(),
                        parameters: String::new(),
                        feedback: Vec::new(),
                    });
                }
            }
            "fmtp" => {
                if let Some((number, parameters)) = numbered(value)
                    && let Some(format) = self.format(number)
                {
                    format.parameters = parameters.to_owned();
                }
            }
            "rtcp-fb" => {
                if let Some((number, feedback)) = numbered(value)
                    && let Some(format) = self.format(number)
                    && format.feedback.len() < LIST_LIMIT
                {
                    format.feedback.push(feedback.to_owned());
                }
            }
            "extmap" => {
                if let Some((id, uri)) = value.split_once(' ') {
                    let id = id.split('/').next().and_then(|id| id.parse().ok());
                    let uri = uri.split(' ').next().unwrap_or_default();
                    // Larger ids need two-byte headers (RFC 8285), which nobody here offers.
                    if let Some(id) = id.filter(|id| (1..=14).contains(id))
                        && self.extensions.len() < LIST_LIMIT
                    {
                        self.extensions.push((id, uri.to_owned()));
                    }
                }
            }
            "ssrc-group" => {
                if let Some(pair) = value.strip_prefix("FID ")
                    && let Some((media, repair)) = pair.split_once(' ')
                    && let (Ok(media), Ok(repair)) = (media.parse(), repair.trim().parse())
                    && self.groups.len() < LIST_LIMIT
                {
                    self.groups.push((media, repair));
                }
            }
            "ssrc" => {
                let number = value.split(' ').next().and_then(|ssrc| ssrc.parse().ok());
                if let Some(ssrc) = number
                    && self.sources.len() < LIST_LIMIT
                    && !self.sources.contains(&ssrc)
                {
                    self.sources.push(ssrc);
                }
            }
            _ => {}
        }
    }

    fn format(&mut self, number: u8) -> Option<&mut PayloadType> {
        self.payload_types
            .iter_mut()
            .find(|format| format.number == number)
    }
}

/// A value that begins with a payload type.
fn numbered(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.split_once(' ')?;
    let number = number.parse().ok().filter(|number| *number < 128)?;
    Some((number, rest.trim()))
}

/// A UDP candidate of component 1 that is an address (RFC 8839 section 5.1): priority and address.
fn candidate(value: &str) -> Option<(u32, SocketAddr)> {
    let mut words = value.split_ascii_whitespace();
    let (_foundation, component, protocol) = (words.next()?, words.next()?, words.next()?);
    let priority = words.next()?.parse().ok()?;
    let address: IpAddr = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let usable = component == "1"
        && protocol.eq_ignore_ascii_case("udp")
        && port != 0
        && !address.is_unspecified();
    usable.then(|| (priority, SocketAddr::new(address, port)))
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let mut parts = text.trim().split(':');
    for byte in &mut digest {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(digest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use sanderling_media::Codec;

    fn sample() -> String {
        let digest = vec!["AB"; 32].join(":");
        format!(
            "v=0\r\no=- 1 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\n\
             m=audio 0 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=inactive\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\na=ice-ufrag:abcd\r\na=ice-pwd:secretsecretsecretsecret\r\n\
             a=fingerprint:sha-256 {digest}\r\na=setup:passive\r\na=sendonly\r\na=rtcp-rsize\r\na=extmap:3 {uri}\r\n\
             a=extmap:15 too:large\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\n\
             a=fmtp:97 apt=96\r\na=ssrc-group:FID 11 12\r\na=ssrc:11 cname:x\r\na=ssrc:12 cname:x\r\n\
             a=candidate:1 1 udp 100 10.0.0.1 4000 typ host\r\na=candidate:2 1 udp 200 127.0.0.1 4000 typ host\r\n\
             a=candidate:3 1 tcp 300 127.0.0.1 4000 typ host tcptype passive\r\n\
             a=candidate:4 1 udp 300 2001:db8::1 4000 typ host\r\na=candidate:5 1 udp 1 x.local 4 typ host\r\n",
            uri = super::super::TRANSPORT_WIDE_CC,
        )
    }

    #[test]
    fn a_whole_answer() {
        let description = Description::parse(&sample()).unwrap();
        assert!(description.lite);
        let [audio, video] = &description.sections[..] else {
            unreachable!("two sections");
        };
        assert!(audio.rejected && !audio.sends);
        assert_eq!((video.mid.as_str(), video.sends), ("1", true));
        assert!(video.reduced && !audio.reduced);
        assert_eq!(video.payload_types[0].codec(), Some(Codec::Vp8));
        assert_eq!(video.payload_types[0].feedback, ["nack pli"]);
        assert_eq!(video.payload_types[1].repairs(), Some(96));
        assert_eq!(video.groups, [(11, 12)]);
        assert_eq!(video.sources, [11, 12]);
        assert_eq!(video.extension(super::super::TRANSPORT_WIDE_CC), 3);
        assert_eq!(video.extension("too:large"), 0);

        let remote = description.remote("127.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(remote.fingerprint, [0xab; 32]);
        let expected: Vec<SocketAddr> = vec![
            "127.0.0.1:4000".parse().unwrap(),
            "10.0.0.1:4000".parse().unwrap(),
        ];
        assert_eq!(remote.candidates, expected);
        let six = description.remote("::1".parse().unwrap()).unwrap();
        assert_eq!(six.candidates.len(), 1);
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let listen = "127.0.0.1".parse().unwrap();
        let why = |text: &str| match Description::parse(text).and_then(|d| d.remote(listen)) {
            Err(Unusable(why)) => why,
            Ok(_) => "usable".to_owned(),
        };
        let sample = sample();
        assert_eq!(why(&sample), "usable");
        assert!(why("{\"error\": 1}").contains("no SDP"));
        for (line, expected) in [
            ("a=ice-ufrag", "a=ice-ufrag"),
            ("a=ice-pwd", "a=ice-pwd"),
            ("a=fingerprint", "a=fingerprint"),
            ("a=candidate", "candidate"),
        ] {
            let without: String = sample
                .split_inclusive("\r\n")
                .filter(|text| !text.starts_with(line))
                .collect();
            assert!(why(&without).contains(expected), "{line}");
        }
        assert!(why(&sample.replace("m=video 9", "m=video 0")).contains("refused"));
        assert!(why(&sample.replace("setup:passive", "setup:active")).contains("passive"));
        assert!(why(&sample.replace(":AB", ":ZZ")).contains("fingerprint"));
    }

    #[test]
    fn lists_are_bounded() {
        let mut text = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n".to_owned();
        for n in 0..1000 {
            text += &format!("a=ssrc:{n} cname:x\r\na=rtpmap:{} VP8/90000\r\n", n % 128);
            text += &format!("a=candidate:1 1 udp 1 127.0.0.1 {} typ host\r\n", n + 1);
        }
        let description = Description::parse(&text).unwrap();
        let video = &description.sections[0];
        assert_eq!(video.sources.len(), LIST_LIMIT);
        assert_eq!(video.payload_types.len(), LIST_LIMIT);
        assert_eq!(description.candidates.len(), LIST_LIMIT);
        let many = "v=0\r\n".to_owned() + &"m=video 9 x 96\r\n".repeat(SECTION_LIMIT + 1);
        assert!(Description::parse(&many).is_err());
    }
}
