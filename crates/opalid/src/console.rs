//! Pages for signed-in administrators of a workspace.
//!
//! Holds: who may is looked up for every request anew, before anything else is; whoever has no session is led to the
//! sign-in of the console, and whoever is no administrator is told so. What an administrator does here is use of their
//! session: it rests from then on.

pub mod inspect;
pub mod sign_in;
pub mod test_jwt;

use std::sync::Arc;

use http::StatusCode;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::user::User;
use opalid_store::Outage;
use opalid_store::steps::session::SessionRow;

use crate::browser;
use crate::browser::csrf::Forged;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::manage::Operation;
use crate::pages::NotAdministrator;

/// GET /console.
pub fn home(call: &Call<'_>) -> Reply {
    reply::see_other(&url(call, Endpoint::Inspect))
}

const ADVICE: &str = "Try again in a moment.";

/// An administrator of the issuer's workspace, with the session they are signed in by.
struct Administrator {
    session: SessionRow,
    user: Arc<User>,
}

/// Who is there.
enum Visitor {
    Administrator(Box<Administrator>),
    /// Somebody else, with what they are answered.
    Other(Box<Reply>),
}

impl Administrator {
    /// What a form of theirs belongs to.
    fn form(&self) -> String {
        self.session.id.to_string()
    }

    /// What they ask of their workspace.
    fn operation<'a>(&self, call: &Call<'a>) -> Operation<'a> {
        Operation::by_user(call.app, Arc::clone(&call.issuer.record), self.user.id)
    }
}

async fn visitor(call: &Call<'_>) -> Visitor {
    let other = |reply| Visitor::Other(Box::new(reply));
    match signed_in(call).await {
        Ok(Some(found)) if found.user.enabled && found.user.admin => match browser::used(call, &found.session).await {
            Ok(()) => Visitor::Administrator(Box::new(found)),
            Err(error) => other(page::error_page(call, &reply::outage(&error), ADVICE)),
        },
        Ok(Some(found)) => other(refused(call, &found.user)),
        Ok(None) => other(reply::see_other(&url(call, Endpoint::ConsoleSignIn))),
        Err(error) => other(page::error_page(call, &reply::outage(&error), ADVICE)),
    }
}

/// Who is signed in, whether or not they may.
async fn signed_in(call: &Call<'_>) -> Result<Option<Administrator>, Outage> {
    let Some(session) = browser::session(call).await? else { return Ok(None) };
    let user = call.app.store.find_user(call.issuer.id(), session.user).await?;
    Ok(user.map(|user| Administrator { session, user }))
}

fn refused(call: &Call<'_>, user: &User) -> Reply {
    let page = NotAdministrator {
        workspace: call.issuer.display_name(),
        user: &user.username,
        sign_in_url: &url(call, Endpoint::ConsoleSignIn),
    };
    page::page_with(call, StatusCode::FORBIDDEN, &page, Forms::StayHere)
}

/// For a form that is not of its own page, browser and session.
fn forged(call: &Call<'_>, forged: Forged) -> Reply {
    let error = OAuthError::new(ErrorCode::InvalidRequest, forged.to_string());
    page::error_page(call, &error, "Nothing was done. Open the page again and repeat it there.")
}

fn url(call: &Call<'_>, endpoint: Endpoint) -> String {
    format!("{}{}", call.issuer.url, endpoint.path())
}
