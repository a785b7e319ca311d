//! Where a secret is to be found, and which text may be a client's.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Where a secret is to be found by whoever reads the document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// In an environment variable.
    Env(String),
    /// In a file; one line feed at its end is not part of it.
    File(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {path}"),
        }
    }
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

/// Why a secret that stands in the document is refused. Nothing of the document is in it.
pub const NOT_IN_THE_DOCUMENT: &str =
    "a secret does not stand in the document; say where it is found: { env = \"NAME\" } or { file = \"PATH\" }";

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{ env = \"NAME\" } or { file = \"PATH\" }")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(NOT_IN_THE_DOCUMENT))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            let source = match &*key {
                "env" => SecretSource::Env(map.next_value()?),
                "file" => SecretSource::File(map.next_value()?),
                other => return Err(A::Error::unknown_field(other, &["env", "file"])),
            };
            if found.replace(source).is_some() {
                return Err(A::Error::custom("a secret is found in one place: expected env or file, not both"));
            }
        }
        found.ok_or_else(|| A::Error::custom("expected env or file, which say where the secret is found"))
    }
}

/// The fewest characters of a client secret that is given; those that are drawn have 256 bits.
pub const CLIENT_SECRET_MIN: usize = 16;

/// A text that may not be a client's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClientSecret {
    /// Too easily guessed, or too much to hash at every request.
    #[error("a client secret has 16 to 256 characters (better: leave it out and have one drawn)")]
    Length,
    /// RFC 6749 appendix A.2 allows printable ASCII only.
    #[error("a client secret is printable ASCII without blanks at its ends")]
    Character,
}

/// Whether `text` may be a client's secret.
pub fn check_client_secret(text: &str) -> Result<(), BadClientSecret> {
    if !(CLIENT_SECRET_MIN..=256).contains(&text.len()) {
        return Err(BadClientSecret::Length);
    }
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if printable && text.trim() == text { Ok(()) } else { Err(BadClientSecret::Character) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_stands_in_the_document_is_refused() {
        let error = serde_json::from_str::<SecretSource>(r#""hunter2hunter2hunter2""#).unwrap_err().to_string();
        assert!(error.starts_with("a secret does not stand in the document"), "{error}");
        assert!(!error.contains("hunter2") && error.contains(r#"{ env = "NAME" } or { file = "PATH" }"#), "{error}");
        let both = serde_json::from_str::<SecretSource>(r#"{"env":"X","file":"Y"}"#).unwrap_err().to_string();
        assert!(both.contains("not both"), "{both}");
        let found: SecretSource = serde_json::from_str(r#"{"env":"X"}"#).unwrap();
        assert_eq!(found, SecretSource::Env("X".into()));
        assert_eq!(serde_json::to_string(&SecretSource::File("/x".into())).unwrap(), r#"{"file":"/x"}"#);
        for bad in ["{}", r#"{"env":"X","file":"Y"}"#, r#"{"literal":"X"}"#, "1"] {
            assert!(serde_json::from_str::<SecretSource>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_given_client_secret_is_long_enough_and_printable() {
        assert_eq!(check_client_secret("0123456789abcdef"), Ok(()));
        assert_eq!(check_client_secret("0123456789abcde"), Err(BadClientSecret::Length));
        assert_eq!(check_client_secret(&"x".repeat(257)), Err(BadClientSecret::Length));
        for bad in ["0123456789abcdef ", "0123456789abcde\n", "0123456789abcdeü"] {
            assert_eq!(check_client_secret(bad), Err(BadClientSecret::Character), "{bad}");
        }
    }
}
