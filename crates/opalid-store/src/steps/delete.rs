//! Deletion: the row goes, and everything that hung from it is dead because it is gone.
//!
//! Holds: ids are never reused, so that nothing made later under an old name revives anything. What hung from
//! it is swept later (`sweep`). Each enters the feed even when the row had gone before: who repeats a
//! deletion waits for it like the first.

use opalid_core::ids::{ClientId, ResourceId, UserId};

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::Stamp;

/// Deletes a workspace with its keys. `false` if it had gone before.
pub struct DeleteWorkspace {
    /// When, and by whom; its `workspace` is which.
    pub stamp: Stamp,
}

impl Step for DeleteWorkspace {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let id: Value = self.stamp.workspace.as_bytes().into();
        let gone = tx.find("DELETE FROM workspace WHERE id = $1 RETURNING name", std::slice::from_ref(&id)).await?;
        tx.run("DELETE FROM workspace_key WHERE workspace = $1", &[id]).await?;
        self.stamp.change(tx, Touched::Workspace(self.stamp.workspace), "workspace.deleted");
        let Some(row) = &gone else { return Ok(false) };
        self.stamp.audit(tx, "workspace.deleted", format!("workspace {}", row.text(0)?), "");
        Ok(true)
    }
}

/// Deletes a client with its secrets. `false` if it had gone before.
pub struct DeleteClient {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ClientId,
}

impl Step for DeleteClient {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let of: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let gone = tx.find("DELETE FROM client WHERE workspace = $1 AND id = $2 RETURNING client_id", &of).await?;
        tx.run("DELETE FROM client_secret WHERE workspace = $1 AND client = $2", &of).await?;
        self.stamp.change(tx, Touched::Client(self.id), "client.deleted");
        let Some(row) = &gone else { return Ok(false) };
        self.stamp.audit(tx, "client.deleted", format!("client {}", row.text(0)?), "");
        Ok(true)
    }
}

/// Deletes a resource: tokens for it are narrowed for ever. `false` if it had gone before.
pub struct DeleteResource {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ResourceId,
}

impl Step for DeleteResource {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let of: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let gone = tx.find("DELETE FROM resource WHERE workspace = $1 AND id = $2 RETURNING uri", &of).await?;
        self.stamp.change(tx, Touched::Resource(self.id), "resource.deleted");
        let Some(row) = &gone else { return Ok(false) };
        self.stamp.audit(tx, "resource.deleted", format!("resource {}", row.text(0)?), "");
        Ok(true)
    }
}

/// Deletes a user. `false` if they had gone before.
pub struct DeleteUser {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: UserId,
}

impl Step for DeleteUser {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let of: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()];
        let gone = tx.find("DELETE FROM users WHERE workspace = $1 AND id = $2 RETURNING username", &of).await?;
        self.stamp.change(tx, Touched::User(self.id), "user.deleted");
        let Some(row) = &gone else { return Ok(false) };
        self.stamp.audit(tx, "user.deleted", format!("user {}", row.text(0)?), "");
        Ok(true)
    }
}
