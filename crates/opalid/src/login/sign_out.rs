//! Signing out: the page that asks, for a client's wish or the person's own; and the page after it.
//!
//! Takes: a stored wish, or none. Gives: a session that has ended, and the way on.
//! Holds: only the form of this page, of this browser and session, says yes.

use opalid_core::error::OAuthError;
use opalid_store::steps::session::SessionRow;

use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{ConfirmSignOut, SignedOut};
use crate::signing_out::SigningOut;

const ADVICE: &str = "Try again in a moment.";

/// GET /sign-out.
pub async fn show(call: &Call<'_>) -> Reply {
    answer(ask(call).await, call)
}

/// POST /sign-out.
pub async fn submit(call: &Call<'_>) -> Reply {
    answer(sign_out(call).await, call)
}

/// GET /signed-out.
pub async fn done(call: &Call<'_>) -> Reply {
    match browser::standing_session(call).await {
        Ok(Some(_)) => reply::see_other(&url(call, Endpoint::SignOut)),
        Ok(None) => {
            let page = SignedOut { workspace: call.issuer.display_name(), sign_in_url: None };
            page::page(call, &page, Forms::StayHere)
        }
        Err(error) => page::error_page(call, &reply::outage(&error), ADVICE),
    }
}

fn answer(answer: Result<Reply, OAuthError>, call: &Call<'_>) -> Reply {
    answer.unwrap_or_else(|error| page::error_page(call, &error, ADVICE))
}

/// Where the person is, once there is nobody to sign out.
fn onward(call: &Call<'_>, wish: Option<&SigningOut>) -> Reply {
    reply::see_other(&wish.map_or_else(|| url(call, Endpoint::SignedOut), |wish| wish.continue_url(call)))
}

/// What the form belongs to: this wish, if any, and this session.
fn form_of(wish: Option<&SigningOut>, session: &SessionRow) -> String {
    format!("{} {}", wish.map(|wish| wish.id.to_string()).unwrap_or_default(), session.id)
}

async fn found(call: &Call<'_>) -> Result<(Option<SigningOut>, Option<SessionRow>), OAuthError> {
    let wish = SigningOut::find(call).await.map_err(|error| reply::outage(&error))?;
    let session = browser::standing_session(call).await.map_err(|error| reply::outage(&error))?;
    Ok((wish, session))
}

async fn ask(call: &Call<'_>) -> Result<Reply, OAuthError> {
    let (wish, session) = found(call).await?;
    let Some(session) = session else { return Ok(onward(call, wish.as_ref())) };
    let user = call.app.store.find_user(call.issuer.id(), session.user).await.map_err(|error| reply::outage(&error))?;
    let csrf = browser::form_token(call, FormPurpose::SignOut, &form_of(wish.as_ref(), &session));
    let action = wish.as_ref().map_or_else(|| url(call, Endpoint::SignOut), |wish| wish.ask_url(call));
    let page = ConfirmSignOut {
        workspace: call.issuer.display_name(),
        action: &action,
        csrf: &csrf,
        user: user.as_deref().map_or("", |user| &user.username),
        stay_url: &format!("{}/", call.issuer.url),
    };
    Ok(page::page(call, &page, Forms::MayEndAtClient))
}

async fn sign_out(call: &Call<'_>) -> Result<Reply, OAuthError> {
    let (wish, session) = found(call).await?;
    let Some(session) = session else { return Ok(onward(call, wish.as_ref())) };
    let form = call.form()?;
    if let Err(forged) = browser::check_form(call, &form, FormPurpose::SignOut, &form_of(wish.as_ref(), &session)) {
        return Ok(page::start_again(call, forged.to_string()));
    }
    let wish = wish.map(|wish| SigningOut { confirmed: true, ..wish });
    if let Some(wish) = &wish {
        wish.save(call).await?;
    }
    browser::end_session(call, &session).await.map_err(|error| reply::outage(&error))?;
    let mut reply = onward(call, wish.as_ref());
    browser::delete_session(call, &mut reply);
    Ok(reply)
}

fn url(call: &Call<'_>, endpoint: Endpoint) -> String {
    format!("{}{}", call.issuer.url, endpoint.path())
}
