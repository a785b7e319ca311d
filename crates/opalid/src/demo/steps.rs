//! The steps of the walk: what the application and the API send, and what they make of the answers.
//!
//! Holds: both know of the server what HTTP tells them; an answer they did not hope for is shown as it is.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use opalid_core::form::Form;
use opalid_core::time::UnixTime;
use serde_json::Value;

use super::wire::{self, Exchange, WireError};
use super::{PUBLIC_CLIENT, RESOURCE, RESOURCE_SERVER, RESOURCE_SERVER_SECRET};
use crate::pages::Decoded;
use crate::random;
use crate::walk::{Endpoints, Next, Step, Walk, decode_id_token, wrong_with};

/// What the application asks for.
const SCOPE: &str = "openid profile email read write offline_access";

/// The application's address for codes.
fn callback_url(issuer: &str) -> String {
    format!("{issuer}/demo/callback")
}

fn query(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn both(exchange: &Exchange) -> (&str, &str) {
    (&exchange.sent, &exchange.received)
}

/// Begins a walk: the application reads the metadata.
pub async fn begin(issuer: &str) -> Result<Walk, WireError> {
    let mut walk = Walk::default();
    let url = format!("{issuer}/.well-known/openid-configuration");
    let exchange = wire::get(issuer, &url, None).await?;
    walk.endpoints = Endpoints::read(&exchange.json(), issuer).ok_or(WireError::NotHttp)?;
    let explain =
        "One document says where the server answers and what it can do. The application knew the issuer alone.";
    walk.did(Step::Discover.words().title, explain, both(&exchange));
    walk.pass(Step::Discover);
    Ok(walk)
}

/// The address the browser goes to for signing in. Whoever comes back without an answer may go again.
pub fn sign_in(walk: &mut Walk, issuer: &str) -> String {
    let secret = || URL_SAFE_NO_PAD.encode(random::bytes::<32>());
    (walk.state, walk.nonce, walk.verifier) = (secret(), secret(), secret());
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, walk.verifier.as_bytes());
    let asked = query(&[
        ("response_type", "code"),
        ("client_id", PUBLIC_CLIENT),
        ("redirect_uri", &callback_url(issuer)),
        ("scope", SCOPE),
        ("resource", RESOURCE),
        ("state", &walk.state),
        ("nonce", &walk.nonce),
        ("code_challenge", &URL_SAFE_NO_PAD.encode(digest)),
        ("code_challenge_method", "S256"),
    ]);
    walk.sent_to = format!("{}?{asked}", walk.endpoints.authorization);
    walk.sent_to.clone()
}

/// What the application answers to send the browser somewhere.
fn redirect(location: &str) -> String {
    format!("HTTP/1.1 303 See Other\nLocation: {location}")
}

/// The request that brought the browser back. Its cookies are the person's and not shown.
fn returned(issuer: &str, path_and_query: &str) -> String {
    let host = issuer.split_once("://").map_or(issuer, |(_, host)| host);
    format!("GET {path_and_query} HTTP/1.1\nHost: {host}")
}

/// The browser is back with an answer. `Err` if it answers no question of this walk, which stays as it is.
pub fn take_answer(walk: &mut Walk, issuer: &str, path_and_query: &str) -> Result<(), Unexpected> {
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    let form = Form::parse(query.as_bytes()).map_err(|_| Unexpected)?;
    if walk.state.is_empty() || form.one("state") != Some(&walk.state) {
        return Err(Unexpected);
    }
    if walk.next != Next::Press(Step::SignIn) {
        return Ok(()); // the page was loaded again
    }
    let explain = format!(
        "The application drew the secret {} and sent its SHA-256 along as code_challenge; the browser came back with \
         the answer.",
        walk.verifier
    );
    let bytes = (redirect(&walk.sent_to), returned(issuer, path_and_query));
    walk.did(Step::SignIn.words().title, explain, (&bytes.0, &bytes.1));
    if form.one("iss") != Some(issuer) {
        walk.stop("The answer says that it comes from another server (iss), so the application throws it away.");
        return Ok(());
    }
    match form.one("code") {
        Some(code) => {
            walk.code = code.to_owned();
            walk.pass(Step::SignIn);
        }
        None => walk.stop("The server gave no code, so the walk ends here; its answer stands above."),
    }
    Ok(())
}

/// An answer that fits no question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unexpected;

/// Takes a step that needs no browser.
pub async fn take(walk: &mut Walk, step: Step, issuer: &str, now: UnixTime) -> Result<(), WireError> {
    match step {
        Step::Exchange => return exchange(walk, issuer, now).await,
        Step::Introspect => introspect(walk, step, issuer).await?,
        Step::Userinfo => userinfo(walk, issuer).await?,
        Step::Refresh => refresh(walk, issuer).await?,
        Step::Revoke => revoke(walk, issuer).await?,
        Step::IntrospectAgain => introspect(walk, step, issuer).await?,
        Step::Discover | Step::SignIn | Step::SignOut => return Ok(()), // begun elsewhere, or through the browser
    }
    walk.pass(step);
    Ok(())
}

async fn exchange(walk: &mut Walk, issuer: &str, now: UnixTime) -> Result<(), WireError> {
    let callback = callback_url(issuer);
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &walk.code),
        ("redirect_uri", &callback),
        ("client_id", PUBLIC_CLIENT),
        ("code_verifier", &walk.verifier),
    ];
    let exchange = wire::post(issuer, &walk.endpoints.token, None, &fields).await?;
    let title = Step::Exchange.words().title;
    let Some(tokens) = walk.tokens.read(&exchange.json()) else {
        walk.did(title, "The server refused.", both(&exchange));
        walk.stop("Without tokens there is no way on, so the walk ends here; the server's answer stands above.");
        return Ok(());
    };
    let decoded = tokens.id.as_deref().and_then(decode_id_token);
    walk.tokens = tokens;
    let explain = "The access token is opaque: it says nothing to anybody but the server. The ID token is for the \
                   application and says who signed in.";
    walk.did(title, explain, both(&exchange));
    let Some((text, claims)) = decoded else {
        walk.stop("There is no ID token that could be read, so the walk ends here.");
        return Ok(());
    };
    if let Some(step) = walk.done.last_mut() {
        step.decoded = Some(Decoded { title: "The ID token, decoded".into(), text });
    }
    match wrong_with(&claims, (issuer, PUBLIC_CLIENT), &walk.nonce, now.0) {
        Some(wrong) => walk.stop(format!("The application refuses the ID token: {wrong}.")),
        None => walk.pass(Step::Exchange),
    }
    Ok(())
}

async fn introspect(walk: &mut Walk, step: Step, issuer: &str) -> Result<(), WireError> {
    let basic = STANDARD.encode(format!("{RESOURCE_SERVER}:{RESOURCE_SERVER_SECRET}"));
    let authorization = format!("Basic {basic}");
    let fields = [("token", walk.tokens.access.as_str())];
    let exchange = wire::post(issuer, &walk.endpoints.introspection, Some(&authorization), &fields).await?;
    let explain = match exchange.json().get("active").and_then(Value::as_bool) {
        Some(true) => "Active: the API learns whose token it is, for which client, with which scopes, and serves.",
        Some(false) => "Inactive, at once: the API refuses, and is told nothing more.",
        None => "The server gave no verdict.",
    };
    walk.did(step.words().title, explain, both(&exchange));
    Ok(())
}

async fn userinfo(walk: &mut Walk, issuer: &str) -> Result<(), WireError> {
    let authorization = format!("Bearer {}", walk.tokens.access);
    let exchange = wire::get(issuer, &walk.endpoints.userinfo, Some(&authorization)).await?;
    let explain = if exchange.status == 200 {
        "What scopes profile and email open, as the person agreed."
    } else {
        "The server refused."
    };
    walk.did(Step::Userinfo.words().title, explain, both(&exchange));
    Ok(())
}

async fn refresh(walk: &mut Walk, issuer: &str) -> Result<(), WireError> {
    let token = walk.tokens.refresh.clone().unwrap_or_default();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("client_id", PUBLIC_CLIENT)];
    let exchange = wire::post(issuer, &walk.endpoints.token, None, &fields).await?;
    let explain = match walk.tokens.read(&exchange.json()) {
        Some(tokens) => {
            walk.tokens = tokens;
            "New tokens, without asking the person. The refresh token before this one is used up."
        }
        None => "The server gave no new tokens; the application goes on with those it has.",
    };
    walk.did(Step::Refresh.words().title, explain, both(&exchange));
    Ok(())
}

async fn revoke(walk: &mut Walk, issuer: &str) -> Result<(), WireError> {
    let (token, hint, explain) = match &walk.tokens.refresh {
        Some(refresh) => (
            refresh,
            "refresh_token",
            "Once this answer is here, no token of the sign-in is alive anywhere. The session at the server and what was agreed to live on.",
        ),
        None => (&walk.tokens.access, "access_token", "Once this answer is here, the token is dead everywhere."),
    };
    let fields = [("token", token.as_str()), ("token_type_hint", hint), ("client_id", PUBLIC_CLIENT)];
    let exchange = wire::post(issuer, &walk.endpoints.revocation, None, &fields).await?;
    let explain = if exchange.status == 200 { explain } else { "The server refused." };
    walk.did(Step::Revoke.words().title, explain, both(&exchange));
    Ok(())
}

/// The address the browser goes to for signing out; `None` where the server has none.
pub fn sign_out(walk: &mut Walk, issuer: &str) -> Option<String> {
    let endpoint = walk.endpoints.end_session.clone()?;
    walk.state = URL_SAFE_NO_PAD.encode(random::bytes::<32>());
    let home = format!("{issuer}/demo");
    let mut fields = vec![("client_id", PUBLIC_CLIENT), ("post_logout_redirect_uri", &home), ("state", &walk.state)];
    if let Some(id) = &walk.tokens.id {
        fields.push(("id_token_hint", id));
    }
    walk.sent_to = format!("{endpoint}?{}", query(&fields));
    Some(walk.sent_to.clone())
}

/// The browser is back from signing out, if that is what this is.
pub fn take_signed_out(walk: &mut Walk, issuer: &str, path_and_query: &str) -> Result<(), Unexpected> {
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    let form = Form::parse(query.as_bytes()).map_err(|_| Unexpected)?;
    let expected = walk.next == Next::Press(Step::SignOut) && form.one("state") == Some(&walk.state);
    if !expected {
        return Err(Unexpected);
    }
    let explain = "The session at the server is over; the next sign-in asks for the password again.";
    let bytes = (redirect(&walk.sent_to), returned(issuer, path_and_query));
    walk.did(Step::SignOut.words().title, explain, (&bytes.0, &bytes.1));
    walk.pass(Step::SignOut);
    Ok(())
}

#[cfg(test)]
mod tests;
