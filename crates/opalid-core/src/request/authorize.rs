//! Authorization requests (RFC 6749 §4.1.1, OpenID Core §3.1.2.1), read in two stages.
//!
//! Takes: the query of a GET or the body of a POST.
//! Gives: `AuthorizeForm`, which knows the client and where to answer; from it an `AuthorizeRequest`.
//! Holds: as long as client and redirect URI are not known to belong together, an error is a page of ours;
//! whatever is wrong after that goes to the client with its `state` (RFC 6749 §4.1.2.1).

use serde::{Deserialize, Serialize};

use super::token::scope;
use super::{
    MAX_HINT, MAX_NONCE, MAX_STATE, Prompts, ResponseMode, ResponseType, bad_request, kept, preferences, resources,
};
use crate::error::{ErrorCode, OAuthError};
use crate::form::Form;
use crate::pkce::CodeChallenge;
use crate::redirect_uri::{BadReturnAddress, RedirectUris, ReturnAddress};
use crate::resource_uri::ResourceUri;
use crate::scope::{OpenIdScope, Scopes};
use crate::time::Seconds;

/// The first stage: who asks, and where the answer is wanted. Nothing else has been looked at.
#[derive(Debug)]
pub struct AuthorizeForm<'a> {
    form: Form<'a>,
    client_id: String,
}

/// How the client wants to be answered, as far as it can be told; an error is answered so too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The way the answer takes.
    pub response_mode: ResponseMode,
    /// Goes back to the client unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The whole request, as it waits for a person. The redirect URI is kept as it was asked for: whoever answers
/// compares it with the client's list again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizeRequest {
    /// Who asks.
    pub client_id: String,
    /// Where the answer is wanted; `None` means the only one that is registered.
    #[serde(default)]
    pub redirect_uri: Option<String>,
    /// How the client wants to be answered.
    #[serde(flatten)]
    pub reply_to: ReplyTo,
    /// What is asked for.
    pub response_type: ResponseType,
    /// The scopes; none: the client's default.
    #[serde(default)]
    pub scope: Scopes,
    /// The resources; none: the client's default.
    #[serde(default)]
    pub resources: Vec<ResourceUri>,
    /// What the verifier has to match when the code is redeemed.
    #[serde(default)]
    pub code_challenge: Option<CodeChallenge>,
    /// Goes into the ID token unchanged.
    #[serde(default)]
    pub nonce: Option<String>,
    /// What has to be shown.
    #[serde(default)]
    pub prompt: Prompts,
    /// How long ago the person may have signed in.
    #[serde(default)]
    pub max_age: Option<Seconds>,
    /// Who probably signs in.
    #[serde(default)]
    pub login_hint: Option<String>,
    /// An ID token of the person who should be signed in.
    #[serde(default)]
    pub id_token_hint: Option<String>,
    /// How the person should sign in, best first.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// The languages of the pages, best first.
    #[serde(default)]
    pub ui_locales: Vec<String>,
    /// The languages of the claims, best first.
    #[serde(default)]
    pub claims_locales: Vec<String>,
}

impl<'a> AuthorizeForm<'a> {
    /// The first stage. An error is shown on a page of ours.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, OAuthError> {
        let form = Form::decode(bytes)?;
        for name in ["client_id", "redirect_uri"] {
            if form.repeats(name) {
                return Err(bad_request(format!("parameter {name} is given more than once")));
            }
        }
        let client_id = form.required("client_id")?.to_owned();
        Ok(Self { form, client_id })
    }

    /// Who asks: not authenticated, perhaps not even known.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where the answer goes, if this client registered it; an OpenID request has to name it.
    pub fn return_address(&self, registered: &RedirectUris) -> Result<ReturnAddress, BadReturnAddress> {
        let asked = self.form.one("redirect_uri");
        let openid = self.form.one("scope").is_some_and(|scope| scope.split(' ').any(|name| name == OPENID));
        if openid { registered.exact_return_address(asked) } else { registered.return_address(asked) }
    }

    /// How to answer, an error too. What cannot be read here is an error in `request`.
    pub fn reply_to(&self) -> ReplyTo {
        let once = |name| self.form.one(name).filter(|_| !self.form.repeats(name));
        ReplyTo {
            response_mode: once("response_mode").and_then(ResponseMode::from_wire).unwrap_or(ResponseMode::Query),
            state: once("state").filter(|state| state.len() <= MAX_STATE).map(str::to_owned),
        }
    }

    /// The second stage. An error goes to the client, by `return_address` and `reply_to`.
    pub fn request(&self) -> Result<AuthorizeRequest, OAuthError> {
        let form = &self.form;
        form.refuse_repeated()?;
        self.refuse_unsupported()?;
        form.at_most("state", MAX_STATE)?;
        Ok(AuthorizeRequest {
            client_id: self.client_id.clone(),
            redirect_uri: form.one("redirect_uri").map(str::to_owned),
            response_type: self.response_type()?,
            reply_to: self.reply_to(),
            scope: scope(form)?,
            resources: resources(form)?,
            code_challenge: CodeChallenge::parse(form.one("code_challenge"), form.one("code_challenge_method"))?,
            nonce: kept(form, "nonce", MAX_NONCE)?,
            prompt: form.one("prompt").map(Prompts::parse).transpose()?.unwrap_or_default(),
            max_age: form.one("max_age").map(max_age).transpose()?,
            login_hint: kept(form, "login_hint", MAX_HINT)?,
            id_token_hint: kept(form, "id_token_hint", MAX_HINT)?,
            acr_values: preferences(form, "acr_values")?,
            ui_locales: preferences(form, "ui_locales")?,
            claims_locales: preferences(form, "claims_locales")?,
        })
    }

    /// OpenID Core §6, §7.2.1: what is not supported has an error of its own; ignoring it would be a failure.
    fn refuse_unsupported(&self) -> Result<(), OAuthError> {
        let unsupported = [
            ("request", ErrorCode::RequestNotSupported),
            ("request_uri", ErrorCode::RequestUriNotSupported),
            ("registration", ErrorCode::RegistrationNotSupported),
        ];
        match unsupported.into_iter().find(|(name, _)| self.form.one(name).is_some()) {
            Some((name, code)) => {
                Err(OAuthError::new(code, format!("parameter {name} is not supported; send plain parameters")))
            }
            None => Ok(()),
        }
    }

    fn response_type(&self) -> Result<ResponseType, OAuthError> {
        if self.form.one("response_mode").is_some_and(|mode| ResponseMode::from_wire(mode).is_none()) {
            return Err(bad_request("unknown response_mode; expected query, fragment or form_post"));
        }
        let unsupported =
            || OAuthError::new(ErrorCode::UnsupportedResponseType, "this response_type is not offered; expected code");
        ResponseType::from_wire(self.form.required("response_type")?).ok_or_else(unsupported)
    }
}

impl AuthorizeRequest {
    /// Where the answer goes, if the client has the URI on its list today.
    pub fn return_address(&self, registered: &RedirectUris) -> Result<ReturnAddress, BadReturnAddress> {
        let asked = self.redirect_uri.as_deref();
        if self.scope.has(OpenIdScope::OpenId) {
            registered.exact_return_address(asked)
        } else {
            registered.return_address(asked)
        }
    }
}

const OPENID: &str = OpenIdScope::OpenId.wire_name();

fn max_age(text: &str) -> Result<Seconds, OAuthError> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = digits.and_then(|digits| digits.parse().ok()).map(Seconds);
    seconds.ok_or_else(|| bad_request("max_age is not a number of seconds from 0 to 4294967295"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redirect_uri::RedirectUri;

    const PLAIN: &str = "client_id=c&response_type=code";

    fn request(text: &str) -> Result<AuthorizeRequest, OAuthError> {
        AuthorizeForm::parse(text.as_bytes()).unwrap().request()
    }

    fn refused(more: &str) -> (ErrorCode, String) {
        let error = request(&format!("{PLAIN}&{more}")).unwrap_err();
        (error.code, error.wire_description())
    }

    fn uris(texts: &[&str]) -> RedirectUris {
        RedirectUris(texts.iter().map(|text| RedirectUri::register(text).unwrap()).collect())
    }

    #[test]
    fn a_request_with_everything_is_read_and_survives_its_storage() {
        let text = "scope=profile+openid&max_age=0&prompt=login+consent&response_type=code&client_id=c&nonce=n\
            &redirect_uri=https://a.example/&state=s+1&response_mode=form_post&login_hint=alice&id_token_hint=e.y.J\
            &acr_values=a+b&ui_locales=de++en&claims_locales=de&display=popup&resource=urn:b&resource=urn:a&extra=1\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
        let request = request(text).unwrap();
        assert_eq!((request.client_id.as_str(), request.redirect_uri.as_deref()), ("c", Some("https://a.example/")));
        let reply_to = ReplyTo { response_mode: ResponseMode::FormPost, state: Some("s 1".to_owned()) };
        assert_eq!(request.reply_to, reply_to);
        assert_eq!((request.scope.as_str(), request.nonce.as_deref()), ("openid profile", Some("n")));
        assert_eq!((request.max_age, request.resources.len()), (Some(Seconds(0)), 2));
        assert_eq!(String::from(request.prompt.clone()), "login consent");
        assert_eq!((request.login_hint.as_deref(), request.id_token_hint.as_deref()), (Some("alice"), Some("e.y.J")));
        assert_eq!((request.acr_values.len(), request.claims_locales.len()), (2, 1));
        assert_eq!(request.ui_locales, ["de", "en"]);
        assert!(request.code_challenge.is_some());
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<AuthorizeRequest>(&json).unwrap(), request);
    }

    #[test]
    fn only_client_and_response_type_are_required() {
        let request = request(PLAIN).unwrap();
        assert_eq!(request.reply_to, ReplyTo { response_mode: ResponseMode::Query, state: None });
        assert!(request.scope.is_empty() && request.code_challenge.is_none() && request.nonce.is_none());
        let json = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<AuthorizeRequest>(&json).unwrap(), request);
    }

    #[test]
    fn a_request_stored_before_a_field_existed_is_still_read() {
        let stored = r#"{"client_id":"c","response_mode":"query","response_type":"code"}"#;
        assert_eq!(serde_json::from_str::<AuthorizeRequest>(stored).unwrap(), request(PLAIN).unwrap());
    }

    #[test]
    fn errors_about_client_and_redirect_uri_belong_on_a_page() {
        for text in
            ["", "client_id=", "client_id=a&client_id=a", "client_id=a&redirect_uri=x&redirect_uri", "client_id=%"]
        {
            assert_eq!(AuthorizeForm::parse(text.as_bytes()).unwrap_err().code, ErrorCode::InvalidRequest, "{text}");
        }
    }

    #[test]
    fn an_openid_request_names_its_redirect_uri() {
        let one = uris(&["https://a.example/"]);
        let form = |text: &'static str| AuthorizeForm::parse(text.as_bytes()).unwrap();
        assert!(form("client_id=c&scope=read").return_address(&one).is_ok());
        assert!(form("client_id=c&scope=openidx").return_address(&one).is_ok());
        let asked = form("client_id=c&scope=read+openid");
        assert_eq!(asked.return_address(&one), Err(BadReturnAddress::Missing));
        let asked = form("client_id=c&scope=openid&redirect_uri=https://a.example/?x");
        assert_eq!(asked.return_address(&one), Err(BadReturnAddress::Unknown));
        let asked = form("client_id=c&scope=openid&redirect_uri=https://a.example/");
        assert_eq!(asked.return_address(&one).unwrap().as_str(), "https://a.example/");
    }

    #[test]
    fn a_stored_request_is_answered_only_where_the_client_still_is() {
        let stored = request(&format!("{PLAIN}&redirect_uri=https://a.example/")).unwrap();
        assert_eq!(stored.return_address(&uris(&["https://a.example/"])).unwrap().as_str(), "https://a.example/");
        assert_eq!(stored.return_address(&uris(&["https://b.example/"])), Err(BadReturnAddress::Unknown));
        let openid = request(&format!("{PLAIN}&scope=openid")).unwrap();
        assert_eq!(openid.return_address(&uris(&["https://a.example/"])), Err(BadReturnAddress::Missing));
    }

    #[test]
    fn a_repeated_parameter_is_the_clients_error_and_keeps_state_and_mode() {
        let form = AuthorizeForm::parse(b"client_id=c&state=s&response_mode=fragment&nonce=1&nonce=2").unwrap();
        let error = form.request().unwrap_err();
        assert_eq!(error.wire_description(), "parameter nonce is given more than once");
        let reply_to = ReplyTo { response_mode: ResponseMode::Fragment, state: Some("s".to_owned()) };
        assert_eq!(form.reply_to(), reply_to);
    }

    #[test]
    fn a_state_or_mode_that_cannot_be_read_is_left_out_of_the_answer() {
        let long = format!("{PLAIN}&state={}", "s".repeat(MAX_STATE + 1));
        for text in [&format!("{PLAIN}&state=1&state=2"), &format!("{PLAIN}&response_mode=jwt"), &long] {
            let form = AuthorizeForm::parse(text.as_bytes()).unwrap();
            assert_eq!(form.reply_to(), ReplyTo { response_mode: ResponseMode::Query, state: None });
            assert_eq!(form.request().unwrap_err().code, ErrorCode::InvalidRequest);
        }
    }

    #[test]
    fn what_is_not_supported_has_an_error_of_its_own() {
        for (more, code) in [
            ("request=e.y.J", ErrorCode::RequestNotSupported),
            ("request_uri=https://a.example/r", ErrorCode::RequestUriNotSupported),
            ("registration=%7B%7D", ErrorCode::RegistrationNotSupported),
        ] {
            assert_eq!(refused(more).0, code);
        }
        assert_eq!(request("client_id=c&request=x").unwrap_err().code, ErrorCode::RequestNotSupported);
        assert!(request(&format!("{PLAIN}&request=&request_uri=")).is_ok());
    }

    #[test]
    fn only_code_is_offered() {
        assert_eq!(request("client_id=c").unwrap_err().code, ErrorCode::InvalidRequest);
        for other in ["token", "code+id_token", "none", "Code"] {
            let error = request(&format!("client_id=c&response_type={other}")).unwrap_err();
            assert_eq!(error.code, ErrorCode::UnsupportedResponseType, "{other}");
        }
    }

    #[test]
    fn each_malformed_parameter_is_refused_with_its_own_code() {
        use ErrorCode::*;
        let long_nonce = format!("nonce={}", "n".repeat(MAX_NONCE + 1));
        let long_hint = format!("login_hint={}", "h".repeat(MAX_HINT + 1));
        for (more, code, words) in [
            ("scope=%22", InvalidScope, "not allowed"),
            ("resource=a", InvalidTarget, "not absolute"),
            ("prompt=none+login", InvalidRequest, "none must stand alone"),
            ("max_age=-1", InvalidRequest, "max_age"),
            ("max_age=%2B1", InvalidRequest, "max_age"),
            ("max_age=4294967296", InvalidRequest, "max_age"),
            ("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", InvalidRequest, "means plain"),
            ("code_challenge=E9&code_challenge_method=S256", InvalidRequest, "43 characters"),
            ("response_mode=query.jwt", InvalidRequest, "response_mode"),
            (&long_nonce, InvalidRequest, "nonce is longer than 1024 bytes"),
            (&long_hint, InvalidRequest, "login_hint is longer than 8192 bytes"),
        ] {
            let (found, description) = refused(more);
            assert_eq!(found, code, "{more}");
            assert!(description.contains(words), "{more}: {description}");
        }
    }
}
