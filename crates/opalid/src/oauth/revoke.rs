//! Token revocation (RFC 7009).
//!
//! Takes: a token, an optional hint, an authenticated client.
//! Gives: 200 and an empty body, for unknown tokens too (§2.2).
//! Holds: once this returns, no answer of this server says `active` for the token; a store that fails is
//! 503, never "done"; only the client's own tokens.

use http::StatusCode;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::request::RevocationRequest;
use opalid_core::token::{Access, PresentedToken, Reference};
use opalid_store::steps::revoke::KillToken;

use crate::http::call::Call;
use crate::http::client_auth::{self, AuthenticatedClient};
use crate::http::reply::{self, Reply};

/// POST /revoke.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    match answer(call).await {
        Ok(()) => reply::empty(StatusCode::OK),
        Err(error) => reply::oauth_error(&error, &call.issuer.url),
    }
}

async fn answer(call: &Call<'_>) -> Result<(), OAuthError> {
    let form = call.form()?;
    let client = client_auth::authenticate(call, &form).await?;
    let request = RevocationRequest::parse(&form)?;
    let token = PresentedToken::new(request.token);
    if let Ok(reference) = call.issuer.sealer.open::<Access>(token) {
        return access_token(call, &client, &reference).await;
    }
    Ok(())
}

async fn access_token(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    reference: &Reference<Access>,
) -> Result<(), OAuthError> {
    let store = &call.app.store;
    let workspace = call.issuer.id();
    let sealed = &reference.sealed;
    let remembered = store.memory().trust().and_then(|memory| memory.grant(sealed.grant));
    let grant = match remembered {
        Some(grant) => Some(grant),
        None => store
            .load_evidence(workspace, sealed.grant)
            .await
            .map_err(|error| reply::outage(&error))?
            .map(|found| found.grant),
    };
    let Some(grant) = grant.filter(|grant| grant.grant.guard.matches(&sealed.guard)) else { return Ok(()) };
    not_anothers(client, grant.grant.client)?;
    if call.now >= sealed.expires_at {
        return Ok(());
    }
    let stamp = call.app.stamp(workspace, format!("client {}", client.client_id));
    let step = KillToken { stamp, grant: sealed.grant, jti: reference.jti, expires_at: sealed.expires_at };
    store.run(step).await.map(drop).map_err(|error| reply::outage(&error))
}

/// A token of another client is refused, and the caller is told (§2.1).
fn not_anothers(client: &AuthenticatedClient, of: opalid_core::ids::ClientId) -> Result<(), OAuthError> {
    if client.id == of {
        return Ok(());
    }
    Err(OAuthError::new(ErrorCode::InvalidGrant, "this token was issued to another client"))
}
