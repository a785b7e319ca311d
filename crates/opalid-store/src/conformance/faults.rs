//! PostgreSQL gone, killed, slow, put back and back; a server that did not leave cleanly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opalid_core::alive::Reason;
use opalid_core::ids::RequestId;
use tokio_postgres::NoTls;

use super::cluster::Cluster;
use super::place::{Place, boottime, execute};
use super::world::{NOW, Token, World};
use crate::StoreError;
use crate::memory::BootTime;
use crate::steps::evidence::LoadEvidence;
use crate::steps::request::{CountWaiting, FindRequest};
use crate::steps::revoke::{CutGrant, Revoked};

/// So that a test that hangs fails; nothing is said of how fast it is. Who is not answered because nobody can say who may be
/// believed waits as long as the longest lease.
const GUARD: Duration = Duration::from_secs(20);

/// No test waits for ever; nothing is said of how fast it is.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it hangs")
}

pub(super) async fn until(mut done: impl AsyncFnMut() -> bool) {
    soon(async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The processes that serve a database's sessions.
async fn backends(url: &str) -> Vec<i32> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Many at once kill tokens of one grant, until the first is told that the store fails because of `fault`.
/// Gives the tokens whose death was answered, and those of which nobody knows.
async fn load(world: &World, fault: impl Future<Output = ()>) -> (Vec<Token>, Vec<Token>) {
    let (grant, number) = world.interned().await;
    let evidence = world.store.load_evidence(world.workspace, grant).await.unwrap().unwrap();
    let failed = Arc::new(AtomicBool::new(false));
    let tasks = (0..16).map(|_| {
        let (world, grant, failed) = (world.clone(), Arc::clone(&evidence.grant), Arc::clone(&failed));
        tokio::spawn(async move {
            let (mut answered, mut unknown) = (Vec::new(), Vec::new());
            while !failed.load(Ordering::SeqCst) {
                let token = world.mint(&grant, number);
                match tokio::time::timeout(GUARD, world.store.run(world.kill(&token))).await.expect("it hangs") {
                    Ok(Revoked::Dead) => answered.push(token),
                    Err(StoreError::Unavailable(_)) => {
                        failed.store(true, Ordering::SeqCst);
                        unknown.push(token);
                    }
                    other => panic!("{other:?}"),
                }
            }
            (answered, unknown)
        })
    });
    let tasks = tasks.collect::<Vec<_>>();
    let begun = world.store.memory().position().0;
    until(async || world.store.memory().position().0 > begun + 50).await;
    fault.await;
    let (mut answered, mut unknown) = (Vec::new(), Vec::new());
    for task in tasks {
        let (dead, open) = soon(task).await.unwrap();
        answered.extend(dead);
        unknown.extend(open);
    }
    (answered, unknown)
}

/// What was answered holds; what was not is the same in memory and in the store.
async fn check_after(world: &World, answered: &[Token], unknown: &[Token]) {
    until(async || world.store.memory().trust().is_some()).await;
    for token in answered {
        assert_eq!(soon(world.why_dead(token)).await, Some(Reason::Killed));
    }
    // A step whose caller was told that nobody knows may still be on its way; memory and store come to agree,
    // and then stay so.
    for token in unknown {
        let agree = async || {
            let evidence = LoadEvidence { workspace: world.workspace, grant: token.sealed.grant };
            let killed = world.store.read(evidence).await.unwrap().unwrap().grant.has_killed(&token.jti);
            world.why_dead(token).await == killed.then_some(Reason::Killed)
        };
        until(agree).await;
    }
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stopped_database_is_an_outage_and_comes_back() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    let cluster = Cluster::start();
    let place = Place::postgres_on(&cluster.url()).await;
    let world = World::new(&place).await;
    let world = World {
        store: {
            world.store.close().await;
            let clock = || boottime() + Duration::from_secs(AHEAD.load(Ordering::SeqCst));
            Arc::new(place.try_open(clock).await.unwrap())
        },
        ..world
    };
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    let killed = world.token(grant, number).await;
    world.store.run(world.kill(&killed)).await.unwrap();
    cluster.stop("fast");
    let kill = tokio::time::timeout(GUARD, world.store.run(world.kill(&token))).await.expect("it hangs");
    assert!(matches!(kill, Err(StoreError::Unavailable(_))), "{kill:?}");
    let ask = world.standing((1, 7), world.read());
    let ask = tokio::time::timeout(GUARD, world.store.run(ask)).await.expect("it hangs");
    assert!(matches!(ask, Err(StoreError::Unavailable(_))), "{ask:?}");
    AHEAD.store(11, Ordering::SeqCst);
    assert!(world.store.memory().trust().is_none(), "the lease is over");
    let check = tokio::time::timeout(GUARD, world.store.judge(world.workspace, &token, super::world::NOW));
    assert!(matches!(check.await.expect("it hangs"), Err(StoreError::Unavailable(_))), "an outage is not a verdict");
    cluster.start_again();
    check_after(&world, &[killed], &[token]).await;
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_database_loses_nothing_that_was_answered() {
    let cluster = Cluster::start();
    let place = Place::postgres_on(&cluster.url()).await;
    let world = World::new(&place).await;
    let (answered, unknown) = load(&world, async { cluster.stop("immediate") }).await;
    cluster.start_again();
    check_after(&world, &answered, &unknown).await;
    world.store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_stands_still_is_an_outage_and_memory_learns_what_became_of_it() {
    let cluster = Cluster::start();
    let place = Place::postgres_on(&cluster.url()).await;
    let world = World::new(&place).await;
    for _ in 0..3 {
        let stopped = std::sync::Mutex::new(Vec::new());
        let stop = async {
            let pids = backends(&place.url()).await;
            pids.iter().for_each(|pid| Cluster::signal(*pid, rustix::process::Signal::STOP));
            *stopped.lock().unwrap() = pids;
        };
        let (answered, unknown) = load(&world, stop).await;
        for pid in stopped.into_inner().unwrap() {
            Cluster::signal(pid, rustix::process::Signal::CONT);
        }
        check_after(&world, &answered, &unknown).await;
    }
    world.store.close().await;
}

#[tokio::test]
async fn however_many_unknown_names_and_requests_are_asked_for_others_are_read_and_known_clients_answered() {
    let place = Place::postgres().await;
    let world = World::new(&place).await;
    let known = world.store.find_client_by_id(world.workspace, world.client).await.unwrap().unwrap();
    // None of these can be read now.
    let (blocker, connection) = tokio_postgres::connect(&place.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    blocker.batch_execute("BEGIN; LOCK TABLE client, workspace, request IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let ask = |n| {
        let (store, workspace) = (Arc::clone(&world.store), world.workspace);
        tokio::spawn(async move {
            match n % 3 {
                0 => store.find_client(workspace, &format!("nobody-{n}")).await.map(|found| found.is_none()),
                1 => store.find_workspace(&format!("nowhere-{n}")).await.map(|found| found.is_none()),
                _ => {
                    let step = FindRequest { workspace, id: RequestId::from_bytes([n; 16]), now: NOW };
                    store.find_request(step).await.map(|found| found.is_none())
                }
            }
        })
    };
    let flood: Vec<_> = (0..192).map(ask).collect();
    // Some have hung up; what they asked for is still under way.
    flood[..48].iter().for_each(tokio::task::JoinHandle::abort);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.store.read(CountWaiting).await.unwrap(), 0, "a reader is left");
    let found = world.store.find_client(world.workspace, &known.client_id).await.unwrap();
    assert_eq!(found.map(|client| client.id), Some(world.client), "memory knows it");
    blocker.batch_execute("ROLLBACK").await.unwrap();
    for asked in flood {
        match asked.await {
            Ok(Ok(is_none)) => assert!(is_none),
            Ok(Err(outage)) => assert!(matches!(outage, StoreError::Unavailable(_)), "{outage:?}"),
            Err(hung_up) => assert!(hung_up.is_cancelled()),
        }
    }
    assert!(world.store.find_client(world.workspace, "nobody").await.unwrap().is_none());
    world.store.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_whose_store_was_put_back_commits_no_change_and_begins_anew() {
    let place = Place::postgres().await;
    let world = World::new(&place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    assert_eq!(world.why_dead(&token).await, None);
    execute(&place.url(), "UPDATE feed_head SET incarnation = 'sixteen bytes ..'").await.unwrap();
    let kill = world.store.run(world.kill(&token)).await;
    assert!(matches!(kill, Err(StoreError::AnotherLife)), "{kill:?}");
    until(async || world.store.memory().incarnation().0 == *b"sixteen bytes ..").await;
    until(async || world.store.memory().trust().is_some()).await;
    assert_eq!(world.why_dead(&token).await, None, "what was refused was not done");
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
    world.store.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_missing_in_the_feed_is_not_waited_for() {
    let place = Place::postgres().await;
    let world = World::new(&place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    assert_eq!(world.why_dead(&token).await, None);
    let begun = world.store.memory().position().0;
    // Committed by nobody who told this memory; of nine changes only the last is there still.
    let sql = "UPDATE grants SET epoch = epoch + 1; UPDATE feed_head SET n = n + 9;
        INSERT INTO feed (n, workspace, kind, id, reason, at)
        SELECT feed_head.n, workspace.id, 1, workspace.id, 'test', 0 FROM feed_head, workspace";
    execute(&place.url(), sql).await.unwrap();
    world.store.memory().distrust();
    until(async || world.store.memory().trust().is_some()).await;
    assert_eq!(world.store.memory().position().0, begun + 9);
    assert_eq!(world.why_dead(&token).await, Some(Reason::GrantCut));
    world.store.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_that_another_made_is_not_confirmed_before_memory_knows_of_it() {
    let place = Place::postgres().await;
    let world = World::new(&place).await;
    let (grant, number) = world.interned().await;
    let token = world.token(grant, number).await;
    assert_eq!(world.why_dead(&token).await, None);
    // Committed, and memory has not followed: nobody tells it.
    let sql = "UPDATE grants SET epoch = epoch + 1; UPDATE feed_head SET n = n + 1;
        INSERT INTO feed (n, workspace, kind, id, reason, at)
        SELECT feed_head.n, grants.workspace, 7, grants.id, 'test', 0 FROM feed_head, grants";
    let begun = world.store.memory().position().0;
    execute(&place.url(), sql).await.unwrap();
    let of_epoch = Some(token.sealed.epoch);
    let cut = CutGrant { stamp: world.stamp(), grant, of_epoch, reason: "a test" };
    assert_eq!(world.store.run(cut).await.unwrap(), Revoked::Dead);
    assert_eq!(world.store.memory().position().0, begun + 1, "nothing is written, and memory knows");
    assert_eq!(world.why_dead(&token).await, Some(Reason::GrantCut));
    assert_eq!(world.store.run(world.kill(&token)).await.unwrap(), Revoked::Dead);
    world.store.close().await;
    place.remove().await;
}

/// The server of `world` ends without leaving, and another starts.
async fn crash(world: World, place: &Place, clock: BootTime) -> World {
    let World { store, workspace, client, resource, user, sealer } = world;
    drop(store);
    let store = soon(async {
        loop {
            match place.try_open(clock).await {
                Ok(store) => return Arc::new(store),
                Err(StoreError::Refused(_)) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    });
    World { store: store.await, workspace, client, resource, user, sealer }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn after_an_unclean_end_a_revocation_waits_for_the_former_lease() {
    static AHEAD: AtomicU64 = AtomicU64::new(0);
    // Stands still until the test moves it.
    let clock = || Duration::from_secs(1000 + AHEAD.load(Ordering::SeqCst));
    let place = Place::postgres().await;
    let world = World::new(&place).await;
    let (grant, number) = world.interned().await;
    let world = crash(world, &place, clock).await;
    let token = world.token(grant, number).await;
    let begun = world.store.memory().position();
    let (store, kill) = (Arc::clone(&world.store), world.kill(&token));
    let mut revoking = tokio::spawn(async move { store.run(kill).await.unwrap() });
    until(async || world.store.memory().position() > begun).await;
    assert_eq!(world.why_dead(&token).await, Some(Reason::Killed), "here at once");
    // Others wait no longer than before.
    assert!(world.store.find_client(world.workspace, "app").await.unwrap().is_some());
    AHEAD.store(10, Ordering::SeqCst);
    tokio::select! {
        biased;
        _ = &mut revoking => panic!("the former server's memory may still be believed"),
        () = async { for _ in 0..1000 { tokio::task::yield_now().await } } => {}
    }
    // Counted from when memory had it, which may have been a moment after the clock was moved.
    AHEAD.store(25, Ordering::SeqCst);
    assert_eq!(soon(revoking).await.unwrap(), Revoked::Dead);
    world.store.tend_leases().await.unwrap();
    let world = world.reopened(&place).await;
    assert_eq!(soon(world.store.run(world.kill(&token))).await.unwrap(), Revoked::Dead);
    drop(world);
    place.remove().await;
}
