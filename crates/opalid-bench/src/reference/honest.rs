//! The work that no introspection endpoint can leave out, and nothing else.
//!
//! Takes: the Authorization header and the form.
//! Gives: the answer's status and body.
//! Does: Basic (Base64, form-decoded), SHA-256 of the secret compared in constant time, the form, SHA-256 of
//! the token, one look-up in a map, one JSON object. No log, no metrics, no validity rule, no store.

use crate::reference::tokens;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

type Digest = [u8; 32];

/// What is remembered of a token.
struct Entry {
    iss: Arc<str>,
    sub: Box<str>,
    aud: Arc<str>,
    client_id: Arc<str>,
    scope: Arc<str>,
    exp: u64,
    iat: u64,
    jti: Box<str>,
}

#[derive(Serialize)]
struct Active<'a> {
    active: bool,
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    scope: &'a str,
    exp: u64,
    iat: u64,
    jti: &'a str,
    token_type: &'static str,
}

/// A status and a JSON body.
#[derive(Debug, PartialEq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Cow<'static, [u8]>,
}

const INACTIVE: Reply = fixed(200, br#"{"active":false}"#);
const BAD_CLIENT: Reply = fixed(401, br#"{"error":"invalid_client"}"#);
const BAD_REQUEST: Reply = fixed(400, br#"{"error":"invalid_request"}"#);

const fn fixed(status: u16, body: &'static [u8]) -> Reply {
    Reply { status, body: Cow::Borrowed(body) }
}

/// All that a reference knows: who may ask, and the tokens.
pub struct Ledger {
    clients: HashMap<String, Digest>,
    tokens: HashMap<Digest, Entry>,
}

impl Ledger {
    /// Knows one client and the first `count` tokens.
    pub fn with(count: usize) -> Self {
        let caller = tokens::caller();
        let client_id: Arc<str> = caller.id.as_str().into();
        let (iss, aud) = (Arc::from("http://localhost:8080"), Arc::from("https://api.demo.example/"));
        let scope = Arc::from("read write");
        let entry = |number: usize| {
            let token = tokens::token(number);
            let entry = Entry {
                iss: Arc::clone(&iss),
                sub: format!("01900000-0000-7000-8000-{number:012x}").into(),
                aud: Arc::clone(&aud),
                client_id: Arc::clone(&client_id),
                scope: Arc::clone(&scope),
                exp: 1_800_003_600,
                iat: 1_800_000_000,
                jti: format!("{number:016x}").into(),
            };
            (sha256(token.as_bytes()), entry)
        };
        let clients = HashMap::from([(caller.id.clone(), sha256(caller.secret.as_bytes()))]);
        Self { clients, tokens: (0..count).map(entry).collect() }
    }

    /// An introspection (RFC 7662 §2).
    pub fn introspect(&self, authorization: Option<&[u8]>, form: &[u8]) -> Reply {
        let Some((id, secret)) = authorization.and_then(basic) else { return BAD_CLIENT };
        let Some(known) = self.clients.get(&id) else { return BAD_CLIENT };
        if !bool::from(sha256(secret.as_bytes()).ct_eq(known)) {
            return BAD_CLIENT;
        }
        let Some(token) = token_of(form) else { return BAD_REQUEST };
        self.tokens.get(&sha256(token.as_bytes())).map_or(INACTIVE, answer)
    }
}

/// The answer that the constant servers give: that to the first token.
pub fn constant() -> Vec<u8> {
    let ledger = Ledger::with(1);
    ledger.tokens.values().next().map(answer).map(|reply| reply.body.into_owned()).unwrap_or_default()
}

fn answer(entry: &Entry) -> Reply {
    let active = Active {
        active: true,
        iss: &entry.iss,
        sub: &entry.sub,
        aud: &entry.aud,
        client_id: &entry.client_id,
        scope: &entry.scope,
        exp: entry.exp,
        iat: entry.iat,
        jti: &entry.jti,
        token_type: "Bearer",
    };
    serde_json::to_vec(&active).map_or(BAD_REQUEST, |body| Reply { status: 200, body: body.into() })
}

fn sha256(bytes: &[u8]) -> Digest {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or([0; 32])
}

/// The id and secret of a Basic header, each form-decoded (RFC 6749 §2.3.1).
fn basic(header: &[u8]) -> Option<(String, String)> {
    let (scheme, pair) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let spaced = if text.contains('+') { Cow::Owned(text.replace('+', " ")) } else { Cow::Borrowed(text) };
    percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

/// The token of a form; a repeated or missing one is an error.
fn token_of(form: &[u8]) -> Option<Cow<'_, str>> {
    let mut token = None;
    for (name, value) in form_urlencoded::parse(form) {
        if name == "token" && token.replace(value).is_some() {
            return None;
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::request::{Credentials, form};

    fn ask(credentials: &Credentials, form: &str) -> Reply {
        Ledger::with(3).introspect(Some(credentials.basic().as_bytes()), form.as_bytes())
    }

    #[test]
    fn a_known_token_is_answered_with_every_field() {
        let reply = ask(&tokens::caller(), &form(&[("token", &tokens::token(2))]));
        assert_eq!(reply.status, 200);
        let json: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let expected = ["active", "aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sub", "token_type"];
        let mut fields = fields;
        fields.sort_unstable();
        assert_eq!(fields, expected);
        assert_eq!(json["sub"], "01900000-0000-7000-8000-000000000002");
    }

    #[test]
    fn an_unknown_token_is_inactive() {
        assert_eq!(ask(&tokens::caller(), &form(&[("token", &tokens::token(3))])), INACTIVE);
    }

    #[test]
    fn a_wrong_secret_or_client_or_no_header_is_refused() {
        let caller = tokens::caller();
        let token = form(&[("token", &tokens::token(0))]);
        assert_eq!(ask(&Credentials { secret: "no".into(), ..caller.clone() }, &token), BAD_CLIENT);
        assert_eq!(ask(&Credentials { id: "no".into(), ..caller }, &token), BAD_CLIENT);
        assert_eq!(Ledger::with(1).introspect(None, token.as_bytes()), BAD_CLIENT);
        assert_eq!(Ledger::with(1).introspect(Some(b"Bearer x"), token.as_bytes()), BAD_CLIENT);
    }

    #[test]
    fn a_repeated_or_missing_token_is_a_bad_request() {
        let twice = form(&[("token", &tokens::token(0)), ("token", &tokens::token(0))]);
        assert_eq!(ask(&tokens::caller(), &twice), BAD_REQUEST);
        assert_eq!(ask(&tokens::caller(), "hint=x"), BAD_REQUEST);
    }

    #[test]
    fn both_halves_of_basic_are_form_decoded() {
        let odd = Credentials { id: "a b:c".into(), secret: "ü+%".into() };
        assert_eq!(basic(odd.basic().as_bytes()), Some((odd.id, odd.secret)));
    }

    #[test]
    fn the_constant_answer_is_active() {
        assert!(String::from_utf8(constant()).unwrap().contains(r#""active":true"#));
    }
}
