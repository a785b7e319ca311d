//! Keeping keys in the background: what is missing is made, what is due is rotated, what nobody needs goes.

use std::sync::Arc;
use std::time::Duration;

use opalid_core::time::{Seconds, UnixTime};
use opalid_store::StoreError;
use opalid_store::keys::{KeyPurpose, WorkspaceKey, WorkspaceRecord};
use opalid_store::steps::cell::FindCell;
use opalid_store::steps::keys::{FindOldestSealed, KeyEvent};
use opalid_store::steps::workspace::{ByWorkspace, FindWorkspace, ListWorkspaces};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::kept::Kept;
use super::{Changing, Former, KeysUnchanged, PUBLISHED, Ring, rewrap};
use crate::app::App;

/// How long between two rounds.
const PAUSE: Duration = Duration::from_secs(300);
/// Who the audit log says it was.
const INITIATOR: &str = "schedule";
/// How many changes a round makes in one workspace: more than there can be to make.
const CHANGES_MAX: usize = 512;

/// Keeps keys until `stop`.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        let kept = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            kept = keep(&app, app.now()) => kept,
        };
        match kept {
            // That the store does not answer, the store itself says.
            Ok(()) | Err(StoreError::Unavailable(_)) => {}
            Err(error) => tracing::warn!(%error, "keys were not looked after; it is tried again later"),
        }
    }
}

/// Does what is to be done now, in every workspace. What cannot be done in one holds up no other.
pub async fn keep(app: &App, now: UnixTime) -> Result<(), StoreError> {
    if let Some(cell) = app.store.read(FindCell).await? {
        app.master.agree_with(&cell);
    }
    rewrap::settle_begun(app).await;
    for workspace in app.store.read(ListWorkspaces).await? {
        let mut given_up = Vec::new();
        for _ in 0..CHANGES_MAX {
            // As it is in the store: each change is decided on what the one before left.
            let Some(record) = app.store.read(FindWorkspace(ByWorkspace::Id(workspace.id))).await? else { break };
            let record = Arc::new(record);
            let Some(task) = next_task(app, (&record, &given_up), now).await? else { break };
            let changing = Changing { app, record, now, initiator: INITIATOR };
            let ring = task.ring();
            match carry_out(&changing, task).await {
                Ok(()) | Err(KeysUnchanged::Moved) => {}
                Err(KeysUnchanged::Store(error)) => return Err(error),
                Err(error) => {
                    tracing::warn!(workspace = workspace.name, %error, "a key was not changed that is due");
                    given_up.push(ring);
                }
            }
        }
    }
    Ok(())
}

enum Task {
    MakeCurrent(Ring),
    MakeNext(Ring),
    Rotate(Ring),
    Remove(Box<WorkspaceKey>),
}

impl Task {
    fn ring(&self) -> Ring {
        match self {
            Self::MakeCurrent(ring) | Self::MakeNext(ring) | Self::Rotate(ring) => *ring,
            Self::Remove(key) => Ring::holding(key),
        }
    }
}

async fn carry_out(changing: &Changing<'_>, task: Task) -> Result<(), KeysUnchanged> {
    match task {
        Task::MakeCurrent(ring) => changing.make_current(ring).await,
        Task::MakeNext(ring) => changing.make_next(ring).await,
        Task::Rotate(ring) => changing.rotate(ring, Former::Kept).await,
        Task::Remove(key) => changing.remove(&key, KeyEvent::Removed).await,
    }
}

/// The first thing to do, but for rings that were given up. What goes comes first: that makes room for numbers.
async fn next_task(
    app: &App,
    (record, given_up): (&WorkspaceRecord, &[Ring]),
    now: UnixTime,
) -> Result<Option<Task>, StoreError> {
    let (keys, settings) = (&record.keys, &record.workspace.settings);
    let mut oldest = None;
    if keys.iter().any(|key| key.purpose == KeyPurpose::Row && Kept::of(key, settings) != Kept::InUse) {
        oldest = app.store.read(FindOldestSealed(record.workspace.id)).await?;
    }
    let is_open = |ring: &Ring| !given_up.contains(ring);
    let is_over = |key: &&WorkspaceKey| is_open(&Ring::holding(key)) && Kept::of(key, settings).is_over(oldest, now);
    if let Some(key) = keys.iter().find(is_over) {
        return Ok(Some(Task::Remove(Box::new(key.clone()))));
    }
    Ok(Ring::all().filter(is_open).find_map(|ring| task_of(ring, keys, settings.key_rotation, now)))
}

fn task_of(ring: Ring, keys: &[WorkspaceKey], rotation: Seconds, now: UnixTime) -> Option<Task> {
    let Some((_, since)) = ring.current(keys) else { return Some(Task::MakeCurrent(ring)) };
    let is_due = rotation != Seconds(0) && now >= since.plus(rotation);
    if matches!(ring, Ring::Symmetric(_)) {
        return is_due.then_some(Task::Rotate(ring));
    }
    match ring.next(keys) {
        None => Some(Task::MakeNext(ring)),
        Some(next) => (is_due && now >= next.created_at.plus(PUBLISHED)).then_some(Task::Rotate(ring)),
    }
}
