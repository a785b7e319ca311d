//! refresh_token (RFC 6749 §6): tokens again, from a refresh token.
//!
//! Holds: public clients get a new refresh token each time, others if they are set to; a retry gets the same one
//! again; a copy cuts the grant (RFC 9700 §4.14.2). Scope and resource narrow, never widen, and a refused wish uses
//! nothing up, nor does one by a client that may have nothing of it today. What was granted does not change: a narrowed
//! access token leaves the refresh token as wide as it was.

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Guard;
use opalid_core::ids::GrantId;
use opalid_core::refresh::{self, Presentation, Successor, Wish};
use opalid_core::request::{GrantType, RefreshTokenRequest};
use opalid_core::scope::OpenIdScope;
use opalid_core::token::{PresentedToken, Refresh, RowSecret};
use opalid_store::steps::refresh::{Candidate, GoesOnWith, NewChain, Redeemed, Refresh as UseToken, Refreshed};
use opalid_store::steps::standing::NewGrant;

use crate::http::call::Call;
use crate::http::client_auth::AuthenticatedClient;
use crate::http::reply;
use crate::metrics::Minted;
use crate::oauth::token::mint::{self, IdTokenWish, Minting};
use crate::random;

const ENDED: &str = "what this refresh token was given for has ended";
const UNKNOWN: &str = "this refresh token is not known: it was never given out here, or to another client";

/// What the refresh token gives.
pub async fn entitle(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    request: RefreshTokenRequest<'_>,
) -> Result<Minting, OAuthError> {
    let opened = call.issuer.row_sealer.open_row::<Refresh>(PresentedToken::new(request.refresh_token));
    let presented = opened.map_err(|unopened| refused(UNKNOWN).because(format!("{unopened:?}")))?;
    let successors = successors(call, &presented);
    let wish = wish(call, client, &request).await?;
    let step = UseToken {
        stamp: call.app.stamp(call.issuer.id(), format!("client {}", client.client_id)),
        client: client.id,
        presented: Presentation::of(&presented),
        candidates: successors.iter().map(|(key_number, next)| candidate(*key_number, next)).collect(),
        rotates: client.rotates_refresh_tokens(),
        limits: call.issuer.refresh_limits(),
        open: mint::open(call, client, &wish.resources).await?,
        wish,
        fresh: NewGrant { id: GrantId::from_bytes(call.app.new_id()), guard: Guard::new(random::bytes()) },
    };
    let redeemed = call.app.store.run(step).await.map_err(|error| reply::outage(&error))?;
    let Refreshed { grant, number, entitlement, facts, goes_on_with } = *good(call, redeemed).await?;
    let store = &call.app.store;
    // After the step: whatever has ended a lineage is final, so what was used up is of no use any more.
    let judged = store
        .judge_lineage(call.issuer.id(), &grant.descent.lineage(), call.now)
        .await
        .map_err(|error| reply::outage(&error))?;
    judged.map_err(|reason| refused(ENDED).because(reason))?;
    let id_token = IdTokenWish::new(&grant, &facts, None);
    let remembered = mint::hang_from(call, &grant, number).await?.ok_or_else(|| refused(ENDED))?;
    let today = mint::today(call, (client, grant.user()), &entitlement).await?;
    let refresh_token = match goes_on_with {
        GoesOnWith::Same => request.refresh_token.to_owned(),
        GoesOnWith::Successor { key_number } => {
            let next = successors.into_iter().find(|(number, _)| *number == key_number);
            let (_, next) = next.ok_or_else(|| OAuthError::new(ErrorCode::ServerError, "no such refresh key"))?;
            seal(call, &next.secret, next.nonce)
        }
    };
    Ok(Minting { grant: remembered, number, entitlement: today, id_token, refresh_token: Some(refresh_token) })
}

/// The first refresh token of a grant, for a client that may use it: its chain, and what to call when that stands.
pub fn first(call: &Call<'_>, client: &AuthenticatedClient) -> Option<(NewChain, RowSecret<Refresh>)> {
    let key = call.issuer.refresh_keys.first().filter(|_| client.may_use(GrantType::RefreshToken))?;
    let secret = RowSecret::new(call.app.new_id(), refresh::FIRST_GENERATION, random::bytes());
    let Presentation { chain, digest, .. } = Presentation::of(&secret);
    let expires_at = call.now.plus(call.issuer.settings().refresh_absolute);
    Some((NewChain { id: chain, first: digest, key_number: key.number, expires_at }, secret))
}

/// The token of a chain's secret.
pub fn seal(call: &Call<'_>, secret: &RowSecret<Refresh>, nonce: [u8; 12]) -> String {
    call.app.metrics.minted.count(Minted::Refresh);
    call.issuer.row_sealer.seal_row(secret, nonce)
}

/// What follows under each refresh key, the current one first.
fn successors(call: &Call<'_>, presented: &RowSecret<Refresh>) -> Vec<(u8, Successor)> {
    let keys = call.issuer.refresh_keys.iter();
    keys.filter_map(|key| Some((key.number, refresh::successor(&key.bytes, presented)?))).collect()
}

fn candidate(key_number: u8, next: &Successor) -> Candidate {
    Candidate { key_number, digest: next.secret.digest() }
}

/// What is asked for by name.
async fn wish(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    request: &RefreshTokenRequest<'_>,
) -> Result<Wish, OAuthError> {
    let may_ask = |name: &str| {
        OpenIdScope::from_wire(name).is_some() || client.settings.access.values().any(|scopes| scopes.contains(name))
    };
    let unknown = request.scope.filter(|name| !may_ask(name));
    let resources = mint::named(call, client, &request.resources).await?;
    Ok(Wish { scope: request.scope.clone(), resources, unknown })
}

async fn good(call: &Call<'_>, redeemed: Redeemed) -> Result<Box<Refreshed>, OAuthError> {
    Err(match redeemed {
        Redeemed::Good(refreshed) => return Ok(refreshed),
        Redeemed::Reused(grant) => {
            refused("this refresh token was used before; everything from this sign-in was revoked")
                .because(format!("a copy of a refresh token cut grant {grant}"))
        }
        Redeemed::Unknown => refused(UNKNOWN),
        Redeemed::NotYours => refused(UNKNOWN).because("another client's"),
        Redeemed::Expired => refused("this refresh token has expired; the person has to sign in again"),
        Redeemed::Dead => refused(ENDED).because("its grant was cut"),
        Redeemed::NotGranted(what) => mint::not_granted(call, &what).await,
        Redeemed::Narrowed => mint::nothing_left(),
        Redeemed::Full => {
            let description = "this sign-in was asked for too many different combinations of scopes: ask without scope, \
                               for a combination it had before, or sign the person in again";
            OAuthError::new(ErrorCode::InvalidScope, description)
        }
    })
}

fn refused(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, description)
}
