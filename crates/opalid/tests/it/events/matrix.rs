//! The matrix of docs/security-events.md, row by row: what each event kills is dead, and all the rest lives on.

use opalid::manage::{Command, Handed, Paging, Reply, Request, handle};
use opalid_core::client::ClientSettings;
use opalid_core::request::GrantType;
use opalid_store::steps::client::ClientEvent::{Resumed as ClientResumed, Suspended as ClientSuspended};
use serde_json::json;

use crate::apply::change;
use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::http::{Answer, encode};
use crate::support::person::{
    API, API_SERVER, APP, Ask, CALLBACK, OTHER_APP, password_of, refusal, value, web_app, whole_profile,
};

/// Something that is alive before the event.
enum Part {
    Session(Browser),
    Access(String),
    /// An access token of a client for itself.
    Own(String),
    Refresh(String),
    Code(String),
}

/// Alice is signed in with two browsers, at APP with one and at OTHER_APP with the other; bob is signed in at APP.
struct World {
    server: Server,
    browser: Browser,
    id_token: String,
    sid: String,
    parts: Vec<(&'static str, Part)>,
}

/// Everything in it, by the columns of the matrix.
const EVERYTHING: [&[&str]; 5] = [SESSION, BOUND, OFFLINE, &["own access", "bob's access"], OTHERS];
const SESSION: &[&str] = &["session"];
const BOUND: &[&str] = &["access", "refresh", "code"];
const OFFLINE: &[&str] = &["offline access", "offline refresh", "offline code"];
const ELSEWHERE: &[&str] = &["session elsewhere", "access elsewhere"];
const OTHERS: &[&str] = &["session elsewhere", "access elsewhere", "bob's session", "another client's own access"];
/// What APP has got: also of bob, and for itself.
const OF_APP: [&[&str]; 3] = [BOUND, OFFLINE, &["own access", "bob's access"]];
const OF_ALICE: [&[&str]; 4] = [SESSION, BOUND, OFFLINE, ELSEWHERE];

/// A client that signs people in, and asks for itself.
fn app(name: &str) -> ClientSettings {
    let grant_types = vec![GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];
    ClientSettings { grant_types, default_resources: vec![API.into()], ..web_app(name, &[CALLBACK]) }
}

async fn code(server: &Server, browser: &mut Browser, scope: &str) -> String {
    let landed = browser.open(server, &Ask::new().with("scope", scope).target()).await;
    let (_, parameters) = browser.allow(server, landed).await.away();
    value(&parameters, "code").to_owned()
}

async fn world() -> World {
    let server = Server::with_people().await;
    server.update_client(APP.0, app("The App")).await;
    server.update_client(OTHER_APP.0, app("The Other App")).await;
    let (mut browser, mut elsewhere, mut bobs) = (Browser::new(), Browser::new(), Browser::new());
    let ask = Ask::new().with("scope", "openid read");
    let bound = server.tokens(&browser.code(&server, &ask, "alice").await).await;
    let offline = server.tokens(&code(&server, &mut browser, "openid read offline_access").await).await;
    let there = elsewhere.code(&server, &ask.clone().with("client_id", OTHER_APP.0), "alice").await;
    let there = server.redeem(OTHER_APP, &there, &[]).await;
    let bob = server.tokens(&bobs.code(&server, &ask, "bob").await).await;
    let parts = vec![
        ("session", Part::Session(browser.clone())),
        ("access", Part::Access(bound.field("access_token"))),
        ("refresh", Part::Refresh(bound.field("refresh_token"))),
        ("code", Part::Code(code(&server, &mut browser, "openid read").await)),
        ("offline access", Part::Access(offline.field("access_token"))),
        ("offline refresh", Part::Refresh(offline.field("refresh_token"))),
        ("offline code", Part::Code(code(&server, &mut browser, "openid read offline_access").await)),
        ("own access", Part::Own(server.token_of(APP).await)),
        ("session elsewhere", Part::Session(elsewhere)),
        ("access elsewhere", Part::Access(there.field("access_token"))),
        ("bob's session", Part::Session(bobs)),
        ("bob's access", Part::Access(bob.field("access_token"))),
        ("another client's own access", Part::Own(server.token_of(OTHER_APP).await)),
    ];
    let sid = server.id_token(&bound).await.sid.unwrap();
    World { server, browser, id_token: bound.field("id_token"), sid, parts }
}

impl World {
    fn token(&self, name: &str) -> Handed {
        match &self.parts.iter().find(|(found, _)| *found == name).unwrap().1 {
            Part::Access(token) | Part::Own(token) | Part::Refresh(token) | Part::Code(token) => {
                Handed::new(token.clone())
            }
            Part::Session(_) => panic!("{name} is no token"),
        }
    }

    /// What is dead, in order. Refusals of the token endpoint are these.
    async fn dead(&self, refused: &(u16, String)) -> Vec<&'static str> {
        let mut dead = Vec::new();
        for (name, part) in &self.parts {
            if !is_alive(&self.server, part, refused).await {
                dead.push(*name);
            }
        }
        dead
    }
}

async fn is_alive(server: &Server, part: &Part, refused: &(u16, String)) -> bool {
    let taken = |answer: Answer| {
        assert!(answer.status == 200 || refusal(&answer) == *refused, "{answer:?}");
        answer.status == 200
    };
    match part {
        Part::Session(browser) => is_session(server, browser).await,
        Part::Access(token) => {
            let active = server.is_active(API_SERVER, token).await;
            assert_eq!(server.knows(token).await, active, "introspection and userinfo agree");
            active
        }
        Part::Own(token) => server.is_active(API_SERVER, token).await,
        Part::Refresh(token) => {
            let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
            taken(server.form_post_as(APP, "/token", &fields).await)
        }
        Part::Code(code) => taken(server.redeem(APP, code, &[]).await),
    }
}

/// Whether the browser's cookie opens a session, whatever its person has agreed to.
async fn is_session(server: &Server, browser: &Browser) -> bool {
    let ask = Ask::new().with("client_id", OTHER_APP.0).with("prompt", "none");
    let (_, parameters) = browser.clone().open(server, &ask.target()).await.away();
    let error = parameters.iter().find(|(name, _)| name == "error").map(|(_, error)| error.as_str());
    assert!(matches!(error, None | Some("login_required" | "consent_required")), "{error:?}");
    error != Some("login_required")
}

async fn order(server: &Server, command: Command) -> Reply {
    handle(&server.app, Request { workspace: None, command }).await.unwrap()
}

async fn set_password_by_link(server: &Server) {
    let Reply::Link(link) = order(server, Command::LinkPassword { username: "alice".into() }).await else { panic!() };
    let (mut browser, new) = (Browser::new(), "margarete-likes-long-words");
    let form = browser.open(server, link.url.expose()).await.page().form("set-password");
    let form = form.with("new_password", new).with("confirm_password", new);
    assert_eq!(browser.submit(server, &form).await.path(), "/set-password/done");
}

async fn withdraw_consent(server: &Server) {
    let command = Command::ListConsents { user: Some("alice".into()), paging: Paging::default() };
    let Reply::Consents(page) = order(server, command).await else { panic!() };
    let of_app = page.rows.iter().find(|row| row.client_id == APP.0).unwrap();
    order(server, Command::WithdrawConsent { id: of_app.id.to_string() }).await;
}

/// Runs one row: the event, then what is dead is this and nothing else.
async fn row<F, Fut>(event: &str, refused: (u16, &str), dead: &[&[&str]], happens: F)
where
    F: FnOnce(World) -> Fut,
    Fut: Future<Output = World>,
{
    let world = happens(world().await).await;
    let expected = dead.concat();
    let refused = (refused.0, refused.1.to_owned());
    let found = world.dead(&refused).await;
    for (name, _) in &world.parts {
        assert_eq!(found.contains(name), expected.contains(name), "{event}: {name}, where true is dead");
    }
}

/// A row whose event is a command.
async fn commanded(event: &str, refused: (u16, &str), dead: &[&[&str]], make: impl FnOnce(&World) -> Command) {
    row(event, refused, dead, |world| async move {
        let command = make(&world);
        order(&world.server, command).await;
        world
    })
    .await;
}

const INVALID_GRANT: (u16, &str) = (400, "invalid_grant");
const INVALID_CLIENT: (u16, &str) = (401, "invalid_client");

#[tokio::test]
async fn what_is_revoked_by_itself_takes_no_more_with_it_than_its_grant() {
    commanded("an access token", INVALID_GRANT, &[&["access"]], |world| Command::RevokeToken {
        token: world.token("access"),
    })
    .await;
    let grant: [&[&str]; 1] = [&["access", "refresh"]];
    commanded("a refresh token", INVALID_GRANT, &grant, |world| Command::RevokeToken { token: world.token("refresh") })
        .await;
    commanded("a code", INVALID_GRANT, &[&["code"]], |world| Command::RevokeToken { token: world.token("code") }).await;
}

#[tokio::test]
async fn the_end_of_a_session_kills_it_and_what_is_bound_to_it() {
    let dead = [SESSION, BOUND];
    commanded("a session", INVALID_GRANT, &dead, |world| Command::RevokeSession { id: world.sid.clone() }).await;
    row("sign-out", INVALID_GRANT, &dead, |world| async move {
        let target = format!("/logout?{}", encode(&[("id_token_hint", &world.id_token)]));
        assert_eq!(world.browser.clone().open(&world.server, &target).await.path(), "/signed-out");
        world
    })
    .await;
    row("another person in the same browser", INVALID_GRANT, &dead, |world| async move {
        let mut browser = world.browser.clone();
        browser.sign_in(&world.server, &Ask::new().with("prompt", "login"), "bob").await.away();
        world
    })
    .await;
}

#[tokio::test]
async fn signing_out_everywhere_leaves_offline_grants_alone() {
    let dead = [SESSION, BOUND, ELSEWHERE];
    commanded("everywhere", INVALID_GRANT, &dead, |_| Command::SignOutEverywhere { username: "alice".into() }).await;
}

#[tokio::test]
async fn what_cuts_a_user_kills_everything_of_theirs() {
    let username = || String::from("alice");
    commanded("revoked", INVALID_GRANT, &OF_ALICE, |_| Command::RevokeUser { username: username() }).await;
    commanded("suspended", INVALID_GRANT, &OF_ALICE, |_| Command::SuspendUser { username: username() }).await;
    row("suspended and resumed", INVALID_GRANT, &OF_ALICE, |world| async move {
        order(&world.server, Command::SuspendUser { username: username() }).await;
        order(&world.server, Command::ResumeUser { username: username() }).await;
        world
    })
    .await;
}

#[tokio::test]
async fn a_new_password_kills_everything_of_its_user() {
    // The same password again: what counts is that it was set.
    let (username, password) = (String::from("alice"), Handed::new(password_of("alice")));
    commanded("by an administrator", INVALID_GRANT, &OF_ALICE, |_| Command::SetPassword { username, password }).await;
    row("by a link", INVALID_GRANT, &OF_ALICE, |world| async move {
        set_password_by_link(&world.server).await;
        world
    })
    .await;
}

#[tokio::test]
async fn a_user_who_is_deleted_takes_everything_along_and_one_made_anew_has_nothing_of_it() {
    for anew in [false, true] {
        row("deleted", INVALID_GRANT, &OF_ALICE, |world| async move {
            change(&world.server, "user", "delete", "alice", json!({})).await;
            if anew {
                world.server.user("alice", whole_profile("alice")).await;
            }
            world
        })
        .await;
    }
}

#[tokio::test]
async fn what_cuts_a_client_kills_all_that_it_was_given_and_no_session() {
    let client_id = || String::from(APP.0);
    commanded("revoked", INVALID_GRANT, &OF_APP, |_| Command::RevokeClient { client_id: client_id() }).await;
    commanded("suspended", INVALID_CLIENT, &OF_APP, |_| Command::SuspendClient { client_id: client_id() }).await;
    row("suspended and resumed", INVALID_GRANT, &OF_APP, |world| async move {
        world.server.touch_client(APP.0, ClientSuspended).await;
        world.server.touch_client(APP.0, ClientResumed).await;
        world
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_deleted_loses_all_that_it_was_given_and_one_made_anew_has_nothing_of_it() {
    row("deleted", INVALID_CLIENT, &OF_APP, |world| async move {
        change(&world.server, "client", "delete", APP.0, json!({})).await;
        world
    })
    .await;
    row("deleted and made anew", INVALID_GRANT, &OF_APP, |world| async move {
        change(&world.server, "client", "delete", APP.0, json!({})).await;
        world.server.client(APP.0, Some(APP.1), app("The App")).await;
        world
    })
    .await;
}

#[tokio::test]
async fn a_consent_that_is_withdrawn_kills_what_hangs_from_it_offline_or_not() {
    row("withdrawn", INVALID_GRANT, &[BOUND, OFFLINE], |world| async move {
        withdraw_consent(&world.server).await;
        world
    })
    .await;
}

#[tokio::test]
async fn a_workspace_that_is_revoked_or_put_back_begins_anew() {
    commanded("revoked", INVALID_GRANT, &EVERYTHING, |_| Command::RevokeWorkspace { yes: true }).await;
    row("put back from a copy", INVALID_GRANT, &EVERYTHING, |world| async move {
        World { server: world.server.put_back().await, ..world }
    })
    .await;
}

/// What a person and a client get at `/acme`, which has no consent page: the code, and the tokens.
async fn at_acme(server: &Server, browser: &mut Browser) -> [String; 4] {
    let target = format!("/acme{}", Ask::new().with("scope", "openid read").target());
    let (_, parameters) = browser.open(server, &target).await.away();
    let code = value(&parameters, "code").to_owned();
    let (_, parameters) = browser.open(server, &target).await.away();
    let fields =
        [("grant_type", "authorization_code"), ("code", value(&parameters, "code")), ("redirect_uri", CALLBACK)];
    let tokens = server.form_post_as(APP, "/acme/token", &fields).await;
    let own = server.token_at("/acme", APP).await;
    [code, tokens.field("access_token"), tokens.field("refresh_token"), own]
}

/// The workspace with the API, APP and alice in it.
async fn make_acme(server: &Server) {
    let id = server.workspace("acme").await;
    server.resource_in(id, API, "read write").await;
    server.client_in(id, APP.0, Some(APP.1), ClientSettings { first_party: true, ..app("The App") }).await;
    server.user_in(id, "alice", whole_profile("alice")).await;
}

#[tokio::test]
async fn a_workspace_that_is_deleted_takes_everything_along_and_one_made_anew_has_nothing_of_it() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    server.update_client(APP.0, app("The App")).await;
    let roots = server.token_of(APP).await;
    make_acme(&server).await;
    let ask = format!("/acme{}", Ask::new().with("scope", "openid read").target());
    let landed = browser.open(&server, &ask).await;
    browser.sign_in_at(&server, landed, "alice").await.away();
    let [code, access, refresh, own] = &at_acme(&server, &mut browser).await;
    let redeem = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    let rotate = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    for token in [access, own] {
        let answer = server.form_post_as(APP, "/acme/introspect", &[("token", token)]).await;
        assert_eq!(answer.json()["active"], true);
    }
    change(&server, "workspace", "delete", "acme", json!({})).await;
    for (path, fields) in [("token", &redeem[..]), ("token", &rotate), ("introspect", &[("token", access)])] {
        assert_eq!(server.form_post_as(APP, &format!("/acme/{path}"), fields).await.seen(), "404");
    }
    make_acme(&server).await;
    for token in [access, own] {
        let answer = server.form_post_as(APP, "/acme/introspect", &[("token", token)]).await;
        assert_eq!(answer.seen(), r#"200 {"active":false}"#);
    }
    for fields in [&redeem[..], &rotate] {
        assert_eq!(refusal(&server.form_post_as(APP, "/acme/token", fields).await), (400, "invalid_grant".into()));
    }
    assert!(browser.open(&server, &ask).await.page().has("sign-in"), "the old session is dead");
    assert!(server.is_active(API_SERVER, &roots).await, "the other workspace lives on");
}
