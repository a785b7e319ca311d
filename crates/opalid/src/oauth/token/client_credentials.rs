//! client_credentials (RFC 6749 §4.4): the client asks for itself.
//!
//! Holds: no write per token; all of a client's tokens hang from its standing grant, and each may do what
//! one of that grant's entitlements says.

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Guard;
use opalid_core::ids::GrantId;
use opalid_core::request::ClientCredentialsRequest;
use opalid_store::Outage;
use opalid_store::check::StandingPlace;
use opalid_store::memory::StandingKey;
use opalid_store::steps::standing::{NewGrant, StandingEntitlement};

use crate::entitle;
use crate::http::call::Call;
use crate::http::client_auth::AuthenticatedClient;
use crate::http::reply;
use crate::oauth::token::mint::Minting;
use crate::random;

/// What the client gets.
pub async fn entitle(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    request: ClientCredentialsRequest,
) -> Result<Minting, OAuthError> {
    if client.is_public() {
        let description = "a public client cannot ask for itself: it proves nothing";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    }
    let entitle::OfClient { granted: entitlement, today } = entitle::for_client_alone(call, client, &request).await?;
    let epochs = (call.issuer.workspace().epoch, client.epoch);
    let key = StandingKey { client: client.id, epochs, entitlement };
    let known = call.app.store.find_standing(call.issuer.id(), &key, call.now).await;
    let standing = match known.map_err(|error| reply::outage(&error))? {
        Some(known) => Some(known),
        None => Box::pin(make(call, client, &key)).await.map_err(|error| reply::outage(&error))?,
    };
    let entitlement = today.unwrap_or(key.entitlement);
    let (grant, number) = standing.ok_or_else(|| {
        let description = "this client has asked for too many different combinations of scopes: ask for one it had before; \
                           whoever runs this server can clear them: opalid revoke client";
        OAuthError::new(ErrorCode::InvalidScope, description)
    })?;
    Ok(Minting { grant, number, entitlement, id_token: None, refresh_token: None })
}

async fn make(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    key: &StandingKey,
) -> Result<Option<StandingPlace>, Outage> {
    let fresh = || NewGrant { id: GrantId::from_bytes(call.app.new_id()), guard: Guard::new(random::bytes()) };
    let step = StandingEntitlement {
        stamp: call.app.stamp(call.issuer.id(), format!("client {}", client.client_id)),
        client: client.id,
        epochs: key.epochs,
        entitlement: key.entitlement.clone(),
        fresh: [fresh(), fresh()],
    };
    call.app.store.make_standing(step).await
}
