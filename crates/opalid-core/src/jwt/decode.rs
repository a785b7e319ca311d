//! Any JWT, decoded for people.
//!
//! Takes: a text that somebody wants explained, and the time; public keys that may have signed it.
//! Gives: its header and claims in words, what is odd about them; what the signature is worth under those keys.
//! Holds: nothing here is believed, and nothing decides by it; sizes are bounded, and no text makes it panic. Of what is
//! encrypted only the header is read. In sentences of ours a word of the token's is quoted, what it is called is never one,
//! and nothing of it that is shown is hidden (`visible`).
//! Not here: whether what a token stands for is alive.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::explain::{self, Meaning, TYPES};
use super::{PublicKeys, SigningAlgorithm, decode as base64url};
use crate::time::UnixTime;
use crate::visible::{quoted, spelled_out};

/// The longest text that is looked at, in bytes.
pub const MAX_DECODED: usize = 64 * 1024;
/// The most members that are shown of a header or of claims.
const MAX_MEMBERS: usize = 100;
/// The most characters that are shown of one value.
const MAX_SHOWN: usize = 1000;
/// The most characters that are shown of one name, and of a word within a sentence.
const MAX_WORD: usize = 80;
/// What is farther away than that is said to be far, in seconds: 31 days.
const FAR: i64 = 31 * 24 * 3600;
/// What clocks may differ by, in seconds.
const SKEW: i64 = 60;

/// Why there is nothing to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Longer than [`MAX_DECODED`].
    #[error("it is longer than 64 KiB")]
    TooLong,
    /// Neither three nor five parts.
    #[error("a JWT has three parts between dots, or five if it is encrypted; this has {0}")]
    Parts(usize),
    /// The first part is no header.
    #[error("its first part is no JSON object in base64url, so it has no header")]
    Header,
}

/// A JWT, as far as anybody can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecodedJwt {
    /// Which kind it says it is, in words of ours.
    pub kind: String,
    /// Whether it is encrypted: then there are no claims to see.
    pub encrypted: bool,
    /// Its header.
    pub header: Vec<Member>,
    /// Its claims.
    pub claims: Vec<Member>,
    /// What is odd about it.
    pub odd: Vec<String>,
}

/// One header parameter or claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name; quoted if it has more in it than names have.
    pub name: String,
    /// A text as it is, but for what cannot be seen; anything else as JSON. Long ones are cut.
    pub value: String,
    /// The point in time that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<UnixTime>,
    /// What it is; empty if nobody but its issuer knows.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub means: Cow<'static, str>,
    /// Where that is written.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub section: Cow<'static, str>,
}

/// What the signature of a text is worth under some keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature<'k> {
    /// The key of this `kid` made it.
    Good(&'k str),
    /// It names the key of this `kid`, and that did not make it, or not of this text.
    Bad(&'k str),
    /// It names the key of this `kid`, and an algorithm that is not the key's.
    WrongAlgorithm(&'k str),
    /// It names none of these keys.
    UnknownKey,
    /// It has none: `alg` is `none`, or the last part is empty.
    Unsigned,
    /// Its parts cannot be read, or it is encrypted.
    Unreadable,
}

/// The members of a JSON object in their order, those that stand twice too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Members {
    /// The object that a part of a token holds.
    fn of(part: &str) -> Option<Self> {
        serde_json::from_slice(&base64url(part)?).ok()
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.find(name)?.as_str()
    }

    fn time(&self, name: &str) -> Option<UnixTime> {
        self.find(name).and_then(point_in_time)
    }

    fn shown(&self, meaning: fn(&str) -> Option<Meaning>) -> Vec<Member> {
        let show = |(name, value): &(String, Value)| {
            let (means, section) = meaning(name).unwrap_or_default();
            Member {
                name: name_of(name),
                value: cut(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
                time: if explain::is_time(name) { point_in_time(value) } else { None },
                means: means.into(),
                section: section.into(),
            }
        };
        self.0.iter().take(MAX_MEMBERS).map(show).collect()
    }

    /// What is odd whatever it holds.
    fn oddities(&self, what: &str, odd: &mut Vec<String>) {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let twice = names.iter().zip(names.iter().skip(1)).find(|(one, next)| one == next);
        if let Some((name, _)) = twice {
            let name = name_of(name);
            odd.push(format!("its {what} has {name} twice: readers differ in which of the two they take"));
        }
        if self.0.len() > MAX_MEMBERS {
            odd.push(format!("its {what} has {} members; {MAX_MEMBERS} are shown", self.0.len()));
        }
    }
}

impl DecodedJwt {
    /// Decodes a text as a JWT, believing nothing of it.
    pub fn of(text: &str, now: UnixTime) -> Result<Self, Undecodable> {
        if text.len() > MAX_DECODED {
            return Err(Undecodable::TooLong);
        }
        let mut parts = text.split('.');
        let (first, second, count) = (parts.next().unwrap_or_default(), parts.next(), text.split('.').count());
        let encrypted = match count {
            3 => false,
            5 => true,
            other => return Err(Undecodable::Parts(other)),
        };
        let header = Members::of(first).ok_or(Undecodable::Header)?;
        let mut odd = Vec::new();
        header.oddities("header", &mut odd);
        odd_header(&header, encrypted, &mut odd);
        let claims = second.filter(|_| !encrypted).and_then(Members::of);
        let kind = kind(&header, claims.as_ref(), encrypted);
        match &claims {
            Some(claims) => {
                claims.oddities("payload", &mut odd);
                odd_claims(claims, &kind, now, &mut odd);
            }
            None if encrypted => {}
            None => odd.push("its payload is no JSON object in base64url, so it has no claims".into()),
        }
        let claims = claims.map(|claims| claims.shown(explain::claim)).unwrap_or_default();
        Ok(Self { kind, encrypted, header: header.shown(explain::parameter), claims, odd })
    }
}

/// Which kind it is by its `typ`; one without a type of its own is an ID token if it has the claims of one.
fn kind(header: &Members, claims: Option<&Members>, encrypted: bool) -> String {
    let typ = header.text("typ").unwrap_or("JWT").to_ascii_lowercase();
    let typ = typ.strip_prefix("application/").unwrap_or(&typ);
    if let Some((_, kind)) = TYPES.iter().find(|(known, _)| *known == typ) {
        return (*kind).into();
    }
    // OpenID Core §2: those that an ID token must have.
    let is_id_token = |claims: &Members| ["iss", "sub", "aud", "exp", "iat"].iter().all(|it| claims.find(it).is_some());
    match (typ, encrypted) {
        ("jwt", false) if claims.is_some_and(is_id_token) => "ID token, by its claims".into(),
        ("jwt", false) => "JWT without a type of its own".into(),
        (_, true) => "encrypted JWT".into(),
        (_, false) => "JWT of a type of its own".into(),
    }
}

fn odd_header(header: &Members, encrypted: bool, odd: &mut Vec<String>) {
    match header.text("alg") {
        None => odd.push("it has no alg, so nobody can say how to check it".into()),
        Some(alg) if alg.eq_ignore_ascii_case("none") => {
            odd.push("alg is none: it is not signed, anybody can have written it, and nobody may take it".into());
        }
        Some("HS256" | "HS384" | "HS512") if !encrypted => {
            odd.push("it is signed with a secret that issuer and reader share: no public key can check it".into());
        }
        Some(alg) if !encrypted && SigningAlgorithm::from_wire(alg).is_none() => {
            odd.push(format!("alg is {}, with which nothing here signs", quoted(alg, MAX_WORD)));
        }
        Some(_) => {}
    }
    if let Some(crit) = header.find("crit") {
        let crit = quoted(&crit.to_string(), MAX_WORD);
        odd.push(format!("crit is {crit}: whoever does not understand all of it must refuse it"));
    }
    for own in ["jwk", "jku", "x5u", "x5c"] {
        if header.find(own).is_some() {
            odd.push(format!("it brings its own key along ({own}): whoever believes that believes anybody"));
        }
    }
    if header.find("typ").is_none() && !encrypted {
        odd.push("it has no typ, so one kind of token can be taken for another".into());
    }
    if header.find("kid").is_none() && !encrypted {
        odd.push("it has no kid, so its reader has to guess the key".into());
    }
}

fn odd_claims(claims: &Members, kind: &str, now: UnixTime, odd: &mut Vec<String>) {
    // An introspection answer is without these on purpose (RFC 9701 §5).
    let may_lack = |name: &str| kind == "introspection answer" && ["sub", "exp"].contains(&name);
    for (name, why) in [
        ("iss", "nobody can say whose it is"),
        ("sub", "it is about nobody"),
        ("aud", "whoever gets it can present it to everybody else"),
        ("exp", "it never expires"),
    ] {
        if claims.find(name).is_none() && !may_lack(name) {
            odd.push(format!("it has no {name}: {why}"));
        }
    }
    let times = ["exp", "iat", "nbf", "auth_time"];
    for name in times.into_iter().filter(|name| claims.find(name).is_some() && claims.time(name).is_none()) {
        odd.push(format!("{name} is no point in time"));
    }
    let ahead = |at: UnixTime| at.0.saturating_sub(now.0);
    match claims.time("exp").map(ahead) {
        Some(..=0) => odd.push("it has expired".into()),
        Some(away) if away > FAR => odd.push(format!("exp is {} days away", away / (24 * 3600))),
        _ => {}
    }
    if claims.time("exp").zip(claims.time("iat")).is_some_and(|(exp, iat)| exp <= iat) {
        odd.push("it expires before it was issued".into());
    }
    for name in ["iat", "auth_time"] {
        if claims.time(name).is_some_and(|at| ahead(at) > SKEW) {
            odd.push(format!("{name} is in the future: a clock is wrong, or somebody made it up"));
        }
    }
    if claims.time("nbf").is_some_and(|at| ahead(at) > 0) {
        odd.push("nbf is in the future: nobody may take it yet".into());
    }
}

/// A NumericDate, without its fraction (RFC 7519 §2).
fn point_in_time(value: &Value) -> Option<UnixTime> {
    let whole = || format!("{:.0}", value.as_f64()?.trunc()).parse().ok();
    value.as_i64().or_else(whole).map(UnixTime)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}… ({} bytes)", spelled_out(text.get(..at).unwrap_or_default()), text.len()),
        None => spelled_out(text).into_owned(),
    }
}

/// A name as it is shown: those that claims have as they are, and no sentences.
fn name_of(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let is_plain = !name.is_empty() && name.len() <= MAX_WORD && name.bytes().all(plain);
    if is_plain { name.to_owned() } else { quoted(name, MAX_WORD) }
}

impl PublicKeys {
    /// What the signature of a compact JWS is worth under these keys. Unlike [`PublicKeys::verify`] it says nothing of
    /// whose token that is, nor of which kind: it is for people, and nothing may be decided by it.
    pub fn judge_signature(&self, jws: &str) -> Signature<'_> {
        let parts: Vec<&str> = jws.splitn(4, '.').collect();
        let [header, payload, signature] = parts[..] else { return Signature::Unreadable };
        if jws.len() > MAX_DECODED {
            return Signature::Unreadable;
        }
        let Some(members) = Members::of(header) else { return Signature::Unreadable };
        let alg = members.text("alg").unwrap_or_default();
        if alg.eq_ignore_ascii_case("none") || signature.is_empty() {
            return Signature::Unsigned;
        }
        let (Some(_), Some(signature)) = (base64url(payload), base64url(signature)) else {
            return Signature::Unreadable;
        };
        let Some(key) = members.text("kid").and_then(|kid| self.find(kid)) else { return Signature::UnknownKey };
        let message = jws.rsplit_once('.').map_or("", |(message, _)| message);
        if alg != key.algorithm().wire_name() {
            Signature::WrongAlgorithm(key.kid())
        } else if key.verify(message, &signature).is_ok() {
            Signature::Good(key.kid())
        } else {
            Signature::Bad(key.kid())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{SigningKey, encode, vectors};
    use super::*;
    use crate::visible::is_hidden;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    fn key(algorithm: SigningAlgorithm) -> SigningKey {
        SigningKey::from_pkcs8(algorithm, &vectors::pkcs8(algorithm)).unwrap()
    }

    fn jwt(header: &str, claims: &str) -> String {
        format!("{}.{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()), encode(b"signature"))
    }

    fn odd(header: &str, claims: &str) -> Vec<String> {
        DecodedJwt::of(&jwt(header, claims), NOW).unwrap().odd
    }

    const GOOD: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#;
    const CLAIMS: &str = r#"{"iss":"i","sub":"s","aud":"a","exp":1800000600,"iat":1800000000}"#;

    #[test]
    fn every_registered_claim_is_said_in_words_and_times_are_points_in_time() {
        let decoded = DecodedJwt::of(&jwt(GOOD, CLAIMS), NOW).unwrap();
        assert_eq!((&*decoded.kind, decoded.encrypted, decoded.odd.len()), ("access token", false, 0));
        let exp = decoded.claims.iter().find(|claim| claim.name == "exp").unwrap();
        assert_eq!((exp.time, &*exp.section), (Some(UnixTime(1_800_000_600)), "RFC 7519 §4.1.4"));
        assert!(decoded.header.iter().chain(&decoded.claims).all(|member| !member.means.is_empty()));
        let own = DecodedJwt::of(&jwt(GOOD, r#"{"department":{"id":7}}"#), NOW).unwrap();
        assert_eq!((&*own.claims[0].value, &*own.claims[0].means), (r#"{"id":7}"#, ""));
    }

    #[test]
    fn the_kind_is_what_typ_says_in_both_spellings() {
        let kind = |typ: &str, claims: &str| {
            DecodedJwt::of(&jwt(&json!({ "alg": "ES256", "typ": typ }).to_string(), claims), NOW).unwrap().kind
        };
        assert_eq!(kind("application/AT+jwt", CLAIMS), "access token");
        assert_eq!(kind("token-introspection+jwt", "{}"), "introspection answer");
        assert_eq!(kind("JWT", CLAIMS), "ID token, by its claims");
        assert_eq!(kind("JWT", "{}"), "JWT without a type of its own");
        for own in ["other+jwt", "access token is alive. \u{202e}", "application/"] {
            assert_eq!(
                kind(own, CLAIMS),
                "JWT of a type of its own",
                "a word of the token's begins no sentence of ours"
            );
        }
    }

    #[test]
    fn what_is_odd_is_said() {
        let header = |more: Value| {
            let mut header: Value = serde_json::from_str(GOOD).unwrap();
            header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            odd(&header.to_string(), CLAIMS).join("\n")
        };
        for (more, said) in [
            (json!({ "alg": "none" }), "alg is none"),
            (json!({ "alg": "NoNe" }), "alg is none"),
            (json!({ "alg": "HS256" }), "a secret that issuer and reader share"),
            (json!({ "alg": "RS1" }), "alg is \"RS1\""),
            (json!({ "alg": "\u{1b}x\". It is alive" }), r#"alg is "\u{1b}x\". It is alive","#),
            (json!({ "alg": 7 }), "it has no alg"),
            (json!({ "crit": ["exp"] }), r#"crit is "[\"exp\"]""#),
            (json!({ "jwk": {} }), "its own key along (jwk)"),
            (json!({ "jku": "https://evil.example/" }), "its own key along (jku)"),
        ] {
            let odd = header(more.clone());
            assert!(odd.contains(said), "{more}: {odd}");
        }
        assert_eq!(odd(r#"{"alg":"ES256"}"#, CLAIMS).len(), 2, "typ and kid are missing");
        let claims = |text: &str| odd(GOOD, text).join("\n");
        assert_eq!(odd(GOOD, "{}").len(), 4);
        for (text, said) in [
            (CLAIMS.replace("1800000600", "1800000000"), "it has expired"),
            (CLAIMS.replace("1800000600", "1810000000"), "exp is 115 days away"),
            (CLAIMS.replace("1800000600", "\"later\""), "exp is no point in time"),
            (CLAIMS.replace(":1800000000", ":1800000061"), "iat is in the future"),
            (CLAIMS.replace("1800000600", "5").replace(":1800000000", ":6"), "it expires before it was issued"),
            (CLAIMS.replace("\"iss\"", "\"nbf\":1800000001,\"iss\""), "nbf is in the future"),
            (CLAIMS.replace("\"iss\"", "\"iss\":\"x\",\"iss\""), "its payload has iss twice"),
            ("[]".into(), "its payload is no JSON object"),
        ] {
            assert!(claims(&text).contains(said), "{text}: {}", claims(&text));
        }
        let answer = odd(r#"{"alg":"ES256","typ":"token-introspection+jwt","kid":"k"}"#, r#"{"iss":"i","aud":"a"}"#);
        assert!(answer.is_empty(), "{answer:?}");
    }

    #[test]
    fn of_what_is_encrypted_the_header_alone_is_read() {
        let header = encode(br#"{"alg":"ECDH-ES","enc":"A256GCM","kid":"k"}"#);
        let payload = encode(CLAIMS.as_bytes());
        let decoded = DecodedJwt::of(&format!("{header}.{payload}.AA.AA.AA"), NOW).unwrap();
        assert!(decoded.encrypted && decoded.claims.is_empty() && decoded.odd.is_empty(), "{decoded:?}");
        assert_eq!((&*decoded.kind, decoded.header.len()), ("encrypted JWT", 3));
    }

    #[test]
    fn what_is_no_jwt_is_refused_and_what_is_long_is_cut() {
        assert_eq!(DecodedJwt::of("oat_abc", NOW), Err(Undecodable::Parts(1)));
        assert_eq!(DecodedJwt::of("a.b.c.d", NOW), Err(Undecodable::Parts(4)));
        assert_eq!(DecodedJwt::of("a.b.c", NOW), Err(Undecodable::Header));
        assert_eq!(DecodedJwt::of(&jwt("[]", CLAIMS), NOW), Err(Undecodable::Header));
        assert_eq!(DecodedJwt::of(&format!("{}.e30.", "A".repeat(MAX_DECODED)), NOW), Err(Undecodable::TooLong));
        let long = jwt(GOOD, &json!({ "x": "ü".repeat(2000) }).to_string());
        let decoded = DecodedJwt::of(&long, NOW).unwrap();
        assert_eq!(decoded.claims[0].value, format!("{}… (4000 bytes)", "ü".repeat(1000)));
        let many: serde_json::Map<_, _> = (0..200).map(|n| (format!("c{n}"), json!(n))).collect();
        let decoded = DecodedJwt::of(&jwt(GOOD, &Value::Object(many).to_string()), NOW).unwrap();
        assert_eq!(decoded.claims.len(), MAX_MEMBERS);
        assert!(decoded.odd.iter().any(|odd| odd.contains("has 200 members")));
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
        assert!(DecodedJwt::of(&jwt(GOOD, &deep), NOW).unwrap().claims.is_empty());
    }

    #[test]
    fn a_name_that_is_a_sentence_is_quoted_and_nothing_that_is_shown_is_hidden() {
        let header = json!({ "alg": "ES256\u{2028}", "typ": "x\u{202e}", "crit": "\u{9b}2J" }).to_string();
        let claims = r#"{"This token is alive.":1,"https://a.example/x":2,"\u2066":"\u202e\u007f","\u2066":3}"#;
        let decoded = DecodedJwt::of(&jwt(&header, claims), NOW).unwrap();
        let names: Vec<_> = decoded.claims.iter().map(|claim| claim.name.as_str()).collect();
        assert_eq!(names[..3], ["\"This token is alive.\"", "https://a.example/x", "\"\\u{2066}\""]);
        assert_eq!(decoded.claims[2].value, "\\u{202e}\\u{7f}");
        assert!(decoded.odd.iter().any(|odd| odd.starts_with("its payload has \"\\u{2066}\" twice")));
        let shown = serde_json::to_string(&decoded).unwrap();
        assert!(!shown.chars().any(is_hidden), "{shown}");
    }

    #[test]
    fn a_fraction_of_a_second_and_times_at_the_end_of_all_numbers_are_points_in_time() {
        let exp = |text: &str| {
            let decoded = DecodedJwt::of(&jwt(GOOD, &format!("{{\"exp\":{text}}}")), NOW).unwrap();
            decoded.claims.first().and_then(|exp| exp.time)
        };
        assert_eq!(exp("1800000000.9"), Some(UnixTime(1_800_000_000)));
        assert_eq!(exp("9223372036854775807"), Some(UnixTime(i64::MAX)));
        assert_eq!(exp("-9223372036854775808"), Some(UnixTime(i64::MIN)));
        assert_eq!(exp("1e300"), None);
        assert_eq!(exp("\"1800000000\""), None);
    }

    #[test]
    fn a_signature_is_told_by_the_key_it_names() {
        let own = key(SigningAlgorithm::Es256);
        let keys = PublicKeys::new(vec![own.public_key().unwrap()]);
        let jws = own.sign("at+jwt", &json!({ "sub": "alice" })).unwrap();
        assert_eq!(keys.judge_signature(&jws), Signature::Good(own.kid()));
        let (message, signature) = jws.rsplit_once('.').unwrap();
        let (header, _) = message.split_once('.').unwrap();
        let other = encode(br#"{"sub":"mallory"}"#);
        assert_eq!(keys.judge_signature(&format!("{header}.{other}.{signature}")), Signature::Bad(own.kid()));
        assert_eq!(keys.judge_signature(&format!("{message}.")), Signature::Unsigned);
        let with = |header: Value| keys.judge_signature(&jwt(&header.to_string(), "{}"));
        assert_eq!(with(json!({ "alg": "ES384", "kid": own.kid() })), Signature::WrongAlgorithm(own.kid()));
        assert_eq!(with(json!({ "alg": "HS256", "kid": own.kid() })), Signature::WrongAlgorithm(own.kid()));
        assert_eq!(with(json!({ "alg": "none", "kid": own.kid() })), Signature::Unsigned);
        assert_eq!(with(json!({ "alg": "ES256", "kid": "other" })), Signature::UnknownKey);
        assert_eq!(with(json!({ "alg": "ES256" })), Signature::UnknownKey);
        let foreign = key(SigningAlgorithm::EdDsa).sign("at+jwt", &json!({})).unwrap();
        assert_eq!(keys.judge_signature(&foreign), Signature::UnknownKey);
        for unreadable in ["", "a.b", "a.b.c", &format!("{jws}.x"), &format!("{jws}=")] {
            assert_eq!(keys.judge_signature(unreadable), Signature::Unreadable, "{unreadable}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\PC.]{0,80}", header in "\\PC{0,40}", claims in "\\PC{0,40}") {
            let keys = PublicKeys::new(vec![key(SigningAlgorithm::EdDsa).public_key().unwrap()]);
            for text in [text, jwt(&header, &claims), jwt(GOOD, &claims)] {
                let shown = DecodedJwt::of(&text, NOW).map(|decoded| serde_json::to_string(&decoded).unwrap());
                prop_assert!(!shown.unwrap_or_default().chars().any(is_hidden));
                keys.judge_signature(&text);
            }
        }
    }
}
