//! Client authentication (RFC 6749 §2.3): Basic, form, or none for public clients.
//!
//! Takes: the headers and the form. Gives: an `AuthenticatedClient`, which nothing else can make.
//! Holds: nothing is looked up for a caller before this; an unknown client is compared with as many digests as one
//! with a wrong secret and is told the same; two methods at once are refused.
//! Not here: hiding which clients there are. A `client_id` is no secret, and memory finds a known one sooner.

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use opalid_core::client::{Client, admits_secret};
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::form::Form;
use opalid_core::token::SecretDigest;

use crate::http::authorization::{Authorization, ClientSecret, CredentialsBuffer};
use crate::http::call::Call;
use crate::http::reply;

/// How a client authenticates at the token, introspection and revocation endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMethod {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
    /// `none`: a public client names itself, in the form or by Basic without a secret.
    None,
}

impl ClientAuthMethod {
    /// All of them, as discovery lists them.
    pub const ALL: &[Self] = &[Self::Basic, Self::Post, Self::None];

    /// Its wire name (OpenID Core §9).
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::None => "none",
        }
    }
}

/// Proof that a client is who it says, or a public one, which can prove nothing.
#[derive(Debug, Clone)]
pub struct AuthenticatedClient(Arc<Client>);

impl AuthenticatedClient {
    /// The client as it is remembered, for what needs no proof.
    pub fn as_known(&self) -> Arc<Client> {
        Arc::clone(&self.0)
    }
}

impl std::ops::Deref for AuthenticatedClient {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.0
    }
}

/// What a request says of its client: read at once, so that nothing of a secret outlives that but its digest.
pub struct Claim<'f> {
    client_id: Cow<'f, str>,
    secret: Option<SecretDigest>,
}

impl Claim<'_> {
    /// The same, apart from its request: for who goes on asking on one connection.
    pub fn into_owned(self) -> Claim<'static> {
        Claim { client_id: Cow::Owned(self.client_id.into_owned()), secret: self.secret }
    }

    /// Authenticates who claims it, as the client is today.
    pub async fn prove(&self, call: &Call<'_>) -> Result<AuthenticatedClient, OAuthError> {
        let found = call.app.store.find_client(call.issuer.id(), &self.client_id).await;
        let found = found.map_err(|error| reply::outage(&error))?;
        let wrong = || OAuthError::new(ErrorCode::InvalidClient, "unknown client, or its authentication failed");
        let found = found.filter(|client| client.enabled);
        let Some(presented) = &self.secret else {
            return found.filter(|client| client.is_public()).map(AuthenticatedClient).ok_or_else(wrong);
        };
        // Before anything is decided: whoever is unknown is compared as well.
        let admitted = admits_secret(found.as_deref(), presented, call.now);
        found.filter(|client| admitted && !client.is_public()).map(AuthenticatedClient).ok_or_else(wrong)
    }
}

/// Authenticates the client of a form request.
pub async fn authenticate(call: &Call<'_>, form: &Form<'_>) -> Result<AuthenticatedClient, OAuthError> {
    claim(&call.parts.headers, form)?.prove(call).await
}

/// Reads what a request says of its client.
pub fn claim<'f>(headers: &HeaderMap, form: &'f Form<'_>) -> Result<Claim<'f>, OAuthError> {
    let in_form = (form.one("client_id"), form.one("client_secret"));
    match (Authorization::read(headers), in_form) {
        (Ok(Authorization::Basic(_)), (_, Some(_))) => Err(two_methods()),
        (Ok(Authorization::Basic(encoded)), (named, None)) => {
            let mut buffer = CredentialsBuffer::new();
            let credentials = encoded.decode(&mut buffer).map_err(refused)?;
            if named.is_some_and(|named| named != credentials.client_id) {
                return Err(OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "client_id differs from the one in the Authorization header",
                ));
            }
            // A client without a secret leaves it out (§2.3.1), here as in the form: that is `none`.
            let secret = Some(credentials.secret).filter(|secret| !secret.as_bytes().is_empty()).map(digest);
            Ok(Claim { client_id: Cow::Owned(credentials.client_id.to_owned()), secret })
        }
        (Ok(Authorization::Absent), (Some(client_id), secret)) => {
            Ok(Claim { client_id: Cow::Borrowed(client_id), secret: secret.map(ClientSecret::new).map(digest) })
        }
        (Ok(Authorization::Absent), (None, _)) => {
            Err(refused("no client authentication: use HTTP Basic, or client_id in the form"))
        }
        (Ok(Authorization::Bearer(_) | Authorization::Other), _) => {
            Err(refused("this Authorization scheme is not for clients: use Basic"))
        }
        (Err(error), _) => Err(refused(error)),
    }
}

fn digest(secret: ClientSecret<'_>) -> SecretDigest {
    SecretDigest::of(secret.as_bytes())
}

fn two_methods() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "two ways of client authentication at once: use one")
}

fn refused(why: impl std::fmt::Display) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, why.to_string())
}
