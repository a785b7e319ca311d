//! Keys for workspaces that have none: after a store was put back (`restore`), at the next start.
//!
//! Holds: a workspace that has a key is left as it is; keys enter only under the master key that the store is under.

use opalid_core::ids::WorkspaceId;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::keys::MadeKeys;
use crate::steps::Stamp;
use crate::steps::keys::{AddedAs, KeyEvent, insert_key, lock_master};

/// Finds the workspaces that have no keys.
pub struct ListKeyless;

impl Step for ListKeyless {
    type Out = Vec<(WorkspaceId, String)>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT id, name FROM workspace WHERE NOT EXISTS (
                       SELECT 1 FROM workspace_key WHERE workspace_key.workspace = workspace.id) ORDER BY id";
        tx.run(sql, &[]).await?.iter().map(|row| Ok((row.id(0)?, row.text(1)?.to_owned()))).collect()
    }
}

/// Gives a workspace its keys, all in use at once. `false` if it has some, is gone, or the store is under another master key.
pub struct GiveKeys {
    /// When, and by whom; its `workspace` is whose.
    pub stamp: Stamp,
    /// The keys.
    pub keys: MadeKeys,
}

impl Step for GiveKeys {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let id: [Value; 1] = [self.stamp.workspace.as_bytes().into()];
        if !lock_master(tx, &self.keys.key_check).await?
            || tx.run_locking("SELECT id FROM workspace WHERE id = $1", &id).await?.is_empty()
            || tx.find("SELECT number FROM workspace_key WHERE workspace = $1 LIMIT 1", &id).await?.is_some()
        {
            return Ok(false);
        }
        for key in &self.keys.keys {
            insert_key(tx, &self.stamp, (key, AddedAs::Current)).await?;
        }
        let event = KeyEvent::Made.name();
        self.stamp.change(tx, Touched::Workspace(self.stamp.workspace), event);
        self.stamp.audit(tx, event, "all keys", "");
        Ok(true)
    }
}
