//! The inspector: any text shown as a JWT, and JWTs made for tests. Nothing panics, what is shown is bounded, and what is made
//! is verified by the keys that come with it and by no others.
#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use opalid::test_jwt::TestJwt;
use opalid_core::jwt::{DecodedJwt, Jwk, Member, PublicKey, PublicKeys, Signature, SigningAlgorithm, SigningKey};
use opalid_core::time::UnixTime;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Those of a workspace: new ones in each run, so that no input can be signed with them.
static OURS: LazyLock<PublicKeys> = LazyLock::new(|| {
    let made = SigningAlgorithm::ALL.iter().filter_map(|algorithm| {
        let pkcs8 = SigningKey::generate(*algorithm).ok()?;
        SigningKey::from_pkcs8(*algorithm, &pkcs8).ok()?.public_key().ok()
    });
    PublicKeys::new(made.collect())
});

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    decode(text);
    // Its first line and the rest as header and claims, so that more is reached than the form of a JWT.
    let (first, rest) = text.split_once('\n').unwrap_or(("{}", text));
    let [header, payload] = [first, rest].map(|part| URL_SAFE_NO_PAD.encode(part));
    decode(&format!("{header}.{payload}.AAAA"));
    decode(&format!("{header}.{payload}."));
    decode(&format!("{header}.{payload}.AAAA.AAAA.AAAA"));
    // Keys of RSA take too long to make.
    let is_quick = !first.starts_with("RS") && !first.starts_with("PS");
    for alg in ["EdDSA", "ES256"].into_iter().chain(is_quick.then_some(first)) {
        make(alg, rest);
    }
});

fn decode(text: &str) {
    assert!(!matches!(OURS.judge_signature(text), Signature::Good(_)));
    let Ok(decoded) = DecodedJwt::of(text, NOW) else { return };
    let is_bounded = |members: &[Member]| {
        let most = |text: &str| text.chars().count() <= 1_100;
        members.len() <= 100 && members.iter().all(|member| most(&member.name) && most(&member.value))
    };
    assert!(is_bounded(&decoded.header) && is_bounded(&decoded.claims));
    assert!(!decoded.encrypted || decoded.claims.is_empty());
    let written = serde_json::to_string(&decoded).expect("it is written");
    assert_eq!(serde_json::from_str::<DecodedJwt>(&written).expect("it is read"), decoded);
}

fn make(alg: &str, claims: &str) {
    let Ok(made) = TestJwt::make(alg, Some(claims), NOW) else { return };
    let jwk: Jwk = serde_json::from_value(made.jwks["keys"][0].clone()).expect("a JWK");
    let own = PublicKeys::new(vec![PublicKey::from_jwk(jwk).expect("a key")]);
    assert!(matches!(own.judge_signature(&made.token), Signature::Good(_)));
    assert_eq!(OURS.judge_signature(&made.token), Signature::UnknownKey);
    assert!(DecodedJwt::of(&made.token, NOW).is_ok());
}
