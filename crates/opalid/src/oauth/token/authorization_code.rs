//! authorization_code (RFC 6749 §4.1.3): a code, once.
//!
//! Holds: an access token for fewer resources leaves the refresh token as wide as what was granted (RFC 8707 §2.2).

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Guard;
use opalid_core::ids::{CodeId, GrantId};
use opalid_core::refresh::Wish;
use opalid_core::request::AuthorizationCodeRequest;
use opalid_core::token::{Code, PresentedToken};
use opalid_store::steps::code::{RedeemCode, RedeemedCode, Redemption};
use opalid_store::steps::refresh::NewChain;
use opalid_store::steps::standing::NewGrant;

use crate::http::call::Call;
use crate::http::client_auth::AuthenticatedClient;
use crate::http::reply;
use crate::oauth::token::mint::{self, IdTokenWish, Minting};
use crate::oauth::token::refresh_token;
use crate::random;

/// What the code gives.
pub async fn entitle(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    request: AuthorizationCodeRequest<'_>,
) -> Result<Minting, OAuthError> {
    let first = refresh_token::first(call, client);
    let redemption = redeem(call, client, request, first.as_ref().map(|(chain, _)| *chain)).await?;
    let Redemption { grant, number, facts, binding, entitlement } = *redemption;
    let store = &call.app.store;
    let judged = store
        .judge_lineage(call.issuer.id(), &grant.descent.lineage(), call.now)
        .await
        .map_err(|error| reply::outage(&error))?;
    judged.map_err(|reason| refused("what this code was given for has ended").because(reason))?;
    let remembered = mint::hang_from(call, &grant, number).await?;
    let remembered = remembered.ok_or_else(|| refused("what this code was given for has ended"))?;
    let id_token = IdTokenWish::new(&grant, &facts, binding.nonce);
    let refresh_token = first.map(|(_, secret)| refresh_token::seal(call, &secret, random::bytes()));
    let entitlement = mint::today(call, (client, grant.user()), &entitlement).await?;
    Ok(Minting { grant: remembered, number, entitlement, id_token, refresh_token })
}

async fn redeem(
    call: &Call<'_>,
    client: &AuthenticatedClient,
    request: AuthorizationCodeRequest<'_>,
    chain: Option<NewChain>,
) -> Result<Box<Redemption>, OAuthError> {
    let unknown =
        || refused("this code is not known; codes work once, for a minute, for the client they were given to");
    let opened = call.issuer.row_sealer.open_row::<Code>(PresentedToken::new(request.code));
    let secret = opened.map_err(|unopened| unknown().because(format!("{unopened:?}")))?;
    let wish = Wish { resources: mint::named(call, client, &request.resources).await?, ..Wish::default() };
    let step = RedeemCode {
        stamp: call.app.stamp(call.issuer.id(), format!("client {}", client.client_id)),
        id: CodeId::from_bytes(secret.row),
        digest: secret.digest(),
        client: client.id,
        redirect_uri: request.redirect_uri.map(str::to_owned),
        verifier: request.code_verifier,
        open: mint::open(call, client, &wish.resources).await?,
        wish,
        chain,
        fresh: NewGrant { id: GrantId::from_bytes(call.app.new_id()), guard: Guard::new(random::bytes()) },
    };
    match call.app.store.redeem(step).await.map_err(|error| reply::outage(&error))? {
        RedeemedCode::Fresh(redemption) => Ok(redemption),
        RedeemedCode::Replayed => Err(refused("this code was used before; everything that came of it was revoked")),
        RedeemedCode::Unknown => Err(unknown()),
        RedeemedCode::Expired => Err(refused("this code has expired")),
        RedeemedCode::Dead => Err(refused("what this code was given for has ended")),
        RedeemedCode::Unbound(unbound) => Err(refused(unbound.to_string())),
        RedeemedCode::NotGranted(what) => Err(mint::not_granted(call, &what).await),
        RedeemedCode::Narrowed => Err(mint::nothing_left()),
    }
}

fn refused(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, description)
}
