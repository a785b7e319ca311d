//! Token revocation (RFC 7009).
//!
//! Takes: a token, an optional hint, an authenticated client; `Prefer: respond-async` (RFC 7240) of who does not wait.
//! Gives: 200 and an empty body, for unknown tokens too (§2.2); an encrypted token cannot be opened here, and is refused. To who
//! does not wait 202, and where the change stands; verifiers may believe the token for a lease yet.
//! Holds: once this returns 200, no check anywhere that begins afterwards says `active` for the token; a store that fails is
//! 503, never "done"; only the client's own tokens; a repeated revocation writes nothing. A JWT that does not verify
//! (its issuer's URL has changed since, or its key was revoked) is killed by its `jti` all the same. A killed token's row is kept
//! for a day beyond its end: a clock that runs more than a day ahead of that end and is then set back is the limit.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, StatusCode};
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::ids::ChainId;
use opalid_core::lease::Position;
use opalid_core::request::RevocationRequest;
use opalid_core::token::{PresentedToken, Refresh};
use opalid_store::Step;
use opalid_store::steps::refresh::FindChain;
use opalid_store::steps::revoke::{CutGrant, FollowFeed, KILLED_KEPT, KillLimits, KillToken};
use serde_json::Value;

use crate::http::call::Call;
use crate::http::client_auth::{self, AuthenticatedClient};
use crate::http::reply::{self, Reply};
use crate::metrics::Revoked;
use crate::presented::Revocable;

/// POST /revoke.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    match answer(call).await {
        Ok(done) => done.reply(),
        Err(error) => reply::oauth_error(&error, &call.issuer.url),
    }
}

/// Where the change stands, among all that were ever made in this store.
const POSITION: HeaderName = HeaderName::from_static("opalid-position");
/// Whether nobody believes the token any more.
const SETTLED: HeaderName = HeaderName::from_static("opalid-settled");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const ASYNC: &str = "respond-async";

/// What was done.
enum Outcome {
    /// There was nothing to do.
    Nothing,
    /// It is dead everywhere.
    Settled(Position),
    /// It is dead here; others may believe it for a while.
    Unsettled(Position),
}

impl Outcome {
    fn reply(self) -> Reply {
        let (at, status, settled) = match self {
            Self::Nothing => return reply::empty(StatusCode::OK),
            Self::Settled(at) => (at, StatusCode::OK, "true"),
            Self::Unsettled(at) => (at, StatusCode::ACCEPTED, "false"),
        };
        let mut reply = reply::empty(status);
        let headers = reply.headers_mut();
        if let Ok(position) = HeaderValue::from_str(&format!("{:032x}.{}", at.incarnation.0, at.n)) {
            headers.insert(POSITION, position);
        }
        headers.insert(SETTLED, HeaderValue::from_static(settled));
        if status == StatusCode::ACCEPTED {
            headers.insert(PREFERENCE_APPLIED, HeaderValue::from_static(ASYNC));
        }
        reply
    }
}

/// Whether the caller does not wait for others (RFC 7240 §4.1).
fn is_impatient(call: &Call<'_>) -> bool {
    let preferences = call.parts.headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    let mut named = preferences.flat_map(|list| list.split(',')).map(|one| one.split([';', '=']).next().unwrap_or(one));
    named.any(|name| name.trim().eq_ignore_ascii_case(ASYNC))
}

/// Runs a revoking step, and waits until it is settled unless its caller does not.
async fn revoke<S: Step>(call: &Call<'_>, step: S) -> Result<Outcome, OAuthError> {
    let store = &call.app.store;
    let done = store.run_unsettled(step).await.map_err(|error| reply::outage(&error))?;
    let Some(change) = done.unsettled else { return Ok(Outcome::Nothing) };
    if is_impatient(call) {
        return Ok(Outcome::Unsettled(change.at));
    }
    store.settle(change).await.map_err(|error| reply::outage(&error))?;
    Ok(Outcome::Settled(change.at))
}

async fn answer(call: &Call<'_>) -> Result<Outcome, OAuthError> {
    let form = call.form()?;
    let client = client_auth::authenticate(call, &form).await?;
    let request = RevocationRequest::parse(&form)?;
    if let Some(token) = Revocable::open(call.issuer, request.token) {
        return access_token(call, &client, &token).await;
    }
    if let Ok(secret) = call.issuer.row_sealer.open_row::<Refresh>(PresentedToken::new(request.token)) {
        return refresh_token(call, &client, ChainId::from_bytes(secret.row)).await;
    }
    if is_encrypted(request.token) {
        let description = "an encrypted access token cannot be revoked, for its resource server alone can open it: revoke the refresh token, or \
                           have whoever runs this server cut its grant";
        return Err(OAuthError::new(ErrorCode::UnsupportedTokenType, description));
    }
    Ok(Outcome::Nothing)
}

/// Whether it has the form of a JWE (RFC 7516 §7.1). Only its reader can open it.
fn is_encrypted(token: &str) -> bool {
    let mut parts = token.split('.');
    let header = parts.next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header = header.and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    parts.count() == 4 && header.is_some_and(|header| header.get("enc").is_some())
}

async fn access_token(call: &Call<'_>, client: &AuthenticatedClient, token: &Revocable) -> Result<Outcome, OAuthError> {
    let store = &call.app.store;
    let workspace = call.issuer.id();
    let sealed = &token.sealed;
    let remembered = store.memory().trust().and_then(|memory| memory.grant(sealed.grant));
    let grant = match remembered {
        Some(grant) => Some(grant),
        None => store
            .load_evidence(workspace, sealed.grant)
            .await
            .map_err(|error| reply::outage(&error))?
            .map(|found| found.grant),
    };
    // Gone with what it hung from: others must know of that, too.
    let Some(grant) = grant else { return revoke(call, FollowFeed).await };
    if !grant.grant.guard.matches(&sealed.guard) {
        return Ok(Outcome::Nothing);
    }
    if let Err(anothers) = not_anothers(client, grant.grant.client()) {
        return if token.verified { Err(anothers) } else { Ok(Outcome::Nothing) };
    }
    // One that has expired is killed too: the clock may step back, by less than its row is kept.
    if call.now >= sealed.expires_at.plus(KILLED_KEPT) {
        return Ok(Outcome::Nothing);
    }
    let stamp = call.app.stamp(workspace, format!("client {}", client.client_id));
    let (grant, epoch, jti, expires_at) = (sealed.grant, sealed.epoch, token.jti, sealed.expires_at);
    let step = KillToken { stamp, grant, epoch, jti, expires_at, limits: KillLimits::default() };
    let outcome = revoke(call, step).await?;
    call.app.metrics.revocations.count(Revoked::Token);
    Ok(outcome)
}

/// Any token of a chain, an older one too: its grant is cut, so every token that came of it dies (§2.1).
async fn refresh_token(call: &Call<'_>, client: &AuthenticatedClient, id: ChainId) -> Result<Outcome, OAuthError> {
    let store = &call.app.store;
    let workspace = call.issuer.id();
    let chain = store.read(FindChain { workspace, id }).await.map_err(|error| reply::outage(&error))?;
    let Some(chain) = chain else { return revoke(call, FollowFeed).await };
    not_anothers(client, chain.client)?;
    let stamp = call.app.stamp(workspace, format!("client {}", client.client_id));
    let (grant, of_epoch) = (chain.grant, Some(chain.grant_epoch));
    let step = CutGrant { stamp, grant, of_epoch, reason: "its refresh token was revoked" };
    let outcome = revoke(call, step).await?;
    call.app.metrics.revocations.count(Revoked::Grant);
    Ok(outcome)
}

/// A token of another client is refused, and the caller is told (§2.1).
fn not_anothers(client: &AuthenticatedClient, of: opalid_core::ids::ClientId) -> Result<(), OAuthError> {
    if client.id == of {
        return Ok(());
    }
    Err(OAuthError::new(ErrorCode::InvalidGrant, "this token was issued to another client"))
}
