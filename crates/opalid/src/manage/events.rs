//! The audit log: read in parts, and followed.

use std::collections::BTreeSet;

use opalid_core::ids::{EventId, uuid_v7};
use opalid_core::time::{Seconds, UnixTime};
use opalid_store::steps::events::{EventRange, EventRow, ListEvents};
use serde::{Deserialize, Serialize};

use super::{ManageError, Operation, Page, Paging, Reply};

/// How far back a follower looks again: ids are drawn before their commit, so a later one may be seen first.
const LOOK_BACK: Seconds = Seconds(10);
const AT_ONCE: u32 = 1000;

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Its row.
    pub id: EventId,
    /// When.
    pub at: UnixTime,
    /// What happened, such as `user.suspended`.
    pub action: String,
    /// To what.
    pub target: String,
    /// Who made it happen.
    pub initiator: String,
    /// More in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        let EventRow { id, action, target, initiator, detail, at } = row;
        Self { id, at, action, target, initiator, detail }
    }
}

/// The last events, the newest last.
pub(super) async fn list(operation: &Operation<'_>, paging: &Paging) -> Result<Reply, ManageError> {
    let part = operation.part::<EventId>(paging)?;
    let (workspace, range) = (part.workspace, EventRange::Before(part.before));
    let mut rows = operation.app.store.read(ListEvents { workspace, range, limit: part.limit }).await?;
    // One more than wanted was asked for: the oldest, which says that there are more.
    let more = rows.len() > paging.limit();
    if more {
        rows.remove(0);
    }
    let next = rows.first().filter(|_| more).map(|row| row.id.to_string());
    Ok(Reply::Events(Page { rows: rows.into_iter().map(Event::from).collect(), next }))
}

/// Sees each event once, though ids are drawn before their commit and so may appear out of order.
#[derive(Debug, Default)]
pub(super) struct Follower {
    seen: BTreeSet<EventId>,
    asked_at: Option<UnixTime>,
}

impl Follower {
    /// What it has seen before.
    pub(super) fn has_seen(&mut self, events: &[Event]) {
        self.seen.extend(events.iter().map(|event| event.id));
    }

    /// What is new since it asked last; nothing at the first time.
    pub(super) async fn news(&mut self, operation: &Operation<'_>) -> Result<Vec<Event>, ManageError> {
        let now = operation.app.now();
        let from = self.asked_at.unwrap_or(now).min(now).minus(LOOK_BACK);
        let mut after = EventId::from_bytes(uuid_v7(from, 0, [0; 10]));
        self.seen = self.seen.split_off(&after);
        let mut fresh = Vec::new();
        loop {
            let step = ListEvents { workspace: operation.workspace(), range: EventRange::After(after), limit: AT_ONCE };
            let rows = operation.app.store.read(step).await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            fresh.extend(rows.into_iter().filter(|row| self.seen.insert(row.id)).map(Event::from));
        }
        let begun = self.asked_at.replace(now).is_some();
        Ok(if begun { fresh } else { Vec::new() })
    }
}
