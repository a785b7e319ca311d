//! Roles: what people and clients may do at resources that ask for roles, from one check to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opalid::manage::{Command, Reply, Request, apply::Declared, handle};
use opalid_core::client::ClientSettings;
use serde_json::{Value, json};

use crate::apply::change;
use crate::manage::inspected;
use crate::support::browser::{Browser, Landed};
use crate::support::http::Answer;
use crate::support::person::{
    API, API_SERVER, APP, Ask, CALLBACK, LOOPBACK, PUBLIC, VERIFIER, password_of, refusal, value, web_app,
};
use crate::support::{CLIENT_CREDENTIALS, Server, machine};

const MACHINE: (&str, &str) = ("machine", "ocs_machine-secret");
const NOTHING_LEFT: &str = r#"400 {"error":"invalid_scope","error_description":"this client, or whoever it is for, may have nothing today of what was granted; it can ask again when that changes"}"#;

/// The API asks for roles. Alice holds those that read and write, bob none; so does a machine for itself.
async fn server() -> Server {
    let server = Server::with_people().await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(API, "read write")])).await;
    change(&server, "resource", "update", API, json!({"requires_roles": true})).await;
    for (name, scopes) in [("reader", "read"), ("writer", "write")] {
        change(&server, "role", "create", name, json!({"permissions": {API: scopes}})).await;
    }
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    hold(&server, "client", MACHINE.0, &["reader", "writer"]).await;
    server
}

async fn hold(server: &Server, kind: &str, name: &str, roles: &[&str]) {
    change(server, kind, "update", name, json!({"roles": roles})).await;
}

fn asking() -> Ask {
    Ask::new().with("scope", "read write").with("resource", API)
}

/// What the API is told of a token: its scopes, nothing if it is not active.
async fn scope(server: &Server, token: &str) -> Option<String> {
    let facts = server.introspect(API_SERVER, token).await.json();
    facts["active"].as_bool().unwrap().then(|| facts["scope"].as_str().unwrap_or_default().to_owned())
}

async fn refresh(server: &Server, token: &str) -> Answer {
    server.form_post_as(APP, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn alone(server: &Server) -> Answer {
    server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS]).await
}

async fn token_of_alice(server: &Server) -> String {
    let tokens = server.tokens(&Browser::new().code(server, &asking(), "alice").await).await;
    assert_eq!(tokens.field("scope"), "read write");
    tokens.field("access_token")
}

/// How everything below stands before, while and after something is taken away: a person's token and a client's own.
async fn comes_and_goes(away: (&str, &str, &str, Value), back: (&str, &str, &str, Value), left: Option<&str>) {
    let server = server().await;
    let (person, own) = (token_of_alice(&server).await, alone(&server).await.field("access_token"));
    for (change_to, expected) in [(None, Some("read write")), (Some(away), left), (Some(back), Some("read write"))] {
        if let Some((kind, verb, name, fields)) = change_to {
            change(&server, kind, verb, name, fields).await;
        }
        assert_eq!(scope(&server, &person).await.as_deref(), expected);
        assert_eq!(scope(&server, &own).await.as_deref(), expected);
    }
}

#[tokio::test]
async fn what_a_persons_roles_permit_is_what_their_tokens_may_do_and_a_role_taken_away_is_gone_until_it_is_back() {
    let server = server().await;
    let tokens = server.tokens(&Browser::new().code(&server, &asking(), "alice").await).await;
    let (token, chain) = (tokens.field("access_token"), tokens.field("refresh_token"));
    let own = alone(&server).await.field("access_token");
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read write"));
    hold(&server, "user", "alice", &["reader"]).await;
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read"));
    let less = refresh(&server, &chain).await;
    assert_eq!((less.status, less.field("scope").as_str()), (200, "read"));
    hold(&server, "user", "alice", &[]).await;
    assert_eq!(scope(&server, &token).await, None);
    let seen = inspected(&server, &token).await;
    assert_eq!(seen.may[0].today, None);
    assert!(seen.why.is_some_and(|why| why.contains("nothing it may do is allowed today")));
    assert_eq!(refresh(&server, &chain).await.seen(), NOTHING_LEFT);
    assert_eq!(scope(&server, &own).await.as_deref(), Some("read write"), "that is not of this person");
    let server = server.restart().await;
    assert_eq!(scope(&server, &token).await, None);
    hold(&server, "user", "alice", &["writer", "reader"]).await;
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read write"));
    assert_eq!(scope(&server, &less.field("access_token")).await.as_deref(), Some("read write"));
    assert_eq!(refresh(&server, &chain).await.field("scope"), "read write");
}

#[tokio::test]
async fn a_token_of_a_client_for_itself_may_do_what_the_roles_of_the_client_permit() {
    let server = server().await;
    let (own, person) = (alone(&server).await, token_of_alice(&server).await);
    assert_eq!(own.field("scope"), "read write");
    let token = own.field("access_token");
    hold(&server, "client", MACHINE.0, &["writer"]).await;
    assert_eq!(scope(&server, &token).await.as_deref(), Some("write"));
    assert_eq!(alone(&server).await.field("scope"), "write");
    hold(&server, "client", MACHINE.0, &[]).await;
    assert_eq!(scope(&server, &token).await, None);
    let refused = alone(&server).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"none of the roles of this client permits anything at what was asked for"}"#);
    hold(&server, "client", APP.0, &[]).await;
    assert_eq!(scope(&server, &person).await.as_deref(), Some("read write"), "a person's does not need the client's");
    hold(&server, "client", MACHINE.0, &["reader", "writer"]).await;
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read write"));
}

#[tokio::test]
async fn a_role_that_is_narrowed_narrows_tokens_until_it_is_widened() {
    let away = ("role", "update", "writer", json!({"permissions": null}));
    let back = ("role", "update", "writer", json!({"permissions": {API: "write"}}));
    comes_and_goes(away, back, Some("read")).await;
}

/// A person with both roles has a session, and of it tokens that end with it, tokens that do not, and a code; another person
/// and a client for itself have tokens.
struct World {
    server: Server,
    browser: Browser,
    access: [String; 2],
    chains: [String; 2],
    bobs: String,
    own: String,
    code: String,
}

impl World {
    async fn new() -> Self {
        let (server, mut browser) = (server().await, Browser::new());
        hold(&server, "user", "bob", &["reader", "writer"]).await;
        let bound = server.tokens(&browser.code(&server, &asking(), "alice").await).await;
        let offline = asking().with("scope", "offline_access read write");
        let landed = browser.open(&server, &offline.target()).await;
        let (_, parameters) = browser.allow(&server, landed).await.away();
        let offline = server.tokens(value(&parameters, "code")).await;
        let bobs = server.tokens(&Browser::new().code(&server, &asking(), "bob").await).await.field("access_token");
        let [access, chains] = ["access_token", "refresh_token"].map(|name| [bound.field(name), offline.field(name)]);
        let own = alone(&server).await.field("access_token");
        let code = browser.silent_code(&server, &asking()).await;
        Self { server, browser, access, chains, bobs, own, code }
    }

    /// What alice, bob and the client may do; that alice's session lives on and gives codes.
    async fn may(&mut self) -> [Option<String>; 3] {
        let Self { server, browser, access: [bound, offline], chains, bobs, own, code } = self;
        let alices = scope(server, bound).await;
        assert_eq!(scope(server, offline).await, alices, "offline");
        let of_codes = server.tokens(code).await.field("scope");
        assert_eq!(Some(of_codes), alices, "a code from before");
        *code = browser.silent_code(server, &asking()).await;
        for (chain, offline) in chains.iter().zip(["", "offline_access "]) {
            let refreshed = refresh(server, chain).await;
            assert_eq!(refreshed.field("scope").strip_prefix(offline).map(str::to_owned), alices, "refresh tokens");
        }
        [alices, scope(server, bobs).await, scope(server, own).await]
    }
}

#[tokio::test]
async fn what_is_taken_by_roles_is_taken_from_those_who_held_them_alone_and_ends_nothing() {
    let (both, read) = (Some("read write".to_owned()), Some("read".to_owned()));
    let mut world = World::new().await;
    assert_eq!(world.may().await, [both.clone(), both.clone(), both.clone()]);
    hold(&world.server, "user", "alice", &["reader"]).await;
    assert_eq!(world.may().await, [read.clone(), both.clone(), both.clone()]);
    hold(&world.server, "user", "alice", &["reader", "writer"]).await;
    hold(&world.server, "client", MACHINE.0, &["reader"]).await;
    assert_eq!(world.may().await, [both.clone(), both.clone(), read.clone()]);
    hold(&world.server, "client", MACHINE.0, &["reader", "writer"]).await;
    change(&world.server, "role", "update", "writer", json!({"permissions": null})).await;
    assert_eq!(world.may().await, [read.clone(), read.clone(), read.clone()]);
    change(&world.server, "role", "update", "writer", json!({"permissions": {API: "write"}})).await;
    assert_eq!(world.may().await, [both.clone(), both.clone(), both.clone()]);
    change(&world.server, "role", "delete", "writer", json!({})).await;
    assert_eq!(world.may().await, [read.clone(), read.clone(), read.clone()]);
    change(&world.server, "resource", "update", API, json!({"requires_roles": null})).await;
    assert_eq!(world.may().await, [both.clone(), both.clone(), both]);
    change(&world.server, "resource", "update", API, json!({"requires_roles": true})).await;
    assert_eq!(world.may().await, [read.clone(), read.clone(), read]);
}

#[tokio::test]
async fn a_resource_that_begins_to_ask_for_roles_narrows_tokens_until_it_does_not() {
    let server = server().await;
    change(&server, "resource", "update", API, json!({"requires_roles": false})).await;
    let bobs = server.tokens(&Browser::new().code(&server, &asking(), "bob").await).await.field("access_token");
    hold(&server, "user", "alice", &["reader"]).await;
    let alices = server.tokens(&Browser::new().code(&server, &asking(), "alice").await).await.field("access_token");
    let both = async || (scope(&server, &alices).await, scope(&server, &bobs).await);
    let all = Some("read write".to_owned());
    assert_eq!(both().await, (all.clone(), all.clone()));
    change(&server, "resource", "update", API, json!({"requires_roles": true})).await;
    assert_eq!(both().await, (Some("read".to_owned()), None));
    change(&server, "resource", "update", API, json!({"requires_roles": null})).await;
    assert_eq!(both().await, (all.clone(), all));
}

#[tokio::test]
async fn a_role_that_is_deleted_is_everybodys_loss_and_one_made_anew_under_its_name_gives_nothing_back() {
    let server = server().await;
    let (person, own) = (token_of_alice(&server).await, alone(&server).await.field("access_token"));
    change(&server, "role", "delete", "writer", json!({})).await;
    let both = async || (scope(&server, &person).await, scope(&server, &own).await);
    let read = || Some("read".to_owned());
    assert_eq!(both().await, (read(), read()));
    change(&server, "role", "create", "writer", json!({"permissions": {API: "write"}})).await;
    assert_eq!(both().await, (read(), read()));
    let server = server.restart().await;
    let both = async || (scope(&server, &person).await, scope(&server, &own).await);
    assert_eq!(both().await, (read(), read()));
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    assert_eq!(both().await, (Some("read write".to_owned()), read()), "it is held when it is given");
}

#[tokio::test]
async fn a_person_is_asked_about_what_their_roles_permit_and_again_about_what_a_later_one_does() {
    let (server, mut browser) = (server().await, Browser::new());
    hold(&server, "user", "alice", &["reader"]).await;
    let landed = browser.open(&server, &asking().target()).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    let page = landed.answer();
    assert!(page.text().contains("<li>read</li>") && !page.text().contains("<li>write</li>"), "{}", page.text());
    let landed = browser.open(&server, &asking().target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    assert_eq!(tokens.field("scope"), "read");
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    assert_eq!(scope(&server, &tokens.field("access_token")).await.as_deref(), Some("read"), "nobody agreed to more");
    assert_eq!(refresh(&server, &tokens.field("refresh_token")).await.field("scope"), "read");
    assert_eq!(browser.error(&server, &asking().with("prompt", "none")).await, "consent_required");
    let landed = browser.open(&server, &asking().target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    assert_eq!(server.tokens(value(&parameters, "code")).await.field("scope"), "read write");
}

#[tokio::test]
async fn who_is_asked_each_time_grants_what_the_page_showed_and_nothing_of_what_they_agreed_to_before() {
    let (server, mut browser) = (server().await, Browser::new());
    let ask = Ask::public().with("scope", "openid read write").with("resource", API);
    let native =
        async |form: &[(&str, &str)]| server.form_post("/token", &[form, &[("client_id", PUBLIC)]].concat()).await;
    let redeem = async |landed: Landed, browser: &mut Browser| {
        let (_, parameters) = browser.allow(&server, landed).await.away();
        let form = [
            ("grant_type", "authorization_code"),
            ("code", value(&parameters, "code")),
            ("redirect_uri", LOOPBACK),
            ("code_verifier", VERIFIER),
        ];
        native(&form).await
    };
    let landed = browser.open(&server, &ask.target()).await;
    let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
    assert_eq!(redeem(landed, &mut browser).await.field("scope"), "openid read write");
    for (roles, shown) in [(&["reader"][..], "openid read"), (&[], "openid")] {
        hold(&server, "user", "alice", roles).await;
        let landed = browser.open(&server, &ask.target()).await;
        let tokens = redeem(landed, &mut browser).await;
        assert_eq!(tokens.field("scope"), shown);
        hold(&server, "user", "alice", &["reader", "writer"]).await;
        let chain = tokens.field("refresh_token");
        let again = native(&[("grant_type", "refresh_token"), ("refresh_token", &chain)]).await;
        assert_eq!(again.field("scope"), shown, "the page showed no more");
        let seen = scope(&server, &again.field("access_token")).await;
        assert_eq!(seen.is_some(), shown.contains("read"), "nor was the API named where nothing may be done: {seen:?}");
    }
}

#[tokio::test]
async fn who_may_have_something_else_by_the_time_a_yes_arrives_is_asked_anew() {
    let (server, mut browser) = (server().await, Browser::new());
    browser.code(&server, &asking(), "alice").await;
    hold(&server, "user", "alice", &["reader"]).await;
    let landed = browser.open(&server, &asking().with("prompt", "consent").target()).await;
    let form = landed.page().form("allow");
    let answer = browser.post(&server, &form.action, &form.pairs()).await;
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    let landed = browser.open(&server, answer.header("location").unwrap()).await;
    assert_eq!(landed.path(), "/consent");
    hold(&server, "user", "alice", &["reader"]).await;
    let landed = browser.open(&server, answer.header("location").unwrap()).await;
    let (_, parameters) = landed.away();
    let tokens = server.tokens(value(&parameters, "code")).await;
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    let again = refresh(&server, &tokens.field("refresh_token")).await;
    assert_eq!((tokens.field("scope"), again.field("scope")), ("read".into(), "read".into()));
}

#[tokio::test]
async fn what_was_agreed_to_before_and_is_not_asked_about_comes_back_with_the_role() {
    let (server, mut browser) = (server().await, Browser::new());
    browser.code(&server, &asking(), "alice").await;
    hold(&server, "user", "alice", &["reader"]).await;
    let tokens = server.tokens(&browser.silent_code(&server, &asking()).await).await;
    assert_eq!(tokens.field("scope"), "read");
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    assert_eq!(refresh(&server, &tokens.field("refresh_token")).await.field("scope"), "read write");
}

#[tokio::test]
async fn a_first_party_client_is_granted_all_and_a_role_given_later_widens_what_it_has() {
    let server = server().await;
    server.update_client(APP.0, ClientSettings { first_party: true, ..web_app("The App", &[CALLBACK]) }).await;
    hold(&server, "user", "alice", &["reader"]).await;
    let tokens = server.tokens(&Browser::new().code(&server, &asking(), "alice").await).await;
    assert_eq!(tokens.field("scope"), "read");
    hold(&server, "user", "alice", &["reader", "writer"]).await;
    assert_eq!(scope(&server, &tokens.field("access_token")).await.as_deref(), Some("read write"));
}

#[tokio::test]
async fn who_holds_no_role_there_is_refused_and_signs_in_with_openid_all_the_same() {
    let (server, mut browser) = (server().await, Browser::new());
    let (_, parameters) = browser.sign_in(&server, &asking(), "bob").await.away();
    let said = "none of the roles of this person permits anything at what was asked for";
    assert_eq!((value(&parameters, "error"), value(&parameters, "error_description")), ("invalid_scope", said));
    let code = browser.code(&server, &asking().with("scope", "openid read").with("prompt", "login"), "bob").await;
    let tokens = server.tokens(&code).await;
    assert_eq!(tokens.field("scope"), "openid");
    let token = tokens.field("access_token");
    assert!(server.knows(&token).await && !server.is_active(API_SERVER, &token).await);
}

#[tokio::test]
async fn a_client_that_a_person_never_agreed_to_does_not_learn_of_their_roles_in_silence() {
    let (server, mut browser) = (server().await, Browser::new());
    let openid = Ask::new().with("client_id", crate::support::person::OTHER_APP.0);
    browser.code(&server, &openid, "bob").await;
    let silent = asking().with("prompt", "none");
    assert_eq!(browser.error(&server, &silent).await, "consent_required", "bob holds none");
    hold(&server, "user", "bob", &["reader"]).await;
    assert_eq!(browser.error(&server, &silent).await, "consent_required");
}

#[tokio::test]
async fn a_code_whose_person_lost_their_roles_is_refused_and_good_again_when_they_have_them() {
    let (server, mut browser) = (server().await, Browser::new());
    let code = browser.code(&server, &asking(), "alice").await;
    hold(&server, "user", "alice", &[]).await;
    for _ in 0..2 {
        assert_eq!(server.redeem(APP, &code, &[]).await.seen(), NOTHING_LEFT);
    }
    hold(&server, "user", "alice", &["writer"]).await;
    assert_eq!(server.tokens(&code).await.field("scope"), "write");
    assert_eq!(refusal(&server.redeem(APP, &code, &[]).await), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn a_check_that_looks_at_roles_reads_nothing_once_it_is_warm_and_once_when_it_is_cold() {
    let server = server().await;
    let token = token_of_alice(&server).await;
    let server = server.restart().await;
    // The caller and the keys.
    assert!(!server.is_active(API_SERVER, "oat_rubbish").await);
    let reads = server.app.store.reads();
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read write"));
    assert_eq!(server.app.store.reads(), reads + 1);
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read write"));
    assert_eq!(server.app.store.reads(), reads + 1);
    alone(&server).await;
    let before = (server.app.store.steps(), server.app.store.reads());
    alone(&server).await;
    assert_eq!((server.app.store.steps(), server.app.store.reads()), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_a_role_was_taken_away_no_check_shows_what_it_permitted_however_many_tokens_are_minted_meanwhile() {
    let server = Arc::new(server().await);
    for _ in 0..5 {
        hold(&server, "client", MACHINE.0, &["reader", "writer"]).await;
        let taken = Arc::new(AtomicBool::new(false));
        let minting: Vec<_> = (0..4)
            .map(|_| {
                let (server, taken) = (Arc::clone(&server), Arc::clone(&taken));
                tokio::spawn(async move {
                    let mut tokens = Vec::new();
                    while !taken.load(Ordering::SeqCst) {
                        let token = alone(&server).await.field("access_token");
                        let began_after = taken.load(Ordering::SeqCst);
                        let seen = scope(&server, &token).await;
                        assert!(!began_after || seen.as_deref() == Some("read"), "{seen:?}");
                        tokens.push(token);
                    }
                    tokens
                })
            })
            .collect();
        hold(&server, "client", MACHINE.0, &["reader"]).await;
        taken.store(true, Ordering::SeqCst);
        for minting in minting {
            for token in minting.await.unwrap() {
                assert_eq!(scope(&server, &token).await.as_deref(), Some("read"));
            }
        }
    }
}

const DECLARED: &str = r#"
[[workspace]]
name = "default"
[[workspace.resource]]
uri = "https://api.example/"
scopes = "read write"
requires_roles = true
[[workspace.role]]
name = "accountant"
description = "keeps the books"
permissions = { "https://api.example/" = "read write" }
[[workspace.client]]
client_id = "robot"
secret = { env = "ROBOT" }
grant_types = ["client_credentials"]
access = { "https://api.example/" = "read write" }
default_resources = ["https://api.example/"]
roles = ["accountant"]
[[workspace.user]]
username = "carol"
roles = ["accountant"]
"#;

async fn apply(server: &Server, document: &str, prune: bool) -> Result<Vec<String>, String> {
    let document = toml::from_str(document).unwrap();
    let source = opalid_core::apply::SecretSource::Env("ROBOT".into());
    let secrets = vec![(source, opalid::manage::Handed::new("ocs_robot-secret-of-it".into()))];
    let command = Command::Apply(Declared { document, secrets, prune });
    match handle(&server.app, Request { workspace: None, command }).await {
        Ok(Reply::Applied(applied)) => {
            assert_eq!(applied.stopped, None);
            let told = |done: &opalid::manage::apply::Done| {
                format!("{:?} {} {}", done.change.verb, done.change.kind.name(), done.change.name)
            };
            Ok(applied.done.iter().map(told).collect())
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn roles_are_declared_exported_and_pruned_with_those_who_hold_them() {
    let server = Server::empty().await;
    let done = apply(&server, DECLARED, false).await.unwrap();
    let made =
        ["Create resource https://api.example/", "Create role accountant", "Create client robot", "Create user carol"];
    assert_eq!(done, made);
    assert_eq!(apply(&server, DECLARED, true).await.unwrap(), [""; 0], "a second run has nothing to do");
    let robot = ("robot", "ocs_robot-secret-of-it");
    let own = server.form_post_as(robot, "/token", &[CLIENT_CREDENTIALS]).await;
    assert_eq!(own.field("scope"), "read write");

    let command = Command::Export { users: true };
    let Reply::Document(exported) = handle(&server.app, Request { workspace: None, command }).await.unwrap() else {
        panic!()
    };
    let workspace = &exported.listed()[0];
    assert_eq!(workspace.roles.as_ref().unwrap()[0].settings.description, "keeps the books");
    assert_eq!(workspace.users.as_ref().unwrap()[0].roles, ["accountant"]);
    assert_eq!(workspace.clients.as_ref().unwrap()[0].roles, ["accountant"]);

    let without = DECLARED.replace("roles = [\"accountant\"]\n", "");
    assert_eq!(apply(&server, &without, false).await.unwrap(), ["Update client robot", "Update user carol"]);
    assert!(!server.is_active(robot, &own.field("access_token")).await);
    let (before, rest) = without.split_once("[[workspace.role]]").unwrap();
    let (_, after) = rest.split_once("[[workspace.client]]").unwrap();
    let none = format!(
        "{}[[workspace.client]]{after}",
        before.replacen("name = \"default\"\n", "name = \"default\"\nrole = []\n", 1)
    );
    assert_eq!(apply(&server, &none, true).await.unwrap(), ["Delete role accountant"]);
}

#[tokio::test]
async fn what_is_wrong_with_roles_is_told_before_anything_is_changed() {
    let server = Server::empty().await;
    for (from, to, said) in [
        ("name = \"accountant\"", "name = \"a b\"", "workspace default, role a b: the name of a role has 1 to 100"),
        (
            "= \"read write\" }\n[[workspace.client]]",
            "= \"read audit\" }\n[[workspace.client]]",
            "permissions: https://api.example/ has no scope audit",
        ),
        (
            "roles = [\"accountant\"]\n[[",
            "roles = [\"boss\"]\n[[",
            "workspace default, client robot: roles: there is no role boss",
        ),
        (
            "username = \"carol\"\nroles = [\"accountant\"]",
            "username = \"carol\"\nroles = [\"boss\"]",
            "workspace default, user carol: roles: there is no role boss",
        ),
    ] {
        assert!(DECLARED.contains(from), "{from}");
        let refused = apply(&server, &DECLARED.replacen(from, to, 1), false).await.unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
    assert_eq!(apply(&server, DECLARED, false).await.unwrap().len(), 4, "nothing was made before");
}

#[tokio::test]
async fn whoever_administers_sees_roles_and_who_holds_them() {
    let server = server().await;
    let ask = async |command| handle(&server.app, Request { workspace: None, command }).await;
    let Ok(Reply::Roles(page)) = ask(Command::ListRoles { paging: Default::default() }).await else { panic!() };
    let mut names: Vec<_> = page.rows.iter().map(|row| (row.name.as_str(), row.resources)).collect();
    names.sort_unstable();
    assert_eq!(names, [("reader", 1), ("writer", 1)]);
    let Ok(Reply::Role(role)) = ask(Command::ShowRole { name: "reader".into() }).await else { panic!() };
    assert_eq!(role.settings.permissions[API].as_str(), "read");
    let Ok(Reply::User(alice)) = ask(Command::ShowUser { username: "alice".into() }).await else { panic!() };
    let Ok(Reply::Client(machine)) = ask(Command::ShowClient { client_id: MACHINE.0.into() }).await else { panic!() };
    assert_eq!(
        (alice.roles, machine.roles),
        (vec!["reader".to_owned(), "writer".into()], vec!["reader".into(), "writer".into()])
    );
    let unknown = ask(Command::ShowRole { name: "boss".into() }).await.unwrap_err();
    assert_eq!(unknown.to_string(), "workspace default has no role boss; see: opalid role list");
}

#[tokio::test]
async fn what_happens_to_roles_stands_in_the_audit_log() {
    let server = server().await;
    hold(&server, "user", "alice", &["reader"]).await;
    change(&server, "role", "update", "writer", json!({"description": "writes"})).await;
    change(&server, "role", "delete", "writer", json!({})).await;
    let command = Command::Events { follow: false, paging: Default::default() };
    let Ok(Reply::Events(page)) = handle(&server.app, Request { workspace: None, command }).await else { panic!() };
    let told: Vec<String> =
        page.rows.iter().map(|row| format!("{} {} {}", row.action, row.target, row.detail)).collect();
    for expected in [
        "role.created role writer ",
        "user.updated user alice roles",
        "client.updated client machine roles",
        "role.updated role writer description",
        "role.deleted role writer ",
    ] {
        assert!(told.iter().any(|told| told == expected), "{expected}: {told:#?}");
    }
    assert!(page.rows.iter().all(|row| !row.action.starts_with("role.") || row.initiator == "operator"));
}

#[tokio::test]
async fn the_inspector_shows_what_a_jwt_says_and_not_what_its_grant_came_to_have_since() {
    let server = server().await;
    change(&server, "resource", "update", API, json!({"access_token_format": "jwt", "introspects_jwts": true})).await;
    hold(&server, "client", MACHINE.0, &["reader"]).await;
    let token = alone(&server).await.field("access_token");
    hold(&server, "client", MACHINE.0, &["reader", "writer"]).await;
    assert_eq!(scope(&server, &token).await.as_deref(), Some("read"));
    let seen = inspected(&server, &token).await;
    let [only] = seen.may.as_slice() else { panic!("{seen:?}") };
    assert!(seen.active && only.resource == API, "{seen:?}");
    assert_eq!((only.scopes.to_string(), only.today.as_ref().unwrap().to_string()), ("read".into(), "read".into()));
}
