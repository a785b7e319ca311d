//! Connections made, refused, broken, made again and left.

use std::sync::Arc;

use futures_util::FutureExt;
use http::StatusCode;
use opalid_core::lease::wire::{Said, ToNode};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;
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
    assert_eq!(in_time(first).await.unwrap(), Err(Outage));
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
async fn a_frame_that_is_too_long_ends_the_connection_before_it_has_come() {
    let mut node = Node::new(3600 * SECOND).await;
    let (_verifier, mut wire) = node.with_verifier().await;
    wire.begin_frame(1 << 20).await;
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn an_issuer_is_spoken_to_if_it_is_vouched_for_and_not_otherwise() {
    let (own, other) = (include_str!("node.certificate.pem"), include_str!("other.certificate.pem"));
    let node = Node::new(SECOND).await;
    for (roots, vouches) in [(own, true), (other, false)] {
        let _verifier = Verifier::start(node.encrypted_settings(roots)).unwrap();
        let connection = in_time(tls(own, include_str!("node.key.pem")).accept(node.connection().await)).await;
        assert_eq!(connection.is_ok(), vouches);
        let Ok(mut connection) = connection else { continue };
        assert_eq!(connection.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut line = [0; 24];
        in_time(connection.read_exact(&mut line)).await.unwrap();
        assert_eq!(&line, b"GET /main/feed HTTP/1.1\r");
    }
}

fn tls(certificate: &str, key: &str) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
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
