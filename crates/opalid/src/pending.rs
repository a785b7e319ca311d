//! An authorization request that waits for a person: what was asked, and what has been done for it.
//!
//! Authorize stores it and names it in a URL; sign-in and consent note what has happened and send the browser
//! back to [`continue_url`]. Its id is no secret: whoever has it can only do for it what they can do anyway.

use opalid_core::ids::{RequestId, SessionId};
use opalid_core::request::AuthorizeRequest;
use opalid_core::time::{Seconds, UnixTime};
use opalid_store::Outage;
use opalid_store::steps::request::{FindRequest, SaveRequest};
use serde::{Deserialize, Serialize};

use crate::http::call::Call;
use crate::http::routes::Endpoint;

/// How long a request waits.
const KEPT: Seconds = Seconds(3600);

/// What has become of a request so far.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    /// Its row.
    #[serde(skip, default = "no_id")]
    pub id: RequestId,
    /// What was asked.
    pub request: AuthorizeRequest,
    /// When.
    pub created_at: UnixTime,
    /// The session that was signed in for it.
    #[serde(default)]
    pub signed_in: Option<SessionId>,
    /// The session that the person chose to go on with.
    #[serde(default)]
    pub chosen: Option<SessionId>,
    /// What the person said to the client's wish, in which session.
    #[serde(default)]
    pub decision: Option<(SessionId, Decision)>,
}

/// What a person says to a client's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Yes.
    Allow,
    /// No.
    Deny,
}

const fn no_id() -> RequestId {
    RequestId::from_bytes([0; 16])
}

impl Pending {
    /// A request that just came.
    pub fn new(call: &Call<'_>, request: AuthorizeRequest) -> Self {
        let id = RequestId::from_bytes(call.app.new_id());
        Self { id, request, created_at: call.now, signed_in: None, chosen: None, decision: None }
    }

    /// Keeps it, as it is now.
    pub async fn save(&self, call: &Call<'_>) -> Result<(), Outage> {
        let document = serde_json::to_string(self).map_err(|error| Outage::Statement(error.to_string()))?;
        let expires_at = self.created_at.plus(KEPT);
        call.app.store.run(SaveRequest { workspace: call.issuer.id(), id: self.id, document, expires_at }).await
    }

    /// The request named `request` in the query, if it still waits.
    pub async fn find(call: &Call<'_>) -> Result<Option<Self>, Outage> {
        let named = form_urlencoded::parse(call.query().as_bytes()).find(|(name, _)| name == "request");
        let Some(id) = named.and_then(|(_, value)| value.parse::<RequestId>().ok()) else { return Ok(None) };
        let step = FindRequest { workspace: call.issuer.id(), id, now: call.now };
        let Some(document) = call.app.store.read(step).await? else { return Ok(None) };
        let pending: Self = serde_json::from_str(&document).map_err(|error| Outage::Corrupt(error.to_string()))?;
        Ok(Some(Self { id, ..pending }))
    }

    /// The URL of a page for this request.
    pub fn url(&self, call: &Call<'_>, endpoint: Endpoint) -> String {
        format!("{}{}?request={}", call.issuer.url, endpoint.path(), self.id)
    }

    /// Where the browser goes once a page has done its part.
    pub fn continue_url(&self, call: &Call<'_>) -> String {
        self.url(call, Endpoint::ContinueAuthorize)
    }
}
