//! The inspector: what a token is, why it is dead if it is, and how to cut it.
//!
//! Takes: a token, in the body of a form and nowhere else. Gives: what `opalid inspect` says of it.
//! Holds: nothing of a token is in a URL or a log; a form that cuts belongs to this session and to the token that was
//! shown beside it, and is audited as its administrator's.

use opalid_core::error::OAuthError;
use opalid_core::form::Form;
use opalid_core::token::SecretDigest;

use super::{ADVICE, Administrator, Visitor, forged, url, visitor};
use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::Reply as HttpReply;
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::manage::inspect::{Inspection, Whose, inspect};
use crate::manage::{Handed, ManageError, Reply, revoke};
use crate::pages::{CutForm, Inspect, Inspected};

/// GET /console/inspect.
pub async fn show(call: &Call<'_>) -> HttpReply {
    match visitor(call).await {
        Visitor::Administrator(administrator) => answer(call, &administrator, None, Shown::default()),
        Visitor::Other(reply) => *reply,
    }
}

/// POST /console/inspect.
pub async fn submit(call: &Call<'_>) -> HttpReply {
    let administrator = match visitor(call).await {
        Visitor::Administrator(administrator) => administrator,
        Visitor::Other(reply) => return *reply,
    };
    let (form, token) = match read(call) {
        Ok(read) => read,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    if let Err(error) = browser::check_form(call, &form, FormPurpose::Inspect, &administrator.form()) {
        return forged(call, error);
    }
    inspected(call, &administrator, &token, Shown::default()).await
}

/// POST /console/inspect/cut.
pub async fn cut(call: &Call<'_>) -> HttpReply {
    let administrator = match visitor(call).await {
        Visitor::Administrator(administrator) => administrator,
        Visitor::Other(reply) => return *reply,
    };
    let (form, token) = match read(call) {
        Ok(read) => read,
        Err(error) => return page::error_page(call, &error, ADVICE),
    };
    if let Err(error) = browser::check_form(call, &form, FormPurpose::Cut, &shown_to(&administrator, &token)) {
        return forged(call, error);
    }
    let shown = match cut_as_asked(call, &administrator, (&token, form.one("decision"))).await {
        Ok(done) => Shown { done: Some(done), problem: None },
        Err(error) => Shown { done: None, problem: Some(error.to_string()) },
    };
    inspected(call, &administrator, &token, shown).await
}

/// What is said above a token.
#[derive(Default)]
struct Shown {
    done: Option<String>,
    problem: Option<String>,
}

fn read<'c>(call: &'c Call<'_>) -> Result<(Form<'c>, Handed), OAuthError> {
    let form = call.form()?;
    let token = Handed::new(form.one("token").unwrap_or_default().trim().to_owned());
    Ok((form, token))
}

/// What the forms beside a token belong to: the session, and this token.
fn shown_to(administrator: &Administrator, token: &Handed) -> String {
    use std::fmt::Write as _;
    let mut text = administrator.form();
    for byte in SecretDigest::of(token.expose().as_bytes()).0 {
        _ = write!(text, "{byte:02x}");
    }
    text
}

async fn cut_as_asked(
    call: &Call<'_>,
    administrator: &Administrator,
    (token, what): (&Handed, Option<&str>),
) -> Result<String, ManageError> {
    let operation = administrator.operation(call);
    let reply = match what {
        Some("token") => revoke::token(&operation, token).await?,
        Some("grant") => {
            let found = inspect(&operation, token).await?.grant;
            let grant = found.ok_or_else(|| ManageError::Unknown("this token hangs from no grant".into()))?;
            revoke::grant(&operation, &grant.topmost().to_string()).await?
        }
        _ => return Err(ManageError::NotUnderstood("press one of the buttons beside the token".into())),
    };
    match reply {
        Reply::Done { message } => Ok(message),
        _ => Ok(String::new()),
    }
}

async fn inspected(call: &Call<'_>, administrator: &Administrator, token: &Handed, shown: Shown) -> HttpReply {
    match inspect(&administrator.operation(call), token).await {
        Ok(inspection) => answer(call, administrator, Some((&inspection, token)), shown),
        Err(ManageError::Unavailable(why)) => {
            let error = OAuthError::new(
                opalid_core::error::ErrorCode::ServerBusy,
                "the server cannot reach its store now; try again",
            )
            .because(why);
            page::error_page(call, &error, ADVICE)
        }
        Err(error) => answer(call, administrator, None, Shown { problem: Some(error.to_string()), ..shown }),
    }
}

fn answer(
    call: &Call<'_>,
    administrator: &Administrator,
    inspection: Option<(&Inspection, &Handed)>,
    shown: Shown,
) -> HttpReply {
    let cut = inspection.filter(|(inspection, _)| inspection.whose == Whose::Ours && inspection.grant.is_some());
    let cut = cut.map(|(inspection, token)| CutForm {
        action: url(call, Endpoint::InspectCut),
        csrf: browser::form_token(call, FormPurpose::Cut, &shown_to(administrator, token)),
        token: token.expose().to_owned(),
        alone: inspection.kind.starts_with("access token"),
    });
    let page = Inspect {
        workspace: call.issuer.display_name(),
        user: &administrator.user.username,
        action: &url(call, Endpoint::Inspect),
        csrf: &browser::form_token(call, FormPurpose::Inspect, &administrator.form()),
        test_jwt_url: &url(call, Endpoint::TestJwt),
        sign_out_url: &url(call, Endpoint::SignOut),
        done: shown.done.as_deref(),
        problem: shown.problem.as_deref(),
        inspected: inspection.map(|(inspection, _)| Inspected::new(inspection, call.now)),
        cut,
    };
    page::page(call, &page, Forms::StayHere)
}
