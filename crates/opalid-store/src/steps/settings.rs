//! What operators change in place: settings of workspaces, clients and resources; names and claims of users.
//!
//! Holds: what was planned from one entry is never written over another: each compares, under the row's lock, and
//! otherwise writes nothing. Every change enters the feed, for memory keeps entities as they were read. None of them
//! bumps an epoch: what narrows is taken into account at every check, and everything else holds for what comes next.

use opalid_core::claims::StandardClaims;
use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::ids::{ClientId, ResourceId, RoleId, UserId, WorkspaceId};
use opalid_core::resource::ResourceSettings;
use opalid_core::workspace::WorkspaceSettings;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::client_secret::{RotateSecret, RotatedSecret};
use crate::steps::{Stamp, role, to_json};

/// Settings as they were planned from, and as they become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit<S> {
    /// What has to be there: otherwise nothing is written.
    pub from: S,
    /// What is there afterwards.
    pub to: S,
}

/// Locks the row that `sql` finds, with a name and then settings; gives the name if the settings are those.
pub(crate) async fn lock_unmoved<T: Tx, S: serde::de::DeserializeOwned + PartialEq + Sync>(
    tx: &mut T,
    sql: &'static str,
    (values, from): (&[Value], &S),
) -> Result<Option<String>, StoreError> {
    let rows = tx.run_locking(sql, values).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok((row.json::<S>(1)? == *from).then_some(row.text(0)?.to_owned()))
}

/// Whether the roles that are held are these, apart from those that are gone.
async fn holds<T: Tx>(
    tx: &mut T,
    workspace: WorkspaceId,
    (held, these): (&[RoleId], &[RoleId]),
) -> Result<bool, StoreError> {
    let [held, these] = [role::standing(tx, workspace, held).await?, role::standing(tx, workspace, these).await?];
    Ok(held.iter().map(|role| role.id).eq(these.iter().map(|role| role.id)))
}

/// Changes a workspace's settings. `false` if it is not as it was planned from.
pub struct UpdateWorkspace {
    /// When, and by whom; its `workspace` is which.
    pub stamp: Stamp,
    /// All its settings.
    pub settings: Edit<WorkspaceSettings>,
    /// Which of them differ, for the audit log.
    pub changed: String,
}

impl Step for UpdateWorkspace {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let id = self.stamp.workspace;
        let sql = "SELECT name, settings FROM workspace WHERE id = $1";
        let found = lock_unmoved(tx, sql, (&[id.as_bytes().into()], &self.settings.from)).await?;
        let Some(name) = found else { return Ok(false) };
        let sql = "UPDATE workspace SET settings = $1 WHERE id = $2";
        tx.send(sql, &[to_json(&self.settings.to)?.into(), id.as_bytes().into()]).await?;
        self.stamp.change(tx, Touched::Workspace(id), "workspace.updated");
        self.stamp.audit(tx, "workspace.updated", format!("workspace {name}"), &*self.changed);
        Ok(true)
    }
}

/// Changes a client's settings, its secret, or both; one that becomes public loses its secrets.
pub struct UpdateClient {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ClientId,
    /// All its settings.
    pub settings: Edit<ClientSettings>,
    /// The roles it holds for itself.
    pub roles: Edit<Vec<RoleId>>,
    /// Which of them differ, for the audit log.
    pub changed: String,
    /// The secret it gets, in the same transaction.
    pub secret: Option<RotateSecret>,
}

/// What became of a change to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatedClient {
    /// It is made.
    Done,
    /// The client is not as it was planned from; nothing is written.
    Moved,
    /// It has no room for one more secret; nothing is written.
    TooManySecrets,
}

impl Step for UpdateClient {
    type Out = UpdatedClient;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<UpdatedClient, StoreError> {
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        let id: Value = self.id.as_bytes().into();
        let sql = "SELECT client_id, settings, roles FROM client WHERE workspace = $1 AND id = $2";
        let Edit { from, to } = &self.settings;
        let rows = tx.run_locking(sql, &[workspace.clone(), id.clone()]).await?;
        let Some(row) = rows.first() else { return Ok(UpdatedClient::Moved) };
        let (client_id, held) = (row.text(0)?, row.json::<Vec<RoleId>>(2)?);
        if row.json::<ClientSettings>(1)? != *from
            || !holds(tx, self.stamp.workspace, (&held, &self.roles.from)).await?
        {
            return Ok(UpdatedClient::Moved);
        }
        if let Some(secret) = &self.secret {
            match secret.run(tx).await? {
                RotatedSecret::Done { .. } => {}
                RotatedSecret::Unknown => return Ok(UpdatedClient::Moved),
                RotatedSecret::TooMany => return Ok(UpdatedClient::TooManySecrets),
            }
        }
        if from == to && self.roles.from == self.roles.to {
            return Ok(UpdatedClient::Done);
        }
        let sql = "UPDATE client SET settings = $1, roles = $2 WHERE workspace = $3 AND id = $4";
        let values = [to_json(to)?.into(), to_json(&self.roles.to)?.into(), workspace.clone(), id.clone()];
        tx.send(sql, &values).await?;
        if to.kind == ClientKind::Public {
            tx.run("DELETE FROM client_secret WHERE workspace = $1 AND client = $2", &[workspace, id]).await?;
        }
        self.stamp.change(tx, Touched::Client(self.id), "client.updated");
        self.stamp.audit(tx, "client.updated", format!("client {client_id}"), &*self.changed);
        Ok(UpdatedClient::Done)
    }
}

/// Changes a resource's name and scopes; taking scopes away narrows every token that has them. `false` if it is not
/// as it was planned from.
pub struct UpdateResource {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ResourceId,
    /// All its settings.
    pub settings: Edit<ResourceSettings>,
    /// Which of them differ, for the audit log.
    pub changed: String,
}

impl Step for UpdateResource {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let [workspace, id]: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let sql = "SELECT uri, settings FROM resource WHERE workspace = $1 AND id = $2";
        let found = lock_unmoved(tx, sql, (&[workspace.clone(), id.clone()], &self.settings.from)).await?;
        let Some(uri) = found else { return Ok(false) };
        let sql = "UPDATE resource SET settings = $1 WHERE workspace = $2 AND id = $3";
        tx.send(sql, &[to_json(&self.settings.to)?.into(), workspace, id]).await?;
        self.stamp.change(tx, Touched::Resource(self.id), "resource.updated");
        self.stamp.audit(tx, "resource.updated", format!("resource {uri}"), &*self.changed);
        Ok(true)
    }
}

/// What operators say of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the person types to sign in.
    pub username: String,
    /// Whether the user administers the workspace.
    pub admin: bool,
    /// What is known of the person.
    pub claims: StandardClaims,
    /// The roles they hold.
    pub roles: Vec<RoleId>,
}

/// Changes a user's name, claims and whether they administer the workspace; epochs and state stay as they are.
pub struct UpdateUser {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: UserId,
    /// What is said of them.
    pub profile: Edit<Profile>,
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
    /// The user is not as they were planned from; nothing is written.
    Moved,
    /// Another user has that name.
    NameTaken,
}

fn profile(row: &Row) -> Result<Profile, StoreError> {
    let (username, roles) = (row.text(0)?.to_owned(), row.json(3)?);
    Ok(Profile { username, admin: row.bool(1)?, claims: row.json(2)?, roles })
}

impl Step for UpdateUser {
    type Out = UpdatedUser;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<UpdatedUser, StoreError> {
        let Edit { from, to } = &self.profile;
        let workspace: Value = self.stamp.workspace.as_bytes().into();
        let id: Value = self.id.as_bytes().into();
        let sql = "SELECT username, admin, claims, roles FROM users WHERE workspace = $1 AND id = $2";
        let rows = tx.run_locking(sql, &[workspace.clone(), id.clone()]).await?;
        let Some(found) = rows.first().map(profile).transpose()? else { return Ok(UpdatedUser::Moved) };
        let same_roles = holds(tx, self.stamp.workspace, (&found.roles, &from.roles)).await?;
        if !same_roles || found != (Profile { roles: found.roles.clone(), ..from.clone() }) {
            return Ok(UpdatedUser::Moved);
        }
        let sql = "SELECT id FROM users WHERE workspace = $1 AND username_key = $2";
        if let Some(row) = tx.find(sql, &[workspace.clone(), self.username_key.as_str().into()]).await?
            && row.id::<UserId>(0)? != self.id
        {
            return Ok(UpdatedUser::NameTaken);
        }
        let sql = "UPDATE users SET username = $1, username_key = $2, admin = $3, claims = $4, roles = $5
                   WHERE workspace = $6 AND id = $7";
        let values = [
            to.username.as_str().into(),
            self.username_key.as_str().into(),
            to.admin.into(),
            to_json(&to.claims)?.into(),
            to_json(&to.roles)?.into(),
            workspace,
            id,
        ];
        tx.run(sql, &values).await?;
        self.stamp.change(tx, Touched::User(self.id), "user.updated");
        self.stamp.audit(tx, "user.updated", format!("user {}", to.username), &*self.changed);
        Ok(UpdatedUser::Done)
    }
}
