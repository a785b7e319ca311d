//! Minting: the one place where tokens are made.
//!
//! Takes: a grant and what was decided. Gives: the token answer (RFC 6749 §5.1), always with `scope`.

use std::sync::Arc;

use opalid_core::grant::{Entitlement, EntitlementNo};
use opalid_core::time::Seconds;
use opalid_core::token::{Access, Jti, Sealed};
use opalid_store::memory::RememberedGrant;
use serde::Serialize;

use crate::http::call::Call;
use crate::oauth::entitle::scope_of;
use crate::random;

/// What a grant type decided.
pub struct Minting {
    /// What the token hangs from.
    pub grant: Arc<RememberedGrant>,
    /// Which of its entitlements.
    pub number: EntitlementNo,
    /// What that allows.
    pub entitlement: Entitlement,
}

/// The answer of the token endpoint.
#[derive(Serialize)]
pub struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    scope: String,
}

/// Mints an access token.
pub fn tokens(call: &Call<'_>, minting: Minting) -> Tokens {
    let Minting { grant, number, entitlement } = minting;
    let valid_for: Seconds = call.issuer.settings().access_token_lifetime;
    let sealed = Sealed {
        grant: grant.grant.id,
        guard: grant.grant.guard,
        entitlement: number,
        epoch: grant.grant.epoch,
        issued_at: call.now,
        expires_at: call.now.plus(valid_for),
        confirmation: None,
    };
    Tokens {
        access_token: call.issuer.sealer.seal::<Access>(&sealed, Jti(random::bytes())),
        token_type: "Bearer",
        expires_in: valid_for.0,
        scope: scope_of(&entitlement).to_string(),
    }
}
