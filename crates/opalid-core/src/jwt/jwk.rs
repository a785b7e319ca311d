//! The public half of a signing key as clients read it (RFC 7517), and its name (RFC 7638).
//!
//! Takes: the numbers of a public key. Gives: the JWK with `use`, `alg` and `kid`.
//! Holds: `kid` is the thumbprint, so a key has one name everywhere and no two keys share one.
//! Not here: a private member; this type has no place for one.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::{SigningAlgorithm, encode};

/// A public key (RFC 7517 §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// `kty` and what belongs to it.
    #[serde(flatten)]
    pub parameters: KeyParameters,
    /// What the key is for.
    #[serde(rename = "use")]
    pub key_use: KeyUse,
    /// The one algorithm this key is used with.
    pub alg: SigningAlgorithm,
    /// The key's thumbprint.
    pub kid: String,
}

/// The numbers of a public key, base64url as on the wire, by key type (RFC 7518 §6, RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum KeyParameters {
    /// An RSA key.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
    /// A point on an elliptic curve.
    #[serde(rename = "EC")]
    Ec {
        /// The curve.
        crv: Curve,
        /// The first coordinate, as long as the curve's field.
        x: String,
        /// The second coordinate, as long as the curve's field.
        y: String,
    },
    /// An octet key pair.
    #[serde(rename = "OKP")]
    Okp {
        /// The curve.
        crv: Curve,
        /// The public key.
        x: String,
    },
}

/// The value of `crv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    /// NIST P-256, for ES256.
    #[serde(rename = "P-256")]
    P256,
    /// NIST P-384, for ES384.
    #[serde(rename = "P-384")]
    P384,
    /// NIST P-521, to agree on keys.
    #[serde(rename = "P-521")]
    P521,
    /// Ed25519, for EdDSA.
    Ed25519,
    /// X25519, to agree on keys.
    X25519,
}

impl Curve {
    const fn wire_name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
        }
    }
}

/// The value of `use`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyUse {
    /// Signatures.
    #[serde(rename = "sig")]
    Signature,
}

impl Jwk {
    /// A signing key's public half, named by its thumbprint.
    pub fn new(alg: SigningAlgorithm, parameters: KeyParameters) -> Self {
        let kid = parameters.thumbprint();
        Self { parameters, key_use: KeyUse::Signature, alg, kid }
    }
}

impl KeyParameters {
    /// The numbers of an RSA key from its `RSAPublicKey ::= SEQUENCE { INTEGER, INTEGER }` (RFC 8017 §A.1.1), the only
    /// form in which the library gives them out.
    pub(super) fn from_rsa_public_key(der: &[u8]) -> Option<Self> {
        let (sequence, _) = element(0x30, der)?;
        let (modulus, rest) = element(0x02, sequence)?;
        let (exponent, _) = element(0x02, rest)?;
        // A leading zero only says that the number is positive; in a JWK there is none (RFC 7518 §2).
        let number = |bytes: &[u8]| encode(bytes.strip_prefix(&[0]).unwrap_or(bytes));
        Some(Self::Rsa { n: number(modulus), e: number(exponent) })
    }

    /// The SHA-256 thumbprint: over the required members alone, in the order of their names, without white space
    /// (RFC 7638 §3). base64url needs no JSON escapes.
    pub fn thumbprint(&self) -> String {
        let canonical = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{}","kty":"EC","x":"{x}","y":"{y}"}}"#, crv.wire_name())
            }
            Self::Okp { crv, x } => format!(r#"{{"crv":"{}","kty":"OKP","x":"{x}"}}"#, crv.wire_name()),
        };
        encode(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref())
    }
}

/// The contents of the first DER element, which must have this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, der) = der.split_first().filter(|(found, _)| **found == tag)?;
    let (&length, der) = der.split_first()?;
    if length < 0x80 {
        return der.split_at_checked(length.into());
    }
    let (length, der) = der.split_at_checked((length & 0x7f).into())?;
    der.split_at_checked(length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::super::vectors;
    use super::*;

    #[test]
    fn thumbprints_are_those_of_the_specifications() {
        let rsa = KeyParameters::Rsa { n: vectors::RFC7638_N.into(), e: "AQAB".into() };
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let okp = KeyParameters::Okp { crv: Curve::Ed25519, x: vectors::RFC8037_X.into() };
        assert_eq!(okp.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_thumbprint_of_an_elliptic_key_is_over_its_four_members_in_order() {
        let ec =
            KeyParameters::Ec { crv: Curve::P256, x: vectors::RFC7515_A3_X.into(), y: vectors::RFC7515_A3_Y.into() };
        let members = serde_json::json!({
            "kty": "EC", "crv": "P-256", "y": vectors::RFC7515_A3_Y, "x": vectors::RFC7515_A3_X,
        });
        let sorted: std::collections::BTreeMap<String, String> = serde_json::from_value(members).unwrap();
        let canonical = serde_json::to_vec(&sorted).unwrap();
        assert_eq!(ec.thumbprint(), encode(digest::digest(&digest::SHA256, &canonical).as_ref()));
    }

    #[test]
    fn a_key_is_written_with_its_type_use_algorithm_and_name() {
        let parameters = KeyParameters::Okp { crv: Curve::Ed25519, x: vectors::RFC8037_X.into() };
        let jwk = Jwk::new(SigningAlgorithm::EdDsa, parameters);
        let json = serde_json::to_value(&jwk).unwrap();
        let expected = serde_json::json!({
            "kty": "OKP", "crv": "Ed25519", "x": vectors::RFC8037_X, "use": "sig", "alg": "EdDSA",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Jwk>(json).unwrap(), jwk);
    }
}
