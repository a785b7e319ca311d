//! What an answer hangs from: every change that makes it wrong is told under one of its tags, others are not.

use std::pin::pin;

use opalid::manage::{Command, Handed, Paging, Reply, Request, handle};
use opalid_core::lease::wire::Said;
use opalid_core::mirror::Tag;
use serde_json::json;

use crate::apply::change;
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::feed::Line;
use crate::support::person::{API, API_SERVER, APP, Ask, OTHER_APP, whole_profile};

struct World {
    server: Server,
    line: Line,
}

/// The API asks for roles; alice and bob hold the one that reads.
async fn world() -> World {
    let server = Server::with_people().await;
    change(&server, "resource", "update", API, json!({"requires_roles": true})).await;
    for role in ["reader", "other"] {
        change(&server, "role", "create", role, json!({"permissions": {API: "read"}})).await;
    }
    for name in ["alice", "bob"] {
        change(&server, "user", "update", name, json!({"roles": ["reader"]})).await;
    }
    let mut line = Line::of(&server, API_SERVER).await;
    line.ask().await;
    World { server, line }
}

async fn order(server: &Server, command: Command) -> Reply {
    handle(&server.app, Request { workspace: None, command }).await.unwrap()
}

impl World {
    /// A token of alice's with the scope `read`.
    async fn token(&self) -> String {
        let ask = Ask::new().with("scope", "openid read").with("resource", API);
        let code = Browser::new().code(&self.server, &ask, "alice").await;
        self.server.tokens(&code).await.field("access_token")
    }

    /// What its answer hangs from; it is active, and everything before it was heard.
    async fn tags(&mut self, token: &str) -> Vec<Tag> {
        let (news, _) = self.line.ask().await;
        match self.line.about(token).await {
            Said::Active { at, tags, .. } => {
                assert_eq!(at, Some(news.to));
                tags
            }
            other => panic!("{other:?}"),
        }
    }

    /// What is told while this happens.
    async fn told<T>(&mut self, happens: impl AsyncFnOnce(&Server) -> T) -> Vec<Tag> {
        let Self { server, line } = self;
        let mut happens = pin!(happens(server));
        let mut told = Vec::new();
        loop {
            let pushed = tokio::select! {
                _ = &mut happens => break,
                news = line.news() => news.changes,
            };
            told.extend(pushed.into_iter().map(|(_, tag)| tag));
            told.extend(line.ask().await.0.changes.into_iter().map(|(_, tag)| tag));
        }
        told.extend(line.ask().await.0.changes.into_iter().map(|(_, tag)| tag));
        told
    }

    /// Whether what happens is told under a tag of a token's answer.
    async fn touches<T>(&mut self, token: &str, happens: impl AsyncFnOnce(&Server) -> T) -> bool {
        let tags = self.tags(token).await;
        let told = self.told(happens).await;
        assert!(!told.is_empty(), "nothing is told");
        told.iter().any(|tag| tags.contains(tag))
    }
}

#[tokio::test]
async fn what_could_change_an_answer_is_told_under_one_of_its_tags() {
    let mut world = world().await;
    let token = world.token().await;
    for (kind, name, what) in [
        ("resource", API, json!({"scopes": "read write more"})),
        ("role", "reader", json!({"permissions": {API: "read write"}})),
        ("user", "alice", json!({"roles": ["reader", "other"]})),
        ("role", "other", json!({"permissions": {API: "write"}})),
        ("client", APP.0, json!({"name": "Another"})),
        ("client", API_SERVER.0, json!({"introspect_tokens": true})),
        ("workspace", "default", json!({"display_name": "Another"})),
    ] {
        let touches = world.touches(&token, async |server| change(server, kind, "update", name, what).await).await;
        assert!(touches, "{kind} {name}");
    }
}

#[tokio::test]
async fn whatever_kills_a_token_is_told_under_one_of_its_tags() {
    let mut world = world().await;
    let username = || String::from("alice");
    for (what, command) in [
        ("sign-out everywhere", Command::SignOutEverywhere { username: username() }),
        ("user revoked", Command::RevokeUser { username: username() }),
        ("client revoked", Command::RevokeClient { client_id: APP.0.into() }),
        ("workspace revoked", Command::RevokeWorkspace { yes: true }),
    ] {
        let token = world.token().await;
        assert!(world.touches(&token, async |server| order(server, command).await).await, "{what}");
        assert_eq!(world.line.about(&token).await, Said::Dead, "{what}");
    }
    let token = world.token().await;
    let command = Command::RevokeToken { token: Handed::new(token.clone()) };
    assert!(world.touches(&token, async |server| order(server, command).await).await, "token revoked");
    let token = world.token().await;
    let withdraw = async |server: &Server| {
        let list = Command::ListConsents { user: Some("alice".into()), paging: Paging::default() };
        let Reply::Consents(page) = order(server, list).await else { panic!() };
        let of_app = page.rows.iter().find(|row| row.client_id == APP.0).unwrap();
        order(server, Command::WithdrawConsent { id: of_app.id.to_string() }).await;
    };
    assert!(world.touches(&token, withdraw).await, "consent withdrawn");
    let token = world.token().await;
    let delete = async |server: &Server| change(server, "user", "delete", "alice", json!({})).await;
    assert!(world.touches(&token, delete).await, "user deleted");
}

#[tokio::test]
async fn what_happens_to_others_is_told_under_no_tag_of_an_answer() {
    let mut world = world().await;
    let (token, other) = (world.token().await, world.token().await);
    let touches = async |world: &mut World, kind: &'static str, name: &'static str, what: serde_json::Value| {
        world.touches(&token, async |server| change(server, kind, "update", name, what).await).await
    };
    assert!(!touches(&mut world, "user", "bob", json!({"roles": ["other"]})).await);
    assert!(!touches(&mut world, "role", "other", json!({"permissions": {API: "write"}})).await);
    assert!(!touches(&mut world, "client", OTHER_APP.0, json!({"name": "Another"})).await);
    let command = Command::RevokeToken { token: Handed::new(other) };
    assert!(!world.touches(&token, async |server| order(server, command).await).await, "another token of alice's");
}

#[tokio::test]
async fn two_clients_are_told_the_same_change_under_different_tags_and_one_client_under_the_same() {
    let mut world = world().await;
    let other = ("other-api", "ocs_other-api");
    let serving = crate::support::serving(&[API]);
    world.told(async |server| server.client(other.0, Some(other.1), serving).await).await;
    let token = world.token().await;
    let own = world.tags(&token).await;
    let mut again = Line::named(&world.server, API_SERVER, "ffffffffffffffffffffffffffffffff").await;
    again.ask().await;
    let mut others = Line::of(&world.server, other).await;
    others.ask().await;
    let tags = async |line: &mut Line| match line.about(&token).await {
        Said::Active { tags, .. } => tags,
        other => panic!("{other:?}"),
    };
    assert_eq!(tags(&mut again).await, own);
    assert!(tags(&mut others).await.iter().all(|tag| !own.contains(tag)));
    let restarted = world.server.restart().await;
    restarted.user("carol", whole_profile("carol")).await;
    assert_eq!(
        tags(&mut Line::of(&restarted, API_SERVER).await).await,
        own,
        "the next life of the server calls it the same"
    );
}
