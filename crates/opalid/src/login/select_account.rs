//! Choosing between the account that is signed in and another (`prompt=select_account`).

use opalid_store::steps::session::SessionRow;

use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::SelectAccount;
use crate::pending::{self, Pending};

const ADVICE: &str = "Try again in a moment.";

/// GET /sign-in/account.
pub async fn show(call: &Call<'_>) -> Reply {
    let (pending, session) = match found(call).await {
        Ok(found) => found,
        Err(reply) => return *reply,
    };
    let user = match call.app.store.find_user(call.issuer.id(), session.user).await {
        Ok(Some(user)) => user,
        Ok(None) => return reply::see_other(&pending.url(call, Endpoint::SignIn)),
        Err(error) => return page::error_page(call, &reply::outage(&error), ADVICE),
    };
    let client = call.app.store.find_client(call.issuer.id(), &pending.request.client_id).await.ok().flatten();
    let csrf = browser::form_token(call, FormPurpose::SelectAccount, &shown(&pending, &session));
    let action = pending.url(call, Endpoint::SelectAccount);
    let page = SelectAccount {
        workspace: call.issuer.display_name(),
        client: client.as_deref().map(opalid_core::client::Client::display_name),
        action: &action,
        csrf: &csrf,
        user: &user.username,
    };
    page::page(call, &page, Forms::MayEndAtClient)
}

/// POST /sign-in/account.
pub async fn submit(call: &Call<'_>) -> Reply {
    let (mut pending, session) = match found(call).await {
        Ok(found) => found,
        Err(reply) => return *reply,
    };
    let form = match call.form() {
        Ok(form) => form,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    if let Err(forged) = browser::check_form(call, &form, FormPurpose::SelectAccount, &shown(&pending, &session)) {
        return page::start_again(call, forged.to_string());
    }
    if form.one("account") != Some("continue") {
        return reply::see_other(&pending.url(call, Endpoint::SignIn));
    }
    pending.chosen = Some(session.id);
    match pending.save(call).await {
        Ok(()) => reply::see_other(&pending.continue_url(call)),
        Err(error) => page::error_page(call, &error, ADVICE),
    }
}

/// What the form is bound to: the request, and the account that the page names.
fn shown(pending: &Pending, session: &SessionRow) -> String {
    format!("{} {}", pending.id, session.id)
}

type Found = (Pending, SessionRow);

async fn found(call: &Call<'_>) -> Result<Found, Box<Reply>> {
    let outage = |error| Box::new(page::error_page(call, &reply::outage(&error), ADVICE));
    let Some(pending) = Pending::find(call).await.map_err(outage)? else {
        return Err(Box::new(pending::over(call).await));
    };
    match browser::session(call).await.map_err(outage)? {
        Some(session) => Ok((pending, session)),
        None => Err(Box::new(reply::see_other(&pending.url(call, Endpoint::SignIn)))),
    }
}
