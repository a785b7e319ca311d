//! The ID token (OpenID Core §2), and the same token come back as `id_token_hint`.
//!
//! Takes: our public keys, the hint, the issuer of this workspace.
//! Gives: the claims. An expired hint is one (§3.1.2.1; RP-Initiated Logout §2): it says who is meant, and proves no
//! sign-in. `exp` is in the claims for whoever wants it.
//! Not here: `aud` against the client that sent the hint, and whether the session `sid` still lives.

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{JwsRefused, PublicKeys, SigningAlgorithm, TYP_JWT, encode};
use crate::time::UnixTime;

/// The claims of an ID token about the authentication. Claims about the person stand beside them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdTokenClaims {
    /// The issuer.
    pub iss: String,
    /// The subject.
    pub sub: String,
    /// The one audience: the `client_id`.
    pub aud: String,
    /// When the token stops being acceptable as a proof.
    pub exp: UnixTime,
    /// When it was issued.
    pub iat: UnixTime,
    /// When the person authenticated.
    pub auth_time: UnixTime,
    /// The request's `nonce`, unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The class of the authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The methods of the authentication (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// The session (OpenID Front-Channel Logout §3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The hash of the access token that was issued with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_hash: Option<String>,
    /// Claims that the workspace declares.
    #[serde(flatten)]
    pub declared: Map<String, Value>,
}

/// `at_hash`: the left half of the access token's hash, with the hash function of the ID token's `alg` (OpenID Core
/// §3.1.3.6). For EdDSA that is SHA-512, which Ed25519 uses inside (RFC 8032 §5.1): `alg` does not name it, but the
/// OpenID Connect working group agreed on it (its issue 1125); openid-client and zitadel's oidc compute it so, and
/// Authlib, which knows no hash for EdDSA, checks none.
pub fn at_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let function = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 | SigningAlgorithm::Es256 => &digest::SHA256,
        SigningAlgorithm::Es384 => &digest::SHA384,
        SigningAlgorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(function, access_token.as_bytes());
    let (left, _) = hash.as_ref().split_at(function.output_len() / 2);
    encode(left)
}

impl PublicKeys {
    /// The claims of an ID token that we issued as `issuer`, expired or not.
    pub fn verify_id_token_hint(&self, hint: &str, issuer: &str) -> Result<IdTokenClaims, JwsRefused> {
        let claims: IdTokenClaims = self.verify(hint, TYP_JWT)?;
        if claims.iss == issuer { Ok(claims) } else { Err(JwsRefused::WrongIssuer) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{SigningKey, vectors};
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(SigningAlgorithm::EdDsa, &vectors::rfc8037_pkcs8()).unwrap()
    }

    fn keys() -> PublicKeys {
        PublicKeys::new(vec![key().public_key().unwrap()])
    }

    fn claims() -> IdTokenClaims {
        IdTokenClaims {
            iss: ISSUER.into(),
            sub: "alice".into(),
            aud: "client".into(),
            exp: UnixTime(1_800_003_600),
            iat: UnixTime(1_800_000_000),
            auth_time: UnixTime(1_799_999_000),
            nonce: Some("n-0S6_WzA2Mj".into()),
            acr: Some("1".into()),
            amr: vec!["pwd".into()],
            sid: Some("08a5019c-17e1-4977-8f42-65a12843ea02".into()),
            at_hash: Some("77QmUPtjPfzWtF2AnpK9RQ".into()),
            declared: Map::new(),
        }
    }

    #[test]
    fn a_hint_gives_back_the_claims_of_the_id_token_however_old() {
        let ancient = IdTokenClaims { exp: UnixTime(1), iat: UnixTime(0), ..claims() };
        for claims in [claims(), ancient] {
            let hint = key().sign(TYP_JWT, &claims).unwrap();
            assert_eq!(keys().verify_id_token_hint(&hint, ISSUER), Ok(claims));
        }
    }

    #[test]
    fn a_hint_of_another_issuer_is_refused() {
        let hint = key().sign(TYP_JWT, &claims()).unwrap();
        for other in ["https://id.example/", "https://id.example/acme", "https://ID.example", ""] {
            assert_eq!(keys().verify_id_token_hint(&hint, other), Err(JwsRefused::WrongIssuer));
        }
    }

    #[test]
    fn an_access_token_of_ours_is_no_hint() {
        let access = key().sign("at+jwt", &claims()).unwrap();
        assert_eq!(keys().verify_id_token_hint(&access, ISSUER), Err(JwsRefused::WrongType));
        let other_claims = key().sign(TYP_JWT, &json!({ "iss": ISSUER, "sub": "alice" })).unwrap();
        assert_eq!(keys().verify_id_token_hint(&other_claims, ISSUER), Err(JwsRefused::BadClaims));
    }

    #[test]
    fn claims_about_the_person_beside_them_do_not_spoil_a_hint() {
        let mut with_name = serde_json::to_value(claims()).unwrap();
        with_name["name"] = json!("Alice");
        let hint = key().sign(TYP_JWT, &with_name).unwrap();
        let read = keys().verify_id_token_hint(&hint, ISSUER).unwrap();
        assert_eq!(read.declared, json!({ "name": "Alice" }).as_object().unwrap().clone());
        assert_eq!(IdTokenClaims { declared: Map::new(), ..read }, claims());
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let bare = IdTokenClaims { nonce: None, acr: None, amr: vec![], sid: None, at_hash: None, ..claims() };
        let expected = json!({
            "iss": ISSUER, "sub": "alice", "aud": "client", "exp": 1_800_003_600, "iat": 1_800_000_000,
            "auth_time": 1_799_999_000,
        });
        assert_eq!(serde_json::to_value(&bare).unwrap(), expected);
        let hint = key().sign(TYP_JWT, &bare).unwrap();
        assert_eq!(keys().verify_id_token_hint(&hint, ISSUER), Ok(bare));
    }

    #[test]
    fn at_hash_uses_the_hash_function_of_the_algorithm() {
        // OpenID Core, appendix A.3; the same text under SHA-384 and SHA-512 computed with another library.
        let access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256, SigningAlgorithm::Es256] {
            assert_eq!(at_hash(algorithm, access_token), "77QmUPtjPfzWtF2AnpK9RQ");
        }
        assert_eq!(at_hash(SigningAlgorithm::Es384, access_token), "jtAeDp945y1dDqU3nkIVGNZP1HjH_MFs");
        assert_eq!(at_hash(SigningAlgorithm::EdDsa, access_token), "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM");
    }
}
