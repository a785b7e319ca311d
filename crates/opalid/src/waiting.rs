//! What waits for a person between two requests: a record in the store, named `request` in a URL.
//!
//! Holds: a name that we did not give out is refused without a read: it carries a MAC under a key of the workspace, so that
//! nobody makes the store look for records that never were, and one address has so many looked up. A record of one kind
//! never reads as one of another. It belongs to the first browser that comes with its id, by the cookie that forms are bound to: for every other it is over, so that the id alone opens nothing. Records are bounded
//! in size, in how many wait, and in how many one address may begin. One that no browser comes back with goes soon, and
//! one that no person has answered anything for makes room when there is none. What is over is never stored again.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::ids::{RequestId, WorkspaceId};
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::SecretDigest;
use opalid_store::Outage;
use opalid_store::steps::request::{
    BeginInstead, BeginRequest, Begun, EndRequest, FindRequest, SaveRequest, WAITING_MAX,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;

use crate::browser;
use crate::http::call::Call;
use crate::http::reply;
use crate::mac;

/// How long a record waits for anybody to come back with it.
const UNTOUCHED: Seconds = Seconds(600);
/// How long it waits in all, once a browser did, with its cookie.
const KEPT: Seconds = Seconds(3600);
/// The largest record that is begun, in bytes.
const LARGEST: usize = 16 * 1024;
/// How much longer a record may become than it began: saving it never fails for its length, after something was done.
pub(crate) const GROWTH: usize = 512;

/// A kind of record.
pub trait Waiting: Serialize + DeserializeOwned {
    /// Its name, in front of the record.
    const KIND: &'static str;

    /// When it came.
    fn created_at(&self) -> UnixTime;
}

/// A new record's id.
pub fn new_id(call: &Call<'_>) -> RequestId {
    RequestId::from_bytes(call.app.new_id())
}

/// Keeps a new record.
pub async fn begin<W: Waiting>(call: &Call<'_>, id: RequestId, record: &W) -> Result<(), OAuthError> {
    if !call.app.arrivals.admit(call.now, call.address) {
        let description = "Too many sign-ins were begun from where you are.";
        return Err(OAuthError::new(ErrorCode::TooManyRequests, description));
    }
    let expires_at = record.created_at().plus(UNTOUCHED);
    let document = document(record, LARGEST)?;
    let step = BeginRequest { workspace: call.issuer.id(), id, document, expires_at, most: WAITING_MAX };
    // With a POST from elsewhere come no cookies: a new one would take the place of one that is there.
    if call.parts.method == Method::GET {
        browser::of(call);
    }
    let begun = match call.app.store.run(step.clone()).await {
        Ok(Begun::Full) => call.app.store.run(BeginInstead(step)).await,
        begun => begun,
    };
    match begun.map_err(|error| reply::outage(&error))? {
        Begun::Kept => Ok(()),
        Begun::Full => {
            tracing::debug!("no more requests may wait here");
            Err(OAuthError::new(ErrorCode::ServerBusy, "Too many people are signing in right now."))
        }
    }
}

/// Keeps what has become of a record by what a person answered. One that is over meanwhile stays over.
pub async fn go_on<W: Waiting>(call: &Call<'_>, id: RequestId, record: &W) -> Result<(), OAuthError> {
    call.app.store.run(saving(call, id, record)?).await.map(drop).map_err(|error| reply::outage(&error))
}

/// What keeps it, for a step of which it is a part.
pub fn saving<W: Waiting>(call: &Call<'_>, id: RequestId, record: &W) -> Result<SaveRequest, OAuthError> {
    let document = document(record, LARGEST + GROWTH)?;
    Ok(SaveRequest { document: Some(document), ..claim(call, id, Some(record.created_at().plus(KEPT))) })
}

/// Says that a record is over; `false` if it was already.
pub async fn end(call: &Call<'_>, id: RequestId) -> Result<bool, OAuthError> {
    let step = EndRequest { workspace: call.issuer.id(), id };
    call.app.store.run(step).await.map_err(|error| reply::outage(&error))
}

fn claim(call: &Call<'_>, id: RequestId, expires_at: Option<UnixTime>) -> SaveRequest {
    SaveRequest { workspace: call.issuer.id(), id, browser: digest(browser::of(call)), document: None, expires_at }
}

fn digest(browser: &str) -> SecretDigest {
    SecretDigest::of(browser.as_bytes())
}

fn document<W: Waiting>(record: &W, longest: usize) -> Result<String, OAuthError> {
    let json = serde_json::to_string(record);
    let json = json.map_err(|error| OAuthError::new(ErrorCode::ServerError, "it cannot be kept").because(error))?;
    let document = format!("{} {json}", W::KIND);
    if document.len() > longest {
        let description = "This request is too long to be kept: at most 16 KiB.";
        return Err(OAuthError::new(ErrorCode::InvalidRequest, description));
    }
    Ok(document)
}

/// The record named `request` in the query, if it still waits, is of this kind, and belongs to this browser: from now on,
/// if to none so far. The first time that the browser's cookie comes with it, it is kept longer: a person works on it.
pub async fn find<W: Waiting>(call: &Call<'_>) -> Result<Option<(RequestId, W)>, Outage> {
    let named = form_urlencoded::parse(call.query().as_bytes()).find(|(name, _)| name == "request");
    let Some(id) = named.and_then(|(_, name)| id_of::<W>(call, &name)) else { return Ok(None) };
    if !call.app.arrivals.admit_lookup(call.now, call.address) {
        return Err(Outage::Crowded);
    }
    let step = FindRequest { workspace: call.issuer.id(), id, now: call.now };
    let Some(found) = call.app.store.find_request(step).await? else { return Ok(None) };
    let json = found.document.strip_prefix(W::KIND).and_then(|rest| rest.strip_prefix(' '));
    let Some(json) = json else { return Ok(None) };
    let record: W = serde_json::from_str(json).map_err(|error| Outage::Corrupt(error.to_string()))?;
    let known = browser::known(call);
    let is_own = |owner: &SecretDigest| known.is_some_and(|browser| owner.matches(&digest(browser)));
    if found.browser.as_ref().is_some_and(|owner| !is_own(owner)) {
        return Ok(None);
    }
    let until = known.map(|_| record.created_at().plus(KEPT)).filter(|until| *until > found.expires_at);
    // Without the cookie a GET alone makes it this browser's: a page follows, and the cookie with it.
    let is_read_only = call.parts.method == Method::HEAD || (call.parts.method == Method::POST && known.is_none());
    if is_read_only || (found.browser.is_some() && until.is_none()) {
        return Ok(Some((id, record)));
    }
    let is_own = call.app.store.run(claim(call, id, until)).await?;
    Ok(is_own.then_some((id, record)))
}

/// What a record is called in URLs: its id and sixteen bytes of its MAC.
pub fn name<W: Waiting>(call: &Call<'_>, id: RequestId) -> String {
    // There is always one.
    let tag = call.issuer.request_keys.first().map_or([0; 16], |key| tag::<W>(key, call.issuer.id(), id));
    URL_SAFE_NO_PAD.encode([*id.as_bytes(), tag].as_flattened())
}

/// The id in a name that we gave out, for this kind and in this workspace. Base64 is read in its one canonical form.
fn id_of<W: Waiting>(call: &Call<'_>, name: &str) -> Option<RequestId> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(name).ok()?.try_into().ok()?;
    let (id, given) = bytes.split_first_chunk::<16>()?;
    let id = RequestId::from_bytes(*id);
    let fits = |key| bool::from(tag::<W>(key, call.issuer.id(), id).ct_eq(given));
    call.issuer.request_keys.iter().any(fits).then_some(id)
}

fn tag<W: Waiting>(key: &hmac::Key, workspace: WorkspaceId, id: RequestId) -> [u8; 16] {
    let parts: [&[u8]; 4] = [b"request", workspace.as_bytes(), W::KIND.as_bytes(), id.as_bytes()];
    mac::short(key, &parts)
}
