//! The walk's page and the application's address for codes.
//!
//! Takes: a button (POST), an answer of the server (GET). Gives: always a redirect to the page, so that loading it
//! again takes no step again.
//! Holds: a step is taken only from our own form in this browser, and only when it is the next; the cookies of the
//! person are never shown.

use std::sync::Arc;

use http::StatusCode;
use http::uri::PathAndQuery;
use opalid_core::form::Form;
use tokio::sync::Mutex;

use super::steps;
use super::wire::WireError;
use crate::browser::{self, FormPurpose};
use crate::http::call::Call;
use crate::http::cookies::{CookiePurpose, browser_value};
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{CSRF_FIELD, Demo, DemoNext, FormMethod, HiddenField};
use crate::random;
use crate::walk::{Next, Step, Walk};

/// The field that names the step.
const STEP_FIELD: &str = "step";
/// What a query of the page can say.
const GONE: &str = "gone";
const UNEXPECTED: &str = "unexpected";
const AGAIN: &str = "again";

/// GET /demo: the walk as it stands, or its beginning. The browser also comes here when it has signed out.
pub async fn show(call: &Call<'_>) -> Reply {
    let walk = find(call);
    let asked = Form::parse(call.query().as_bytes()).ok();
    if let Some(walk) = &walk
        && asked.is_some_and(|form| form.one("state").is_some())
    {
        let mut walk = walk.lock().await;
        return match steps::take_signed_out(&mut walk, &call.issuer.url, path_and_query(call)) {
            Ok(()) => to_step(call, &walk),
            Err(steps::Unexpected) => to_page(call, UNEXPECTED),
        };
    }
    let (walk, note) = match (call.query(), walk) {
        (AGAIN, _) => (None, None),
        (GONE, walk) => {
            (walk, Some("That walk is over: it took longer than an hour, or the server was started again."))
        }
        (UNEXPECTED, walk) => (walk, Some("An answer came that fits no question of this walk; it was left alone.")),
        (_, walk) => (walk, None),
    };
    match walk {
        Some(walk) => walk_page(call, &*walk.lock().await, note),
        None => walk_page(call, &Walk::default(), note),
    }
}

/// POST /demo: takes the step that the form names.
pub async fn submit(call: &Call<'_>) -> Reply {
    let form = match call.form() {
        Ok(form) => form,
        Err(error) => return page::error_page(call, &error, "Open the demo again."),
    };
    let name = form.one(STEP_FIELD).unwrap_or_default();
    if let Err(forged) = browser::check_form(call, &form, FormPurpose::Demo, name) {
        return page::start_again(call, forged.to_string());
    }
    match Step::from_name(name) {
        Some(Step::Discover) => begin(call).await,
        Some(step) => go_on(call, step).await,
        None => page::start_again(call, "This form is not one of the demo."),
    }
}

/// GET /demo/callback: the application's redirect URI.
pub async fn callback(call: &Call<'_>) -> Reply {
    let Some(walk) = find(call) else { return to_page(call, GONE) };
    let mut walk = walk.lock().await;
    match steps::take_answer(&mut walk, &call.issuer.url, path_and_query(call)) {
        Ok(()) => to_step(call, &walk),
        Err(steps::Unexpected) => to_page(call, UNEXPECTED),
    }
}

/// A new walk, in the place of one there may be.
async fn begin(call: &Call<'_>) -> Reply {
    let walk = match steps::begin(&call.issuer.url).await {
        Ok(walk) => walk,
        Err(error) => return walk_page(call, &Walk::default(), Some(&in_words(&error))),
    };
    if let Some(cookie) = call.issuer.cookies.find(&call.parts.headers, CookiePurpose::Walk) {
        call.app.walks.forget(cookie);
    }
    let cookie = browser_value(random::bytes());
    let mut reply = to_step(call, &walk);
    call.app.walks.begin(&cookie, walk, call.now);
    browser::set(&mut reply, call.issuer.cookies.set(CookiePurpose::Walk, &cookie, None));
    reply
}

/// The next step of this browser's walk; an earlier one was taken already.
async fn go_on(call: &Call<'_>, step: Step) -> Reply {
    let Some(walk) = find(call) else { return to_page(call, GONE) };
    let mut walk = walk.lock().await;
    if walk.next != Next::Press(step) {
        return to_step(call, &walk);
    }
    let issuer = &call.issuer.url;
    let away = match step {
        Step::SignIn => Some(steps::sign_in(&mut walk, issuer)),
        Step::SignOut => steps::sign_out(&mut walk, issuer),
        _ => None,
    };
    if let Some(location) = away {
        return reply::see_other(&location);
    }
    if let Err(error) = steps::take(&mut walk, step, issuer, call.now).await {
        walk.note = Some(in_words(&error));
        return to_page(call, "");
    }
    to_step(call, &walk)
}

fn in_words(error: &WireError) -> String {
    tracing::warn!(%error, "the demo could not take a step");
    format!("This step could not be taken: {error}.")
}

fn find(call: &Call<'_>) -> Option<Arc<Mutex<Walk>>> {
    let cookie = call.issuer.cookies.find(&call.parts.headers, CookiePurpose::Walk)?;
    call.app.walks.find(cookie, call.now)
}

fn path_and_query<'c>(call: &'c Call<'_>) -> &'c str {
    call.parts.uri.path_and_query().map_or("", PathAndQuery::as_str)
}

/// To the page, perhaps with something to say.
fn to_page(call: &Call<'_>, query: &str) -> Reply {
    let separator = if query.is_empty() { "" } else { "?" };
    reply::see_other(&format!("{}{}{separator}{query}", call.issuer.url, Endpoint::Demo.path()))
}

/// To what was done last: its bytes, and the next button below them.
fn to_step(call: &Call<'_>, walk: &Walk) -> Reply {
    reply::see_other(&format!("{}{}#step-{}", call.issuer.url, Endpoint::Demo.path(), walk.done.len()))
}

fn walk_page(call: &Call<'_>, walk: &Walk, note: Option<&str>) -> Reply {
    let (step, closing) = match &walk.next {
        Next::Press(step) => (Some(*step), ""),
        Next::Nothing(why) => (None, why.as_str()),
    };
    let signs_out = step == Some(Step::Discover) || walk.endpoints.end_session.is_some();
    let ahead = step.into_iter().flat_map(Step::ahead).filter(|step| *step != Step::SignOut || signs_out);
    let csrf = browser::form_token(call, FormPurpose::Demo, step.map_or("", |step| step.words().name));
    let next = step.map(|step| {
        let words = step.words();
        let field = HiddenField { name: CSRF_FIELD, value: &csrf };
        DemoNext {
            title: words.title,
            explain: words.explain,
            label: words.label,
            action_url: Endpoint::Demo.path(),
            method: FormMethod::Post,
            hidden: vec![field, HiddenField { name: STEP_FIELD, value: words.name }],
        }
    });
    let page = Demo {
        workspace: call.issuer.display_name(),
        note: note.or(walk.note.as_deref()),
        steps: walk.done.clone(),
        next,
        ahead: ahead.map(|step| step.words().title).collect(),
        closing,
        restart_url: &format!("{}?{AGAIN}", Endpoint::Demo.path()),
    };
    // The application's forms lead to the server's pages and from there back to the application.
    page::page_with(call, StatusCode::OK, &page, Forms::MayEndAtClient)
}
