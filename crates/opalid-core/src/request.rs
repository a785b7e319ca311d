//! What stands on the wire, parsed once into closed types.
//!
//! Takes: a `Form`.
//! Gives: an enum variant or a struct for each request; what is not in the enum is refused with the code that
//! the specification names. Discovery lists what the enums list.
//! Not here: client authentication, and what a client may do.

mod authorize;
mod logout;
mod token;

use serde::{Deserialize, Serialize};

pub use authorize::{AuthorizeForm, AuthorizeRequest, ReplyTo};
pub use logout::LogoutRequest;
pub use token::{
    AskedAbout, AuthorizationCodeRequest, ClientCredentialsRequest, IntrospectionRequest, RefreshTokenRequest,
    RevocationRequest, TokenRequest,
};

use crate::error::{ErrorCode, OAuthError};
use crate::form::Form;
use crate::resource_uri::ResourceUri;

macro_rules! wire_enum {
    ($(#[$doc:meta])* $kind:ident { $($(#[$inner:meta])* $name:ident => $wire:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $kind { $($(#[$inner])* #[serde(rename = $wire)] $name,)* }

        impl $kind {
            /// All of them, as discovery lists them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The value on the wire.
            pub const fn wire_name(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// The one with this value.
            pub fn from_wire(value: &str) -> Option<Self> {
                match value { $($wire => Some(Self::$name),)* _ => None }
            }
        }
    };
}

wire_enum! {
    /// `grant_type`: what a token is asked for with.
    GrantType {
        /// A code from the authorization endpoint (RFC 6749 §4.1.3).
        AuthorizationCode => "authorization_code",
        /// A refresh token (RFC 6749 §6).
        RefreshToken => "refresh_token",
        /// Nothing but the client itself (RFC 6749 §4.4).
        ClientCredentials => "client_credentials",
    }
}

wire_enum! {
    /// `response_type`: what the authorization endpoint gives.
    ResponseType {
        /// A code (RFC 6749 §4.1.1).
        Code => "code",
    }
}

wire_enum! {
    /// `response_mode`: how the answer reaches the client.
    ResponseMode {
        /// In the query of the redirect URI.
        Query => "query",
        /// In its fragment.
        Fragment => "fragment",
        /// As a form that the browser posts (OAuth 2.0 Form Post Response Mode).
        FormPost => "form_post",
    }
}

wire_enum! {
    /// A value of `prompt` (OpenID Core §3.1.2.1).
    Prompt {
        /// Show nothing.
        None => "none",
        /// Ask who it is, even if somebody is signed in.
        Login => "login",
        /// Ask for consent, even if it was given.
        Consent => "consent",
        /// Let the person choose an account.
        SelectAccount => "select_account",
    }
}

wire_enum! {
    /// `token_type_hint` (RFC 7009 §2.1). A hint may be wrong, so an unknown one is no error.
    TokenTypeHint {
        /// An access token.
        AccessToken => "access_token",
        /// A refresh token.
        RefreshToken => "refresh_token",
    }
}

/// The values of `prompt`, in order; `none` stands alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prompts(Vec<Prompt>);

/// A `prompt` that cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPrompt {
    /// `none` with others.
    #[error("prompt has none together with other values; none must stand alone")]
    NoneWithOthers,
    /// A value that is not in the enum.
    #[error("prompt has an unknown value; expected none, or any of login, consent and select_account")]
    Unknown,
}

impl From<BadPrompt> for OAuthError {
    fn from(bad: BadPrompt) -> Self {
        bad_request(bad.to_string())
    }
}

impl Prompts {
    /// Reads `prompt`: values with spaces between them, in any order.
    pub fn parse(wire: &str) -> Result<Self, BadPrompt> {
        let values = wire.split(' ').filter(|value| !value.is_empty());
        let values: Option<std::collections::BTreeSet<Prompt>> = values.map(Prompt::from_wire).collect();
        let values = values.ok_or(BadPrompt::Unknown)?;
        if values.contains(&Prompt::None) && values.len() > 1 {
            return Err(BadPrompt::NoneWithOthers);
        }
        Ok(Self(values.into_iter().collect()))
    }

    /// Whether this value is asked for.
    pub fn contains(&self, value: Prompt) -> bool {
        self.0.contains(&value)
    }

    /// Whether nothing may be shown.
    pub fn is_none(&self) -> bool {
        self.contains(Prompt::None)
    }

    /// The same without `value`: once a person has signed in again, `login` is done.
    #[must_use]
    pub fn without(&self, value: Prompt) -> Self {
        Self(self.0.iter().copied().filter(|found| *found != value).collect())
    }
}

impl TryFrom<String> for Prompts {
    type Error = BadPrompt;
    fn try_from(text: String) -> Result<Self, BadPrompt> {
        Self::parse(&text)
    }
}

impl From<Prompts> for String {
    fn from(prompts: Prompts) -> Self {
        prompts.0.iter().map(|value| value.wire_name()).collect::<Vec<_>>().join(" ")
    }
}

/// The longest `state`, in bytes; it travels through our store and back.
pub const MAX_STATE: usize = 4096;
/// The longest `nonce`, in bytes; it is part of the ID token.
pub const MAX_NONCE: usize = 1024;
/// The longest hint, in bytes; an ID token is one.
pub const MAX_HINT: usize = 8192;
/// The most resources one request may name, and the most that may be declared for requests that name none.
pub const MAX_RESOURCES: usize = 16;

fn bad_request(description: impl Into<std::borrow::Cow<'static, str>>) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

/// A text that is kept, of bounded length.
fn kept(form: &Form<'_>, name: &str, longest: usize) -> Result<Option<String>, OAuthError> {
    Ok(form.at_most(name, longest)?.map(str::to_owned))
}

/// A list with spaces between its members, in the order of preference.
fn preferences(form: &Form<'_>, name: &str) -> Result<Vec<String>, OAuthError> {
    let text = form.at_most(name, MAX_HINT)?.unwrap_or("");
    Ok(text.split(' ').filter(|member| !member.is_empty()).map(str::to_owned).collect())
}

/// The resources that are asked for, each once, in the order they were named.
fn resources(form: &Form<'_>) -> Result<Vec<ResourceUri>, OAuthError> {
    let mut resources: Vec<ResourceUri> = Vec::new();
    for text in form.all("resource") {
        if resources.iter().any(|known| known.as_str() == text) {
            continue;
        }
        if resources.len() == MAX_RESOURCES {
            return Err(OAuthError::new(ErrorCode::InvalidTarget, "more than 16 resources"));
        }
        resources.push(ResourceUri::asked(text)?);
    }
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_lead_back_to_their_values() {
        assert!(GrantType::ALL.iter().all(|value| GrantType::from_wire(value.wire_name()) == Some(*value)));
        assert!(ResponseMode::ALL.iter().all(|value| ResponseMode::from_wire(value.wire_name()) == Some(*value)));
        assert_eq!(serde_json::to_string(&ResponseMode::FormPost).unwrap(), r#""form_post""#);
        assert_eq!(GrantType::from_wire("password"), None);
    }

    #[test]
    fn prompt_is_a_set_in_which_none_stands_alone() {
        let prompts = Prompts::parse("select_account login login").unwrap();
        assert!(prompts.contains(Prompt::Login) && prompts.contains(Prompt::SelectAccount));
        assert!(!prompts.contains(Prompt::Consent) && !prompts.is_none());
        assert_eq!(prompts, Prompts::parse("login select_account").unwrap());
        assert_eq!(serde_json::to_string(&prompts).unwrap(), r#""login select_account""#);
        assert_eq!(serde_json::from_str::<Prompts>(r#""login select_account""#).unwrap(), prompts);
        assert_eq!(String::from(prompts.without(Prompt::Login)), "select_account");
        assert!(Prompts::parse("none").unwrap().is_none());
        assert_eq!(Prompts::parse("none login"), Err(BadPrompt::NoneWithOthers));
        assert_eq!(Prompts::parse("create"), Err(BadPrompt::Unknown));
        assert_eq!(Prompts::parse("Login"), Err(BadPrompt::Unknown));
        assert_eq!(Prompts::parse("").unwrap(), Prompts::default());
    }

    #[test]
    fn resources_are_listed_once_each_and_bounded() {
        let form = Form::parse(b"resource=urn:b&resource=urn:a&resource=urn:b").unwrap();
        let texts: Vec<String> = resources(&form).unwrap().into_iter().map(String::from).collect();
        assert_eq!(texts, ["urn:b", "urn:a"]);
        let bad = Form::parse(b"resource=urn:a&resource=b").unwrap();
        assert_eq!(resources(&bad).unwrap_err().code, ErrorCode::InvalidTarget);
        let many: String = (0..=MAX_RESOURCES).map(|n| format!("resource=urn:{n}&")).collect();
        assert_eq!(resources(&Form::parse(many.as_bytes()).unwrap()).unwrap_err().code, ErrorCode::InvalidTarget);
    }
}
