//! Facts of a token, read from an introspection answer (RFC 7662 §2.2).
//!
//! Takes: the JSON as the issuer gives it. Gives: a verdict, or the facts of a live access token.
//! Holds: what is missing, of another type or said twice is not understood, and what is not understood opens nothing.
//! A refresh token is never taken for an access token: it has no `token_type`.
//! Not here: what a request needs, and what time it is.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::verdict::{BadFacts, Confirmation, Token, Verdict};

impl Verdict {
    /// Reads an introspection answer. What is active and no access token, such as a refresh token, is `Inactive` here.
    pub fn parse(answer: &str) -> Result<Self, BadFacts> {
        let mut facts = Members::read(answer)?;
        if !facts.is_active()? {
            return Ok(Self::Inactive);
        }
        match facts.kind()? {
            Kind::Other => Ok(Self::Inactive),
            kind => facts.token(kind).map(Arc::new).map(Self::Active),
        }
    }
}

impl Token {
    /// Reads the facts of a live access token. [`Verdict::parse`] also reads what is said of other tokens.
    pub fn parse(facts: &str) -> Result<Self, BadFacts> {
        let mut facts = Members::read(facts)?;
        if !facts.is_active()? {
            return Err(BadFacts("active"));
        }
        match facts.kind()? {
            Kind::Other => Err(BadFacts("token_type")),
            kind => facts.token(kind),
        }
    }

    /// Whether it may do what `scope` names, at this resource server.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.contains(scope)
    }

    /// Whether it may do all of it.
    #[must_use]
    pub fn has_scopes(&self, needed: &Scopes) -> bool {
        needed.is_subset(&self.scopes)
    }

    /// Whether it opens the resource, whose URI is compared byte for byte.
    #[must_use]
    pub fn is_for(&self, resource: &str) -> bool {
        self.audience.contains(resource)
    }

    /// Whether it has expired by `now` of the issuer's clock: at `expires_at` it has.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.expires_at <= now
    }
}

/// What `token_type` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An access token.
    Bearer,
    /// An access token that names a key (RFC 9449 §6.2).
    Dpop,
    /// No access token, or one of a type that is not known here.
    Other,
}

/// The members of an answer that were not looked at yet.
struct Members(Map<String, Value>);

impl Members {
    fn read(json: &str) -> Result<Self, BadFacts> {
        // By itself, so that numbers are read as `serde_json` reads them, whatever features it is built with.
        serde_json::from_str::<SaidOnce>(json).map_err(|_| BadFacts("it is no JSON, or says a member twice"))?;
        serde_json::from_str(json).map(Self).map_err(|_| BadFacts("it is no JSON object"))
    }

    fn is_active(&mut self) -> Result<bool, BadFacts> {
        self.0.remove("active").as_ref().and_then(Value::as_bool).ok_or(BadFacts("active"))
    }

    fn kind(&mut self) -> Result<Kind, BadFacts> {
        Ok(match self.text("token_type")? {
            Some(kind) if kind.eq_ignore_ascii_case("bearer") => Kind::Bearer,
            Some(kind) if kind.eq_ignore_ascii_case("dpop") => Kind::Dpop,
            _ => Kind::Other,
        })
    }

    fn token(mut self, kind: Kind) -> Result<Token, BadFacts> {
        let confirmation = self.confirmation()?;
        if kind == Kind::Dpop && !matches!(confirmation, Some(Confirmation::DpopKey(_))) {
            return Err(BadFacts("cnf"));
        }
        let token = Token {
            subject: self.name("sub")?,
            client_id: self.name("client_id")?,
            scopes: self.scopes()?,
            audience: self.audience()?,
            issued_at: self.time("iat")?.ok_or(BadFacts("iat"))?,
            expires_at: self.time("exp")?.ok_or(BadFacts("exp"))?,
            jti: self.text("jti")?,
            username: self.text("username")?,
            confirmation,
            claims: Map::new(),
        };
        // Whoever says `active` has looked at these; they are read so that they are no claims.
        self.text("iss")?;
        self.time("nbf")?;
        Ok(Token { claims: self.0, ..token })
    }

    fn text(&mut self, member: &'static str) -> Result<Option<String>, BadFacts> {
        match self.0.remove(member) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(BadFacts(member)),
        }
    }

    /// A text that has to be there and says something.
    fn name(&mut self, member: &'static str) -> Result<String, BadFacts> {
        self.text(member)?.filter(|name| !name.is_empty()).ok_or(BadFacts(member))
    }

    fn time(&mut self, member: &'static str) -> Result<Option<UnixTime>, BadFacts> {
        let Some(value) = self.0.remove(member) else { return Ok(None) };
        value.as_i64().map(UnixTime).map(Some).ok_or(BadFacts(member))
    }

    /// Absent: it may do nothing.
    fn scopes(&mut self) -> Result<Scopes, BadFacts> {
        let scope = self.text("scope")?.unwrap_or_default();
        // Of any length: it may hold more names than one request can ask for.
        Scopes::try_from(scope).map_err(|_| BadFacts("scope"))
    }

    /// One audience is a text, several are a list (RFC 7519 §4.1.3).
    fn audience(&mut self) -> Result<BTreeSet<String>, BadFacts> {
        let bad = || BadFacts("aud");
        let audience = match self.0.remove("aud").ok_or_else(bad)? {
            Value::String(one) => BTreeSet::from([one]),
            Value::Array(all) => all.into_iter().map(as_text).collect::<Option<_>>().ok_or_else(bad)?,
            _ => return Err(bad()),
        };
        if audience.is_empty() { Err(bad()) } else { Ok(audience) }
    }

    /// Who names two keys wants both proven, which nobody here can.
    fn confirmation(&mut self) -> Result<Option<Confirmation>, BadFacts> {
        let bad = || BadFacts("cnf");
        let keys = match self.0.remove("cnf") {
            None => return Ok(None),
            Some(Value::Object(keys)) => keys,
            Some(_) => return Err(bad()),
        };
        let mut keys = keys.into_iter();
        let (Some((kind, key)), None) = (keys.next(), keys.next()) else { return Ok(Some(Confirmation::Unknown)) };
        Ok(Some(match kind.as_str() {
            "jkt" => Confirmation::DpopKey(as_text(key).ok_or_else(bad)?),
            "x5t#S256" => Confirmation::Certificate(as_text(key).ok_or_else(bad)?),
            _ => Confirmation::Unknown,
        }))
    }
}

fn as_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// JSON in which no object, however deep, says a member twice: readers differ in which one they believe.
struct SaidOnce;

impl<'de> Deserialize<'de> for SaidOnce {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for SaidOnce {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self, A::Error> {
        let mut members = HashSet::new();
        while let Some(member) = object.next_key::<String>()? {
            if !members.insert(member) {
                object.next_value::<IgnoredAny>()?;
                return Err(de::Error::custom("a member that is said twice"));
            }
            object.next_value::<Self>()?;
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What the server says of a person's token.
    const ALICE: &str = r#"{"active":true,"iss":"http://localhost:8080","sub":"01a20a68-51be-7d15-bcb8-9e6979a7e7c3","aud":"https://api.demo.example/","client_id":"demo-app","scope":"read","exp":1795474544,"iat":1795470944,"nbf":1795470944,"jti":"mhSb-zrVCDmBWQc-","token_type":"Bearer","username":"alice"}"#;

    fn alice() -> Map<String, Value> {
        serde_json::from_str(ALICE).unwrap()
    }

    fn with(member: &str, value: Value) -> Result<Token, BadFacts> {
        let mut facts = alice();
        facts.insert(member.into(), value);
        Token::parse(&Value::Object(facts).to_string())
    }

    fn without(member: &str) -> Result<Token, BadFacts> {
        let mut facts = alice();
        facts.remove(member).unwrap();
        Token::parse(&Value::Object(facts).to_string())
    }

    #[test]
    fn what_the_server_says_is_read_whole() {
        let token = Token {
            subject: "01a20a68-51be-7d15-bcb8-9e6979a7e7c3".into(),
            client_id: "demo-app".into(),
            scopes: Scopes::parse("read").unwrap(),
            audience: ["https://api.demo.example/".into()].into(),
            issued_at: UnixTime(1795470944),
            expires_at: UnixTime(1795474544),
            jti: Some("mhSb-zrVCDmBWQc-".into()),
            username: Some("alice".into()),
            confirmation: None,
            claims: Map::new(),
        };
        assert_eq!(Token::parse(ALICE), Ok(token.clone()));
        assert_eq!(Verdict::parse(ALICE), Ok(Verdict::Active(Arc::new(token))));
    }

    #[test]
    fn what_must_be_there_is_missed_and_what_may_be_absent_is_not() {
        for member in ["active", "sub", "client_id", "aud", "exp", "iat", "token_type"] {
            assert_eq!(without(member), Err(BadFacts(member)));
        }
        for member in ["iss", "nbf", "jti", "username"] {
            assert!(without(member).is_ok(), "{member}");
        }
        assert_eq!(without("scope").unwrap().scopes, Scopes::default());
    }

    #[test]
    fn what_is_of_another_type_is_not_understood() {
        for (member, value) in [
            ("active", json!("true")),
            ("iss", json!(1)),
            ("sub", json!(1)),
            ("sub", json!("")),
            ("sub", json!(null)),
            ("client_id", json!(["demo-app"])),
            ("client_id", json!("")),
            ("aud", json!(1)),
            ("aud", json!([])),
            ("aud", json!(["https://api.demo.example/", 1])),
            ("scope", json!(["read"])),
            ("scope", json!("re\"ad")),
            ("exp", json!("1795474544")),
            ("exp", json!(1795474544.5)),
            ("exp", json!(u64::MAX)),
            ("iat", json!(null)),
            ("nbf", json!("0")),
            ("jti", json!(1)),
            ("token_type", json!(true)),
            ("username", json!({})),
            ("cnf", json!("jkt")),
            ("cnf", json!({"jkt": 1})),
            ("cnf", json!({"x5t#S256": null})),
        ] {
            assert_eq!(with(member, value.clone()), Err(BadFacts(member)), "{member}: {value}");
        }
    }

    #[test]
    fn what_is_no_object_or_says_a_member_twice_is_not_understood() {
        let nested = ALICE.replace(r#""username""#, r#""a":[{"b":1,"\u0062":1}],"username""#);
        let twice = ALICE.replace(r#""username""#, r#""sub":"01a20a68-51be-7d15-bcb8-9e6979a7e7c3","username""#);
        let escaped = ALICE.replace(r#""username""#, r#""\u0061ctive":true,"username""#);
        let trailing = format!("{ALICE}{ALICE}");
        for bad in ["", "true", "[]", "{", &nested, &twice, &escaped, &trailing, &ALICE[1..]] {
            assert!(Token::parse(bad).is_err(), "{bad}");
            assert!(Verdict::parse(bad).is_err(), "{bad}");
        }
        assert!(Token::parse(&ALICE.replace(r#""username""#, r#""a":[{"b":1},{"b":1}],"username""#)).is_ok());
    }

    #[test]
    fn what_is_not_active_is_no_token() {
        assert_eq!(Token::parse(r#"{"active":false}"#), Err(BadFacts("active")));
        assert_eq!(Verdict::parse(r#"{"active":false}"#), Ok(Verdict::Inactive));
        assert_eq!(Verdict::parse("{}"), Err(BadFacts("active")));
        assert_eq!(Verdict::parse(r#"{"active":true,"token_type":"Bearer"}"#), Err(BadFacts("sub")));
    }

    #[test]
    fn a_refresh_token_is_no_access_token() {
        let mut facts = alice();
        facts.remove("token_type");
        assert_eq!(Verdict::parse(&Value::Object(facts.clone()).to_string()), Ok(Verdict::Inactive));
        facts.insert("token_type".into(), "N_A".into());
        assert_eq!(Verdict::parse(&Value::Object(facts.clone()).to_string()), Ok(Verdict::Inactive));
        facts.insert("token_type".into(), "bearer".into());
        assert!(matches!(Verdict::parse(&Value::Object(facts).to_string()), Ok(Verdict::Active(_))));
    }

    #[test]
    fn a_token_is_for_each_of_its_audiences_byte_for_byte() {
        let token = with("aud", json!(["https://a.example", "https://b.example/"])).unwrap();
        assert!(token.is_for("https://a.example") && token.is_for("https://b.example/"));
        assert!(!token.is_for("https://a.example/") && !token.is_for("https://B.example/") && !token.is_for(""));
    }

    #[test]
    fn a_scope_is_had_by_its_whole_name_and_several_only_all_together() {
        let token = with("scope", json!("orders:write orders:read")).unwrap();
        let has = |needed: &str| token.has_scopes(&Scopes::parse(needed).unwrap());
        assert!(token.has_scope("orders:read"));
        assert!(!token.has_scope("orders") && !token.has_scope("orders:read orders:write") && !token.has_scope(""));
        assert!(has("orders:read orders:write") && has("orders:read") && has(""));
        assert!(!has("orders:read admin") && !has("orders"));
    }

    #[test]
    fn more_scopes_than_one_request_can_ask_for_are_read() {
        let many: Vec<_> = (0..300).map(|at| format!("s{at}")).collect();
        assert_eq!(with("scope", json!(many.join(" "))).unwrap().scopes.count(), 300);
    }

    #[test]
    fn a_token_has_expired_at_its_end_and_not_before() {
        let token = Token::parse(ALICE).unwrap();
        assert!(!token.is_expired(UnixTime(1795474543)));
        assert!(token.is_expired(UnixTime(1795474544)) && token.is_expired(UnixTime(1795474545)));
    }

    #[test]
    fn what_a_token_is_bound_to_is_never_overlooked() {
        let bound = |cnf: Value| with("cnf", cnf).unwrap().confirmation;
        assert_eq!(bound(json!({"jkt": "k"})), Some(Confirmation::DpopKey("k".into())));
        assert_eq!(bound(json!({"x5t#S256": "c"})), Some(Confirmation::Certificate("c".into())));
        for other in [json!({}), json!({"jwk": {}}), json!({"jkt": "k", "x5t#S256": "c"}), json!({"JKT": "k"})] {
            assert_eq!(bound(other), Some(Confirmation::Unknown));
        }
    }

    #[test]
    fn a_dpop_token_names_its_key() {
        let dpop = |cnf: Option<Value>| {
            let mut facts = alice();
            facts.insert("token_type".into(), "DPoP".into());
            facts.extend(cnf.map(|cnf| ("cnf".into(), cnf)));
            Verdict::parse(&Value::Object(facts).to_string())
        };
        assert_eq!(dpop(None), Err(BadFacts("cnf")));
        assert_eq!(dpop(Some(json!({"x5t#S256": "c"}))), Err(BadFacts("cnf")));
        assert!(matches!(dpop(Some(json!({"jkt": "k"}))), Ok(Verdict::Active(_))));
    }

    #[test]
    fn everything_else_is_a_claim() {
        let token = with("department", json!({"id": 7, "names": ["a", null]})).unwrap();
        assert_eq!(token.claims, Map::from_iter([("department".into(), json!({"id": 7, "names": ["a", null]}))]));
    }
}
