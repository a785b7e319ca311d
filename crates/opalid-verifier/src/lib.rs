//! What a resource server embeds: a mirror of what is true of access tokens, and the link that feeds it.
//!
//! Takes: an issuer, the credentials of a client that serves resources, tokens as they come.
//! Gives: what is true of a token: from memory under a lease, else from the issuer; and whether a request may pass with it.
//! Holds: *if a revocation returned before a check began, that check does not say active*; who cannot know says [`Outage`].
//! A request passes by [`Guard`] alone, which takes whoever can say what is true of a token.
//! Not here: what a token is, which is for its issuer alone.
//!
//! ```no_run
//! use opalid_verifier::{Settings, Verdict, Verifier};
//!
//! # async fn example(secret: String, token: &str) -> Result<(), Box<dyn std::error::Error>> {
//! // Once, at the start. Its clones share one memory and one connection.
//! let verifier = Verifier::start(Settings::new("https://id.example", "orders-api", secret))?;
//!
//! // For each request.
//! match verifier.verify(token).await {
//!     Ok(Verdict::Active(token)) => {
//!         // It is alive. Whether it may do this is yours to judge, each time.
//!         let may = token.is_for("https://orders.example") && token.has_scope("orders:read");
//!         println!("{} {may}", token.subject);
//!     }
//!     Ok(Verdict::Inactive) => println!("401, invalid_token"),
//!     // Nobody can say now. It must not pass.
//!     Err(_outage) => println!("503"),
//! }
//! # Ok(())
//! # }
//! ```

pub mod clock;
pub mod config;
mod facts;
pub mod guard;
mod link;
pub mod metadata;
mod misses;
mod random;
pub mod verdict;
pub mod verifier;

pub use opalid_core::mirror::Room;
pub use opalid_core::scope::Scopes;

pub use config::{BadSettings, Roots, Settings};
pub use guard::{Admitted, Guard, Refusal};
pub use metadata::ResourceMetadata;
pub use verdict::{BadFacts, Outage, Token, Verdict, Verify};
pub use verifier::{State, Verifier};

#[cfg(test)]
mod tests;
