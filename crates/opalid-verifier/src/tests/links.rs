//! Connections made, refused, broken, made again and left.

use futures_util::FutureExt;
use http::StatusCode;
use opalid_core::lease::wire::{Said, ToNode};
use tokio_tungstenite::tungstenite::Message;

use super::node::{MILLISECOND, Node, SECOND, StandingStill, active, at, in_time, pass};
use super::{check, recalled, subject};
use crate::{BadSettings, Outage, Verdict, Verifier};

#[tokio::test]
async fn the_handshake_says_who_comes_and_what_it_speaks() {
    let node = Node::new(SECOND).await;
    let _verifier = node.verifier();
    let mut wire = node.accept().await;
    assert_eq!(wire.path, "/main/feed");
    assert_eq!(wire.headers["authorization"], "Basic YXBpOnNlY3JldA==");
    assert_eq!(wire.headers["sec-websocket-protocol"], "opalid-feed.1");
    let ask = wire.ask().await;
    assert_eq!((ask.at, ask.acked), (None, None));
}

#[tokio::test]
async fn a_new_connection_is_made_under_the_same_name_and_acknowledges_for_the_old_one() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    first.await.unwrap().unwrap();
    node.change(8);
    wire.push(&mut node).await;
    let holder = wire.holder;
    drop(wire);
    node.change(9);
    let mut wire = node.accept().await;
    assert_eq!(wire.holder, holder);
    assert_eq!(recalled(&verifier, "t1").unwrap(), "ada", "the lease outlives the connection");
    let ask = wire.grant(&mut node).await;
    assert_eq!((ask.at, ask.acked), (Some(at(1)), Some(at(1))));
    assert_eq!(wire.grant(&mut node).await.acked, Some(at(2)));
    assert_eq!(recalled(&verifier, "t1").unwrap(), "ada");
}

#[tokio::test]
async fn what_was_asked_on_a_broken_connection_is_asked_on_the_next() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    wire.question("t1").await;
    let late = check(&verifier, "t1").await;
    drop(wire);
    let mut wire = node.accept().await;
    wire.ask().await;
    let question = wire.question("t1").await;
    wire.answer(question, Said::Inactive).await;
    assert_eq!(first.await.unwrap(), Ok(Verdict::Inactive));
    assert_eq!(late.await.unwrap(), Ok(Verdict::Inactive), "it was sent again after this one began");
}

#[tokio::test]
async fn nobody_is_asked_anew_for_whom_nobody_waits() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let first = check(&verifier, "t1").await;
    wire.question("t1").await;
    first.abort();
    assert!(first.await.is_err());
    drop(wire);
    let mut wire = node.accept().await;
    wire.ask().await;
    let _second = check(&verifier, "t2").await;
    wire.question("t2").await;
}

#[tokio::test]
async fn who_is_refused_can_say_nothing_until_it_is_let_in() {
    let _still = StandingStill::begin();
    let mut node = Node::new(3600 * SECOND).await;
    let verifier = node.verifier();
    let first = check(&verifier, "t1").await;
    node.refuse(StatusCode::UNAUTHORIZED).await;
    assert_eq!(first.await.unwrap(), Err(Outage));
    assert_eq!(verifier.verify("t1").now_or_never(), Some(Err(Outage)), "at once");
    pass(10 * SECOND).await;
    let mut wire = node.accept().await;
    wire.grant(&mut node).await;
    wire.grant(&mut node).await;
    verifier.ready().await;
    let second = check(&verifier, "t1").await;
    let question = wire.question("t1").await;
    wire.answer(question, active("ada", 0, 7)).await;
    assert_eq!(subject(second.await.unwrap()), "ada");
}

#[tokio::test]
async fn a_check_waits_while_a_connection_is_made_again() {
    let node = Node::new(3600 * SECOND).await;
    let verifier = node.verifier();
    let first = check(&verifier, "t1").await;
    node.refuse(StatusCode::BAD_GATEWAY).await;
    node.refuse(StatusCode::SERVICE_UNAVAILABLE).await;
    let mut wire = node.accept().await;
    wire.ask().await;
    let question = wire.question("t1").await;
    wire.answer(question, Said::Inactive).await;
    assert_eq!(first.await.unwrap(), Ok(Verdict::Inactive));
}

#[tokio::test]
async fn once_no_connection_was_to_be_had_for_as_long_as_a_check_waits_none_waits() {
    let _still = StandingStill::begin();
    let node = Node::new(3600 * SECOND).await;
    let mut settings = node.settings();
    settings.answer_within = 2 * SECOND;
    drop(node);
    let begun = tokio::time::Instant::now();
    let verifier = Verifier::start(settings).unwrap();
    let first = check(&verifier, "t1").await;
    let until_none_waits = async {
        while verifier.verify("t2").now_or_never().is_none() {
            pass(50 * MILLISECOND).await;
        }
    };
    in_time(until_none_waits).await;
    assert!(begun.elapsed() >= 2 * SECOND);
    assert_eq!((first.await.unwrap(), verifier.verify("t1").now_or_never()), (Err(Outage), Some(Err(Outage))));
}

#[tokio::test]
async fn a_node_that_does_not_answer_asks_is_given_up() {
    let _still = StandingStill::begin();
    let mut node = Node::new(6 * SECOND).await;
    let (_verifier, mut wire) = node.with_verifier().await;
    pass(2 * SECOND).await;
    wire.ask().await;
    pass(6 * SECOND).await;
    assert_eq!(node.accept().await.holder, wire.holder);
}

#[tokio::test]
async fn what_is_not_of_the_wire_ends_the_connection() {
    for nonsense in [Message::binary(vec![9]), Message::text("hello"), Message::binary(vec![0; 1 << 20])] {
        let mut node = Node::new(3600 * SECOND).await;
        let (verifier, mut wire) = node.with_verifier().await;
        wire.send(nonsense).await;
        assert!(wire.is_closed().await);
        assert!(!verifier.state().leased_for.is_zero(), "what is believed is believed on");
    }
}

#[tokio::test]
async fn the_last_verifier_that_is_dropped_leaves() {
    let mut node = Node::new(3600 * SECOND).await;
    let (verifier, mut wire) = node.with_verifier().await;
    let clone = verifier.clone();
    drop(verifier);
    node.change(7);
    wire.push(&mut node).await;
    drop(clone);
    assert_eq!(wire.hear().await, ToNode::Leave);
    node.leave(wire.holder);
    node.change(7);
    assert_eq!(node.acked(), Some(at(2)), "nobody waits for it");
    assert!(wire.is_closed().await);
}

#[test]
fn a_verifier_is_started_within_a_runtime_and_with_settings_that_can_work() {
    let settings = || crate::Settings::new("https://id.example", "api", "secret".to_owned());
    assert_eq!(Verifier::start(settings()).unwrap_err(), BadSettings::NoRuntime);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let _entered = runtime.enter();
    let mut none = settings();
    none.roots = crate::Roots::Pem(String::new());
    assert!(matches!(Verifier::start(none).unwrap_err(), BadSettings::Roots(_)));
}
