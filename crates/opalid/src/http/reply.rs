//! Answers: JSON, empty, redirects, errors. The status of an error comes from its code alone.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use opalid_core::error::{ErrorCode, OAuthError};
use serde::Serialize;

use crate::http::json::{JsonArray, JsonObject};

/// An answer on its way out.
pub type Reply = Response<Full<Bytes>>;

/// A status and a body of a type.
pub fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// 200 with JSON that nobody may keep (RFC 6749 §5.1).
pub fn json(value: &impl Serialize) -> Reply {
    json_with(StatusCode::OK, value)
}

/// 200 with an object that nobody may keep.
pub fn object(object: JsonObject) -> Reply {
    let mut reply = with_body(StatusCode::OK, "application/json", object.end());
    no_store(&mut reply);
    reply
}

/// 200 with an object that has one list in it, and that nobody may keep.
pub fn array(name: &'static str, array: JsonArray) -> Reply {
    let mut reply = with_body(StatusCode::OK, "application/json", array.end(name));
    no_store(&mut reply);
    reply
}

/// 200 with a text that nobody may keep.
pub fn text(content_type: &'static str, text: String) -> Reply {
    let mut reply = with_body(StatusCode::OK, content_type, text);
    no_store(&mut reply);
    reply
}

/// JSON that nobody may keep, with another status.
pub fn json_with(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut reply = with_body(status, "application/json", body);
            no_store(&mut reply);
            reply
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A status and nothing else.
pub fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()));
    *reply.status_mut() = status;
    no_store(&mut reply);
    reply
}

/// 303: look there, by GET.
pub fn see_other(location: &str) -> Reply {
    let mut reply = empty(StatusCode::SEE_OTHER);
    match HeaderValue::from_str(location) {
        Ok(location) => drop(reply.headers_mut().insert(LOCATION, location)),
        Err(_) => return empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
    reply
}

/// 405, with what is allowed.
pub fn method_not_allowed(allowed: &'static str) -> Reply {
    let mut reply = empty(StatusCode::METHOD_NOT_ALLOWED);
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    reply
}

/// Nobody may keep it.
pub fn no_store(reply: &mut Reply) {
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'static str,
    error_description: &'a str,
}

/// An OAuth error answered directly (RFC 6749 §5.2); its cause goes to the log.
pub fn oauth_error(error: &OAuthError, realm: &str) -> Reply {
    log(error);
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let description = error.wire_description();
    let body = ErrorBody { error: error.code.wire_name(), error_description: &description };
    let mut reply = json_with(status, &body);
    mark(&mut reply, error);
    if error.code == ErrorCode::InvalidClient {
        challenge(&mut reply, &format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
    }
    reply
}

/// An error of a bearer token (RFC 6750 §3.1). Without a token there is a challenge and no error code.
pub fn bearer_error(error: Option<&OAuthError>, realm: &str, scope: Option<&str>) -> Reply {
    let Some(error) = error else {
        let mut reply = empty(StatusCode::UNAUTHORIZED);
        challenge(&mut reply, &format!("Bearer realm=\"{realm}\""));
        return reply;
    };
    let mut reply = oauth_error(error, realm);
    let mut says = format!(
        "Bearer realm=\"{realm}\", error=\"{}\", error_description=\"{}\"",
        error.code.wire_name(),
        error.wire_description()
    );
    if let Some(scope) = scope {
        says.push_str(&format!(", scope=\"{scope}\""));
    }
    if matches!(error.code, ErrorCode::InvalidToken | ErrorCode::InsufficientScope | ErrorCode::InvalidRequest) {
        challenge(&mut reply, &says);
    }
    reply
}

fn challenge(reply: &mut Reply, says: &str) {
    if let Ok(value) = HeaderValue::from_str(says) {
        reply.headers_mut().insert(WWW_AUTHENTICATE, value);
    }
}

/// The cause of what fails while the store cannot be reached.
const AWAY: &str = "the store is not available";

/// Logs why, once, at the edge.
pub fn log(error: &OAuthError) {
    match &error.cause {
        Some(cause) if error.code.status() >= 500 && cause != AWAY => {
            tracing::error!(code = error.code.wire_name(), %cause, "failed");
        }
        cause => {
            tracing::debug!(code = error.code.wire_name(), description = %error.wire_description(), ?cause, "refused")
        }
    }
}

/// That the store is well and this was refused, for too much is asked at once.
#[derive(Debug, Clone, Copy)]
pub struct Refused;

/// 503 of a server that is well and has no room: try again.
pub fn come_again() -> Reply {
    let mut reply = empty(StatusCode::SERVICE_UNAVAILABLE);
    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply.extensions_mut().insert(Refused);
    reply
}

/// Marks an answer that is no failure of the store: 503 without a cause.
pub fn mark(reply: &mut Reply, error: &OAuthError) {
    if error.code == ErrorCode::ServerBusy && error.cause.is_none() {
        reply.extensions_mut().insert(Refused);
    }
}

/// A store that did not answer: never a verdict. One that is asked too much has not failed. Of that, and of one that cannot
/// be reached, the store says itself, once for all.
pub fn outage(error: &opalid_store::Outage) -> OAuthError {
    if matches!(error, opalid_store::Outage::Crowded) {
        return OAuthError::new(ErrorCode::ServerBusy, "too much is asked of this server now; try again");
    }
    let outage = OAuthError::new(ErrorCode::ServerBusy, "the server cannot reach its store now; try again");
    if matches!(error, opalid_store::Outage::Unavailable(_)) { outage.because(AWAY) } else { outage.because(error) }
}

/// 200 with a constant body that nobody may keep.
pub fn with_no_store(content_type: &'static str, body: &'static str) -> Reply {
    let mut reply = with_body(StatusCode::OK, content_type, Bytes::from_static(body.as_bytes()));
    no_store(&mut reply);
    reply
}

/// 200 with JSON that anyone may keep for a while: metadata and public keys.
pub fn public_json(value: &impl Serialize) -> Reply {
    let mut reply = json(value);
    reply.headers_mut().remove(PRAGMA);
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    reply
}

/// A static file: kept for good under its version, else asked for again.
pub fn asset(asset: &'static crate::pages::assets::Asset, version: Option<&str>) -> Reply {
    let mut reply = with_body(StatusCode::OK, asset.content_type, Bytes::from_static(asset.body));
    let kept = if version == Some(&*asset.version) { "public, max-age=31536000, immutable" } else { "no-cache" };
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        reply.headers_mut().insert(http::header::ETAG, etag);
    }
    reply.headers_mut().insert(http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

#[cfg(test)]
mod tests {
    use opalid_store::Outage;

    use super::*;

    #[test]
    fn a_store_that_is_asked_too_much_answers_503_like_one_that_is_away_but_has_not_failed() {
        let answer = |error: Outage| oauth_error(&outage(&error), "realm");
        let (crowded, away) = (answer(Outage::Crowded), answer(Outage::Unavailable("gone".into())));
        assert_eq!((crowded.status().as_u16(), away.status().as_u16()), (503, 503));
        let has_not_failed = |reply: &Reply| reply.extensions().get::<Refused>().is_some();
        assert_eq!((has_not_failed(&crowded), has_not_failed(&away)), (true, false));
    }
}
