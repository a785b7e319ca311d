//! `/introspect` (RFC 7662): who sees what of a token.

use opalid_core::client::ClientSettings;
use opalid_store::steps::client::ClientEvent;
use serde_json::json;

use crate::manage::inspected;
use crate::support::browser::Browser;
use crate::support::person::{API, API_SERVER, Ask};
use crate::support::{CLIENT_CREDENTIALS, DEMO_API, Server, machine, serving};

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";
const MACHINE: (&str, &str) = ("machine", "ocs_machine");
const API_A: (&str, &str) = ("api-a", "ocs_api-a");
const API_B: (&str, &str) = ("api-b", "ocs_api-b");
const INACTIVE: &str = r#"200 {"active":false}"#;

/// Two resources, each with a server of its own, and a client that asks for either.
async fn server() -> Server {
    let server = Server::empty().await;
    server.resource(A, "read write").await;
    server.resource(B, "audit").await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(A, "read"), (B, "audit")])).await;
    server.client(API_A.0, Some(API_A.1), serving(&[A])).await;
    server.client(API_B.0, Some(API_B.1), serving(&[B])).await;
    server
}

#[tokio::test]
async fn a_live_token_is_shown_with_exactly_these_facts() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    server.clock.advance(5);
    let answer = server.introspect(API_A, &token).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let mut facts = answer.json();
    let jti = facts["jti"].take();
    assert!(jti.as_str().is_some_and(|jti| jti.len() == 16), "{jti}");
    let expected = json!({
        "active": true, "iss": server.issuer, "sub": "machine", "aud": A, "client_id": "machine", "scope": "read",
        "exp": 2_000_003_600, "iat": 2_000_000_000, "nbf": 2_000_000_000, "jti": null, "token_type": "Bearer",
    });
    assert_eq!(facts, expected);
    assert!(!token.contains(jti.as_str().unwrap()), "the jti is no part of the token as it is written");
}

#[tokio::test]
async fn a_resource_server_sees_the_tokens_of_its_resources_alone() {
    let server = server().await;
    let for_a = server.token_of(MACHINE).await;
    let fields = [CLIENT_CREDENTIALS, ("resource", B)];
    let for_b = server.form_post_as(MACHINE, "/token", &fields).await.field("access_token");
    assert!(server.is_active(API_A, &for_a).await && server.is_active(API_B, &for_b).await);
    assert_eq!(server.introspect(API_A, &for_b).await.seen(), INACTIVE);
    assert_eq!(server.introspect(API_B, &for_a).await.seen(), INACTIVE);
}

#[tokio::test]
async fn a_clients_own_token_is_active_to_it_from_the_first_moment() {
    let server = server().await;
    server.client("new", Some("ocs_new"), machine(&[(A, "write")])).await;
    let token = server.token_of(("new", "ocs_new")).await;
    assert!(server.is_active(("new", "ocs_new"), &token).await);
}

#[tokio::test]
async fn to_any_other_client_a_token_is_inactive_without_a_reason() {
    let server = server().await;
    server.client("other", Some("ocs_other"), machine(&[(A, "read")])).await;
    let token = server.token_of(MACHINE).await;
    assert_eq!(server.introspect(("other", "ocs_other"), &token).await.seen(), INACTIVE);
    let all = ClientSettings { introspect_tokens: true, ..ClientSettings::default() };
    server.client("auditor", Some("ocs_auditor"), all).await;
    let facts = server.introspect(("auditor", "ocs_auditor"), &token).await.json();
    assert_eq!((&facts["active"], &facts["aud"], &facts["scope"]), (&json!(true), &json!(A), &json!("read")));
}

#[tokio::test]
async fn a_public_client_may_not_introspect() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let answer = server.form_post("/introspect", &[("token", &token), ("client_id", "demo-app")]).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"unauthorized_client","error_description":"introspection is for confidential clients: a public one proves nothing"}"#);
}

#[tokio::test]
async fn nothing_is_looked_up_before_the_caller_is_authenticated() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let server = server.restart().await;
    // Only the workspace is known now; the caller and the token's grant are not.
    assert_eq!(server.get("/jwks").await.status, 200);
    let before = server.app.store.reads();
    assert_eq!(server.form_post("/introspect", &[("token", &token)]).await.status, 401);
    assert_eq!(server.app.store.reads(), before);
    assert_eq!(server.introspect((API_A.0, "ocs_wrong"), &token).await.status, 401);
    assert_eq!(server.app.store.reads(), before + 1, "the caller, and nothing of the token");
}

#[tokio::test]
async fn a_hit_makes_no_query_and_never_writes() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let steps = server.app.store.steps();
    assert!(server.is_active(API_A, &token).await);
    let reads = server.app.store.reads();
    for _ in 0..10 {
        assert!(server.is_active(API_A, &token).await);
    }
    assert_eq!((server.app.store.reads(), server.app.store.steps()), (reads, steps), "reads and steps");
}

#[tokio::test]
async fn of_a_token_that_is_not_known_yet_all_is_read_at_once() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let scope = "openid profile read";
    let code = browser.code(&server, &Ask::new().with("scope", scope).with("resource", API), "alice").await;
    let token = server.tokens(&code).await.field("access_token");
    let server = server.restart().await;
    // The caller is known from here on; the person's client, the API and the person are not.
    assert_eq!(server.introspect(API_SERVER, "oat_rubbish").await.seen(), INACTIVE);
    let reads = server.app.store.reads();
    assert!(server.is_active(API_SERVER, &token).await);
    assert_eq!(server.app.store.reads(), reads + 1);
    assert!(server.is_active(API_SERVER, &token).await && server.knows(&token).await);
    assert_eq!(server.app.store.reads(), reads + 1, "then from memory");
}

#[tokio::test]
async fn rubbish_is_inactive_and_looks_nothing_up() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    assert!(server.is_active(API_A, &token).await);
    let reads = server.app.store.reads();
    let refresh_like = token.replace("oat_", "ort_");
    let long = "A".repeat(20_000);
    for rubbish in ["x", "oat_", "oat_AAAA", "ort_AAAA", &refresh_like, " ", "ü", &long, "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(server.introspect(API_A, rubbish).await.seen(), INACTIVE, "{rubbish}");
    }
    assert_eq!(server.app.store.reads(), reads);
}

#[tokio::test]
async fn a_token_is_required() {
    let server = server().await;
    for fields in [&[][..], &[("token", "")]] {
        let answer = server.form_post_as(API_A, "/introspect", fields).await;
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_request","error_description":"parameter token is missing or has no value"}"#);
        }
    }
}

#[tokio::test]
async fn a_wrong_hint_still_finds_the_token() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    for hint in ["access_token", "refresh_token", "id_token", "nonsense", ""] {
        let answer = server.form_post_as(API_A, "/introspect", &[("token", &token), ("token_type_hint", hint)]).await;
        assert_eq!(answer.json()["active"], true, "{hint}");
    }
}

#[tokio::test]
async fn a_token_is_dead_from_the_second_it_expires() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    server.clock.advance(3_599);
    assert!(server.is_active(API_A, &token).await);
    server.clock.advance(1);
    assert_eq!(server.introspect(API_A, &token).await.seen(), INACTIVE);
    let server = server.restart().await;
    assert_eq!(server.introspect(API_A, &token).await.seen(), INACTIVE);
}

#[tokio::test]
async fn a_suspended_clients_tokens_are_dead_and_resuming_it_revives_none() {
    let server = server().await;
    let old = server.token_of(MACHINE).await;
    assert!(server.is_active(API_A, &old).await);
    server.touch_client(MACHINE.0, ClientEvent::Suspended).await;
    assert_eq!(server.introspect(API_A, &old).await.seen(), INACTIVE);
    server.touch_client(MACHINE.0, ClientEvent::Resumed).await;
    assert_eq!(server.introspect(API_A, &old).await.seen(), INACTIVE);
    let new = server.token_of(MACHINE).await;
    assert!(server.is_active(API_A, &new).await);
    let server = server.restart().await;
    assert!(!server.is_active(API_A, &old).await && server.is_active(API_A, &new).await);
}

#[tokio::test]
async fn all_of_a_clients_tokens_can_be_revoked_while_it_stays_in_service() {
    let server = server().await;
    let old = server.token_of(MACHINE).await;
    server.touch_client(MACHINE.0, ClientEvent::Revoked).await;
    let new = server.token_of(MACHINE).await;
    assert!(!server.is_active(API_A, &old).await && server.is_active(API_A, &new).await);
}

#[tokio::test]
async fn a_suspended_resource_server_is_told_nothing() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    assert!(server.is_active(API_A, &token).await);
    server.touch_client(API_A.0, ClientEvent::Suspended).await;
    assert_eq!(server.introspect(API_A, &token).await.status, 401);
    server.touch_client(API_A.0, ClientEvent::Resumed).await;
    assert!(server.is_active(API_A, &token).await);
}

#[tokio::test]
async fn what_client_or_resource_lose_is_gone_from_tokens_already_out_and_comes_back() {
    let server = server().await;
    let wide = machine(&[(A, "read write")]);
    server.update_client(MACHINE.0, wide.clone()).await;
    let token = server.token_of(MACHINE).await;
    let scope = async || server.introspect(API_A, &token).await.json()["scope"].as_str().map(str::to_owned);
    let today = async || inspected(&server, &token).await.may.remove(0).today.map(|scopes| scopes.to_string());
    assert_eq!(scope().await.as_deref(), Some("read write"));
    server.update_client(MACHINE.0, machine(&[(A, "read"), (B, "audit")])).await;
    assert_eq!((scope().await.as_deref(), today().await.as_deref()), (Some("read"), Some("read")));
    server.update_client(MACHINE.0, machine(&[(B, "audit")])).await;
    assert_eq!(today().await, None);
    assert_eq!(server.introspect(API_A, &token).await.seen(), INACTIVE);
    assert_eq!(server.introspect(MACHINE, &token).await.seen(), INACTIVE);
    server.update_client(MACHINE.0, wide).await;
    server.update_resource(A, "write").await;
    assert_eq!(scope().await.as_deref(), Some("write"));
    server.update_resource(A, "read write").await;
    assert_eq!(scope().await.as_deref(), Some("read write"));
}
