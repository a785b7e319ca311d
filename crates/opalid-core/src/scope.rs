//! Scopes (RFC 6749 §3.3).
//!
//! Holds: a set of scopes is sorted and without repetitions, so that equal sets have equal text, digests and
//! rows. It is kept as that text: an introspection answer writes it as it is.
//! Not here: which scopes a client may ask for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, OAuthError};

/// The longest name of a scope, in bytes.
pub const MAX_SCOPE_NAME: usize = 100;
/// The most names one request may list.
pub const MAX_SCOPES: usize = 100;

/// A text that is not a scope or not a list of scopes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    /// An empty name.
    #[error("a scope has an empty name")]
    Empty,
    /// A name longer than `MAX_SCOPE_NAME`.
    #[error("a scope has a name longer than 100 bytes")]
    TooLong,
    /// A character that RFC 6749 §3.3 does not allow.
    #[error(
        "a scope holds a character that is not allowed: expected printable ASCII without space, quote and backslash"
    )]
    Character,
    /// More names than `MAX_SCOPES`.
    #[error("more than 100 scopes")]
    TooMany,
}

impl From<BadScope> for OAuthError {
    fn from(bad: BadScope) -> Self {
        Self::new(ErrorCode::InvalidScope, bad.to_string())
    }
}

/// The name of one scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ScopeName(Box<str>);

impl ScopeName {
    /// The name as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_name(name: &str) -> Result<(), BadScope> {
    match name {
        "" => Err(BadScope::Empty),
        _ if name.len() > MAX_SCOPE_NAME => Err(BadScope::TooLong),
        _ if !name.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~')) => Err(BadScope::Character),
        _ => Ok(()),
    }
}

impl FromStr for ScopeName {
    type Err = BadScope;
    fn from_str(text: &str) -> Result<Self, BadScope> {
        check_name(text).map(|()| Self(text.into()))
    }
}

impl TryFrom<String> for ScopeName {
    type Error = BadScope;
    fn try_from(text: String) -> Result<Self, BadScope> {
        text.parse()
    }
}

impl From<ScopeName> for String {
    fn from(name: ScopeName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes: names in order, one space between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Scopes(Box<str>);

impl Scopes {
    /// Reads the `scope` parameter: order does not matter, repeated names collapse.
    pub fn parse(wire: &str) -> Result<Self, BadScope> {
        match names(wire).nth(MAX_SCOPES) {
            Some(_) => Err(BadScope::TooMany),
            None => Self::from_text(wire),
        }
    }

    /// As `parse`, of any length: what we stored ourselves may have grown beyond what one request can ask for.
    fn from_text(text: &str) -> Result<Self, BadScope> {
        names(text).try_for_each(check_name)?;
        // Most requests list their scopes as we would.
        if !text.starts_with(' ') && text.split(' ').is_sorted_by(|name, next| name < next) {
            return Ok(Self(text.into()));
        }
        Ok(Self::of(names(text).collect()))
    }

    /// The set of these names, each of them checked.
    fn of(mut names: Vec<&str>) -> Self {
        names.sort_unstable();
        names.dedup();
        Self(names.join(" ").into())
    }

    /// The set as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        names(&self.0)
    }

    /// How many names.
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the name is in the set.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|found| found == name)
    }

    /// Whether a scope of OpenID is in the set.
    pub fn has(&self, scope: OpenIdScope) -> bool {
        self.contains(scope.wire_name())
    }

    /// Whether every name is in `other` too.
    pub fn is_subset(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let mut theirs = other.iter();
        self.iter().all(|name| theirs.any(|found| found == name))
    }

    /// The names that are in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        self.filter(|name| other.contains(name))
    }

    /// The names that `keep` keeps.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        Self::of(self.iter().filter(|name| keep(name)).collect())
    }

    /// The names that are in one or both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::of(self.iter().chain(other.iter()).collect())
    }
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|name| !name.is_empty())
}

impl FromIterator<ScopeName> for Scopes {
    fn from_iter<I: IntoIterator<Item = ScopeName>>(names: I) -> Self {
        let names: Vec<ScopeName> = names.into_iter().collect();
        Self::of(names.iter().map(ScopeName::as_str).collect())
    }
}

impl TryFrom<String> for Scopes {
    type Error = BadScope;
    fn try_from(text: String) -> Result<Self, BadScope> {
        Self::from_text(&text)
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.0.into()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The scopes that belong to the issuer itself, not to a resource (OpenID Core §5.4, §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenIdScope {
    /// An ID token, and userinfo.
    OpenId,
    /// The claims about a person.
    Profile,
    /// The e-mail address and whether it was verified.
    Email,
    /// A refresh token that outlives the session.
    OfflineAccess,
}

impl OpenIdScope {
    /// All of them, as discovery lists them.
    pub const ALL: &[Self] = &[Self::OpenId, Self::Profile, Self::Email, Self::OfflineAccess];

    /// The name on the wire.
    pub const fn wire_name(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::OfflineAccess => "offline_access",
        }
    }

    /// The scope with this name.
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.wire_name() == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        assert_eq!(scopes("write read write"), scopes(" read  write "));
        assert_eq!(scopes("write read write").to_string(), "read write");
        for text in [" a b", "a b ", "a  b", "b a", "a a b", "a b b"] {
            assert_eq!(scopes(text).as_str(), "a b", "{text:?}");
        }
        assert_eq!(scopes("b a").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((scopes("").is_empty(), scopes(" ").count(), scopes("a b").count()), (true, 0, 2));
    }

    #[test]
    fn a_name_keeps_to_the_characters_the_specification_allows() {
        for good in ["!", "https://api.example/read", "a:b.c-d_e~", &"a".repeat(100)] {
            assert_eq!(good.parse::<ScopeName>().unwrap().as_str(), good);
        }
        for bad in ["a\"", "a\\", "a b", "a\tb", "\u{fc}", "\u{7f}", "a\n"] {
            assert_eq!(bad.parse::<ScopeName>(), Err(BadScope::Character), "{bad:?}");
        }
        assert_eq!("".parse::<ScopeName>(), Err(BadScope::Empty));
        assert_eq!("a".repeat(101).parse::<ScopeName>(), Err(BadScope::TooLong));
        assert_eq!(Scopes::parse("a b\"c"), Err(BadScope::Character));
        assert_eq!(Scopes::parse("a\tb"), Err(BadScope::Character));
    }

    #[test]
    fn a_request_lists_at_most_100_scopes_but_what_is_stored_may_hold_more() {
        let many: Vec<String> = (0..101).map(|n| format!("s{n}")).collect();
        assert!(Scopes::parse(&many[..100].join(" ")).is_ok());
        assert_eq!(Scopes::parse(&many.join(" ")), Err(BadScope::TooMany));
        let stored: Scopes = many.iter().map(|name| name.parse::<ScopeName>().unwrap()).collect();
        let json = serde_json::to_string(&stored).unwrap();
        assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), stored);
    }

    #[test]
    fn stored_text_is_checked_and_put_in_order() {
        assert_eq!(serde_json::from_str::<Scopes>(r#""b a""#).unwrap().as_str(), "a b");
        assert!(serde_json::from_str::<Scopes>(r#""a \"""#).is_err());
        assert!(serde_json::from_str::<ScopeName>(r#""a b""#).is_err());
    }

    #[test]
    fn no_name_is_found_inside_another() {
        assert!(!scopes("reader write").contains("read"));
        assert!(!scopes("a b").contains("a b"));
        assert!(!scopes("a").contains(""));
        assert!(!scopes("").contains(""));
    }

    #[test]
    fn openid_scopes_are_known_by_name() {
        for scope in OpenIdScope::ALL {
            assert_eq!(OpenIdScope::from_wire(scope.wire_name()), Some(*scope));
            assert!(scopes(scope.wire_name()).has(*scope));
        }
        assert_eq!(OpenIdScope::from_wire("OpenID"), None);
    }

    #[test]
    fn bad_scopes_are_answered_as_invalid_scope() {
        assert_eq!(OAuthError::from(BadScope::TooMany).code, ErrorCode::InvalidScope);
    }

    proptest! {
        #[test]
        fn sets_of_scopes_behave_as_sets(a in proptest::collection::btree_set("[a-d]{1,2}", 0..8), b in proptest::collection::btree_set("[a-d]{1,2}", 0..8)) {
            let text = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
            let (left, right) = (scopes(&text(&a)), scopes(&text(&b)));
            prop_assert_eq!(left.intersect(&right).to_string(), text(&(&a & &b)));
            prop_assert_eq!(left.union(&right).to_string(), text(&(&a | &b)));
            prop_assert_eq!(left.is_subset(&right), a.is_subset(&b));
        }
    }
}
