//! What is believed, and how long.

use futures_util::FutureExt;
use opalid_core::lease::News;
use opalid_core::lease::wire::{Said, ToHolder};
use opalid_core::mirror::Tag;

use super::node::{MILLISECOND, Node, SECOND, StandingStill, active, advance, at, pass};
use super::{check, recalled, subject};
use crate::{Outage, Verdict};

#[tokio::test]
async fn what_is_revoked_is_forgotten_before_it_is_acknowledged() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    for (token, tag) in [("t1", 7), ("t2", 8)] {
        let asked = check(&verifier, token).await;
        let question = wire.question(token).await;
        wire.answer(question, active(token, 0, tag)).await;
        asked.await.unwrap().unwrap();
    }
    node.change(7);
    wire.push(&mut node).await;
    assert_eq!((verifier.recall("t1"), recalled(&verifier, "t2")), (None, Some("t2".into())));
    assert_eq!(node.acked(), Some(at(1)));
}

#[tokio::test]
async fn without_a_lease_nothing_is_believed_and_nobody_can_say() {
    let _still = StandingStill::begin();
    let mut node = Node::new(5 * SECOND).await;
    let (verifier, mut wire) = node.with_impatient_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    first.await.unwrap().unwrap();
    advance(5 * SECOND);
    assert_eq!(verifier.recall("t1"), None);
    let second = check(&verifier, "t1").await;
    wire.question("t1").await;
    pass(2 * SECOND).await;
    assert_eq!(second.await.unwrap(), Err(Outage), "it was asked, and did not answer");
}

#[tokio::test]
async fn who_is_dead_for_good_is_so_without_a_lease() {
    let mut node = Node::new(5 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, Said::Dead).await;
    assert_eq!(first.await.unwrap(), Ok(Verdict::Inactive));
    advance(5 * SECOND);
    assert_eq!(verifier.recall("t1"), Some(Verdict::Inactive));
    assert_eq!(verifier.verify("t1").now_or_never(), Some(Ok(Verdict::Inactive)));
}

#[tokio::test]
async fn a_lease_is_renewed_before_it_is_over() {
    let _still = StandingStill::begin();
    let mut node = Node::new(6 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    for _ in 0..3 {
        pass(1990 * MILLISECOND).await;
        wire.fence(&verifier).await;
        pass(20 * MILLISECOND).await;
        advance(2 * SECOND);
        wire.grant(&mut node).await;
        wire.fence(&verifier).await;
        assert_eq!(verifier.state().leased_for, 6 * SECOND, "at a third of it");
    }
}

#[tokio::test]
async fn a_node_that_grants_nothing_answers_each_check_and_is_asked_on() {
    let _still = StandingStill::begin();
    let mut node = Node::new(5 * SECOND).await;
    node.loses_its_lease();
    let verifier = node.verifier();
    let mut wire = node.accept().await;
    wire.grant(&mut node).await;
    wire.grant(&mut node).await;
    for _ in 0..3 {
        let asked = check(&verifier, "t1").await;
        let question = wire.question("t1").await;
        wire.answer(question, active("ada", 0, 7)).await;
        assert_eq!(subject(asked.await.unwrap()), "ada");
        assert_eq!(verifier.recall("t1"), None);
        pass(2 * SECOND).await;
        wire.grant(&mut node).await;
    }
    assert!(verifier.state().leased_for.is_zero() && verifier.ready().now_or_never().is_none());
}

#[tokio::test]
async fn what_is_missing_is_asked_for_at_once() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    first.await.unwrap().unwrap();
    node.change(7);
    node.change(8);
    let second = News { from: Some(at(1)), to: at(2), changes: vec![(2, Tag(8))], grant: None };
    wire.say(&ToHolder::News(second)).await;
    let ask = wire.grant(&mut node).await;
    assert_eq!(ask.acked, Some(at(0)), "nothing is acknowledged that is not applied");
    assert_eq!(wire.grant(&mut node).await.acked, Some(at(2)));
    assert_eq!(verifier.recall("t1"), None);
}

#[tokio::test]
async fn who_never_gives_what_is_missing_is_not_asked_without_end() {
    let _still = StandingStill::begin();
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let gap = ToHolder::News(News { from: Some(at(8)), to: at(9), changes: vec![], grant: None });
    wire.say(&gap).await;
    wire.ask().await;
    wire.say(&gap).await;
    wire.fence(&verifier).await;
    pass(260 * MILLISECOND).await;
    wire.ask().await;
}

#[tokio::test]
async fn who_starts_anew_forgets_everything_and_says_where_it_stands() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    first.await.unwrap().unwrap();
    (0..9).for_each(|_| node.change(9));
    let gap = News { from: Some(at(8)), to: at(9), changes: vec![], grant: None };
    wire.say(&ToHolder::News(gap)).await;
    wire.grant(&mut node).await;
    assert_eq!(wire.grant(&mut node).await.acked, Some(at(9)), "the node's ring does not reach back");
    assert_eq!((verifier.recall("t1"), verifier.state().entries), (None, 0));
}
