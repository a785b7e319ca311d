//! Userinfo (OpenID Core §5.3): who the person is, to whoever holds a live token with `openid`.

use http::Method;
use opalid_core::alive::Verdict;
use opalid_core::claims::ClaimPlace;
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::jwt::TYP_JWT;
use opalid_core::scope::OpenIdScope;
use serde_json::{Map, Value};

use crate::http::authorization::Authorization;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::presented::AccessToken;
use crate::shown_claims::{self, About};
use crate::signing::{self, Content};

/// The type of an answer that is a JWT (RFC 7519 §10.3.1).
const MEDIA_TYPE: &str = "application/jwt";

/// GET and POST /userinfo: the token in the header, or in the form of a POST (RFC 6750 §2).
pub async fn endpoint(call: &Call<'_>) -> Reply {
    let answer = match presented(call) {
        Ok(None) => return reply::bearer_error(None, &call.issuer.url, None),
        Ok(Some(token)) => answer(call, &token).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(reply) => reply,
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

async fn answer(call: &Call<'_>, token: &str) -> Result<Reply, OAuthError> {
    let invalid = || OAuthError::new(ErrorCode::InvalidToken, "the access token is not valid");
    let outage = |error: opalid_store::Outage| reply::outage(&error);
    let workspace = call.issuer.id();
    let store = &call.app.store;
    let token = AccessToken::open(call.issuer, token).map_err(|not_ours| invalid().because(not_ours))?;
    let alive = match token.judge(store, call.issuer, call.now).await.map_err(outage)? {
        Verdict::Active(alive) => alive,
        Verdict::Inactive(reason) => return Err(invalid().because(reason)),
    };
    let client = store.find_client_by_id(workspace, alive.grant.grant.client()).await.map_err(outage)?;
    let client = client.ok_or_else(invalid)?;
    let scopes = &alive.entitlement.openid;
    let is_jwt = matches!(token, AccessToken::Jwt(..));
    // What it may do at resources decides about declared claims alone, and whether a JWT says too much.
    let granted = if is_jwt || !call.issuer.settings().claims.is_empty() {
        match token.today(store, call.issuer, (&client, &alive)).await.map_err(outage)? {
            Ok(today) => today.entitlement.scope(),
            Err(reason) if is_jwt => return Err(invalid().because(reason)),
            Err(_) => scopes.clone(),
        }
    } else {
        scopes.clone()
    };
    let user = alive.grant.grant.user().filter(|_| scopes.has(OpenIdScope::OpenId));
    let user = user.ok_or_else(|| OAuthError::new(ErrorCode::InsufficientScope, "userinfo needs scope openid"))?;
    let user = store.find_user(workspace, user).await.map_err(outage)?.ok_or_else(invalid)?;
    let mut claims = user.claims.for_scopes(scopes);
    claims.insert("sub".into(), user.id.to_string().into());
    if scopes.has(OpenIdScope::Profile) && !claims.contains_key("preferred_username") {
        claims.insert("preferred_username".into(), user.username.as_str().into());
    }
    let about = About { client: &client, user: Some(user.id), authentication: None };
    claims.extend(shown_claims::at(call, ClaimPlace::Userinfo, &granted, about).await?);
    as_declared(call, &client, claims)
}

/// The claims in the form that the client is declared with: JSON, or a JWT that is signed, encrypted, or both (§5.3.2).
fn as_declared(call: &Call<'_>, client: &Client, mut claims: Map<String, Value>) -> Result<Reply, OAuthError> {
    let (settings, keys) = (&client.settings, client.settings.jwks.as_ref());
    let (signed, encrypted) = (settings.userinfo_signed_response_alg, settings.userinfo_encryption());
    if signed.is_some() || encrypted.is_some() {
        claims.insert("iss".into(), call.issuer.url.as_str().into());
        claims.insert("aud".into(), client.client_id.as_str().into());
    }
    Ok(match (signed, encrypted) {
        (Some(algorithm), how) => {
            let jwt = signing::sign(call.issuer, algorithm, TYP_JWT, &claims)?;
            reply::text(MEDIA_TYPE, signing::encrypted_if(keys, how, jwt)?)
        }
        (None, Some(how)) => {
            let json = Value::Object(claims).to_string();
            reply::text(MEDIA_TYPE, signing::encrypt_for(keys, how, (Content::Claims, json.as_bytes()))?)
        }
        (None, None) => reply::json(&claims),
    })
}
