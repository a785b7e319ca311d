//! Resource indicators (RFC 8707): the URI by which a request names what a token is to open.
//!
//! Holds: an absolute URI without a fragment (§2), kept and compared byte for byte: it is the `aud` of a token.
//! Not here: whether such a resource exists, and whether this client may open it.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor, value::SeqAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{ErrorCode, OAuthError};
use crate::uri::{BadUri, split_scheme};
use crate::visible::quoted;

/// Why a text names no resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the resource {0}")]
pub struct BadResourceUri(#[from] pub BadUri);

/// The longest that an error says of what was sent, in characters.
const SAID_MAX: usize = 100;

/// The URI of a resource, as it was registered or asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ResourceUri(Box<str>);

impl ResourceUri {
    /// The URI, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ResourceUri {
    /// One that a request names; `invalid_target` says what was read: some libraries write a list as one text.
    pub fn asked(text: &str) -> Result<Self, OAuthError> {
        text.parse().map_err(|BadResourceUri(bad)| {
            let description = format!("resource {} {bad}", quoted(text, SAID_MAX));
            OAuthError::new(ErrorCode::InvalidTarget, description)
        })
    }
}

impl FromStr for ResourceUri {
    type Err = BadResourceUri;
    fn from_str(text: &str) -> Result<Self, BadResourceUri> {
        split_scheme(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ResourceUri {
    type Error = BadResourceUri;
    fn try_from(text: String) -> Result<Self, BadResourceUri> {
        text.parse()
    }
}

impl From<ResourceUri> for String {
    fn from(uri: ResourceUri) -> Self {
        uri.0.into()
    }
}

impl fmt::Display for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a list of resources, or one by itself.
pub(crate) fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMore;

    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a resource or a list of resources")
        }

        fn visit_str<E>(self, one: &str) -> Result<Vec<String>, E> {
            Ok(vec![one.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, all: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(all))
        }
    }

    from.deserialize_any(OneOrMore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_uri_is_kept_byte_for_byte() {
        for text in
            ["https://api.example", "HTTPS://API.example:443/a/../b?c=%2f", "urn:example:api", "https://*.example/"]
        {
            assert_eq!(text.parse::<ResourceUri>().unwrap().as_str(), text);
        }
        assert_ne!("https://api.example".parse::<ResourceUri>(), "https://api.example/".parse());
    }

    #[test]
    fn relative_uris_fragments_and_foreign_characters_are_refused() {
        for (text, reason) in [
            ("api", BadUri::NotAbsolute),
            ("/api", BadUri::NotAbsolute),
            ("1https://api.example", BadUri::NotAbsolute),
            ("https:", BadUri::Empty),
            ("https://api.example#", BadUri::Fragment),
            ("https://api.example/ ", BadUri::Character),
            ("https://api.example/\u{fc}", BadUri::Character),
            ("https://api.example/%g0", BadUri::PercentEncoding),
        ] {
            assert_eq!(text.parse::<ResourceUri>(), Err(BadResourceUri(reason)), "{text}");
        }
    }

    #[test]
    fn what_is_refused_in_a_request_is_said_as_it_was_read_cut_and_escaped() {
        let said = |text: &str| {
            let error = ResourceUri::asked(text).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidTarget);
            error.wire_description()
        };
        assert_eq!(said("api"), "resource 'api' is not absolute: expected a scheme such as https:");
        assert!(said("['https://a.example/', 'https://b.example/']").starts_with(
            "resource '['https://a.example/', 'https://b.example/']' holds a character that a URI cannot hold"
        ));
        let long = format!("https://{}/", "a".repeat(2048));
        assert!(said(&long).ends_with("aaa'... (2057 bytes) is longer than 2048 bytes") && said(&long).len() < 200);
        assert!(said("https://a\n\u{202e}\u{fc}").is_ascii());
    }
}
