//! The access token: a sealed reference, or a JWT (RFC 9068) where the settings say so.
//!
//! Takes: the grant that it hangs from, and what it may do today.
//! Gives: the token, and how long it lives.
//! Holds: a JWT says what it may do today and not a name more at any of its audiences; where one list of scopes cannot
//! say that of several resources (RFC 9068 §5), or it would be too long to be read back, the token is opaque.

use opalid_core::claims::{ClaimPlace, naming_roles};
use opalid_core::client::Client;
use opalid_core::error::OAuthError;
use opalid_core::grant::{Authentication, EntitlementNo, Grant};
use opalid_core::jwt::{AccessTokenClaims, Audience, MAX_JWS_LENGTH, SigningAlgorithm, TYP_ACCESS_TOKEN};
use opalid_core::scope::Scopes;
use opalid_core::time::Seconds;
use opalid_core::token::{Access, AccessJwt, Jti, Sealed};
use opalid_core::token_settings::{AccessTokenFormat, Terms};

use super::mint::Today;
use crate::http::call::Call;
use crate::metrics::Minted;
use crate::presented;
use crate::random;
use crate::shown_claims::{self, About};
use crate::signing;

/// What a token is made of.
pub struct AccessTokenWish<'a> {
    /// What it hangs from.
    pub grant: &'a Grant,
    /// Which of the grant's entitlements it carries.
    pub number: EntitlementNo,
    /// What of that is allowed today.
    pub today: &'a Today,
    /// How the person was authenticated.
    pub authentication: Option<&'a Authentication>,
}

/// Makes one; gives it with how long it lives.
pub async fn make(
    call: &Call<'_>,
    client: &Client,
    wish: &AccessTokenWish<'_>,
    terms: &Terms<'_>,
) -> Result<(String, Seconds), OAuthError> {
    if terms.format().0 == AccessTokenFormat::Jwt
        && let Some(audience) = said(call, wish)
    {
        let valid_for = terms.valid_for(AccessTokenFormat::Jwt).value;
        let sealed = sealed(call, wish, valid_for);
        if let Some(token) = jwt(call, client, wish, (audience, sealed, terms.access_token_signing_alg().value)).await?
        {
            call.app.metrics.minted.count(Minted::AccessJwt);
            return Ok((token, valid_for));
        }
    }
    let valid_for = terms.valid_for(AccessTokenFormat::Opaque).value;
    call.app.metrics.minted.count(Minted::Access);
    let token = call.issuer.sealer.seal::<Access>(&sealed(call, wish, valid_for), Jti(random::bytes()));
    Ok((token, valid_for))
}

fn sealed(call: &Call<'_>, wish: &AccessTokenWish<'_>, valid_for: Seconds) -> Sealed {
    Sealed {
        grant: wish.grant.id,
        guard: wish.grant.guard,
        entitlement: wish.number,
        epoch: wish.grant.epoch,
        issued_at: call.now,
        expires_at: call.now.plus(valid_for),
        confirmation: None,
    }
}

/// A JWT, encrypted where its resource wants that; `None` where it would be longer than any that we read.
async fn jwt(
    call: &Call<'_>,
    client: &Client,
    wish: &AccessTokenWish<'_>,
    (audience, sealed, algorithm): (Audience, Sealed, SigningAlgorithm),
) -> Result<Option<String>, OAuthError> {
    let about = About { client, user: wish.grant.user(), authentication: wish.authentication };
    let declared = shown_claims::in_jwt(call, ClaimPlace::AccessToken, &everywhere(wish.today), about).await?;
    let Some(declared) = declared else { return Ok(None) };
    let subject = wish.grant.user().map(|user| user.to_string());
    let claims = AccessTokenClaims {
        iss: call.issuer.url.clone(),
        sub: subject.unwrap_or_else(|| client.client_id.clone()),
        aud: audience,
        client_id: client.client_id.clone(),
        exp: sealed.expires_at,
        iat: sealed.issued_at,
        jti: call.issuer.sealer.seal::<AccessJwt>(&sealed, Jti(random::bytes())),
        scope: wish.today.entitlement.scope(),
        auth_time: wish.authentication.map(|how| how.auth_time),
        acr: wish.authentication.map(|how| how.acr.clone()),
        amr: wish.authentication.map(|how| how.amr.clone()).unwrap_or_default(),
        role_claims: naming_roles(&call.issuer.settings().claims, &declared),
        declared,
    };
    let token = signing::sign(call.issuer, algorithm, TYP_ACCESS_TOKEN, &claims)?;
    if token.len() > MAX_JWS_LENGTH {
        // The code or refresh token is used up: an error now would cost the person the sign-in.
        let (client, bytes) = (&client.client_id, token.len());
        tracing::warn!(%client, bytes, "a JWT would be longer than 8 KiB: the access token is opaque");
        return Ok(None);
    }
    match wish.today.resources.as_slice() {
        [only] => signing::encrypted_if(only.settings.jwks.as_ref(), only.settings.encryption(), token).map(Some),
        _ => Ok(Some(token)),
    }
}

/// The scopes that a token has at each of its audiences, which all read all of its claims.
fn everywhere(today: &Today) -> Scopes {
    let mut at_each = today.entitlement.resources.iter().map(|(_, scopes)| scopes);
    let first = at_each.next().cloned().unwrap_or_default();
    today.entitlement.openid.union(&at_each.fold(first, |common, scopes| common.intersect(scopes)))
}

/// The audience of a JWT that can say what it may do; `None` where it would say more.
fn said(call: &Call<'_>, wish: &AccessTokenWish<'_>) -> Option<Audience> {
    let uris: Vec<&str> = wish.today.resources.iter().map(|resource| resource.uri.as_str()).collect();
    let scope = wish.today.entitlement.scope();
    let exact = presented::carries_no_more((&scope, &uris), &call.issuer.url, wish.today);
    exact.then(|| Audience::new(uris.into_iter().map(str::to_owned).collect(), &call.issuer.url))
}
