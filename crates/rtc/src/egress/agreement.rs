//! What was agreed with the peer by offer and answer.

use std::sync::Arc;

use sanderling_media::Kind;

use super::slot::Outlet;
use super::{Slot, index};
use crate::config::Config;
use crate::sdp::{
    AgreedCodec, HeaderExtension, LocalDescription, Negotiated, Offer, Rejected, Role,
    SectionState, Sender,
};
use crate::session::IceCredentials;
use crate::track::TrackInfo;

/// Everything that only offers, answers and the handshake need.
pub(super) struct Agreement {
    pub(super) negotiated: Negotiated,
    /// Canonical name of all sources.
    pub(super) cname: String,
    config: Config,
    origin: u32,
    version: u32,
}

impl Agreement {
    /// Agree on the first offer. Returns our ICE credentials too.
    pub(super) fn new(offer: &str, config: Config) -> Result<(Self, IceCredentials), Rejected> {
        let negotiated = Negotiated::new(Role::Viewer, &Offer::parse(offer)?, None)?;
        let mut config = config;
        let credentials = config.random.ice_credentials();
        let (cname, origin) = (config.random.text(16), config.random.number() >> 1);
        let agreement = Self {
            negotiated,
            cname,
            config,
            origin,
            version: 0,
        };
        Ok((agreement, credentials))
    }

    /// Offer a stream of these tracks. Returns our ICE credentials too.
    pub(super) fn offering(tracks: &[TrackInfo], config: Config) -> (Self, IceCredentials) {
        let mut config = config;
        // Nobody knows these: checks fail until the answer names the player's own.
        let unknown = config.random.ice_credentials();
        let credentials = config.random.ice_credentials();
        let (cname, origin) = (config.random.text(16), config.random.number() >> 1);
        let agreement = Self {
            negotiated: Negotiated::offering(tracks, unknown),
            cname,
            config,
            origin,
            version: 0,
        };
        (agreement, credentials)
    }

    /// Take the answer to our own offer.
    pub(super) fn accept(&mut self, answer: &str) -> Result<(), Rejected> {
        self.negotiated = self.negotiated.answered(&Offer::parse(answer)?)?;
        self.version += 1;
        Ok(())
    }

    /// Agree on a later offer. Returns new ICE credentials when the peer asks for a restart by new ones of its own
    /// (RFC 8445 section 9).
    pub(super) fn renegotiate(&mut self, offer: &str) -> Result<Option<IceCredentials>, Rejected> {
        let offer = Offer::parse(offer)?;
        let negotiated = Negotiated::new(Role::Viewer, &offer, Some(&self.negotiated))?;
        let restarts = negotiated.remote != self.negotiated.remote;
        self.negotiated = negotiated;
        self.version += 1;
        Ok(restarts.then(|| self.config.random.ice_credentials()))
    }

    /// Write the answer to the offer that was agreed on last, or with `setup` "actpass" our own offer.
    pub(super) fn describe(
        &self,
        setup: &'static str,
        ice: &IceCredentials,
        sender: impl Fn(usize) -> Option<Sender>,
    ) -> String {
        let local = LocalDescription {
            session: self.origin,
            version: self.version,
            ice,
            fingerprint: self.config.certificate.fingerprint(),
            setup,
            candidates: &self.config.candidates,
            cname: &self.cname,
        };
        local.answer(&self.negotiated, sender)
    }

    /// Let go of what only the answer needed: with a browser's two dozen codecs it is a kilobyte a section, and what is
    /// left is the same for most sections. A later offer brings its own.
    pub(super) fn trim(&mut self) {
        let line = Arc::default();
        let mut shared: Vec<Arc<[AgreedCodec]>> = Vec::new();
        let mut extensions: Vec<Arc<[(u8, HeaderExtension)]>> = Vec::new();
        for section in &mut self.negotiated.sections {
            section.media_line = Arc::clone(&line);
            let bare: Arc<[AgreedCodec]> = section.codecs.iter().map(AgreedCodec::bare).collect();
            section.codecs = match shared.iter().find(|known| **known == bare) {
                Some(known) => Arc::clone(known),
                None => {
                    shared.push(Arc::clone(&bare));
                    bare
                }
            };
            let own = &section.extensions;
            match extensions.iter().find(|known| *known == own) {
                Some(known) => section.extensions = Arc::clone(known),
                None => extensions.push(Arc::clone(own)),
            }
        }
    }

    /// Whether data channels were agreed to.
    pub(super) fn takes_data(&self) -> bool {
        self.negotiated.sections.iter().any(|section| section.data)
    }

    /// What the handshake has to show and to see: our certificate and the digest of the peer's.
    pub(super) fn identity(&self) -> (&Config, [u8; 32]) {
        (&self.config, self.negotiated.fingerprint)
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Give each new section its place: slot `i` holds the `i`-th audio and the `i`-th video section. A section that
    /// was accepted once keeps its slot, else the later ones would move.
    pub(super) fn grow(&mut self, slots: &mut Vec<Slot>) {
        for kind in [Kind::Audio, Kind::Video] {
            let mut number = 0;
            for (position, section) in self.negotiated.sections.iter().enumerate() {
                if section.kind != Some(kind) {
                    continue;
                }
                let held = |slot: &Slot| {
                    let outlet = slot[index(kind)].as_ref();
                    outlet.is_some_and(|outlet| outlet.section == position)
                };
                let rejected = section.state == SectionState::Rejected;
                if rejected && !slots.iter().any(held) {
                    continue;
                }
                if number == slots.len() {
                    slots.push([None, None]);
                }
                let (before, rest) = slots.split_at_mut(number);
                let place = &mut rest[0][index(kind)];
                number += 1;
                let random = &mut self.config.random;
                let outlet = place.get_or_insert_with(|| {
                    let mut new = Outlet::new(position, section, random, kind.clock_rate());
                    // A browser offers two dozen codecs, the same ones in every section.
                    let mut others = before.iter().filter_map(|slot| slot[index(kind)].as_ref());
                    others.any(|other| new.share(other));
                    Box::new(new)
                });
                outlet.active = section.state == SectionState::Active;
            }
        }
    }
}
