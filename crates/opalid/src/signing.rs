//! Signing with the current key of an issuer.

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::jwt::SigningAlgorithm;
use serde::Serialize;

use crate::issuer::Issuer;

/// Claims as a compact JWS of this `typ`, under the current key of an algorithm.
pub fn sign(
    issuer: &Issuer,
    algorithm: SigningAlgorithm,
    typ: &str,
    claims: &impl Serialize,
) -> Result<String, OAuthError> {
    let cannot = |cause: String| OAuthError::new(ErrorCode::ServerError, "the token cannot be signed").because(cause);
    let key = issuer.signing_key(algorithm).ok_or_else(|| cannot(format!("no key for {}", algorithm.wire_name())))?;
    key.sign(typ, claims).map_err(|error| cannot(error.to_string()))
}
