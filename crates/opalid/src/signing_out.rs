//! A client's wish to sign a person out, while it waits: for the person's word, or for the browser's cookies.
//!
//! The logout endpoint stores it and names it in a URL; the page that asks notes the person's word and sends the
//! browser back to [`SigningOut::continue_url`]. The address to return to is kept as it was asked for, and is
//! compared with the client's list again before anybody is sent there.

use opalid_core::error::OAuthError;
use opalid_core::ids::{RequestId, SessionId, UserId};
use opalid_core::time::UnixTime;
use opalid_store::Outage;
use opalid_store::steps::session::SessionRow;
use serde::{Deserialize, Serialize};

use crate::http::call::Call;
use crate::http::routes::Endpoint;
use crate::waiting::{self, Waiting};

/// A wish to sign out that a client made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SigningOut {
    /// Its row.
    #[serde(skip, default = "no_id")]
    pub id: RequestId,
    /// When it came.
    pub created_at: UnixTime,
    /// The client: the audience of the ID token, or what the client says of itself.
    pub client_id: String,
    /// Whom the ID token names; without one nobody has proved anything.
    #[serde(default)]
    pub hinted: Option<Hinted>,
    /// Where the browser is to go afterwards.
    #[serde(default)]
    pub post_logout_redirect_uri: Option<String>,
    /// Goes back with the browser.
    #[serde(default)]
    pub state: Option<String>,
    /// Whether the person said yes.
    #[serde(default)]
    pub confirmed: bool,
}

/// Whom an ID token of ours names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hinted {
    /// `sub`.
    pub user: UserId,
    /// `sid`.
    pub session: Option<SessionId>,
}

const fn no_id() -> RequestId {
    RequestId::from_bytes([0; 16])
}

impl Waiting for SigningOut {
    const KIND: &'static str = "sign-out";

    fn created_at(&self) -> UnixTime {
        self.created_at
    }
}

impl SigningOut {
    /// A wish that just came.
    pub fn new(call: &Call<'_>, client_id: String, hinted: Option<Hinted>) -> Self {
        Self {
            id: waiting::new_id(call),
            created_at: call.now,
            client_id,
            hinted,
            post_logout_redirect_uri: None,
            state: None,
            confirmed: false,
        }
    }

    /// Whether the ID token was issued in this session.
    pub fn names(&self, session: &SessionRow) -> bool {
        self.hinted.as_ref() == Some(&Hinted { user: session.user, session: Some(session.id) })
    }

    /// Keeps it, for it just came.
    pub async fn begin(&self, call: &Call<'_>) -> Result<(), OAuthError> {
        waiting::begin(call, self.id, self).await
    }

    /// Keeps what has become of it.
    pub async fn save(&self, call: &Call<'_>) -> Result<(), OAuthError> {
        waiting::go_on(call, self.id, self).await
    }

    /// Says that it is over: the browser goes on. `false` if it was over already.
    pub async fn end(&self, call: &Call<'_>) -> Result<bool, OAuthError> {
        waiting::end(call, self.id).await
    }

    /// The wish named `request` in the query, if it still waits.
    pub async fn find(call: &Call<'_>) -> Result<Option<Self>, Outage> {
        Ok(waiting::find::<Self>(call).await?.map(|(id, found)| Self { id, ..found }))
    }

    /// The page that asks the person.
    pub fn ask_url(&self, call: &Call<'_>) -> String {
        self.url(call, Endpoint::SignOut)
    }

    /// Where the browser goes once its cookies are there, or the person has answered.
    pub fn continue_url(&self, call: &Call<'_>) -> String {
        self.url(call, Endpoint::ContinueLogout)
    }

    fn url(&self, call: &Call<'_>, endpoint: Endpoint) -> String {
        format!("{}{}?request={}", call.issuer.url, endpoint.path(), waiting::name::<Self>(call, self.id))
    }
}
