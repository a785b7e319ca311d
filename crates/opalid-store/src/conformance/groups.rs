//! What a step does wrong is undone with all of its step, and touches nobody else's.

use super::on_every_engine;
use super::place::{Place, unique_bytes};
use super::world::{NOW, World};
use crate::feed::{AuditRow, Change, Touched};
use crate::steps::Stamp;
use crate::{Step, Store, StoreError, Tx};

on_every_engine! {
    what_fails_is_undone_and_its_neighbours_stay;
    a_statement_error_poisons_its_step;
    an_audit_row_that_cannot_be_written_fails_its_step;
    a_sent_statement_that_fails_fails_its_step;
    a_caller_that_hangs_up_stops_nothing;
    a_read_writes_nothing;
    values_come_back_as_they_went_in;
    two_steps_that_lock_crosswise_both_end;
}

/// How a test step goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Refuses,
    BadStatement,
    BadSent,
    BadAudit,
    WrongType,
}

/// Writes a row, enters the feed, and then may go wrong.
struct Write<const FEED: bool> {
    stamp: Stamp,
    key: i64,
    fault: Fault,
}

const INSERT: &str = "INSERT INTO migration (number, checksum) VALUES ($1, $2)";

impl<const FEED: bool> Step for Write<FEED> {
    type Out = i64;
    const ENTERS_FEED: bool = FEED;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<i64, StoreError> {
        tx.run(INSERT, &[self.key.into(), [1u8, 2].as_slice().into()]).await?;
        self.stamp.audit(tx, "test", "a row", "");
        tx.change(Change { workspace: self.stamp.workspace, touched: self.touched(), reason: "test", at: NOW });
        match self.fault {
            Fault::None => {}
            Fault::Refuses => return Err(StoreError::Refused("as asked".into())),
            // Swallowed: the step does as if nothing had happened.
            Fault::BadStatement => drop(tx.run(INSERT, &[self.key.into(), [3u8].as_slice().into()]).await),
            Fault::BadSent => drop(tx.send(INSERT, &[self.key.into(), [3u8].as_slice().into()]).await),
            Fault::WrongType => drop(tx.run(INSERT, &["text".into()]).await),
            Fault::BadAudit => {
                let (id, workspace) = (self.stamp.event, self.stamp.workspace);
                let (target, initiator, detail) = (String::new(), String::new(), String::new());
                tx.audit(AuditRow { id, workspace, action: "again", target, initiator, detail, at: NOW });
            }
        }
        Ok(self.key)
    }
}

impl<const FEED: bool> Write<FEED> {
    fn touched(&self) -> Touched {
        let mut id = [9; 16];
        id[..8].copy_from_slice(&self.key.to_be_bytes());
        Touched::Session(opalid_core::ids::SessionId::from_bytes(id))
    }
}

struct Keys;

impl Step for Keys {
    type Out = (Vec<i64>, i64, i64);

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let rows = tx.run("SELECT number FROM migration WHERE number >= 1000 ORDER BY number", &[]).await?;
        let keys = rows.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
        let audits = tx.run("SELECT COUNT(*) FROM audit WHERE action = 'test'", &[]).await?;
        let changes = tx.run("SELECT COUNT(*) FROM feed WHERE reason = 'test'", &[]).await?;
        Ok((keys, audits[0].int(0)?, changes[0].int(0)?))
    }
}

async fn keys(store: &Store) -> (Vec<i64>, i64, i64) {
    store.read(Keys).await.unwrap()
}

async fn what_fails_is_undone_and_its_neighbours_stay(place: &Place) {
    all_kinds_of::<true>(&World::new(place).await, 1000).await;
}

async fn all_kinds_of<const FEED: bool>(world: &World, from: i64) {
    let faults = [Fault::None, Fault::Refuses, Fault::BadStatement, Fault::BadSent, Fault::BadAudit, Fault::WrongType];
    let tasks = (0..60usize).map(|at| {
        let fault = faults[at % faults.len()];
        let step = Write::<FEED> { stamp: world.stamp(), key: from + at as i64, fault };
        let store = world.store.clone();
        tokio::spawn(async move { (fault, store.run(step).await) })
    });
    for task in tasks.collect::<Vec<_>>() {
        let (fault, done) = task.await.unwrap();
        assert_eq!(done.is_ok(), fault == Fault::None, "{fault:?}: {done:?}");
    }
    let expected: Vec<i64> = (0..60).step_by(6).map(|at| from + at).collect();
    assert_eq!(keys(&world.store).await, (expected, 10, 10));
}

async fn one(world: &World, fault: Fault) {
    let alone = world.store.run(Write::<false> { stamp: world.stamp(), key: 1000, fault }).await;
    assert!(matches!(alone, Err(StoreError::Statement(_))), "{alone:?}");
    let grouped = world.store.run(Write::<true> { stamp: world.stamp(), key: 1001, fault }).await;
    assert!(matches!(grouped, Err(StoreError::Statement(_))), "{grouped:?}");
    assert_eq!(keys(&world.store).await, (Vec::new(), 0, 0));
}

async fn a_statement_error_poisons_its_step(place: &Place) {
    let world = World::new(place).await;
    one(&world, Fault::BadStatement).await;
    one(&world, Fault::WrongType).await;
    all_kinds_of::<false>(&world, 2000).await;
}

async fn an_audit_row_that_cannot_be_written_fails_its_step(place: &Place) {
    one(&World::new(place).await, Fault::BadAudit).await;
}

async fn a_sent_statement_that_fails_fails_its_step(place: &Place) {
    one(&World::new(place).await, Fault::BadSent).await;
}

async fn a_caller_that_hangs_up_stops_nothing(place: &Place) {
    let world = World::new(place).await;
    let begun = world.store.memory().position().0;
    for key in 1000..1020 {
        let step = Write::<true> { stamp: world.stamp(), key, fault: Fault::None };
        // Polled once, then dropped.
        tokio::select! {
            biased;
            done = world.store.run(step) => drop(done),
            () = std::future::ready(()) => {}
        }
    }
    world.store.memory().applied(crate::feed::Position(begun + 20)).await;
    assert_eq!(keys(&world.store).await.0, (1000..1020).collect::<Vec<_>>());
}

async fn a_read_writes_nothing(place: &Place) {
    let world = World::new(place).await;
    let step = Write::<false> { stamp: world.stamp(), key: 1000, fault: Fault::None };
    assert!(world.store.read(step).await.is_err());
    assert_eq!(keys(&world.store).await, (Vec::new(), 0, 0));
}

struct Echo;

impl Step for Echo {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let blob: Vec<u8> = (0..=255).collect();
        for (key, text) in [(i64::MIN, "Größe \u{1F511} ' \\ \n"), (i64::MAX, "")] {
            let sql = "INSERT INTO request (workspace, id, request, expires_at) VALUES ($1, $2, $3, $4)";
            let id = unique_bytes();
            tx.send(sql, &[blob.clone().into(), (&id).into(), text.into(), key.into()]).await?;
            let sql = "SELECT workspace, request, expires_at, NULL FROM request WHERE id = $1";
            let row = tx.find(sql, &[(&id).into()]).await?.unwrap();
            assert_eq!((row.blob(0)?, row.text(1)?, row.int(2)?, row.is_null(3)), (&*blob, text, key, true));
        }
        Ok(())
    }
}

async fn values_come_back_as_they_went_in(place: &Place) {
    World::new(place).await.store.run(Echo).await.unwrap();
}

/// Locks two rows in an order of its own.
struct Crosswise {
    stamp: Stamp,
    keys: [i64; 2],
}

impl Step for Crosswise {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        for key in self.keys {
            tx.run("UPDATE migration SET checksum = $1 WHERE number = $2", &[[7u8].as_slice().into(), key.into()])
                .await?;
        }
        self.stamp.audit(tx, "test", "crosswise", "");
        Ok(())
    }
}

async fn two_steps_that_lock_crosswise_both_end(place: &Place) {
    let world = World::new(place).await;
    for key in [1000, 1001] {
        world.store.run(Write::<false> { stamp: world.stamp(), key, fault: Fault::None }).await.unwrap();
    }
    for _ in 0..10 {
        let cross = |keys| world.store.run(Crosswise { stamp: world.stamp(), keys });
        let (one, other) = tokio::join!(cross([1000, 1001]), cross([1001, 1000]));
        one.unwrap();
        other.unwrap();
    }
}
