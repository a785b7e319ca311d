//! What a token is to a caller who may ask: the facts of an introspection answer (RFC 7662 §2.2), and what they hang from.
//!
//! Takes: an access token as it is presented, an authenticated client.
//! Gives: what it is to that client, or why it is nothing; on request everything whose change could make that wrong.
//! Holds: a caller sees the part of a token that is for resources it serves, unless the token is its own or it may introspect all;
//! an answer hangs from everything that was looked at for it.
//! Not here: who may ask, and how the answer is sent.

use std::borrow::Cow;
use std::sync::Arc;

use opalid_core::alive::{Reason, Verdict};
use opalid_core::claims::ClaimPlace;
use opalid_core::client::Client;
use opalid_core::grant::{Ancestor, Grant};
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_store::Outage;
use opalid_store::check::{Alive, Effective};
use opalid_store::feed::Touched;

use crate::http::call::Call;
use crate::http::client_auth::AuthenticatedClient;
use crate::http::json::JsonObject;
use crate::presented::AccessToken;
use crate::shown_claims::{self, NotShown};

/// What an answer hangs from.
#[derive(Debug, Default)]
pub struct Basis {
    /// All of which a change could make it wrong.
    pub touched: Vec<Touched>,
    /// When it is over by itself.
    pub until: Option<UnixTime>,
}

/// What of a token its caller may see.
pub struct Part<'e> {
    /// What it may do there.
    pub scope: Cow<'e, Scopes>,
    /// Where.
    pub audience: Audience<'e>,
    /// The issuer's scopes, which are nobody's part: they decide about declared claims.
    pub openid: &'e Scopes,
}

/// One audience is a text, several are a list (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience<'a> {
    /// One.
    One(&'a str),
    /// Several.
    Several(Vec<&'a str>),
}

/// What an access token is to this caller. `basis` is filled where somebody wants to know what that hangs from.
pub async fn access_token(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    (token, minimal): (&str, bool),
    basis: Option<&mut Basis>,
) -> Result<Verdict<JsonObject>, NotShown> {
    let store = &call.app.store;
    let Ok(token) = AccessToken::open(call.issuer, token) else {
        return Ok(Verdict::Inactive(Reason::NotOurs));
    };
    let alive = match token.judge(store, call.issuer, call.now).await? {
        Verdict::Active(alive) => alive,
        Verdict::Inactive(reason) => return Ok(Verdict::Inactive(reason)),
    };
    let grant = &alive.grant.grant;
    let Some(client) = client_of(call, caller, grant).await? else {
        return Ok(Verdict::Inactive(Reason::AncestorGone(Ancestor::Client(grant.client()))));
    };
    let effective = match token.today(store, call.issuer, (&client, &alive)).await? {
        Ok(effective) => effective,
        Err(reason) => return Ok(Verdict::Inactive(reason)),
    };
    let Some(part) = part_of(call, caller, grant, &effective) else {
        return Ok(Verdict::Inactive(Reason::NotForCaller));
    };
    if let Some(basis) = basis {
        note(basis, call, (caller, &client), (&token, &alive)).await?;
    }
    let of = About {
        issued_at: token.sealed().issued_at,
        expires_at: token.sealed().expires_at,
        jti: Some(token.jti()),
        token_type: Some("Bearer"),
        minimal,
    };
    facts(call, &client, grant, part, of).await
}

/// Notes what a live token's answer hangs from.
async fn note(
    basis: &mut Basis,
    call: &Call<'_>,
    (caller, client): (&Client, &Client),
    (token, alive): (&AccessToken, &Alive),
) -> Result<(), Outage> {
    let grant = &alive.grant.grant;
    let roles = call.app.store.roles_of((client, grant.user())).await?;
    let token_itself = Touched::Token { grant: grant.id, jti: token.nonce() };
    let own = [Touched::Workspace(call.issuer.id()), Touched::Client(caller.id), Touched::Client(client.id)];
    let touched = &mut basis.touched;
    touched.extend(own);
    touched.extend([Touched::Grant(grant.id), token_itself]);
    touched.extend(grant.user().map(Touched::User));
    touched.extend(grant.descent.births().map(|birth| Touched::from(birth.ancestor)));
    touched.extend(alive.entitlement.resources.iter().map(|(resource, _)| Touched::Resource(*resource)));
    touched.extend(roles.iter().map(|role| Touched::Role(role.id)));
    let expires_at = token.sealed().expires_at;
    basis.until = Some(alive.stands.until.map_or(expires_at, |end| end.min(expires_at)));
    Ok(())
}

/// Who a grant was given to, if it has not gone since the verdict.
pub async fn client_of(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    grant: &Grant,
) -> Result<Option<Arc<Client>>, Outage> {
    if grant.client() == caller.id {
        return Ok(Some(caller.as_known()));
    }
    call.app.store.find_client_by_id(call.issuer.id(), grant.client()).await
}

/// What tells the kinds of token apart.
pub struct About {
    /// When it was issued.
    pub issued_at: UnixTime,
    /// When it expires.
    pub expires_at: UnixTime,
    /// Its `jti` as the world sees it.
    pub jti: Option<String>,
    /// None for a refresh token: what checks for `Bearer` must not take one for an access token.
    pub token_type: Option<&'static str>,
    /// Only whether it is active.
    pub minimal: bool,
}

/// What a live token is to the caller (RFC 7662 §2.2).
pub async fn facts(
    call: &Call<'_>,
    client: &Client,
    grant: &Grant,
    part: Part<'_>,
    of: About,
) -> Result<Verdict<JsonObject>, NotShown> {
    if of.minimal {
        let mut facts = JsonObject::begin();
        facts.is("active");
        return Ok(Verdict::Active(facts));
    }
    let user = match grant.user() {
        Some(id) => call.app.store.find_user(call.issuer.id(), id).await?,
        None => None,
    };
    // Gone since the verdict: then so is the token.
    if let (Some(id), None) = (grant.user(), &user) {
        return Ok(Verdict::Inactive(Reason::AncestorGone(Ancestor::User(id))));
    }
    let subject = user.as_deref().map(|user| user.id.to_string());
    let mut facts = JsonObject::begin();
    facts.is("active").text("iss", &call.issuer.url).text("sub", subject.as_deref().unwrap_or(&client.client_id));
    match &part.audience {
        Audience::One(aud) => facts.text("aud", aud),
        Audience::Several(aud) => facts.texts("aud", aud),
    };
    facts.text("client_id", &client.client_id);
    // Absent if there is none: a scope has at least one name (RFC 6749 §3.3).
    facts.text_if("scope", Some(part.scope.as_str()).filter(|scope| !scope.is_empty()));
    facts.number("exp", of.expires_at.0).number("iat", of.issued_at.0).number("nbf", of.issued_at.0);
    facts.text_if("jti", of.jti.as_deref()).text_if("token_type", of.token_type);
    facts.text_if("username", user.as_deref().map(|user| user.username.as_str()));
    let about = shown_claims::About { client, user: grant.user(), authentication: None };
    let is_any_declared = !call.issuer.settings().claims.is_empty();
    let granted = if is_any_declared { Cow::Owned(part.scope.union(part.openid)) } else { part.scope };
    for (name, value) in shown_claims::at(call, ClaimPlace::Introspection, &granted, about).await? {
        facts.value(&name, &value);
    }
    Ok(Verdict::Active(facts))
}

/// What the caller may see: all of a token issued to it or if it may introspect everything; else the part
/// that is for a resource it serves; else nothing.
fn part_of<'e>(call: &'e Call<'_>, caller: &Client, grant: &Grant, effective: &'e Effective<'_>) -> Option<Part<'e>> {
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
    Some(Part { scope, audience, openid: &entitlement.openid })
}
