//! A grant: one authorization given to a client, and the root that revocation cuts.
//!
//! A grant lists its ancestors with the epoch each had when the authority behind the grant was presented;
//! its numbered entitlements say what its tokens may do.

mod descent;
mod lineage;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, GrantId, ResourceId, UserId};
use crate::scope::Scopes;
use crate::time::UnixTime;

pub use descent::{Births, Descent};
pub use lineage::{Ancestor, Birth, Lineage};

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

    /// Whether this resource is one of its own.
    pub fn names(&self, resource: ResourceId) -> bool {
        self.resources.iter().any(|(of, _)| *of == resource)
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

    /// What is in both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let both = |(resource, scopes): &(ResourceId, Scopes)| {
            let theirs = other.resources.iter().find(|(of, _)| of == resource);
            theirs.map(|(_, theirs)| (*resource, scopes.intersect(theirs)))
        };
        Self::new(self.openid.intersect(&other.openid), self.resources.iter().filter_map(both).collect())
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
    /// Whether it is the standing grant of its client, to which new entitlements go.
    pub standing: bool,
    /// Who was authorized, by whom, and what it hangs from.
    pub descent: Descent,
    /// What its tokens may do, by number.
    pub entitlements: Entitlements,
}

impl Grant {
    /// Who was authorized.
    pub const fn client(&self) -> ClientId {
        self.descent.client()
    }

    /// By whom; none for client_credentials.
    pub const fn user(&self) -> Option<UserId> {
        self.descent.user()
    }

    /// The entitlement with this number.
    pub fn entitlement(&self, number: EntitlementNo) -> Option<&Arc<Entitlement>> {
        self.entitlements.get(usize::try_from(number.0).ok()?)
    }

    /// The number under which this entitlement is interned, if it is.
    pub fn number_of(&self, entitlement: &Entitlement) -> Option<EntitlementNo> {
        let at = self.entitlements.iter().position(|known| **known == *entitlement)?;
        u32::try_from(at).ok().map(EntitlementNo)
    }

    /// The grant that everything of the same authorization hangs from: itself, unless it is a child.
    pub fn topmost(&self) -> GrantId {
        let parents = self.descent.births().filter_map(|birth| match birth.ancestor {
            Ancestor::Grant(parent) => Some(parent),
            _ => None,
        });
        parents.into_iter().next().unwrap_or(self.id)
    }

    /// Whether it lives as long as the session it came of.
    pub fn is_session_bound(&self) -> bool {
        self.descent.births().any(|birth| matches!(birth.ancestor, Ancestor::Session(_)))
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
