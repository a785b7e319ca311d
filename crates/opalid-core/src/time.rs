//! Points in time and lengths of time. Nothing here reads a clock: time is an argument.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A point in time: seconds since 1970-01-01T00:00:00Z, as in JWT's NumericDate (RFC 7519 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(pub i64);

/// A length of time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Seconds(pub u32);

/// What a length of time is read from; what else stands there is told in words, not as a type of ours.
struct WholeSeconds;

impl Visitor<'_> for WholeSeconds {
    type Value = Seconds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of seconds below 4294967296")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Seconds, E> {
        let fits = u32::try_from(number).map(Seconds);
        fits.map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Seconds, E> {
        let fits = u32::try_from(number).map(Seconds);
        fits.map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_u32(WholeSeconds)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_a_whole_number_and_what_is_none_is_told_so() {
        for length in [0, 60, u32::MAX] {
            let json = serde_json::to_string(&Seconds(length)).unwrap();
            assert_eq!(json, length.to_string());
            assert_eq!(serde_json::from_str::<Seconds>(&json).unwrap(), Seconds(length));
        }
        for other in ["4294967296", "99999999999", "-1", "1.5", "\"60\"", "null", "[60]"] {
            let refused = serde_json::from_str::<Seconds>(other).unwrap_err().to_string();
            assert!(refused.contains("expected a whole number of seconds below 4294967296"), "{other}: {refused}");
        }
    }
}
