//! The public key of somebody else, to encrypt for (RFC 7517 §4).
//!
//! Takes: a JWK as its owner declares it.
//! Gives: a key that is ready to use, or why not, in words for whoever declared it.
//! Holds: a private key is refused whatever it is for and wherever it stands, since somebody pasted it; a key that says what it is for (`use`,
//! `key_ops`, `alg`) is used for nothing else; RSA from 2048 to 8192 bits, with an exponent from 65537 on; points on their curves alone.
//! Not here: which of several keys is taken; see `client_keys`.

use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use serde::Deserialize;
use serde_json::Value;

use super::super::decode;
use super::KeyManagement;
use super::agreement::{AgreementCurve, AgreementKey};

/// What a public key has no member of (RFC 7518 §6.2.2, §6.3.2, §6.4.1; `priv` of newer key types).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The least exponent of an RSA key that is declared, 2^16 + 1 (FIPS 186-5 A.1.1).
const EXPONENT_MIN: [u8; 3] = [1, 0, 1];

/// The longest `kid`, which comes back in every JWE.
const MAX_KID_LENGTH: usize = 255;

/// Why a key cannot be encrypted for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// It has a member that only its owner may have.
    #[error("its member {0} is private: declare the public half, of a new key, for this one is not secret any more")]
    Private(&'static str),
    /// A member is missing, or is not what its type asks for.
    #[error("its member {0} is missing or is not {1}")]
    Member(&'static str, &'static str),
    /// The modulus has another size.
    #[error("its modulus has {0} bits; 2048 to 8192 are taken")]
    ModulusSize(usize),
    /// The exponent makes encryption weak or slow.
    #[error("its exponent is not an odd number of at least 65537 and at most 32 bits")]
    Exponent,
    /// The modulus has a prime that anybody finds.
    #[error("its modulus is divisible by a small number, so that anybody can find its primes: make another key")]
    SmallFactor,
    /// The coordinates are those of no point, or of one that keeps no secret.
    #[error("its coordinates are not those of a point to agree on keys with")]
    Point,
    /// Not for us: a type or curve that is not known here (RFC 7517 §5).
    #[error("nothing is encrypted for keys of its kty and crv")]
    OtherKind,
    /// Not for us: its `use` or `key_ops` is another.
    #[error("its use or key_ops says that it is not to encrypt for")]
    OtherUse,
    /// Not for us: its `alg` is another.
    #[error("its alg is none of RSA-OAEP-256, ECDH-ES and ECDH-ES+A256KW")]
    OtherAlgorithm,
}

impl KeyRefused {
    /// Whether nothing is wrong with the key: it is only not for us.
    pub fn is_other(&self) -> bool {
        matches!(self, Self::OtherKind | Self::OtherUse | Self::OtherAlgorithm)
    }
}

/// A public key to encrypt for, parsed once.
#[derive(Debug)]
pub struct EncryptionKey {
    kid: Option<String>,
    alg: Option<KeyManagement>,
    material: Material,
}

/// The key itself.
#[derive(Debug)]
pub(super) enum Material {
    Rsa(OaepPublicEncryptingKey),
    Agreement(AgreementKey),
}

/// The members that are read; whatever else a JWK has is ignored (RFC 7517 §4).
#[derive(Deserialize)]
struct Members {
    kty: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    key_use: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl EncryptionKey {
    /// The key of this JWK.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyRefused> {
        if let Some(private) = PRIVATE_MEMBERS.into_iter().find(|name| jwk.get(name).is_some()) {
            return Err(KeyRefused::Private(private));
        }
        let members = Members::deserialize(jwk).map_err(|_| KeyRefused::Member("kty", "beside others of its type"))?;
        let kty = members.kty.as_deref().ok_or(KeyRefused::Member("kty", "a text"))?;
        if members.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_LENGTH) {
            return Err(KeyRefused::Member("kid", "at most 255 bytes long"));
        }
        members.must_be_for_encryption(kty)?;
        let alg = members.alg.as_deref().map(|name| KeyManagement::from_wire(name).ok_or(KeyRefused::OtherAlgorithm));
        let material = match kty {
            "RSA" => Material::Rsa(members.rsa()?),
            "EC" | "OKP" => Material::Agreement(members.agreement(kty)?),
            _ => return Err(KeyRefused::OtherKind),
        };
        let key = Self { kid: members.kid, alg: alg.transpose()?, material };
        // An alg of the other type of key leaves nothing to use this one with.
        let usable = KeyManagement::ALL.iter().any(|alg| key.fits(*alg));
        usable.then_some(key).ok_or(KeyRefused::OtherAlgorithm)
    }

    /// What else is wrong with a JWK that is declared now. One that was declared before this was asked for is still read.
    pub(super) fn wrong_if_declared(jwk: &Value) -> Option<KeyRefused> {
        if let Some(name) = private_within(jwk) {
            return Some(KeyRefused::Private(name));
        }
        let members = Members::deserialize(jwk).ok().filter(|members| members.kty.as_deref() == Some("RSA"))?;
        Self::from_jwk(jwk).ok()?;
        let (n, e) = (number("n", members.n.as_deref()).ok()?, number("e", members.e.as_deref()).ok()?);
        if (e.len(), e.as_slice()) < (EXPONENT_MIN.len(), EXPONENT_MIN.as_slice()) {
            return Some(KeyRefused::Exponent);
        }
        has_small_factor(&n).then_some(KeyRefused::SmallFactor)
    }

    /// The name its owner gave it.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether it is of the type that `alg` needs, and may be used with it.
    pub fn fits(&self, alg: KeyManagement) -> bool {
        let rsa = matches!(self.material, Material::Rsa(_));
        rsa == (alg == KeyManagement::RsaOaep256) && self.alg.is_none_or(|own| own == alg)
    }

    pub(super) fn material(&self) -> &Material {
        &self.material
    }
}

/// Whether a number is divisible by an odd one below 2^16: then it is no product of two primes that nobody can find.
fn has_small_factor(number: &[u8]) -> bool {
    let divides = |divisor: u64| {
        let rest =
            |rest: u64, bytes: &[u8]| bytes.iter().fold(rest, |rest, byte| rest << 8 | u64::from(*byte)) % divisor;
        number.chunks(4).fold(0, rest) == 0
    };
    // Others than 3 and 5 that are divisible by those need not be tried.
    [3, 5].into_iter().chain((7..1 << 16).step_by(2).filter(|odd| odd % 3 != 0 && odd % 5 != 0)).any(divides)
}

/// A private member of an object at any depth: somebody pasted one key into another.
fn private_within(value: &Value) -> Option<&'static str> {
    match value {
        Value::Object(members) => {
            let own = PRIVATE_MEMBERS.into_iter().find(|name| members.contains_key(*name));
            own.or_else(|| members.values().find_map(private_within))
        }
        Value::Array(items) => items.iter().find_map(private_within),
        _ => None,
    }
}

impl Members {
    /// `use` and `key_ops` (RFC 7517 §4.2, §4.3). Web Cryptography writes an empty `key_ops` for the public half of a key
    /// to agree with, for it is the private one that derives.
    fn must_be_for_encryption(&self, kty: &str) -> Result<(), KeyRefused> {
        let for_use = self.key_use.as_deref().is_none_or(|value| value == "enc");
        let of = if kty == "RSA" { ["encrypt", "wrapKey"] } else { ["deriveKey", "deriveBits"] };
        let for_ops = self
            .key_ops
            .as_deref()
            .is_none_or(|ops| ops.iter().any(|op| of.contains(&op.as_str())) || (ops.is_empty() && kty != "RSA"));
        if for_use && for_ops { Ok(()) } else { Err(KeyRefused::OtherUse) }
    }

    fn rsa(&self) -> Result<OaepPublicEncryptingKey, KeyRefused> {
        let n = number("n", self.n.as_deref())?;
        let e = number("e", self.e.as_deref())?;
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(KeyRefused::ModulusSize(bits));
        }
        if n.last().is_none_or(|last| last % 2 == 0) {
            return Err(KeyRefused::Member("n", "the product of two primes"));
        }
        if e.len() > 4 || e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
            return Err(KeyRefused::Exponent);
        }
        let key: Result<PublicEncryptingKey, _> = PublicKeyComponents { n, e }.try_into();
        key.and_then(OaepPublicEncryptingKey::new).map_err(|_| KeyRefused::Member("n", "the modulus of a usable key"))
    }

    fn agreement(&self, kty: &str) -> Result<AgreementKey, KeyRefused> {
        let crv = self.crv.as_deref().ok_or(KeyRefused::Member("crv", "a text"))?;
        let curve = AgreementCurve::from_wire(crv).ok_or(KeyRefused::OtherKind)?;
        if curve.is_octet_pair() != (kty == "OKP") {
            return Err(KeyRefused::Member("crv", "a curve of its kty"));
        }
        let mut coordinates = coordinate("x", self.x.as_deref(), curve.coordinate)?;
        if !curve.is_octet_pair() {
            coordinates.extend(coordinate("y", self.y.as_deref(), curve.coordinate)?);
        }
        AgreementKey::new(curve, &coordinates).ok_or(KeyRefused::Point)
    }
}

/// A positive number, in as few bytes as it takes (RFC 7518 §2, Base64urlUInt).
fn number(name: &'static str, text: Option<&str>) -> Result<Vec<u8>, KeyRefused> {
    let bytes = text.and_then(decode).filter(|bytes| bytes.first().is_some_and(|first| *first != 0));
    bytes.ok_or(KeyRefused::Member(name, "a number in base64url without padding and leading zeros"))
}

/// As long as its field, neither shorter nor longer (RFC 7518 §6.2.1.2).
fn coordinate(name: &'static str, text: Option<&str>, length: usize) -> Result<Vec<u8>, KeyRefused> {
    let bytes = text.and_then(decode).filter(|bytes| bytes.len() == length);
    bytes.ok_or(KeyRefused::Member(name, "a coordinate of its curve, whole, in base64url without padding"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::super::encode;
    use super::super::decrypt::Owner;
    use super::*;

    /// The key with members set (null takes one away), and why it is refused.
    fn with(owner: usize, members: &Value) -> Result<EncryptionKey, KeyRefused> {
        let mut jwk = Owner::all().remove(owner).jwk();
        let jwk_members = jwk.as_object_mut().unwrap();
        for (name, value) in members.as_object().unwrap() {
            jwk_members.insert(name.clone(), value.clone());
            if value.is_null() {
                jwk_members.remove(name);
            }
        }
        EncryptionKey::from_jwk(&jwk)
    }

    const RSA: usize = 0;
    const P256: usize = 1;
    const X25519: usize = 4;

    #[test]
    fn a_private_key_is_refused_whatever_it_is_for() {
        for owner in 0..5 {
            for name in PRIVATE_MEMBERS {
                let refused = with(owner, &json!({ name: "AQAB", "use": "sig", "alg": "ES256" })).unwrap_err();
                assert_eq!(refused, KeyRefused::Private(name));
                assert!(!refused.is_other());
            }
        }
        let secret = json!({ "kty": "oct", "k": "AAAA" });
        assert_eq!(EncryptionKey::from_jwk(&secret).unwrap_err(), KeyRefused::Private("k"));
    }

    #[test]
    fn a_key_is_for_what_it_says_and_for_nothing_else() {
        let other_use = [
            json!({ "use": "sig" }),
            json!({ "use": "Enc" }),
            json!({ "use": "" }),
            json!({ "key_ops": ["verify"] }),
            json!({ "use": "enc", "key_ops": ["sign", "verify"] }),
        ];
        for owner in [RSA, P256, X25519] {
            for members in &other_use {
                let refused = with(owner, members).unwrap_err();
                assert_eq!((&refused, refused.is_other()), (&KeyRefused::OtherUse, true), "{members}");
            }
            for alg in ["RS256", "RSA-OAEP", "RSA1_5", "ECDH-ES+A128KW", "ES256", "EdDSA", "dir", ""] {
                assert_eq!(with(owner, &json!({ "alg": alg })).unwrap_err(), KeyRefused::OtherAlgorithm, "{alg}");
            }
            assert!(with(owner, &json!({ "use": null, "kid": null })).is_ok());
        }
        assert_eq!(with(RSA, &json!({ "alg": "ECDH-ES" })).unwrap_err(), KeyRefused::OtherAlgorithm);
        assert_eq!(with(P256, &json!({ "alg": "RSA-OAEP-256" })).unwrap_err(), KeyRefused::OtherAlgorithm);
        assert_eq!(with(RSA, &json!({ "key_ops": [] })).unwrap_err(), KeyRefused::OtherUse);
        for ops in [json!(["encrypt"]), json!(["wrapKey", "encrypt"])] {
            assert!(with(RSA, &json!({ "key_ops": ops })).is_ok());
            assert!(with(P256, &json!({ "key_ops": ops })).is_err());
        }
        for ops in [json!(["deriveKey"]), json!(["deriveBits"]), json!([])] {
            assert!(with(P256, &json!({ "key_ops": ops })).is_ok());
            assert!(with(X25519, &json!({ "key_ops": ops })).is_ok());
        }
    }

    #[test]
    fn rsa_keys_that_are_weak_or_slow_are_refused() {
        let modulus = |bytes: usize, first: u8, last: u8| {
            let mut n = vec![0xa5; bytes];
            n[0] = first;
            n[bytes - 1] = last;
            json!({ "n": encode(&n) })
        };
        for (bytes, first, bits) in
            [(128, 0x80, 1024), (256, 0x7f, 2047), (1025, 1, 8193), (2048, 0x80, 16384), (1, 3, 2)]
        {
            let refused = with(RSA, &modulus(bytes, first, 3)).unwrap_err();
            assert_eq!(refused, KeyRefused::ModulusSize(bits));
        }
        assert!(with(RSA, &modulus(256, 0x80, 1)).is_ok());
        assert!(with(RSA, &modulus(1024, 0xff, 1)).is_ok());
        assert!(matches!(with(RSA, &modulus(256, 0x80, 2)), Err(KeyRefused::Member("n", _))));
        for (exponent, taken) in
            [("AQAB", true), ("Aw", true), ("_____w", true), ("AQ", false), ("Ag", false), ("AQAA", false)]
        {
            assert_eq!(with(RSA, &json!({ "e": exponent })).is_ok(), taken, "{exponent}");
        }
        assert_eq!(with(RSA, &json!({ "e": "AQAAAAE" })).unwrap_err(), KeyRefused::Exponent);
    }

    #[test]
    fn every_size_and_exponent_that_is_taken_can_be_encrypted_with() {
        use super::super::{ContentEncryption, encrypt};
        for e in ["Aw", "AQAB", "_____w"] {
            let key = with(RSA, &json!({ "e": e })).unwrap();
            assert!(encrypt(&key, KeyManagement::RsaOaep256, ContentEncryption::A128Gcm, None, b"x").is_ok(), "{e}");
        }
        for bytes in [256, 257, 384, 1024] {
            let n = [vec![0x80], vec![0xa5; bytes - 1]].concat();
            let key = with(RSA, &json!({ "n": encode(&n) })).unwrap();
            assert!(
                encrypt(&key, KeyManagement::RsaOaep256, ContentEncryption::A128Gcm, None, b"x").is_ok(),
                "{bytes}"
            );
        }
    }

    #[test]
    fn members_that_are_missing_or_malformed_are_named() {
        let cases = [
            (RSA, json!({ "n": null }), "n"),
            (RSA, json!({ "n": "" }), "n"),
            (RSA, json!({ "n": "not base64url!" }), "n"),
            (RSA, json!({ "e": "AAEAAQ" }), "e"),
            (RSA, json!({ "e": "AQAB=" }), "e"),
            (P256, json!({ "x": null }), "x"),
            (P256, json!({ "y": "AA" }), "y"),
            (P256, json!({ "crv": null }), "crv"),
            (P256, json!({ "crv": "X25519" }), "crv"),
            (P256, json!({ "crv": "P-384" }), "x"),
            (X25519, json!({ "x": "AA" }), "x"),
            (X25519, json!({ "crv": "P-256" }), "crv"),
            (RSA, json!({ "kty": null }), "kty"),
            (RSA, json!({ "kid": "k".repeat(256) }), "kid"),
        ];
        for (owner, members, name) in cases {
            let refused = with(owner, &members).unwrap_err();
            assert!(matches!(refused, KeyRefused::Member(found, _) if found == name), "{members}: {refused}");
            assert!(!refused.is_other());
        }
        for jwk in
            [json!(null), json!([]), json!("RSA"), json!({}), json!({ "kty": 1 }), json!({ "kty": "RSA", "kid": 1 })]
        {
            assert!(matches!(EncryptionKey::from_jwk(&jwk), Err(KeyRefused::Member("kty", _))), "{jwk}");
        }
        let p256 = Owner::all().remove(P256).jwk();
        assert_eq!(with(P256, &json!({ "y": p256["x"] })).unwrap_err(), KeyRefused::Point);
        assert_eq!(with(X25519, &json!({ "x": encode(&[0; 32]) })).unwrap_err(), KeyRefused::Point);
    }

    #[test]
    fn kinds_of_keys_that_are_not_known_here_are_not_for_us() {
        for members in
            [json!({ "kty": "AKP" }), json!({ "kty": "rsa" }), json!({ "crv": "secp256k1" }), json!({ "crv": "P-192" })]
        {
            assert_eq!(with(P256, &members).unwrap_err(), KeyRefused::OtherKind);
        }
        for crv in ["Ed25519", "X448"] {
            assert_eq!(with(X25519, &json!({ "crv": crv })).unwrap_err(), KeyRefused::OtherKind);
        }
    }

    proptest! {
        #[test]
        fn any_members_are_read_or_refused_and_what_is_read_can_be_used(
            owner in 0..5_usize,
            name in "kty|crv|x|y|n|e|use|alg|kid|key_ops",
            value in "[A-Za-z0-9_=-]{0,50}",
        ) {
            use super::super::{ContentEncryption, encrypt};
            if let Ok(key) = with(owner, &json!({ name: value })) {
                for alg in KeyManagement::ALL.iter().filter(|alg| key.fits(**alg)) {
                    prop_assert!(encrypt(&key, *alg, ContentEncryption::A128CbcHs256, None, b"x").is_ok());
                }
            }
        }
    }
}
