//! The declared claims that show at one place, of one token.
//!
//! Holds: where a workspace declares none for a place, nothing is looked up.
//! Not here: what a declaration means; see `opalid_core::claims`.

use opalid_core::claims::{ClaimPlace, ClaimSource, Known, shown, shows};
use opalid_core::client::Client;
use opalid_core::grant::Authentication;
use opalid_core::ids::UserId;
use opalid_core::scope::Scopes;
use opalid_store::Outage;
use serde_json::{Map, Value};

use crate::http::call::Call;

/// Of whom.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The client that the token was issued to.
    pub client: &'a Client,
    /// The person, if it is one's.
    pub user: Option<UserId>,
    /// How they signed in, where that is at hand.
    pub authentication: Option<&'a Authentication>,
}

/// The claims that show there to whoever was granted these scopes.
pub async fn at(
    call: &Call<'_>,
    place: ClaimPlace,
    granted: &Scopes,
    about: About<'_>,
) -> Result<Map<String, Value>, Outage> {
    let declared = &call.issuer.settings().claims;
    if !shows(declared, place, |_| true) {
        return Ok(Map::new());
    }
    let user = match about.user {
        Some(id) => call.app.store.find_user(call.issuer.id(), id).await?,
        None => None,
    };
    let (client, authentication) = (about.client, about.authentication);
    let about_roles = shows(declared, place, |source| *source == ClaimSource::Roles);
    let roles = if about_roles { call.app.store.roles_of((client, about.user)).await? } else { Vec::new() };
    let mut roles: Vec<String> = roles.iter().map(|role| role.name.clone()).collect();
    roles.sort_unstable();
    let known = Known { user: user.as_deref(), client, authentication, roles: &roles };
    Ok(shown(declared, place, granted, &known))
}
