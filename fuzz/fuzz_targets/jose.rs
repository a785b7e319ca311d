//! JOSE: signed tokens that may be ours, keys that we stored, keys that clients declare.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use opalid_core::jwt::jwe::{ClientKeys, ContentEncryption, KeyManagement, encrypt};
use opalid_core::jwt::{DecodedJwt, Jwk, PublicKey, PublicKeys, Signature, SigningAlgorithm, SigningKey, TYP_JWT};
use opalid_core::time::UnixTime;
use serde_json::Value;

/// New ones in each run: no input can be signed with them.
static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let made = SigningAlgorithm::ALL.iter().filter_map(|algorithm| {
        let pkcs8 = SigningKey::generate(*algorithm).ok()?;
        SigningKey::from_pkcs8(*algorithm, &pkcs8).ok()
    });
    made.collect()
});
static PUBLIC: LazyLock<PublicKeys> =
    LazyLock::new(|| PublicKeys::new(KEYS.iter().filter_map(|key| key.public_key().ok()).collect()));

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    assert!(PUBLIC.verify::<Value>(text, TYP_JWT).is_err());
    drop(DecodedJwt::of(text, UnixTime(1_800_000_000)));
    assert!(!matches!(PUBLIC.judge_signature(text), Signature::Good(_)));
    // `KID` in an input stands for the name of a key, so that more than the header is reached.
    for key in KEYS.iter() {
        let text = text.replace("KID", key.kid());
        assert!(PUBLIC.verify::<Value>(&text, TYP_JWT).is_err());
    }
    if let Ok(jwk) = serde_json::from_str::<Jwk>(text)
        && let Ok(key) = PublicKey::from_jwk(jwk)
    {
        assert!(!key.kid().is_empty());
    }
    let Ok(keys) = ClientKeys::parse(text) else { return };
    for &alg in KeyManagement::ALL {
        match keys.find(alg) {
            Some(key) => assert!(encrypt(key, alg, ContentEncryption::A128CbcHs256, None, b"x").is_ok()),
            None => assert!(!keys.why_none_fits(alg).is_empty()),
        }
    }
});
