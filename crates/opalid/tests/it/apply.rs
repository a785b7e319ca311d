//! What changes to the configuration do to tokens that are out there, on the engine of this run.

mod settings;

use opalid::manage::{Command, Reply, Request, handle};
use opalid_store::steps::sweep::{Sweep, SweptTable};
use serde_json::{Value, json};

use crate::support::{CLIENT_CREDENTIALS, DEMO_API, Server, machine, serving};

const API: &str = "https://api.test/";
const JOB: (&str, &str) = ("job", "secret-of-the-nightly-job");
const WATCHER: (&str, &str) = ("watcher", "secret-of-the-watcher");

async fn server() -> Server {
    let server = Server::empty().await;
    server.resource(API, "read write").await;
    server.client(JOB.0, Some(JOB.1), machine(&[(API, "read write")])).await;
    server.client(WATCHER.0, Some(WATCHER.1), serving(&[API])).await;
    server
}

/// Makes, changes or deletes one entry of the root workspace; the secrets that were drawn.
pub async fn change(server: &Server, kind: &str, verb: &str, name: &str, fields: Value) -> Vec<Option<String>> {
    let asked = json!({"do": "change", "kind": kind, "verb": verb, "name": name, "fields": fields, "yes": true});
    let command: Command = serde_json::from_value(asked).unwrap();
    match handle(&server.app, Request { workspace: None, command }).await.unwrap() {
        Reply::Applied(applied) => {
            assert_eq!(applied.stopped, None);
            applied.done.iter().map(|done| done.secret.as_ref().map(|secret| secret.expose().to_owned())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tokens_of_a_client_that_is_deleted_die_and_one_made_anew_revives_none() {
    let server = server().await;
    let token = server.token_of(JOB).await;
    assert!(server.is_active(WATCHER, &token).await);
    change(&server, "client", "delete", "job", json!({})).await;
    assert!(!server.is_active(WATCHER, &token).await);
    assert_eq!(server.form_post_as(JOB, "/token", &[CLIENT_CREDENTIALS]).await.status, 401);
    server.client(JOB.0, Some(JOB.1), machine(&[(API, "read write")])).await;
    assert!(server.is_active(WATCHER, &server.token_of(JOB).await).await);
    assert!(!server.is_active(WATCHER, &token).await);
}

#[tokio::test]
async fn scopes_taken_from_a_resource_are_gone_from_tokens_until_they_are_given_back() {
    let server = server().await;
    let token = server.token_of(JOB).await;
    assert_eq!(server.introspect(WATCHER, &token).await.field("scope"), "read write");
    change(&server, "resource", "update", API, json!({"scopes": "read"})).await;
    assert_eq!(server.introspect(WATCHER, &token).await.field("scope"), "read");
    change(&server, "resource", "update", API, json!({"scopes": "read write"})).await;
    assert_eq!(server.introspect(WATCHER, &token).await.field("scope"), "read write");
}

#[tokio::test]
async fn a_resource_that_is_deleted_and_made_anew_is_another() {
    let server = server().await;
    let token = server.token_of(JOB).await;
    change(&server, "resource", "delete", API, json!({})).await;
    assert!(!server.is_active(WATCHER, &token).await);
    change(&server, "resource", "create", API, json!({"scopes": "read write"})).await;
    assert!(!server.is_active(WATCHER, &token).await);
    assert!(server.is_active(WATCHER, &server.token_of(JOB).await).await);
}

#[tokio::test]
async fn a_grant_type_taken_from_a_client_leaves_its_tokens_alive() {
    let server = server().await;
    let token = server.token_of(JOB).await;
    change(&server, "client", "update", "job", json!({"grant_types": []})).await;
    assert!(server.is_active(WATCHER, &token).await);
    assert_eq!(server.form_post_as(JOB, "/token", &[CLIENT_CREDENTIALS]).await.status, 400);
}

#[tokio::test]
async fn a_drawn_secret_works_over_http() {
    let server = server().await;
    let fields = json!({"grant_types": ["client_credentials"], "access": {API: "read"}, "default_resource": API});
    let drawn = change(&server, "client", "create", "new", fields).await;
    let [Some(secret)] = drawn.as_slice() else { panic!("no secret") };
    assert!(server.is_active(WATCHER, &server.token_of(("new", secret)).await).await);
}

#[tokio::test]
async fn a_sweep_takes_what_is_over_and_leaves_what_lives() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    change(&server, "user", "delete", "bob", json!({})).await;
    for table in SweptTable::ALL {
        let sweep = Sweep { table: *table, after: None, limit: 100, now: server.app.now() };
        assert_eq!(server.app.store.run(sweep).await.unwrap().next, None, "{table:?}");
    }
    assert!(server.is_active(DEMO_API, &token).await);
}
