//! Committed changes in order, and the audit log.
//!
//! Every change that can make a remembered answer wrong enters the feed in its own transaction; feed order
//! is commit order. New grants, codes and rotations make nothing wrong and do not enter.

use opalid_core::grant::Ancestor;
use opalid_core::ids::{ClientId, ConsentId, EventId, GrantId, ResourceId, RoleId, SessionId, UserId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::Jti;

use crate::engine::tx::{Row, Value};
use crate::error::StoreError;

/// Drawn anew when a store is made or restored: positions of two incarnations say nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation(pub [u8; 16]);

/// Where a change stands in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position(pub u64);

/// What a change made wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Touched {
    /// A workspace: its epoch, state, settings or keys.
    Workspace(WorkspaceId),
    /// A client: its epoch, state, settings or secrets.
    Client(ClientId),
    /// A resource.
    Resource(ResourceId),
    /// A role.
    Role(RoleId),
    /// A user: either epoch, state, name, claims or roles.
    User(UserId),
    /// A session.
    Session(SessionId),
    /// A consent.
    Consent(ConsentId),
    /// A grant: cut, or with a new entitlement.
    Grant(GrantId),
    /// One token of a grant.
    Token {
        /// The grant it hangs from.
        grant: GrantId,
        /// Which one.
        jti: Jti,
    },
}

impl From<Ancestor> for Touched {
    fn from(ancestor: Ancestor) -> Self {
        match ancestor {
            Ancestor::Workspace(id) => Self::Workspace(id),
            Ancestor::Client(id) => Self::Client(id),
            Ancestor::User(id) | Ancestor::Credentials(id) => Self::User(id),
            Ancestor::Session(id) => Self::Session(id),
            Ancestor::Consent(id) => Self::Consent(id),
            Ancestor::Grant(id) => Self::Grant(id),
        }
    }
}

impl Touched {
    /// A name that nothing else has: kind, row, and of a token its `jti`.
    #[must_use]
    pub fn name(&self) -> [u8; 29] {
        let (kind, id, jti) = self.parts();
        let jti = jti.map_or([0; 12], |jti| jti.0);
        let mut bytes = [u8::try_from(kind).unwrap_or(0)].into_iter().chain(*id).chain(jti);
        std::array::from_fn(|_| bytes.next().unwrap_or(0))
    }

    pub(crate) const fn id(&self) -> &[u8; 16] {
        let (_, id, _) = self.parts();
        id
    }

    const fn parts(&self) -> (i64, &[u8; 16], Option<&Jti>) {
        match self {
            Self::Workspace(id) => (1, id.as_bytes(), None),
            Self::Client(id) => (2, id.as_bytes(), None),
            Self::Resource(id) => (3, id.as_bytes(), None),
            Self::User(id) => (4, id.as_bytes(), None),
            Self::Session(id) => (5, id.as_bytes(), None),
            Self::Consent(id) => (6, id.as_bytes(), None),
            Self::Grant(id) => (7, id.as_bytes(), None),
            Self::Token { grant, jti } => (8, grant.as_bytes(), Some(jti)),
            Self::Role(id) => (9, id.as_bytes(), None),
        }
    }

    fn from_parts(code: i64, id: [u8; 16], jti: Option<[u8; 12]>) -> Option<Self> {
        Some(match (code, jti) {
            (1, None) => Self::Workspace(WorkspaceId::from_bytes(id)),
            (2, None) => Self::Client(ClientId::from_bytes(id)),
            (3, None) => Self::Resource(ResourceId::from_bytes(id)),
            (4, None) => Self::User(UserId::from_bytes(id)),
            (5, None) => Self::Session(SessionId::from_bytes(id)),
            (6, None) => Self::Consent(ConsentId::from_bytes(id)),
            (7, None) => Self::Grant(GrantId::from_bytes(id)),
            (9, None) => Self::Role(RoleId::from_bytes(id)),
            (8, Some(jti)) => Self::Token { grant: GrantId::from_bytes(id), jti: Jti(jti) },
            _ => return None,
        })
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub workspace: WorkspaceId,
    /// To what.
    pub touched: Touched,
    /// Why, as one word of `docs/security-events.md`.
    pub reason: &'static str,
    /// When.
    pub at: UnixTime,
}

/// Takes the next positions, as the last statement before COMMIT: `$1` how many, `$2` the incarnation from then on, `$3` the one
/// that this node knows. In another one it changes nothing.
pub(crate) const TAKE_HEAD: &str =
    "UPDATE feed_head SET n = n + $1, incarnation = $2 WHERE one = 1 AND incarnation = $3 RETURNING n";

/// Where the feed ends: `$1` the incarnation that this node knows.
pub(crate) const SEE_HEAD: &str = "SELECT n FROM feed_head WHERE one = 1 AND incarnation = $1";

/// Writes one change at its position.
pub(crate) const INSERT_CHANGE: &str =
    "INSERT INTO feed (n, workspace, kind, id, jti, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Reads what came after a position, in order.
pub(crate) const READ_AFTER: &str = "SELECT n, kind, id, jti FROM feed WHERE n > $1 ORDER BY n LIMIT 1000";

impl Change {
    /// The values of [`INSERT_CHANGE`] at position `n`.
    pub(crate) fn values(&self, n: u64) -> [Value; 7] {
        let (kind, id, jti) = self.touched.parts();
        let jti = jti.map(|jti| jti.0.to_vec());
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        [
            n.into(),
            self.workspace.as_bytes().into(),
            kind.into(),
            id.into(),
            jti.into(),
            self.reason.into(),
            self.at.into(),
        ]
    }
}

/// Reads a row of [`READ_AFTER`].
pub(crate) fn read_change(row: &Row) -> Result<(Position, Touched), StoreError> {
    let n = u64::try_from(row.int(0)?).map_err(|_| StoreError::Corrupt("a negative position".into()))?;
    let jti = row.opt(3, |row, at| row.bytes::<12>(at))?;
    let touched = Touched::from_parts(row.int(1)?, row.bytes(2)?, jti)
        .ok_or_else(|| StoreError::Corrupt("a change of an unknown kind".into()))?;
    Ok((Position(n), touched))
}

/// A state change as the audit log keeps it, written in the transaction that made it.
#[derive(Debug, Clone)]
pub struct AuditRow {
    /// Its row.
    pub id: EventId,
    /// Where.
    pub workspace: WorkspaceId,
    /// What happened, such as `session.started` or `grant.cut`.
    pub action: &'static str,
    /// To what, such as `user 0197…`.
    pub target: String,
    /// Who made it happen, such as `client app` or `operator`.
    pub initiator: String,
    /// More in words; never a secret.
    pub detail: String,
    /// When.
    pub at: UnixTime,
}

/// Writes one audit row.
pub(crate) const INSERT_AUDIT: &str =
    "INSERT INTO audit (workspace, id, action, target, initiator, detail, at) VALUES ($1, $2, $3, $4, $5, $6, $7)";

impl AuditRow {
    /// The values of [`INSERT_AUDIT`].
    pub(crate) fn values(&self) -> [Value; 7] {
        [
            self.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.action.into(),
            self.target.as_str().into(),
            self.initiator.as_str().into(),
            self.detail.as_str().into(),
            self.at.into(),
        ]
    }
}
