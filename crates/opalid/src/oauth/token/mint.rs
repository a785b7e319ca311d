//! Minting: the one place where tokens are made.
//!
//! Takes: a grant and what was decided. Gives: the token answer (RFC 6749 §5.1), always with `scope`.

use std::sync::Arc;

use opalid_core::claims::ClaimPlace;
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::{Authentication, Entitlement, EntitlementNo, Grant};
use opalid_core::ids::{ResourceId, SessionId, UserId};
use opalid_core::jwt::{IdTokenClaims, MAX_JWS_LENGTH, TYP_JWT, at_hash};
use opalid_core::refresh::NotGranted;
use opalid_core::resource_uri::ResourceUri;
use opalid_core::scope::OpenIdScope;
use opalid_core::time::Seconds;
use opalid_core::token_settings::{ResourceTerms, Terms};
use opalid_store::check::Effective;
use opalid_store::memory::RememberedGrant;
use opalid_store::steps::evidence::GrantFacts;
use opalid_store::steps::role::Open;
use serde_json::{Map, Value};

use crate::entitle;
use crate::http::call::Call;
use crate::http::json::JsonObject;
use crate::http::reply;
use crate::metrics::Minted;
use crate::oauth::token::access_token::{self, AccessTokenWish};
use crate::shown_claims::{self, About};
use crate::signing;

/// What a grant type decided.
pub struct Minting {
    /// What the token hangs from.
    pub grant: Arc<RememberedGrant>,
    /// Which of its entitlements.
    pub number: EntitlementNo,
    /// What of that is allowed today.
    pub today: Today,
    /// For an ID token, if there is a person and `openid` was granted.
    pub id_token: Option<IdTokenWish>,
    /// The refresh token to go on with, already sealed.
    pub refresh_token: Option<String>,
}

/// The grant that a token is to hang from, as a transaction saw it; `None` if it was cut since, because a token
/// minted with today's epoch would outlive that.
pub async fn hang_from(
    call: &Call<'_>,
    seen: &Grant,
    number: EntitlementNo,
) -> Result<Option<Arc<RememberedGrant>>, OAuthError> {
    let store = &call.app.store;
    let fits =
        |found: &Arc<RememberedGrant>| found.grant.epoch == seen.epoch && found.grant.entitlement(number).is_some();
    if let Some(known) = store.memory().trust().and_then(|memory| memory.grant(seen.id)).filter(fits) {
        return Ok(Some(known));
    }
    let read = store.load_evidence(call.issuer.id(), seen.id).await.map_err(|error| reply::outage(&error))?;
    Ok(read.map(|evidence| evidence.grant).filter(fits))
}

/// What a token may do on the day that it is minted.
pub type Today = Effective<'static>;

/// What of a grant its client may have today. It had something left when the grant was looked at ([`open`]).
pub async fn today(
    call: &Call<'_>,
    (client, user): (&Client, Option<UserId>),
    given: &Entitlement,
) -> Result<Today, OAuthError> {
    let effective = call.app.store.effective((client, user), given).await.map_err(|error| reply::outage(&error))?;
    effective.map(Effective::into_owned).ok_or_else(nothing_left)
}

/// The resources that a client may ask for today: of those that were named, or of all.
pub async fn open(call: &Call<'_>, client: &Client, named: &[ResourceId]) -> Result<Open, OAuthError> {
    let mut open = Open::default();
    for uri in client.settings.access.keys() {
        let found = call.app.store.find_resource(call.issuer.id(), uri).await.map_err(|error| reply::outage(&error))?;
        match found.filter(|found| named.is_empty() || named.contains(&found.id)) {
            Some(found) if found.settings.requires_roles => open.by_roles.push(found),
            Some(found) => open.freely.push(found.id),
            None => {}
        }
    }
    Ok(open)
}

/// `invalid_scope` where the client may have nothing today of what it was given. That can change, so nothing is used
/// up.
pub fn nothing_left() -> OAuthError {
    let description = "this client, or whoever it is for, may have nothing today of what was granted; it can ask again when \
                       that changes";
    OAuthError::new(ErrorCode::InvalidScope, description)
}

/// The resources that a token is asked for by name (RFC 8707 §2.2). Whether they were granted is for later.
pub async fn named(call: &Call<'_>, client: &Client, asked: &[ResourceUri]) -> Result<Vec<ResourceId>, OAuthError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let named = entitle::targets(call, client, asked).await?;
    Ok(named.iter().map(|resource| resource.id).collect())
}

/// A wish for more than was granted.
pub async fn not_granted(call: &Call<'_>, what: &NotGranted) -> OAuthError {
    match what {
        NotGranted::Scope(scope) => {
            let description = format!(
                "scope {scope} was not granted, or this client may not ask for it any more; a refresh can narrow, never widen"
            );
            OAuthError::new(ErrorCode::InvalidScope, description)
        }
        NotGranted::ScopeElsewhere(scope) => {
            let description = format!(
                "scope {scope} was not granted for the resources asked for, only for others; name one of those, or ask \
                 without resource"
            );
            OAuthError::new(ErrorCode::InvalidScope, description)
        }
        NotGranted::Resource(wrong, granted) => {
            let mut uris = Vec::with_capacity(granted.len());
            for id in [wrong].into_iter().chain(granted) {
                match call.app.store.find_resource_by_id(call.issuer.id(), *id).await {
                    Ok(found) => uris.push(found),
                    Err(error) => return reply::outage(&error),
                }
            }
            let mut uris = uris.iter().map(|found| found.as_deref().map(|resource| resource.uri.as_str()));
            let wrong = uris.next().flatten().map_or_else(|| "a resource".into(), |uri| format!("resource {uri}"));
            let granted: Vec<&str> = uris.flatten().collect();
            entitle::not_a_target(&format!("{wrong} was not granted; these were"), &granted)
        }
    }
}

/// What an ID token says of a sign-in.
pub struct IdTokenWish {
    user: UserId,
    session: Option<SessionId>,
    authentication: Authentication,
    nonce: Option<String>,
}

impl IdTokenWish {
    /// From the facts of a person's grant; `None` without a person.
    pub fn new(grant: &Grant, facts: &GrantFacts, nonce: Option<String>) -> Option<Self> {
        let authentication = facts.authentication.clone()?;
        Some(Self { user: grant.user()?, session: facts.session, authentication, nonce })
    }
}

/// Mints what was decided; gives the answer of the token endpoint (RFC 6749 §5.1).
pub async fn tokens(call: &Call<'_>, client: &Client, minting: Minting) -> Result<JsonObject, OAuthError> {
    let Minting { grant, number, today, id_token, refresh_token } = minting;
    let resources: Vec<ResourceTerms> = today.resources.iter().map(|resource| resource.settings.terms()).collect();
    let (workspace, own) = (&call.issuer.settings().tokens, &client.settings.tokens);
    let terms = Terms { workspace, client: own, resources: &resources };
    let authentication = id_token.as_ref().map(|wish| &wish.authentication);
    let access = AccessTokenWish { grant: &grant.grant, number, today: &today, authentication };
    let (access_token, valid_for) = access_token::make(call, client, &access, &terms).await?;
    let id_token = match id_token.filter(|_| today.entitlement.openid.has(OpenIdScope::OpenId)) {
        Some(wish) => {
            let about = About { client, user: Some(wish.user), authentication: Some(&wish.authentication) };
            let declared = shown_claims::in_jwt(call, ClaimPlace::IdToken, &today.entitlement.scope(), about).await?;
            let declared = declared.unwrap_or_default();
            let beside = Beside { access_token: &access_token, valid_for: terms.id_token_lifetime().value, declared };
            Some(sign_id_token(call, client, wish, beside)?)
        }
        None => None,
    };
    let mut tokens = JsonObject::begin();
    tokens.text("access_token", &access_token).text("token_type", "Bearer").number("expires_in", valid_for.0.into());
    // Absent if there is none: a scope has at least one name (RFC 6749 §3.3).
    let scope = today.entitlement.scope();
    tokens.text_if("scope", Some(scope.as_str()).filter(|scope| !scope.is_empty()));
    tokens.text_if("id_token", id_token.as_deref()).text_if("refresh_token", refresh_token.as_deref());
    Ok(tokens)
}

/// What an ID token says beside the sign-in.
struct Beside<'a> {
    access_token: &'a str,
    valid_for: Seconds,
    declared: Map<String, Value>,
}

/// An ID token (OpenID Core §2).
fn sign_id_token(
    call: &Call<'_>,
    client: &Client,
    wish: IdTokenWish,
    beside: Beside<'_>,
) -> Result<String, OAuthError> {
    let settings = call.issuer.settings();
    let algorithm = client.settings.id_token_signed_response_alg.unwrap_or(settings.id_token_signing_alg);
    let claims = IdTokenClaims {
        iss: call.issuer.url.clone(),
        sub: wish.user.to_string(),
        aud: client.client_id.clone(),
        exp: call.now.plus(beside.valid_for),
        iat: call.now,
        auth_time: wish.authentication.auth_time,
        nonce: wish.nonce,
        acr: Some(wish.authentication.acr),
        amr: wish.authentication.amr,
        sid: wish.session.map(|session| session.to_string()),
        at_hash: Some(at_hash(algorithm, beside.access_token)),
        declared: beside.declared,
    };
    call.app.metrics.minted.count(Minted::Id);
    let mut jwt = signing::sign(call.issuer, algorithm, TYP_JWT, &claims)?;
    if jwt.len() > MAX_JWS_LENGTH {
        // As a hint it could not be read back.
        tracing::warn!(client = %client.client_id, bytes = jwt.len(), "an ID token goes without declared claims: with them it would be longer than 8 KiB");
        jwt = signing::sign(call.issuer, algorithm, TYP_JWT, &IdTokenClaims { declared: Map::new(), ..claims })?;
    }
    signing::encrypted_if(client.settings.jwks.as_ref(), client.settings.id_token_encryption(), jwt)
}
