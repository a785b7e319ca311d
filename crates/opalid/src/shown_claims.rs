//! The declared claims that show at one place, of one token.
//!
//! Holds: they are bounded, and all of them are shown or none; where a workspace declares none for a place, nothing is looked up.
//! Not here: what a declaration means; see `opalid_core::claims`.

use opalid_core::claims::{ClaimPlace, ClaimSource, Known, TooMuch, shown, shows};
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::grant::Authentication;
use opalid_core::ids::UserId;
use opalid_core::scope::Scopes;
use opalid_store::Outage;
use serde_json::{Map, Value};

use crate::http::call::Call;
use crate::http::reply;

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

/// Why there are none to show.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    /// The store did not answer.
    #[error(transparent)]
    Outage(#[from] Outage),
    /// They are more than there is room for.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

impl From<NotShown> for OAuthError {
    fn from(why: NotShown) -> Self {
        match why {
            NotShown::Outage(outage) => reply::outage(&outage),
            NotShown::TooMuch(why) => Self::new(ErrorCode::InvalidRequest, why.to_string()),
        }
    }
}

/// The same in a JWT; nothing where they are more than one has room for, as where the whole would be too long.
pub async fn in_jwt(
    call: &Call<'_>,
    place: ClaimPlace,
    granted: &Scopes,
    about: About<'_>,
) -> Result<Option<Map<String, Value>>, OAuthError> {
    match at(call, place, granted, about).await {
        Ok(shown) => Ok(Some(shown)),
        Err(NotShown::TooMuch(why)) => {
            tracing::warn!(client = about.client.client_id, %why, "a JWT would be too long for its declared claims");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The claims that show there to whoever was granted these scopes.
pub async fn at(
    call: &Call<'_>,
    place: ClaimPlace,
    granted: &Scopes,
    about: About<'_>,
) -> Result<Map<String, Value>, NotShown> {
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
    Ok(shown(declared, place, granted, &known)?)
}
