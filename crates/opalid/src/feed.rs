//! What verifiers are told: leases, what changed, and what is true of tokens, over one WebSocket (RFC 6455).
//!
//! Takes: GET with the handshake, Basic authentication of a confidential client that serves resources (or may introspect all), and
//! `Opalid-Holder`: the 32 hex digits that its process drew.
//! Gives: 101 and then frames of `opalid_core::lease::wire`; else an error like every endpoint's.
//! Holds: nothing is said before the client is authenticated, nor after it would not be any more.
//! Not here: what an answer is (`introspected`), when a change is settled (`opalid_store::leases`).

mod answers;
mod talk;

use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::form::Form;
use opalid_core::lease::wire::PROTOCOL;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::http::call::Call;
use crate::http::client_auth::{self, AuthenticatedClient};
use crate::http::reply::{self, Reply};
use crate::http::takeover::MayTakeOver;

/// The name that a process drew for itself.
const HOLDER: HeaderName = HeaderName::from_static("opalid-holder");

/// GET /feed.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    match answer(call).await {
        Ok(reply) => reply,
        Err(error) => reply::oauth_error(&error, &call.issuer.url),
    }
}

async fn answer(call: &Call<'_>) -> Result<Reply, OAuthError> {
    let claim = client_auth::claim(&call.parts.headers, &Form::parse(b"")?)?.into_owned();
    let client = admit(claim.prove(call).await?)?;
    let Some(asked) = handshake(call)? else { return Ok(upgrade_required()) };
    let extensions = &call.parts.extensions;
    let (Some(socket), Some(takeover)) = (extensions.get::<OnUpgrade>(), extensions.get::<MayTakeOver>()) else {
        return Ok(upgrade_required());
    };
    let follower = talk::Talk::new(call, (claim, &client), asked.drawn);
    if !takeover.with(follower.over(socket.clone())) {
        return Ok(reply::come_again());
    }
    let mut reply = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    headers.insert(SEC_WEBSOCKET_ACCEPT, asked.accept);
    Ok(reply)
}

/// Whether this client may follow the feed: as it may introspect what others were given.
fn admit(client: AuthenticatedClient) -> Result<AuthenticatedClient, OAuthError> {
    if may_follow(&client) {
        return Ok(client);
    }
    let description = "the feed is for confidential clients that serve resources, or may introspect all tokens";
    Err(OAuthError::new(ErrorCode::UnauthorizedClient, description))
}

fn may_follow(client: &Client) -> bool {
    !client.is_public() && (!client.settings.serves.is_empty() || client.settings.introspect_tokens)
}

/// What a handshake asks for.
struct Asked {
    accept: HeaderValue,
    drawn: u128,
}

/// Reads a handshake (RFC 6455 §4.2.1). None: it is not one, or of another version.
fn handshake(call: &Call<'_>) -> Result<Option<Asked>, OAuthError> {
    let headers = &call.parts.headers;
    let is_asked = call.parts.version == Version::HTTP_11
        && lists(headers, &CONNECTION, "upgrade")
        && lists(headers, &UPGRADE, "websocket")
        && one(headers, &SEC_WEBSOCKET_VERSION) == Some("13");
    if !is_asked {
        return Ok(None);
    }
    let wrong = |description: &'static str| OAuthError::new(ErrorCode::InvalidRequest, description);
    if !lists(headers, &SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        return Err(wrong("Sec-WebSocket-Protocol: this server speaks opalid-feed.1"));
    }
    let key = one(headers, &SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24 && key.ends_with("=="));
    let key = key.ok_or_else(|| wrong("Sec-WebSocket-Key: expected the base64 of 16 bytes, once"))?;
    let drawn = one(headers, &HOLDER).and_then(drawn);
    let drawn = drawn.ok_or_else(|| wrong("Opalid-Holder: expected 32 lower-case hexadecimal digits, once"))?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()));
    let accept = accept.map_err(|_| wrong("Sec-WebSocket-Key: expected the base64 of 16 bytes, once"))?;
    Ok(Some(Asked { accept, drawn }))
}

/// One spelling: 32 lower-case digits.
fn drawn(text: &str) -> Option<u128> {
    let is_canonical = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_canonical.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() { None } else { first.to_str().ok() }
}

/// Whether a list of names, in any case, has this one.
fn lists(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let lists = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|listed| listed.trim().eq_ignore_ascii_case(wanted))
}

/// 426 (RFC 6455 §4.2.2): what is spoken here.
fn upgrade_required() -> Reply {
    let mut reply = reply::empty(StatusCode::UPGRADE_REQUIRED);
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    reply
}
