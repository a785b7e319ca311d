//! A grant: one authorization given to a client, and the root that revocation cuts.
//!
//! A grant lists its ancestors with the epoch each had when the authority behind the grant was presented;
//! its numbered entitlements say what its tokens may do.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, ConsentId, GrantId, ResourceId, SessionId, UserId, WorkspaceId};
use crate::scope::Scopes;
use crate::time::UnixTime;

/// The integer an ancestor bumps to kill all below it. Compared for equality, never by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// What everything begins with.
    pub const FIRST: Self = Self(1);
}

/// The number of an entitlement within its grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntitlementNo(pub u32);

/// 64 random bits of a grant, sealed into its tokens: grant ids appear in lists, so neither the sealing
/// key nor the database alone mints anything. Never listed, logged or sent.
#[derive(Clone, Copy)]
pub struct Guard([u8; 8]);

impl Guard {
    /// A guard from 8 random bytes.
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be stored or sealed.
    pub const fn expose(&self) -> &[u8; 8] {
        &self.0
    }

    /// Whether both are the same; in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard(…)")
    }
}

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

    const fn code(&self) -> u8 {
        match self {
            Self::Workspace(_) => 1,
            Self::Client(_) => 2,
            Self::User(_) => 3,
            Self::Credentials(_) => 4,
            Self::Session(_) => 5,
            Self::Consent(_) => 6,
            Self::Grant(_) => 7,
        }
    }

    fn from_code(code: u8, id: [u8; 16]) -> Option<Self> {
        Some(match code {
            1 => Self::Workspace(WorkspaceId::from_bytes(id)),
            2 => Self::Client(ClientId::from_bytes(id)),
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

/// The ancestors of a grant, in the order they are asked.
///
/// There is one for every grant in memory, so it is kept small: a byte that says what follows, the epoch in one byte
/// or four, the id unless it is that of the birth before (a user's two epochs).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Lineage(Box<[u8]>);

/// Set in a birth's first byte: its id is that of the birth before.
const SAME_ID: u8 = 0x80;
/// Set in a birth's first byte: its epoch has four bytes.
const LONG_EPOCH: u8 = 0x40;

impl Lineage {
    /// A lineage of these births.
    pub fn new(births: impl IntoIterator<Item = Birth>) -> Self {
        let mut bytes = Vec::with_capacity(128);
        let mut before = [0; 16];
        for Birth { ancestor, epoch } in births {
            let id = *ancestor.id_bytes();
            let short = u8::try_from(epoch.0);
            let same = if !bytes.is_empty() && id == before { SAME_ID } else { 0 };
            bytes.push(ancestor.code() | same | if short.is_ok() { 0 } else { LONG_EPOCH });
            match short {
                Ok(short) => bytes.push(short),
                Err(_) => bytes.extend_from_slice(&epoch.0.to_be_bytes()),
            }
            if same == 0 {
                bytes.extend_from_slice(&id);
            }
            before = id;
        }
        Self(bytes.into())
    }

    /// Each ancestor with its birth epoch.
    pub fn births(&self) -> Births<'_> {
        Births { rest: &self.0, before: [0; 16] }
    }

    /// The birth epoch of one ancestor, if it is in the lineage.
    pub fn epoch_of(&self, ancestor: Ancestor) -> Option<Epoch> {
        self.births().find(|birth| birth.ancestor == ancestor).map(|birth| birth.epoch)
    }

    /// As it is stored; 21 bytes each: kind, id, epoch.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * 2);
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

/// The births of a [`Lineage`].
#[derive(Clone)]
pub struct Births<'l> {
    rest: &'l [u8],
    before: [u8; 16],
}

impl Iterator for Births<'_> {
    type Item = Birth;

    fn next(&mut self) -> Option<Birth> {
        let (head, rest) = self.rest.split_first()?;
        let (epoch, rest) = if head & LONG_EPOCH == 0 {
            rest.split_first().map(|(epoch, rest)| (u32::from(*epoch), rest))?
        } else {
            rest.split_first_chunk().map(|(epoch, rest)| (u32::from_be_bytes(*epoch), rest))?
        };
        let rest = if head & SAME_ID == 0 {
            let (id, rest) = rest.split_first_chunk()?;
            self.before = *id;
            rest
        } else {
            rest
        };
        self.rest = rest;
        let ancestor = Ancestor::from_code(head & !(SAME_ID | LONG_EPOCH), self.before)?;
        Some(Birth { ancestor, epoch: Epoch(epoch) })
    }
}

/// What one token may do: OpenID scopes, which belong to the issuer, and scopes per resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Entitlement {
    /// Scopes of the issuer (`openid`, `profile`, …).
    #[serde(rename = "o", default, skip_serializing_if = "Scopes::is_empty")]
    pub openid: Scopes,
    /// Resources in the order of their ids, each with its scopes.
    #[serde(rename = "r", default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<(ResourceId, Scopes)>,
}

impl Entitlement {
    /// An entitlement with its resources in canonical order.
    pub fn new(openid: Scopes, mut resources: Vec<(ResourceId, Scopes)>) -> Self {
        resources.sort_by_key(|(resource, _)| *resource);
        Self { openid, resources }
    }

    /// All of its scopes, as they stand in `scope`.
    pub fn scope(&self) -> Scopes {
        self.resources.iter().fold(self.openid.clone(), |all, (_, scopes)| all.union(scopes))
    }

    /// Whether something is left of it where only these resources are open. An OpenID scope is something.
    pub fn opens(&self, open: &[ResourceId]) -> bool {
        !self.openid.is_empty() || self.resources.iter().any(|(resource, _)| open.contains(resource))
    }

    /// All of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut resources = self.resources.clone();
        for (resource, scopes) in &other.resources {
            match resources.iter_mut().find(|(of, _)| of == resource) {
                Some((_, known)) => *known = known.union(scopes),
                None => resources.push((*resource, scopes.clone())),
            }
        }
        Self::new(self.openid.union(&other.openid), resources)
    }

    /// Whether all of `self` is in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.openid.is_subset(&other.openid)
            && self.resources.iter().all(|(resource, scopes)| {
                other.resources.iter().any(|(of, wider)| of == resource && scopes.is_subset(wider))
            })
    }
}

/// The most entitlements one grant holds; the next goes to a child grant.
pub const ENTITLEMENTS_MAX: usize = 64;

/// The entitlements of a grant, by number. Grants of one client often have equal ones, and then may share them.
pub type Entitlements = Arc<[Arc<Entitlement>]>;

/// What every check of a token needs of its grant.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its row.
    pub id: GrantId,
    /// Compared with what the token says.
    pub guard: Guard,
    /// Bumped to cut the grant.
    pub epoch: Epoch,
    /// Who was authorized.
    pub client: ClientId,
    /// By whom; none for client_credentials.
    pub user: Option<UserId>,
    /// What it hangs from.
    pub lineage: Lineage,
    /// What its tokens may do, by number.
    pub entitlements: Entitlements,
}

impl Grant {
    /// The entitlement with this number.
    pub fn entitlement(&self, number: EntitlementNo) -> Option<&Arc<Entitlement>> {
        self.entitlements.get(usize::try_from(number.0).ok()?)
    }

    /// The number under which this entitlement is interned, if it is.
    pub fn number_of(&self, entitlement: &Entitlement) -> Option<EntitlementNo> {
        let at = self.entitlements.iter().position(|known| **known == *entitlement)?;
        u32::try_from(at).ok().map(EntitlementNo)
    }

    /// Whether it lives as long as the session it came of.
    pub fn is_session_bound(&self) -> bool {
        self.lineage.births().any(|birth| matches!(birth.ancestor, Ancestor::Session(_)))
    }
}

/// How a person was authenticated: carried from session to grant, shown in ID tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authentication {
    /// When.
    pub auth_time: UnixTime,
    /// The authentication context class (OpenID Core §2).
    pub acr: String,
    /// The methods used (RFC 8176).
    pub amr: Vec<String>,
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
    fn an_id_of_zeroes_is_an_id_and_not_that_of_a_birth_before() {
        let zero = Birth { ancestor: Ancestor::Client(ClientId::from_bytes([0; 16])), epoch: Epoch(1) };
        assert_eq!(Lineage::new([zero]).births().next(), Some(zero));
        assert_eq!(Lineage::new([zero, zero]).births().collect::<Vec<_>>(), [zero, zero]);
    }

    #[test]
    fn the_lineage_of_an_offline_grant_fits_into_80_bytes() {
        let client = Birth { ancestor: Ancestor::Client(ClientId::from_bytes([4; 16])), epoch: Epoch(1) };
        let lineage = Lineage::new(lineage().births().take(2).chain([client, client]));
        assert!(lineage.0.len() <= 80, "{}", lineage.0.len());
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
