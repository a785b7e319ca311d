//! Security events: what each of them kills, what it leaves alive, and that nothing comes back.

mod matrix;

use std::sync::Arc;

use opalid_core::grant::{Ancestor, Authentication, Birth, Lineage};
use opalid_core::ids::SessionId;
use opalid_core::time::Seconds;
use opalid_core::token::{RowSecret, SessionCookie};
use opalid_store::steps::client::ClientEvent;
use opalid_store::steps::session::{EndSession, StartSession};
use opalid_store::steps::user::UserEvent;
use tokio::sync::mpsc;

use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::person::{APP, Ask, OTHER_APP, password_of, refusal, value};

/// A server, alice's browser, and two tokens of hers: bound to her session, and offline.
async fn with_tokens() -> (Server, Browser, String, String) {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let bound = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await;
    let landed = browser.open(&server, &Ask::new().with("scope", "openid offline_access").target()).await;
    let (_, parameters) = browser.allow(&server, landed).await.away();
    let offline = server.tokens(value(&parameters, "code")).await;
    let (bound, offline) = (bound.field("access_token"), offline.field("access_token"));
    assert_eq!(alive(&server, &bound, &offline).await, (true, true));
    (server, browser, bound, offline)
}

/// Which of the two are alive: introspection and userinfo agree.
async fn alive(server: &Server, bound: &str, offline: &str) -> (bool, bool) {
    for token in [bound, offline] {
        assert_eq!(server.is_active(APP, token).await, server.knows(token).await);
    }
    (server.knows(bound).await, server.knows(offline).await)
}

async fn is_signed_in(server: &Server, browser: &Browser) -> bool {
    let ask = Ask::new().with("prompt", "none");
    let (_, parameters) = browser.clone().open(server, &ask.target()).await.away();
    parameters.iter().any(|(name, _)| name == "code")
}

#[tokio::test]
async fn suspending_a_user_kills_everything_of_theirs_and_resuming_revives_nothing() {
    let (server, mut browser, bound, offline) = with_tokens().await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    let bobs = server.tokens(&Browser::new().code(&server, &Ask::new(), "bob").await).await.field("access_token");
    for event in [UserEvent::Suspended, UserEvent::Resumed] {
        server.touch_user("alice", event).await;
        assert_eq!(alive(&server, &bound, &offline).await, (false, false), "{event:?}");
        assert!(!is_signed_in(&server, &browser).await, "{event:?}");
        assert_eq!(refusal(&server.redeem(APP, &code, &[]).await), (400, "invalid_grant".into()), "{event:?}");
    }
    assert!(server.knows(&bobs).await, "others live on");
    browser.code(&server, &Ask::new(), "alice").await;
    assert_eq!(alive(&server, &bound, &offline).await, (false, false), "nor does signing in");
}

#[tokio::test]
async fn revoking_a_user_kills_everything_of_theirs_and_lets_them_sign_in() {
    let (server, mut browser, bound, offline) = with_tokens().await;
    server.touch_user("alice", UserEvent::Revoked).await;
    assert_eq!(alive(&server, &bound, &offline).await, (false, false));
    assert!(!is_signed_in(&server, &browser).await);
    let token = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await.field("access_token");
    assert!(server.knows(&token).await);
}

#[tokio::test]
async fn signing_out_everywhere_kills_sessions_and_what_is_bound_to_them_but_not_offline_grants() {
    let (server, browser, bound, offline) = with_tokens().await;
    let mut elsewhere = Browser::new();
    elsewhere.code(&server, &Ask::new(), "alice").await;
    server.touch_user("alice", UserEvent::SignedOutEverywhere).await;
    assert_eq!(alive(&server, &bound, &offline).await, (false, true));
    assert!(!is_signed_in(&server, &browser).await && !is_signed_in(&server, &elsewhere).await);
}

#[tokio::test]
async fn ending_a_session_kills_what_is_bound_to_it_but_neither_offline_grants_nor_other_sessions() {
    let (server, browser, bound, offline) = with_tokens().await;
    let mut elsewhere = Browser::new();
    let other = server.tokens(&elsewhere.code(&server, &Ask::new(), "alice").await).await.field("access_token");
    let code = browser.clone().silent_code(&server, &Ask::new()).await;
    let id_token = server.tokens(&browser.clone().silent_code(&server, &Ask::new()).await).await;
    let id: SessionId = server.id_token(&id_token).await.sid.unwrap().parse().unwrap();
    let step = EndSession { stamp: server.app.stamp(server.app.root, "test"), id };
    assert!(server.app.store.run(step).await.unwrap());
    assert_eq!(alive(&server, &bound, &offline).await, (false, true));
    assert!(!is_signed_in(&server, &browser).await && is_signed_in(&server, &elsewhere).await);
    assert!(server.knows(&other).await);
    assert_eq!(refusal(&server.redeem(APP, &code, &[]).await), (400, "invalid_grant".into()));
}

#[tokio::test]
async fn suspending_or_revoking_a_client_kills_what_it_was_given_and_resuming_revives_nothing() {
    for event in [ClientEvent::Suspended, ClientEvent::Revoked] {
        let (server, mut browser, bound, offline) = with_tokens().await;
        let landed = browser.open(&server, &Ask::new().with("client_id", OTHER_APP.0).target()).await;
        let (_, parameters) = browser.allow(&server, landed).await.away();
        let other = server.redeem(OTHER_APP, value(&parameters, "code"), &[]).await.field("access_token");
        server.touch_client(APP.0, event).await;
        assert!(!server.knows(&bound).await && !server.knows(&offline).await, "{event:?}");
        server.touch_client(APP.0, ClientEvent::Resumed).await;
        assert_eq!(alive(&server, &bound, &offline).await, (false, false), "{event:?}");
        assert!(server.knows(&other).await && is_signed_in(&server, &browser).await);
    }
}

#[tokio::test]
async fn a_user_suspended_between_authorize_and_token_gets_nothing() {
    for then in [None, Some(UserEvent::Resumed)] {
        let (server, mut browser) = (Server::with_people().await, Browser::new());
        let code = browser.code(&server, &Ask::new(), "alice").await;
        server.touch_user("alice", UserEvent::Suspended).await;
        if let Some(event) = then {
            server.touch_user("alice", event).await;
        }
        assert_eq!(refusal(&server.redeem(APP, &code, &[]).await), (400, "invalid_grant".into()));
    }
}

#[tokio::test]
async fn a_user_suspended_between_sign_in_and_consent_gets_no_code() {
    for then in [None, Some(UserEvent::Resumed)] {
        let (server, mut browser) = (Server::with_people().await, Browser::new());
        let landed = browser.open(&server, &Ask::new().target()).await;
        let landed = browser.give_password(&server, landed, "alice", &password_of("alice")).await;
        let form = landed.page().form("allow");
        server.touch_user("alice", UserEvent::Suspended).await;
        if let Some(event) = then {
            server.touch_user("alice", event).await;
        }
        assert_eq!(browser.submit(&server, &form).await.path(), "/sign-in");
        assert_eq!(browser.error(&server, &Ask::new().with("prompt", "none")).await, "login_required");
    }
}

#[tokio::test]
async fn a_session_made_while_its_user_was_banned_is_dead_on_arrival() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    browser.code(&server, &Ask::new(), "alice").await;
    // What a sign-in does whose password check is overtaken by the ban: credentials read, ban, session written.
    let user = server.find_user("alice").await;
    let issuer = server.app.find_issuer(None).await.unwrap().unwrap();
    for event in [UserEvent::Suspended, UserEvent::Resumed] {
        server.touch_user("alice", event).await;
        let id = SessionId::from_bytes(server.app.new_id());
        let secret = RowSecret::<SessionCookie>::new(*id.as_bytes(), 0, opalid::random::bytes());
        let births = [
            Birth { ancestor: Ancestor::Workspace(issuer.id()), epoch: issuer.workspace().epoch },
            Birth { ancestor: Ancestor::User(user.id), epoch: user.epoch },
            Birth { ancestor: Ancestor::Credentials(user.id), epoch: user.credentials },
        ];
        let step = StartSession {
            stamp: server.app.stamp(server.app.root, "test"),
            id,
            user: user.id,
            digest: secret.digest(),
            lineage: Lineage::new(births),
            authentication: Authentication { auth_time: server.app.now(), acr: "1".into(), amr: vec!["pwd".into()] },
            expires_at: server.app.now().plus(Seconds(3600)),
            previous: None,
            requests: Vec::new(),
        };
        server.app.store.run(step).await.unwrap();
        let cookie = issuer.row_sealer.seal_row(&secret, opalid::random::bytes());
        browser.set_cookie("opalid-default-session", Some(&cookie));
        assert!(!is_signed_in(&server, &browser).await, "{event:?}");
    }
}

#[tokio::test]
async fn what_was_revoked_stays_dead_after_a_restart() {
    let (server, browser, bound, offline) = with_tokens().await;
    server.touch_user("alice", UserEvent::SignedOutEverywhere).await;
    let server = server.restart().await;
    assert_eq!(alive(&server, &bound, &offline).await, (false, true));
    assert!(!is_signed_in(&server, &browser).await);
    server.touch_user("alice", UserEvent::Suspended).await;
    server.touch_user("alice", UserEvent::Resumed).await;
    let server = server.restart().await;
    assert_eq!(alive(&server, &bound, &offline).await, (false, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_a_suspension_has_returned_nothing_that_was_minted_beside_it_is_active() {
    let server = Arc::new(Server::with_people().await);
    for round in 0..20 {
        let mut browser = Browser::new();
        browser.code(&server, &Ask::new(), "alice").await;
        let (minted, mut first) = mpsc::unbounded_channel();
        let one = |_| tokio::spawn(mint(Arc::clone(&server), browser.clone(), minted.clone()));
        let tasks: Vec<_> = (0..4).map(one).collect();
        // Once there is a token, and into another moment of the minting each time.
        first.recv().await.unwrap();
        for _ in 0..round * 3 {
            tokio::task::yield_now().await;
        }
        server.touch_user("alice", UserEvent::Suspended).await;
        let mut tokens = Vec::new();
        for task in tasks {
            tokens.extend(task.await.unwrap());
        }
        assert!(!tokens.is_empty());
        for token in &tokens {
            assert!(!server.is_active(APP, token).await, "round {round}");
        }
        server.touch_user("alice", UserEvent::Resumed).await;
        for token in &tokens {
            assert!(!server.is_active(APP, token).await, "round {round}, resumed");
        }
    }
}

/// Codes and tokens until the session is gone.
async fn mint(server: Arc<Server>, mut browser: Browser, minted: mpsc::UnboundedSender<()>) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..20 {
        let (_, parameters) = browser.open(&server, &Ask::new().with("prompt", "none").target()).await.away();
        let Some((_, code)) = parameters.iter().find(|(name, _)| name == "code") else { break };
        let answer = server.redeem(APP, code, &[]).await;
        if answer.status == 200 {
            tokens.push(answer.field("access_token"));
            minted.send(()).ok();
        }
    }
    tokens
}
