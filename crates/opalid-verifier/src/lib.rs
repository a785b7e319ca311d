//! What a resource server embeds: a mirror of what is true of access tokens, and the link that feeds it.
//!
//! Takes: an issuer, the credentials of a client that serves resources, tokens as they come.
//! Gives: what is true of a token: from memory under a lease, else from the issuer; and whether a request may pass with it.
//! Holds: *if a revocation returned before a check began, that check does not say active*; who cannot know says [`Outage`].
//! A request passes by [`Guard`] alone, which takes whoever can say what is true of a token.
//! Not here: what a token is, which is for its issuer alone.

mod facts;
pub mod guard;
pub mod metadata;
pub mod verdict;

pub use opalid_core::scope::Scopes;

pub use guard::{Admitted, Guard, Refusal};
pub use metadata::ResourceMetadata;
pub use verdict::{BadFacts, Outage, Token, Verdict, Verify};
