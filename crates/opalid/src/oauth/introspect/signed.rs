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

/// Whether the caller names this type of answer (§4) and likes it at least as much as JSON (RFC 9110 §12.5.1).
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, u16)> = values.flat_map(|text| text.split(',')).filter_map(range).collect();
    let weight = |of: &str| {
        let named = ranges.iter().filter(|(name, _)| name.eq_ignore_ascii_case(of));
        named.map(|(_, weight)| *weight).max()
    };
    // The most specific range that fits is the one that counts.
    let json = weight("application/json").or_else(|| weight("application/*")).or_else(|| weight("*/*"));
    weight(MEDIA_TYPE).is_some_and(|jwt| jwt > 0 && jwt >= json.unwrap_or(0))
}

/// A media range and its weight in thousandths; none of a weight that is no number from 0 to 1 of at most three places.
fn range(listed: &str) -> Option<(&str, u16)> {
    let mut parts = listed.split(';').map(str::trim);
    let name = parts.next()?;
    let weights = parts.filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    weights.map(thousandths).next().unwrap_or(Some(1000)).map(|weight| (name, weight))
}

fn thousandths(weight: &str) -> Option<u16> {
    let (whole, places) = weight.split_once('.').unwrap_or((weight, ""));
    let is_written_so = matches!(whole, "0" | "1") && places.len() <= 3 && places.bytes().all(|b| b.is_ascii_digit());
    let thousandths = is_written_so.then(|| format!("{whole}{places:0<3}").parse().ok()).flatten();
    thousandths.filter(|thousandths| *thousandths <= 1000)
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
