//! The cell: what one store says of itself, written once when it is made; and the issuer it was last opened with.

use opalid_core::ids::WorkspaceId;
use opalid_core::time::UnixTime;

use crate::engine::tx::{Step, Tx};
use crate::error::StoreError;

/// What a store says of itself.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Something wrapped by the master key: another key does not open it, and is refused at start.
    pub key_check: Vec<u8>,
    /// The workspace whose issuer has no path.
    pub root_workspace: Option<WorkspaceId>,
    /// Whether it was made by `--demo`.
    pub demo: bool,
}

/// Reads the cell; `None` in a store that was just made.
pub struct FindCell;

impl Step for FindCell {
    type Out = Option<Cell>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let row = tx.find("SELECT key_check, root_workspace, demo FROM cell WHERE one = 1", &[]).await?;
        row.map(|row| {
            Ok(Cell {
                key_check: row.blob(0)?.to_vec(),
                root_workspace: row.opt(1, |row, at| row.id(at))?,
                demo: row.bool(2)?,
            })
        })
        .transpose()
    }
}

/// Writes the cell of a new store.
pub struct MakeCell {
    /// What it says.
    pub cell: Cell,
    /// When.
    pub now: UnixTime,
}

impl Step for MakeCell {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let root = self.cell.root_workspace.map(|id| id.as_bytes().to_vec());
        let values = [self.cell.key_check.clone().into(), root.into(), self.cell.demo.into(), self.now.into()];
        tx.run(
            "INSERT INTO cell (one, key_check, root_workspace, demo, created_at) VALUES (1, $1, $2, $3, $4)",
            &values,
        )
        .await?;
        Ok(())
    }
}

/// Reads the root issuer that the store was last opened with; `None` before there was one, or from an earlier version.
/// It is no part of the cell, which is read before a store is brought up to date.
pub struct FindIssuer;

impl Step for FindIssuer {
    type Out = Option<String>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let row = tx.find("SELECT issuer FROM cell WHERE one = 1", &[]).await?;
        Ok(row.map(|row| row.opt(0, |row, at| row.text(at).map(str::to_owned))).transpose()?.flatten())
    }
}

/// Remembers the root issuer that the store is opened with.
pub struct RememberIssuer {
    /// The issuer.
    pub issuer: String,
}

impl Step for RememberIssuer {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.write("UPDATE cell SET issuer = $1 WHERE one = 1", &[self.issuer.as_str().into()]).await.map(drop)
    }
}
