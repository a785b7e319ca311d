//! What a check of a token needs, in one read: its grant and how all its ancestors stand.

use std::collections::HashSet;
use std::sync::Arc;

use opalid_core::alive::Standing;
use opalid_core::client::Client;
use opalid_core::grant::{Ancestor, Authentication, Birth, Descent, Entitlement, Epoch, Grant, Guard, Lineage};
use opalid_core::ids::{GrantId, SessionId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::token::Jti;
use opalid_core::user::User;
use serde::{Deserialize, Serialize};

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::memory::{Memory, RememberedGrant, Trusted};
use crate::steps::client::{ByClient, FindClient};
use crate::steps::resource::{ByResource, FindResource};
use crate::steps::role::{ByRole, FindRole};
use crate::steps::user::FindUser;

/// The columns [`read_grant`] wants.
macro_rules! grant_columns {
    () => {
        "id, guard, epoch, client, user_id, lineage, entitlements, standing"
    };
}
pub(crate) use grant_columns;

/// Where what is asked for behind [`grant_columns`] begins.
pub(crate) const GRANT_COLUMNS: usize = 8;

/// Whether tokens of a grant were revoked one by one.
macro_rules! any_killed {
    () => {
        "CASE WHEN EXISTS (SELECT 1 FROM killed WHERE killed.workspace = grants.workspace
             AND killed.grant_id = grants.id) THEN 1 ELSE 0 END"
    };
}

/// The columns [`read_held_grant`] wants, of `grants g`; nine of them.
macro_rules! held_grant_columns {
    () => {
        "g.id, g.guard, g.epoch, g.client, g.user_id, g.lineage, g.entitlements, g.standing, g.facts"
    };
}
pub(crate) use held_grant_columns;

/// Where the columns of what hangs from a grant begin, behind [`held_grant_columns`].
pub(crate) const BEHIND_GRANT: usize = 9;

/// A grant and its facts.
pub(crate) fn read_held_grant(row: &Row) -> Result<(Grant, GrantFacts), StoreError> {
    Ok((read_grant(row)?, row.json(8)?))
}

/// Facts of one authorization that no check of an access token needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct GrantFacts {
    /// How the person was authenticated; none for client_credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// The session it came of, as clients see it (`sid`); an offline grant does not hang from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

pub(crate) fn read_grant(row: &Row) -> Result<Grant, StoreError> {
    let entitlements: Vec<Entitlement> = row.json(6)?;
    let lineage = Lineage::from_bytes(row.blob(5)?).ok_or_else(|| StoreError::Corrupt("a lineage".into()))?;
    let standing = row.opt(7, Row::blob)?;
    let grant = Grant {
        id: row.id(0)?,
        guard: Guard::new(row.bytes(1)?),
        epoch: row.epoch(2)?,
        standing: standing.is_some(),
        descent: Descent::new(row.id(3)?, row.opt(4, Row::id)?, lineage.births()),
        entitlements: entitlements.into_iter().map(Arc::new).collect(),
    };
    Ok(grant)
}

/// A grant and its ancestors as they stand.
pub struct Evidence {
    /// The grant.
    pub grant: Arc<RememberedGrant>,
    /// Each ancestor of its lineage; `None` if it does not exist.
    pub standings: Vec<(Ancestor, Option<Standing>)>,
}

/// Reads a grant with all that a check of its tokens needs.
pub struct LoadEvidence {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which grant.
    pub grant: GrantId,
}

impl Step for LoadEvidence {
    type Out = Option<Evidence>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql =
            concat!("SELECT ", grant_columns!(), ", ", any_killed!(), " FROM grants WHERE workspace = $1 AND id = $2");
        let found = tx.find(sql, &[self.workspace.as_bytes().into(), self.grant.as_bytes().into()]).await?;
        let Some(found) = found else { return Ok(None) };
        let grant = read_grant(&found)?;
        let killed = if found.bool(GRANT_COLUMNS)? {
            load_killed(tx, self.workspace, self.grant).await?
        } else {
            HashSet::new()
        };
        let standings = load_standings(tx, self.workspace, &grant.descent.lineage()).await?;
        let grant = Arc::new(RememberedGrant::new(grant, killed));
        Ok(Some(Evidence { grant, standings }))
    }
}

/// What an answer about a grant's tokens says beside it, as far as memory does not know it.
#[derive(Default)]
pub(crate) struct Beside {
    pub(crate) client: Option<Client>,
    pub(crate) user: Option<User>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) roles: Vec<Role>,
}

/// [`LoadEvidence`], and beside it what memory lacks for the answer: all in one read.
pub(crate) struct LoadToken {
    pub evidence: LoadEvidence,
    pub memory: Arc<Memory>,
}

impl Step for LoadToken {
    type Out = Option<(Evidence, Beside)>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let Some(evidence) = self.evidence.run(tx).await? else { return Ok(None) };
        let (workspace, grant) = (self.evidence.workspace, &evidence.grant.grant);
        let mut beside = Beside::default();
        if self.lacks(|memory| memory.client(grant.client()).is_some()) {
            beside.client = FindClient { workspace, by: ByClient::Id(grant.client()) }.run(tx).await?;
        }
        if let Some(id) = grant.user()
            && self.lacks(|memory| memory.user(id).is_some())
        {
            beside.user = FindUser { workspace, id }.run(tx).await?;
        }
        let mut asked = HashSet::new();
        for (id, _) in grant.entitlements.iter().flat_map(|entitlement| &entitlement.resources) {
            if asked.insert(*id) && self.lacks(|memory| memory.resource(*id).is_some()) {
                let found = FindResource { workspace, by: ByResource::Id(*id) }.run(tx).await?;
                beside.resources.extend(found);
            }
        }
        self.roles(tx, grant, &mut beside).await?;
        Ok(Some((evidence, beside)))
    }
}

impl LoadToken {
    /// The roles that decide at one of the resources.
    async fn roles<T: Tx>(&self, tx: &mut T, grant: &Grant, beside: &mut Beside) -> Result<(), StoreError> {
        let known = |id| self.memory.trust().and_then(|memory| memory.resource(id));
        let ids = grant.entitlements.iter().flat_map(|entitlement| &entitlement.resources);
        let asks = ids.filter_map(|(id, _)| known(*id)).any(|found| found.settings.requires_roles);
        if !asks && !beside.resources.iter().any(|found| found.settings.requires_roles) {
            return Ok(());
        }
        let held = match grant.user() {
            Some(id) => {
                let known = self.memory.trust().and_then(|memory| memory.user(id)).map(|user| user.roles.clone());
                known.or_else(|| beside.user.as_ref().map(|user| user.roles.clone()))
            }
            None => {
                let known = self.memory.trust().and_then(|memory| memory.client(grant.client()));
                let known = known.map(|client| client.roles.clone());
                known.or_else(|| beside.client.as_ref().map(|client| client.roles.clone()))
            }
        };
        for id in held.unwrap_or_default() {
            if self.lacks(|memory| memory.role(id).is_some()) {
                let workspace = self.evidence.workspace;
                beside.roles.extend(FindRole { workspace, by: ByRole::Id(id) }.run(tx).await?);
            }
        }
        Ok(())
    }

    fn lacks(&self, known: impl FnOnce(Trusted<'_>) -> bool) -> bool {
        !self.memory.trust().is_some_and(known)
    }
}

pub(crate) async fn find_grant<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    id: GrantId,
) -> Result<Option<Grant>, StoreError> {
    let sql = concat!("SELECT ", grant_columns!(), " FROM grants WHERE workspace = $1 AND id = $2");
    tx.find(sql, &[workspace.as_bytes().into(), id.as_bytes().into()]).await?.as_ref().map(read_grant).transpose()
}

async fn load_killed<T: Tx>(tx: &mut T, workspace: WorkspaceId, grant: GrantId) -> Result<HashSet<Jti>, StoreError> {
    let sql = "SELECT jti FROM killed WHERE workspace = $1 AND grant_id = $2";
    let rows = tx.run(sql, &[workspace.as_bytes().into(), grant.as_bytes().into()]).await?;
    rows.iter().map(|row| row.bytes(0).map(Jti)).collect()
}

/// Reads how each ancestor of a lineage stands.
pub struct LoadStandings {
    /// Where.
    pub workspace: WorkspaceId,
    /// Whose.
    pub lineage: Lineage,
}

impl Step for LoadStandings {
    type Out = Vec<(Ancestor, Option<Standing>)>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        load_standings(tx, self.workspace, &self.lineage).await
    }
}

/// How ancestors stand, one of each kind, which is all that nearly every lineage has: on PostgreSQL a statement is a round
/// trip.
const STANDINGS: &str = "SELECT id, epoch, epoch, enabled, expires_at FROM session WHERE workspace = $1 AND id = $2
    UNION ALL SELECT id, epoch, epoch, enabled, NULL FROM workspace WHERE id = $1 AND id = $3
    UNION ALL SELECT id, epoch, epoch, enabled, NULL FROM client WHERE workspace = $1 AND id = $4
    UNION ALL SELECT id, epoch, credentials, enabled, NULL FROM users WHERE workspace = $1 AND id = $5
    UNION ALL SELECT id, epoch, epoch, 1, NULL FROM consent WHERE workspace = $1 AND id = $6
    UNION ALL SELECT id, epoch, epoch, 1, NULL FROM grants WHERE workspace = $1 AND id = $7";

pub(crate) async fn load_standings<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    lineage: &Lineage,
) -> Result<Vec<(Ancestor, Option<Standing>)>, StoreError> {
    let ancestors: Vec<Ancestor> = lineage.births().map(|birth| birth.ancestor).collect();
    let (mut rows, mut left) = (Vec::new(), ancestors.clone());
    // Whoever has two of a kind is asked about again with the second.
    while !left.is_empty() {
        // No id is empty: what is not asked for is not found.
        let first = |of_kind: fn(&Ancestor) -> bool| {
            let found = left.iter().find(|ancestor| of_kind(ancestor));
            Value::Blob(found.map_or_else(Vec::new, |ancestor| ancestor.id_bytes().to_vec()))
        };
        let asked = [
            workspace.as_bytes().into(),
            first(|ancestor| matches!(ancestor, Ancestor::Session(_))),
            first(|ancestor| matches!(ancestor, Ancestor::Workspace(_))),
            first(|ancestor| matches!(ancestor, Ancestor::Client(_))),
            first(|ancestor| matches!(ancestor, Ancestor::User(_) | Ancestor::Credentials(_))),
            first(|ancestor| matches!(ancestor, Ancestor::Consent(_))),
            first(|ancestor| matches!(ancestor, Ancestor::Grant(_))),
        ];
        rows.extend(tx.run(STANDINGS, &asked).await?);
        left.retain(|ancestor| !asked.contains(&ancestor.id_bytes().into()));
    }
    let standing = |ancestor: Ancestor| {
        let row = rows.iter().find(|row| row.blob(0).is_ok_and(|id| id == ancestor.id_bytes()));
        Ok((ancestor, row.map(|row| read_standing(row, ancestor)).transpose()?))
    };
    ancestors.into_iter().map(standing).collect()
}

fn read_standing(row: &Row, ancestor: Ancestor) -> Result<Standing, StoreError> {
    let epoch = row.epoch(if matches!(ancestor, Ancestor::Credentials(_)) { 2 } else { 1 })?;
    Ok(Standing { epoch, enabled: row.bool(3)?, ends_at: row.opt(4, Row::time)? })
}

/// How one ancestor stands: its epoch, whether it is in service, when it ends.
pub(crate) async fn find_standing<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    ancestor: Ancestor,
) -> Result<Option<Standing>, StoreError> {
    let alone = Lineage::new([Birth { ancestor, epoch: Epoch::FIRST }]);
    let found = load_standings(tx, workspace, &alone).await?;
    Ok(found.into_iter().next().and_then(|(_, standing)| standing))
}
