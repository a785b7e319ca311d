//! The logout endpoint (OpenID RP-Initiated Logout 1.0).
//!
//! Takes: a client's wish, by GET or POST; or a stored one.
//! Gives: a session that has ended, and the browser back at the client; a page that asks; an error page.
//! Holds: nobody is sent to an address that its client did not register, nor without an ID token of ours or the
//! person's word (§3), nor twice for one stored wish. Nobody is signed out unasked but by an ID token of the very session at hand (§2). A POST is
//! stored and answered with a redirect, because cookies with `SameSite=Lax` do not come with a POST from elsewhere.

use http::Method;
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::form::Form;
use opalid_core::redirect_uri::ReturnAddress;
use opalid_core::request::LogoutRequest;
use std::sync::Arc;

use crate::browser;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::signing_out::{Hinted, SigningOut};

const ADVICE: &str = "You are not signed out. Go back to the application and sign out there once more.";

/// GET and POST /logout.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    let answer = match read(call).await {
        Ok(Some(wish)) if call.parts.method == Method::POST => {
            wish.begin(call).await.map(|()| reply::see_other(&wish.continue_url(call)))
        }
        Ok(Some(wish)) => proceed(call, wish, Stored::No).await,
        // The page says who is signed in, or that nobody is.
        Ok(None) => Ok(reply::see_other(&at(call, Endpoint::SignOut))),
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| page::error_page(call, &error, ADVICE))
}

/// GET /logout/continue: a stored wish, with the browser's cookies, or after the person was asked.
pub async fn resume(call: &Call<'_>) -> Reply {
    let answer = match SigningOut::find(call).await {
        Ok(Some(wish)) => proceed(call, wish, Stored::Yes).await,
        Ok(None) => Ok(reply::see_other(&at(call, Endpoint::SignOut))),
        Err(error) => Err(reply::outage(&error)),
    };
    answer.unwrap_or_else(|error| page::error_page(call, &error, ADVICE))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Yes,
    No,
}

/// What a client wishes; `None` if nothing says which client it is: then there is nowhere to return to either.
async fn read(call: &Call<'_>) -> Result<Option<SigningOut>, OAuthError> {
    let form = if call.parts.method == Method::POST { call.form()? } else { Form::parse(call.query().as_bytes())? };
    let request = LogoutRequest::parse(&form)?;
    let (client_id, hinted) = match &request.id_token_hint {
        Some(hint) => {
            let (audience, hinted) = open_hint(call, hint)?;
            if request.client_id.as_ref().is_some_and(|client_id| *client_id != audience) {
                return Err(refused("client_id is not the one that the ID token was issued to (id_token_hint)."));
            }
            (audience, Some(hinted))
        }
        None => match &request.client_id {
            Some(client_id) => (client_id.clone(), None),
            None => return Ok(None),
        },
    };
    let client = client(call, &client_id).await?;
    if let Some(asked) = &request.post_logout_redirect_uri {
        return_address(&client, asked)?;
    }
    let LogoutRequest { post_logout_redirect_uri, state, .. } = request;
    Ok(Some(SigningOut { post_logout_redirect_uri, state, ..SigningOut::new(call, client_id, hinted) }))
}

/// The client that an ID token of ours was issued to, and whom it names; an expired one too (§2).
fn open_hint(call: &Call<'_>, hint: &str) -> Result<(String, Hinted), OAuthError> {
    let refused = || refused("id_token_hint is not an ID token that was issued here.");
    let claims = call.issuer.public.verify_id_token_hint(hint, &call.issuer.url);
    let claims = claims.map_err(|error| refused().because(error))?;
    let user = claims.sub.parse().map_err(|error| refused().because(error))?;
    let session = claims.sid.map(|sid| sid.parse()).transpose().map_err(|error| refused().because(error))?;
    Ok((claims.aud, Hinted { user, session }))
}

async fn client(call: &Call<'_>, client_id: &str) -> Result<Arc<Client>, OAuthError> {
    let found = call.app.store.find_client(call.issuer.id(), client_id).await.map_err(|error| reply::outage(&error))?;
    found
        .filter(|client| client.enabled)
        .ok_or_else(|| refused("The application that sent you here is not known (client_id)."))
}

fn return_address(client: &Client, asked: &str) -> Result<ReturnAddress, OAuthError> {
    client.settings.post_logout_redirect_uris.return_address(asked).map_err(|_| {
        refused("The application wants you sent to an address that it did not register (post_logout_redirect_uri).")
    })
}

fn refused(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// Signs out, asks, or finds that there is nobody to sign out.
async fn proceed(call: &Call<'_>, wish: SigningOut, stored: Stored) -> Result<Reply, OAuthError> {
    let outage = |error| reply::outage(&error);
    let Some(session) = browser::standing_session(call).await.map_err(outage)? else {
        return after(call, &wish, stored).await;
    };
    if wish.names(&session) {
        // Before anything is done: a client that is gone meanwhile has no say.
        onward(call, &wish).await?;
        browser::end_session(call, &session).await.map_err(outage)?;
        let mut reply = after(call, &wish, stored).await?;
        browser::delete_session(call, &mut reply);
        return Ok(reply);
    }
    if stored == Stored::No {
        wish.begin(call).await?;
    }
    Ok(reply::see_other(&wish.ask_url(call)))
}

/// What follows a sign-out. A stored wish is over with it: whoever comes again is told that they are signed out, and the
/// client gets its `state` once.
async fn after(call: &Call<'_>, wish: &SigningOut, stored: Stored) -> Result<Reply, OAuthError> {
    let onward = onward(call, wish).await?;
    let is_first = stored == Stored::No || wish.end(call).await?;
    Ok(if is_first { onward } else { reply::see_other(&at(call, Endpoint::SignedOut)) })
}

/// Back to the client, or to our own last page.
async fn onward(call: &Call<'_>, wish: &SigningOut) -> Result<Reply, OAuthError> {
    let is_legitimate = wish.hinted.is_some() || wish.confirmed;
    let Some(asked) = wish.post_logout_redirect_uri.as_deref().filter(|_| is_legitimate) else {
        return Ok(reply::see_other(&at(call, Endpoint::SignedOut)));
    };
    let address = return_address(&*client(call, &wish.client_id).await?, asked)?;
    let state: Vec<_> = wish.state.as_deref().map(|state| ("state", state)).into_iter().collect();
    Ok(reply::see_other(&address.with_query(&state)))
}

fn at(call: &Call<'_>, endpoint: Endpoint) -> String {
    format!("{}{}", call.issuer.url, endpoint.path())
}
