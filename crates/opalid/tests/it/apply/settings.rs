//! What is declared of a workspace takes effect at its endpoints.

use opalid_core::client::ClientSettings;
use opalid_core::token_settings::{SEALED_LIFETIME_MAX, TokenOverrides};

use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{API, API_SERVER, APP, Ask, CALLBACK, CHALLENGE, OTHER_APP, VERIFIER, refusal, web_app};

async fn refresh(server: &Server, token: &str) -> Answer {
    server.form_post_as(APP, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

const REFUSED: (u16, &str) = (400, "invalid_grant");

#[track_caller]
fn assert_refused(answer: &Answer) {
    let (status, error) = refusal(answer);
    assert_eq!((status, error.as_str()), REFUSED, "{answer:?}");
}

#[tokio::test]
async fn pkce_that_a_workspace_demands_is_demanded_of_confidential_clients_too_until_it_is_not() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let bare = Ask::new();
    let with = bare.clone().with("code_challenge", CHALLENGE).with("code_challenge_method", "S256");
    server.settings("require_pkce = true").await.unwrap();
    assert_eq!(browser.error(&server, &bare).await, "invalid_request");
    let other = bare.clone().with("client_id", OTHER_APP.0);
    assert_eq!(browser.error(&server, &other).await, "invalid_request", "of every client");
    let code = browser.code(&server, &with, "alice").await;
    assert_refused(&server.redeem(APP, &code, &[]).await);
    assert_eq!(server.redeem(APP, &code, &[("code_verifier", VERIFIER)]).await.status, 200);
    assert_eq!(browser.error(&server, &bare).await, "invalid_request", "of whoever is signed in as well");

    server.settings("require_pkce = false").await.unwrap();
    server.tokens(&browser.silent_code(&server, &bare).await).await;
    let code = browser.silent_code(&server, &with).await;
    assert_refused(&server.redeem(APP, &code, &[]).await);
    let public = Ask::public().without("code_challenge").without("code_challenge_method");
    assert_eq!(browser.error(&server, &public).await, "invalid_request", "a public client always needs it");
}

#[tokio::test]
async fn a_declared_access_token_lifetime_holds_for_what_is_issued_from_then_on() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let before = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await.field("access_token");
    server.settings("access_token_lifetime = 100\nid_token_lifetime = 200").await.unwrap();
    let tokens = server.tokens(&browser.silent_code(&server, &Ask::new()).await).await;
    assert_eq!(tokens.json()["expires_in"], 100);
    let claims = server.id_token(&tokens).await;
    assert_eq!(claims.exp.0 - claims.iat.0, 200);
    let short = tokens.field("access_token");
    let facts = server.introspect(APP, &short).await.json();
    assert_eq!(facts["exp"].as_i64().unwrap() - facts["iat"].as_i64().unwrap(), 100);
    server.clock.advance(99);
    assert!(server.is_active(APP, &short).await && server.knows(&short).await);
    server.clock.advance(1);
    assert!(!server.is_active(APP, &short).await && !server.knows(&short).await);
    server.clock.advance(3_499);
    assert!(server.is_active(APP, &before).await, "what was issued before keeps its hour");
    server.clock.advance(1);
    assert!(!server.is_active(APP, &before).await);
    let again = refresh(&server, &tokens.field("refresh_token")).await;
    assert_eq!(again.json()["expires_in"], 100);
}

#[tokio::test]
async fn an_access_token_never_lives_longer_than_thirty_days() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let most = SEALED_LIFETIME_MAX.0;
    assert_eq!(most, 30 * 24 * 3600);
    let refused = server.settings(&format!("access_token_lifetime = {}", most + 1)).await.unwrap_err();
    assert!(refused.contains("access_token_lifetime is at most 2592000 (30 days)"), "{refused}");
    let tokens = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await;
    assert_eq!(tokens.json()["expires_in"], 3600, "nothing was changed");

    // The session that it hangs from outlives it.
    let lines = format!("access_token_lifetime = {most}\nsession_absolute = {}", 2 * most);
    server.settings(&lines).await.unwrap();
    let code = Browser::new().code(&server, &Ask::new(), "alice").await;
    let tokens = server.tokens(&code).await;
    assert_eq!(tokens.json()["expires_in"], most);
    let token = tokens.field("access_token");
    server.clock.advance(i64::from(most) - 1);
    assert!(server.is_active(APP, &token).await);
    server.clock.advance(1);
    assert!(!server.is_active(APP, &token).await);
}

#[tokio::test]
async fn lifetimes_that_cannot_be_are_refused_and_change_nothing() {
    let server = Server::with_people().await;
    for (line, why) in [
        ("code_lifetime = 61", "code_lifetime is at most 60"),
        ("code_lifetime = 0", "code_lifetime is at least 1 second"),
        ("access_token_lifetime = 0", "access_token_lifetime is at least 1 second"),
        ("id_token_lifetime = 0", "id_token_lifetime is at least 1 second"),
        ("refresh_idle = 0", "refresh_idle is at least 1 second"),
        ("refresh_absolute = 0", "refresh_absolute is at least 1 second"),
        ("session_idle = 0", "session_idle is at least 1 second"),
        ("session_absolute = 0", "session_absolute is at least 1 second"),
        ("access_token_lifetime = -1", "expected a whole number of seconds below 4294967296"),
        ("access_token_lifetime = 4294967296", "expected a whole number of seconds below 4294967296"),
        ("access_token_lifetime = \"an hour\"", "expected a whole number of seconds below 4294967296"),
        ("access_token_live = 100", "access_token_live"),
    ] {
        let refused = server.settings(&format!("require_pkce = true\n{line}")).await.unwrap_err();
        assert!(refused.contains(why), "{line}: {refused}");
    }
    let code = Browser::new().code(&server, &Ask::new(), "alice").await;
    server.tokens(&code).await;
}

#[tokio::test]
async fn a_code_lives_as_long_as_is_declared() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    server.settings("code_lifetime = 20").await.unwrap();
    let code = browser.code(&server, &Ask::new(), "alice").await;
    server.clock.advance(19);
    server.tokens(&code).await;
    let code = browser.silent_code(&server, &Ask::new()).await;
    server.clock.advance(20);
    assert_refused(&server.redeem(APP, &code, &[]).await);
}

#[tokio::test]
async fn a_refresh_token_ends_when_it_rests_and_at_the_end_as_declared() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    server.settings("refresh_idle = 400\nrefresh_absolute = 1000").await.unwrap();
    let ask = Ask::new().with("scope", "openid offline_access");
    let used = server.tokens(&browser.code(&server, &ask, "alice").await).await.field("refresh_token");
    let resting = server.tokens(&browser.silent_code(&server, &ask).await).await.field("refresh_token");
    for _ in 0..2 {
        server.clock.advance(399);
        assert_eq!(refresh(&server, &used).await.status, 200);
    }
    assert_refused(&refresh(&server, &resting).await);
    server.clock.advance(201);
    assert_eq!(refresh(&server, &used).await.status, 200, "999 s after the sign-in");
    server.clock.advance(1);
    assert_refused(&refresh(&server, &used).await);
    let resting = server.tokens(&browser.silent_code(&server, &ask).await).await.field("refresh_token");
    server.clock.advance(400);
    assert_refused(&refresh(&server, &resting).await);
}

#[tokio::test]
async fn the_grace_of_a_refresh_is_as_long_as_declared() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    let rotating = opalid_core::client::ClientSettings {
        tokens: TokenOverrides { rotate_refresh_tokens: Some(true), ..TokenOverrides::default() },
        ..crate::support::person::web_app("Rotating", &[crate::support::person::CALLBACK])
    };
    server.update_client(APP.0, rotating).await;
    server.settings("refresh_grace = 5").await.unwrap();
    let first = server.tokens(&browser.code(&server, &Ask::new(), "alice").await).await.field("refresh_token");
    let second = refresh(&server, &first).await.field("refresh_token");
    server.clock.advance(4);
    assert_eq!(refresh(&server, &first).await.field("refresh_token"), second);
    server.clock.advance(1);
    assert_refused(&refresh(&server, &first).await);
    assert_refused(&refresh(&server, &second).await);
}

#[tokio::test]
async fn a_session_ends_when_it_rests_and_at_the_end_as_declared() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    server.settings("session_idle = 500\nsession_absolute = 900").await.unwrap();
    let silent = Ask::new().with("prompt", "none");
    let mut resting = Browser::new();
    resting.code(&server, &Ask::new(), "alice").await;
    browser.code(&server, &Ask::new(), "bob").await;
    server.clock.advance(500);
    browser.silent_code(&server, &silent).await;
    server.clock.advance(1);
    assert_eq!(resting.error(&server, &silent).await, "login_required");
    server.clock.advance(398);
    let tokens = server.tokens(&browser.silent_code(&server, &silent).await).await;
    assert!(server.knows(&tokens.field("access_token")).await);
    server.clock.advance(1);
    assert_eq!(browser.error(&server, &silent).await, "login_required");
    assert!(!server.knows(&tokens.field("access_token")).await, "it hung from the session");
    assert_refused(&refresh(&server, &tokens.field("refresh_token")).await);
}

#[tokio::test]
async fn a_default_resource_of_the_workspace_is_for_clients_that_may_ask_for_it_alone() {
    let (server, mut browser) = (Server::with_people().await, Browser::new());
    server.settings(&format!("default_resource = {API:?}")).await.unwrap();
    let nothing = ClientSettings { access: Default::default(), ..web_app("Sign-in alone", &[CALLBACK]) };
    server.client("sign-in-alone", Some("ocs_sign-in-alone-secret"), nothing).await;
    let alone = ("sign-in-alone", "ocs_sign-in-alone-secret");
    let ask = Ask::new().with("client_id", alone.0).with("scope", "openid");
    let tokens = server.redeem(alone, &browser.code(&server, &ask, "alice").await, &[]).await;
    let facts = server.introspect(alone, &tokens.field("access_token")).await.json();
    assert_eq!((&facts["aud"], &facts["scope"]), (&server.issuer.as_str().into(), &"openid".into()));

    let code = Browser::new().code(&server, &Ask::new().with("scope", "openid"), "alice").await;
    let tokens = server.tokens(&code).await;
    let facts = server.introspect(API_SERVER, &tokens.field("access_token")).await.json();
    assert_eq!((&facts["active"], &facts["aud"], facts.get("scope")), (&true.into(), &API.into(), None), "{facts}");
}
