//! The sign-in page: a name and a password.
//!
//! Takes: a stored request, a form. Gives: a session, and the way back to the request.
//! Not here: how name and password are checked, and what a session begins with (`signing_in`).

use opalid_core::error::OAuthError;
use opalid_core::form::Form;

use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{SignIn, SignInProblem};
use crate::pending::{self, Pending};
use crate::signing_in;

const ADVICE: &str = "Try again in a moment.";

/// GET /sign-in.
pub async fn show(call: &Call<'_>) -> Reply {
    match Pending::find(call).await {
        Ok(Some(pending)) => form_page(call, &pending, None, None).await,
        Ok(None) => pending::over(call).await,
        Err(error) => page::error_page(call, &reply::outage(&error), ADVICE),
    }
}

/// POST /sign-in.
pub async fn submit(call: &Call<'_>) -> Reply {
    let pending = match Pending::find(call).await {
        Ok(Some(pending)) => pending,
        Ok(None) => return pending::over(call).await,
        Err(error) => return page::error_page(call, &reply::outage(&error), ADVICE),
    };
    let form = match call.form() {
        Ok(form) => form,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    if let Err(forged) = browser::check_form(call, &form, FormPurpose::SignIn, &pending.id.to_string()) {
        return page::start_again(call, forged.to_string());
    }
    match sign_in(call, &form, pending.clone()).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(problem)) => form_page(call, &pending, form.one("login"), Some(problem)).await,
        Err(error) => page::error_page(call, &error, ADVICE),
    }
}

async fn form_page(call: &Call<'_>, pending: &Pending, typed: Option<&str>, problem: Option<SignInProblem>) -> Reply {
    let id = pending.id.to_string();
    let csrf = browser::form_token(call, FormPurpose::SignIn, &id);
    let client = call.app.store.find_client(call.issuer.id(), &pending.request.client_id).await.ok().flatten();
    let signed_in = match browser::session(call).await {
        Ok(Some(session)) => call.app.store.find_user(call.issuer.id(), session.user).await.ok().flatten(),
        _ => None,
    };
    let action = pending.url(call, Endpoint::SignIn);
    let page = SignIn {
        workspace: call.issuer.display_name(),
        client: client.as_deref().map(opalid_core::client::Client::display_name),
        action: &action,
        csrf: &csrf,
        login: typed.or(pending.request.login_hint.as_deref()).unwrap_or_default(),
        signed_in_as: signed_in.as_deref().map(|user| user.username.as_str()),
        problem,
    };
    signing_in::form_page(call, &page, Forms::MayEndAtClient)
}

async fn sign_in(
    call: &Call<'_>,
    form: &Form<'_>,
    pending: Pending,
) -> Result<Result<Reply, SignInProblem>, OAuthError> {
    let known = match signing_in::check(call, form).await? {
        Ok(known) => known,
        Err(problem) => return Ok(Err(problem)),
    };
    let saving = |session| pending.saving_signed_in(call, session).map(Some);
    signing_in::start_session(call, &known, &pending.continue_url(call), saving).await.map(Ok)
}
