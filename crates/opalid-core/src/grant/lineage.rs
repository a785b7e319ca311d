//! What something hangs from: ancestors, each with the epoch it had at birth.

use std::fmt;

use super::Epoch;
use crate::ids::{ClientId, ConsentId, GrantId, SessionId, UserId, WorkspaceId};

/// Something a grant hangs from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ancestor {
    /// The issuer itself.
    Workspace(WorkspaceId),
    /// Who asks for tokens.
    Client(ClientId),
    /// The person: everything of theirs hangs on it.
    User(UserId),
    /// The person's credentials: sessions and what is bound to them hang on it; offline grants live on.
    Credentials(UserId),
    /// The browser that has logged in; not for offline grants.
    Session(SessionId),
    /// What the person has agreed to.
    Consent(ConsentId),
    /// A parent grant.
    Grant(GrantId),
}

impl Ancestor {
    /// Its kind as one word, for inspectors and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::Client(_) => "client",
            Self::User(_) => "user",
            Self::Credentials(_) => "credentials",
            Self::Session(_) => "session",
            Self::Consent(_) => "consent",
            Self::Grant(_) => "grant",
        }
    }

    /// The bytes of its id.
    pub const fn id_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Workspace(id) => id.as_bytes(),
            Self::Client(id) => id.as_bytes(),
            Self::User(id) | Self::Credentials(id) => id.as_bytes(),
            Self::Session(id) => id.as_bytes(),
            Self::Consent(id) => id.as_bytes(),
            Self::Grant(id) => id.as_bytes(),
        }
    }

    pub(super) const CLIENT: u8 = 2;

    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::Workspace(_) => 1,
            Self::Client(_) => Self::CLIENT,
            Self::User(_) => 3,
            Self::Credentials(_) => 4,
            Self::Session(_) => 5,
            Self::Consent(_) => 6,
            Self::Grant(_) => 7,
        }
    }

    pub(super) fn from_code(code: u8, id: [u8; 16]) -> Option<Self> {
        Some(match code {
            1 => Self::Workspace(WorkspaceId::from_bytes(id)),
            Self::CLIENT => Self::Client(ClientId::from_bytes(id)),
            3 => Self::User(UserId::from_bytes(id)),
            4 => Self::Credentials(UserId::from_bytes(id)),
            5 => Self::Session(SessionId::from_bytes(id)),
            6 => Self::Consent(ConsentId::from_bytes(id)),
            7 => Self::Grant(GrantId::from_bytes(id)),
            _ => return None,
        })
    }
}

/// An ancestor and the epoch it had at birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// Who.
    pub ancestor: Ancestor,
    /// Its epoch when the authority was presented.
    pub epoch: Epoch,
}

/// The ancestors of something, in the order they are asked.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Lineage(Vec<Birth>);

impl Lineage {
    /// A lineage of these births.
    pub fn new(births: impl IntoIterator<Item = Birth>) -> Self {
        Self(births.into_iter().collect())
    }

    /// Each ancestor with its birth epoch.
    pub fn births(&self) -> impl Iterator<Item = Birth> + Clone {
        self.0.iter().copied()
    }

    /// The birth epoch of one ancestor, if it is in the lineage.
    pub fn epoch_of(&self, ancestor: Ancestor) -> Option<Epoch> {
        self.births().find(|birth| birth.ancestor == ancestor).map(|birth| birth.epoch)
    }

    /// As it is stored; 21 bytes each: kind, id, epoch.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 21);
        for birth in self.births() {
            bytes.push(birth.ancestor.code());
            bytes.extend_from_slice(birth.ancestor.id_bytes());
            bytes.extend_from_slice(&birth.epoch.0.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` if it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<21>();
        if !rest.is_empty() {
            return None;
        }
        let births = chunks.iter().map(|chunk| {
            let (code, rest) = chunk.split_first()?;
            let (id, epoch) = rest.split_first_chunk::<16>()?;
            let epoch = Epoch(u32::from_be_bytes(epoch.try_into().ok()?));
            Some(Birth { ancestor: Ancestor::from_code(*code, *id)?, epoch })
        });
        births.collect::<Option<Vec<Birth>>>().map(Self::new)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.births()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        Lineage::new([
            Birth { ancestor: Ancestor::Workspace(WorkspaceId::from_bytes([1; 16])), epoch: Epoch(1) },
            Birth { ancestor: Ancestor::User(UserId::from_bytes([2; 16])), epoch: Epoch(255) },
            Birth { ancestor: Ancestor::Credentials(UserId::from_bytes([2; 16])), epoch: Epoch(256) },
            Birth { ancestor: Ancestor::Session(SessionId::from_bytes([3; 16])), epoch: Epoch(u32::MAX) },
        ])
    }

    #[test]
    fn a_lineage_gives_the_births_it_was_made_of() {
        let births: Vec<_> = lineage().births().map(|birth| (birth.ancestor.kind(), birth.epoch.0)).collect();
        assert_eq!(births, [("workspace", 1), ("user", 255), ("credentials", 256), ("session", u32::MAX)]);
        assert_eq!(lineage().epoch_of(Ancestor::Credentials(UserId::from_bytes([2; 16]))), Some(Epoch(256)));
        assert_eq!(lineage().epoch_of(Ancestor::User(UserId::from_bytes([3; 16]))), None);
        assert_eq!((lineage().births().count(), Lineage::default().births().count()), (4, 0));
    }

    #[test]
    fn a_lineage_survives_its_bytes_and_rejects_others() {
        let bytes = lineage().to_bytes();
        assert_eq!(bytes.len(), 4 * 21);
        assert_eq!(Lineage::from_bytes(&bytes), Some(lineage()));
        assert_eq!(Lineage::from_bytes(&bytes[1..]), None);
        let mut unknown = bytes;
        unknown[0] = 99;
        assert_eq!(Lineage::from_bytes(&unknown), None);
    }
}
