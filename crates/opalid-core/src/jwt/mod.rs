//! JSON Web Tokens (RFC 7519) that we sign and encrypt, and the reading back of those we signed.
//!
//! Takes: a PKCS#8 key, claims; later a compact JWS (RFC 7515 §3.1) that may be ours.
//! Gives: a compact JWS; the JWK Set that clients check it with; the claims, once the signature holds.
//! Holds: an algorithm belongs to a key, never to a token: a key signs and verifies with its own and no other.
//! Not here: tokens of foreign issuers (but decoded for people), what was encrypted for us, and whether what a token stands for is still alive.

mod access_token;
#[cfg(test)]
mod attacks;
mod decode;
mod explain;
mod id_token;
mod import;
pub mod jwe;
mod jwk;
mod key;
#[cfg(test)]
mod vectors;
mod verify;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

pub use access_token::{AccessTokenClaims, Audience, TYP_ACCESS_TOKEN, unproved_issuer, unproved_jti};
pub use decode::{DecodedJwt, MAX_DECODED, Member, Signature, Undecodable};
pub use id_token::{IdTokenClaims, at_hash};
pub use import::{ImportRefused, import};
pub use jwk::{Curve, Jwk, KeyParameters, KeyUse};
pub use key::SigningKey;
pub use verify::{JwsRefused, MAX_JWS_LENGTH, PublicKey, PublicKeys};

/// The `typ` of an ID token, and of any JWT without a type of its own (RFC 7519 §5.1).
pub const TYP_JWT: &str = "JWT";

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1). Two of them sign with RSA, each with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, which every client must understand (OpenID Core §15.1).
    Rs256,
    /// RSASSA-PSS with SHA-256, its mask too, and a salt as long as the hash (RFC 7518 §3.5).
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// EdDSA; Ed25519 is the only curve here.
    EdDsa,
}

impl SigningAlgorithm {
    /// Every algorithm there is.
    pub const ALL: &[Self] = &[Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// The value of `alg`.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name, matched exactly (RFC 7515 §4.1.1).
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.wire_name() == name)
    }
}

/// A text that names no signature algorithm of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown signature algorithm: expected RS256, PS256, ES256, ES384 or EdDSA")]
pub struct UnknownAlgorithm;

impl From<SigningAlgorithm> for &'static str {
    fn from(algorithm: SigningAlgorithm) -> Self {
        algorithm.wire_name()
    }
}

impl TryFrom<String> for SigningAlgorithm {
    type Error = UnknownAlgorithm;
    fn try_from(name: String) -> Result<Self, UnknownAlgorithm> {
        Self::from_wire(&name).ok_or(UnknownAlgorithm)
    }
}

/// Why a key or a signature could not be made. All of these are faults of ours or of the stored key.
#[derive(Debug, thiserror::Error)]
pub enum JwtError {
    /// Not a key of this algorithm, or a damaged one.
    #[error("not a usable {} key", .0.wire_name())]
    KeyRejected(SigningAlgorithm),
    /// A key that is of another type than this algorithm needs, or that may not be used with it.
    #[error("the key is not one to encrypt for with {}", .0.wire_name())]
    UnfitKey(jwe::KeyManagement),
    /// The cryptographic library failed, for want of memory or randomness.
    #[error("the cryptographic library failed")]
    Cryptography,
    /// The claims cannot be written as JSON.
    #[error("claims cannot be written as JSON: {0}")]
    Claims(#[from] serde_json::Error),
}

impl From<aws_lc_rs::error::Unspecified> for JwtError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Cryptography
    }
}

/// base64url without padding (RFC 7515 §2).
fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text in its one canonical spelling: no padding, no bits left over, no other alphabet.
fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_is_found_by_its_wire_name_and_no_other() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(SigningAlgorithm::from_wire(algorithm.wire_name()), Some(*algorithm));
            let json = serde_json::to_string(algorithm).unwrap();
            assert_eq!(json, format!("\"{}\"", algorithm.wire_name()));
            assert_eq!(serde_json::from_str::<SigningAlgorithm>(&json).unwrap(), *algorithm);
        }
        for other in ["none", "None", "", "rs256", "HS256", "RS512", "PS384", "ES512", "Ed25519"] {
            assert_eq!(SigningAlgorithm::from_wire(other), None);
            assert!(serde_json::from_value::<SigningAlgorithm>(other.into()).is_err());
        }
    }
}
