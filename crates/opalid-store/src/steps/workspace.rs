//! Workspaces and their keys.

use opalid_core::grant::Epoch;
use opalid_core::ids::WorkspaceId;
use opalid_core::workspace::{Workspace, WorkspaceSettings};

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::keys::{MadeKeys, READ_KEYS, WorkspaceRecord, read_key};
use crate::steps::keys::{AddedAs, insert_key, lock_master};
use crate::steps::{Stamp, to_json};

/// By what a workspace is looked up.
#[derive(Debug, Clone)]
pub enum ByWorkspace {
    /// Its row.
    Id(WorkspaceId),
    /// Its name.
    Name(String),
}

/// Reads a workspace with its keys.
pub struct FindWorkspace(pub ByWorkspace);

fn read(row: &Row) -> Result<Workspace, StoreError> {
    Ok(Workspace {
        id: row.id(0)?,
        name: row.text(1)?.to_owned(),
        epoch: row.epoch(2)?,
        enabled: row.bool(3)?,
        settings: row.json(4)?,
    })
}

impl Step for FindWorkspace {
    type Out = Option<WorkspaceRecord>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let found = match &self.0 {
            ByWorkspace::Id(id) => {
                let sql = "SELECT id, name, epoch, enabled, settings FROM workspace WHERE id = $1";
                tx.find(sql, &[id.as_bytes().into()]).await?
            }
            ByWorkspace::Name(name) => {
                let sql = "SELECT id, name, epoch, enabled, settings FROM workspace WHERE name = $1";
                tx.find(sql, &[name.as_str().into()]).await?
            }
        };
        let Some(row) = found else { return Ok(None) };
        let workspace = read(&row)?;
        let keys = tx.run(READ_KEYS, &[workspace.id.as_bytes().into()]).await?;
        Ok(Some(WorkspaceRecord { workspace, keys: keys.iter().map(read_key).collect::<Result<_, _>>()? }))
    }
}

/// Lists all workspaces, by name.
pub struct ListWorkspaces;

impl Step for ListWorkspaces {
    type Out = Vec<Workspace>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let rows = tx.run("SELECT id, name, epoch, enabled, settings FROM workspace ORDER BY name", &[]).await?;
        rows.iter().map(read).collect()
    }
}

/// Makes a workspace with its first keys. `false` if the name is taken.
pub struct CreateWorkspace {
    /// When, and by whom; its `workspace` is the new id.
    pub stamp: Stamp,
    /// The name.
    pub name: String,
    /// The settings.
    pub settings: WorkspaceSettings,
    /// The keys.
    pub keys: MadeKeys,
}

impl Step for CreateWorkspace {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let id = self.stamp.workspace;
        let sql =
            "INSERT INTO workspace (id, name, epoch, enabled, settings, created_at) VALUES ($1, $2, $3, 1, $4, $5)
                   ON CONFLICT (name) DO NOTHING RETURNING id";
        let values: [Value; 5] = [
            id.as_bytes().into(),
            self.name.as_str().into(),
            Epoch::FIRST.into(),
            to_json(&self.settings)?.into(),
            self.stamp.now.into(),
        ];
        if tx.find(sql, &values).await?.is_none() {
            return Ok(false);
        }
        if !self.keys.keys.is_empty() && !lock_master(tx, &self.keys.key_check).await? {
            return Err(StoreError::Refused("the master key was rotated meanwhile".into()));
        }
        for key in &self.keys.keys {
            insert_key(tx, &self.stamp, (key, AddedAs::Current)).await?;
        }
        self.stamp.change(tx, Touched::Workspace(id), "workspace created");
        self.stamp.audit(tx, "workspace.created", format!("workspace {}", self.name), "");
        Ok(true)
    }
}

/// Kills everything in a workspace: everyone signs in again. `false` if there is no such workspace.
pub struct RevokeWorkspace {
    /// When, and by whom; its `workspace` is which.
    pub stamp: Stamp,
}

impl Step for RevokeWorkspace {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let id = self.stamp.workspace;
        let sql = "UPDATE workspace SET epoch = epoch + 1 WHERE id = $1 RETURNING name";
        let Some(row) = tx.find(sql, &[id.as_bytes().into()]).await? else { return Ok(false) };
        self.stamp.change(tx, Touched::Workspace(id), "workspace.revoked");
        self.stamp.audit(tx, "workspace.revoked", format!("workspace {}", row.text(0)?), "");
        Ok(true)
    }
}
