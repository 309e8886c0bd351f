//! Offers and answers.

/// Why an offer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Line of the offer, from 1; 0 for the offer as a whole.
    pub line: usize,
    /// Why, in words.
    pub why: String,
}
