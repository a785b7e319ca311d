//! The page behind a one-time link to set a password.
//!
//! Takes: the link's token, in the query; a form. Gives: the password, and a page that says so.
//! Holds: looking uses nothing up; the form works once, only from its own page in this browser. A link that cannot be
//! used costs no argon2 run. Everything the user had under the old password is dead when this returns.

use std::sync::Arc;

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::form::Form;
use opalid_core::ids::{LinkId, WorkspaceId};
use opalid_core::token::{PasswordLink, PresentedToken, SecretDigest};
use opalid_core::user::username_key;
use opalid_store::steps::password::{FindPasswordLink, RedeemPasswordLink, RedeemedLink};

use crate::app::App;
use crate::browser;
use crate::browser::csrf::FormPurpose;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::{PasswordSet, SetPassword, SetPasswordProblem};
use crate::passwords::password::{ChosenPassword, MIN_CHARACTERS, Password};
use crate::passwords::throttle::Attempt;
use crate::random;

const ADVICE: &str = "Ask whoever sent you the link for a new one.";

/// A link that can be used now.
struct Link<'a> {
    id: LinkId,
    digest: SecretDigest,
    /// As it came: the form goes back to where it is from.
    token: &'a str,
    username: String,
}

/// GET /set-password.
pub async fn show(call: &Call<'_>) -> Reply {
    let query = Form::parse(call.query().as_bytes());
    match load_link(call, &query).await {
        Ok(link) => form_page(call, &link, None),
        Err(error) => page::error_page(call, &error, ADVICE),
    }
}

/// POST /set-password.
pub async fn submit(call: &Call<'_>) -> Reply {
    let query = Form::parse(call.query().as_bytes());
    let answer = match load_link(call, &query).await {
        Ok(link) => set_password(call, &link).await,
        Err(error) => Err(error),
    };
    answer.unwrap_or_else(|error| page::error_page(call, &error, ADVICE))
}

/// GET /set-password/done.
pub fn done(call: &Call<'_>) -> Reply {
    let page = PasswordSet { workspace: call.issuer.display_name(), sign_in_url: None };
    page::page(call, &page, Forms::StayHere)
}

fn dead() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "This link was used before, has expired, or is not complete.")
}

async fn load_link<'q>(call: &Call<'_>, query: &'q Result<Form<'q>, OAuthError>) -> Result<Link<'q>, OAuthError> {
    let token = query.as_ref().ok().and_then(|query| query.one("token")).ok_or_else(dead)?;
    let opened = call.issuer.row_sealer.open_row::<PasswordLink>(PresentedToken::new(token));
    let secret = opened.map_err(|unopened| dead().because(format!("{unopened:?}")))?;
    let (id, digest) = (LinkId::from_bytes(secret.row), secret.digest());
    let step = FindPasswordLink { workspace: call.issuer.id(), id, digest, now: call.now };
    let found = call.app.store.read(step).await.map_err(|error| reply::outage(&error))?;
    let username = found.ok_or_else(dead)?.username;
    Ok(Link { id, digest, token, username })
}

fn form_page(call: &Call<'_>, link: &Link<'_>, problem: Option<SetPasswordProblem>) -> Reply {
    let csrf = browser::form_token(call, FormPurpose::SetPassword, &link.id.to_string());
    let page = SetPassword {
        workspace: call.issuer.display_name(),
        action: &format!("{}{}?token={}", call.issuer.url, Endpoint::SetPassword.path(), link.token),
        csrf: &csrf,
        login: &link.username,
        shortest: MIN_CHARACTERS,
        problem,
    };
    page::page(call, &page, Forms::StayHere)
}

async fn set_password(call: &Call<'_>, link: &Link<'_>) -> Result<Reply, OAuthError> {
    let form = call.form()?;
    if let Err(forged) = browser::check_form(call, &form, FormPurpose::SetPassword, &link.id.to_string()) {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, forged.to_string()));
    }
    let chosen = match chosen(&form, &link.username) {
        Ok(chosen) => chosen,
        Err(problem) => return Ok(form_page(call, link, Some(problem))),
    };
    let attempt = call.app.throttle.check_link(call.now, link.id).map_err(|_| busy())?;
    let redeeming = Redeeming { workspace: call.issuer.id(), id: link.id, digest: link.digest, chosen, attempt };
    let set = tokio::spawn(redeeming.run(Arc::clone(call.app))).await;
    let set =
        set.map_err(|ended| OAuthError::new(ErrorCode::ServerError, "the password could not be set").because(ended))??;
    let RedeemedLink::Set(id) = set else { return Err(dead()) };
    let mut reply = reply::see_other(&format!("{}{}", call.issuer.url, Endpoint::PasswordSet.path()));
    // Whoever guesses at this account meanwhile does not keep its owner out of it.
    let user = call.app.store.find_user(call.issuer.id(), id).await.map_err(|error| reply::outage(&error))?;
    if let Some(user) = user
        && let Ok(key) = username_key(&user.username)
    {
        browser::remember_device(call, &mut reply, &user, &key);
    }
    Ok(reply)
}

/// A password on its way to be set, on a task of its own: whoever hangs up has sent the form all the same, and has no
/// more than a few places in the queue of hashes.
struct Redeeming {
    workspace: WorkspaceId,
    id: LinkId,
    digest: SecretDigest,
    chosen: ChosenPassword,
    attempt: Attempt,
}

impl Redeeming {
    async fn run(self, app: Arc<App>) -> Result<RedeemedLink, OAuthError> {
        let hash = app.hasher.hash(&self.chosen, random::bytes()).await.map_err(|why| {
            tracing::debug!(%why, "a password was not hashed");
            busy()
        })?;
        let password_hash = hash.to_text();
        let stamp = app.stamp(self.workspace, "one-time link");
        let step = RedeemPasswordLink { stamp, id: self.id, digest: self.digest, password_hash };
        let redeemed = app.store.run(step).await.map_err(|error| reply::outage(&error));
        drop(self.attempt);
        redeemed
    }
}

fn busy() -> OAuthError {
    OAuthError::new(ErrorCode::ServerBusy, "too many people are signing in right now")
}

fn chosen(form: &Form<'_>, username: &str) -> Result<ChosenPassword, SetPasswordProblem> {
    let typed = form.one("new_password").unwrap_or_default();
    if form.one("confirm_password").unwrap_or_default() != typed {
        return Err(SetPasswordProblem::Different);
    }
    ChosenPassword::new(Password::new(typed.to_owned()), username).map_err(SetPasswordProblem::Refused)
}
