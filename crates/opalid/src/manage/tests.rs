//! Tests of the handlers.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use opalid_core::code::CodeBinding;
use opalid_core::grant::{
    Ancestor, Authentication, Birth, Descent, Entitlement, EntitlementNo, Epoch, Grant, Guard, Lineage,
};
use opalid_core::ids::{CodeId, ConsentId, EventId, GrantId, LinkId, SessionId, UserId};
use opalid_core::scope::Scopes;
use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token::{
    Access, Code, Jti, PasswordLink, PresentedToken, RowSecret, Sealed, SecretDigest, SessionCookie,
};
use opalid_store::steps::code::IssueCode;
use opalid_store::steps::consent::GiveConsent;
use opalid_store::steps::evidence::GrantFacts;
use opalid_store::steps::password::{FindPasswordLink, RedeemPasswordLink, RedeemedLink};
use opalid_store::steps::session::StartSession;
use opalid_store::steps::user::{FindCredentials, TouchUser};

use super::events::Follower;
use super::*;
use crate::clock::Clock;
use crate::passwords::password_hash::{HashCost, HasherSettings};
use crate::random;
use crate::start::{Starting, start};

/// A server in a folder of its own, removed at the end.
pub(crate) struct TestServer {
    pub app: Arc<App>,
    pub data: PathBuf,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.data));
    }
}

pub(crate) fn folder() -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("opalid-manage-{}-{number}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    folder
}

pub(crate) async fn server(demo: bool) -> TestServer {
    let data = folder();
    let starting = Starting {
        data: data.clone(),
        location: None,
        master_key: None,
        master_key_from: None,
        hasher: HasherSettings { cost: HashCost { memory_kib: 8, passes: 1, lanes: 1 }, threads: 1, waiting: 8 },
        trusted_proxies: Vec::new(),
        audit_kept: Seconds(90 * 24 * 3600),
        issuer: "http://localhost:8080".into(),
        clock: Clock::manual(UnixTime(1_795_468_803)),
        boottime: crate::clock::boottime,
        lease: std::time::Duration::from_secs(5),
        demo,
        on_fatal: Arc::new(|why| panic!("{why}")),
    };
    TestServer { app: Arc::new(start(starting).await.unwrap()), data }
}

impl TestServer {
    /// Asks in the root workspace.
    pub async fn ask(&self, command: Command) -> Result<Reply, ManageError> {
        handle(&self.app, Request { workspace: None, command }).await
    }

    /// The epoch of a user.
    async fn epoch(&self, username: &str) -> u32 {
        let Reply::User(user) = self.ask(Command::ShowUser { username: username.into() }).await.unwrap() else {
            panic!()
        };
        user.epoch.0
    }

    /// What the inspector says against a token.
    pub async fn why(&self, token: &str) -> Option<String> {
        let command = Command::Inspect { token: Handed::new(token.into()) };
        let Reply::Inspected(inspection) = self.ask(command).await.unwrap() else { panic!() };
        assert_eq!(inspection.active, inspection.why.is_none());
        inspection.why
    }

    async fn start_session(&self, user: UserId, lineage: Lineage, authentication: Authentication) -> SessionId {
        let app = &self.app;
        let cookie = RowSecret::<SessionCookie>::new(app.new_id(), 0, random::bytes());
        let step = StartSession {
            stamp: app.stamp(app.root, "test"),
            id: SessionId::from_bytes(cookie.row),
            user,
            digest: cookie.digest(),
            lineage,
            authentication,
            expires_at: app.now().plus(Seconds(1000)),
            previous: None,
            requests: Vec::new(),
        };
        app.store.run(step).await.unwrap()
    }

    async fn issue(&self, grant: Grant, facts: GrantFacts, code: &RowSecret<Code>) {
        let app = &self.app;
        let binding =
            CodeBinding { redirect_uri: None, code_challenge: None, nonce: None, entitlement: EntitlementNo(0) };
        let step = IssueCode {
            stamp: app.stamp(app.root, "test"),
            session: facts.session.unwrap(),
            grant,
            facts,
            id: CodeId::from_bytes(code.row),
            digest: code.digest(),
            binding,
            expires_at: app.now().plus(Seconds(60)),
            answers: None,
        };
        assert!(app.store.run(step).await.unwrap());
    }

    /// Signs alice in at the demo's public client: her access token, her code, and what they hang from.
    pub async fn sign_in(&self) -> SignedIn {
        let app = &self.app;
        let store = &app.store;
        let issuer = app.find_issuer(None).await.unwrap().unwrap();
        let workspace = issuer.id();
        let key = "alice".to_owned();
        let user = store.read(FindCredentials { workspace, username_key: key }).await.unwrap().unwrap().user;
        let client = store.find_client(workspace, crate::demo::PUBLIC_CLIENT).await.unwrap().unwrap();
        let resource = store.find_resource(workspace, crate::demo::RESOURCE).await.unwrap().unwrap();
        let birth = |ancestor, epoch| Birth { ancestor, epoch };
        let person = [
            birth(Ancestor::Workspace(workspace), issuer.workspace().epoch),
            birth(Ancestor::User(user.id), user.epoch),
            birth(Ancestor::Credentials(user.id), user.credentials),
        ];
        let authentication = Authentication { auth_time: app.now(), acr: "1".into(), amr: vec!["pwd".into()] };
        let session = self.start_session(user.id, Lineage::new(person), authentication.clone()).await;
        let own = [birth(Ancestor::Client(client.id), client.epoch), birth(Ancestor::Session(session), Epoch::FIRST)];
        let scopes = resource.settings.scopes.clone();
        let grant = Grant {
            id: GrantId::from_bytes(app.new_id()),
            guard: Guard::new(random::bytes()),
            epoch: Epoch::FIRST,
            standing: false,
            descent: Descent::new(client.id, Some(user.id), person.into_iter().chain(own)),
            entitlements: Arc::new([Arc::new(Entitlement::new(Scopes::default(), vec![(resource.id, scopes)]))]),
        };
        let code = RowSecret::<Code>::new(app.new_id(), 0, random::bytes());
        let sealed = Sealed {
            grant: grant.id,
            guard: grant.guard,
            entitlement: EntitlementNo(0),
            epoch: grant.epoch,
            issued_at: app.now(),
            expires_at: app.now().plus(Seconds(3600)),
            confirmation: None,
        };
        let id = grant.id;
        let facts = GrantFacts { authentication: Some(authentication), session: Some(session) };
        self.issue(grant, facts, &code).await;
        let token = issuer.sealer.seal::<Access>(&sealed, Jti([7; 12]));
        let code = issuer.row_sealer.seal_row(&code, [7; 12]);
        SignedIn { token, code, grant: id.to_string(), session: session.to_string() }
    }
}

/// What a sign-in left.
pub(crate) struct SignedIn {
    pub token: String,
    pub code: String,
    pub grant: String,
    pub session: String,
}

#[tokio::test]
async fn a_workspace_that_does_not_exist_is_named_in_the_error() {
    let server = server(false).await;
    let request = Request { workspace: Some("nowhere".into()), command: Command::ShowWorkspace {} };
    let error = handle(&server.app, request).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no workspace \"nowhere\"; see: opalid workspace list");
}

#[tokio::test]
async fn workspaces_are_listed_with_their_issuers() {
    let server = server(false).await;
    let Reply::Workspaces(page) = server.ask(Command::ListWorkspaces {}).await.unwrap() else { panic!() };
    let found: Vec<_> = page.rows.iter().map(|row| (&*row.name, &*row.issuer, row.root)).collect();
    assert_eq!(found, [("default", "http://localhost:8080", true)]);
}

#[test]
fn a_request_with_an_unknown_field_is_refused() {
    for good in [r#"{"command":{"do":"list_workspaces"}}"#, r#"{"workspace":"a","command":{"do":"show_workspace"}}"#] {
        assert!(serde_json::from_str::<Request>(good).is_ok(), "{good}");
    }
    for bad in [
        r#"{"command":{"do":"list_workspaces","more":1}}"#,
        r#"{"command":{"do":"list_workspaces"},"more":1}"#,
        r#"{"command":{"do":"something_else"}}"#,
    ] {
        assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn everything_that_can_be_revoked_says_why_its_tokens_are_dead() {
    let alice = || String::from("alice");
    let client = || String::from(crate::demo::PUBLIC_CLIENT);
    type Make = Box<dyn Fn(&SignedIn) -> Command>;
    let cases: [(Make, &str); 9] = [
        (Box::new(|_| Command::RevokeWorkspace { yes: true }), "everything below its workspace was cut"),
        (Box::new(move |_| Command::RevokeUser { username: alice() }), "everything below its user was cut"),
        (Box::new(move |_| Command::SuspendUser { username: alice() }), "everything below its user was cut"),
        (Box::new(move |_| Command::RevokeClient { client_id: client() }), "everything below its client was cut"),
        (Box::new(move |_| Command::SuspendClient { client_id: client() }), "everything below its client was cut"),
        (Box::new(|made| Command::RevokeSession { id: made.session.clone() }), "its session has ended"),
        (Box::new(|made| Command::RevokeGrant { id: made.grant.clone() }), "its grant was cut"),
        (Box::new(|made| Command::RevokeToken { token: Handed::new(made.code.clone()) }), "its grant was cut"),
        (Box::new(|made| Command::RevokeToken { token: Handed::new(made.token.clone()) }), "this token was revoked"),
    ];
    for (command, expected) in cases {
        let server = server(true).await;
        let made = server.sign_in().await;
        assert_eq!(server.why(&made.token).await, None);
        assert_eq!(server.why(&made.code).await, None);
        let command = command(&made);
        server.ask(command.clone()).await.unwrap();
        assert_eq!(server.why(&made.token).await.as_deref(), Some(expected), "{command:?}");
        let of_code = (expected != "this token was revoked").then_some(expected);
        assert_eq!(server.why(&made.code).await.as_deref(), of_code, "{command:?}");
        let metrics = server.app.metrics.render();
        let counted =
            metrics.lines().filter(|line| line.starts_with("opalid_revocations_total{") && line.ends_with(" 1"));
        assert_eq!(counted.count(), 1, "{command:?}: {metrics}");
    }
}

#[tokio::test]
async fn resuming_revives_nothing_and_what_is_made_afterwards_lives() {
    let server = server(true).await;
    let before = server.sign_in().await;
    server.ask(Command::SuspendUser { username: "alice".into() }).await.unwrap();
    let banned = server.sign_in().await;
    assert_eq!(server.why(&banned.token).await.as_deref(), Some("its user is suspended"));
    server.ask(Command::ResumeUser { username: "alice".into() }).await.unwrap();
    assert!(server.why(&before.token).await.is_some() && server.why(&banned.token).await.is_some());
    assert_eq!(server.why(&server.sign_in().await.token).await, None);
}

#[tokio::test]
async fn a_token_that_does_not_open_or_is_none_is_told_apart() {
    let server = server(true).await;
    let made = server.sign_in().await;
    let foreign = "not a token of this workspace, or changed on the way";
    let cut = &made.token[..made.token.len() - 1];
    let flipped = format!("{}{}", cut, if made.token.ends_with('A') { 'B' } else { 'A' });
    for bad in [cut, &flipped, "oat_", "oac_x", "ort_x"] {
        assert_eq!(server.why(bad).await.as_deref(), Some(foreign), "{bad}");
    }
    let error = server.ask(Command::Inspect { token: Handed::new("eyJ".into()) }).await.unwrap_err();
    assert!(error.to_string().contains("expected one that starts with oat_, ort_ or oac_"));
    server.app.clock.advance(60);
    assert_eq!(server.why(&made.code).await.as_deref(), Some("expired"));
    server.app.clock.advance(3540);
    assert_eq!(server.why(&made.token).await.as_deref(), Some("expired"));
}

#[tokio::test]
async fn a_password_set_by_an_administrator_kills_what_the_user_had() {
    let server = server(true).await;
    let made = server.sign_in().await;
    let set =
        |password: &str| Command::SetPassword { username: "alice".into(), password: Handed::new(password.into()) };
    let refused = server.ask(set("password")).await.unwrap_err();
    assert!(refused.to_string().starts_with("This is one of the most common passwords"));
    assert_eq!(server.epoch("alice").await, 1);
    server.ask(set("a horse of course")).await.unwrap();
    assert_eq!(server.epoch("alice").await, 2);
    assert_eq!(server.why(&made.token).await.as_deref(), Some("everything below its user was cut"));
}

/// A link for carol, who is made for it: its row and digest.
async fn link(server: &TestServer, command: Command) -> (LinkId, SecretDigest) {
    let Reply::Link(link) = server.ask(command).await.unwrap() else { panic!() };
    let token = link.url.expose().strip_prefix("http://localhost:8080/set-password?token=").unwrap();
    let issuer = server.app.find_issuer(None).await.unwrap().unwrap();
    let secret = issuer.row_sealer.open_row::<PasswordLink>(PresentedToken::new(token)).unwrap();
    (LinkId::from_bytes(secret.row), secret.digest())
}

async fn redeem(server: &TestServer, (id, digest): (LinkId, SecretDigest)) -> RedeemedLink {
    let app = &server.app;
    let find = FindPasswordLink { workspace: app.root, id, digest, now: app.now() };
    let usable = app.store.read(find).await.unwrap().is_some();
    let stamp = app.stamp(app.root, "test");
    let step = RedeemPasswordLink { stamp, id, digest, password_hash: "hash".into() };
    let redeemed = app.store.run(step).await.unwrap();
    assert_eq!(usable, redeemed != RedeemedLink::Dead);
    redeemed
}

#[tokio::test]
async fn a_link_sets_a_password_once_and_kills_what_the_user_had() {
    let server = server(false).await;
    let made = link(
        &server,
        Command::CreateUser {
            username: "carol".into(),
            fields: serde_json::Map::from_iter([("admin".to_owned(), true.into())]),
            link: true,
        },
    )
    .await;
    let forged = (made.0, SecretDigest::of(b"another secret"));
    assert_eq!(redeem(&server, forged).await, RedeemedLink::Dead);
    assert!(matches!(redeem(&server, made).await, RedeemedLink::Set(_)));
    assert_eq!(server.epoch("carol").await, 2);
    assert_eq!(redeem(&server, made).await, RedeemedLink::Dead);
    assert_eq!(server.epoch("carol").await, 2);
}

#[tokio::test]
async fn a_link_dies_of_age_and_of_whatever_kills_its_user() {
    let server = server(false).await;
    let new = || Command::LinkPassword { username: "carol".into() };
    let first =
        link(&server, Command::CreateUser { username: "carol".into(), fields: serde_json::Map::new(), link: true })
            .await;
    let second = link(&server, new()).await;
    assert!(matches!(redeem(&server, first).await, RedeemedLink::Set(_)));
    assert_eq!(redeem(&server, second).await, RedeemedLink::Dead, "the password was set since it was made");
    let banned = link(&server, new()).await;
    server.ask(Command::SuspendUser { username: "carol".into() }).await.unwrap();
    assert_eq!(redeem(&server, banned).await, RedeemedLink::Dead);
    assert!(server.ask(new()).await.unwrap_err().to_string().contains("opalid user resume carol"));
    server.ask(Command::ResumeUser { username: "carol".into() }).await.unwrap();
    assert_eq!(redeem(&server, banned).await, RedeemedLink::Dead);
    let late = link(&server, new()).await;
    server.app.clock.advance(24 * 3600);
    assert_eq!(redeem(&server, late).await, RedeemedLink::Dead);
}

#[tokio::test]
async fn signing_out_everywhere_kills_what_is_bound_to_sessions() {
    let server = server(true).await;
    let alice = server.sign_in().await;
    assert_eq!(server.why(&alice.token).await, None);
    server.ask(Command::SignOutEverywhere { username: "alice".into() }).await.unwrap();
    assert!(server.why(&alice.token).await.is_some());
    let error = server.ask(Command::SignOutEverywhere { username: "nobody".into() }).await.unwrap_err();
    assert!(error.to_string().contains("has no user nobody"), "{error}");
}

#[tokio::test]
async fn a_consent_is_listed_and_taken_back_once() {
    let server = server(true).await;
    let app = &server.app;
    let key = FindCredentials { workspace: app.root, username_key: "alice".into() };
    let user = app.store.read(key).await.unwrap().unwrap().user.id;
    let client = app.store.find_client(app.root, crate::demo::PUBLIC_CLIENT).await.unwrap().unwrap().id;
    let resource = app.store.find_resource(app.root, crate::demo::RESOURCE).await.unwrap().unwrap().id;
    let given = Entitlement::new(Scopes::parse("openid").unwrap(), vec![(resource, Scopes::parse("read").unwrap())]);
    let id = ConsentId::from_bytes(app.new_id());
    app.store.run(GiveConsent { stamp: app.stamp(app.root, "test"), id, user, client, given }).await.unwrap();

    let list = |user: &str| Command::ListConsents { user: Some(user.into()), paging: Paging::default() };
    let Reply::Consents(page) = server.ask(list("alice")).await.unwrap() else { panic!() };
    let found: Vec<_> =
        page.rows.iter().map(|row| (row.id, &*row.username, &*row.client_id, &*row.resources)).collect();
    let resources = [(crate::demo::RESOURCE.to_owned(), Scopes::parse("read").unwrap())];
    assert_eq!(found, [(id, "alice", crate::demo::PUBLIC_CLIENT, &resources[..])]);
    let Reply::Consents(page) = server.ask(list("bob")).await.unwrap() else { panic!() };
    assert!(page.rows.is_empty());

    let withdraw = || Command::WithdrawConsent { id: id.to_string() };
    server.ask(withdraw()).await.unwrap();
    let everyones = Command::ListConsents { user: None, paging: Paging::default() };
    let Reply::Consents(page) = server.ask(everyones).await.unwrap() else { panic!() };
    assert!(page.rows.is_empty());
    let error = server.ask(withdraw()).await.unwrap_err();
    assert!(error.to_string().ends_with("see: opalid consent list"), "{error}");
}

#[tokio::test]
async fn a_long_list_comes_in_parts_that_miss_nothing() {
    let server = server(false).await;
    let names = ["one", "two", "three", "four", "five"];
    for username in names {
        server
            .ask(Command::CreateUser { username: username.into(), fields: serde_json::Map::new(), link: false })
            .await
            .unwrap();
    }
    let mut found = Vec::new();
    let mut paging = Paging { after: None, limit: Some(2) };
    loop {
        let Reply::Users(page) = server.ask(Command::ListUsers { paging: paging.clone() }).await.unwrap() else {
            panic!()
        };
        assert!(page.rows.len() <= 2);
        found.extend(page.rows.into_iter().map(|row| row.username));
        let Some(next) = page.next else { break };
        paging.after = Some(next);
    }
    found.sort();
    assert_eq!(found, ["five", "four", "one", "three", "two"]);
    paging.after = Some("nonsense".into());
    assert!(server.ask(Command::ListUsers { paging }).await.is_err());
}

#[tokio::test]
async fn a_follower_sees_each_event_once_even_one_that_was_stamped_earlier() {
    let server = server(true).await;
    let operation = Operation::begin(&server.app, None).await.unwrap();
    let mut follower = Follower::default();
    assert!(follower.news(&operation).await.unwrap().is_empty(), "what was there before is not news");
    let early = operation.stamp();
    server.app.clock.advance(1);
    server.ask(Command::SuspendUser { username: "alice".into() }).await.unwrap();
    let actions = |events: Vec<events::Event>| events.into_iter().map(|event| event.action).collect::<Vec<_>>();
    assert_eq!(actions(follower.news(&operation).await.unwrap()), ["user.suspended"]);
    let id = server.app.store.read(FindCredentials { workspace: server.app.root, username_key: "bob".into() });
    let id = id.await.unwrap().unwrap().user.id;
    server.app.store.run(TouchUser { stamp: early, id, event: UserEvent::Resumed }).await.unwrap();
    assert_eq!(actions(follower.news(&operation).await.unwrap()), ["user.resumed"]);
    server.app.clock.advance(3600);
    server.ask(Command::ResumeUser { username: "alice".into() }).await.unwrap();
    assert_eq!(actions(follower.news(&operation).await.unwrap()), ["user.resumed"]);
    assert!(follower.news(&operation).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_follower_goes_on_after_a_row_and_misses_nothing_of_what_came_since() {
    let server = server(true).await;
    let operation = Operation::begin(&server.app, None).await.unwrap();
    server.app.clock.advance(60);
    let early = operation.stamp();
    server.app.clock.advance(1);
    server.ask(Command::SuspendUser { username: "alice".into() }).await.unwrap();
    let paging = Paging { after: None, limit: Some(1) };
    let Reply::Events(last) = server.ask(Command::Events { follow: false, paging }).await.unwrap() else { panic!() };
    let row = last.rows[0].id;
    server.app.clock.advance(60);
    let id = server.app.store.read(FindCredentials { workspace: server.app.root, username_key: "bob".into() });
    let id = id.await.unwrap().unwrap().user.id;
    // Stamped before the row, committed after it: it is not lost.
    server.app.store.run(TouchUser { stamp: early, id, event: UserEvent::Revoked }).await.unwrap();
    for _ in 0..1_100 {
        let event = UserEvent::SignedOutEverywhere;
        server.app.store.run(TouchUser { stamp: operation.stamp(), id, event }).await.unwrap();
    }
    let mut follower = Follower::after(&operation, &row.to_string()).await.unwrap();
    let found = all_news(&mut follower, &operation).await;
    assert_eq!((found.len(), &*found[0].action), (1_101, "user.revoked"));
    assert!(found.iter().all(|event| event.id != row));
    let distinct: std::collections::BTreeSet<_> = found.iter().map(|event| event.id).collect();
    assert_eq!(distinct.len(), found.len());
    server.ask(Command::ResumeUser { username: "alice".into() }).await.unwrap();
    let news = all_news(&mut follower, &operation).await;
    assert_eq!(news.iter().map(|event| &*event.action).collect::<Vec<_>>(), ["user.resumed"]);
    for (id, says) in [("nonsense", "is none"), ("0197d5a2-6c1e-7b1a-9c51-1f0e6f0a2b3c", "has no event 0197d5a2")] {
        let refused = Follower::after(&operation, id).await.unwrap_err().to_string();
        assert!(refused.contains(says) && refused.contains("opalid events -o json"), "{refused}");
    }
}

async fn all_news(follower: &mut Follower, operation: &Operation<'_>) -> Vec<events::Event> {
    let mut found = follower.news(operation).await.unwrap();
    while follower.has_more() {
        found.extend(follower.news(operation).await.unwrap());
    }
    found
}

#[tokio::test]
async fn every_change_is_the_operators_in_the_audit_log() {
    let server = server(true).await;
    server.app.clock.advance(1);
    server.ask(Command::RevokeWorkspace { yes: true }).await.unwrap();
    server.app.clock.advance(1);
    server.ask(Command::SuspendClient { client_id: crate::demo::PUBLIC_CLIENT.into() }).await.unwrap();
    let paging = Paging { after: None, limit: Some(2) };
    let Reply::Events(page) = server.ask(Command::Events { follow: false, paging }).await.unwrap() else { panic!() };
    let found: Vec<_> = page.rows.iter().map(|event| (&*event.action, &*event.initiator)).collect();
    assert_eq!(found, [("workspace.revoked", "operator"), ("client.suspended", "operator")]);
    assert!(page.next.is_some_and(|next| next.parse::<EventId>().is_ok()));
}

#[test]
fn a_secret_on_its_way_is_sent_and_never_shown() {
    let command = Command::SetPassword { username: "a".into(), password: Handed::new("secret words".into()) };
    assert!(!format!("{command:?}").contains("secret words"));
    assert!(serde_json::to_string(&command).unwrap().contains("secret words"));
}
