//! The feed's order is the order of commits, and memory follows it.

use opalid_core::grant::Epoch;
use opalid_core::ids::WorkspaceId;
use opalid_core::token::Jti;

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{END, World};
use crate::feed::{READ_AFTER, Touched, read_change};
use crate::steps::revoke::{KillLimits, KillToken};
use crate::{Step, StoreError, Tx};

on_every_engine! {
    changes_enter_in_the_order_of_commits;
    memory_stands_where_the_feed_ends;
}

/// Bumps a counter and names it in the feed: commits on one row are ordered by its lock.
struct Count {
    world: World,
    grouped: bool,
}

struct Grouped(Count);

async fn count<T: Tx>(tx: &mut T, of: &Count) -> Result<i64, StoreError> {
    let sql = "UPDATE migration SET checksum = checksum, number = number + 1 WHERE number >= 1000 RETURNING number";
    let rows = tx.run(sql, &[]).await?;
    let number = rows[0].int(0)?;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    of.world.stamp().change(tx, Touched::Workspace(WorkspaceId::from_bytes(id)), "counted");
    Ok(number)
}

impl Step for Count {
    type Out = i64;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<i64, StoreError> {
        count(tx, self).await
    }
}

impl Step for Grouped {
    type Out = i64;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<i64, StoreError> {
        count(tx, &self.0).await
    }
}

struct Begin;

impl Step for Begin {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let sql = "INSERT INTO migration (number, checksum) VALUES ($1, $2)";
        tx.send(sql, &[1000i64.into(), [0u8].as_slice().into()]).await
    }
}

struct Counted;

impl Step for Counted {
    type Out = Vec<(u64, i64)>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let rows = tx.run(READ_AFTER, &[0i64.into()]).await?;
        let mut counted = Vec::new();
        for row in &rows {
            if let (position, Touched::Workspace(id)) = read_change(row)?
                && id.as_bytes()[8..] == [0; 8]
            {
                counted.push((position.0, i64::from_be_bytes(id.as_bytes()[..8].try_into().unwrap())));
            }
        }
        Ok(counted)
    }
}

async fn changes_enter_in_the_order_of_commits(place: &Place) {
    let world = World::new(place).await;
    world.store.run(Begin).await.unwrap();
    let tasks = (0..8).map(|task| {
        let world = world.clone();
        tokio::spawn(async move {
            let mut last = 0;
            for round in 0..20 {
                let count = Count { world: world.clone(), grouped: (task + round) % 2 == 0 };
                let number =
                    if count.grouped { world.store.run(Grouped(count)).await } else { world.store.run(count).await };
                let number = number.unwrap();
                assert!(number > last);
                last = number;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let counted = world.store.read(Counted).await.unwrap();
    assert_eq!(counted.iter().map(|(_, number)| *number).collect::<Vec<_>>(), (1001..=1160).collect::<Vec<_>>());
}

async fn memory_stands_where_the_feed_ends(place: &Place) {
    let world = World::new(place).await;
    let (grant, _) = world.interned().await;
    let before = world.store.memory().position().0;
    let tasks = (0..100).map(|_| {
        let mut jti = [0; 12];
        jti.copy_from_slice(&unique_bytes()[..12]);
        let step = KillToken {
            stamp: world.stamp(),
            grant,
            epoch: Epoch::FIRST,
            jti: Jti(jti),
            expires_at: END,
            limits: KillLimits::default(),
        };
        let store = world.store.clone();
        tokio::spawn(async move { store.run(step).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(world.store.memory().position().0, before + 100);
}
