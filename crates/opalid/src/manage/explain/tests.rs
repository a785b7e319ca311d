//! What `explain` says.

use opalid_core::apply::{Kind, Verb};
use serde_json::json;

use super::*;
use crate::manage::apply::OneChange;
use crate::manage::tests::{TestServer, server};
use crate::manage::{Command, Reply};

const API: &str = "https://api.demo.example/";

async fn change(server: &TestServer, kind: Kind, name: &str, fields: Value) {
    let Value::Object(fields) = fields else { panic!("an object") };
    let change = OneChange { kind, verb: Verb::Update, name: name.into(), fields, secret: None, yes: false };
    server.ask(Command::Change(change)).await.unwrap();
}

async fn explained(server: &TestServer, client: &str, resources: &[&str]) -> Explanation {
    let resources = resources.iter().map(ToString::to_string).collect();
    let command = Command::Explain { client_id: client.into(), resources };
    let Reply::Explained(explanation) = server.ask(command).await.unwrap() else { panic!() };
    *explanation
}

/// `VALUE FROM: WHY` of a setting.
async fn says(server: &TestServer, client: &str, setting: &str) -> String {
    let all = explained(server, client, &[]).await.settings;
    let found = all.into_iter().find(|explained| explained.setting == setting).unwrap();
    format!("{} {}: {}", found.value, found.from, found.why)
}

#[tokio::test]
async fn every_setting_of_a_token_is_explained_and_the_first_who_says_something_wins() {
    let server = server(true).await;
    let said = explained(&server, "demo-api", &[]).await;
    assert_eq!((said.client_id.as_str(), said.resources.as_slice()), ("demo-api", &[API.to_owned()][..]));
    assert_eq!(said.settings.len(), 12);
    let format = async || says(&server, "demo-api", "access_token_format").await;
    assert_eq!(format().await, r#""opaque" workspace demo: neither client nor resource sets it"#);
    change(&server, Kind::Resource, API, json!({"access_token_format": "jwt"})).await;
    assert_eq!(
        format().await,
        r#""jwt" resource https://api.demo.example/: the client sets nothing, the resource does"#
    );
    insta::assert_snapshot!(says(&server, "demo-api", "access_token_lifetime").await, @"300 resource https://api.demo.example/: 3600 of workspace demo is too long for a JWT there: its server does not introspect JWTs (introspects_jwts), and accepts a revoked one for so long (offline_window)");
    change(&server, Kind::Client, "demo-api", json!({"access_token_format": "opaque", "session_idle": 999_999})).await;
    assert_eq!(format().await, r#""opaque" client demo-api: the client sets it, and a client's own comes first"#);
    let idle = says(&server, "demo-api", "session_idle").await;
    assert_eq!(idle, "86400 workspace demo: 999999 of client demo-api is more than the workspace's sessions last");
    assert!(
        says(&server, "demo-app", "rotate_refresh_tokens")
            .await
            .starts_with("true client demo-app: refresh tokens of a public")
    );
}

#[tokio::test]
async fn resources_that_want_different_algorithms_are_said_to_get_opaque_tokens() {
    let server = server(true).await;
    let other = "https://other.example/";
    let fields = json!({"scopes": "read", "access_token_signing_alg": "ES256"});
    let Value::Object(fields) = fields else { panic!("an object") };
    let made =
        OneChange { kind: Kind::Resource, verb: Verb::Create, name: other.into(), fields, secret: None, yes: false };
    server.ask(Command::Change(made)).await.unwrap();
    let access = json!({"access": {API: "read", other: "read"}, "default_resources": [API, other]});
    change(&server, Kind::Client, "demo-api", access).await;
    change(&server, Kind::Workspace, "demo", json!({"access_token_format": "jwt"})).await;
    let (format, alg) = ("access_token_format", "access_token_signing_alg");
    insta::assert_snapshot!(says(&server, "demo-api", format).await, @r#""opaque" workspace demo: the resources disagree about access_token_signing_alg: then it is opaque"#);
    insta::assert_snapshot!(says(&server, "demo-api", alg).await, @r#""RS256" workspace demo: without effect: the resources disagree, so tokens for all of them are opaque"#);
    change(&server, Kind::Client, "demo-api", json!({"access_token_signing_alg": "EdDSA"})).await;
    assert!(says(&server, "demo-api", format).await.starts_with(r#""jwt" workspace demo: "#));
    insta::assert_snapshot!(says(&server, "demo-api", alg).await, @r#""EdDSA" client demo-api: the client sets it, and a client's own comes first"#);
}

#[tokio::test]
async fn what_the_client_cannot_ask_for_is_not_explained() {
    let server = server(true).await;
    let ask = |client: &str, uri: &str| Command::Explain { client_id: client.into(), resources: vec![uri.into()] };
    let unknown = server.ask(ask("demo-api", "https://other.example/")).await.unwrap_err().to_string();
    assert_eq!(unknown, "workspace demo has no resource https://other.example/; see: opalid resource list");
    let nobody = server.ask(ask("nobody", API)).await.unwrap_err().to_string();
    assert_eq!(nobody, "workspace demo has no client nobody; see: opalid client list");
}

#[tokio::test]
async fn without_a_resource_a_machine_is_told_that_it_gets_none_and_people_that_it_is_the_issuer_alone() {
    let server = server(true).await;
    change(&server, Kind::Client, "demo-api", json!({"default_resources": []})).await;
    let ask = |client: &str| Command::Explain { client_id: client.into(), resources: Vec::new() };
    let refused = server.ask(ask("demo-api")).await.unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"client demo-api gets no token without naming a resource (invalid_target): it sends resource=URI (here: --resource URI), or default_resources are set, its own or the workspace's; it may ask for: https://api.demo.example/");
    assert_eq!(explained(&server, "demo-api", &[API]).await.resources, [API]);
    change(&server, Kind::Client, "demo-app", json!({"default_resources": []})).await;
    assert!(explained(&server, "demo-app", &[]).await.resources.is_empty());
    change(&server, Kind::Client, "demo-api", json!({"grant_types": []})).await;
    let refused = server.ask(ask("demo-api")).await.unwrap_err().to_string();
    assert!(refused.contains("its grant_types are neither"), "{refused}");
    change(&server, Kind::Client, "demo-api", json!({"grant_types": ["client_credentials"], "access": null})).await;
    let refused = server.ask(ask("demo-api")).await.unwrap_err().to_string();
    assert!(refused.contains("no access to any resource"), "{refused}");
}
