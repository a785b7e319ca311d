//! The JWT access token (RFC 9068).
//!
//! Takes: a JWS that may be one of ours. Gives: its claims, once the signature holds.
//! Holds: its `jti` is a sealed reference of its own kind, so that introspection and revocation find its grant as they
//! find an opaque token's, and nothing is stored per JWT; by itself the `jti` opens nothing.
//! Not here: whether it still lives.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::verify::object;
use super::{JwsRefused, MAX_JWS_LENGTH, PublicKeys, decode};
use crate::scope::Scopes;
use crate::time::UnixTime;

/// The `typ` of a JWT access token (RFC 9068 §2.1). `application/at+jwt` is the same to others; we write and read this.
pub const TYP_ACCESS_TOKEN: &str = "at+jwt";

/// One audience is a text, several are a list (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// Of these; of the issuer if there is none.
    pub fn new(mut of: Vec<String>, issuer: &str) -> Self {
        match (of.pop(), of.is_empty()) {
            (None, _) => Self::One(issuer.to_owned()),
            (Some(only), true) => Self::One(only),
            (Some(last), false) => {
                of.push(last);
                Self::Several(of)
            }
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let all = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(all) => all.as_slice(),
        };
        all.iter().map(String::as_str)
    }
}

/// The claims of a JWT access token (RFC 9068 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// The issuer.
    pub iss: String,
    /// The person, or the client that asks for itself.
    pub sub: String,
    /// The resources that it opens, or the issuer.
    pub aud: Audience,
    /// Who it was issued to.
    pub client_id: String,
    /// When it expires.
    pub exp: UnixTime,
    /// When it was issued.
    pub iat: UnixTime,
    /// A sealed reference to its grant.
    pub jti: String,
    /// What it may do; absent if nothing.
    #[serde(default, skip_serializing_if = "Scopes::is_empty")]
    pub scope: Scopes,
    /// When the person authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<UnixTime>,
    /// The class of the authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// The methods of the authentication (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Which of the declared claims name roles. The workspace may call them otherwise by the time that it is presented.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub role_claims: Vec<String>,
    /// Claims that the workspace declares.
    #[serde(flatten)]
    pub declared: Map<String, Value>,
}

impl PublicKeys {
    /// The claims of an access token that one of these keys signed for this issuer. Its age is not looked at.
    pub fn verify_access_token(&self, jws: &str, issuer: &str) -> Result<AccessTokenClaims, JwsRefused> {
        let claims: AccessTokenClaims = self.verify(jws, TYP_ACCESS_TOKEN)?;
        if claims.iss == issuer { Ok(claims) } else { Err(JwsRefused::WrongIssuer) }
    }
}

/// The `jti` that stands in a compact JWS, whoever signed it and whatever else it says. Nothing is proved of it: it is
/// worth what it proves itself.
pub fn unproved_jti(jws: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        jti: String,
    }
    said::<Said>(jws).map(|said| said.jti)
}

/// The `iss` that stands in a compact JWS, whoever signed it: a hint for people, and no more.
pub fn unproved_issuer(jws: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        iss: String,
    }
    said::<Said>(jws).map(|said| said.iss)
}

fn said<S: DeserializeOwned>(jws: &str) -> Option<S> {
    if jws.len() > MAX_JWS_LENGTH {
        return None;
    }
    let (message, _) = jws.rsplit_once('.')?;
    let (_, payload) = message.split_once('.')?;
    object::<S>(&decode(payload)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{SigningAlgorithm, SigningKey, TYP_JWT, encode};
    use super::*;

    const ISSUER: &str = "https://id.example";

    fn claims() -> AccessTokenClaims {
        AccessTokenClaims {
            iss: ISSUER.into(),
            sub: "ada".into(),
            aud: Audience::new(vec!["https://api.example/".into()], ISSUER),
            client_id: "app".into(),
            exp: UnixTime(20),
            iat: UnixTime(10),
            jti: "sealed".into(),
            scope: Scopes::parse("read").unwrap(),
            auth_time: None,
            acr: None,
            amr: Vec::new(),
            role_claims: Vec::new(),
            declared: Map::new(),
        }
    }

    #[test]
    fn one_audience_is_a_text_and_several_are_a_list() {
        let of = |uris: &[&str]| Audience::new(uris.iter().map(ToString::to_string).collect(), ISSUER);
        assert_eq!(serde_json::to_value(of(&[])).unwrap(), json!(ISSUER));
        assert_eq!(serde_json::to_value(of(&["a"])).unwrap(), json!("a"));
        assert_eq!(serde_json::to_value(of(&["a", "b"])).unwrap(), json!(["a", "b"]));
        assert_eq!(of(&["a", "b"]).iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn only_an_access_token_of_this_issuer_is_one() {
        let pkcs8 = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
        let key = SigningKey::from_pkcs8(SigningAlgorithm::Es256, &pkcs8).unwrap();
        let keys = PublicKeys::new(vec![key.public_key().unwrap()]);
        let signed = |typ| key.sign(typ, &claims()).unwrap();
        assert_eq!(keys.verify_access_token(&signed(TYP_ACCESS_TOKEN), ISSUER), Ok(claims()));
        assert_eq!(keys.verify_access_token(&signed(TYP_JWT), ISSUER), Err(JwsRefused::WrongType));
        assert_eq!(keys.verify_access_token(&signed("application/at+jwt"), ISSUER), Err(JwsRefused::WrongType));
        let elsewhere = keys.verify_access_token(&signed(TYP_ACCESS_TOKEN), "https://other.example");
        assert_eq!(elsewhere, Err(JwsRefused::WrongIssuer));
    }

    #[test]
    fn a_jti_is_read_from_three_parts_of_bounded_length_whoever_signed_them() {
        let with = |payload: &str| format!("x.{}.y", encode(payload.as_bytes()));
        assert_eq!(unproved_jti(&with(r#"{"jti":"j","exp":"never"}"#)).as_deref(), Some("j"));
        let long = format!(r#"{{"jti":"j","x":"{}"}}"#, "x".repeat(MAX_JWS_LENGTH));
        for payload in ["", "{}", r#"["j"]"#, r#"{"jti":7}"#, r#"{"jti":"j","jti":"k"}"#, &long] {
            assert_eq!(unproved_jti(&with(payload)), None, "{payload}");
        }
        let good = with(r#"{"jti":"j"}"#);
        for other in
            [format!("{good}.z"), good.replace(".y", "=.y"), good.replace(".y", ""), "..".into(), String::new()]
        {
            assert_eq!(unproved_jti(&other), None, "{other}");
        }
    }
}
