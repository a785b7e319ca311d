//! Somebody is told of every step that waits, and of every transaction that was made durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::on_every_engine;
use super::place::Place;
use super::world::World;
use crate::Observer;

on_every_engine! {
    steps_and_commits_are_counted;
}

#[derive(Default)]
struct Counts {
    begun: AtomicU64,
    ended: AtomicU64,
    commits: AtomicU64,
    nanos: AtomicU64,
}

impl Observer for Counts {
    fn committed(&self, took: Duration) {
        self.commits.fetch_add(1, Ordering::SeqCst);
        self.nanos.fetch_add(took.as_nanos().try_into().unwrap(), Ordering::SeqCst);
    }

    fn step_begun(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn step_ended(&self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Counts {
    fn seen(&self) -> (u64, u64, u64) {
        (self.begun.load(Ordering::SeqCst), self.ended.load(Ordering::SeqCst), self.commits.load(Ordering::SeqCst))
    }
}

async fn steps_and_commits_are_counted(place: &Place) {
    let counts = Arc::new(Counts::default());
    let store = place.open_observed(Arc::<Counts>::clone(&counts)).await;
    assert_eq!(counts.seen(), (0, 0, 0));
    let world = World::within(store).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let (begun, ended, commits) = counts.seen();
    assert_eq!((begun, ended, commits), (5, 5, 5), "four to make the world, one for the grant");
    // One that enters the feed, one that does not, one that only reads.
    world.store.run(world.kill(&token)).await.unwrap();
    assert_eq!(counts.seen(), (6, 6, 6));
    world.interned().await;
    assert_eq!(counts.seen(), (7, 7, 7));
    world.why_dead(&token).await;
    assert_eq!(counts.seen(), (7, 7, 7));
    assert!(counts.nanos.load(Ordering::SeqCst) > 0);
    // A caller that hangs up waits no more.
    tokio::select! {
        biased;
        done = world.store.run(world.kill(&token)) => drop(done),
        () = std::future::ready(()) => {}
    }
    assert_eq!((counts.begun.load(Ordering::SeqCst), counts.ended.load(Ordering::SeqCst)), (8, 8));
}
