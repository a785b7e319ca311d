//! Introspection (RFC 7662).
//!
//! Takes: a token and an authenticated, confidential client.
//! Gives: what the token is to this caller, or `{"active":false}` without a reason.
//! Holds: nothing is looked up before the caller is authenticated; an outage is an error, never "inactive".

use std::borrow::Cow;
use std::sync::Arc;

use opalid_core::alive::{Reason, Verdict};
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::{Ancestor, Entitlement, Grant};
use opalid_core::refresh::{Presentation, Presented};
use opalid_core::request::{GrantType, IntrospectionRequest, TokenTypeHint};
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_core::token::{Access, PresentedToken, Refresh};
use opalid_store::check::Effective;
use opalid_store::steps::refresh::FindChain;

use crate::http::call::Call;
use crate::http::client_auth::{self, AuthenticatedClient};
use crate::http::json::JsonObject;
use crate::http::reply::{self, Reply};
use crate::metrics::Introspected;

/// POST /introspect.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    match answer(call).await {
        Ok(Verdict::Active(reply)) => {
            call.app.metrics.introspections.count(Introspected::Active);
            reply
        }
        Ok(Verdict::Inactive(reason)) => {
            call.app.metrics.introspections.count(reason.into());
            tracing::debug!(reason = reason.name(), "inactive");
            reply::with_no_store("application/json", r#"{"active":false}"#)
        }
        Err(error) => reply::oauth_error(&error, &call.issuer.url),
    }
}

/// One audience is a text, several are a list (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Audience<'a> {
    /// One.
    One(&'a str),
    /// Several.
    Several(Vec<&'a str>),
}

async fn answer(call: &Call<'_>) -> Result<Verdict<Reply>, OAuthError> {
    let form = call.form()?;
    let caller = client_auth::authenticate(call, &form).await?;
    if caller.is_public() {
        let description = "introspection is for confidential clients: a public one proves nothing";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    }
    let request = IntrospectionRequest::parse(&form)?;
    let token = PresentedToken::new(request.token);
    // A hint may be wrong (§2.1); the token itself says of which kind it is.
    let verdict = if token.looks_like::<Refresh>() {
        Box::pin(refresh_token(call, &caller, (token, request.hint))).await
    } else {
        access_token(call, &caller, token).await
    };
    verdict.map_err(|error| reply::outage(&error))
}

async fn access_token(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    token: PresentedToken<'_>,
) -> Result<Verdict<Reply>, opalid_store::Outage> {
    let store = &call.app.store;
    let workspace = call.issuer.id();
    let Ok(reference) = call.issuer.sealer.open::<Access>(token) else {
        return Ok(Verdict::Inactive(Reason::NotOurs));
    };
    let alive = match store.judge(workspace, &reference, call.now).await? {
        Verdict::Active(alive) => alive,
        Verdict::Inactive(reason) => return Ok(Verdict::Inactive(reason)),
    };
    let grant = &alive.grant.grant;
    let Some(client) = client_of(call, caller, grant).await? else {
        return Ok(Verdict::Inactive(Reason::AncestorGone(Ancestor::Client(grant.client()))));
    };
    let Some(effective) = store.effective((&client, grant.user()), &alive.entitlement).await? else {
        return Ok(Verdict::Inactive(Reason::Narrowed));
    };
    let Some(part) = part_of(call, caller, grant, &effective) else {
        return Ok(Verdict::Inactive(Reason::NotForCaller));
    };
    let of = About {
        issued_at: reference.sealed.issued_at,
        expires_at: reference.sealed.expires_at,
        jti: Some(reference.jti.to_string()),
        token_type: Some("Bearer"),
    };
    facts(call, &client, grant, part, of).await
}

/// Who a grant was given to, if it has not gone since the verdict.
async fn client_of(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    grant: &Grant,
) -> Result<Option<Arc<Client>>, opalid_store::Outage> {
    if grant.client() == caller.id {
        return Ok(Some(caller.as_known()));
    }
    call.app.store.find_client_by_id(call.issuer.id(), grant.client()).await
}

/// A refresh token is of interest to its client alone. Only the current one of its chain is active.
async fn refresh_token(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    (token, hint): (PresentedToken<'_>, Option<TokenTypeHint>),
) -> Result<Verdict<Reply>, opalid_store::Outage> {
    let store = &call.app.store;
    let workspace = call.issuer.id();
    let Ok(secret) = call.issuer.row_sealer.open_row::<Refresh>(token) else {
        return Ok(Verdict::Inactive(Reason::NotOurs));
    };
    let presented = Presentation::of(&secret);
    let Some(row) = store.read(FindChain { workspace, id: presented.chain }).await? else {
        return Ok(Verdict::Inactive(Reason::NotOurs));
    };
    // A gateway that looks at `active` alone must not take one for an access token: it says what it looks for.
    let is_asked_for = caller.settings.introspect_tokens && hint == Some(TokenTypeHint::RefreshToken);
    if row.client != caller.id && !is_asked_for {
        return Ok(Verdict::Inactive(Reason::NotForCaller));
    }
    let limits = call.issuer.refresh_limits();
    match row.chain.judge(&presented, call.now, limits) {
        Presented::Current => {}
        Presented::Retry | Presented::Reused => return Ok(Verdict::Inactive(Reason::Killed)),
        Presented::Unknown => return Ok(Verdict::Inactive(Reason::NotOurs)),
        Presented::Expired => return Ok(Verdict::Inactive(Reason::Expired)),
    }
    let Some(evidence) = store.load_evidence(workspace, row.grant).await? else {
        return Ok(Verdict::Inactive(Reason::GrantUnknown));
    };
    let grant = &evidence.grant.grant;
    if let Err(reason) = store.judge_grant(workspace, (grant, row.grant_epoch), call.now).await? {
        return Ok(Verdict::Inactive(reason));
    }
    let Some(entitlement) = grant.entitlement(row.entitlement) else {
        return Ok(Verdict::Inactive(Reason::EntitlementUnknown));
    };
    let Some(client) = client_of(call, caller, grant).await? else {
        return Ok(Verdict::Inactive(Reason::AncestorGone(Ancestor::Client(grant.client()))));
    };
    if !client.may_use(GrantType::RefreshToken) {
        return Ok(Verdict::Inactive(Reason::Narrowed));
    }
    // What it may do can be given back, so it is active even while nothing is allowed.
    let nothing = || Effective { entitlement: Cow::Owned(Entitlement::default()), resources: Vec::new() };
    let effective = store.effective((&client, grant.user()), entitlement).await?.unwrap_or_else(nothing);
    // It opens nothing but the token endpoint, whatever comes of it there (RFC 6749 §1.5).
    let part = (Cow::Owned(effective.entitlement.scope()), Audience::One(&call.issuer.url));
    let of = About {
        issued_at: row.chain.rotated_at,
        expires_at: row.chain.ends_at(limits.idle),
        jti: None,
        token_type: None,
    };
    facts(call, &client, grant, part, of).await
}

/// What tells the kinds of token apart.
struct About {
    issued_at: UnixTime,
    expires_at: UnixTime,
    jti: Option<String>,
    /// None for a refresh token: what checks for `Bearer` must not take one for an access token.
    token_type: Option<&'static str>,
}

async fn facts(
    call: &Call<'_>,
    client: &Client,
    grant: &Grant,
    (scope, aud): (Cow<'_, Scopes>, Audience<'_>),
    of: About,
) -> Result<Verdict<Reply>, opalid_store::Outage> {
    let user = match grant.user() {
        Some(id) => call.app.store.find_user(call.issuer.id(), id).await?,
        None => None,
    };
    // Gone since the verdict: then so is the token.
    if let (Some(id), None) = (grant.user(), &user) {
        return Ok(Verdict::Inactive(Reason::AncestorGone(Ancestor::User(id))));
    }
    // What a live token is to the caller (RFC 7662 §2.2).
    let subject = user.as_deref().map(|user| user.id.to_string());
    let mut facts = JsonObject::begin();
    facts.is("active").text("iss", &call.issuer.url).text("sub", subject.as_deref().unwrap_or(&client.client_id));
    match aud {
        Audience::One(aud) => facts.text("aud", aud),
        Audience::Several(aud) => facts.texts("aud", &aud),
    };
    facts.text("client_id", &client.client_id);
    // Absent if there is none: a scope has at least one name (RFC 6749 §3.3).
    facts.text_if("scope", Some(scope.as_str()).filter(|scope| !scope.is_empty()));
    facts.number("exp", of.expires_at.0).number("iat", of.issued_at.0).number("nbf", of.issued_at.0);
    facts.text_if("jti", of.jti.as_deref()).text_if("token_type", of.token_type);
    facts.text_if("username", user.as_deref().map(|user| user.username.as_str()));
    Ok(Verdict::Active(reply::object(facts)))
}

/// What the caller may see: all of a token issued to it or if it may introspect everything; else the part
/// that is for a resource it serves; else nothing.
fn part_of<'e>(
    call: &'e Call<'_>,
    caller: &Client,
    grant: &Grant,
    effective: &'e Effective<'_>,
) -> Option<(Cow<'e, Scopes>, Audience<'e>)> {
    let Effective { entitlement, resources } = effective;
    let sees_all = grant.client() == caller.id || caller.settings.introspect_tokens;
    let all = entitlement.resources.iter().zip(resources);
    let seen = all.filter(|(_, resource)| sees_all || caller.settings.serves.contains(&resource.uri));
    let (parts, aud): (Vec<_>, Vec<_>) = seen.map(|((_, scopes), resource)| (scopes, resource.uri.as_str())).unzip();
    if !sees_all && aud.is_empty() {
        return None;
    }
    let nothing = Scopes::default();
    let openid = if sees_all { &entitlement.openid } else { &nothing };
    let scope = match parts.as_slice() {
        [only] if openid.is_empty() => Cow::Borrowed(*only),
        parts => Cow::Owned(parts.iter().fold(openid.clone(), |all, scopes| all.union(scopes))),
    };
    let audience = match aud.as_slice() {
        [] => Audience::One(&call.issuer.url),
        [only] => Audience::One(only),
        _ => Audience::Several(aud),
    };
    Some((scope, audience))
}
