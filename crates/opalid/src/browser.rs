//! The browser in front of us: its session, and the forms and stored requests that belong to it.

pub mod csrf;

use http::HeaderValue;
use http::header::SET_COOKIE;
use opalid_core::form::Form;
use opalid_core::grant::{Ancestor, Birth, Lineage};
use opalid_core::ids::SessionId;
use opalid_core::time::Seconds;
use opalid_core::token::{PresentedToken, RowSecret, SessionCookie};
use opalid_core::user::User;
use opalid_store::Outage;
use opalid_store::steps::session::{EndSession, FindSession, SessionRow, UseSession};

use crate::http::call::Call;
use crate::http::cookies::{CookiePurpose, browser_value};
use crate::http::reply::Reply;
use crate::pages::CSRF_FIELD;
use crate::random;

use csrf::Forged;
pub use csrf::FormPurpose;

/// How long a browser is known to have signed a person in before.
const DEVICE_KNOWN: Seconds = Seconds(365 * 24 * 3600);

/// The session that this browser has, if its person may act in it: it stands, and has not rested too long.
pub async fn session(call: &Call<'_>) -> Result<Option<SessionRow>, Outage> {
    let session = standing_session(call).await?;
    Ok(session.filter(|session| call.now.since(session.used_at) <= call.issuer.settings().tokens.session_idle))
}

/// The session that this browser has, if it stands: its secret matches, it has not ended, and neither has
/// anything it hangs from. One that rested too long can be ended, or gone on with after a sign-in, and nothing else.
pub async fn standing_session(call: &Call<'_>) -> Result<Option<SessionRow>, Outage> {
    let Some(cookie) = call.issuer.cookies.find(&call.parts.headers, CookiePurpose::Session) else { return Ok(None) };
    let Ok(secret) = call.issuer.row_sealer.open_row::<SessionCookie>(PresentedToken::new(cookie)) else {
        return Ok(None);
    };
    let workspace = call.issuer.id();
    let found = call.app.store.read(FindSession { workspace, id: SessionId::from_bytes(secret.row) }).await?;
    let Some(session) = found.filter(|session| session.digest.matches(&secret.digest())) else { return Ok(None) };
    let stands = call.app.store.judge_lineage(workspace, &lineage(&session), call.now).await?.is_ok();
    Ok(stands.then_some(session))
}

/// The session was used in this very moment: it has not rested yet.
pub async fn used(call: &Call<'_>, session: &SessionRow) -> Result<(), Outage> {
    if session.used_at >= call.now {
        return Ok(());
    }
    call.app.store.run(UseSession { workspace: call.issuer.id(), id: session.id, now: call.now }).await
}

/// What hangs from a session hangs from the session and from all that hangs from.
pub fn lineage(session: &SessionRow) -> Lineage {
    let own = Birth { ancestor: Ancestor::Session(session.id), epoch: session.epoch };
    Lineage::new(session.lineage.births().chain([own]))
}

/// Gives the browser the cookie of a session.
pub fn set_session(call: &Call<'_>, reply: &mut Reply, secret: &RowSecret<SessionCookie>) {
    let value = call.issuer.row_sealer.seal_row(secret, random::bytes());
    set(reply, call.issuer.cookies.set(CookiePurpose::Session, &value, None));
}

/// Ends a session on its person's own wish: everything bound to it is dead when this returns.
pub async fn end_session(call: &Call<'_>, session: &SessionRow) -> Result<(), Outage> {
    let stamp = call.app.stamp(call.issuer.id(), format!("user {}", session.user));
    call.app.store.run(EndSession { stamp, id: session.id }).await.map(drop)
}

/// Takes the session cookie away.
pub fn delete_session(call: &Call<'_>, reply: &mut Reply) {
    set(reply, call.issuer.cookies.delete(CookiePurpose::Session));
}

/// Lets the browser prove later that `user` had it, under the name `username_key`: they signed in, or set their password.
pub fn remember_device(call: &Call<'_>, reply: &mut Reply, user: &User, username_key: &str) {
    let old = call.issuer.cookies.find(&call.parts.headers, CookiePurpose::Device);
    let value = call.issuer.devices.remember(old, user, username_key, random::bytes());
    set(reply, call.issuer.cookies.set(CookiePurpose::Device, &value, Some(DEVICE_KNOWN)));
}

/// Adds a `Set-Cookie`.
pub fn set(reply: &mut Reply, cookie: Result<HeaderValue, crate::http::cookies::NotACookieValue>) {
    match cookie {
        Ok(cookie) => drop(reply.headers_mut().append(SET_COOKIE, cookie)),
        Err(error) => tracing::error!(%error, "a cookie could not be written"),
    }
}

/// What tells this browser from others: the cookie it came with, or a new one that goes with the answer.
pub fn of<'c>(call: &'c Call<'_>) -> &'c str {
    known(call).unwrap_or_else(|| call.new_browser.get_or_init(|| browser_value(random::bytes())))
}

/// What told this browser from others before.
pub fn known<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    call.issuer.cookies.find(&call.parts.headers, CookiePurpose::Browser)
}

/// Adds the cookie of a browser that had none, if anything is bound to it.
pub fn with_cookie(call: &Call<'_>, mut reply: Reply) -> Reply {
    if let Some(browser) = call.new_browser.get() {
        set(&mut reply, call.issuer.cookies.set(CookiePurpose::Browser, browser, None));
    }
    reply
}

/// The hidden field of a form for this browser and `request`.
pub fn form_token(call: &Call<'_>, purpose: FormPurpose, request: &str) -> String {
    call.issuer.forms.token(of(call), purpose, request)
}

/// Whether a form came from its own page in this browser.
pub fn check_form(call: &Call<'_>, form: &Form<'_>, purpose: FormPurpose, request: &str) -> Result<(), Forged> {
    call.issuer.forms.check_origin(&call.parts.headers)?;
    call.issuer.forms.check(known(call), purpose, request, form.one(CSRF_FIELD).unwrap_or_default())
}
