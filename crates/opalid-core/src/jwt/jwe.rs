//! JSON Web Encryption (RFC 7516), compact, and of its two halves the writing one.
//!
//! Takes: the public key of the one who may read, the two algorithms, the bytes; for a nested JWT its `cty` (RFC 7519 §5.2).
//! Gives: a compact JWE (§7.1), which names the key by the `kid` that its owner gave it.
//! Holds: every JWE has a content key and an IV of its own, so no nonce meets a key twice; the header is authenticated with
//! the content; nothing is compressed before it is encrypted (RFC 8725 §3.6); a key is used as its JWK allows, or not at all.
//! Not here: decryption, which only the tests of this module can do.
//! Exception: content keys, IVs, ephemeral keys and the seed of RSA-OAEP come from the system's randomness inside aws-lc-rs,
//! as in `key.rs` beside it.

mod agreement;
mod client_keys;
mod content;
#[cfg(test)]
mod decrypt;
mod key;
#[cfg(test)]
mod vectors;

use aws_lc_rs::agreement::PrivateKey;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrap};
use aws_lc_rs::rand;
use aws_lc_rs::rsa::OAEP_SHA256_MGF1SHA256;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use client_keys::{ClientKeys, KeysRefused, MAX_KEYS, MAX_KEYS_LENGTH, Passed};
pub use key::{EncryptionKey, KeyRefused};

use super::{JwtError, KeyParameters, encode};
use key::Material;

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident, $expected:literal { $($(#[$of:meta])* $variant:ident = $wire:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum $name { $($(#[$of])* $variant,)* }

        impl $name {
            /// Every algorithm there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name on the wire.
            pub const fn wire_name(self) -> &'static str {
                match self { $(Self::$variant => $wire,)* }
            }

            /// The algorithm of that name, matched exactly (RFC 7516 §4.1).
            pub fn from_wire(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|algorithm| algorithm.wire_name() == name)
            }
        }

        impl From<$name> for &'static str {
            fn from(algorithm: $name) -> Self {
                algorithm.wire_name()
            }
        }

        impl TryFrom<String> for $name {
            type Error = UnknownEncryption;
            fn try_from(name: String) -> Result<Self, UnknownEncryption> {
                Self::from_wire(&name).ok_or(UnknownEncryption($expected))
            }
        }
    )*};
}

algorithms! {
    /// How the content key reaches its reader: the value of `alg` (RFC 7518 §4.1).
    KeyManagement, "alg: expected RSA-OAEP-256, ECDH-ES or ECDH-ES+A256KW" {
        /// RSAES-OAEP with SHA-256, its mask too (RFC 7518 §4.3).
        RsaOaep256 = "RSA-OAEP-256",
        /// Ephemeral-static Diffie-Hellman whose outcome is the content key (RFC 7518 §4.6, RFC 8037 §3.2).
        EcdhEs = "ECDH-ES",
        /// The same with an outcome that wraps the content key under AES-256 (RFC 7518 §4.4, §4.6).
        EcdhEsA256Kw = "ECDH-ES+A256KW",
    }
    /// How the content is encrypted and authenticated: the value of `enc` (RFC 7518 §5.1).
    ContentEncryption, "enc: expected A128GCM, A256GCM or A128CBC-HS256" {
        /// AES-128 in Galois counter mode (RFC 7518 §5.3).
        A128Gcm = "A128GCM",
        /// AES-256 in Galois counter mode (RFC 7518 §5.3).
        A256Gcm = "A256GCM",
        /// AES-128 in CBC mode with HMAC-SHA-256 (RFC 7518 §5.2.3), which every reader of `enc` must know.
        A128CbcHs256 = "A128CBC-HS256",
    }
}

/// A text that names no encryption of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown encryption algorithm, {0}")]
pub struct UnknownEncryption(&'static str);

#[derive(Serialize)]
struct Header<'a> {
    alg: KeyManagement,
    enc: ContentEncryption,
    #[serde(skip_serializing_if = "Option::is_none")]
    cty: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epk: Option<KeyParameters>,
}

/// A content key, and what its reader needs to have it too.
struct Delivery {
    content_key: Zeroizing<Vec<u8>>,
    encrypted_key: Vec<u8>,
    epk: Option<KeyParameters>,
}

/// The payload as a compact JWE for the owner of `key`; `cty` is `JWT` when the payload is one (RFC 7519 §5.2).
pub fn encrypt(
    key: &EncryptionKey,
    alg: KeyManagement,
    enc: ContentEncryption,
    cty: Option<&str>,
    payload: &[u8],
) -> Result<String, JwtError> {
    let delivery = deliver(key, alg, enc)?;
    let header = Header { alg, enc, cty, kid: key.kid(), epk: delivery.epk };
    let header = encode(&serde_json::to_vec(&header)?);
    let iv = random(enc.iv_length())?;
    let sealed = enc.seal((&delivery.content_key, &iv), header.as_bytes(), payload)?;
    let [encrypted_key, iv, ciphertext, tag] =
        [&delivery.encrypted_key, &*iv, &sealed.ciphertext, &sealed.tag].map(|part| encode(part));
    Ok([header, encrypted_key, iv, ciphertext, tag].join("."))
}

fn deliver(key: &EncryptionKey, alg: KeyManagement, enc: ContentEncryption) -> Result<Delivery, JwtError> {
    if !key.fits(alg) {
        return Err(JwtError::UnfitKey(alg));
    }
    match (alg, key.material()) {
        (KeyManagement::RsaOaep256, Material::Rsa(public)) => {
            let content_key = random(enc.key_length())?;
            let mut encrypted_key = vec![0; public.ciphertext_size()];
            public.encrypt(&OAEP_SHA256_MGF1SHA256, &content_key, &mut encrypted_key, None)?;
            Ok(Delivery { content_key, encrypted_key, epk: None })
        }
        (KeyManagement::EcdhEs, Material::Agreement(public)) => {
            let ephemeral = PrivateKey::generate(public.algorithm())?;
            let content_key = public.agree(&ephemeral, enc.wire_name(), enc.key_length())?;
            Ok(Delivery { content_key, encrypted_key: Vec::new(), epk: Some(public.epk(&ephemeral)?) })
        }
        (KeyManagement::EcdhEsA256Kw, Material::Agreement(public)) => {
            let ephemeral = PrivateKey::generate(public.algorithm())?;
            let wrapping_key = public.agree(&ephemeral, alg.wire_name(), 32)?;
            let content_key = random(enc.key_length())?;
            let mut encrypted_key = vec![0; content_key.len() + 8];
            AesKek::new(&AES_256, &wrapping_key)?.wrap(&content_key, &mut encrypted_key)?;
            Ok(Delivery { content_key, encrypted_key, epk: Some(public.epk(&ephemeral)?) })
        }
        _ => Err(JwtError::UnfitKey(alg)),
    }
}

fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    rand::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::decode;
    use super::decrypt::{Owner, decrypt};
    use super::*;

    /// What an owner's key can be used with.
    fn combinations() -> impl Iterator<Item = (Owner, KeyManagement, ContentEncryption)> {
        let owners = Owner::all().into_iter();
        let algs = owners.flat_map(|owner| KeyManagement::ALL.iter().map(move |alg| (owner.clone(), *alg)));
        let fitting = algs.filter(|(owner, alg)| owner.public().fits(*alg));
        fitting.flat_map(|(owner, alg)| ContentEncryption::ALL.iter().map(move |enc| (owner.clone(), alg, *enc)))
    }

    #[test]
    fn what_is_encrypted_for_a_key_its_owner_reads_with_every_algorithm_and_kind_of_key() {
        assert_eq!(combinations().count(), 3 + 4 * 2 * 3);
        for (owner, alg, enc) in combinations() {
            for payload in [&b""[..], b"a", &[0; 16], &[7; 1000]] {
                let jwe = encrypt(&owner.public(), alg, enc, Some("JWT"), payload).unwrap();
                let (header, read) = decrypt(&owner, &jwe).unwrap();
                assert_eq!((read.as_slice(), &header["cty"]), (payload, &json!("JWT")), "{alg:?} {enc:?}");
            }
        }
    }

    #[test]
    fn the_header_names_the_algorithms_and_the_key_and_nothing_else() {
        for (owner, alg, enc) in combinations() {
            let jwe = encrypt(&owner.public(), alg, enc, None, b"x").unwrap();
            let parts: Vec<&str> = jwe.split('.').collect();
            let [header, encrypted_key, iv, _, tag] = parts[..] else { panic!("five parts") };
            let header: Value = serde_json::from_slice(&decode(header).unwrap()).unwrap();
            let mut expected = json!({ "alg": alg.wire_name(), "enc": enc.wire_name(), "kid": owner.kid() });
            if alg != KeyManagement::RsaOaep256 {
                expected["epk"] = header["epk"].clone();
                let members: Vec<&String> = header["epk"].as_object().unwrap().keys().collect();
                let elliptic = header["epk"]["kty"] == "EC";
                assert_eq!(members, if elliptic { vec!["crv", "kty", "x", "y"] } else { vec!["crv", "kty", "x"] });
            }
            assert_eq!(header, expected);
            assert_eq!(encrypted_key.is_empty(), alg == KeyManagement::EcdhEs, "RFC 7516 §5.1, step 5");
            assert_eq!((decode(iv).unwrap().len(), decode(tag).unwrap().len()), (enc.iv_length(), 16));
        }
    }

    #[test]
    fn a_key_without_a_name_is_not_named() {
        let owner = Owner::all().remove(0);
        let mut jwk = owner.jwk();
        jwk.as_object_mut().unwrap().remove("kid");
        let key = EncryptionKey::from_jwk(&jwk).unwrap();
        let jwe = encrypt(&key, KeyManagement::RsaOaep256, ContentEncryption::A128Gcm, None, b"x").unwrap();
        let (header, _) = decrypt(&owner, &jwe).unwrap();
        assert_eq!(header, json!({ "alg": "RSA-OAEP-256", "enc": "A128GCM" }));
    }

    #[test]
    fn a_key_of_another_kind_or_for_another_algorithm_is_not_used() {
        for owner in Owner::all() {
            for &alg in KeyManagement::ALL {
                let rsa = owner.jwk()["kty"] == "RSA";
                let fits = rsa == (alg == KeyManagement::RsaOaep256);
                let made = encrypt(&owner.public(), alg, ContentEncryption::A128Gcm, None, b"x");
                assert_eq!(made.is_ok(), fits);
                let mut bound = owner.jwk();
                bound["alg"] = json!(if rsa { "RSA-OAEP-256" } else { "ECDH-ES+A256KW" });
                let bound = EncryptionKey::from_jwk(&bound).unwrap();
                let made = encrypt(&bound, alg, ContentEncryption::A128Gcm, None, b"x");
                assert_eq!(made.is_ok(), fits && alg != KeyManagement::EcdhEs);
            }
        }
    }

    #[test]
    fn no_part_that_should_be_fresh_comes_twice() {
        for (owner, alg, enc) in combinations() {
            let made = || encrypt(&owner.public(), alg, enc, None, b"the same").unwrap();
            let (first, second) = (made(), made());
            let shared: HashSet<&str> = first.split('.').skip(2).collect();
            assert!(second.split('.').skip(2).all(|part| !shared.contains(part)), "{alg:?} {enc:?}");
        }
    }

    #[test]
    fn nobody_else_reads_it_and_no_part_can_be_changed() {
        for (owner, alg, enc) in combinations() {
            let jwe = encrypt(&owner.public(), alg, enc, None, b"a payload").unwrap();
            for other in Owner::all().iter().filter(|other| other.kid() != owner.kid()) {
                assert!(decrypt(other, &jwe).is_err());
            }
            for position in (0..jwe.len()).step_by(5) {
                let mut changed = jwe.clone().into_bytes();
                changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
                assert!(decrypt(&owner, &String::from_utf8(changed).unwrap()).is_err(), "{position} of {jwe}");
            }
        }
    }

    #[test]
    fn algorithms_are_found_by_their_wire_names_and_no_others() {
        for alg in KeyManagement::ALL {
            assert_eq!(KeyManagement::from_wire(alg.wire_name()), Some(*alg));
            assert_eq!(serde_json::to_value(alg).unwrap(), json!(alg.wire_name()));
            assert_eq!(serde_json::from_value::<KeyManagement>(json!(alg.wire_name())).unwrap(), *alg);
        }
        for enc in ContentEncryption::ALL {
            assert_eq!(ContentEncryption::from_wire(enc.wire_name()), Some(*enc));
            assert_eq!(serde_json::from_value::<ContentEncryption>(json!(enc.wire_name())).unwrap(), *enc);
        }
        for other in ["none", "dir", "RSA1_5", "RSA-OAEP", "rsa-oaep-256", "ECDH-ES+A128KW", "A128KW", "A192GCM", ""] {
            let refused = serde_json::from_value::<KeyManagement>(json!(other)).unwrap_err().to_string();
            assert!(refused.ends_with("alg: expected RSA-OAEP-256, ECDH-ES or ECDH-ES+A256KW"), "{refused}");
            assert!(serde_json::from_value::<ContentEncryption>(json!(other)).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_payload_comes_back(payload in prop::collection::vec(any::<u8>(), 0..600), pick in any::<prop::sample::Index>()) {
            let all: Vec<_> = combinations().collect();
            let (owner, alg, enc) = pick.get(&all);
            let jwe = encrypt(&owner.public(), *alg, *enc, None, &payload).unwrap();
            prop_assert_eq!(decrypt(owner, &jwe).unwrap().1, payload);
        }
    }
}
