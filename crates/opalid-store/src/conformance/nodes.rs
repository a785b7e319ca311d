//! Several nodes on one PostgreSQL: what one of them revokes none of them answers from memory any more.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::{join_all, poll_immediate};
use opalid_core::alive::Reason;
use opalid_core::lease::{Ask, HolderId, Moment, Position};

use super::faults::{soon, until};
use super::place::{Place, execute};
use super::world::{Token, World};
use crate::Store;
use crate::steps::holder::ListHolders;
use crate::steps::revoke::Revoked;

/// Two nodes on one store, and a token that both know.
async fn nodes(place: &Place) -> (World, World, Token) {
    let one = World::new(place).await;
    let other = World { store: place.open().await, ..one.clone() };
    let (grant, number) = one.interned().await;
    let token = one.token(grant, number).await;
    for node in [&one, &other] {
        assert_eq!(node.why_dead(&token).await, None);
    }
    (one, other, token)
}

async fn close(nodes: [World; 2], place: Place) {
    for node in nodes {
        node.store.close().await;
    }
    place.remove().await;
}

async fn holders(store: &Store) -> HashSet<HolderId> {
    store.read(ListHolders).await.unwrap().rows.iter().map(|row| row.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_one_node_has_revoked_no_node_takes_for_alive() {
    let place = Place::postgres().await;
    let (one, other, _) = nodes(&place).await;
    let (grant, number) = one.interned().await;
    for round in 0..200 {
        let (killer, witness) = if round % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let token = killer.token(grant, number).await;
        assert_eq!(witness.why_dead(&token).await, None);
        assert_eq!(soon(killer.store.run(killer.kill(&token))).await.unwrap(), Revoked::Dead);
        assert_eq!(witness.why_dead(&token).await, Some(Reason::Killed), "round {round}");
    }
    close([one, other], place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_revoke_at_once_follow_each_other_and_lose_nothing() {
    let place = Place::postgres().await;
    let (one, other, _) = nodes(&place).await;
    let (grant, number) = one.interned().await;
    let begun = one.store.memory().position().0;
    let revoking = (0..40).map(|number_of| {
        let (killer, witness) = if number_of % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let (killer, witness) = (killer.clone(), witness.clone());
        tokio::spawn(async move {
            let token = killer.token(grant, number).await;
            assert_eq!(killer.store.run(killer.kill(&token)).await.unwrap(), Revoked::Dead);
            assert_eq!(witness.why_dead(&token).await, Some(Reason::Killed));
        })
    });
    for done in soon(join_all(revoking)).await {
        done.unwrap();
    }
    for node in [&one, &other] {
        assert_eq!(node.store.memory().position().0, begun + 40);
    }
    close([one, other], place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revocation_waits_for_the_verifiers_of_other_nodes() {
    let place = Place::postgres().await;
    let (one, other, token) = nodes(&place).await;
    let mut at: Option<Position> = None;
    let ask = async |at: Option<Position>| {
        let ask = Ask { holder: HolderId(7), at, acked: at, asked_at: Moment(5) };
        other.store.grant(&ask).await.unwrap().unwrap().to
    };
    at = Some(ask(at).await);
    let (store, kill) = (Arc::clone(&one.store), one.kill(&token));
    let mut revoking = Box::pin(async move { store.run(kill).await });
    let follows = until(async || other.why_dead(&token).await.is_some());
    tokio::select! {
        _ = revoking.as_mut() => panic!("somebody at the other node may believe it"),
        () = follows => {}
    }
    assert!(poll_immediate(revoking.as_mut()).await.is_none(), "somebody at the other node may believe it");
    // It is told, applies it, and acknowledges that when it asks again.
    at = Some(ask(at).await);
    ask(at).await;
    assert_eq!(soon(revoking).await.unwrap(), Revoked::Dead);
    other.store.leave(HolderId(7));
    close([one, other], place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_has_left_is_not_waited_for_and_leaves_no_row() {
    let place = Place::postgres().await;
    let (one, other, token) = nodes(&place).await;
    assert_eq!(holders(&one.store).await.len(), 2);
    other.store.close().await;
    assert_eq!(holders(&one.store).await.len(), 1);
    assert!(other.store.memory().trust().is_none(), "it answers nothing from memory any more");
    assert_eq!(soon(one.store.run(one.kill(&token))).await.unwrap(), Revoked::Dead);
    one.store.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_whose_row_is_gone_joins_under_another_name() {
    let place = Place::postgres().await;
    let (one, other, token) = nodes(&place).await;
    let before = holders(&one.store).await;
    execute(&place.url(), "DELETE FROM holder").await.unwrap();
    until(async || holders(&one.store).await.len() == 2).await;
    assert!(before.is_disjoint(&holders(&one.store).await), "who is thought to be over comes back as somebody else");
    assert_eq!(soon(one.store.run(one.kill(&token))).await.unwrap(), Revoked::Dead);
    assert_eq!(other.why_dead(&token).await, Some(Reason::Killed));
    close([one, other], place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_commits_were_lost_memory_answers_nothing() {
    let place = Place::postgres().await;
    let world = World::new(&place).await;
    assert!(world.store.memory().trust().is_some());
    execute(&place.url(), "UPDATE feed_head SET n = n - 1").await.unwrap();
    until(async || world.store.memory().trust().is_none()).await;
    execute(&place.url(), "UPDATE feed_head SET n = n + 1").await.unwrap();
    until(async || world.store.memory().trust().is_some()).await;
    world.store.close().await;
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_may_start_at_once_on_a_database_that_is_empty() {
    let place = Arc::new(Place::postgres().await);
    let starting = (0..4).map(|_| {
        let place = Arc::clone(&place);
        tokio::spawn(async move { place.open().await })
    });
    let nodes: Vec<Arc<Store>> = join_all(starting).await.into_iter().map(Result::unwrap).collect();
    let lives: HashSet<_> = nodes.iter().map(|node| node.memory().incarnation().0).collect();
    assert_eq!((lives.len(), holders(&nodes[0]).await.len()), (1, 4));
    for node in nodes {
        node.close().await;
    }
    Arc::into_inner(place).unwrap().remove().await;
}
