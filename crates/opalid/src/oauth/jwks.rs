//! The issuer's public keys (RFC 7517 §5).

use crate::http::call::Call;
use crate::http::reply::{self, Reply};

/// GET /jwks.
pub fn endpoint(call: &Call<'_>) -> Reply {
    reply::public_json(&call.issuer.public)
}
