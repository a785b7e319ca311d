//! Putting a store back: what was revoked since its copy was made must not live again.
//!
//! Holds: in one transaction the store gets a new incarnation, so that nobody takes its feed for the one it
//! had, and every workspace a new epoch: all that was issued before the copy is dead. What was issued after
//! it has no rows here. One-time links hang from their user alone, and go; consents go, so that people are asked again.
//! No key of the copy is used again: it may have been revoked since, and who has it could forge what opens or verifies. The
//! next start makes new ones (`first_keys`); which signing keys were revoked before the copy stays known.

use opalid_core::ids::{EventId, WorkspaceId};
use opalid_core::lease::HolderId;
use opalid_core::time::UnixTime;

use crate::engine::tx::{Step, Tx};
use crate::error::StoreError;
use crate::feed::{Incarnation, Touched};
use crate::leases::LONGEST;
use crate::steps::{Stamp, holder};

/// Declares that the store was put back from a copy.
pub struct Restore {
    /// The new incarnation, drawn for it.
    pub incarnation: [u8; 16],
    /// Who takes the step: drawn for it, as is the row that nobody renews.
    pub owner: [u8; 16],
    /// When.
    pub now: UnixTime,
    /// The id of the audit row in each workspace.
    pub event: EventId,
    /// Who put it back.
    pub initiator: String,
}

/// What a store was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The workspaces whose people and clients begin anew, by name.
    pub workspaces: Vec<String>,
}

impl Step for Restore {
    type Out = Restored;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Restored, StoreError> {
        let rows = tx.run("UPDATE workspace SET epoch = epoch + 1 RETURNING id, name", &[]).await?;
        let mut workspaces = Vec::with_capacity(rows.len());
        for row in &rows {
            let workspace: WorkspaceId = row.id(0)?;
            let name = row.text(1)?;
            let initiator = self.initiator.clone();
            let stamp = Stamp { workspace, now: self.now, event: self.event, initiator };
            stamp.change(tx, Touched::Workspace(workspace), "workspace.restored");
            stamp.audit(tx, "workspace.restored", format!("workspace {name}"), "put back from a copy");
            workspaces.push(name.to_owned());
        }
        workspaces.sort_unstable();
        tx.send("DELETE FROM password_link", &[]).await?;
        tx.send("DELETE FROM request", &[]).await?;
        tx.send("DELETE FROM waiting", &[]).await?;
        // A consent that was withdrawn since would let its client in again without a question.
        tx.send("DELETE FROM consent", &[]).await?;
        tx.send("DELETE FROM workspace_key", &[]).await?;
        // Whoever holds a lease of the life before may believe it until it is over: a row that nobody owns stands for them all.
        tx.send("DELETE FROM holder", &[]).await?;
        holder::insert(tx, (HolderId(!u128::from_be_bytes(self.owner)), LONGEST)).await?;
        tx.begin_life(Incarnation(self.incarnation));
        if tx.find("SELECT n FROM feed_head WHERE one = 1", &[]).await?.is_none() {
            return Err(StoreError::Refused("this store never ran; there is nothing to put back".into()));
        }
        Ok(Restored { workspaces })
    }
}
