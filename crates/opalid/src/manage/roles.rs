//! Roles: listed and shown.

use opalid_core::ids::{RoleId, WorkspaceId};
use opalid_core::role::{Role, RoleSettings};
use opalid_core::time::UnixTime;
use opalid_store::Store;
use opalid_store::steps::list::ListRoles;
use opalid_store::steps::role::{ByRole, FindRole};
use serde::{Deserialize, Serialize};

use super::{ManageError, Operation, Page, Paging, Reply};

/// A role in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleRow {
    /// Its row.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// At how many resources it permits something.
    pub resources: usize,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A role with its settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoleDetail {
    /// Its row.
    pub id: RoleId,
    /// Its name.
    pub name: String,
    /// What it is for and what it permits.
    pub settings: RoleSettings,
}

pub(super) async fn list(operation: &Operation<'_>, paging: &Paging) -> Result<Reply, ManageError> {
    let rows = operation.app.store.read(ListRoles(operation.part(paging)?)).await?;
    let rows = rows.into_iter().map(|listed| RoleRow {
        id: listed.it.id,
        name: listed.it.name,
        description: listed.it.settings.description,
        resources: listed.it.settings.permissions.len(),
        created_at: listed.created_at,
    });
    Ok(Reply::Roles(Page::new(rows.collect(), paging, |row: &RoleRow| row.id.to_string())))
}

pub(super) async fn show(operation: &Operation<'_>, name: &str) -> Result<Reply, ManageError> {
    let step = FindRole { workspace: operation.workspace(), by: ByRole::Name(name.to_owned()) };
    let found = operation.app.store.read(step).await?;
    let Role { id, name, settings, .. } = found.ok_or_else(|| operation.unknown("role", name))?;
    Ok(Reply::Role(Box::new(RoleDetail { id, name, settings })))
}

/// The names of those of these roles that there are.
pub(super) async fn names(
    store: &Store,
    workspace: WorkspaceId,
    held: &[RoleId],
) -> Result<Vec<String>, opalid_store::Outage> {
    let mut names = Vec::with_capacity(held.len());
    for id in held {
        names.extend(store.find_role(workspace, *id).await?.map(|role| role.name.clone()));
    }
    names.sort_unstable();
    Ok(names)
}
