//! Secrets that travel: between the command line and the server, both ways.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A secret on its way between the command line and the server: sent and never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Handed(Zeroizing<String>);

impl From<String> for Handed {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl Serialize for Handed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Handed {
    /// Takes it over.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handed(…)")
    }
}
