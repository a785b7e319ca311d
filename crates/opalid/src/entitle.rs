//! What a client may have of what it asks for: resources (RFC 8707) and scopes.
//!
//! Holds: no `resource` asked: the client's default, else the workspace's if the client may ask for that one, else, with
//! `openid`, none (the token's audience is the issuer), else `invalid_target`. OpenID scopes belong to the issuer.

use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Entitlement;
use opalid_core::request::ClientCredentialsRequest;
use opalid_core::resource::Resource;
use opalid_core::resource_uri::ResourceUri;
use opalid_core::scope::{OpenIdScope, Scopes};
use std::sync::Arc;

use crate::http::call::Call;
use crate::http::reply;

/// For client_credentials: one resource, no OpenID scopes (there is no person).
pub async fn for_client_alone(
    call: &Call<'_>,
    client: &Client,
    request: &ClientCredentialsRequest,
) -> Result<Entitlement, OAuthError> {
    if let Some(openid) = request.scope.iter().find(|name| OpenIdScope::from_wire(name).is_some()) {
        let description = format!("scope {openid} needs a person; client_credentials has none");
        return Err(OAuthError::new(ErrorCode::InvalidScope, description));
    }
    let resource = target(call, client, &request.resources).await?;
    let resource = resource.ok_or_else(|| no_target(client))?;
    let scopes = scopes_of(client, &resource, &request.scope, Unknown::Refused)?;
    Ok(Entitlement::new(Scopes::default(), vec![(resource.id, scopes)]))
}

/// What happens to scopes that the resource or the client does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// `invalid_scope`.
    Refused,
    /// Left out: beside `openid` (OpenID Core §3.1.2.1).
    Ignored,
}

/// The one resource a token is for: as asked, or by default. `None` if there is none to take.
pub async fn target(
    call: &Call<'_>,
    client: &Client,
    asked: &[ResourceUri],
) -> Result<Option<Arc<Resource>>, OAuthError> {
    let uri = match asked {
        [] => {
            let of_all = call.issuer.settings().default_resource.as_deref();
            let of_all = of_all.filter(|uri| client.settings.access.contains_key(*uri));
            match client.settings.default_resource.as_deref().or(of_all) {
                Some(default) => default,
                None => return Ok(None),
            }
        }
        [one] => one.as_str(),
        _ => return Err(OAuthError::new(ErrorCode::InvalidTarget, "one resource at a time")),
    };
    // Before it is looked up: anybody may name what there is not, and as much of it as they like.
    if !client.settings.access.contains_key(uri) {
        return Err(no_target(client));
    }
    let found = call.app.store.find_resource(call.issuer.id(), uri).await.map_err(|error| reply::outage(&error))?;
    found.map(Some).ok_or_else(|| no_target(client))
}

/// The scopes of one resource: those asked for, or all the client may have there.
pub fn scopes_of(client: &Client, resource: &Resource, asked: &Scopes, unknown: Unknown) -> Result<Scopes, OAuthError> {
    let nothing = Scopes::default();
    let allowed = client.settings.access.get(&resource.uri).unwrap_or(&nothing).intersect(&resource.settings.scopes);
    if asked.is_empty() {
        return Ok(allowed);
    }
    if unknown == Unknown::Refused
        && let Some(wrong) = asked.iter().find(|name| !allowed.contains(name))
    {
        let description = format!("scope {wrong} is not one this client may have at {}: {allowed}", resource.uri);
        return Err(OAuthError::new(ErrorCode::InvalidScope, description));
    }
    Ok(asked.intersect(&allowed))
}

/// `invalid_target`, with what the client could have asked for.
pub fn no_target(client: &Client) -> OAuthError {
    let known: Vec<&str> = client.settings.access.keys().map(String::as_str).collect();
    let description = match known.as_slice() {
        [] => "this client may not ask for any resource".to_owned(),
        known => format!("name a resource this client may ask for: {}", known.join(", ")),
    };
    OAuthError::new(ErrorCode::InvalidTarget, description)
}

/// For a person's grant: OpenID scopes, and one resource with its scopes.
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
    let Some(resource) = target(call, client, resources).await? else {
        return if with_openid { Ok(Entitlement::new(openid, Vec::new())) } else { Err(no_target(client)) };
    };
    let scopes = if scope.is_empty() || !rest.is_empty() {
        scopes_of(client, &resource, &rest, unknown)?
    } else {
        Scopes::default()
    };
    Ok(Entitlement::new(openid, vec![(resource.id, scopes)]))
}
