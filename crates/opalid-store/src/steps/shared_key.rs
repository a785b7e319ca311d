//! A signing key that several workspaces have, changed in all of them or in none.
//!
//! Holds: nobody brings the key into one more workspace between whoever looked for it and the change.

use opalid_core::ids::WorkspaceId;

use crate::engine::tx::{Step, Tx};
use crate::error::StoreError;
use crate::keys::{KeyPurpose, WorkspaceRecord};
use crate::steps::keys::{ChangeKeys, ChangedKeys};

/// The signing keys of all workspaces, as whoever looked through them saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenSigning(Vec<(WorkspaceId, u8, Vec<u8>)>);

impl SeenSigning {
    /// Those of one more workspace.
    pub fn add(&mut self, record: &WorkspaceRecord) {
        let signing = record.keys.iter().filter(|key| key.purpose == KeyPurpose::Signing);
        self.0.extend(signing.map(|key| (record.workspace.id, key.number, key.wrapped.clone())));
    }

    async fn are<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "SELECT workspace, number, wrapped FROM workspace_key WHERE purpose = $1";
        let corrupt = |_| StoreError::Corrupt("a key of unknown number".into());
        let mut found = Vec::with_capacity(self.0.len());
        for row in tx.run(sql, &[KeyPurpose::Signing.name().into()]).await? {
            found.push((row.id(0)?, u8::try_from(row.int(1)?).map_err(corrupt)?, row.blob(2)?.to_vec()));
        }
        let mut seen = self.0.clone();
        seen.sort();
        found.sort();
        Ok(seen == found)
    }
}

/// Changes the keys of several workspaces.
pub struct ChangeSharedKey {
    /// The signing keys of all workspaces when this was decided.
    pub seen: SeenSigning,
    /// What happens, in each of them.
    pub parts: Vec<ChangeKeys>,
}

impl Step for ChangeSharedKey {
    type Out = ChangedKeys;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<ChangedKeys, StoreError> {
        for part in &self.parts {
            if let Some(hindered) = part.hindrance(tx).await? {
                return Ok(hindered);
            }
        }
        // Whoever changes keys holds the cell's row, and so does this by now.
        if !self.seen.are(tx).await? {
            return Ok(ChangedKeys::Moved);
        }
        for part in &self.parts {
            part.make_all(tx).await?;
        }
        Ok(ChangedKeys::Done)
    }
}
