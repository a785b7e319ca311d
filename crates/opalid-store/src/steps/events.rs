//! The audit log, read.

use opalid_core::ids::{EventId, WorkspaceId};
use opalid_core::time::UnixTime;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;

/// A state change as the audit log has it.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Its row.
    pub id: EventId,
    /// What happened, such as `user.suspended`.
    pub action: String,
    /// To what.
    pub target: String,
    /// Who made it happen.
    pub initiator: String,
    /// More in words.
    pub detail: String,
    /// When.
    pub at: UnixTime,
}

/// Which events.
#[derive(Debug, Clone, Copy)]
pub enum EventRange {
    /// The last ones before this one; the newest, if absent.
    Before(Option<EventId>),
    /// The first ones after this one.
    After(EventId),
}

/// Reads events, the oldest first.
pub struct ListEvents {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub range: EventRange,
    /// How many at most.
    pub limit: u32,
}

fn read(row: &Row) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        id: row.id(0)?,
        action: row.text(1)?.to_owned(),
        target: row.text(2)?.to_owned(),
        initiator: row.text(3)?.to_owned(),
        detail: row.text(4)?.to_owned(),
        at: row.time(5)?,
    })
}

impl Step for ListEvents {
    type Out = Vec<EventRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let workspace: Value = self.workspace.as_bytes().into();
        match self.range {
            EventRange::After(id) => {
                let sql = "SELECT id, action, target, initiator, detail, at FROM audit
                           WHERE workspace = $1 AND id > $2 ORDER BY id LIMIT $3";
                let rows = tx.run(sql, &[workspace, id.as_bytes().into(), self.limit.into()]).await?;
                rows.iter().map(read).collect()
            }
            EventRange::Before(id) => {
                let sql = "SELECT id, action, target, initiator, detail, at FROM audit
                           WHERE workspace = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
                let bound = id.map_or([0xff; 16], |id| *id.as_bytes());
                let rows = tx.run(sql, &[workspace, (&bound).into(), self.limit.into()]).await?;
                rows.iter().rev().map(read).collect()
            }
        }
    }
}
