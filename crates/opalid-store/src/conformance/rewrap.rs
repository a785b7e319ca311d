//! All keys put under another master key while PostgreSQL does not say what became of it: its COMMIT hangs, its answer
//! is lost, the database is killed in it. What the store says afterwards is true, and stays so.

use std::sync::Arc;

use tokio_postgres::{Client, NoTls};

use super::cluster::Cluster;
use super::faults::{soon, until};
use super::keys::{check, world};
use super::place::Place;
use super::world::World;
use crate::StoreError;
use crate::steps::keys::{ChangedKeys, ListWrapped, RewrapKeys};
use crate::steps::settle_rewrap::{SettleRewrap, SettledUnder};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A store on a cluster of its own, and somebody beside it.
struct Case {
    cluster: Cluster,
    place: Place,
    world: World,
}

/// What a rewrap that was not answered was from and to.
struct Begun {
    from: Vec<u8>,
    to: u8,
}

impl Case {
    async fn new() -> Self {
        let cluster = Cluster::start();
        let place = Place::postgres_on(&cluster.url()).await;
        let world = world(&place).await;
        Self { cluster, place, world }
    }

    async fn rewrap(&self, from: &[u8], to: u8) -> RewrapKeys {
        let keys = self.world.store.read(ListWrapped).await.unwrap();
        let keys = keys.into_iter().map(|key| (key, vec![to; 40])).collect();
        RewrapKeys { stamp: self.world.stamp(), key_check: (from.to_vec(), vec![to]), keys }
    }

    async fn settle(&self, begun: &Begun) -> Result<SettledUnder, StoreError> {
        let key_check = (begun.from.clone(), vec![begun.to]);
        soon(self.world.store.run(SettleRewrap { stamp: self.world.stamp(), key_check, staying: vec![200] })).await
    }

    /// What it says once the store answers again.
    async fn settled(&self, begun: &Begun) -> SettledUnder {
        let mut found = None;
        until(async || {
            match self.settle(begun).await {
                Ok(under) => found = Some(under),
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            }
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// COMMIT waits for a standby that is not there. Once a rewrap hangs in it, `fault` happens.
    async fn rewrap_into_a_commit_that_hangs(&self, fault: impl AsyncFnOnce(&Self, &Client)) -> Begun {
        let beside = connect(&self.place.url()).await;
        self.cluster.set("synchronous_standby_names = 'nobody'");
        self.cluster.reload();
        // It hears of that soon, not at once.
        for to in 10.. {
            let from = check(&self.world).await;
            let (store, step) = (Arc::clone(&self.world.store), self.rewrap(&from, to).await);
            let rewrapping = tokio::spawn(async move { store.run(step).await });
            let hangs = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            until(async || rewrapping.is_finished() || !beside.query(hangs, &[]).await.unwrap().is_empty()).await;
            if !rewrapping.is_finished() {
                fault(self, &beside).await;
                let told = soon(rewrapping).await.unwrap();
                assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
                return Begun { from, to };
            }
            assert_eq!(soon(rewrapping).await.unwrap().unwrap(), ChangedKeys::Done);
        }
        unreachable!()
    }

    fn release(&self) {
        self.cluster.set("synchronous_standby_names = ''");
        self.cluster.reload();
    }

    /// Every key is there and wrapped so, as the cell says.
    async fn all_are(&self, to: u8) {
        let wrapped = self.world.store.read(ListWrapped).await.unwrap();
        assert!(!wrapped.is_empty() && wrapped.iter().all(|key| key.wrapped == [to; 40]));
        assert_eq!(check(&self.world).await, [to]);
    }

    async fn end(self) {
        self.world.store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_rewrap_whose_commit_hangs_nothing_is_said_before_it_has_ended_and_then_that_it_was_made() {
    let case = Case::new().await;
    let begun = case.rewrap_into_a_commit_that_hangs(async |_, _| {}).await;
    for _ in 0..2 {
        let told = case.settle(&begun).await;
        assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    }
    case.release();
    assert_eq!(case.settled(&begun).await, SettledUnder::New);
    case.all_are(begun.to).await;
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rewrap_whose_commit_was_made_and_its_answer_lost_is_found_made() {
    let case = Case::new().await;
    let lost = async |_: &Case, beside: &Client| {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        assert!(!beside.query(sql, &[]).await.unwrap().is_empty());
    };
    let begun = case.rewrap_into_a_commit_that_hangs(lost).await;
    case.release();
    for _ in 0..2 {
        assert_eq!(case.settled(&begun).await, SettledUnder::New);
    }
    case.all_are(begun.to).await;
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rewrap_in_whose_commit_the_database_is_killed_is_found_made_when_it_is_back() {
    let case = Case::new().await;
    let killed = async |case: &Case, _: &Client| {
        case.cluster.stop("immediate");
    };
    let begun = case.rewrap_into_a_commit_that_hangs(killed).await;
    case.cluster.set("synchronous_standby_names = ''");
    case.cluster.start_again();
    assert_eq!(case.settled(&begun).await, SettledUnder::New);
    case.all_are(begun.to).await;
    case.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rewrap_that_is_cut_off_before_its_commit_is_found_unmade_and_does_nothing_later() {
    let case = Case::new().await;
    let from = check(&case.world).await;
    let before: Vec<_> = case.world.store.read(ListWrapped).await.unwrap().into_iter().map(|key| key.wrapped).collect();
    let begun = Begun { from: from.clone(), to: 10 };
    let mut beside = connect(&case.place.url()).await;
    // What every change takes last.
    let holding = beside.transaction().await.unwrap();
    holding.execute("SELECT n FROM feed_head FOR UPDATE", &[]).await.unwrap();
    let (store, step) = (Arc::clone(&case.world.store), case.rewrap(&from, begun.to).await);
    let rewrapping = tokio::spawn(async move { store.run(step).await });
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE wait_event_type = 'Lock' AND datname = current_database()";
    until(async || !holding.query(cut, &[]).await.unwrap().is_empty()).await;
    let told = soon(rewrapping).await.unwrap();
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    holding.rollback().await.unwrap();
    assert_eq!(case.settled(&begun).await, SettledUnder::Former);
    let late = case.rewrap(&from, begun.to).await;
    assert_eq!(case.world.store.run(late).await.unwrap(), ChangedKeys::Moved, "one that comes later does nothing");
    assert_eq!(case.settled(&begun).await, SettledUnder::Former);
    let after: Vec<_> = case.world.store.read(ListWrapped).await.unwrap().into_iter().map(|key| key.wrapped).collect();
    assert_eq!(after, before);
    case.end().await;
}
