//! Why a request may not pass, and the answer that says so (RFC 6750 §3).
//!
//! Takes: a reason, the guard's challenge, the scopes that were needed. Gives: status, headers and body.
//! Holds: whatever is configured, a header holds what was meant and nothing more. Nobody learns why a token is not
//! good, and without a token there is no error at all (§3.1). Nothing of it may be kept.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use opalid_core::scope::Scopes;

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No bearer token: 401 without an error.
    NoToken,
    /// More than one `Authorization` header: 400.
    RepeatedAuthorization,
    /// `Bearer`, and then not exactly one token: 400.
    MalformedBearer,
    /// A token that is not alive, is for something else, or is bound to a key that nobody proves here: 401.
    InvalidToken,
    /// A good token that may not do this: 403.
    InsufficientScope,
    /// Nobody can say now whether the token is good: 503.
    Outage,
    /// The request is not guarded as its handler expects, or the handler demands what is no scope: 500.
    Misconfigured,
}

impl Reason {
    /// The status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::RepeatedAuthorization | Self::MalformedBearer => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::Outage => StatusCode::SERVICE_UNAVAILABLE,
            Self::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error code; none where there was no token (RFC 6750 §3.1).
    #[must_use]
    pub const fn error(self) -> Option<&'static str> {
        match self {
            Self::NoToken => None,
            Self::RepeatedAuthorization | Self::MalformedBearer => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
            Self::Outage => Some("temporarily_unavailable"),
            Self::Misconfigured => Some("server_error"),
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::NoToken => "there is no bearer token",
            Self::RepeatedAuthorization => "the Authorization header is repeated",
            Self::MalformedBearer => "the Authorization header is not Bearer, a space, and one token",
            Self::InvalidToken => "the access token is not good here",
            Self::InsufficientScope => "the access token may not do this",
            Self::Outage => "nobody can say now whether the access token is good; try again",
            Self::Misconfigured => "the server is not set up to answer this",
        }
    }

    /// Whether the answer tells the client what to present.
    const fn challenges(self) -> bool {
        !matches!(self, Self::Outage | Self::Misconfigured)
    }
}

/// A request that may not pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason.description())]
pub struct Refusal {
    reason: Reason,
    challenge: Option<HeaderValue>,
}

impl Refusal {
    /// One that a guard decides; `needed` is what the request needs.
    pub(super) fn of(reason: Reason, challenge: &Challenge, needed: &Scopes) -> Self {
        tracing::debug!(?reason, %needed, "refused");
        Self { reason, challenge: reason.challenges().then(|| challenge.says(reason, needed)) }
    }

    /// A fault of the program around the guard; `why` goes to its log alone.
    pub(crate) fn misconfigured(why: &str) -> Self {
        tracing::error!(why, "a request is refused for a fault of this program");
        Self { reason: Reason::Misconfigured, challenge: None }
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.reason.status()
    }

    /// The value of `WWW-Authenticate`, if the answer has one.
    #[must_use]
    pub fn challenge(&self) -> Option<&HeaderValue> {
        self.challenge.as_ref()
    }

    /// The body: JSON; empty where there was no token.
    #[must_use]
    pub fn body(&self) -> String {
        let description = self.reason.description();
        // Neither text holds a character that JSON escapes.
        let says = |error| format!(r#"{{"error":"{error}","error_description":"{description}"}}"#);
        self.reason.error().map(says).unwrap_or_default()
    }

    /// The whole answer, for whatever body is made from text.
    #[must_use]
    pub fn answer<B: From<String>>(&self) -> Response<B> {
        let body = self.body();
        let is_json = !body.is_empty();
        let mut answer = Response::new(body.into());
        *answer.status_mut() = self.status();
        let headers = answer.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(challenge) = &self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge.clone());
        }
        if self.reason == Reason::Outage {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }
}

/// What a guard's challenges begin with. Only `new` makes one, of texts that a quoted string can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge(Arc<str>);

impl Challenge {
    /// None if `realm` holds nothing, or anything but printable ASCII.
    pub(super) fn new(realm: &str, resource_metadata: Option<&str>) -> Option<Self> {
        let mut begins = format!("Bearer realm={}", quoted(realm)?);
        if let Some(url) = resource_metadata {
            begins.push_str(&format!(", resource_metadata={}", quoted(url)?));
        }
        Some(Self(begins.into()))
    }

    /// The value of `WWW-Authenticate`. What the request needs is said where a client can use it: to ask for a token,
    /// or for one that may do more.
    fn says(&self, reason: Reason, needed: &Scopes) -> HeaderValue {
        let mut says = self.0.to_string();
        if let Some(error) = reason.error() {
            says.push_str(&format!(", error=\"{error}\""));
        }
        if matches!(reason, Reason::NoToken | Reason::InsufficientScope) && !needed.is_empty() {
            // A scope has neither quotes nor backslashes (RFC 6749 §3.3).
            says.push_str(&format!(", scope=\"{needed}\""));
        }
        // All of it is printable ASCII, so the other arm is never taken.
        HeaderValue::from_str(&says).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// A quoted string (RFC 9110 §5.6.4) of printable ASCII.
fn quoted(text: &str) -> Option<String> {
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(reason: Reason, needed: &str) -> Response<String> {
        let challenge = Challenge::new("orders", Some("https://api.example/.well-known/oauth-protected-resource"));
        Refusal::of(reason, &challenge.unwrap(), &Scopes::parse(needed).unwrap()).answer()
    }

    /// The answer as it goes out.
    fn shown(answer: &Response<String>) -> String {
        let headers: Vec<_> =
            answer.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect();
        format!("{}\n{}\n{}", answer.status(), headers.concat(), answer.body())
    }

    #[test]
    fn without_a_token_there_is_no_error_and_the_scope_to_ask_for() {
        insta::assert_snapshot!(shown(&said(Reason::NoToken, "b a")), @r#"
        401 Unauthorized
        cache-control: no-store
        www-authenticate: Bearer realm="orders", resource_metadata="https://api.example/.well-known/oauth-protected-resource", scope="a b"
        "#);
    }

    #[test]
    fn a_token_that_is_not_good_is_invalid_token_and_nothing_more() {
        insta::assert_snapshot!(shown(&said(Reason::InvalidToken, "a")), @r#"
        401 Unauthorized
        cache-control: no-store
        content-type: application/json
        www-authenticate: Bearer realm="orders", resource_metadata="https://api.example/.well-known/oauth-protected-resource", error="invalid_token"

        {"error":"invalid_token","error_description":"the access token is not good here"}
        "#);
    }

    #[test]
    fn a_token_that_may_not_do_it_is_told_what_may() {
        insta::assert_snapshot!(shown(&said(Reason::InsufficientScope, "b a")), @r#"
        403 Forbidden
        cache-control: no-store
        content-type: application/json
        www-authenticate: Bearer realm="orders", resource_metadata="https://api.example/.well-known/oauth-protected-resource", error="insufficient_scope", scope="a b"

        {"error":"insufficient_scope","error_description":"the access token may not do this"}
        "#);
    }

    #[test]
    fn a_malformed_request_is_told_what_is_wrong_with_it() {
        insta::assert_snapshot!(shown(&said(Reason::MalformedBearer, "a")), @r#"
        400 Bad Request
        cache-control: no-store
        content-type: application/json
        www-authenticate: Bearer realm="orders", resource_metadata="https://api.example/.well-known/oauth-protected-resource", error="invalid_request"

        {"error":"invalid_request","error_description":"the Authorization header is not Bearer, a space, and one token"}
        "#);
        insta::assert_snapshot!(said(Reason::RepeatedAuthorization, "a").body(), @r#"{"error":"invalid_request","error_description":"the Authorization header is repeated"}"#);
    }

    #[test]
    fn an_outage_and_a_fault_of_ours_are_no_challenge() {
        insta::assert_snapshot!(shown(&said(Reason::Outage, "a")), @r#"
        503 Service Unavailable
        cache-control: no-store
        content-type: application/json
        retry-after: 1

        {"error":"temporarily_unavailable","error_description":"nobody can say now whether the access token is good; try again"}
        "#);
        insta::assert_snapshot!(shown(&Refusal::misconfigured("x\"y").answer()), @r#"
        500 Internal Server Error
        cache-control: no-store
        content-type: application/json

        {"error":"server_error","error_description":"the server is not set up to answer this"}
        "#);
    }

    #[test]
    fn every_body_is_json_that_says_the_error() {
        for reason in [
            Reason::RepeatedAuthorization,
            Reason::MalformedBearer,
            Reason::InvalidToken,
            Reason::InsufficientScope,
            Reason::Outage,
            Reason::Misconfigured,
        ] {
            let body: serde_json::Value = serde_json::from_str(said(reason, "a").body()).unwrap();
            assert_eq!(body["error"].as_str(), reason.error(), "{reason:?}");
        }
    }

    #[test]
    fn what_is_configured_stays_within_its_quotes() {
        let challenge = Challenge::new(r#"a", error="x\"#, None).unwrap();
        let says = challenge.says(Reason::InvalidToken, &Scopes::default());
        assert_eq!(says.to_str().unwrap(), r#"Bearer realm="a\", error=\"x\\", error="invalid_token""#);
        for bad in ["", "a\r\nSet-Cookie: b", "a\0", "a\t", "a\u{7f}", "\u{fc}"] {
            assert_eq!(Challenge::new(bad, None), None, "{bad:?}");
            assert_eq!(Challenge::new("a", Some(bad)), None, "{bad:?}");
        }
    }
}
