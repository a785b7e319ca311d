//! What a client may have of what it asks for: resources (RFC 8707) and scopes.
//!
//! Holds: no `resource` asked: the client's defaults, else those of the workspace that the client may ask for, else, with
//! `openid`, none (the token's audience is the issuer), else `invalid_target`. Each resource gets those of the asked scopes
//! that are the client's there, and stays an audience with none of them; a scope that is the client's at none of them is
//! `invalid_scope`. OpenID scopes belong to the issuer. Roles narrow what a token may do at each moment, not what is granted;
//! but what they permit nothing of is `invalid_scope`.

use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Entitlement;
use opalid_core::ids::{ResourceId, UserId};
use opalid_core::request::ClientCredentialsRequest;
use opalid_core::resource::Resource;
use opalid_core::resource_uri::ResourceUri;
use opalid_core::scope::{OpenIdScope, Scopes};
use opalid_store::check::Effective;
use std::sync::Arc;

use crate::http::call::Call;
use crate::http::reply;

/// For client_credentials: no OpenID scopes (there is no person).
pub async fn for_client_alone(
    call: &Call<'_>,
    client: &Client,
    request: &ClientCredentialsRequest,
) -> Result<Entitlement, OAuthError> {
    if let Some(openid) = request.scope.iter().find(|name| OpenIdScope::from_wire(name).is_some()) {
        let description = format!("scope {openid} needs a person; client_credentials has none");
        return Err(OAuthError::new(ErrorCode::InvalidScope, description));
    }
    let resources = targets(call, client, &request.resources).await?;
    if resources.is_empty() {
        return Err(no_target(client));
    }
    let shares = shares(client, &resources, &request.scope, Unknown::Refused)?;
    Ok(Entitlement::new(Scopes::default(), shares))
}

/// What of an entitlement roles permit today: what a person is asked about, and what an answer says.
pub async fn today(
    call: &Call<'_>,
    (client, user): (&Client, Option<UserId>),
    granted: &Entitlement,
) -> Result<Effective<'static>, OAuthError> {
    let effective = call.app.store.effective((client, user), granted).await.map_err(|error| reply::outage(&error))?;
    // A resource that is left without a scope is something where none was asked for.
    let something = |today: &Effective<'_>| granted.scope().is_empty() || !today.entitlement.scope().is_empty();
    effective.filter(something).map(Effective::into_owned).ok_or_else(|| {
        let whose = if user.is_some() { "of this person" } else { "of this client" };
        let description = format!("none of the roles {whose} permits anything at what was asked for");
        OAuthError::new(ErrorCode::InvalidScope, description)
    })
}

/// For a person's grant: OpenID scopes, and resources with their scopes.
pub async fn for_person(
    call: &Call<'_>,
    client: &Client,
    scope: &Scopes,
    resources: &[ResourceUri],
) -> Result<Entitlement, OAuthError> {
    let is_openid = |name: &str| OpenIdScope::from_wire(name).is_some();
    let openid = scope.filter(is_openid);
    let with_openid = openid.has(OpenIdScope::OpenId);
    let rest = scope.filter(|name| !is_openid(name));
    let unknown = if with_openid { Unknown::Ignored } else { Unknown::Refused };
    let resources = targets(call, client, resources).await?;
    if resources.is_empty() && !with_openid {
        return Err(no_target(client));
    }
    let shares = if scope.is_empty() || !rest.is_empty() {
        shares(client, &resources, &rest, unknown)?
    } else {
        resources.iter().map(|resource| (resource.id, Scopes::default())).collect()
    };
    Ok(Entitlement::new(openid, shares))
}

/// What happens to scopes that no resource or the client does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    /// `invalid_scope`.
    Refused,
    /// Left out: beside `openid` (OpenID Core §3.1.2.1).
    Ignored,
}

/// The resources a token is for, each once: as asked, or by default. None if there are none to take.
pub async fn targets(
    call: &Call<'_>,
    client: &Client,
    asked: &[ResourceUri],
) -> Result<Vec<Arc<Resource>>, OAuthError> {
    if asked.is_empty() {
        return defaults(call, client).await;
    }
    let access = &client.settings.access;
    // Before any is looked up: anybody may name what there is not, and as much of it as they like.
    if let Some(wrong) = asked.iter().find(|uri| !access.contains_key(uri.as_str())) {
        return Err(not_for_client(client, wrong.as_str()));
    }
    let mut targets = Vec::with_capacity(asked.len());
    for uri in asked {
        let found = find(call, uri.as_str()).await?;
        targets.push(found.ok_or_else(|| not_for_client(client, uri.as_str()))?);
    }
    Ok(targets)
}

/// What a token is for that names nothing. A default that was deleted since is left out; but not the last one, for what
/// is asked for then is not what was declared.
async fn defaults(call: &Call<'_>, client: &Client) -> Result<Vec<Arc<Resource>>, OAuthError> {
    let may_ask = |uri: &&String| client.settings.access.contains_key(*uri);
    let declared = client.defaults(&call.issuer.settings().default_resources);
    let mut targets: Vec<Arc<Resource>> = Vec::with_capacity(declared.len());
    for uri in declared.iter().copied().filter(may_ask) {
        let found = find(call, uri).await?;
        targets.extend(found.filter(|found| targets.iter().all(|known| known.id != found.id)));
    }
    if targets.is_empty() && !declared.is_empty() { Err(no_target(client)) } else { Ok(targets) }
}

async fn find(call: &Call<'_>, uri: &str) -> Result<Option<Arc<Resource>>, OAuthError> {
    call.app.store.find_resource(call.issuer.id(), uri).await.map_err(|error| reply::outage(&error))
}

/// What each resource gets of the scopes asked for; all the client may have there if none are.
fn shares(
    client: &Client,
    resources: &[Arc<Resource>],
    asked: &Scopes,
    unknown: Unknown,
) -> Result<Vec<(ResourceId, Scopes)>, OAuthError> {
    let nothing = Scopes::default();
    let allowed = |resource: &Resource| {
        client.settings.access.get(&resource.uri).unwrap_or(&nothing).intersect(&resource.settings.scopes)
    };
    let mut shares: Vec<(ResourceId, Scopes)> = resources.iter().map(|one| (one.id, allowed(one))).collect();
    if asked.is_empty() {
        return Ok(shares);
    }
    if unknown == Unknown::Refused
        && let Some(wrong) = asked.iter().find(|name| !shares.iter().any(|(_, allowed)| allowed.contains(name)))
    {
        let known = resources.iter().zip(&shares).map(|(of, (_, allowed))| format!("{}: {allowed}", of.uri));
        let known = known.collect::<Vec<_>>().join("; ");
        let asked = |uri: &str| resources.iter().any(|resource| resource.uri == uri);
        let mut elsewhere = client.settings.access.iter().filter(|(uri, scopes)| scopes.contains(wrong) && !asked(uri));
        let elsewhere = elsewhere.next().map(|(uri, _)| format!("; for it send resource={uri}")).unwrap_or_default();
        let description = format!("scope {wrong} is not one this client may have at {known}{elsewhere}");
        return Err(OAuthError::new(ErrorCode::InvalidScope, bounded(description)));
    }
    for (_, scopes) in &mut shares {
        *scopes = asked.intersect(scopes);
    }
    Ok(shares)
}

/// `invalid_target` for one that was named, with what the client could have asked for.
fn not_for_client(client: &Client, wrong: &str) -> OAuthError {
    not_a_target(&format!("resource {wrong} is not one this client may ask for"), &known_to(client))
}

/// `invalid_target` where one has to be named, with what the client could have asked for.
fn no_target(client: &Client) -> OAuthError {
    match known_to(client).as_slice() {
        [] => OAuthError::new(ErrorCode::InvalidTarget, "this client may not ask for any resource"),
        known => not_a_target("name a resource this client may ask for", known),
    }
}

fn known_to(client: &Client) -> Vec<&str> {
    client.settings.access.keys().map(String::as_str).collect()
}

/// `invalid_target`: what is wrong, and what would not have been.
pub fn not_a_target(wrong: &str, known: &[&str]) -> OAuthError {
    let known = if known.is_empty() { "there is none".to_owned() } else { known.join(", ") };
    OAuthError::new(ErrorCode::InvalidTarget, bounded(format!("{wrong}: {known}")))
}

/// The longest description, in bytes: it may have to fit into a URL.
const DESCRIPTION_MAX: usize = 1_000;

fn bounded(mut description: String) -> String {
    if description.len() > DESCRIPTION_MAX {
        description.truncate(description.floor_char_boundary(DESCRIPTION_MAX));
        description.push_str(" ...");
    }
    description
}
