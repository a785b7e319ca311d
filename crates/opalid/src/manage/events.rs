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
    page(operation, paging).await.map(Reply::Events)
}

/// The same, as a page.
pub(super) async fn page(operation: &Operation<'_>, paging: &Paging) -> Result<Page<Event>, ManageError> {
    let part = operation.part::<EventId>(paging)?;
    let (workspace, range) = (part.workspace, EventRange::Before(part.before));
    let mut rows = operation.app.store.read(ListEvents { workspace, range, limit: part.limit }).await?;
    // One more than wanted was asked for: the oldest, which says that there are more.
    let more = rows.len() > paging.limit();
    if more {
        rows.remove(0);
    }
    let next = rows.first().filter(|_| more).map(|row| row.id.to_string());
    Ok(Page { rows: rows.into_iter().map(Event::from).collect(), next })
}

/// Sees each event once, though ids are drawn before their commit and so may appear out of order.
#[derive(Debug, Default)]
pub(super) struct Follower {
    seen: BTreeSet<EventId>,
    /// From when on it looks, but for what it looks back.
    asked_at: Option<UnixTime>,
    /// Where it is, and since when, while there is more than is read at once.
    reading: Option<(EventId, UnixTime)>,
}

impl Follower {
    /// One that goes on after this row. What was stamped shortly before it may have been committed later: it comes too.
    pub(super) async fn after(operation: &Operation<'_>, id: &str) -> Result<Self, ManageError> {
        let list = operation.command("events -o json");
        let Ok(row) = id.parse::<EventId>() else {
            let why = format!("--after takes the id of an event, and {id:?} is none; ids are shown by: {list}");
            return Err(ManageError::Refused(why));
        };
        let before = EventId::from_bytes(u128::from_be_bytes(*row.as_bytes()).saturating_sub(1).to_be_bytes());
        let step = ListEvents { workspace: operation.workspace(), range: EventRange::After(before), limit: 1 };
        if operation.app.store.read(step).await?.first().is_none_or(|found| found.id != row) {
            let workspace = &operation.record.workspace.name;
            return Err(ManageError::Unknown(format!(
                "workspace {workspace} has no event {row}, or has it no more (audit_days); those it has are shown by: {list}"
            )));
        }
        let [a, b, c, d, e, f, ..] = *row.as_bytes();
        let millis = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let at = UnixTime(i64::try_from(millis / 1000).unwrap_or_default());
        Ok(Self { seen: [row].into(), asked_at: Some(at), reading: None })
    }

    /// What it has seen before.
    pub(super) fn has_seen(&mut self, events: &[Event]) {
        self.seen.extend(events.iter().map(|event| event.id));
    }

    /// Whether there may be more news at once.
    pub(super) fn has_more(&self) -> bool {
        self.reading.is_some()
    }

    /// What is new since it asked last, so many at once; nothing at the first time, unless it goes on after a row.
    pub(super) async fn news(&mut self, operation: &Operation<'_>) -> Result<Vec<Event>, ManageError> {
        let now = operation.app.now();
        let (after, since) = self.reading.take().unwrap_or_else(|| {
            let from = self.asked_at.unwrap_or(now).min(now).minus(LOOK_BACK);
            let after = EventId::from_bytes(uuid_v7(from, 0, [0; 10]));
            self.seen = self.seen.split_off(&after);
            (after, now)
        });
        let step = ListEvents { workspace: operation.workspace(), range: EventRange::After(after), limit: AT_ONCE };
        let rows = operation.app.store.read(step).await?;
        let begun = self.asked_at.is_some();
        match rows.last() {
            Some(last) if rows.len() >= AT_ONCE as usize => self.reading = Some((last.id, since)),
            _ => self.asked_at = Some(since),
        }
        let fresh: Vec<_> = rows.into_iter().filter(|row| self.seen.insert(row.id)).map(Event::from).collect();
        Ok(if begun { fresh } else { Vec::new() })
    }
}
