//! Signing keys: made, read once, then used for any number of signatures.
//!
//! Takes: PKCS#8 (RFC 5958), which the store keeps wrapped by the master key.
//! Gives: compact JWS (RFC 7515 §7.1), and the public half.
//! Holds: a signature parses no key; `Debug` shows the public name alone.
//! Exception: keys, PSS salts and ECDSA nonces come from the system's randomness inside aws-lc-rs, which takes none from
//! outside. Everywhere else in this crate randomness is an argument.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Curve, Jwk, JwtError, KeyParameters, PublicKey, SigningAlgorithm, encode};

/// A private key, ready to sign.
pub struct SigningKey {
    jwk: Jwk,
    pair: Pair,
}

/// The parsed key, with what its algorithm asks of it where one kind of key serves several.
enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair, Curve),
    Ed25519(Ed25519KeyPair),
}

#[derive(Serialize)]
struct Header<'a> {
    alg: SigningAlgorithm,
    typ: &'a str,
    kid: &'a str,
}

impl SigningKey {
    /// A new private key as PKCS#8. An RSA key has 2048 bits; making one takes a noticeable part of a second.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Zeroizing<Vec<u8>>, JwtError> {
        let random = SystemRandom::new();
        let pkcs8 = match algorithm {
            SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
                let der: Pkcs8V1Der = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                der.as_ref().to_vec()
            }
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?.as_ref().to_vec()
            }
            SigningAlgorithm::Es384 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random)?.as_ref().to_vec()
            }
            SigningAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(pkcs8))
    }

    /// The key in this PKCS#8 document, which must be of that algorithm's type.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<Self, JwtError> {
        let rsa = |encoding| RsaKeyPair::from_pkcs8(pkcs8).map(|pair| Pair::Rsa(pair, encoding));
        let ecdsa = |of, curve| EcdsaKeyPair::from_pkcs8(of, pkcs8).map(|pair| Pair::Ecdsa(pair, curve));
        let pair = match algorithm {
            SigningAlgorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            SigningAlgorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            SigningAlgorithm::Es256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, Curve::P256),
            SigningAlgorithm::Es384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, Curve::P384),
            SigningAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed25519),
        }
        .map_err(|_| JwtError::KeyRejected(algorithm))?;
        let parameters = pair.parameters().ok_or(JwtError::KeyRejected(algorithm))?;
        Ok(Self { jwk: Jwk::new(algorithm, parameters), pair })
    }

    /// The algorithm it signs with.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.jwk.alg
    }

    /// Its name: the thumbprint of the public half (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The public half, for the JWK Set.
    pub fn public_jwk(&self) -> Jwk {
        self.jwk.clone()
    }

    /// The public half, ready to verify.
    pub fn public_key(&self) -> Result<PublicKey, JwtError> {
        PublicKey::from_jwk(self.public_jwk())
    }

    /// The claims as a compact JWS with `alg`, `typ` and `kid` in its header.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, JwtError> {
        let header = Header { alg: self.jwk.alg, typ, kid: &self.jwk.kid };
        self.compact(&serde_json::to_vec(&header)?, &serde_json::to_vec(claims)?)
    }

    pub(super) fn compact(&self, header: &[u8], payload: &[u8]) -> Result<String, JwtError> {
        let mut jws = String::with_capacity(2 * (header.len() + payload.len()) + 384);
        URL_SAFE_NO_PAD.encode_string(header, &mut jws);
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
        let signature = self.signature(jws.as_bytes())?;
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
        Ok(jws)
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, JwtError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair, _) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
            Pair::Ed25519(pair) => Ok(pair.try_sign(message)?.as_ref().to_vec()),
        }
    }
}

impl Pair {
    fn parameters(&self) -> Option<KeyParameters> {
        match self {
            Self::Rsa(pair, _) => KeyParameters::from_rsa_public_key(pair.public_key().as_ref()),
            Self::Ecdsa(pair, curve) => {
                // The uncompressed point: 4, x, y (SEC 1 §2.3.3).
                let [4, point @ ..] = pair.public_key().as_ref() else { return None };
                let (x, y) = point.split_at_checked(point.len() / 2)?;
                Some(KeyParameters::Ec { crv: *curve, x: encode(x), y: encode(y) })
            }
            Self::Ed25519(pair) => {
                Some(KeyParameters::Okp { crv: Curve::Ed25519, x: encode(pair.public_key().as_ref()) })
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.jwk.alg.wire_name(), self.jwk.kid)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{decode, vectors};
    use super::*;

    #[test]
    fn rs256_signs_the_example_of_rfc_7515_a_2() {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &vectors::rfc7515_a2_pkcs8()).unwrap();
        let jws = key.compact(br#"{"alg":"RS256"}"#, vectors::RFC7515_PAYLOAD).unwrap();
        assert_eq!(jws, vectors::RFC7515_A2_JWS);
        let expected = KeyParameters::Rsa { n: vectors::RFC7515_A2_N.into(), e: "AQAB".into() };
        assert_eq!(key.public_jwk().parameters, expected);
    }

    #[test]
    fn eddsa_signs_the_example_of_rfc_8037_a_4() {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::EdDsa, &vectors::rfc8037_pkcs8()).unwrap();
        let jws = key.compact(br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing").unwrap();
        assert_eq!(jws, vectors::RFC8037_JWS);
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn an_elliptic_key_has_the_public_half_of_rfc_7515_a_3() {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &vectors::rfc7515_a3_pkcs8()).unwrap();
        let expected =
            KeyParameters::Ec { crv: Curve::P256, x: vectors::RFC7515_A3_X.into(), y: vectors::RFC7515_A3_Y.into() };
        assert_eq!(key.public_jwk().parameters, expected);
    }

    #[test]
    fn rs256_signs_the_example_of_rfc_7520_4_1() {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Rs256, &vectors::rfc7520_pkcs8()).unwrap();
        let [header, payload, _] = vectors::RFC7520_41_JWS.split('.').collect::<Vec<_>>()[..] else {
            panic!("3 parts")
        };
        let jws = key.compact(&decode(header).unwrap(), &decode(payload).unwrap()).unwrap();
        assert_eq!(jws, vectors::RFC7520_41_JWS);
    }

    #[test]
    fn a_key_on_p_384_has_the_public_half_of_rfc_6979_a_2_6() {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es384, &vectors::rfc6979_p384_pkcs8()).unwrap();
        let (x, y) = (vectors::RFC6979_P384_X.into(), vectors::RFC6979_P384_Y.into());
        assert_eq!(key.public_jwk().parameters, KeyParameters::Ec { crv: Curve::P384, x, y });
    }

    #[test]
    fn every_algorithm_makes_keys_whose_signatures_verify() {
        for &algorithm in SigningAlgorithm::ALL {
            let pkcs8 = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap();
            let jws = key.sign("JWT", &serde_json::json!({ "sub": "alice" })).unwrap();
            let keys = super::super::PublicKeys::new(vec![key.public_key().unwrap()]);
            let claims: serde_json::Value = keys.verify(&jws, "JWT").unwrap();
            assert_eq!(claims, serde_json::json!({ "sub": "alice" }));
            let header: serde_json::Value =
                serde_json::from_slice(&decode(jws.split('.').next().unwrap()).unwrap()).unwrap();
            assert_eq!(header, serde_json::json!({ "alg": algorithm.wire_name(), "typ": "JWT", "kid": key.kid() }));
        }
    }

    #[test]
    fn a_generated_rsa_key_has_2048_bits_and_the_usual_exponent() {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256] {
            let pkcs8 = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::from_pkcs8(algorithm, &pkcs8).unwrap();
            let KeyParameters::Rsa { n, e } = key.public_jwk().parameters else { panic!("not an RSA key") };
            let modulus = decode(&n).unwrap();
            assert_eq!((modulus.len(), modulus[0] >> 7, e.as_str()), (256, 1, "AQAB"));
        }
    }

    #[test]
    fn a_key_is_refused_under_an_algorithm_of_another_kind_and_when_cut_short() {
        // The bytes of an RSA key do not say for which of the two it was made: the store does.
        let kind = |algorithm| match algorithm {
            SigningAlgorithm::Ps256 => SigningAlgorithm::Rs256,
            other => other,
        };
        for &made_for in SigningAlgorithm::ALL {
            let pkcs8 = vectors::pkcs8(made_for);
            for &used_for in SigningAlgorithm::ALL {
                assert_eq!(SigningKey::from_pkcs8(used_for, &pkcs8).is_ok(), kind(made_for) == kind(used_for));
            }
            let cut = &pkcs8[..pkcs8.len() - 1];
            assert!(matches!(SigningKey::from_pkcs8(made_for, cut), Err(JwtError::KeyRejected(a)) if a == made_for));
        }
    }

    #[test]
    fn debug_shows_the_name_and_nothing_of_the_key() {
        let key = SigningKey::from_pkcs8(SigningAlgorithm::EdDsa, &vectors::rfc8037_pkcs8()).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(EdDSA kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k)");
    }

    #[test]
    fn keys_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<SigningKey>();
        shared::<PublicKey>();
    }
}
