//! Requests to sign out (OpenID RP-Initiated Logout §2).

use serde::{Deserialize, Serialize};

use super::{MAX_HINT, MAX_STATE, kept, preferences};
use crate::error::OAuthError;
use crate::form::Form;
use crate::uri::MAX_URI;

/// A request to sign out. Everything in it is optional, and none of it is proof of anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogoutRequest {
    /// An ID token that says who is to be signed out, and by which client.
    pub id_token_hint: Option<String>,
    /// Who is to be signed out, in words.
    pub logout_hint: Option<String>,
    /// Who asks, if the ID token does not say it.
    pub client_id: Option<String>,
    /// Where the browser is to go afterwards, not yet compared with anything.
    pub post_logout_redirect_uri: Option<String>,
    /// Goes back to the client with the browser.
    pub state: Option<String>,
    /// The languages of the page, best first.
    pub ui_locales: Vec<String>,
}

impl LogoutRequest {
    /// Reads the query or body; an error is shown on a page of ours.
    pub fn parse(form: &Form<'_>) -> Result<Self, OAuthError> {
        Ok(Self {
            id_token_hint: kept(form, "id_token_hint", MAX_HINT)?,
            logout_hint: kept(form, "logout_hint", MAX_HINT)?,
            client_id: kept(form, "client_id", MAX_URI)?,
            post_logout_redirect_uri: kept(form, "post_logout_redirect_uri", MAX_URI)?,
            state: kept(form, "state", MAX_STATE)?,
            ui_locales: preferences(form, "ui_locales")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_required_and_what_is_there_is_kept() {
        assert_eq!(LogoutRequest::parse(&Form::parse(b"").unwrap()).unwrap(), LogoutRequest::default());
        let form = Form::parse(b"id_token_hint=h&client_id=c&post_logout_redirect_uri=u&state=s&ui_locales=de+en&x=y")
            .unwrap();
        let request = LogoutRequest::parse(&form).unwrap();
        assert_eq!((request.id_token_hint.as_deref(), request.client_id.as_deref()), (Some("h"), Some("c")));
        assert_eq!((request.post_logout_redirect_uri.as_deref(), request.state.as_deref()), (Some("u"), Some("s")));
        assert_eq!(request.ui_locales, ["de", "en"]);
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<LogoutRequest>(&json).unwrap(), request);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let text = format!("state={}", "s".repeat(MAX_STATE + 1));
        assert!(LogoutRequest::parse(&Form::parse(text.as_bytes()).unwrap()).is_err());
    }
}
