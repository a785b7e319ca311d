//! What waits for a person between two requests: a record in the store, named `request` in a URL.
//!
//! Holds: a record of one kind never reads as one of another. Its id is no secret: whoever has it can only do
//! for it what they can do anyway. Records are bounded in size, in how many wait, and in how many one address may begin;
//! one that nobody opened goes soon. What is over is never stored again.

use opalid_core::error::{ErrorCode, OAuthError};
use opalid_core::ids::RequestId;
use opalid_core::time::{Seconds, UnixTime};
use opalid_store::Outage;
use opalid_store::steps::request::{BeginRequest, Begun, EndRequest, FindRequest, SaveRequest, WAITING_MAX};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::call::Call;
use crate::http::reply;
use crate::http::routes::Endpoint;

/// How long a record waits for anybody to come back with it.
const UNTOUCHED: Seconds = Seconds(600);
/// How long it waits in all, once somebody did.
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
    match call.app.store.run(step).await.map_err(|error| reply::outage(&error))? {
        Begun::Kept => Ok(()),
        Begun::Full => {
            let description = "Too many people are signing in right now.";
            Err(OAuthError::new(ErrorCode::ServerBusy, description).because("no more requests may wait here"))
        }
    }
}

/// Keeps what has become of a record. One that is over meanwhile stays over.
pub async fn go_on<W: Waiting>(call: &Call<'_>, id: RequestId, record: &W) -> Result<(), OAuthError> {
    let document = document(record, LARGEST + GROWTH)?;
    save(call, (id, record), Some(document)).await.map_err(|error| reply::outage(&error))
}

/// Says that a record is over; `false` if it was already.
pub async fn end(call: &Call<'_>, id: RequestId) -> Result<bool, OAuthError> {
    let step = EndRequest { workspace: call.issuer.id(), id };
    call.app.store.run(step).await.map_err(|error| reply::outage(&error))
}

async fn save<W: Waiting>(
    call: &Call<'_>,
    (id, record): (RequestId, &W),
    document: Option<String>,
) -> Result<(), Outage> {
    let step = SaveRequest { workspace: call.issuer.id(), id, document, expires_at: record.created_at().plus(KEPT) };
    call.app.store.run(step).await.map(drop)
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

/// The record named `request` in the query, if it still waits and is of this kind. The first time it is kept longer: a
/// person works on it.
pub async fn find<W: Waiting>(call: &Call<'_>) -> Result<Option<(RequestId, W)>, Outage> {
    let named = form_urlencoded::parse(call.query().as_bytes()).find(|(name, _)| name == "request");
    let Some(id) = named.and_then(|(_, value)| value.parse::<RequestId>().ok()) else { return Ok(None) };
    let step = FindRequest { workspace: call.issuer.id(), id, now: call.now };
    let Some((document, expires_at)) = call.app.store.read(step).await? else { return Ok(None) };
    let json = document.strip_prefix(W::KIND).and_then(|rest| rest.strip_prefix(' '));
    let Some(json) = json else { return Ok(None) };
    let record: W = serde_json::from_str(json).map_err(|error| Outage::Corrupt(error.to_string()))?;
    if expires_at < record.created_at().plus(KEPT) {
        save(call, (id, &record), None).await?;
    }
    Ok(Some((id, record)))
}

/// The URL of a page for a record.
pub fn url(call: &Call<'_>, endpoint: Endpoint, id: RequestId) -> String {
    format!("{}{}?request={id}", call.issuer.url, endpoint.path())
}
