//! Sweeping in the background: a small batch every few seconds, one table after another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opalid_store::StoreError;
use opalid_store::steps::sweep::{Sweep, SweepKilled, SweepPosition, SweptTable};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// How long between two batches.
const PAUSE: Duration = Duration::from_secs(2);
/// How many rows a batch looks at.
const BATCH: u32 = 500;

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
        let Some(table) = tables.next() else { return };
        if let Err(error) = batch(&app, *table, &mut stands).await {
            tracing::warn!(%error, ?table, "a batch of expired rows was not swept; it is tried again later");
        }
    }
}

async fn batch(
    app: &App,
    table: SweptTable,
    stands: &mut HashMap<SweptTable, SweepPosition>,
) -> Result<(), StoreError> {
    let step = Sweep { table, after: stands.get(&table).copied(), limit: BATCH, now: app.now() };
    match app.store.run(step).await?.next {
        Some(next) => stands.insert(table, next),
        None => stands.remove(&table),
    };
    app.store.run(SweepKilled { limit: BATCH, now: app.now() }).await.map(drop)
}
