//! Signed introspection answers (RFC 9701), for whoever has to prove to others what it was told.
//!
//! Takes: what is said of a token to a caller that asks for this type of answer.
//! Gives: a JWT for that caller alone, signed by its `introspection_signed_response_alg`, and encrypted for it where it is declared so.

use http::HeaderMap;
use http::header::ACCEPT;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::jwt::SigningAlgorithm;
use opalid_core::time::UnixTime;
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::call::Call;
use crate::http::client_auth::AuthenticatedClient;
use crate::http::json::JsonObject;
use crate::http::reply::{self, Reply};
use crate::signing;

/// The type of the answer (§4).
const MEDIA_TYPE: &str = "application/token-introspection+jwt";

/// The `typ` of the JWT (§5).
const TYP: &str = "token-introspection+jwt";

/// What the JWT says (§5): no `sub` and no `exp`, so that nobody takes it for an access token or an ID token.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: UnixTime,
    token_introspection: Value,
}

/// Whether the caller takes this type of answer and says so (§4).
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let listed =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    listed.map(|one| one.split(';').map(str::trim)).any(|mut one| {
        let named = one.next().is_some_and(|name| name.eq_ignore_ascii_case(MEDIA_TYPE));
        named && one.all(|parameter| !matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

pub(super) fn reply(
    call: &Call<'_>,
    caller: &AuthenticatedClient,
    facts: Option<JsonObject>,
) -> Result<Reply, OAuthError> {
    let facts = facts.map_or_else(|| Ok(json!({ "active": false })), |facts| serde_json::from_slice(&facts.end()));
    let token_introspection = facts
        .map_err(|error| OAuthError::new(ErrorCode::ServerError, "the answer could not be written").because(error))?;
    let claims = Claims { iss: &call.issuer.url, aud: &caller.client_id, iat: call.now, token_introspection };
    let algorithm = caller.settings.introspection_signed_response_alg.unwrap_or(SigningAlgorithm::Rs256);
    let settings = &caller.settings;
    let jwt = signing::sign(call.issuer, algorithm, TYP, &claims)?;
    let jwt = signing::encrypted_if(settings.jwks.as_ref(), settings.introspection_encryption(), jwt)?;
    Ok(reply::text(MEDIA_TYPE, jwt))
}
