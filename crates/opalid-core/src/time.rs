//! Points in time and lengths of time. Nothing here reads a clock: time is an argument.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time: seconds since 1970-01-01T00:00:00Z, as in JWT's NumericDate (RFC 7519 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

/// A length of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u32);

impl UnixTime {
    /// The point `length` later; the end of time instead of an overflow.
    #[must_use]
    pub fn plus(self, length: Seconds) -> Self {
        Self(self.0.saturating_add(i64::from(length.0)))
    }

    /// The point `length` earlier.
    #[must_use]
    pub fn minus(self, length: Seconds) -> Self {
        Self(self.0.saturating_sub(i64::from(length.0)))
    }

    /// How long from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Seconds {
        Seconds(u32::try_from(self.0.saturating_sub(earlier.0).max(0)).unwrap_or(u32::MAX))
    }

    /// As the four bytes a sealed reference holds; clamped to what fits (1970 to 2106).
    #[must_use]
    pub fn as_u32(self) -> u32 {
        u32::try_from(self.0.max(0)).unwrap_or(u32::MAX)
    }
}

impl From<u32> for UnixTime {
    fn from(seconds: u32) -> Self {
        Self(i64::from(seconds))
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}
