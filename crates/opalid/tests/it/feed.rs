//! `/feed`: who may follow, leases and when a revocation is settled, what is said of tokens and what that hangs from.

mod hanging;

use std::time::Duration;

use opalid::manage::{Command, Reply, Request, handle};
use opalid_core::client::ClientSettings;
use opalid_core::lease::wire::{Said, ToNode};
use opalid_core::lease::{Grant, Moment};
use opalid_store::steps::client::ClientEvent;
use tokio_tungstenite::tungstenite::Message;

use crate::support::feed::{Line, connect, handshake, now};
use crate::support::http::Answer;
use crate::support::{DEMO_API, FORM, Server, basic, machine};

const LEASE: Duration = Duration::from_secs(10);
/// As long as a test may wait for a lease to end.
const SHORT: Duration = Duration::from_millis(300);
const API: &str = "https://api.demo.example/";

/// Revokes in the background; the server's own address is all it needs.
fn revoking(server: &Server, token: &str, prefer: Option<&'static str>) -> tokio::task::JoinHandle<Answer> {
    let (address, body) = (server.address, crate::support::http::encode(&[("token", token)]));
    let authorization = basic(DEMO_API);
    tokio::spawn(async move {
        let mut headers = vec![FORM, ("authorization", &authorization)];
        headers.extend(prefer.map(|prefer| ("prefer", prefer)));
        crate::support::http::request(address, "POST", "/revoke", &headers, body.as_bytes()).await
    })
}

/// The moment at which a lease asked for then is over.
fn end_of(grant: Option<Grant>) -> Moment {
    let grant = grant.unwrap();
    grant.asked_at.after(grant.valid_for)
}

#[tokio::test]
async fn only_an_authenticated_client_that_serves_resources_follows_and_only_by_a_right_handshake() {
    let server = Server::demo().await;
    server.client("machine", Some("ocs_machine"), machine(&[(API, "read")])).await;
    let refused = async |change: &dyn Fn(&mut http::HeaderMap)| {
        let mut request = handshake(&server, DEMO_API);
        change(request.headers_mut());
        let response = connect(&server, request).await.err().expect("it is refused");
        let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
        (response.status().as_u16(), body)
    };
    let wrong = |name: &'static str, value: &'static str| {
        move |headers: &mut http::HeaderMap| drop(headers.insert(name, value.parse().unwrap()))
    };
    let without = |name: &'static str| move |headers: &mut http::HeaderMap| drop(headers.remove(name));
    let error = |(status, body): (u16, String)| {
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, body["error"].as_str().unwrap().to_owned())
    };
    for change in [&without("authorization") as &dyn Fn(&mut http::HeaderMap), &wrong("authorization", "Basic YTpi")] {
        assert_eq!(error(refused(change).await), (401, "invalid_client".into()));
    }
    let of_machine = basic(("machine", "ocs_machine"));
    let machine = move |headers: &mut http::HeaderMap| {
        drop(headers.insert("authorization", of_machine.parse().unwrap()));
    };
    assert_eq!(error(refused(&machine).await), (400, "unauthorized_client".into()));
    for name in ["opalid-holder", "sec-websocket-protocol"] {
        assert_eq!(error(refused(&without(name)).await), (400, "invalid_request".into()), "{name}");
    }
    for (name, value) in [
        ("opalid-holder", "000102030405060708090A0B0C0D0E0F"),
        ("opalid-holder", "0001"),
        ("sec-websocket-protocol", "opalid-feed.9"),
    ] {
        assert_eq!(error(refused(&wrong(name, value)).await), (400, "invalid_request".into()), "{name}: {value}");
    }
    let plain = server.request("GET", "/feed", &[("authorization", &basic(DEMO_API))], b"").await;
    assert_eq!((plain.status, plain.header("sec-websocket-protocol")), (426, Some("opalid-feed.1")));
    let mut line = Line::of(&server, DEMO_API).await;
    assert!(line.ask().await.0.grant.is_some());
}

#[tokio::test]
async fn a_revocation_returns_once_its_holder_has_acknowledged_and_not_before() {
    let server = Server::with_lease(LEASE).await;
    let token = server.token_of(DEMO_API).await;
    let mut line = Line::of(&server, DEMO_API).await;
    let (first, _) = line.ask().await;
    // A node on PostgreSQL has a lease of its own, and grants none that ends after it.
    assert!(first.from.is_none() && first.grant.unwrap().valid_for <= LEASE);
    let revoking = revoking(&server, &token, None);
    let pushed = line.news().await;
    assert_eq!((pushed.from, pushed.changes.len(), pushed.grant), (Some(first.to), 1, None));
    for _ in 0..20 {
        assert!(!server.is_active(DEMO_API, &token).await, "dead at the node before it is dead everywhere");
    }
    assert!(!revoking.is_finished(), "somebody may believe the token yet");
    let (news, _) = line.ask().await;
    assert_eq!((news.from, news.changes.len()), (Some(pushed.to), 0));
    let answer = revoking.await.unwrap();
    assert_eq!((answer.seen().as_str(), answer.header("opalid-settled")), ("200", Some("true")));
    let position = format!("{:032x}.{}", pushed.to.incarnation.0, pushed.to.n);
    assert_eq!(answer.header("opalid-position"), Some(&*position));
}

#[tokio::test]
async fn a_revocation_waits_for_a_silent_holder_until_its_lease_is_over_and_so_does_its_repetition() {
    let server = Server::with_lease(SHORT).await;
    let token = server.token_of(DEMO_API).await;
    let mut line = Line::of(&server, DEMO_API).await;
    let (news, _) = line.ask().await;
    let (first, second) = (revoking(&server, &token, None), revoking(&server, &token, None));
    for revoking in [first, second] {
        assert_eq!(revoking.await.unwrap().seen(), "200");
        assert!(now() >= end_of(news.grant), "somebody may have believed the token when it was called revoked");
    }
}

#[tokio::test]
async fn whoever_does_not_wait_is_told_where_the_change_stands() {
    let server = Server::with_lease(LEASE).await;
    let token = server.token_of(DEMO_API).await;
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    let answer = revoking(&server, &token, Some("wait=10, Respond-Async")).await.unwrap();
    assert_eq!((answer.seen().as_str(), answer.header("opalid-settled")), ("202", Some("false")));
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    let pushed = line.news().await.to;
    let position = format!("{:032x}.{}", pushed.incarnation.0, pushed.n);
    assert_eq!(answer.header("opalid-position"), Some(&*position));
    assert!(!server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn without_holders_nobody_is_waited_for() {
    let server = Server::with_lease(LEASE).await;
    let (token, other) = (server.token_of(DEMO_API).await, server.token_of(DEMO_API).await);
    let before = now();
    assert_eq!(revoking(&server, &token, None).await.unwrap().header("opalid-settled"), Some("true"));
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    line.say(&ToNode::Leave).await;
    assert_eq!(line.hear().await, None, "it goes on under another name");
    assert_eq!(revoking(&server, &other, None).await.unwrap().header("opalid-settled"), Some("true"));
    assert!(now() < before.after(LEASE));
}

#[tokio::test]
async fn a_process_that_connects_again_acknowledges_for_its_former_connection() {
    let server = Server::with_lease(LEASE).await;
    let token = server.token_of(DEMO_API).await;
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    let at = line.at;
    drop(line);
    let revoking = revoking(&server, &token, None);
    let mut again = Line::of(&server, DEMO_API).await;
    again.at = at;
    let started = now();
    while again.at.unwrap().n == at.unwrap().n {
        again.ask().await;
    }
    again.ask().await;
    assert_eq!(revoking.await.unwrap().seen(), "200");
    assert!(now() < started.after(LEASE));
}

#[tokio::test]
async fn the_next_life_of_a_server_waits_for_holders_of_the_one_before() {
    let server = Server::with_lease(SHORT).await;
    let token = server.token_of(DEMO_API).await;
    let mut line = Line::of(&server, DEMO_API).await;
    let (news, _) = line.ask().await;
    let server = server.restart().await;
    assert_eq!(revoking(&server, &token, None).await.unwrap().seen(), "200");
    assert!(now() >= end_of(news.grant));
}

#[tokio::test]
async fn the_next_life_of_a_server_waits_for_nobody_if_nobody_is_left() {
    let server = Server::with_lease(LEASE).await;
    let token = server.token_of(DEMO_API).await;
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    line.say(&ToNode::Leave).await;
    assert_eq!(line.hear().await, None);
    let before = now();
    let server = server.restart().await;
    assert_eq!(revoking(&server, &token, None).await.unwrap().seen(), "200");
    assert!(now() < before.after(LEASE));
}

#[tokio::test]
async fn a_restored_store_is_another_life_and_waits_for_holders_of_the_one_before() {
    let server = Server::with_lease(SHORT).await;
    let mut line = Line::of(&server, DEMO_API).await;
    let (before, _) = line.ask().await;
    let server = server.put_back().await;
    let started = now();
    let token = server.token_of(DEMO_API).await;
    assert_eq!(revoking(&server, &token, None).await.unwrap().seen(), "200");
    assert!(now() >= started.after(Duration::from_secs(8)), "who holds what of the life before nobody knows any more");
    let mut again = Line::of(&server, DEMO_API).await;
    again.at = line.at;
    let (news, _) = again.ask().await;
    assert_eq!(news.from, None);
    assert_ne!(news.to.incarnation, before.to.incarnation);
}

#[tokio::test]
async fn what_a_client_may_not_do_any_more_it_is_not_told_and_its_connection_ends() {
    let server = Server::with_lease(SHORT).await;
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    server.touch_client(DEMO_API.0, ClientEvent::Suspended).await;
    assert_eq!(line.hear().await, None);
    server.touch_client(DEMO_API.0, ClientEvent::Resumed).await;
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    let serves_nothing = ClientSettings { serves: Vec::new(), ..machine(&[(API, "read")]) };
    server.update_client(DEMO_API.0, serves_nothing).await;
    assert_eq!(line.hear().await, None);
}

#[tokio::test]
async fn whoever_does_not_keep_to_the_protocol_is_cut_off() {
    let server = Server::demo().await;
    let frames = [Message::text("{}"), Message::binary(vec![9]), Message::binary(vec![0; 600_000])];
    for frame in frames {
        let mut line = Line::of(&server, DEMO_API).await;
        line.send(frame).await;
        assert_eq!(line.hear().await, None);
    }
}

#[tokio::test]
async fn dead_for_good_is_told_from_what_may_be_given_back() {
    let server = Server::demo().await;
    let (token, narrowed) = (server.token_of(DEMO_API).await, server.token_of(DEMO_API).await);
    let mut line = Line::of(&server, DEMO_API).await;
    assert!(matches!(line.about(&token).await, Said::Active { .. }));
    assert_eq!(revoking(&server, &token, None).await.unwrap().seen(), "200");
    assert_eq!(line.about(&token).await, Said::Dead);
    assert_eq!(line.about("oat_AAAA").await, Said::Inactive);
    server.update_resource(API, "other").await;
    let without = Line::of(&server, DEMO_API).await.about(&narrowed).await;
    assert_ne!(without, Said::Dead);
    server.clock.advance(24 * 3600);
    assert_eq!(Line::of(&server, DEMO_API).await.about(&narrowed).await, Said::Dead);
}

#[tokio::test]
async fn who_holds_leases_is_shown_with_how_far_each_has_followed() {
    let server = Server::with_lease(LEASE).await;
    let holders = async || {
        let request = Request { workspace: None, command: Command::ListHolders {} };
        let Reply::Holders(page) = handle(&server.app, request).await.unwrap() else { panic!() };
        page.rows
    };
    assert!(holders().await.is_empty());
    let mut line = Line::of(&server, DEMO_API).await;
    line.ask().await;
    line.ask().await;
    let rows = holders().await;
    let row = rows.first().unwrap();
    assert_eq!((rows.len(), row.client_id.as_str(), row.workspace.as_str()), (1, DEMO_API.0, "demo"));
    assert!(row.connected && row.lease_left_ms > 0 && row.address.is_loopback());
    assert_eq!((row.behind, row.since), (Some(0), server.clock.now()));
    let token = server.token_of(DEMO_API).await;
    revoking(&server, &token, Some("respond-async")).await.unwrap();
    assert_eq!(holders().await[0].behind, Some(1));
    drop(line);
    while holders().await[0].connected {
        tokio::task::yield_now().await;
    }
    assert!(holders().await[0].lease_left_ms > 0, "it may believe its lease yet");
}
