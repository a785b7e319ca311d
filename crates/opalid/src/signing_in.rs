//! Signing a person in: name and password checked, and a session begun. Whatever page asks for them.
//!
//! Takes: a form with `login` and `password` that was seen to be its page's own; where the person goes then.
//! Gives: who they are, or why not; then a session.
//! Holds: known and unknown users cost equally many argon2 runs and are told the same; epochs are read beside
//! the hash, before it is checked; a new session has a new secret; only failures count against anybody, and whoever
//! hangs up before the answer has failed all the same. Why a sign-in failed stands in the log, and never what was typed:
//! people type passwords as their names.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::form::Form;
use opalid_core::grant::{Ancestor, Authentication, Birth, Lineage};
use opalid_core::ids::{SessionId, UserId};
use opalid_core::token::{RowSecret, SecretDigest, SessionCookie};
use opalid_core::user::{User, username_key};
use opalid_store::steps::request::SaveRequest;
use opalid_store::steps::session::StartSession;
use opalid_store::steps::user::{Credentials, FindCredentials};
use tracing::field::display;
use zeroize::Zeroizing;

use crate::app::App;
use crate::browser;
use crate::http::call::Call;
use crate::http::cookies::CookiePurpose;
use crate::http::page;
use crate::http::reply::{self, Reply};
use crate::http::security_headers::Forms;
use crate::issuer::Issuer;
use crate::metrics;
use crate::pages::{SignIn, SignInProblem};
use crate::passwords::device::DeviceId;
use crate::passwords::password::Password;
use crate::passwords::password_hash::PhcString;
use crate::passwords::throttle::{Attempt, Candidate};
use crate::random;
use crate::telemetry;

/// Somebody who typed their own name and password.
pub struct Known {
    user: User,
    /// The name, as it is unique.
    key: String,
}

/// The page, with the status that its problem has.
pub fn form_page(call: &Call<'_>, page: &SignIn<'_>, forms: Forms) -> Reply {
    match page.problem {
        Some(SignInProblem::TooManyTries { wait }) => {
            let mut reply = page::page_with(call, StatusCode::TOO_MANY_REQUESTS, page, forms);
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait));
            reply
        }
        Some(SignInProblem::WrongCredentials) | None => page::page(call, page, forms),
    }
}

/// Checks the name and the password of a form.
pub async fn check(call: &Call<'_>, form: &Form<'_>) -> Result<Result<Known, SignInProblem>, OAuthError> {
    let typed = form.one("login").unwrap_or_default();
    let key = username_key(typed.trim()).unwrap_or_default();
    let device = known_device(call, &key).await?;
    let candidate = Candidate { workspace: call.issuer.id(), login_name: &key, address: call.address, device };
    let attempt = match call.app.throttle.check(call.now, &candidate) {
        Ok(attempt) => attempt,
        Err(wait) => {
            Failure { issuer: Arc::clone(call.issuer), address: call.address }.tell(call.app, Why::Throttled, None);
            return Ok(Err(SignInProblem::TooManyTries { wait: u64::from(wait.0.0) }));
        }
    };
    let password = Password::new(form.one("password").unwrap_or_default().to_owned());
    let failure = Failure { issuer: Arc::clone(call.issuer), address: call.address };
    let trying = try_password(Arc::clone(call.app), credentials_of(call, key.clone()), password, (attempt, failure));
    let user = tokio::spawn(telemetry::within(call.request_id, trying)).await.map_err(|ended| {
        OAuthError::new(ErrorCode::ServerError, "the password could not be checked").because(ended)
    })??;
    Ok(user.map(|user| Known { user, key }).ok_or(SignInProblem::WrongCredentials))
}

fn credentials_of(call: &Call<'_>, username_key: String) -> FindCredentials {
    FindCredentials { workspace: call.issuer.id(), username_key }
}

/// The browser, if it signed in with this name before and its user has not begun anew since. The user is read only
/// for a browser that did, so that for everybody else all names take the same way.
async fn known_device(call: &Call<'_>, key: &str) -> Result<Option<DeviceId>, OAuthError> {
    let cookie = call.issuer.cookies.find(&call.parts.headers, CookiePurpose::Device);
    let proof = cookie.and_then(|cookie| call.issuer.devices.find(cookie, call.issuer.id(), key));
    let Some(proof) = proof else { return Ok(None) };
    let found = call.app.store.read(credentials_of(call, key.to_owned())).await.map_err(|e| reply::outage(&e))?;
    Ok(found.and_then(|found| call.issuer.devices.stands(proof, &found.user)))
}

/// The user, if name and password are right and the account is in service. One argon2 run either way. Runs on a task
/// of its own and ends the attempt itself: hanging up early spares nobody a failure, nor a place in the queue.
async fn try_password(
    app: Arc<App>,
    step: FindCredentials,
    password: Password,
    (attempt, failure): (Attempt, Failure),
) -> Result<Option<User>, OAuthError> {
    let found = app.store.read(step).await.map_err(|error| reply::outage(&error))?;
    let stored =
        found.as_ref().and_then(|found| found.password_hash.as_deref()).and_then(|hash| PhcString::parse(hash).ok());
    let right = app.hasher.verify(stored.as_ref(), &password).await.map_err(|busy| {
        app.metrics.sign_ins.count(metrics::SignIn::Busy);
        tracing::debug!(%busy, "a password was not looked at");
        OAuthError::new(ErrorCode::ServerBusy, "too many people are signing in right now")
    })?;
    let user = found.map(|Credentials { user, .. }| user);
    let why = match &user {
        Some(user) if right && user.enabled => {
            attempt.succeeded();
            app.metrics.sign_ins.count(metrics::SignIn::Success);
            return Ok(Some(user.clone()));
        }
        Some(_) if right => Why::Suspended,
        Some(_) => Why::WrongPassword,
        None => Why::UnknownUser,
    };
    attempt.failed(app.now());
    failure.tell(&app, why, user.map(|user| user.id));
    Ok(None)
}

/// A sign-in that may fail: where, and from where.
struct Failure {
    issuer: Arc<Issuer>,
    address: IpAddr,
}

/// Why it failed; for the log and the metrics alone.
#[derive(Clone, Copy)]
enum Why {
    WrongPassword,
    UnknownUser,
    Suspended,
    Throttled,
}

impl Failure {
    fn tell(&self, app: &App, why: Why, user: Option<UserId>) {
        let (outcome, why) = match why {
            Why::WrongPassword => (metrics::SignIn::Wrong, "wrong password"),
            Why::UnknownUser => (metrics::SignIn::Wrong, "unknown user"),
            Why::Suspended => (metrics::SignIn::Suspended, "suspended"),
            Why::Throttled => (metrics::SignIn::BackedOff, "throttled"),
        };
        app.metrics.sign_ins.count(outcome);
        let (workspace, address, user) = (&self.issuer.workspace().name, self.address, user.map(display));
        tracing::info!(%workspace, %address, why, user, "a sign-in failed");
    }
}

/// Starts a session, or renews the one of the same user in this browser, and goes on to `to`. The request that waits for
/// it, if any, is saved by what `saving` makes, for whichever session it comes to be.
pub async fn start_session(
    call: &Call<'_>,
    Known { user, key }: &Known,
    to: &str,
    saving: impl Fn(SessionId) -> Result<Option<SaveRequest>, OAuthError>,
) -> Result<Reply, OAuthError> {
    let previous =
        browser::standing_session(call).await.map_err(|error| reply::outage(&error))?.map(|session| session.id);
    let bytes = Zeroizing::new(random::bytes::<32>());
    let births = [
        Birth { ancestor: Ancestor::Workspace(call.issuer.id()), epoch: call.issuer.workspace().epoch },
        Birth { ancestor: Ancestor::User(user.id), epoch: user.epoch },
        Birth { ancestor: Ancestor::Credentials(user.id), epoch: user.credentials },
    ];
    let new_id = SessionId::from_bytes(call.app.new_id());
    let sessions = [Some(new_id), previous].into_iter().flatten();
    let requests = sessions.filter_map(|id| Some(saving(id).transpose()?.map(|save| (id, save))));
    let requests = requests.collect::<Result<_, OAuthError>>()?;
    let step = StartSession {
        stamp: call.app.stamp(call.issuer.id(), format!("user {}", user.id)),
        id: new_id,
        user: user.id,
        digest: SecretDigest::of(bytes.as_slice()),
        lineage: Lineage::new(births),
        authentication: Authentication { auth_time: call.now, acr: "1".into(), amr: vec!["pwd".into()] },
        expires_at: call.now.plus(call.issuer.settings().tokens.session_absolute),
        previous,
        requests,
    };
    let id = call.app.store.run(step).await.map_err(|error| reply::outage(&error))?;
    let secret = RowSecret::<SessionCookie>::new(*id.as_bytes(), 0, *bytes);
    let mut reply = reply::see_other(to);
    browser::set_session(call, &mut reply, &secret);
    browser::remember_device(call, &mut reply, user, key);
    Ok(reply)
}
