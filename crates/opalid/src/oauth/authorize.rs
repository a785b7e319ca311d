//! The authorization endpoint (RFC 6749 §3.1, OpenID Core §3.1.2).
//!
//! Takes: a client's wish, by GET or POST; or a stored one that a page has worked on.
//! Gives: a code to the client's registered address; a page to go to; an error page when there is no address.
//! Holds: without a `ReturnAddress` nothing is redirected. GET uses nothing up. A POST is stored and answered
//! with a redirect, because cookies with `SameSite=Lax` do not come with a POST from elsewhere.

mod answer;
mod issue;
mod need;

use http::Method;
use opalid_core::client::Client;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::redirect_uri::ReturnAddress;
use opalid_core::request::{AuthorizeForm, AuthorizeRequest, GrantType, ReplyTo};
use std::sync::Arc;

use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::oauth::authorize::need::Need;
use crate::pending::{self, Decision, Pending};

const ADVICE: &str = "Go back to the application. If it happens again, tell its developers what stands here.";

/// An error that may go to the client, or must not.
enum Refusal {
    /// Shown here: there is no address that may be trusted.
    Page(OAuthError),
    /// Sent to the client.
    Redirect(Box<Client>, ReturnAddress, ReplyTo, OAuthError),
}

impl Refusal {
    const fn error(&self) -> &OAuthError {
        match self {
            Self::Page(error) | Self::Redirect(.., error) => error,
        }
    }
}

/// A request whose client and return address are known good.
struct Asked {
    client: Arc<Client>,
    address: ReturnAddress,
    request: AuthorizeRequest,
}

/// GET and POST /authorize.
pub async fn endpoint(call: &Call<'_>) -> Reply {
    let asked = match read(call).await {
        Ok(asked) => asked,
        Err(refusal) => return refuse(call, refusal),
    };
    let is_post = call.parts.method == Method::POST;
    let pending = Pending::new(call, asked.request.clone());
    if is_post {
        return match pending.begin(call).await {
            Ok(()) => reply::see_other(&pending.continue_url(call)),
            Err(error) => page::error_page(call, &error, ADVICE),
        };
    }
    proceed(call, asked, pending, Stored::No).await
}

/// GET /authorize/continue: a stored request, after a page has done its part.
pub async fn resume(call: &Call<'_>) -> Reply {
    let pending = match Pending::find(call).await {
        Ok(Some(pending)) => pending,
        Ok(None) => return pending::over(call).await,
        Err(error) => return page::error_page(call, &reply::outage(&error), ADVICE),
    };
    match recheck(call, pending.request.clone()).await {
        Ok(asked) => proceed(call, asked, pending, Stored::Yes).await,
        Err(refusal) => {
            if is_final(refusal.error())
                && let Err(error) = pending.end(call).await
            {
                return page::error_page(call, &error, ADVICE);
            }
            refuse(call, refusal)
        }
    }
}

/// Whether a stored request is over with this: what is busy now is not, the person may try again.
fn is_final(error: &OAuthError) -> bool {
    error.code != ErrorCode::ServerBusy
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    Yes,
    No,
}

async fn read(call: &Call<'_>) -> Result<Asked, Refusal> {
    let bytes = if call.parts.method == Method::POST {
        call.form().map_err(Refusal::Page)?;
        call.body.as_ref()
    } else {
        call.query().as_bytes()
    };
    let form = AuthorizeForm::parse(bytes).map_err(Refusal::Page)?;
    let client = client(call, form.client_id()).await?;
    let address = form.return_address(&client.settings.redirect_uris).map_err(bad_address)?;
    match form.request().and_then(|request| check(call, &client, request)) {
        Ok(request) => Ok(Asked { client, address, request }),
        Err(error) => Err(Refusal::Redirect(Box::new((*client).clone()), address, form.reply_to(), error)),
    }
}

/// Client and address of a stored request, as they are today.
async fn recheck(call: &Call<'_>, request: AuthorizeRequest) -> Result<Asked, Refusal> {
    let client = client(call, &request.client_id).await?;
    let address = request.return_address(&client.settings.redirect_uris).map_err(bad_address)?;
    let reply_to = request.reply_to.clone();
    match check(call, &client, request) {
        Ok(request) => Ok(Asked { client, address, request }),
        Err(error) => Err(Refusal::Redirect(Box::new((*client).clone()), address, reply_to, error)),
    }
}

async fn client(call: &Call<'_>, client_id: &str) -> Result<Arc<Client>, Refusal> {
    let found = call.app.store.find_client(call.issuer.id(), client_id).await;
    let found = found.map_err(|error| Refusal::Page(reply::outage(&error)))?;
    found.filter(|client| client.enabled).ok_or_else(|| {
        let description = "The application that sent you here is not known (client_id).";
        Refusal::Page(OAuthError::new(ErrorCode::InvalidRequest, description))
    })
}

fn bad_address(bad: opalid_core::redirect_uri::BadReturnAddress) -> Refusal {
    Refusal::Page(OAuthError::new(ErrorCode::InvalidRequest, bad.to_string()))
}

fn check(call: &Call<'_>, client: &Client, request: AuthorizeRequest) -> Result<AuthorizeRequest, OAuthError> {
    if !client.may_use(GrantType::AuthorizationCode) {
        let description = "this client may not use grant_type authorization_code";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, description));
    }
    let needs_pkce = client.needs_pkce() || call.issuer.settings().require_pkce;
    if needs_pkce && request.code_challenge.is_none() {
        let description = "code_challenge is missing: this client must use PKCE with S256";
        return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    }
    Ok(request)
}

fn refuse(call: &Call<'_>, refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Page(error) => page::error_page(call, &error, ADVICE),
        Refusal::Redirect(client, address, reply_to, error) => {
            answer::error(call, &client, (&address, &reply_to), &error)
        }
    }
}

/// What comes next: a page, an error, or the code. A stored request that was answered is over.
async fn proceed(call: &Call<'_>, asked: Asked, pending: Pending, stored: Stored) -> Reply {
    let to = (&asked.address, &asked.request.reply_to);
    let error = match decide(call, &asked, (&pending, stored)).await {
        Ok(Next::Code(code)) => return answer::code(call, &asked.client, to, &code),
        Ok(Next::Nothing) => return pending::over(call).await,
        Ok(Next::Page(endpoint)) => {
            if stored == Stored::No
                && let Err(error) = pending.begin(call).await
            {
                return page::error_page(call, &error, ADVICE);
            }
            return reply::see_other(&pending.url(call, endpoint));
        }
        Err(error) => error,
    };
    if stored == Stored::Yes
        && is_final(&error)
        && let Err(error) = pending.end(call).await
    {
        return page::error_page(call, &error, ADVICE);
    }
    answer::error(call, &asked.client, to, &error)
}

enum Next {
    Page(Endpoint),
    Code(String),
    /// The stored request was answered before.
    Nothing,
}

async fn decide(call: &Call<'_>, asked: &Asked, (pending, stored): (&Pending, Stored)) -> Result<Next, OAuthError> {
    let silent = asked.request.prompt.is_none();
    let situation = need::look(call, asked, pending).await?;
    let (endpoint, error) = match situation.need {
        None => {
            let answers = (stored == Stored::Yes).then_some(pending.id);
            let code = issue::code(call, asked, (situation, answers)).await?;
            return Ok(code.map_or(Next::Nothing, Next::Code));
        }
        Some(Need::SignIn) => (Endpoint::SignIn, ErrorCode::LoginRequired),
        Some(Need::SelectAccount) => (Endpoint::SelectAccount, ErrorCode::AccountSelectionRequired),
        Some(Need::Consent) => (Endpoint::Consent, ErrorCode::ConsentRequired),
        Some(Need::Denied) => return Err(OAuthError::new(ErrorCode::AccessDenied, "the person said no")),
    };
    if silent {
        Err(OAuthError::new(error, "prompt=none, but the person has to be asked"))
    } else {
        Ok(Next::Page(endpoint))
    }
}

impl Pending {
    /// What the person decided in this session.
    fn decision_in(&self, session: opalid_core::ids::SessionId) -> Option<&Decision> {
        self.decision.as_ref().filter(|(of, _)| *of == session).map(|(_, decision)| decision)
    }
}
