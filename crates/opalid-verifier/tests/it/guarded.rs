//! The API of `docs/guard-an-api-in-rust.md`, asked over HTTP: what passes, and each refusal to the byte.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use opalid_verifier::{Admitted, Guard, Scopes};

use crate::orders;
use crate::scripted::{Scripted, Served};

async fn served() -> Served {
    Served::begin(orders::api(Scripted).unwrap()).await
}

#[tokio::test]
async fn a_good_token_reaches_the_handler_which_knows_whose_it_is() {
    let api = served().await;
    insta::assert_snapshot!(api.ask("GET", "/orders", &["Authorization: Bearer reader"]).await, @r#"
    HTTP/1.1 200 OK
    content-type: text/plain; charset=utf-8
    content-length: 20

    the orders of alice
    "#);
}

#[tokio::test]
async fn without_a_token_the_client_is_told_where_to_begin() {
    let api = served().await;
    insta::assert_snapshot!(api.ask("GET", "/orders", &[]).await, @r#"
    HTTP/1.1 401 Unauthorized
    cache-control: no-store
    www-authenticate: Bearer realm="https://api.demo.example/", resource_metadata="https://api.demo.example/.well-known/oauth-protected-resource", scope="read"
    content-length: 0
    "#);
}

#[tokio::test]
async fn a_token_anywhere_but_in_the_header_is_not_looked_at() {
    let api = served().await;
    assert_eq!(api.status("GET", "/orders?access_token=reader", &[]).await, 401);
    assert!(api.post("/orders", "access_token=writer").await.starts_with("HTTP/1.1 401 "));
    assert_eq!(api.status("GET", "/orders?access_token=dead", &["Authorization: Bearer reader"]).await, 200);
}

#[tokio::test]
async fn a_token_that_is_dead_and_one_for_another_api_are_refused_alike() {
    let api = served().await;
    let dead = api.ask("GET", "/orders", &["Authorization: Bearer dead"]).await;
    assert_eq!(api.ask("GET", "/orders", &["Authorization: Bearer elsewhere"]).await, dead);
    insta::assert_snapshot!(dead, @r#"
    HTTP/1.1 401 Unauthorized
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer realm="https://api.demo.example/", resource_metadata="https://api.demo.example/.well-known/oauth-protected-resource", error="invalid_token"
    content-length: 81

    {"error":"invalid_token","error_description":"the access token is not good here"}
    "#);
}

#[tokio::test]
async fn each_request_needs_its_own_scope() {
    let api = served().await;
    insta::assert_snapshot!(api.ask("DELETE", "/orders/1", &["Authorization: Bearer reader"]).await, @r#"
    HTTP/1.1 403 Forbidden
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer realm="https://api.demo.example/", resource_metadata="https://api.demo.example/.well-known/oauth-protected-resource", error="insufficient_scope", scope="write"
    content-length: 85

    {"error":"insufficient_scope","error_description":"the access token may not do this"}
    "#);
}

#[tokio::test]
async fn a_handler_that_demands_more_says_all_that_is_needed() {
    let api = served().await;
    assert_eq!(api.status("DELETE", "/orders/1", &["Authorization: Bearer canceller"]).await, 200);
    insta::assert_snapshot!(api.ask("DELETE", "/orders/1", &["Authorization: Bearer writer"]).await, @r#"
    HTTP/1.1 403 Forbidden
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer realm="https://api.demo.example/", resource_metadata="https://api.demo.example/.well-known/oauth-protected-resource", error="insufficient_scope", scope="cancel write"
    content-length: 85

    {"error":"insufficient_scope","error_description":"the access token may not do this"}
    "#);
}

#[tokio::test]
async fn two_headers_or_two_tokens_are_a_bad_request() {
    let api = served().await;
    let twice = ["Authorization: Bearer reader", "Authorization: Bearer reader"];
    insta::assert_snapshot!(api.ask("GET", "/orders", &twice).await, @r#"
    HTTP/1.1 400 Bad Request
    cache-control: no-store
    content-type: application/json
    www-authenticate: Bearer realm="https://api.demo.example/", resource_metadata="https://api.demo.example/.well-known/oauth-protected-resource", error="invalid_request"
    content-length: 86

    {"error":"invalid_request","error_description":"the Authorization header is repeated"}
    "#);
    assert_eq!(api.status("GET", "/orders", &["Authorization: Bearer reader, Bearer writer"]).await, 400);
}

#[tokio::test]
async fn an_outage_is_503_and_no_word_on_the_token() {
    let api = served().await;
    insta::assert_snapshot!(api.ask("GET", "/orders", &["Authorization: Bearer away"]).await, @r#"
    HTTP/1.1 503 Service Unavailable
    cache-control: no-store
    content-type: application/json
    retry-after: 1
    content-length: 120

    {"error":"temporarily_unavailable","error_description":"nobody can say now whether the access token is good; try again"}
    "#);
}

#[tokio::test]
async fn a_path_that_there_is_not_is_guarded_too() {
    let api = served().await;
    assert_eq!(api.status("GET", "/gone", &[]).await, 401);
    assert_eq!(api.status("GET", "/gone", &["Authorization: Bearer reader"]).await, 404);
}

#[tokio::test]
async fn metadata_is_open_and_where_the_challenge_says() {
    let api = served().await;
    let path = "/.well-known/oauth-protected-resource";
    insta::assert_snapshot!(api.ask("GET", path, &[]).await, @r#"
    HTTP/1.1 200 OK
    access-control-allow-origin: *
    content-type: application/json
    cache-control: public, max-age=300
    content-length: 198

    {"resource":"https://api.demo.example/","authorization_servers":["http://localhost:8080"],"scopes_supported":["cancel","read","write"],"bearer_methods_supported":["header"],"resource_name":"Orders"}
    "#);
    assert_eq!(api.status("HEAD", path, &[]).await, 200);
    assert_eq!(api.status("POST", path, &["Content-Length: 0"]).await, 405);
}

#[tokio::test]
async fn guards_of_parts_of_an_api_need_what_each_was_told() {
    let guard =
        |scope: &str| Guard::builder(Scripted).resource("https://api.demo.example/").scope(scope).build().unwrap();
    let whoever = async |token: Admitted| token.client_id.clone();
    let api = Router::new()
        .merge(Router::new().route("/a", get(whoever)).layer(guard("read")))
        .merge(Router::new().route("/b", get(whoever)).layer(guard("write")));
    let api = Served::begin(api).await;
    assert_eq!(api.status("GET", "/a", &["Authorization: Bearer reader"]).await, 200);
    assert_eq!(api.status("GET", "/b", &["Authorization: Bearer reader"]).await, 403);
}

/// A log that is read again.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn a_handler_that_nobody_guards_answers_500_and_the_log_says_why() {
    let log = Log::default();
    let writer = log.clone();
    let _guard =
        tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish());
    let api = Served::begin(Router::new().route("/orders", get(async |_: Admitted| "open"))).await;
    insta::assert_snapshot!(api.ask("GET", "/orders", &["Authorization: Bearer reader"]).await, @r#"
    HTTP/1.1 500 Internal Server Error
    cache-control: no-store
    content-type: application/json
    content-length: 86

    {"error":"server_error","error_description":"the server is not set up to answer this"}
    "#);
    assert!(log.text().contains("its route has no `Guard` as a layer"), "{}", log.text());
}

#[tokio::test]
async fn no_refusal_writes_the_token_into_the_log() {
    let log = Log::default();
    let writer = log.clone();
    let to_log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(to_log.finish());
    let api = served().await;
    for token in ["secret-and-dead", "elsewhere", "away", "a b"] {
        assert_ne!(api.status("GET", "/orders", &[&format!("Authorization: Bearer {token}")]).await, 200);
    }
    let said = log.text();
    assert_eq!(said.matches("refused").count(), 4, "{said}");
    assert!(!said.contains("secret-and-dead") && !said.contains("elsewhere"), "{said}");
}

#[test]
fn scopes_are_had_from_this_crate_alone() {
    assert!(Scopes::parse("read write").is_ok());
}
