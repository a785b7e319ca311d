//! Userinfo (OpenID Core §5.3): who the person is, to whoever holds a live token with `openid`.

use http::Method;
use opalid_core::alive::Verdict;
use opalid_core::claims::ClaimPlace;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::scope::OpenIdScope;
use serde_json::{Map, Value};

use crate::http::authorization::Authorization;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::presented::AccessToken;
use crate::shown_claims::{self, About};

/// GET and POST /userinfo: the token in the header, or in the form of a POST (RFC 6750 §2).
pub async fn endpoint(call: &Call<'_>) -> Reply {
    let answer = match presented(call) {
        Ok(None) => return reply::bearer_error(None, &call.issuer.url, None),
        Ok(Some(token)) => answer(call, &token).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(claims) => reply::json(&claims),
        Err(error) => {
            let scope = (error.code == ErrorCode::InsufficientScope).then_some(OpenIdScope::OpenId.wire_name());
            reply::bearer_error(Some(&error), &call.issuer.url, scope)
        }
    }
}

/// The one token of the request; two are an error.
fn presented(call: &Call<'_>) -> Result<Option<String>, OAuthError> {
    let bad = |description: String| OAuthError::new(ErrorCode::InvalidRequest, description);
    let in_header = match Authorization::read(&call.parts.headers).map_err(|error| bad(error.to_string()))? {
        Authorization::Bearer(token) => Some(token.as_str().to_owned()),
        _ => None,
    };
    // Only a form can hold a token (RFC 6750 §2.2); of any other body the specifications ask nothing.
    let in_form = if call.parts.method == Method::POST && !call.body.is_empty() && call.says_form() {
        call.form()?.one("access_token").map(str::to_owned)
    } else {
        None
    };
    match (in_header, in_form) {
        (Some(_), Some(_)) => Err(bad("two access tokens at once: use the header or the form".into())),
        (header, form) => Ok(header.or(form)),
    }
}

async fn answer(call: &Call<'_>, token: &str) -> Result<Map<String, Value>, OAuthError> {
    let invalid = || OAuthError::new(ErrorCode::InvalidToken, "the access token is not valid");
    let outage = |error: opalid_store::Outage| reply::outage(&error);
    let workspace = call.issuer.id();
    let store = &call.app.store;
    let token = AccessToken::open(call.issuer, token).map_err(|not_ours| invalid().because(not_ours))?;
    let alive = match token.judge(store, call.issuer, call.now).await.map_err(outage)? {
        Verdict::Active(alive) => alive,
        Verdict::Inactive(reason) => return Err(invalid().because(reason)),
    };
    if let AccessToken::Jwt(..) = &token {
        // OpenID scopes are never narrowed; that another part of it is kills a JWT as a whole.
        let client = store.find_client_by_id(workspace, alive.grant.grant.client()).await.map_err(outage)?;
        let client = client.ok_or_else(invalid)?;
        let today = token.today(store, call.issuer, (&client, &alive.entitlement)).await.map_err(outage)?;
        today.map_err(|reason| invalid().because(reason))?;
    }
    let scopes = &alive.entitlement.openid;
    let user = alive.grant.grant.user().filter(|_| scopes.has(OpenIdScope::OpenId));
    let user = user.ok_or_else(|| OAuthError::new(ErrorCode::InsufficientScope, "userinfo needs scope openid"))?;
    let user = store.find_user(workspace, user).await.map_err(outage)?.ok_or_else(invalid)?;
    let mut claims = user.claims.for_scopes(scopes);
    claims.insert("sub".into(), user.id.to_string().into());
    if scopes.has(OpenIdScope::Profile) && !claims.contains_key("preferred_username") {
        claims.insert("preferred_username".into(), user.username.as_str().into());
    }
    if !call.issuer.settings().claims.is_empty() {
        let client = store.find_client_by_id(workspace, alive.grant.grant.client()).await.map_err(outage)?;
        let client = client.ok_or_else(invalid)?;
        let about = About { client: &client, user: Some(user.id), authentication: None };
        claims.extend(shown_claims::at(call, ClaimPlace::Userinfo, scopes, about).await.map_err(outage)?);
    }
    Ok(claims)
}
