//! From an offer to what both sides do (RFC 3264, RFC 8829 section 5.3).

use std::sync::Arc;

use sanderling_media::{Codec, H264Profile, Kind};

use super::Rejected;
use super::codec::AgreedCodec;
use super::extension::HeaderExtension;
use super::offer::{Direction, Offer, Section as OfferedSection, Transport};
use crate::session::IceCredentials;
use crate::track::Profile;

/// What the peer is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It sends a stream.
    Publisher,
    /// It receives streams.
    Viewer,
}

/// What became of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionState {
    /// Media flows from the publisher, or to the viewer.
    Active,
    /// Accepted, but nothing flows.
    Inactive,
    /// Answered with port 0.
    Rejected,
}

/// An m= line without its port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaLine {
    /// Media word.
    pub media: String,
    /// Transport protocol.
    pub protocol: String,
    /// Formats as they stand.
    pub formats: Vec<String>,
}

/// One section of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Mid.
    pub mid: Arc<str>,
    /// Audio or video; `None` for other media, which is always rejected.
    pub kind: Option<Kind>,
    /// Whether it carries data channels, and was accepted.
    pub data: bool,
    /// What became of it.
    pub state: SectionState,
    /// What the answer repeats of the offer's m= line.
    pub media_line: Arc<MediaLine>,
    /// Codecs in the offerer's order; exactly one for a publisher.
    pub codecs: Arc<[AgreedCodec]>,
    /// Header extensions with the offerer's ids.
    pub extensions: Arc<[(u8, HeaderExtension)]>,
    /// Whether reduced-size RTCP was offered.
    pub rtcp_reduced: bool,
    /// Media SSRCs of a publisher, each with that of its RTX.
    pub ssrcs: Box<[(u32, Option<u32>)]>,
    /// Simulcast rids of a publisher, in order.
    pub rids: Box<[String]>,
}

/// What an offer and the server agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The role it was agreed for.
    pub role: Role,
    /// ICE credentials of the peer.
    pub remote: IceCredentials,
    /// SHA-256 fingerprint of the peer's certificate.
    pub fingerprint: [u8; 32],
    /// Sections in the order of the offer.
    pub sections: Vec<Section>,
}

impl Negotiated {
    /// Agree on the first offer of a session. A publisher is answered with the first of `codecs` that its video section
    /// offers; with the first that it offers itself where it offers none of them.
    pub fn preferring(role: Role, offer: &Offer, codecs: &[Codec]) -> Result<Self, Rejected> {
        Self::agree(role, offer, None, codecs)
    }

    /// Agree on an offer. With `before`, it is a later offer of the same session: payload types and extension ids
    /// stay within what was agreed first, because the media engine fixes them when a session is made.
    pub fn new(role: Role, offer: &Offer, before: Option<&Self>) -> Result<Self, Rejected> {
        Self::agree(role, offer, before, &[])
    }

    fn agree(
        role: Role,
        offer: &Offer,
        before: Option<&Self>,
        preferred: &[Codec],
    ) -> Result<Self, Rejected> {
        let transport = offer.transport()?;
        let remote = IceCredentials {
            fragment: transport
                .fragment
                .ok_or_else(|| Rejected::whole("the offer has no a=ice-ufrag"))?,
            password: transport
                .password
                .ok_or_else(|| Rejected::whole("the offer has no a=ice-pwd"))?,
        };
        let fingerprint = transport
            .fingerprint
            .ok_or_else(|| match &transport.other_hash {
                Some(hash) => {
                    Rejected::whole(format!("the only fingerprint is {hash}; sha-256 is needed"))
                }
                None => Rejected::whole("the offer has no a=fingerprint"),
            })?;
        if offer.ice_lite {
            return Err(Rejected::whole("both sides would be ICE-lite"));
        }
        match transport.setup.as_deref() {
            None | Some("actpass" | "active") => {}
            Some(setup) => {
                return Err(Rejected::whole(format!(
                    "a=setup:{setup}: the server is always the DTLS server"
                )));
            }
        }
        if before.is_some_and(|before| before.fingerprint != fingerprint) {
            return Err(Rejected::whole("the certificate changed within a session"));
        }

        let mut negotiated = Self {
            role,
            remote,
            fingerprint,
            sections: Vec::with_capacity(offer.sections.len()),
        };
        for (index, offered) in offer.sections.iter().enumerate() {
            let section = negotiated.section(index, offered, offer, before, preferred)?;
            negotiated.sections.push(section);
        }
        if before.is_some_and(|before| before.sections.len() > offer.sections.len()) {
            return Err(Rejected::whole(
                "a later offer has fewer sections than the one before (RFC 3264 section 8)",
            ));
        }
        negotiated.check(offer)?;
        Ok(negotiated)
    }

    fn check(&self, offer: &Offer) -> Result<(), Rejected> {
        if self
            .sections
            .iter()
            .any(|section| section.state != SectionState::Rejected && !section.data)
        {
            return Ok(());
        }
        let wanted = match self.role {
            Role::Publisher => "sends",
            Role::Viewer => "receives",
        };
        let media: Vec<_> = offer
            .sections
            .iter()
            .filter(|section| kind_of(section).is_some())
            .collect();
        let Some(first) = media.first() else {
            return Err(Rejected::whole(format!(
                "no section {wanted} audio or video"
            )));
        };
        let usable = media
            .iter()
            .any(|section| self.role.flows(section.direction) && !section.disabled);
        if !usable {
            return Err(Rejected::at(
                first.line,
                format!("no section {wanted} audio or video"),
            ));
        }
        let names: Vec<&str> = media
            .iter()
            .flat_map(|s| &s.codecs)
            .map(|codec| codec.name.as_str())
            .collect();
        let offered = if names.is_empty() {
            "nothing".to_owned()
        } else {
            distinct(&names).join(", ")
        };
        Err(Rejected {
            line: first.line,
            why: format!(
                "no codec in common: offered {offered}; the server takes VP8, VP9, AV1, H264 and opus"
            ),
            no_codec: true,
        })
    }

    fn section(
        &self,
        index: usize,
        offered: &OfferedSection,
        offer: &Offer,
        before: Option<&Self>,
        preferred: &[Codec],
    ) -> Result<Section, Rejected> {
        let earlier = before.and_then(|before| before.sections.get(index));
        let mid = match &offered.mid {
            Some(mid) => Arc::from(mid.as_str()),
            // Without bundling there is one section, which a mid need not name.
            None if offer.sections.len() == 1 => Arc::from("0"),
            None => return Err(Rejected::at(offered.line, "a section has no a=mid")),
        };
        if self.sections.iter().any(|section| section.mid == mid) {
            return Err(Rejected::at(
                offered.line,
                format!("the mid {mid} is used twice"),
            ));
        }
        if let Some(earlier) = earlier {
            let same = earlier.mid == mid && earlier.kind == kind_of(offered);
            if earlier.state != SectionState::Rejected && !same {
                return Err(Rejected::at(
                    offered.line,
                    format!("section {index} was {} and is now {mid}", earlier.mid),
                ));
            }
        }
        let mut section = Section {
            mid,
            kind: kind_of(offered),
            data: false,
            state: SectionState::Rejected,
            media_line: Arc::new(MediaLine {
                media: offered.media.clone(),
                protocol: offered.protocol.clone(),
                formats: offered.formats.clone(),
            }),
            codecs: Arc::from([]),
            extensions: Arc::from([]),
            rtcp_reduced: offered.rtcp_reduced,
            ssrcs: Box::from([]),
            rids: Box::from([]),
        };
        let Some(kind) = section.kind else {
            section.data = self.takes_data(offered, offer, &section);
            if section.data {
                section.state = SectionState::Active;
            }
            return Ok(section);
        };
        let continues = earlier.is_some_and(|earlier| earlier.state != SectionState::Rejected);
        if offered.disabled || !offered.protocol.ends_with("TLS/RTP/SAVPF") {
            return Ok(section);
        }
        let flows = self.role.flows(offered.direction);
        if !flows && !continues && offered.direction != Direction::Inactive {
            return Ok(section);
        }
        if offer.sections.len() > 1 && !offer.bundles(&section.mid) {
            return Err(Rejected::at(
                offered.line,
                format!("section {} is not in a=group:BUNDLE", section.mid),
            ));
        }
        if !offered.rtcp_mux {
            return Err(Rejected::at(offered.line, "a section has no a=rtcp-mux"));
        }
        section.codecs = self.codecs(kind, offered, before, preferred).into();
        if section.codecs.is_empty() {
            return Ok(section);
        }
        section.extensions = self.extensions(kind, offered, offer, before).into();
        if self.role == Role::Publisher {
            section.rids = offered.send_rids.as_slice().into();
            if section.rids.is_empty() {
                section.ssrcs = media_ssrcs(offered);
            }
        }
        section.state = if flows {
            SectionState::Active
        } else {
            SectionState::Inactive
        };
        Ok(section)
    }

    /// Whether a section is for data channels over the DTLS of the bundle (RFC 8841). Viewers have them; there is one
    /// such section.
    fn takes_data(&self, offered: &OfferedSection, offer: &Offer, section: &Section) -> bool {
        let first = !self.sections.iter().any(|section| section.data);
        let bundled = offer.sections.len() > 1 && offer.bundles(&section.mid);
        let data = offered.media == "application"
            && offered.protocol.ends_with("DTLS/SCTP")
            && offered.formats == ["webrtc-datachannel"];
        self.role == Role::Viewer && data && first && bundled && !offered.disabled
    }

    fn codecs(
        &self,
        kind: Kind,
        offered: &OfferedSection,
        before: Option<&Self>,
        preferred: &[Codec],
    ) -> Vec<AgreedCodec> {
        let mut agreed: Vec<AgreedCodec> = Vec::new();
        for codec in &offered.codecs {
            let Some(candidate) = AgreedCodec::new(kind, codec, &offered.codecs) else {
                continue;
            };
            // Payload types mean one thing in the whole bundle (RFC 8843 section 10.1.1).
            let here = self
                .sections
                .iter()
                .flat_map(|section| section.codecs.iter());
            let mut there = before
                .into_iter()
                .flat_map(|before| &before.sections)
                .flat_map(|section| section.codecs.iter());
            let clash = here.chain(&agreed).any(|other| other.clashes(&candidate));
            let unknown = before.is_some() && !there.any(|other| other.same(&candidate));
            if !clash && !unknown {
                agreed.push(candidate);
            }
        }
        if self.role == Role::Publisher {
            // One codec: no receiver has to follow a change in mid-stream.
            let rank = |codec: &Codec| preferred.iter().position(|wanted| wanted == codec);
            agreed.sort_by_key(|agreed| rank(&agreed.codec).unwrap_or(preferred.len()));
            agreed = publishers_choice(agreed).into_iter().collect();
        }
        agreed
    }

    fn extensions(
        &self,
        kind: Kind,
        offered: &OfferedSection,
        offer: &Offer,
        before: Option<&Self>,
    ) -> Vec<(u8, HeaderExtension)> {
        let mut agreed: Vec<(u8, HeaderExtension)> = Vec::new();
        for (id, uri) in &offered.extensions {
            let Some(extension) =
                HeaderExtension::from_uri(uri).filter(|known| known.fits(self.role))
            else {
                continue;
            };
            let long = kind == Kind::Video && (offered.long_extensions || offer.long_extensions);
            if extension.needs_long_form() && !long {
                continue;
            }
            // Ids above 14 need the two-byte form (RFC 8285 section 4.3), which not every receiver reads.
            if !(1..=14).contains(id) {
                continue;
            }
            let here = self
                .sections
                .iter()
                .flat_map(|section| section.extensions.iter())
                .chain(&agreed);
            let mut there = before
                .into_iter()
                .flat_map(|before| &before.sections)
                .flat_map(|s| s.extensions.iter());
            let clash = here
                .into_iter()
                .any(|(other, known)| (other == id) != (*known == extension));
            let unknown = before.is_some() && !there.any(|pair| pair == &(*id, extension));
            if !clash && !unknown && !agreed.iter().any(|(_, known)| *known == extension) {
                agreed.push((*id, extension));
            }
        }
        agreed
    }

    /// Sections of one kind that were accepted, in order.
    pub fn accepted(&self, kind: Kind) -> impl Iterator<Item = &Section> {
        self.sections
            .iter()
            .filter(move |s| s.kind == Some(kind) && s.state != SectionState::Rejected)
    }
}

impl Role {
    fn flows(self, direction: Direction) -> bool {
        match self {
            Self::Publisher => matches!(direction, Direction::Send | Direction::SendReceive),
            Self::Viewer => matches!(direction, Direction::Receive | Direction::SendReceive),
        }
    }
}

impl Offer {
    /// Whether a section is in `a=group:BUNDLE`.
    fn bundles(&self, mid: &str) -> bool {
        self.bundle.iter().any(|bundled| bundled == mid)
    }

    /// Transport values: of the first section that has any, filled up from the session level. All sections of a
    /// bundle share them.
    pub(super) fn transport(&self) -> Result<Transport, Rejected> {
        let of_section =
            |section: &&OfferedSection| !section.disabled && section.transport.fragment.is_some();
        let first = self
            .sections
            .iter()
            .find(of_section)
            .map(|section| section.transport.clone());
        let first = first.unwrap_or_default();
        for section in self.sections.iter().filter(of_section) {
            if section.transport.fragment != first.fragment {
                return Err(Rejected::at(
                    section.line,
                    "sections have different ICE credentials: bundle is needed",
                ));
            }
        }
        Ok(Transport {
            fragment: first.fragment.or_else(|| self.session.fragment.clone()),
            password: first.password.or_else(|| self.session.password.clone()),
            fingerprint: first.fingerprint.or(self.session.fingerprint).or_else(|| {
                self.sections
                    .iter()
                    .find_map(|section| section.transport.fingerprint)
            }),
            other_hash: first.other_hash.or_else(|| self.session.other_hash.clone()),
            setup: first
                .setup
                .or_else(|| self.session.setup.clone())
                .or_else(|| {
                    self.sections
                        .iter()
                        .find_map(|section| section.transport.setup.clone())
                }),
        })
    }
}

/// The first codec of the offer. Of several H.264 profiles constrained baseline: an encoder that offers it sends it
/// either way, and under that name more viewers take it.
fn publishers_choice(mut codecs: Vec<AgreedCodec>) -> Option<AgreedCodec> {
    let constrained = Profile::H264(H264Profile::ConstrainedBaseline);
    let first = codecs.first()?;
    let index = match first.profile {
        Profile::H264(H264Profile::Baseline) => codecs
            .iter()
            .position(|codec| codec.profile == constrained)
            .unwrap_or(0),
        _ => 0,
    };
    Some(codecs.swap_remove(index))
}

fn kind_of(section: &OfferedSection) -> Option<Kind> {
    match section.media.as_str() {
        "audio" => Some(Kind::Audio),
        "video" => Some(Kind::Video),
        _ => None,
    }
}

/// SSRCs that carry media, each with its RTX; those that only repair are left out.
fn media_ssrcs(offered: &OfferedSection) -> Box<[(u32, Option<u32>)]> {
    offered
        .ssrcs
        .iter()
        .filter(|ssrc| **ssrc != 0 && !offered.repair.iter().any(|(_, repair)| repair == *ssrc))
        .map(|ssrc| {
            (
                *ssrc,
                offered
                    .repair
                    .iter()
                    .find(|(media, _)| media == ssrc)
                    .map(|(_, repair)| *repair),
            )
        })
        .take(1)
        .collect()
}

fn distinct<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if !seen.contains(name) {
            seen.push(name);
        }
    }
    seen
}
