//! What waits for a person between two requests: a record in the store, named `request` in a URL.
//!
//! Holds: a record of one kind never reads as one of another. Its id is no secret: whoever has it can only do
//! for it what they can do anyway.

use opalid_core::ids::RequestId;
use opalid_core::time::{Seconds, UnixTime};
use opalid_store::Outage;
use opalid_store::steps::request::{FindRequest, SaveRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::call::Call;
use crate::http::routes::Endpoint;

/// How long a record waits.
const KEPT: Seconds = Seconds(3600);

/// A kind of record.
pub trait Waiting: Serialize + DeserializeOwned {
    /// Its name, in front of the record.
    const KIND: &'static str;
}

/// A new record's id.
pub fn new_id(call: &Call<'_>) -> RequestId {
    RequestId::from_bytes(call.app.new_id())
}

/// Keeps a record that was begun then, as it is now.
pub async fn save<W: Waiting>(call: &Call<'_>, id: RequestId, record: &W, created_at: UnixTime) -> Result<(), Outage> {
    let json = serde_json::to_string(record).map_err(|error| Outage::Statement(error.to_string()))?;
    let document = format!("{} {json}", W::KIND);
    let expires_at = created_at.plus(KEPT);
    call.app.store.run(SaveRequest { workspace: call.issuer.id(), id, document, expires_at }).await
}

/// The record named `request` in the query, if it still waits and is of this kind.
pub async fn find<W: Waiting>(call: &Call<'_>) -> Result<Option<(RequestId, W)>, Outage> {
    let named = form_urlencoded::parse(call.query().as_bytes()).find(|(name, _)| name == "request");
    let Some(id) = named.and_then(|(_, value)| value.parse::<RequestId>().ok()) else { return Ok(None) };
    let step = FindRequest { workspace: call.issuer.id(), id, now: call.now };
    let Some(document) = call.app.store.read(step).await? else { return Ok(None) };
    let json = document.strip_prefix(W::KIND).and_then(|rest| rest.strip_prefix(' '));
    let read = |json| serde_json::from_str(json).map_err(|error| Outage::Corrupt(error.to_string()));
    Ok(json.map(read).transpose()?.map(|record| (id, record)))
}

/// The URL of a page for a record.
pub fn url(call: &Call<'_>, endpoint: Endpoint, id: RequestId) -> String {
    format!("{}{}?request={id}", call.issuer.url, endpoint.path())
}
