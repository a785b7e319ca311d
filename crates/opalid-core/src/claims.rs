//! The standard claims about a person (OpenID Core §5.1) that the scopes `profile` and `email` open.
//!
//! Takes: what an operator or the person filled in.
//! Gives: for a set of scopes, what the person has of it, under the names of the wire.
//! Not here: `sub`, which is always there.

mod attributes;
mod declared;
mod room;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scope::{OpenIdScope, Scopes};
use crate::time::UnixTime;

pub use attributes::{Attribute, Attributes, wrong_attributes};
pub use declared::{
    BadClaim, ClaimPlace, ClaimSource, DeclaredClaim, DeclaredClaims, Known, naming_roles, shown, shows, wrong_claims,
};
pub use room::TooMuch;

macro_rules! standard_claims {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {
        /// What is known about a person. Nothing is required.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct StandardClaims {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $name: Option<$kind>,)*
            /// The e-mail address.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub email: Option<String>,
            /// Whether the address was seen to be this person's; not stated means no.
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            pub email_verified: bool,
            /// What an operator knows beyond that; shown to nobody unless a claim is declared for it.
            #[serde(deserialize_with = "attributes::named", skip_serializing_if = "Attributes::is_empty")]
            pub attributes: Attributes,
        }

        impl StandardClaims {
            /// The claims that `profile` opens, as discovery lists them.
            pub const PROFILE: &[&str] = &[$(stringify!($name),)*];
            /// The claims that `email` opens.
            pub const EMAIL: &[&str] = &["email", "email_verified"];

            /// One of them by its name, if the person has it.
            pub fn standard(&self, name: &str) -> Option<Value> {
                match name {
                    $(stringify!($name) => self.$name.as_ref().and_then(ToClaim::to_claim),)*
                    "email" => self.email.as_ref().and_then(ToClaim::to_claim),
                    "email_verified" => self.email.as_ref().map(|_| self.email_verified.into()),
                    _ => None,
                }
            }

            fn profile(&self, claims: &mut Map<String, Value>) {
                $(if let Some(value) = self.$name.as_ref().and_then(ToClaim::to_claim) {
                    claims.insert(stringify!($name).to_owned(), value);
                })*
            }
        }
    };
}

standard_claims! {
    /// The full name, as it is shown.
    name: String;
    /// The given name or names.
    given_name: String;
    /// The family name or names.
    family_name: String;
    /// The middle name or names.
    middle_name: String;
    /// What the person likes to be called.
    nickname: String;
    /// The short name by which the person wants to be known; never a key.
    preferred_username: String;
    /// The URL of a page about the person.
    profile: String;
    /// The URL of a picture.
    picture: String;
    /// The URL of the person's own site.
    website: String;
    /// `female`, `male` or another word.
    gender: String;
    /// `YYYY-MM-DD`, `0000-MM-DD` without the year, or `YYYY`.
    birthdate: String;
    /// A time zone by its name, such as `Europe/Berlin`.
    zoneinfo: String;
    /// A language tag, such as `de-DE`.
    locale: String;
    /// When any of this last changed.
    updated_at: UnixTime;
}

impl StandardClaims {
    /// The names of all of them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::PROFILE.iter().chain(Self::EMAIL).copied()
    }

    /// What the person has of the claims that these scopes open. `email` never comes without `email_verified`.
    pub fn for_scopes(&self, scopes: &Scopes) -> Map<String, Value> {
        let mut claims = Map::new();
        if scopes.has(OpenIdScope::Profile) {
            self.profile(&mut claims);
        }
        if let Some(email) = self.email.as_ref().and_then(ToClaim::to_claim).filter(|_| scopes.has(OpenIdScope::Email))
        {
            claims.insert("email".to_owned(), email);
            claims.insert("email_verified".to_owned(), self.email_verified.into());
        }
        claims
    }
}

/// A value as JSON; an empty text is left out (OpenID Core §5.3.2).
trait ToClaim {
    fn to_claim(&self) -> Option<Value>;
}

impl ToClaim for String {
    fn to_claim(&self) -> Option<Value> {
        (!self.is_empty()).then(|| self.as_str().into())
    }
}

impl ToClaim for UnixTime {
    fn to_claim(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> StandardClaims {
        serde_json::from_str(json).unwrap()
    }

    fn shown(claims: &StandardClaims, scopes: &str) -> String {
        Value::Object(claims.for_scopes(&Scopes::parse(scopes).unwrap())).to_string()
    }

    #[test]
    fn a_scope_opens_its_own_claims_and_only_those_that_the_person_has() {
        let alice = claims(r#"{"name":"Alice","updated_at":1700000000,"email":"a@x.example","email_verified":true}"#);
        assert_eq!(shown(&alice, "openid profile"), r#"{"name":"Alice","updated_at":1700000000}"#);
        assert_eq!(shown(&alice, "openid email"), r#"{"email":"a@x.example","email_verified":true}"#);
        assert_eq!(shown(&alice, "openid offline_access"), "{}");
        assert_eq!(shown(&StandardClaims::default(), "profile email"), "{}");
    }

    #[test]
    fn an_address_nobody_verified_says_so() {
        assert_eq!(
            shown(&claims(r#"{"email":"a@x.example"}"#), "email"),
            r#"{"email":"a@x.example","email_verified":false}"#
        );
        assert_eq!(shown(&claims(r#"{"email_verified":true}"#), "email"), "{}");
    }

    #[test]
    fn an_empty_text_is_left_out() {
        assert_eq!(shown(&claims(r#"{"name":"","email":"","email_verified":true}"#), "profile email"), "{}");
    }

    #[test]
    fn every_claim_of_the_specification_is_there() {
        // OpenID Core §5.4.
        let profile = "name family_name given_name middle_name nickname preferred_username profile picture website \
                       gender birthdate zoneinfo locale updated_at";
        let mut all: Map<String, Value> = profile.split(' ').map(|name| (name.to_owned(), "x".into())).collect();
        all.insert("updated_at".to_owned(), 7.into());
        let person: StandardClaims = serde_json::from_value(Value::Object(all.clone())).unwrap();
        assert_eq!(person.for_scopes(&Scopes::parse("profile").unwrap()), all);
        assert_eq!(serde_json::to_value(&person).unwrap(), Value::Object(all.clone()));
        assert_eq!(StandardClaims::PROFILE.len(), all.len());
        assert!(StandardClaims::PROFILE.iter().all(|name| all.contains_key(*name)));
    }

    #[test]
    fn a_misspelt_claim_is_refused() {
        assert!(serde_json::from_str::<StandardClaims>(r#"{"surname":"x"}"#).is_err());
    }
}
