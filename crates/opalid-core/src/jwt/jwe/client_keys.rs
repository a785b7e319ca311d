//! The keys that a client declares (`jwks`: a JWK Set, RFC 7517 §5), as far as something can be encrypted for them.
//!
//! Takes: the set, as JSON.
//! Gives: the key to take for an algorithm; what is wrong with a key, in words that say which one.
//! Holds: at most 16 keys in 16 KiB. A key that is for something else, or of a kind not known here, is kept and not used
//! (§5); one that is private or broken refuses the whole set, so that whoever declares it hears of it.
//! Not here: keys that a client signs with.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{EncryptionKey, KeyManagement, KeyRefused};

/// The most keys of a set.
pub const MAX_KEYS: usize = 16;

/// The longest set, in bytes.
pub const MAX_KEYS_LENGTH: usize = 16 * 1024;

/// Why a set of keys cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysRefused {
    /// Longer than `MAX_KEYS_LENGTH`.
    #[error("the key set is longer than 16 KiB")]
    TooLong,
    /// No JSON, or no JWK Set.
    #[error("the key set is not a JSON object with an array keys")]
    NotASet,
    /// More than `MAX_KEYS`.
    #[error("the key set has more than 16 keys")]
    TooMany,
    /// A private key in another form than a JWK's.
    #[error("the key set holds a private key in PEM; only public keys belong here")]
    Private,
    /// One of the keys is at fault.
    #[error("{0}")]
    Key(Passed),
}

/// A key that was passed over or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Which one, from 1.
    pub number: usize,
    /// Its `kid`, if it has one.
    pub kid: Option<String>,
    /// Why.
    pub why: KeyRefused,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}", self.number)?;
        if let Some(kid) = &self.kid {
            write!(f, " (kid {kid:?})")?;
        }
        write!(f, ": {}", self.why)
    }
}

/// A client's keys, parsed once. Serialized, it is the set as it was declared.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Value", try_from = "Value")]
pub struct ClientKeys {
    document: Value,
    keys: Arc<[EncryptionKey]>,
    passed: Arc<[Passed]>,
}

impl ClientKeys {
    /// The keys of a JWK Set.
    pub fn parse(text: &str) -> Result<Self, KeysRefused> {
        if text.len() > MAX_KEYS_LENGTH {
            return Err(KeysRefused::TooLong);
        }
        serde_json::from_str::<Value>(text).map_err(|_| KeysRefused::NotASet)?.try_into()
    }

    /// The key to encrypt for with `alg`: the first that fits.
    pub fn find(&self, alg: KeyManagement) -> Option<&EncryptionKey> {
        self.keys.iter().find(|key| key.fits(alg))
    }

    /// What is wrong with it if it is declared now, in words. A set that was declared before this was asked for stays as it is.
    pub fn wrong(&self) -> Option<String> {
        let listed = self.document.get("keys").and_then(Value::as_array);
        let mut listed = (1..).zip(listed.into_iter().flatten());
        listed.find_map(|(number, jwk)| {
            let why = EncryptionKey::wrong_if_declared(jwk)?;
            Some(format!("jwks: {}", Passed { number, kid: kid(jwk), why }))
        })
    }

    /// What to tell whoever declares `alg` and no key that fits it.
    pub fn why_none_fits(&self, alg: KeyManagement) -> String {
        let passed: String = self.passed.iter().map(|key| format!("; {key}")).collect();
        format!("the key set has no key to encrypt for with {}{passed}", alg.wire_name())
    }
}

fn kid(jwk: &Value) -> Option<String> {
    jwk.get("kid").and_then(Value::as_str).map(|kid| kid.chars().take(60).collect())
}

impl TryFrom<Value> for ClientKeys {
    type Error = KeysRefused;

    fn try_from(document: Value) -> Result<Self, KeysRefused> {
        if document.to_string().len() > MAX_KEYS_LENGTH {
            return Err(KeysRefused::TooLong);
        }
        if document.to_string().contains("PRIVATE KEY") {
            return Err(KeysRefused::Private);
        }
        let listed = document.get("keys").and_then(Value::as_array).ok_or(KeysRefused::NotASet)?;
        if listed.len() > MAX_KEYS {
            return Err(KeysRefused::TooMany);
        }
        let (mut keys, mut passed) = (Vec::new(), Vec::new());
        for (number, jwk) in (1..).zip(listed) {
            match EncryptionKey::from_jwk(jwk) {
                Ok(key) => keys.push(key),
                Err(why) if why.is_other() => passed.push(Passed { number, kid: kid(jwk), why }),
                Err(why) => return Err(KeysRefused::Key(Passed { number, kid: kid(jwk), why })),
            }
        }
        // What stands beside the keys is nobody's, and not kept.
        let document = json!({ "keys": listed });
        Ok(Self { keys: keys.into(), passed: passed.into(), document })
    }
}

impl From<ClientKeys> for Value {
    fn from(keys: ClientKeys) -> Self {
        keys.document
    }
}

/// Declared alike.
impl PartialEq for ClientKeys {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Eq for ClientKeys {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::decrypt::Owner;
    use super::*;

    fn parsed(keys: Value) -> Result<ClientKeys, KeysRefused> {
        ClientKeys::parse(&json!({ "keys": keys }).to_string())
    }

    fn jwk(owner: usize, members: Value) -> Value {
        let mut jwk = Owner::all().remove(owner).jwk();
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    #[test]
    fn the_first_key_that_fits_an_algorithm_is_taken() {
        let keys = parsed(json!([
            jwk(0, json!({ "kid": "signs", "use": "sig" })),
            jwk(1, json!({ "kid": "wraps", "alg": "ECDH-ES+A256KW" })),
            jwk(4, json!({ "kid": "any" })),
            jwk(0, json!({ "kid": "rsa" })),
            jwk(0, json!({ "kid": "rsa-too" })),
        ]))
        .unwrap();
        let found = |alg| keys.find(alg).and_then(EncryptionKey::kid);
        assert_eq!(found(KeyManagement::RsaOaep256), Some("rsa"));
        assert_eq!(found(KeyManagement::EcdhEs), Some("any"));
        assert_eq!(found(KeyManagement::EcdhEsA256Kw), Some("wraps"));
    }

    #[test]
    fn what_stands_beside_the_keys_is_not_kept_and_a_private_key_in_pem_is_refused() {
        let set = json!({ "keys": [jwk(0, json!({}))], "d": "x", "note": "mine" });
        let keys = ClientKeys::try_from(set.clone()).unwrap();
        assert_eq!(Value::from(keys), json!({ "keys": set["keys"] }));
        let pem = json!({ "keys": [jwk(0, json!({ "pem": "-----BEGIN PRIVATE KEY-----" }))] });
        assert_eq!(ClientKeys::try_from(pem), Err(KeysRefused::Private));
    }

    #[test]
    fn keys_for_something_else_and_unknown_ones_are_passed_over_and_say_why() {
        let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let keys = parsed(json!([
            jwk(0, json!({ "use": "sig", "n": "AQAB" })),
            { "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "new\nline" },
            ed25519,
            jwk(0, json!({ "alg": "RSA-OAEP" })),
        ]))
        .unwrap();
        assert!(KeyManagement::ALL.iter().all(|alg| keys.find(*alg).is_none()));
        assert_eq!(
            keys.why_none_fits(KeyManagement::RsaOaep256),
            "the key set has no key to encrypt for with RSA-OAEP-256\
             ; key 1 (kid \"RSA\"): its use or key_ops says that it is not to encrypt for\
             ; key 2 (kid \"new\\nline\"): nothing is encrypted for keys of its kty and crv\
             ; key 3: nothing is encrypted for keys of its kty and crv\
             ; key 4 (kid \"RSA\"): its alg is none of RSA-OAEP-256, ECDH-ES and ECDH-ES+A256KW",
        );
    }

    #[test]
    fn a_private_or_broken_key_refuses_the_set_and_is_named() {
        let refused = |broken: Value| parsed(json!([jwk(1, json!({})), broken])).unwrap_err().to_string();
        assert_eq!(
            refused(jwk(1, json!({ "d": "AAAA", "use": "sig" }))),
            "key 2 (kid \"P-256\"): its member d is private: declare the public half, of a new key, for this one is not \
             secret any more",
        );
        let small = jwk(0, json!({ "kid": null, "n": "gKWl" }));
        assert_eq!(refused(small), "key 2: its modulus has 24 bits; 2048 to 8192 are taken");
        assert!(refused(json!("no key")).starts_with("key 2: its member kty is missing"));
        let long = jwk(0, json!({ "kid": "k".repeat(300) }));
        assert!(refused(long).len() < 150);
    }

    #[test]
    fn a_small_exponent_is_refused_where_it_is_declared_and_read_where_it_is_stored() {
        let wrong = |members: Value| parsed(json!([jwk(1, json!({})), jwk(0, members)])).unwrap().wrong();
        let words =
            "jwks: key 2 (kid \"RSA\"): its exponent is not an odd number of at least 65537 and at most 32 bits";
        for small in ["Aw", "EQ", "AQE", "_____w"] {
            assert_eq!(wrong(json!({ "e": small })).as_deref(), Some(words).filter(|_| small != "_____w"), "{small}");
        }
        assert_eq!(wrong(json!({ "e": "AQAB" })), None);
        assert_eq!(wrong(json!({ "e": "Aw", "use": "sig" })), None, "nothing is encrypted for it");
    }

    #[test]
    fn a_modulus_with_a_small_factor_is_refused_where_it_is_declared_and_read_where_it_is_stored() {
        let wrong = |key: Value| parsed(json!([jwk(1, json!({})), key])).unwrap().wrong();
        // A power of a prime, and the largest below 2^16 and one above.
        for (prime, small) in [(3_u64, true), (65521, true), (65537, false)] {
            let mut n = vec![1_u8];
            while n.len() < 257 {
                let mut carried = 0;
                for byte in n.iter_mut().rev() {
                    carried += u64::from(*byte) * prime;
                    *byte = (carried & 0xff) as u8;
                    carried >>= 8;
                }
                while carried > 0 {
                    n.insert(0, (carried & 0xff) as u8);
                    carried >>= 8;
                }
            }
            let why = wrong(jwk(0, json!({ "n": super::super::super::encode(&n) })));
            assert_eq!(why.is_some_and(|why| why.contains("divisible by a small number")), small, "{prime}");
        }
        assert_eq!(wrong(jwk(0, json!({}))), None);
    }

    #[test]
    fn a_private_member_at_any_depth_is_refused_where_it_is_declared() {
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            for own in [
                json!({ "own": { name: "AQAB" } }),
                json!({ "own": [[{ "deep": { name: [] } }]] }),
                json!({ "use": "sig", "jwk": { "kty": "RSA", name: null } }),
                json!({ "kty": "unknown", "own": { name: {} } }),
            ] {
                let why = parsed(json!([jwk(1, json!({})), jwk(0, own)])).unwrap().wrong().unwrap();
                let words = format!("jwks: key 2 (kid \"RSA\"): its member {name} is private");
                assert!(why.starts_with(&words), "{why}");
            }
        }
        assert_eq!(parsed(json!([jwk(0, json!({ "own": { "D": "d" }, "x5c": ["k"] }))])).unwrap().wrong(), None);
    }

    #[test]
    fn sets_are_bounded_and_must_be_sets() {
        let one = json!({ "kty": "unknown" });
        assert!(parsed(json!(vec![one.clone(); MAX_KEYS])).is_ok());
        assert_eq!(parsed(json!(vec![one; MAX_KEYS + 1])).unwrap_err(), KeysRefused::TooMany);
        let of = |length: usize| format!(r#"{{"keys":[],"more":"{}"}}"#, "m".repeat(length - 21));
        assert!(ClientKeys::parse(&of(MAX_KEYS_LENGTH)).is_ok());
        assert_eq!(ClientKeys::parse(&of(MAX_KEYS_LENGTH + 1)).unwrap_err(), KeysRefused::TooLong);
        let value: Value = serde_json::from_str(&of(MAX_KEYS_LENGTH + 1)).unwrap();
        assert_eq!(ClientKeys::try_from(value).unwrap_err(), KeysRefused::TooLong);
        for text in ["", "[]", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":[]"#, r#"{"Keys":[]}"#] {
            assert_eq!(ClientKeys::parse(text).unwrap_err(), KeysRefused::NotASet, "{text}");
        }
    }

    #[test]
    fn it_is_written_as_it_was_declared() {
        let document = json!({ "keys": [jwk(0, json!({ "x5t": "kept" })), { "kty": "unknown" }] });
        let keys: ClientKeys = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(&keys).unwrap(), document);
        assert_eq!(keys, keys.clone());
        assert_ne!(keys, parsed(json!([])).unwrap());
        let private = json!({ "keys": [jwk(0, json!({ "d": "AQAB" }))] });
        let refused = serde_json::from_value::<ClientKeys>(private).unwrap_err().to_string();
        assert!(refused.contains("key 1 (kid \"RSA\"): its member d is private"), "{refused}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}") {
            let _ = ClientKeys::parse(&text);
        }

        #[test]
        fn a_set_with_any_byte_changed_is_read_or_refused(at in any::<prop::sample::Index>(), byte in 0..128_u8) {
            let jwks: Vec<Value> = Owner::all().iter().map(Owner::jwk).collect();
            let mut text = json!({ "keys": jwks }).to_string().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            let _ = ClientKeys::parse(str::from_utf8(&text).unwrap());
        }
    }
}
