//! Writing the answer, or the server's own offer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use sanderling_media::{Kind, Protocol};

use super::negotiate::{MediaLine, Negotiated, Role, Section, SectionState};
use crate::egress::data::MESSAGE_LIMIT;
use crate::session::IceCredentials;

/// What the server says about itself.
#[derive(Debug, Clone, Copy)]
pub struct LocalDescription<'a> {
    /// Number of the session in o=.
    pub session: u32,
    /// Counts up with each answer.
    pub version: u32,
    /// ICE credentials.
    pub ice: &'a IceCredentials,
    /// SHA-256 of the certificate.
    pub fingerprint: &'a [u8; 32],
    /// `a=setup`: passive in an answer, actpass in an offer (RFC 8842 section 5).
    pub setup: &'static str,
    /// Host candidates, best first.
    pub candidates: &'a [(Protocol, SocketAddr)],
    /// Canonical name of everything that this session sends: audio and video of every slot are in sync.
    pub cname: &'a str,
}

/// A section that the server sends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// Slot, which names the msid stream.
    pub slot: u16,
    /// SSRC of the media.
    pub ssrc: u32,
    /// SSRC of its RTX.
    pub repair: Option<u32>,
}

/// Rate that a publisher begins with before it knows its link, kbit/s. Higher fills a slow uplink's queue for the first
/// second, lower makes the first pictures small. Read by libwebrtc; others leave unknown parameters alone (RFC 8866
/// section 6.15).
const START_KBPS: u32 = 1_000;

/// RFC 8445 section 5.1.2.1: type preference of host candidates, UDP above TCP (RFC 6544 section 4.2).
fn priority(protocol: Protocol, index: usize) -> u32 {
    let kind: u32 = match protocol {
        Protocol::Udp => 126,
        Protocol::Tcp => 90,
    };
    let local = 65_535_u32.saturating_sub(u32::try_from(index).unwrap_or(u32::MAX));
    kind << 24 | local << 8 | 255
}

impl LocalDescription<'_> {
    /// Write the answer or the offer. `sender` gives what the server sends on a section, by its index.
    pub fn answer(
        &self,
        negotiated: &Negotiated,
        sender: impl Fn(usize) -> Option<Sender>,
    ) -> String {
        let mut out = String::with_capacity(1024 + 1024 * negotiated.sections.len());
        let bundle: Vec<&str> = negotiated
            .sections
            .iter()
            .filter(|section| section.state != SectionState::Rejected)
            .map(|section| &*section.mid)
            .collect();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "v=0\r\no=sanderling {} {} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=ice-lite\r\na=msid-semantic: WMS *\r\n",
            self.session,
            self.version,
            bundle.join(" ")
        );
        for (index, section) in negotiated.sections.iter().enumerate() {
            if section.state == SectionState::Rejected {
                let MediaLine {
                    media,
                    protocol,
                    formats,
                } = &*section.media_line;
                let _ = write!(
                    out,
                    "m={media} 0 {protocol} {}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na=inactive\r\n",
                    formats.join(" "),
                    section.mid
                );
                continue;
            }
            let first = bundle.first() == Some(&&*section.mid);
            self.section(&mut out, negotiated.role, section, first, sender(index));
        }
        out
    }

    fn section(
        &self,
        out: &mut String,
        role: Role,
        section: &Section,
        first: bool,
        sender: Option<Sender>,
    ) {
        if section.data {
            self.data(out, section, first);
            return;
        }
        let line = &section.media_line;
        let _ = write!(out, "m={} 9 {}", line.media, line.protocol);
        for codec in &*section.codecs {
            let _ = write!(out, " {}", codec.payload_type);
            if let Some(repair) = codec.repair_payload_type {
                let _ = write!(out, " {repair}");
            }
        }
        self.transport(out, section);
        let direction = match (section.state, role) {
            (SectionState::Active, Role::Publisher) => "recvonly",
            (SectionState::Active, Role::Viewer) => "sendonly",
            _ => "inactive",
        };
        let _ = write!(
            out,
            "\r\na=setup:{}\r\na={direction}\r\na=rtcp-mux\r\n",
            self.setup
        );
        if section.rtcp_reduced {
            out.push_str("a=rtcp-rsize\r\n");
        }
        if section.extensions.iter().any(|(_, e)| e.needs_long_form()) {
            out.push_str("a=extmap-allow-mixed\r\n");
        }
        for (id, extension) in &*section.extensions {
            let _ = write!(out, "a=extmap:{id} {}\r\n", extension.uri());
        }
        for codec in &*section.codecs {
            let number = codec.payload_type;
            let _ = write!(out, "a=rtpmap:{number} {}\r\n", codec.encoding);
            for value in &codec.feedback {
                let _ = write!(out, "a=rtcp-fb:{number} {value}\r\n");
            }
            let start = (role == Role::Publisher && section.kind == Some(Kind::Video))
                .then(|| format!("x-google-start-bitrate={START_KBPS}"));
            let offered = Some(codec.parameters.clone()).filter(|offered| !offered.is_empty());
            let parameters: Vec<String> = offered.into_iter().chain(start).collect();
            if !parameters.is_empty() {
                let _ = write!(out, "a=fmtp:{number} {}\r\n", parameters.join(";"));
            }
            if let Some(repair) = codec.repair_payload_type {
                let _ = write!(
                    out,
                    "a=rtpmap:{repair} rtx/90000\r\na=fmtp:{repair} apt={number}\r\n"
                );
            }
        }
        if !section.rids.is_empty() {
            for rid in &*section.rids {
                let _ = write!(out, "a=rid:{rid} recv\r\n");
            }
            let _ = write!(out, "a=simulcast:recv {}\r\n", section.rids.join(";"));
        }
        if let (Some(sender), Some(kind)) = (sender, section.kind) {
            self.sender(out, kind, sender);
        }
        if first {
            self.candidates(out);
        }
    }

    /// RFC 8841 section 5: over UDP the port of SCTP is 5000 on both sides.
    fn data(&self, out: &mut String, section: &Section, first: bool) {
        let line = &section.media_line;
        let formats = line.formats.join(" ");
        let _ = write!(out, "m={} 9 {} {formats}", line.media, line.protocol);
        self.transport(out, section);
        let _ = write!(
            out,
            "\r\na=setup:{}\r\na=sctp-port:5000\r\na=max-message-size:{MESSAGE_LIMIT}\r\n",
            self.setup
        );
        if first {
            self.candidates(out);
        }
    }

    fn transport(&self, out: &mut String, section: &Section) {
        let _ = write!(
            out,
            "\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:sha-256 ",
            section.mid, self.ice.fragment, self.ice.password
        );
        for (index, byte) in self.fingerprint.iter().enumerate() {
            let _ = write!(out, "{}{byte:02X}", if index > 0 { ":" } else { "" });
        }
    }

    /// The SSRCs stand in the answer, else statistics show no RTX and repairs are bound by guess.
    fn sender(&self, out: &mut String, kind: Kind, sender: Sender) {
        let slot = sender.slot;
        let msid = format!("slot{slot} {kind}{slot}");
        let _ = write!(out, "a=msid:{msid}\r\n");
        if let Some(repair) = sender.repair {
            let _ = write!(out, "a=ssrc-group:FID {} {repair}\r\n", sender.ssrc);
        }
        for ssrc in [Some(sender.ssrc), sender.repair].into_iter().flatten() {
            let _ = write!(
                out,
                "a=ssrc:{ssrc} cname:{}\r\na=ssrc:{ssrc} msid:{msid}\r\n",
                self.cname
            );
        }
    }

    fn candidates(&self, out: &mut String) {
        for (index, (protocol, address)) in self.candidates.iter().enumerate() {
            let (word, suffix) = match protocol {
                Protocol::Udp => ("udp", ""),
                Protocol::Tcp => ("tcp", " tcptype passive"),
            };
            let _ = write!(
                out,
                "a=candidate:{} 1 {word} {} {} {} typ host{suffix}\r\n",
                index + 1,
                priority(*protocol, index),
                address.ip(),
                address.port()
            );
        }
        out.push_str("a=end-of-candidates\r\n");
    }
}
