//! Reading an offer (RFC 8866, RFC 8829): what it says, before anything is agreed.

use super::Rejected;
use super::value::{fingerprint, ice_value, mid, simulcast_send, token};

/// Largest offer, bytes. Chromium needs 95 kB for 16 + 16 sections.
pub const OFFER_LIMIT: usize = 256 * 1024;
const LINE_LIMIT: usize = 8 * 1024;
const SECTION_LIMIT: usize = 128;
const CODEC_LIMIT: usize = 96;
const EXTENSION_LIMIT: usize = 64;
const SSRC_LIMIT: usize = 32;
const RID_LIMIT: usize = 8;

/// An offer as it was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Mids of the first `a=group:BUNDLE`.
    pub bundle: Vec<String>,
    /// Whether the offerer is ICE-lite itself.
    pub ice_lite: bool,
    /// `a=extmap-allow-mixed` for all sections.
    pub long_extensions: bool,
    /// Values given once for all sections.
    pub session: Transport,
    /// The media sections in order.
    pub sections: Vec<Section>,
}

/// Transport values of one level.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Transport {
    /// `a=ice-ufrag`
    pub fragment: Option<String>,
    /// `a=ice-pwd`
    pub password: Option<String>,
    /// SHA-256 of `a=fingerprint`.
    pub fingerprint: Option<[u8; 32]>,
    /// Hash of a fingerprint line that is not SHA-256.
    pub other_hash: Option<String>,
    /// `a=setup`
    pub setup: Option<String>,
}

/// Direction of a section, as the offerer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendReceive,
    /// From the offerer.
    Send,
    /// To the offerer.
    Receive,
    /// Neither.
    Inactive,
}

/// One m= section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Line of the m= line, from 1.
    pub line: usize,
    /// First word of the m= line: audio, video, application.
    pub media: String,
    /// Whether the port was 0.
    pub disabled: bool,
    /// Transport protocol of the m= line.
    pub protocol: String,
    /// Formats of the m= line as they stand.
    pub formats: Vec<String>,
    /// `a=mid`
    pub mid: Option<String>,
    /// Direction attribute.
    pub direction: Direction,
    /// Transport values of this section.
    pub transport: Transport,
    /// `a=rtcp-mux`
    pub rtcp_mux: bool,
    /// `a=rtcp-rsize`
    pub rtcp_reduced: bool,
    /// `a=extmap-allow-mixed`
    pub long_extensions: bool,
    /// Codecs, in the order of the formats.
    pub codecs: Vec<OfferedCodec>,
    /// Header extensions: id and URI.
    pub extensions: Vec<(u8, String)>,
    /// SSRCs in order of appearance.
    pub ssrcs: Vec<u32>,
    /// FID groups: media and repair SSRC.
    pub repair: Vec<(u32, u32)>,
    /// Rids the offerer sends, in the order of `a=simulcast:send`, else of their lines.
    pub send_rids: Vec<String>,
}

/// One payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedCodec {
    /// Payload type.
    pub payload_type: u8,
    /// Encoding name, as it was written.
    pub name: String,
    /// Clock rate, Hz.
    pub clock_rate: u32,
    /// Value of its `a=fmtp`, or nothing.
    pub parameters: String,
    /// Its `a=rtcp-fb` values.
    pub feedback: Vec<String>,
}

impl OfferedCodec {
    /// A parameter of `a=fmtp`.
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
        })
    }

    /// Whether `a=rtcp-fb` has exactly this value.
    pub fn has_feedback(&self, value: &str) -> bool {
        self.feedback.iter().any(|offered| offered == value)
    }
}

impl Section {
    fn new(line: usize, value: &str) -> Result<Self, Rejected> {
        let mut words = value.split_ascii_whitespace();
        let (Some(media), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(Rejected::at(
                line,
                "m= needs a media type, a port and a protocol",
            ));
        };
        let port = port.split('/').next().unwrap_or(port);
        let Ok(port) = port.parse::<u16>() else {
            return Err(Rejected::at(line, "the port of m= is not a number"));
        };
        let formats: Vec<String> = words.map(str::to_owned).collect();
        if formats.len() > CODEC_LIMIT {
            return Err(Rejected::at(
                line,
                format!("more than {CODEC_LIMIT} formats in one section"),
            ));
        }
        Ok(Self {
            line,
            media: token(line, media)?.to_owned(),
            disabled: port == 0,
            protocol: token(line, protocol)?.to_owned(),
            formats,
            mid: None,
            direction: Direction::SendReceive,
            transport: Transport::default(),
            rtcp_mux: false,
            rtcp_reduced: false,
            long_extensions: false,
            codecs: Vec::new(),
            extensions: Vec::new(),
            ssrcs: Vec::new(),
            repair: Vec::new(),
            send_rids: Vec::new(),
        })
    }

    fn codec(&mut self, payload_type: u8) -> Option<&mut OfferedCodec> {
        self.codecs
            .iter_mut()
            .find(|codec| codec.payload_type == payload_type)
    }
}

impl Offer {
    /// Read an offer. Unknown attributes are passed over; broken ones that matter are named with their line.
    pub fn parse(text: &str) -> Result<Self, Rejected> {
        if text.len() > OFFER_LIMIT {
            return Err(Rejected::whole(format!(
                "the offer is longer than {OFFER_LIMIT} bytes"
            )));
        }
        let mut offer = Self::default();
        let mut attributes = Vec::new();
        let mut version_seen = false;
        for (index, raw) in text.split('\n').enumerate() {
            let line = index + 1;
            let content = raw.strip_suffix('\r').unwrap_or(raw);
            if content.is_empty() {
                continue;
            }
            if content.len() > LINE_LIMIT {
                return Err(Rejected::at(
                    line,
                    format!("longer than {LINE_LIMIT} bytes"),
                ));
            }
            if content
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != b'\t')
            {
                return Err(Rejected::at(line, "a control character"));
            }
            let Some((kind, value)) = content.split_once('=') else {
                return Err(Rejected::at(line, "not of the form letter=value"));
            };
            if !version_seen {
                if kind != "v" || value.trim() != "0" {
                    return Err(Rejected::at(line, "an SDP begins with v=0"));
                }
                version_seen = true;
                continue;
            }
            match kind {
                "m" => {
                    if let Some(section) = offer.sections.last_mut() {
                        section.finish(&attributes)?;
                    }
                    attributes.clear();
                    if offer.sections.len() == SECTION_LIMIT {
                        return Err(Rejected::at(
                            line,
                            format!("more than {SECTION_LIMIT} media sections"),
                        ));
                    }
                    offer.sections.push(Section::new(line, value)?);
                }
                "a" if offer.sections.is_empty() => offer.session_attribute(line, value)?,
                "a" => attributes.push((line, value)),
                _ => {}
            }
        }
        if !version_seen {
            return Err(Rejected::whole("the offer is empty"));
        }
        if let Some(section) = offer.sections.last_mut() {
            section.finish(&attributes)?;
        }
        if offer.sections.is_empty() {
            return Err(Rejected::whole("the offer has no m= section"));
        }
        Ok(offer)
    }

    fn session_attribute(&mut self, line: usize, attribute: &str) -> Result<(), Rejected> {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "group" => {
                let mut words = value.split_ascii_whitespace();
                if words.next() == Some("BUNDLE") && self.bundle.is_empty() {
                    self.bundle = words.map(str::to_owned).collect();
                }
            }
            "ice-lite" => self.ice_lite = true,
            "extmap-allow-mixed" => self.long_extensions = true,
            _ => self.session.attribute(line, name, value)?,
        }
        Ok(())
    }
}

impl Transport {
    fn attribute(&mut self, line: usize, name: &str, value: &str) -> Result<(), Rejected> {
        match name {
            "ice-ufrag" => self.fragment = Some(ice_value(line, value, 4)?),
            "ice-pwd" => self.password = Some(ice_value(line, value, 22)?),
            "setup" => self.setup = Some(token(line, value)?.to_owned()),
            "fingerprint" => {
                let (hash, digest) = value.split_once(' ').unwrap_or((value, ""));
                if hash.eq_ignore_ascii_case("sha-256") {
                    let digest = fingerprint(digest).ok_or_else(|| {
                        Rejected::at(
                            line,
                            "the fingerprint is not 32 hexadecimal bytes with colons",
                        )
                    })?;
                    self.fingerprint = Some(digest);
                } else {
                    self.other_hash = Some(token(line, hash)?.to_owned());
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Section {
    /// Read the attributes once all are there: `a=fmtp` may come before its `a=rtpmap`.
    fn finish(&mut self, attributes: &[(usize, &str)]) -> Result<(), Rejected> {
        let mut simulcast: Option<Vec<String>> = None;
        for &(line, attribute) in attributes {
            let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
            match name {
                "mid" => self.mid = Some(mid(line, value)?),
                "sendrecv" => self.direction = Direction::SendReceive,
                "sendonly" => self.direction = Direction::Send,
                "recvonly" => self.direction = Direction::Receive,
                "inactive" => self.direction = Direction::Inactive,
                "rtcp-mux" => self.rtcp_mux = true,
                "rtcp-rsize" => self.rtcp_reduced = true,
                "extmap-allow-mixed" => self.long_extensions = true,
                // RFC 9143 section 6: port 0 of such a section says that it exists in the bundle only, not that it is off.
                "bundle-only" => self.disabled = false,
                "rtpmap" => self.rtpmap(line, value)?,
                "extmap" => self.extmap(line, value)?,
                "ssrc" => self.ssrc(line, value)?,
                "ssrc-group" => self.ssrc_group(line, value)?,
                "rid" => self.rid(line, value)?,
                "simulcast" => simulcast = simulcast_send(value).or(simulcast),
                _ => self.transport.attribute(line, name, value)?,
            }
        }
        for &(_, attribute) in attributes {
            let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
            match name {
                "fmtp" => {
                    if let Some((codec, value)) = self.for_codec(value) {
                        codec.parameters = value;
                    }
                }
                "rtcp-fb" => {
                    if let Some(all) = value.strip_prefix("* ") {
                        let all = all.trim();
                        self.codecs
                            .iter_mut()
                            .for_each(|codec| codec.feedback.push(all.to_owned()));
                    } else if let Some((codec, value)) = self.for_codec(value) {
                        codec.feedback.push(value);
                    }
                }
                _ => {}
            }
        }
        if let Some(order) = simulcast {
            let known = std::mem::take(&mut self.send_rids);
            self.send_rids = order
                .into_iter()
                .filter(|rid| known.contains(rid))
                .collect();
        }
        let order: Vec<u8> = self
            .formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .collect();
        self.codecs
            .retain(|codec| order.contains(&codec.payload_type));
        self.codecs.sort_by_key(|codec| {
            order
                .iter()
                .position(|format| *format == codec.payload_type)
        });
        Ok(())
    }

    fn for_codec(&mut self, value: &str) -> Option<(&mut OfferedCodec, String)> {
        let (payload_type, value) = value.split_once(' ')?;
        let codec = self.codec(payload_type.parse().ok()?)?;
        Some((codec, value.trim().to_owned()))
    }

    fn rtpmap(&mut self, line: usize, value: &str) -> Result<(), Rejected> {
        let parsed = value.split_once(' ').and_then(|(payload_type, encoding)| {
            let mut parts = encoding.trim().split('/');
            Some((
                payload_type.parse::<u8>().ok()?,
                parts.next()?,
                parts.next()?.parse::<u32>().ok()?,
            ))
        });
        let Some((payload_type, name, clock_rate)) =
            parsed.filter(|(payload_type, _, _)| *payload_type < 128)
        else {
            return Err(Rejected::at(
                line,
                "a=rtpmap needs a payload type below 128, a name and a clock rate",
            ));
        };
        if self.codecs.len() == CODEC_LIMIT {
            return Err(Rejected::at(
                line,
                format!("more than {CODEC_LIMIT} codecs in one section"),
            ));
        }
        if self.codec(payload_type).is_some() {
            return Err(Rejected::at(
                line,
                format!("payload type {payload_type} is mapped twice"),
            ));
        }
        self.codecs.push(OfferedCodec {
            payload_type,
            name: token(line, name)?.to_owned(),
            clock_rate,
            parameters: String::new(),
            feedback: Vec::new(),
        });
        Ok(())
    }

    fn extmap(&mut self, line: usize, value: &str) -> Result<(), Rejected> {
        let parsed = value.split_once(' ').and_then(|(id, rest)| {
            let id = id.split('/').next()?.parse::<u8>().ok()?;
            Some((id, rest.split_ascii_whitespace().next()?))
        });
        let Some((id, uri)) = parsed else {
            return Err(Rejected::at(
                line,
                "a=extmap needs an id below 256 and a URI",
            ));
        };
        if self.extensions.len() == EXTENSION_LIMIT {
            return Err(Rejected::at(
                line,
                format!("more than {EXTENSION_LIMIT} header extensions in one section"),
            ));
        }
        self.extensions.push((id, uri.to_owned()));
        Ok(())
    }

    fn ssrc(&mut self, line: usize, value: &str) -> Result<(), Rejected> {
        let Ok(ssrc) = value.split(' ').next().unwrap_or(value).parse::<u32>() else {
            return Err(Rejected::at(line, "a=ssrc needs a 32-bit number"));
        };
        if !self.ssrcs.contains(&ssrc) {
            if self.ssrcs.len() == SSRC_LIMIT {
                return Err(Rejected::at(
                    line,
                    format!("more than {SSRC_LIMIT} SSRCs in one section"),
                ));
            }
            self.ssrcs.push(ssrc);
        }
        Ok(())
    }

    fn ssrc_group(&mut self, line: usize, value: &str) -> Result<(), Rejected> {
        let mut words = value.split_ascii_whitespace();
        if words.next() != Some("FID") {
            return Ok(());
        }
        let (Some(Ok(media)), Some(Ok(repair))) =
            (words.next().map(str::parse), words.next().map(str::parse))
        else {
            return Err(Rejected::at(line, "a=ssrc-group:FID needs two SSRCs"));
        };
        if self.repair.len() == SSRC_LIMIT {
            return Err(Rejected::at(
                line,
                format!("more than {SSRC_LIMIT} SSRC groups in one section"),
            ));
        }
        self.repair.push((media, repair));
        Ok(())
    }

    fn rid(&mut self, line: usize, value: &str) -> Result<(), Rejected> {
        let mut words = value.split_ascii_whitespace();
        let (Some(rid), Some(direction)) = (words.next(), words.next()) else {
            return Err(Rejected::at(line, "a=rid needs an id and a direction"));
        };
        if direction != "send" {
            return Ok(());
        }
        // The media engine keeps 8 characters of a rid.
        if rid.is_empty()
            || rid.len() > 8
            || !rid
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(Rejected::at(
                line,
                "a rid has 1 to 8 letters, digits or underscores",
            ));
        }
        if self.send_rids.len() == RID_LIMIT {
            return Err(Rejected::at(
                line,
                format!("more than {RID_LIMIT} rids in one section"),
            ));
        }
        self.send_rids.push(rid.to_owned());
        Ok(())
    }
}
