//! What operators change in place: settings of workspaces, clients and resources; names and claims of users.
//!
//! Holds: every change enters the feed, for memory keeps entities as they were read. None of them bumps an
//! epoch: what narrows is taken into account at every check, and everything else holds for what comes next.

use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::ids::{ClientId, ResourceId, UserId};
use opalid_core::resource::ResourceSettings;
use opalid_core::user::User;
use opalid_core::workspace::WorkspaceSettings;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::{Stamp, to_json};

/// Changes a workspace's settings. `false` if there is no such workspace.
pub struct UpdateWorkspace {
    /// When, and by whom; its `workspace` is which.
    pub stamp: Stamp,
    /// All its settings.
    pub settings: WorkspaceSettings,
    /// Which of them differ, for the audit log.
    pub changed: String,
}

impl Step for UpdateWorkspace {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let id = self.stamp.workspace;
        let sql = "UPDATE workspace SET settings = $1 WHERE id = $2 RETURNING name";
        let Some(row) = tx.find(sql, &[to_json(&self.settings)?.into(), id.as_bytes().into()]).await? else {
            return Ok(false);
        };
        self.stamp.change(tx, Touched::Workspace(id), "workspace.updated");
        self.stamp.audit(tx, "workspace.updated", format!("workspace {}", row.text(0)?), &*self.changed);
        Ok(true)
    }
}

/// Changes a client's settings; one that becomes public loses its secrets. `false` if there is none.
pub struct UpdateClient {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ClientId,
    /// All its settings.
    pub settings: ClientSettings,
    /// Which of them differ, for the audit log.
    pub changed: String,
}

impl Step for UpdateClient {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        let id: Value = self.id.as_bytes().into();
        let sql = "UPDATE client SET settings = $1 WHERE workspace = $2 AND id = $3 RETURNING client_id";
        let values = [to_json(&self.settings)?.into(), workspace.clone(), id.clone()];
        let Some(row) = tx.find(sql, &values).await? else { return Ok(false) };
        if self.settings.kind == ClientKind::Public {
            tx.run("DELETE FROM client_secret WHERE workspace = $1 AND client = $2", &[workspace, id]).await?;
        }
        self.stamp.change(tx, Touched::Client(self.id), "client.updated");
        self.stamp.audit(tx, "client.updated", format!("client {}", row.text(0)?), &*self.changed);
        Ok(true)
    }
}

/// Changes a resource's name and scopes; taking scopes away narrows every token that has them. `false` if
/// there is no such resource.
pub struct UpdateResource {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ResourceId,
    /// All its settings.
    pub settings: ResourceSettings,
    /// Which of them differ, for the audit log.
    pub changed: String,
}

impl Step for UpdateResource {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "UPDATE resource SET settings = $1 WHERE workspace = $2 AND id = $3 RETURNING uri";
        let values: [Value; 3] =
            [to_json(&self.settings)?.into(), self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let Some(row) = tx.find(sql, &values).await? else { return Ok(false) };
        self.stamp.change(tx, Touched::Resource(self.id), "resource.updated");
        self.stamp.audit(tx, "resource.updated", format!("resource {}", row.text(0)?), &*self.changed);
        Ok(true)
    }
}

/// Changes a user's name, claims and whether they administer the workspace.
pub struct UpdateUser {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The user as they become; epochs and state stay as they are.
    pub user: User,
    /// The form under which the new name is unique.
    pub username_key: String,
    /// What differs, for the audit log.
    pub changed: String,
}

/// What became of a change to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatedUser {
    /// It is made.
    Done,
    /// There is no such user.
    Unknown,
    /// Another user has that name.
    NameTaken,
}

impl Step for UpdateUser {
    type Out = UpdatedUser;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<UpdatedUser, StoreError> {
        let User { id, username, claims, admin, .. } = &self.user;
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        let id_value: Value = id.as_bytes().into();
        let sql = "SELECT id FROM users WHERE workspace = $1 AND username_key = $2";
        if let Some(row) = tx.find(sql, &[workspace.clone(), self.username_key.as_str().into()]).await?
            && row.id::<UserId>(0)? != *id
        {
            return Ok(UpdatedUser::NameTaken);
        }
        let sql = "UPDATE users SET username = $1, username_key = $2, admin = $3, claims = $4
                   WHERE workspace = $5 AND id = $6 RETURNING id";
        let values = [
            username.as_str().into(),
            self.username_key.as_str().into(),
            (*admin).into(),
            to_json(claims)?.into(),
            workspace,
            id_value,
        ];
        if tx.find(sql, &values).await?.is_none() {
            return Ok(UpdatedUser::Unknown);
        }
        self.stamp.change(tx, Touched::User(*id), "user.updated");
        self.stamp.audit(tx, "user.updated", format!("user {username}"), &*self.changed);
        Ok(UpdatedUser::Done)
    }
}
