//! The token endpoint (RFC 6749 §3.2), one file per grant type.
//!
//! Takes: a form and client credentials. Gives: tokens, or an error in JSON.
//! Holds: a grant type only decides; one function mints.

pub mod access_token;
pub mod authorization_code;
pub mod client_credentials;
pub mod mint;
pub mod refresh_token;

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::request::TokenRequest;

use crate::http::call::Call;
use crate::http::client_auth;
use crate::http::json::JsonObject;
use crate::http::reply::{self, Reply};

/// POST /token.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    match answer(call).await {
        Ok(tokens) => reply::object(tokens),
        Err(error) => reply::oauth_error(&error, &call.issuer.url),
    }
}

async fn answer(call: &Call<'_>) -> Result<JsonObject, OAuthError> {
    let form = call.form()?;
    let client = client_auth::authenticate(call, &form).await?;
    let request = TokenRequest::parse(&form)?;
    if !client.may_use(request.grant_type()) {
        let description = format!("this client may not use grant_type {}", request.grant_type().wire_name());
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    }
    let minting = match request {
        TokenRequest::ClientCredentials(request) => client_credentials::entitle(call, &client, request).await?,
        TokenRequest::AuthorizationCode(request) => {
            Box::pin(authorization_code::entitle(call, &client, request)).await?
        }
        TokenRequest::RefreshToken(request) => Box::pin(refresh_token::entitle(call, &client, request)).await?,
    };
    mint::tokens(call, &client, minting).await
}
