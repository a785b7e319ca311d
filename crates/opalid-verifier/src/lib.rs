//! What a resource server embeds: a mirror of what is true of access tokens, and the link that feeds it.
//!
//! Takes: an issuer, the credentials of a client that serves resources, tokens as they come.
//! Gives: what is true of a token: from memory under a lease, else from the issuer.
//! Holds: *if a revocation returned before a check began, that check does not say active*; who cannot know says [`Outage`].
//! Not here: whether a request may pass, which is for whoever has the token's facts and the request.
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
//!         let may = token.audience.contains("https://orders.example") && token.scopes.contains("orders:read");
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
mod link;
mod misses;
mod random;
pub mod verdict;
pub mod verifier;

pub use config::{BadSettings, Roots, Settings};
pub use opalid_core::mirror::Room;
pub use verdict::{BadFacts, Outage, Token, Verdict, Verify};
pub use verifier::{State, Verifier};

#[cfg(test)]
mod tests;
