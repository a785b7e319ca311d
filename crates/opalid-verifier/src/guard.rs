//! Whether a request may pass.
//!
//! Takes: the head of a request, and whoever can say what is true of its token. Gives: the token's facts, or the
//! refusal with its whole answer.
//! Holds: nothing passes but an active token that is for this resource, bound to no key, and may do all that this
//! request needs; an outage is no verdict, and nothing passes on it.
//! Not here: what is true of a token; the body of a request, which no token is looked for in.

mod bearer;
mod builder;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "tower")]
mod layer;
mod refusal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::request::Parts;
use opalid_core::resource_uri::ResourceUri;
use opalid_core::scope::Scopes;

pub use self::builder::{BadGuard, GuardBuilder};
#[cfg(feature = "tower")]
pub use self::layer::Guarded;
use self::refusal::Challenge;
pub use self::refusal::{Reason, Refusal};
use crate::verdict::{Token, Verdict, Verify};

/// What one request needs, judged by its head.
type PerRequest = dyn Fn(&Parts) -> Scopes + Send + Sync;

/// Lets a request pass or refuses it. A clone is the same guard; with the feature `tower` it is a layer.
#[derive(Clone)]
pub struct Guard<V> {
    verify: V,
    terms: Arc<Terms>,
}

/// What a guard was built with.
struct Terms {
    /// None: a token of any audience passes.
    resource: Option<ResourceUri>,
    challenge: Challenge,
    /// What every request needs.
    always: Scopes,
    per_request: Option<Box<PerRequest>>,
}

impl Terms {
    fn needed(&self, parts: &Parts) -> Scopes {
        match &self.per_request {
            Some(per_request) => self.always.union(&per_request(parts)),
            None => self.always.clone(),
        }
    }
}

impl<V: Verify> Guard<V> {
    /// A guard that asks `verify`; say of which resource.
    pub fn builder(verify: V) -> GuardBuilder<V> {
        GuardBuilder::new(verify)
    }

    /// Judges a request by its head.
    pub async fn admit(&self, parts: &Parts) -> Result<Admitted, Refusal> {
        let needed = self.terms.needed(parts);
        let refused = |reason| Refusal::of(reason, &self.terms.challenge, &needed);
        let token = bearer::token(&parts.headers).map_err(refused)?.ok_or_else(|| refused(Reason::NoToken))?;
        self.admit_token(token, needed).await
    }

    /// Judges a token by itself, for what comes in by other ways than a head of HTTP/1 or HTTP/2.
    pub async fn admit_token(&self, token: &str, needed: Scopes) -> Result<Admitted, Refusal> {
        let Terms { resource, challenge, .. } = &*self.terms;
        let refused = |reason| Refusal::of(reason, challenge, &needed);
        let token = match self.verify.verify(token).await {
            Ok(Verdict::Active(token)) => token,
            Ok(Verdict::Inactive) => return Err(refused(Reason::InvalidToken)),
            Err(_) => return Err(refused(Reason::Outage)),
        };
        let is_for_us = resource.as_ref().is_none_or(|resource| token.is_for(resource.as_str()));
        // Whoever stole a bound token has no key: without a proof of it nobody may use it (RFC 9449 §7.1).
        if !is_for_us || token.confirmation.is_some() {
            return Err(refused(Reason::InvalidToken));
        }
        if !token.has_scopes(&needed) {
            return Err(refused(Reason::InsufficientScope));
        }
        Ok(Admitted { token, needed, challenge: challenge.clone() })
    }
}

impl<V> fmt::Debug for Guard<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { resource, always, .. } = &*self.terms;
        f.debug_struct("Guard").field("resource", resource).field("always", always).finish_non_exhaustive()
    }
}

/// The token of a request that a guard let pass. Only a guard makes one, so a handler that has it was guarded.
#[derive(Debug, Clone)]
pub struct Admitted {
    token: Arc<Token>,
    /// What the guard wanted, and found.
    needed: Scopes,
    challenge: Challenge,
}

impl Admitted {
    /// The token's facts.
    #[must_use]
    pub fn token(&self) -> &Arc<Token> {
        &self.token
    }

    /// Demands more than the guard did: one scope, or several with blanks between them. The refusal names all that the
    /// request needs, so that a client that asks for just that gets through.
    pub fn require(&self, scope: &str) -> Result<(), Refusal> {
        let more = match Scopes::parse(scope) {
            Ok(more) if !more.is_empty() => more,
            _ => return Err(Refusal::misconfigured("a handler requires what is no scope")),
        };
        if self.token.has_scopes(&more) {
            return Ok(());
        }
        Err(Refusal::of(Reason::InsufficientScope, &self.challenge, &self.needed.union(&more)))
    }
}

impl Deref for Admitted {
    type Target = Token;
    fn deref(&self) -> &Token {
        &self.token
    }
}
