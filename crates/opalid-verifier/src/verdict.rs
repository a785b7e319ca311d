//! What is said of a token.
//!
//! Takes: an introspection answer (RFC 7662 §2.2). Gives: facts of a token, to be judged with each request.
//! Holds: an answer that is not understood is no verdict; a token that nobody can vouch for is an outage.
//! Not here: what a request needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use serde_json::{Map, Value};

/// What is true of a token, for this resource server.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It is alive; these are its facts.
    Active(Arc<Token>),
    /// It is not, or it is not for this resource server. Nobody is told why.
    Inactive,
}

/// Nobody can say what is true of a token now: no verdict, so no request may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody can say now whether the token is alive")]
pub struct Outage;

/// Whoever can say what is true of a token.
pub trait Verify: Clone + Send + Sync + 'static {
    /// Says what is true of a token, whatever text it is.
    fn verify(&self, token: &str) -> impl Future<Output = Result<Verdict, Outage>> + Send;
}

/// What a token is bound to (RFC 7800 §3): who presents it has to prove that it has the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// A DPoP key, by its thumbprint (RFC 9449 §6.1).
    DpopKey(String),
    /// A client certificate, by its digest (RFC 8705 §3.1).
    Certificate(String),
    /// Something else: nobody here can prove it.
    Unknown,
}

/// The facts of a live token. They say what it may do, never whether a request may pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Whom it speaks for: a user, or the client itself.
    pub subject: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// What it may do at this resource server.
    pub scopes: Scopes,
    /// The resources of this resource server that it opens.
    pub audience: BTreeSet<String>,
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it expires, by the issuer's clock.
    pub expires_at: UnixTime,
    /// Its `jti`.
    pub jti: Option<String>,
    /// The user's name.
    pub username: Option<String>,
    /// What it is bound to; None: whoever has it may use it.
    pub confirmation: Option<Confirmation>,
    /// Every other member of the answer: what the workspace declares for introspection.
    pub claims: Map<String, Value>,
}

/// Why an answer was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an introspection answer that is not understood: {0}")]
pub struct BadFacts(pub &'static str);

impl Token {
    /// The facts in an introspection answer.
    pub fn parse(answer: &str) -> Result<Self, BadFacts> {
        let mut claims: Map<String, Value> = serde_json::from_str(answer).map_err(|_| BadFacts("no JSON object"))?;
        if claims.remove("active") != Some(Value::Bool(true)) {
            return Err(BadFacts("not active"));
        }
        let mut text = |name: &str| match claims.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let (subject, client_id) = (text("sub"), text("client_id"));
        let (scope, jti, username) = (text("scope").unwrap_or_default(), text("jti"), text("username"));
        _ = text("iss");
        let audience = match claims.remove("aud") {
            Some(Value::String(one)) => BTreeSet::from([one]),
            Some(Value::Array(several)) => several.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
            _ => BTreeSet::new(),
        };
        let mut time = |name: &str| claims.remove(name).and_then(|value| value.as_i64()).map(UnixTime);
        let (issued_at, expires_at) = (time("iat"), time("exp"));
        Ok(Self {
            subject: subject.ok_or(BadFacts("no sub"))?,
            client_id: client_id.ok_or(BadFacts("no client_id"))?,
            scopes: Scopes::parse(&scope).map_err(|_| BadFacts("scope"))?,
            audience,
            issued_at: issued_at.ok_or(BadFacts("no iat"))?,
            expires_at: expires_at.ok_or(BadFacts("no exp"))?,
            jti,
            username,
            confirmation: claims.remove("cnf").map(|_| Confirmation::Unknown),
            claims,
        })
    }
}
