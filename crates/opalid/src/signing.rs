//! Signing with the current key of an issuer, and encrypting for a reader.
//!
//! Holds: what is encrypted and signed is signed first (RFC 7519 §11.2).

use opalid_core::encryption::Encryption;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::jwt::SigningAlgorithm;
use opalid_core::jwt::jwe::{ClientKeys, encrypt};
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

/// What an encrypted payload is (RFC 7519 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A JWT.
    Jwt,
    /// Claims as JSON.
    Claims,
}

/// The payload as a compact JWE for the owner of the keys.
pub fn encrypt_for(
    keys: Option<&ClientKeys>,
    how: Encryption,
    (content, payload): (Content, &[u8]),
) -> Result<String, OAuthError> {
    let cannot =
        |cause: String| OAuthError::new(ErrorCode::ServerError, "the answer cannot be encrypted").because(cause);
    let key = how.key(keys).ok_or_else(|| cannot(format!("no key to encrypt for with {}", how.alg.wire_name())))?;
    let cty = (content == Content::Jwt).then_some("JWT");
    encrypt(key, how.alg, how.enc, cty, payload).map_err(|error| cannot(error.to_string()))
}

/// A JWT as it goes out: encrypted where that is declared, else as it is.
pub fn encrypted_if(keys: Option<&ClientKeys>, how: Option<Encryption>, jwt: String) -> Result<String, OAuthError> {
    match how {
        Some(how) => encrypt_for(keys, how, (Content::Jwt, jwt.as_bytes())),
        None => Ok(jwt),
    }
}
