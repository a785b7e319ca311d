//! The sign-in of the console: no client asks for it, and it leads to none.
//!
//! Takes: a form with a name and a password. Gives: a session, and the way to the inspector.
//! Holds: a sign-in here is what it is everywhere else (`signing_in`); who may do what is asked afterwards.

use opalid_core::error::OAuthError;
use opalid_core::form::Form;

use super::{ADVICE, forged, url};
use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::Reply;
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{SignIn, SignInProblem};
use crate::signing_in;

/// What its form belongs to, beside the browser.
const FORM: &str = "console";

/// GET /console/sign-in.
pub fn show(call: &Call<'_>) -> Reply {
    form_page(call, "", None)
}

/// POST /console/sign-in.
pub async fn submit(call: &Call<'_>) -> Reply {
    let form = match call.form() {
        Ok(form) => form,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    if let Err(error) = browser::check_form(call, &form, FormPurpose::ConsoleSignIn, FORM) {
        return forged(call, error);
    }
    match sign_in(call, &form).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(problem)) => form_page(call, form.one("login").unwrap_or_default(), Some(problem)),
        Err(error) => page::error_page(call, &error, ADVICE),
    }
}

async fn sign_in(call: &Call<'_>, form: &Form<'_>) -> Result<Result<Reply, SignInProblem>, OAuthError> {
    match signing_in::check(call, form).await? {
        Ok(known) => signing_in::start_session(call, &known, &url(call, Endpoint::Inspect), |_| Ok(None)).await.map(Ok),
        Err(problem) => Ok(Err(problem)),
    }
}

fn form_page(call: &Call<'_>, login: &str, problem: Option<SignInProblem>) -> Reply {
    let page = SignIn {
        workspace: call.issuer.display_name(),
        client: None,
        action: &url(call, Endpoint::ConsoleSignIn),
        csrf: &browser::form_token(call, FormPurpose::ConsoleSignIn, FORM),
        login,
        signed_in_as: None,
        problem,
    };
    signing_in::form_page(call, &page, Forms::StayHere)
}
