//! Offers and answers: read an offer, agree, write the answer. The server answers; it offers itself only to a player
//! whose offer it cannot answer.

mod answer;
mod codec;
mod extension;
mod negotiate;
mod offer;
mod own_offer;
mod value;

use std::fmt;

pub use answer::{LocalDescription, Sender};
pub use codec::AgreedCodec;
pub use extension::HeaderExtension;
pub use negotiate::{MediaLine, Negotiated, Role, Section, SectionState};
pub use offer::{Direction, OFFER_LIMIT, Offer};

/// Why an offer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Line of the offer, from 1; 0 for the offer as a whole.
    pub line: usize,
    /// Why, in words.
    pub why: String,
    /// Whether it is only that no codec is shared.
    pub no_codec: bool,
}

impl Rejected {
    /// One line is at fault.
    pub fn at(line: usize, why: impl Into<String>) -> Self {
        Self {
            line,
            why: why.into(),
            no_codec: false,
        }
    }

    /// The offer as a whole is at fault.
    pub fn whole(why: impl Into<String>) -> Self {
        Self::at(0, why)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: {}", self.line, self.why)
        } else {
            f.write_str(&self.why)
        }
    }
}

impl std::error::Error for Rejected {}
