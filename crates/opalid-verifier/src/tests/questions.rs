//! Which answer serves which check, and what is kept of it.

use futures_util::FutureExt;
use opalid_core::lease::wire::{LONGEST_TOKEN, MOST_QUESTIONS, Said};

use super::node::{Node, SECOND, StandingStill, active, advance, at, facts, in_time, pass};
use super::{check, recalled, subject};
use crate::misses::MOST_SENT;
use crate::{Outage, Verdict};

#[tokio::test]
async fn an_answer_serves_its_check_and_is_remembered() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let before = verifier.state();
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    assert_eq!(subject(first.await.unwrap()), "ada");
    assert_eq!(recalled(&verifier, "t1").unwrap(), "ada");
    assert_eq!(subject(verifier.verify("t1").now_or_never().unwrap()), "ada");
    assert_eq!(verifier.recall("t2"), None);
    let state = verifier.state();
    assert_eq!((state.hits, state.misses, state.outages, state.entries), (2, before.misses + 1, 0, 1));
    assert!(state.connected && state.leased_for == 3600 * SECOND);
}

#[tokio::test]
async fn a_check_is_not_served_by_an_answer_that_was_asked_for_before_it_began() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    // The node evaluates; then the token is revoked, and the revoking call returns.
    let said = active("ada", 0, 7);
    node.change(7);
    wire.push(&mut node).await;
    assert_eq!(node.acked(), Some(at(1)));
    let second = check(&verifier, "t1").await;
    wire.answer(question, said).await;
    assert_eq!(subject(first.await.unwrap()), "ada", "it was under way");
    let again = wire.question("t1").await;
    assert_ne!(again, question);
    wire.answer(again, Said::Inactive).await;
    assert_eq!(second.await.unwrap(), Ok(Verdict::Inactive));
}

#[tokio::test]
async fn a_check_that_came_late_is_served_by_what_is_remembered_of_the_answer() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    let second = check(&verifier, "t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    assert_eq!((subject(first.await.unwrap()), subject(second.await.unwrap())), ("ada".into(), "ada".into()));
    assert_eq!(verifier.state().hits, 1);
}

#[tokio::test]
async fn checks_of_one_token_share_a_question_that_is_not_sent_yet() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let node_says = async {
        let question = wire.question("t1").await;
        wire.answer(question, Said::Inactive).await;
    };
    let (one, other, ()) = tokio::join!(verifier.verify("t1"), verifier.verify("t1"), node_says);
    assert_eq!((one, other), (Ok(Verdict::Inactive), Ok(Verdict::Inactive)));
}

#[tokio::test]
async fn tokens_that_are_asked_about_together_go_in_one_frame_and_are_answered_in_any_order() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let node_says = async {
        let questions = wire.questions().await;
        assert_eq!(questions.iter().map(|(_, token)| &**token).collect::<Vec<_>>(), ["t1", "t2"]);
        wire.answer(questions[1].0, active("bob", 0, 8)).await;
        wire.answer(questions[0].0, active("ada", 0, 7)).await;
    };
    let (one, other, ()) = tokio::join!(verifier.verify("t1"), verifier.verify("t2"), node_says);
    assert_eq!((subject(one), subject(other)), ("ada".into(), "bob".into()));
}

#[tokio::test]
async fn many_questions_go_in_frames_of_no_more_than_the_wire_allows_and_no_more_of_them_than_are_answered() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let tokens: Vec<String> = (0..MOST_SENT + 100).map(|number| format!("t{number}")).collect();
    let mut checks = Vec::new();
    for token in &tokens {
        let (verifier, token) = (verifier.clone(), token.clone());
        checks.push(tokio::spawn(async move { verifier.verify(&token).await }));
    }
    let (mut asked, mut open) = (Vec::new(), Vec::new());
    while asked.len() < tokens.len() {
        if open.len() == MOST_SENT {
            for question in open.drain(..) {
                wire.answer(question, Said::Inactive).await;
            }
        }
        let questions = wire.questions().await;
        assert!(questions.len() <= MOST_QUESTIONS && open.len() + questions.len() <= MOST_SENT);
        for (question, token) in questions {
            open.push(question);
            asked.push(token);
        }
    }
    for question in open {
        wire.answer(question, Said::Inactive).await;
    }
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked.len(), tokens.len(), "each once");
    for check in checks {
        assert_eq!(check.await.unwrap(), Ok(Verdict::Inactive));
    }
}

#[tokio::test]
async fn an_answer_is_not_kept_if_what_it_hangs_from_changed_since() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    node.change(7);
    wire.push(&mut node).await;
    wire.answer(question, active("ada", 0, 7)).await;
    assert_eq!(subject(first.await.unwrap()), "ada");
    assert_eq!(verifier.recall("t1"), None);
    let second = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 1, 7)).await;
    second.await.unwrap().unwrap();
    assert!(verifier.recall("t1").is_some(), "evaluated after the change");
}

#[tokio::test]
async fn what_is_not_to_be_kept_serves_its_check_alone() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let unkept = |at, expires_in| Said::Active { at, expires_in, tags: vec![], facts: facts("ada") };
    for said in [unkept(None, SECOND), unkept(Some(at(0)), std::time::Duration::ZERO), Said::Inactive] {
        let active = said != Said::Inactive;
        let first = check(&verifier, "t1").await;
        let question = wire.question("t1").await;
        wire.answer(question, said).await;
        assert_eq!(matches!(first.await.unwrap(), Ok(Verdict::Active(_))), active);
        assert_eq!((verifier.recall("t1"), verifier.state().entries), (None, 0));
    }
}

#[tokio::test]
async fn what_is_remembered_ends_with_the_token_counted_from_before_it_was_asked() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    advance(3 * SECOND);
    let said = Said::Active { at: Some(at(0)), expires_in: 10 * SECOND, tags: vec![], facts: facts("ada") };
    wire.answer(question, said).await;
    first.await.unwrap().unwrap();
    advance(6 * SECOND);
    assert!(verifier.recall("t1").is_some());
    advance(SECOND);
    assert_eq!(verifier.recall("t1"), None);
}

#[tokio::test]
async fn an_answer_that_is_none_or_is_not_understood_is_an_outage() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let other = |facts: &str| Said::Active { at: Some(at(0)), expires_in: SECOND, tags: vec![], facts: facts.into() };
    for said in [Said::Outage, other(""), other(r#"{"active":1}"#), other(r#"{"active":true,"token_type":"Bearer"}"#)] {
        let first = check(&verifier, "t1").await;
        let question = wire.question("t1").await;
        wire.answer(question, said).await;
        assert_eq!(first.await.unwrap(), Err(Outage));
        assert_eq!(verifier.recall("t1"), None);
    }
    assert_eq!(verifier.state().outages, 4);
}

#[tokio::test]
async fn a_question_that_is_not_answered_does_not_stand_in_the_way_of_the_next() {
    let _still = StandingStill::begin();
    let mut node = Node::new(6 * SECOND).await;
    let (verifier, mut wire) = node.with_impatient_verifier().await;
    let first = check(&verifier, "t1").await;
    let unanswered = wire.question("t1").await;
    for _ in 0..2 {
        pass(2 * SECOND).await;
        wire.grant(&mut node).await;
    }
    assert_eq!(in_time(first).await.unwrap(), Err(Outage));
    let second = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(unanswered, active("ada", 0, 7)).await;
    wire.answer(question, Said::Inactive).await;
    assert_eq!(in_time(second).await.unwrap(), Ok(Verdict::Inactive));
}

#[tokio::test]
async fn what_no_issuer_makes_is_not_asked_about() {
    let node = Node::new(SECOND).await;
    let verifier = node.verifier();
    for text in [String::new(), "a b".into(), "ä".into(), "x".repeat(LONGEST_TOKEN + 1)] {
        assert_eq!(verifier.verify(&text).now_or_never(), Some(Ok(Verdict::Inactive)));
    }
    assert_eq!(verifier.state().misses, 0);
}
