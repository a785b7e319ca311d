//! How long what is remembered may be believed, and when a revocation is settled.
//!
//! Takes: moments, asks, news, rows of holders. Gives: leases, and the word that everything before a change is gone.
//! Holds: *if a revocation returned before a check began, that check does not say active.*
//! Not here: sockets, clocks, the store, what is remembered. The argument stands in `docs/revocation.md`.
//!
//! A node towards the store and a verifier towards a node are the same [`Holder`]. Whoever grants keeps a [`Granter`], whoever
//! revokes waits behind a [`Barrier`].

pub mod barrier;
pub mod granter;
pub mod holder;
pub mod time;
pub mod wire;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

pub use barrier::{Barrier, Committed, HolderRow, Settling, Sight, Unrenewed};
pub use granter::Granter;
pub use holder::{Ask, Belief, Entries, Grant, Heard, Holder, Lease, News, Trusted};
pub use time::{Margin, Moment};

/// Drawn anew when a store is made or restored: positions of two incarnations say nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u128);

/// Where a change stands in the feed of one incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Of which feed.
    pub incarnation: Incarnation,
    /// The how many-th change; 0 before the first.
    pub n: u64,
}

impl Position {
    /// Whether whoever stands here has everything up to `other`. Nobody has anything of another incarnation.
    #[must_use]
    pub fn reaches(self, other: Self) -> bool {
        self.incarnation == other.incarnation && self.n >= other.n
    }
}

/// Who holds a lease: drawn at each start, never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HolderId(pub u128);
