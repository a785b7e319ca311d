//! Leases that others hold: when a change is settled, and what a life leaves for the next.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::poll_immediate;
use opalid_core::lease::{Ask, HolderId, HolderRow, Margin, Moment, News};

use super::on_every_engine;
use super::place::{Place, execute, unique_bytes};
use super::world::World;
use crate::feed::Touched;
use crate::leases::LONGEST;
use crate::memory::BootTime;
use crate::steps::holder::{ListHolders, TagKey};
use crate::steps::revoke::Revoked;
use crate::{Store, StoreError};

on_every_engine! {
    the_row_of_a_life_stands_before_its_first_lease;
    a_change_is_settled_once_everybody_has_acknowledged_it_and_so_is_its_repetition;
    a_change_is_settled_when_the_leases_of_those_who_say_nothing_are_over;
    the_next_life_waits_for_what_the_one_before_has_left_and_takes_its_row_away;
    a_restored_store_waits_for_as_long_as_the_longest_lease;
    a_change_of_which_nobody_can_say_who_waits_for_it_is_an_outage;
    a_step_that_is_not_waited_for_says_where_its_change_stands;
    the_key_of_tags_is_made_once;
}

/// A clock that a test moves: one for each engine, because a test runs on both at once.
static CLOCKS: [[AtomicU64; 2]; 4] = [const { [const { AtomicU64::new(1_000_000_000_000) }; 2] }; 4];

fn clock<const TEST: usize, const ENGINE: usize>() -> Duration {
    Duration::from_nanos(CLOCKS[TEST][ENGINE].load(Ordering::SeqCst))
}

/// The clock of a test on its engine, and the way to move it.
fn moved_clock<const TEST: usize>(place: &Place) -> (BootTime, &'static AtomicU64) {
    match place {
        Place::Sqlite(_) => (clock::<TEST, 0>, &CLOCKS[TEST][0]),
        Place::Postgres { .. } => (clock::<TEST, 1>, &CLOCKS[TEST][1]),
    }
}

fn advance(clock: &AtomicU64, by: Duration) {
    clock.fetch_add(u64::try_from(by.as_nanos()).unwrap(), Ordering::SeqCst);
}

/// Somebody who remembers answers, and has applied all it was told.
struct Somebody {
    id: HolderId,
    at: Option<opalid_core::lease::Position>,
}

impl Somebody {
    fn new(id: u128) -> Self {
        Self { id: HolderId(id), at: None }
    }

    async fn ask(&mut self, store: &Store) -> News<Touched> {
        let ask = Ask { holder: self.id, at: self.at, acked: self.at, asked_at: Moment(5) };
        let news = store.grant(&ask).await.unwrap().unwrap();
        self.at = Some(news.to);
        news
    }
}

/// All rows but the one that a node on PostgreSQL has of its own from its start.
async fn rows(store: &Store) -> Vec<HolderRow> {
    let rows = store.read(ListHolders).await.unwrap().rows;
    rows.into_iter().filter(|row| row.id != store.life()).collect()
}

/// Lets a step run until memory has what it changed; it has not returned then.
async fn until_in_memory<T>(store: &Store, mut step: Pin<&mut impl Future<Output = T>>) {
    let before = store.memory().position();
    let mut positions = store.memory().positions();
    tokio::select! {
        _ = step.as_mut() => panic!("it returned"),
        moved = positions.wait_for(|now| *now > before) => drop(moved.unwrap()),
    }
    assert!(poll_immediate(step).await.is_none(), "it returned");
}

async fn the_row_of_a_life_stands_before_its_first_lease(place: &Place) {
    let world = World::new(place).await;
    // A node that may be one of several has it from its start.
    let several = usize::from(matches!(place, Place::Postgres { .. }));
    assert_eq!(world.store.read(ListHolders).await.unwrap().rows.len(), several);
    Somebody::new(1).ask(&world.store).await;
    Somebody::new(2).ask(&world.store).await;
    let rows = world.store.read(ListHolders).await.unwrap().rows;
    let row = rows.first().unwrap();
    assert_eq!((rows.len(), row.id), (1, world.store.life()));
    assert!(row.length >= world.store.lease_length());
}

async fn a_change_is_settled_once_everybody_has_acknowledged_it_and_so_is_its_repetition(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let (mut one, mut other) = (Somebody::new(1), Somebody::new(2));
    for somebody in [&mut one, &mut other] {
        assert!(somebody.ask(&world.store).await.grant.is_some());
    }
    let mut first = pin!(world.store.run(world.kill(&token)));
    until_in_memory(&world.store, first.as_mut()).await;
    assert_eq!(world.store.push(one.id).map(|news| news.changes.len()), Some(1));
    let mut again = pin!(world.store.run(world.kill(&token)));
    // It is told what changed, and acknowledges that when it asks the next time.
    for _ in 0..2 {
        one.ask(&world.store).await;
    }
    other.ask(&world.store).await;
    assert!(poll_immediate(first.as_mut()).await.is_none(), "the other has not acknowledged it");
    assert!(poll_immediate(again.as_mut()).await.is_none(), "nor is what was done before");
    other.ask(&world.store).await;
    assert_eq!(first.await.unwrap(), Revoked::Dead);
    assert_eq!(again.await.unwrap(), Revoked::Dead);
    assert_eq!(world.store.holding().len(), 2);
    world.store.leave(one.id);
    assert_eq!(world.store.holding().len(), 1);
}

async fn a_change_is_settled_when_the_leases_of_those_who_say_nothing_are_over(place: &Place) {
    let (boottime, clock) = moved_clock::<0>(place);
    let world = World::within(std::sync::Arc::new(place.try_open(boottime).await.unwrap())).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let (mut silent, mut other) = (Somebody::new(1), Somebody::new(2));
    silent.ask(&world.store).await;
    let mut step = pin!(world.store.run(world.kill(&token)));
    until_in_memory(&world.store, step.as_mut()).await;
    let over = Margin::CLOCKS.beyond(world.store.lease_length());
    advance(clock, over - Duration::from_nanos(1));
    // Whoever asks wakes who waits.
    for _ in 0..2 {
        other.ask(&world.store).await;
        assert!(poll_immediate(step.as_mut()).await.is_none(), "its lease may not be over yet");
    }
    advance(clock, Duration::from_nanos(1));
    other.ask(&world.store).await;
    assert_eq!(step.await.unwrap(), Revoked::Dead);
}

async fn the_next_life_waits_for_what_the_one_before_has_left_and_takes_its_row_away(place: &Place) {
    let (boottime, clock) = moved_clock::<1>(place);
    let store = std::sync::Arc::new(place.try_open(boottime).await.unwrap());
    let world = World::within(store).await;
    let (grant, number) = world.interned().await;
    let (token, other) = (world.token(grant, number).await, world.token(grant, number).await);
    Somebody::new(1).ask(&world.store).await;
    let world = World { store: place.reopen_under(world.store, boottime).await, ..world };
    let left = rows(&world.store).await;
    assert_eq!(left.len(), 1);
    {
        let over = Margin::CLOCKS.beyond(left[0].length);
        let mut step = pin!(world.store.run(world.kill(&token)));
        until_in_memory(&world.store, step.as_mut()).await;
        advance(clock, over - Duration::from_nanos(1));
        world.store.tend_leases().await.unwrap();
        assert!(poll_immediate(step.as_mut()).await.is_none(), "somebody may believe the life before yet");
        assert_eq!(rows(&world.store).await, left);
        advance(clock, Duration::from_nanos(1));
        world.store.tend_leases().await.unwrap();
        assert_eq!(rows(&world.store).await, []);
        assert_eq!(step.await.unwrap(), Revoked::Dead);
    }
    assert_eq!(world.store.run(world.kill(&other)).await.unwrap(), Revoked::Dead, "and from now on for nobody");
    let somebody = HolderId(1);
    Somebody::new(somebody.0).ask(&world.store).await;
    world.store.leave(somebody);
    let world = World { store: place.reopen_under(world.store, boottime).await, ..world };
    assert_eq!(rows(&world.store).await, [], "who leaves with nobody left leaves nothing");
}

async fn a_restored_store_waits_for_as_long_as_the_longest_lease(place: &Place) {
    let (boottime, clock) = moved_clock::<2>(place);
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let step = super::restore::step();
    let store = place.reopen_as(world.store, step.owner).await;
    store.run(step).await.unwrap();
    let world = World { store: place.reopen_under(store, boottime).await, ..world };
    assert_eq!(
        rows(&world.store).await.iter().map(|row| (row.length, row.acked)).collect::<Vec<_>>(),
        [(LONGEST, None)]
    );
    let mut step = pin!(world.store.run(world.kill(&token)));
    until_in_memory(&world.store, step.as_mut()).await;
    advance(clock, Margin::CLOCKS.beyond(LONGEST));
    world.store.tend_leases().await.unwrap();
    assert_eq!(step.await.unwrap(), Revoked::Dead);
}

async fn a_change_of_which_nobody_can_say_who_waits_for_it_is_an_outage(place: &Place) {
    let (boottime, clock) = moved_clock::<3>(place);
    let world = World::within(std::sync::Arc::new(place.try_open(boottime).await.unwrap())).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        match place {
            Place::Sqlite(path) => rusqlite::Connection::open(path).unwrap().execute_batch(&sql).unwrap(),
            Place::Postgres { .. } => execute(&place.url(), &sql).await.unwrap(),
        }
    };
    rename("holder", "gone").await;
    let mut step = pin!(world.store.run(world.kill(&token)));
    until_in_memory(&world.store, step.as_mut()).await;
    let time_passes = async {
        loop {
            advance(clock, Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let outage = tokio::select! {
        outage = step => outage,
        () = time_passes => unreachable!("it never ends"),
    };
    assert!(matches!(outage, Err(StoreError::Statement(_) | StoreError::Unavailable(_))), "{outage:?}");
    rename("gone", "holder").await;
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead, "the repetition waits anew");
}

async fn a_step_that_is_not_waited_for_says_where_its_change_stands(place: &Place) {
    let world = World::new(place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let mut somebody = Somebody::new(1);
    somebody.ask(&world.store).await;
    let done = world.store.run_unsettled(world.kill(&token)).await.unwrap();
    let change = done.unsettled.unwrap();
    assert_eq!(Some(change.at), world.store.memory().at());
    let mut settled = pin!(world.store.settle(change));
    assert!(poll_immediate(settled.as_mut()).await.is_none());
    for _ in 0..2 {
        somebody.ask(&world.store).await;
    }
    settled.await.unwrap();
    let nothing = world.store.run_unsettled(TagKey { fresh: [1; 16] }).await.unwrap();
    assert_eq!(nothing.unsettled, None, "a step that changes nothing for others waits for nobody");
}

async fn the_key_of_tags_is_made_once(place: &Place) {
    let world = World::new(place).await;
    let first = unique_bytes();
    assert_eq!(world.store.run(TagKey { fresh: first }).await.unwrap(), first);
    let world = world.reopened(place).await;
    assert_eq!(world.store.run(TagKey { fresh: unique_bytes() }).await.unwrap(), first);
}
