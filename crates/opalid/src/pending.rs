//! An authorization request that waits for a person: what was asked, and what has been done for it.
//!
//! Authorize stores it and names it in a URL; sign-in and consent note what has happened and send the browser
//! back to [`Pending::continue_url`]. The URL names the client too, so that whoever comes back when the request is over
//! (answered, or too late) is led to the application and not to a dead end.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use opalid_core::client::Client;
use opalid_core::error::OAuthError;
use opalid_core::grant::Entitlement;
use opalid_core::ids::{RequestId, SessionId};
use opalid_core::request::{AuthorizeRequest, Prompt};
use opalid_core::time::{Seconds, UnixTime};
use opalid_store::Outage;
use opalid_store::steps::request::SaveRequest;
use opalid_store::steps::session::SessionRow;
use serde::{Deserialize, Serialize};

use crate::browser;
use crate::browser::csrf::Forged;
use crate::http::call::Call;
use crate::http::page;
use crate::http::reply::Reply;
use crate::http::routes::Endpoint;
use crate::http::security_headers::Forms;
use crate::pages::Over;
use crate::waiting::{self, Waiting};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Yes, to what the page showed, and to nothing else.
    Allow(ShownDigest),
    /// No.
    Deny,
}

/// What a page showed, in few bytes: the record has no room for all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShownDigest(String);

impl ShownDigest {
    /// Of what [`Pending::shown`] says.
    pub fn of(shown: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest(&SHA256, shown.as_bytes())))
    }
}

const fn no_id() -> RequestId {
    RequestId::from_bytes([0; 16])
}

impl Waiting for Pending {
    const KIND: &'static str = "authorize";

    fn created_at(&self) -> UnixTime {
        self.created_at
    }
}

impl Pending {
    /// A request that just came.
    pub fn new(call: &Call<'_>, request: AuthorizeRequest) -> Self {
        let id = waiting::new_id(call);
        Self { id, request, created_at: call.now, signed_in: None, chosen: None, decision: None }
    }

    /// Keeps it, for it just came.
    pub async fn begin(&self, call: &Call<'_>) -> Result<(), OAuthError> {
        waiting::begin(call, self.id, self).await
    }

    /// Keeps what has become of it.
    pub async fn save(&self, call: &Call<'_>) -> Result<(), OAuthError> {
        waiting::go_on(call, self.id, self).await
    }

    /// What keeps that it was signed in for in this session.
    pub fn saving_signed_in(&self, call: &Call<'_>, session: SessionId) -> Result<SaveRequest, OAuthError> {
        waiting::saving(call, self.id, &Self { signed_in: Some(session), ..self.clone() })
    }

    /// Says that it is over: it was answered.
    pub async fn end(&self, call: &Call<'_>) -> Result<(), OAuthError> {
        waiting::end(call, self.id).await.map(drop)
    }

    /// Whether this session was signed in for it.
    pub fn is_fresh(&self, session: &SessionRow) -> bool {
        self.signed_in == Some(session.id)
    }

    /// Whether the client wants the person to sign in anew, or to have done so not long ago (OpenID Core §3.1.2.1), and
    /// in this session they have not.
    pub fn needs_sign_in(&self, session: &SessionRow, now: UnixTime) -> bool {
        // Who signed in for this very request has done so, however long the rest of it takes.
        if self.is_fresh(session) {
            return false;
        }
        let age = now.since(session.authentication.auth_time);
        let too_old = |most: Seconds| most == Seconds(0) || age > most;
        self.request.prompt.contains(Prompt::Login) || self.request.max_age.is_some_and(too_old)
    }

    /// Whether the person of this session is the one that `id_token_hint` names (OpenID Core §3.1.2.1). A hint that cannot
    /// be read names nobody, for keys may have gone since it was given out: where nobody may be asked that is not this
    /// person, and where people are asked it is passed over, since signing in again would not mend it.
    pub fn is_hinted(&self, call: &Call<'_>, session: &SessionRow) -> bool {
        let Some(hint) = &self.request.id_token_hint else { return true };
        let claims = call.issuer.public.verify_id_token_hint(hint, &call.issuer.url);
        claims.map_or(!self.request.prompt.is_none(), |claims| claims.sub == session.user.to_string())
    }

    /// Whether it is open in which account the person goes on: the client wants them to choose, or another session than
    /// this one was signed in or chosen for this very request, so that somebody signed in elsewhere in this browser since.
    pub fn needs_choice(&self, session: &SessionRow) -> bool {
        let is_settled = self.is_fresh(session) || self.chosen == Some(session.id);
        let was_another = self.signed_in.is_some() || self.chosen.is_some();
        !is_settled && (was_another || self.request.prompt.contains(Prompt::SelectAccount))
    }

    /// Whether the person of this session may be asked what the client may have: they are the one it is about.
    pub fn is_about(&self, call: &Call<'_>, session: &SessionRow) -> bool {
        !self.needs_sign_in(session, call.now) && self.is_hinted(call, session) && !self.needs_choice(session)
    }

    /// What a page shows: the request, the person it names, and what the client would have. The form is bound to it, and so
    /// is what the person says: to have something else, the client has them asked anew.
    pub fn shown(&self, session: &SessionRow, entitlement: &Entitlement) -> String {
        let resources = entitlement.resources.iter().map(|(id, scopes)| format!(" {id} {scopes}"));
        format!("{} {} {}{}", self.id, session.id, entitlement.openid, resources.collect::<String>())
    }

    /// The request named `request` in the query, if it still waits.
    pub async fn find(call: &Call<'_>) -> Result<Option<Self>, Outage> {
        Ok(waiting::find::<Self>(call).await?.map(|(id, pending)| Self { id, ..pending }))
    }

    /// The URL of a page for this request.
    pub fn url(&self, call: &Call<'_>, endpoint: Endpoint) -> String {
        let client = form_urlencoded::byte_serialize(self.request.client_id.as_bytes()).collect::<String>();
        let name = waiting::name::<Self>(call, self.id);
        format!("{}{}?client_id={client}&request={name}", call.issuer.url, endpoint.path())
    }

    /// Where the browser goes once a page has done its part.
    pub fn continue_url(&self, call: &Call<'_>) -> String {
        self.url(call, Endpoint::ContinueAuthorize)
    }
}

/// The page for a request that does not wait any more. The client is the one that the URL names: nothing but its name and
/// the way to it are shown, and whoever made the URL could have begun a request of that client.
pub async fn over(call: &Call<'_>) -> Reply {
    // A form that comes without a cookie belongs to nothing; how to mend that is what to say.
    if call.parts.method == Method::POST && browser::known(call).is_none() {
        return page::start_again(call, Forged.to_string());
    }
    let named = form_urlencoded::parse(call.query().as_bytes()).find(|(name, _)| name == "client_id");
    let client = match named {
        Some((_, client_id)) => call.app.store.find_client(call.issuer.id(), &client_id).await.ok().flatten(),
        None => None,
    };
    let client = client.filter(|client| client.enabled);
    let home = client.as_deref().and_then(Client::home);
    let client = client.as_deref().map(Client::display_name);
    let page = Over { workspace: call.issuer.display_name(), client, home: home.as_deref() };
    page::page_with(call, StatusCode::BAD_REQUEST, &page, Forms::StayHere)
}

#[cfg(test)]
mod tests {
    use opalid_core::request::AuthorizeForm;

    use super::*;
    use crate::signing_out::{Hinted, SigningOut};

    fn longer(before: &impl Waiting, after: &impl Waiting) -> usize {
        let [before, after] = [serde_json::to_string(before).unwrap(), serde_json::to_string(after).unwrap()];
        after.len().checked_sub(before.len()).unwrap()
    }

    #[test]
    fn what_becomes_of_a_record_fits_beside_the_largest_that_is_begun() {
        let asked = b"client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2F&response_type=code&scope=openid";
        let request = AuthorizeForm::parse(asked).unwrap().request().unwrap();
        let created_at = UnixTime(1_900_000_000);
        let begun = Pending { id: no_id(), request, created_at, signed_in: None, chosen: None, decision: None };
        let session = SessionId::from_bytes([255; 16]);
        let decision = Some((session, Decision::Allow(ShownDigest::of(""))));
        let all = Pending { signed_in: Some(session), chosen: Some(session), decision, ..begun.clone() };
        assert!(longer(&begun, &all) <= waiting::GROWTH);
        let wish = SigningOut {
            id: no_id(),
            created_at,
            client_id: "app".into(),
            hinted: None::<Hinted>,
            post_logout_redirect_uri: None,
            state: None,
            confirmed: true,
        };
        assert!(longer(&wish, &SigningOut { confirmed: false, ..wish.clone() }) <= waiting::GROWTH);
    }
}
