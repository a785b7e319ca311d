//! Sweeping in the background, every few seconds: what goes by its time, all of it; then a small batch of one table
//! after another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opalid_store::StoreError;
use opalid_store::steps::request::CountWaiting;
use opalid_store::steps::sweep::{Aged, Sweep, SweepAged, SweepPosition, SweptTable};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// How long between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// How many rows a batch removes, or looks at.
const BATCH: u32 = 500;
/// How many killed tokens a batch looks at: their rows are small, and can be many.
const KILLED_BATCH: u32 = 5_000;

/// Sweeps until `stop`.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut stands = HashMap::new();
    let mut tables = SweptTable::ALL.iter().cycle();
    let mut ticks = interval(PAUSE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = aged(&app, &stop).await
            && is_news(&error)
        {
            tracing::warn!(%error, "expired rows were not swept; they are tried again later");
        }
        if let Err(error) = app.store.tend_leases().await
            && is_news(&error)
        {
            tracing::warn!(%error, "rows of former lives were not looked at; they are tried again later");
        }
        app.followers.tend(&app.store.holding());
        let Some(table) = tables.next() else { return };
        for (table, limit) in [(*table, BATCH), (SweptTable::Killed, KILLED_BATCH)] {
            if let Err(error) = looked_at(&app, (table, limit), &mut stands, &stop).await
                && is_news(&error)
            {
                tracing::warn!(%error, ?table, "a batch of expired rows was not swept; it is tried again later");
            }
        }
    }
}

/// Whether it has to be said: that the store does not answer, the store itself says.
fn is_news(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unavailable(_))
}

/// Removes everything whose time is over: batch after batch until one is not full, so that however fast rows come,
/// they go as fast. Then it is said how many requests wait.
pub async fn aged(app: &App, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
    let applied = app.store.memory().position();
    for what in [Aged::Requests, Aged::Feed(applied), Aged::Audit(app.audit_kept)] {
        while is_full(app.store.run(SweepAged { what, limit: BATCH, now: app.now() }).await?, BATCH) && !*stop.borrow()
        {
        }
    }
    app.metrics.requests_waiting.set(app.store.read(CountWaiting).await?);
    Ok(())
}

/// Looks at the next rows of a table; at those after them too, as long as all that it finds is over.
async fn looked_at(
    app: &App,
    (table, limit): (SweptTable, u32),
    stands: &mut HashMap<SweptTable, SweepPosition>,
    stop: &watch::Receiver<bool>,
) -> Result<(), StoreError> {
    loop {
        let step = Sweep { table, after: stands.get(&table).copied(), limit, now: app.now() };
        let swept = app.store.run(step).await?;
        match swept.next {
            Some(next) => stands.insert(table, next),
            None => stands.remove(&table),
        };
        if !is_full(swept.removed, limit) || *stop.borrow() {
            return Ok(());
        }
    }
}

fn is_full(removed: usize, limit: u32) -> bool {
    u32::try_from(removed).is_ok_and(|removed| removed >= limit)
}
