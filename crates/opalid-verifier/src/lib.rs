//! What a resource server embeds: a mirror of what is true of access tokens, and the link that feeds it.
//!
//! Takes: an issuer, the credentials of a client that serves resources, tokens as they come.
//! Gives: what is true of a token: from memory under a lease, else from the issuer.
//! Holds: *if a revocation returned before a check began, that check does not say active*; who cannot know says [`Outage`].
//! Not here: whether a request may pass, which is for whoever has the token's facts and the request.

pub mod verdict;

pub use verdict::{BadFacts, Outage, Token, Verdict, Verify};
