//! `/introspect`: many tokens in one request, minimal answers, signed ones (RFC 9701).

use std::future::{Future, poll_fn};
use std::sync::OnceLock;

use opalid::http::call::Call;
use opalid::oauth::introspect::endpoint;
use opalid_core::client::ClientSettings;
use opalid_core::jwt::SigningAlgorithm;
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::http::{Answer, basic, encode};
use crate::support::person::{APP, Ask};
use crate::support::server::START;
use crate::support::{FORM, Server, machine, serving};
use crate::token::id_token::verified;

const A: &str = "https://a.example/";
const B: &str = "https://b.example/";
const MACHINE: (&str, &str) = ("machine", "ocs_machine");
const API_A: (&str, &str) = ("api-a", "ocs_api-a");
const TYPE: &str = "application/token-introspection+jwt";

async fn server() -> Server {
    let server = Server::empty().await;
    server.resource(A, "read").await;
    server.resource(B, "audit").await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(A, "read"), (B, "audit")])).await;
    server.client(API_A.0, Some(API_A.1), serving(&[A])).await;
    server
}

async fn ask(server: &Server, fields: &[(&str, &str)]) -> Answer {
    server.form_post_as(API_A, "/introspect", fields).await
}

async fn ask_accepting(server: &Server, accept: &str, fields: &[(&str, &str)]) -> Answer {
    let headers = [("authorization", &*basic(API_A)), FORM, ("accept", accept)];
    server.request("POST", "/introspect", &headers, encode(fields).as_bytes()).await
}

#[tokio::test]
async fn many_tokens_are_answered_in_their_order_and_each_as_if_alone() {
    let server = server().await;
    let (one, other) = (server.token_of(MACHINE).await, server.token_of(MACHINE).await);
    let form = [crate::support::CLIENT_CREDENTIALS, ("resource", B)];
    let for_b = server.form_post_as(MACHINE, "/token", &form).await.field("access_token");
    assert_eq!(server.form_post_as(MACHINE, "/revoke", &[("token", &other)]).await.status, 200);
    let tokens = format!("{one} rubbish {other} {for_b} {one}");
    let answer = ask(&server, &[("tokens", &tokens)]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let alone = ask(&server, &[("token", &one)]).await.json();
    assert_eq!(alone["active"], true);
    let inactive = json!({"active": false});
    assert_eq!(answer.json(), json!({"tokens": [alone, inactive, inactive, inactive, alone]}));
}

#[tokio::test]
async fn an_answer_about_many_has_at_most_a_mebibyte_or_is_refused_whole() {
    let server = Server::with_people().await;
    let document = json!({"workspace": [{
        "name": "default",
        "claims": {"bulk": {"from": "attribute.bulk", "show": ["introspection"]}},
        "user": [{"username": "alice", "claims": {"attributes": {"bulk": vec!["x".repeat(1000); 60]}}}],
    }]});
    server.apply(&document.to_string(), &[]).await;
    let code = Browser::new().code(&server, &Ask::new(), "alice").await;
    let token = server.tokens(&code).await.field("access_token");
    let ask = async |count: usize, more: &[(&str, &str)]| {
        let tokens = vec![token.as_str(); count].join(" ");
        server.form_post_as(APP, "/introspect", &[&[("tokens", tokens.as_str())], more].concat()).await
    };
    let most = ask(17, &[]).await;
    assert_eq!((most.status, most.json()["tokens"].as_array().unwrap().len()), (200, 17));
    assert!((1_000_000..=1024 * 1024).contains(&most.body.len()), "{}", most.body.len());
    let refused = ask(18, &[]).await;
    assert_eq!((refused.status, refused.field("error").as_str()), (400, "invalid_request"));
    let why = refused.field("error_description");
    assert!(why.contains("longer than 1 MiB") && why.contains("fewer tokens"), "{why}");
    assert_eq!(ask(100, &[("minimal", "true")]).await.json()["tokens"][99], json!({"active": true}));
}

#[tokio::test]
async fn between_many_tokens_others_on_the_same_thread_have_their_turn() {
    let server = server().await;
    // From then on all that is needed is in memory, so that nothing else is waited for.
    let tokens = [vec![server.token_of(MACHINE).await; 2], vec!["x".into(); 98]].concat().join(" ");
    assert_eq!(ask(&server, &[("tokens", &tokens)]).await.status, 200);
    let issuer = server.app.find_issuer(None).await.unwrap().unwrap();
    let turns = async |fields: &[(&str, &str)]| {
        let request = http::Request::post("/introspect").header("authorization", basic(API_A)).header(FORM.0, FORM.1);
        let call = Call {
            app: &server.app,
            issuer: &issuer,
            now: server.app.now(),
            parts: &request.body(()).unwrap().into_parts().0,
            body: encode(fields).into(),
            request_id: server.app.request_ids.next(),
            address: [127, 0, 0, 1].into(),
            new_browser: OnceLock::new(),
        };
        let mut answering = Box::pin(endpoint(&call));
        let mut turns = 0;
        let reply = poll_fn(|cx| {
            let polled = answering.as_mut().poll(cx);
            turns += usize::from(polled.is_pending());
            polled
        });
        assert_eq!(reply.await.status(), 200);
        turns
    };
    assert_eq!(turns(&[("token", "x")]).await, 0);
    assert_eq!(turns(&[("tokens", &tokens)]).await, 12);
}

#[tokio::test]
async fn a_minimal_answer_says_whether_and_nothing_else() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let minimal = ask(&server, &[("token", &token), ("minimal", "true")]).await;
    assert_eq!(minimal.seen(), r#"200 {"active":true}"#);
    let both = ask(&server, &[("tokens", &format!("{token} x")), ("minimal", "true")]).await;
    assert_eq!(both.seen(), r#"200 {"tokens":[{"active":true},{"active":false}]}"#);
    let stranger = server.form_post_as(MACHINE, "/introspect", &[("token", "x"), ("minimal", "true")]).await;
    assert_eq!(stranger.seen(), r#"200 {"active":false}"#);
    let whole = ask(&server, &[("token", &token), ("minimal", "false")]).await.json();
    assert_eq!(whole["scope"], "read");
}

#[tokio::test]
async fn a_minimal_answer_takes_no_refresh_token_for_an_access_token() {
    let server = Server::with_people().await;
    let code = Browser::new().code(&server, &Ask::new(), "alice").await;
    let token = server.tokens(&code).await.field("refresh_token");
    let ask = async |more: &[(&str, &str)]| {
        let fields = [&[("token", token.as_str()), ("minimal", "true")], more].concat();
        server.form_post_as(APP, "/introspect", &fields).await.seen()
    };
    assert_eq!(ask(&[]).await, r#"200 {"active":false}"#);
    assert_eq!(ask(&[("token_type_hint", "access_token")]).await, r#"200 {"active":false}"#);
    assert_eq!(ask(&[("token_type_hint", "refresh_token")]).await, r#"200 {"active":true}"#);
    assert!(server.is_active(APP, &token).await, "whole, it says that it is no access token");
}

#[tokio::test]
async fn what_asks_for_nothing_or_for_too_much_is_refused() {
    let server = server().await;
    let many = vec!["x"; 101].join(" ");
    for fields in [
        &[("token", "a"), ("tokens", "b")][..],
        &[("tokens", "a  b")],
        &[("tokens", &many)],
        &[("tokens", "")],
        &[("token", "a"), ("minimal", "yes")],
        &[("tokens", "a"), ("tokens", "b")],
    ] {
        let answer = ask(&server, fields).await;
        assert_eq!((answer.status, answer.field("error").as_str()), (400, "invalid_request"), "{fields:?}");
    }
    let nobody = server.form_post("/introspect", &[("tokens", "a b")]).await;
    assert_eq!(nobody.status, 401, "who asks comes first");
}

#[tokio::test]
async fn a_signed_answer_is_for_its_caller_alone_and_says_what_the_plain_one_says() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let plain = ask(&server, &[("token", &token)]).await.json();
    let keys = server.get("/jwks").await.json();
    for (accept, fields, expected) in [
        (TYPE, [("token", token.as_str())], plain),
        (
            "application/json;q=0.5, Application/Token-Introspection+JWT ; q=0.9",
            [("token", "x")],
            json!({"active": false}),
        ),
    ] {
        let answer = ask_accepting(&server, accept, &fields).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(TYPE)));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let (header, claims) = verified(std::str::from_utf8(&answer.body).unwrap(), &keys);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("token-introspection+jwt"), &json!("RS256")));
        let whole = json!({
            "iss": server.issuer, "aud": "api-a", "iat": START.0, "token_introspection": expected,
        });
        assert_eq!(claims, whole);
    }
    let several = ask_accepting(&server, TYPE, &[("tokens", "x y")]).await;
    assert_eq!((several.status, several.field("error").as_str()), (400, "invalid_request"));
}

#[tokio::test]
async fn an_answer_is_signed_for_whoever_names_that_type_and_likes_it_no_less_than_json() {
    let server = server().await;
    for (accept, is_signed) in [
        ("application/token-introspection+jwt;q=0.001", true),
        ("application/token-introspection+jwt, application/json", true),
        ("application/token-introspection+jwt, */*", true),
        ("application/json;q=0.2, application/token-introspection+jwt;q=0.3, */*", true),
        ("application/*;q=0.2, application/token-introspection+jwt;q=0.3, */*", true),
        ("text/html, application/token-introspection+jwt;q=0.3", true),
        ("application/token-introspection+jwt;Q=1.000, application/json;q=1", true),
        ("application/json, application/token-introspection+jwt;q=0.9", false),
        ("application/token-introspection+jwt;q=0.5, */*", false),
        ("application/token-introspection+jwt;q=0.5, */*;q=0.1, application/*;q=0.6", false),
        ("application/token-introspection+jwt;q=0, text/html", false),
        ("application/token-introspection+jwt; q=0.000", false),
        ("application/token-introspection+jwt;q=2", false),
        ("application/token-introspection+jwt;q=-1", false),
        ("application/json", false),
        ("application/*, */*", false),
        ("application/jwt", false),
    ] {
        let answer = ask_accepting(&server, accept, &[("token", "x")]).await;
        let expected = if is_signed { TYPE } else { "application/json" };
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(expected)), "{accept}");
    }
}

#[tokio::test]
async fn a_list_of_tokens_that_is_none_is_refused_with_how_it_is_written() {
    let server = server().await;
    let said = async |tokens: &str| ask(&server, &[("tokens", tokens)]).await.field("error_description");
    assert_eq!(said("").await, "tokens has no value: send at least one token");
    for wrong in ["a  b", " a", "a ", " ", "a,b"] {
        assert!(said(wrong).await.starts_with("tokens has exactly one blank between two tokens, and "), "{wrong:?}");
    }
}

#[tokio::test]
async fn a_signed_answer_has_the_algorithm_that_its_caller_is_declared_with_and_passes_for_no_token() {
    let server = server().await;
    let alg = SigningAlgorithm::Es256;
    let settings = ClientSettings { introspection_signed_response_alg: Some(alg), ..serving(&[A]) };
    server.update_client(API_A.0, settings).await;
    let token = server.token_of(MACHINE).await;
    let answer = ask_accepting(&server, TYPE, &[("token", &token)]).await;
    let jwt = std::str::from_utf8(&answer.body).unwrap().to_owned();
    assert_eq!(verified(&jwt, &server.get("/jwks").await.json()).0["alg"], "ES256");
    assert!(!server.is_active(API_A, &jwt).await && !server.knows(&jwt).await);
}
