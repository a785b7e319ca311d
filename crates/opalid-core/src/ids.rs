//! Identifiers as types, so that one kind is never taken for another.
//!
//! Every id is a UUID version 7 (RFC 9562 §5.7): time-ordered, because key order decides how fast rows are
//! inserted, and never a secret. Ids are never reused. Time and randomness come in as arguments.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::time::UnixTime;

/// A text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID such as 0197d5a2-6c1e-7b1a-9c51-1f0e6f0a2b3c")]
pub struct NotAnId;

/// Sixteen bytes of a UUIDv7: 48 bits of milliseconds, then `random` (74 bits of it are used).
pub fn uuid_v7(now: UnixTime, millis: u16, random: [u8; 10]) -> [u8; 16] {
    let unix_millis = u64::try_from(now.0).unwrap_or(0) * 1000 + u64::from(millis.min(999));
    *uuid::Builder::from_unix_timestamp_millis(unix_millis, &random).as_uuid().as_bytes()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The id with these bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Its bytes, as they are stored and sealed.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                uuid::Uuid::try_parse(text).map(|id| Self(*id.as_bytes())).map_err(|_| NotAnId)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = NotAnId;
            fn try_from(bytes: &[u8]) -> Result<Self, NotAnId> {
                bytes.try_into().map(Self).map_err(|_| NotAnId)
            }
        }

        impl From<$name> for [u8; 16] {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    )*};
}

ids! {
    /// A workspace: an issuer with its own clients, users and keys.
    WorkspaceId;
    /// The row of a client. The `client_id` on the wire is a text beside it, so that a client made anew
    /// under an old `client_id` revives nothing.
    ClientId;
    /// The row of a resource (RFC 8707).
    ResourceId;
    /// A role.
    RoleId;
    /// A user; its text is the `sub` that clients see.
    UserId;
    /// A browser that has logged in.
    SessionId;
    /// What a user has agreed to, remembered for a client.
    ConsentId;
    /// One authorization given to a client.
    GrantId;
    /// A refresh chain: the row behind all refresh tokens that came of one another.
    ChainId;
    /// An authorization code.
    CodeId;
    /// An authorization request that waits for a person.
    RequestId;
    /// A one-time link to set a password.
    LinkId;
    /// A row of the audit log.
    EventId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_made_later_sort_later_and_survive_their_text() {
        let early = GrantId::from_bytes(uuid_v7(UnixTime(1_000), 7, [0xff; 10]));
        let late = GrantId::from_bytes(uuid_v7(UnixTime(1_000), 8, [0; 10]));
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!("not-an-id".parse::<GrantId>(), Err(NotAnId));
    }

    #[test]
    fn an_id_is_a_version_7_uuid() {
        let id = uuid::Uuid::from_bytes(uuid_v7(UnixTime(1_800_000_000), 1, [0xab; 10]));
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
    }
}
