//! Roles: made, found, changed, deleted; and what they leave open to whoever holds them.
//!
//! Holds: what is taken from a role, or a role from somebody, narrows tokens that are out from the next check on; nothing
//! is bumped, for it can be given back. A deleted role is nobody's: its id is in no row that is found any more, and one
//! made anew has another.

use opalid_core::alive;
use opalid_core::grant::Entitlement;
use opalid_core::ids::{ResourceId, RoleId, UserId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::role::{Role, RoleSettings};
use std::sync::Arc;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::settings::{Edit, lock_unmoved};
use crate::steps::user::FindUser;
use crate::steps::{Stamp, to_json};

/// By what a role is looked up.
#[derive(Debug, Clone)]
pub enum ByRole {
    /// Its row.
    Id(RoleId),
    /// Its name.
    Name(String),
}

/// Reads a role.
pub struct FindRole {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub by: ByRole,
}

pub(crate) fn read(row: &Row, workspace: WorkspaceId) -> Result<Role, StoreError> {
    Ok(Role { id: row.id(0)?, workspace, name: row.text(1)?.to_owned(), settings: row.json(2)? })
}

impl Step for FindRole {
    type Out = Option<Role>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let workspace: Value = self.workspace.as_bytes().into();
        let row = match &self.by {
            ByRole::Id(id) => {
                let sql = "SELECT id, name, settings FROM role WHERE workspace = $1 AND id = $2";
                tx.find(sql, &[workspace, id.as_bytes().into()]).await?
            }
            ByRole::Name(name) => {
                let sql = "SELECT id, name, settings FROM role WHERE workspace = $1 AND name = $2";
                tx.find(sql, &[workspace, name.as_str().into()]).await?
            }
        };
        row.map(|row| read(&row, self.workspace)).transpose()
    }
}

/// Those of these roles that there are, in order.
pub(crate) async fn standing<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    held: &[RoleId],
) -> Result<Vec<Role>, StoreError> {
    let mut found: Vec<Role> = Vec::with_capacity(held.len());
    for id in held {
        found.extend(FindRole { workspace, by: ByRole::Id(*id) }.run(tx).await?);
    }
    found.sort_by_key(|role| role.id);
    found.dedup_by_key(|role| role.id);
    Ok(found)
}

/// Makes a role. `false` if the name is taken.
pub struct CreateRole {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Its row.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// What it permits.
    pub settings: RoleSettings,
}

impl Step for CreateRole {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "INSERT INTO role (workspace, id, name, settings, created_at) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (workspace, name) DO NOTHING RETURNING id";
        let values = [
            self.stamp.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.name.as_str().into(),
            to_json(&self.settings)?.into(),
            self.stamp.now.into(),
        ];
        let made = tx.find(sql, &values).await?.is_some();
        if made {
            self.stamp.audit(tx, "role.created", format!("role {}", self.name), "");
        }
        Ok(made)
    }
}

/// Changes what a role is for and what it permits. `false` if it is not as it was planned from.
pub struct UpdateRole {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: RoleId,
    /// All its settings.
    pub settings: Edit<RoleSettings>,
    /// Which of them differ, for the audit log.
    pub changed: String,
}

impl Step for UpdateRole {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let [workspace, id]: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let sql = "SELECT name, settings FROM role WHERE workspace = $1 AND id = $2";
        let found = lock_unmoved(tx, sql, (&[workspace.clone(), id.clone()], &self.settings.from)).await?;
        let Some(name) = found else { return Ok(false) };
        let sql = "UPDATE role SET settings = $1 WHERE workspace = $2 AND id = $3";
        tx.send(sql, &[to_json(&self.settings.to)?.into(), workspace, id]).await?;
        self.stamp.change(tx, Touched::Role(self.id), "role.updated");
        self.stamp.audit(tx, "role.updated", format!("role {name}"), &*self.changed);
        Ok(true)
    }
}

/// Deletes a role: nobody holds it any more. `false` if it had gone before.
pub struct DeleteRole {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: RoleId,
}

impl Step for DeleteRole {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let of: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let gone = tx.find("DELETE FROM role WHERE workspace = $1 AND id = $2 RETURNING name", &of).await?;
        self.stamp.change(tx, Touched::Role(self.id), "role.deleted");
        let Some(row) = &gone else { return Ok(false) };
        self.stamp.audit(tx, "role.deleted", format!("role {}", row.text(0)?), "");
        Ok(true)
    }
}

/// The resources that are open to a client's tokens today.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// To all of them.
    pub freely: Vec<ResourceId>,
    /// To those of people with a role that permits something there.
    pub by_roles: Vec<Arc<Resource>>,
}

impl From<Vec<ResourceId>> for Open {
    fn from(freely: Vec<ResourceId>) -> Self {
        Self { freely, by_roles: Vec::new() }
    }
}

impl Open {
    /// Whether something is left of a person's entitlement.
    pub(crate) async fn leaves<T: Tx>(
        &self,
        tx: &mut T,
        (workspace, user): (WorkspaceId, Option<UserId>),
        of: &Entitlement,
    ) -> Result<bool, StoreError> {
        let asked: Vec<&Resource> = self.by_roles.iter().map(AsRef::as_ref).filter(|one| of.names(one.id)).collect();
        let (false, Some(id), false) = (of.opens(&self.freely), user, asked.is_empty()) else {
            return Ok(of.opens(&self.freely));
        };
        let user = FindUser { workspace, id }.run(tx).await?;
        let held = user.map(|user| user.roles).unwrap_or_default();
        let roles = standing(tx, workspace, &held).await?;
        let permits = |one: &Resource| !alive::permitted(roles.iter().map(|role| &role.settings), one).is_empty();
        Ok(asked.into_iter().any(permits))
    }
}
