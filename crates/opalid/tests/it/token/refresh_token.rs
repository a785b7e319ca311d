//! `grant_type=refresh_token`, and what introspection and revocation make of refresh tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid_core::client::{ClientKind, ClientSettings};
use opalid_core::grant::{ENTITLEMENTS_MAX, Entitlement};
use opalid_core::redirect_uri::{RedirectUri, RedirectUris};
use opalid_core::request::GrantType;
use opalid_core::scope::Scopes;
use opalid_core::token_settings::TokenOverrides;
use opalid_store::steps::standing::child_of;
use serde_json::Value;

use crate::manage::why;
use crate::support::browser::{Browser, Landed};
use crate::support::http::{Answer, encode};
use crate::support::server::START;
use crate::support::{DEMO_API, Server};

const API: &str = "https://api.demo.example/";
const CALLBACK: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Confidential, first-party.
const WEB: (&str, &str) = ("web", "ocs_web");
/// Public: its name and no secret.
const SPA: (&str, &str) = ("spa", "");

fn settings(kind: ClientKind) -> ClientSettings {
    ClientSettings {
        kind,
        grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        redirect_uris: RedirectUris(vec![RedirectUri::register(CALLBACK).unwrap()]),
        access: [(API.to_owned(), Scopes::parse("read write").unwrap())].into(),
        default_resources: vec![API.into()],
        first_party: true,
        ..ClientSettings::default()
    }
}

async fn demo() -> Server {
    let server = Server::demo().await;
    server.client(WEB.0, Some(WEB.1), settings(ClientKind::Confidential)).await;
    server.client(SPA.0, None, settings(ClientKind::Public)).await;
    server
}

async fn ask(server: &Server, client: (&str, &str), fields: &[(&str, &str)]) -> Answer {
    if client.1.is_empty() {
        return server.form_post("/token", &[fields, &[("client_id", client.0)]].concat()).await;
    }
    server.form_post_as(client, "/token", fields).await
}

/// Signs alice in and redeems the code.
async fn sign_in(server: &Server, client: (&str, &str), scope: &str) -> Value {
    let query = encode(&[
        ("client_id", client.0),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", scope),
        ("nonce", "n"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let mut browser = Browser::new();
    let page = browser.open(server, &format!("/authorize?{query}")).await.page();
    let form = page.form("sign-in").with("login", "alice").with("password", "alice-demo-password");
    let mut landed = browser.submit(server, &form).await;
    if matches!(landed, Landed::Here(..)) {
        let allow = landed.page().form("allow").with("decision", "allow");
        landed = browser.submit(server, &allow).await;
    }
    let (_, answer) = landed.away();
    let code = answer.iter().find(|(name, _)| name == "code").expect("a code").1.clone();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let answer = ask(server, client, &fields).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn text(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap_or_else(|| panic!("no {name} in {tokens}")).to_owned()
}

fn claims(id_token: &str) -> Value {
    let payload = id_token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn refresh(server: &Server, client: (&str, &str), token: &str, more: &[(&str, &str)]) -> Answer {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    ask(server, client, &[&fields, more].concat()).await
}

#[tokio::test]
async fn a_public_client_gets_a_new_refresh_token_each_time_and_a_retry_the_same_one() {
    let server = demo().await;
    let first = text(&sign_in(&server, SPA, "read write").await, "refresh_token");
    assert!(first.starts_with("ort_"));
    let second = refresh(&server, SPA, &first, &[]).await.json();
    assert_eq!((text(&second, "scope").as_str(), second.get("id_token")), ("read write", None));
    let retried = refresh(&server, SPA, &first, &[]).await.json();
    assert_ne!(text(&second, "refresh_token"), first);
    assert_eq!(text(&retried, "refresh_token"), text(&second, "refresh_token"));
    assert!(server.is_active(DEMO_API, &text(&retried, "access_token")).await);
}

#[tokio::test]
async fn the_same_refresh_token_four_times_at_once_signs_nobody_out() {
    let server = demo().await;
    let first = text(&sign_in(&server, SPA, "read").await, "refresh_token");
    let answers = tokio::join!(
        refresh(&server, SPA, &first, &[]),
        refresh(&server, SPA, &first, &[]),
        refresh(&server, SPA, &first, &[]),
        refresh(&server, SPA, &first, &[]),
    );
    let next = [answers.0, answers.1, answers.2, answers.3].map(|answer| text(&answer.json(), "refresh_token"));
    assert!(next.iter().all(|token| *token == next[0]), "{next:?}");
    assert_eq!(refresh(&server, SPA, &next[0], &[]).await.status, 200);
}

#[tokio::test]
async fn a_copy_revokes_everything_from_the_sign_in() {
    let server = demo().await;
    let tokens = sign_in(&server, SPA, "read").await;
    let first = text(&tokens, "refresh_token");
    let second = refresh(&server, SPA, &first, &[]).await.json();
    server.clock.advance(30);
    let reused = refresh(&server, SPA, &first, &[]).await;
    insta::assert_snapshot!(reused.seen(), @r#"400 {"error":"invalid_grant","error_description":"this refresh token was used before; everything from this sign-in was revoked"}"#);
    let after = refresh(&server, SPA, &text(&second, "refresh_token"), &[]).await;
    insta::assert_snapshot!(after.seen(), @r#"400 {"error":"invalid_grant","error_description":"what this refresh token was given for has ended"}"#);
    for token in [text(&tokens, "access_token"), text(&second, "access_token")] {
        assert!(!server.is_active(DEMO_API, &token).await);
    }
}

#[tokio::test]
async fn a_restart_forgets_neither_the_chain_nor_the_grace() {
    let server = demo().await;
    let first = text(&sign_in(&server, SPA, "read").await, "refresh_token");
    let second = text(&refresh(&server, SPA, &first, &[]).await.json(), "refresh_token");
    let server = server.restart().await;
    assert_eq!(text(&refresh(&server, SPA, &first, &[]).await.json(), "refresh_token"), second);
    assert_eq!(refresh(&server, SPA, &second, &[]).await.status, 200);
    assert_eq!(refresh(&server, SPA, &first, &[]).await.status, 400);
}

#[tokio::test]
async fn a_confidential_client_keeps_its_refresh_token_unless_it_is_set_to_rotate() {
    let server = demo().await;
    let rotating = ("rotating", "ocs_rotating");
    let settings = ClientSettings {
        tokens: TokenOverrides { rotate_refresh_tokens: Some(true), ..TokenOverrides::default() },
        ..settings(ClientKind::Confidential)
    };
    server.client(rotating.0, Some(rotating.1), settings).await;
    for (client, keeps) in [(WEB, true), (rotating, false)] {
        let first = text(&sign_in(&server, client, "read").await, "refresh_token");
        let next = text(&refresh(&server, client, &first, &[]).await.json(), "refresh_token");
        assert_eq!(next == first, keeps, "{client:?}");
        assert_eq!(refresh(&server, client, &next, &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_refresh_narrows_and_never_widens_and_a_refusal_uses_nothing_up() {
    let server = demo().await;
    let first = text(&sign_in(&server, SPA, "read").await, "refresh_token");
    let wider = refresh(&server, SPA, &first, &[("scope", "read write")]).await;
    insta::assert_snapshot!(wider.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope write was not granted, or this client may not ask for it any more; a refresh can narrow, never widen"}"#);
    let elsewhere = refresh(&server, SPA, &first, &[("resource", "https://other.example/")]).await;
    insta::assert_snapshot!(elsewhere.seen(), @r#"400 {"error":"invalid_target","error_description":"resource https://other.example/ is not one this client may ask for: https://api.demo.example/"}"#);
    server.clock.advance(100);
    assert_eq!(refresh(&server, SPA, &first, &[("scope", "read"), ("resource", API)]).await.status, 200);
    let wide = text(&sign_in(&server, SPA, "read write").await, "refresh_token");
    let narrow = refresh(&server, SPA, &wide, &[("scope", "write")]).await.json();
    let seen = server.introspect(DEMO_API, &text(&narrow, "access_token")).await.json();
    assert_eq!((text(&narrow, "scope"), text(&seen, "scope")), ("write".into(), "write".into()));
    let again = refresh(&server, SPA, &text(&narrow, "refresh_token"), &[]).await.json();
    assert_eq!(text(&again, "scope"), "read write");
}

#[tokio::test]
async fn a_refresh_token_ends_unused_for_too_long() {
    let server = demo().await;
    let first = text(&sign_in(&server, SPA, "read offline_access").await, "refresh_token");
    server.clock.advance(30 * 24 * 3600 - 1);
    let second = text(&refresh(&server, SPA, &first, &[]).await.json(), "refresh_token");
    server.clock.advance(30 * 24 * 3600);
    let late = refresh(&server, SPA, &second, &[]).await;
    insta::assert_snapshot!(late.seen(), @r#"400 {"error":"invalid_grant","error_description":"this refresh token has expired; the person has to sign in again"}"#);
}

#[tokio::test]
async fn without_offline_access_it_ends_with_the_session() {
    let server = demo().await;
    let bound = text(&sign_in(&server, WEB, "read").await, "refresh_token");
    let offline = text(&sign_in(&server, WEB, "read offline_access").await, "refresh_token");
    for _ in 0..3 {
        server.clock.advance(10 * 24 * 3600);
        refresh(&server, WEB, &offline, &[]).await;
    }
    let ended = refresh(&server, WEB, &bound, &[]).await;
    assert_eq!((ended.status, ended.field("error").as_str()), (400, "invalid_grant"));
    assert_eq!(refresh(&server, WEB, &offline, &[]).await.status, 200);
}

#[tokio::test]
async fn another_clients_refresh_token_is_refused_and_left_alone() {
    let server = demo().await;
    let token = text(&sign_in(&server, SPA, "read").await, "refresh_token");
    let theirs = refresh(&server, WEB, &token, &[]).await;
    insta::assert_snapshot!(theirs.seen(), @r#"400 {"error":"invalid_grant","error_description":"this refresh token is not known: it was never given out here, or to another client"}"#);
    let revoked = server.form_post_as(WEB, "/revoke", &[("token", &token)]).await;
    assert_eq!((revoked.status, revoked.field("error").as_str()), (400, "invalid_grant"));
    assert_eq!(server.introspect(WEB, &token).await.seen(), r#"200 {"active":false}"#);
    assert_eq!(refresh(&server, SPA, &token, &[]).await.status, 200);
}

#[tokio::test]
async fn no_character_of_a_refresh_token_can_be_changed_added_or_left_out() {
    let server = demo().await;
    let token = text(&sign_in(&server, SPA, "read").await, "refresh_token");
    let mut wrong = vec![format!("{token}A"), format!("{token}="), format!(" {token}")];
    for at in 0..token.len() {
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        wrong.push(format!("{}{other}{}", &token[..at], &token[at + 1..]));
        wrong.push(format!("{}{}", &token[..at], &token[at + 1..]));
    }
    for wrong in &wrong {
        assert_eq!(refresh(&server, SPA, wrong, &[]).await.field("error"), "invalid_grant", "{wrong}");
        let revoked = server.form_post("/revoke", &[("token", wrong), ("client_id", SPA.0)]).await;
        assert_eq!(revoked.status, 200);
    }
    assert_eq!(refresh(&server, SPA, &token, &[]).await.status, 200);
}

/// Introspection by `caller`, which takes the token for this.
async fn hinted(server: &Server, caller: (&str, &str), token: &str, hint: &str) -> Answer {
    server.form_post_as(caller, "/introspect", &[("token", token), ("token_type_hint", hint)]).await
}

#[tokio::test]
async fn introspection_shows_the_current_refresh_token_to_its_client_alone() {
    let server = demo().await;
    let rotating = ("rotating", "ocs_rotating");
    let auditor = ("auditor", "ocs_auditor");
    let settings = ClientSettings {
        tokens: TokenOverrides { rotate_refresh_tokens: Some(true), ..TokenOverrides::default() },
        ..settings(ClientKind::Confidential)
    };
    server.client(rotating.0, Some(rotating.1), settings).await;
    let all = ClientSettings { introspect_tokens: true, ..ClientSettings::default() };
    server.client(auditor.0, Some(auditor.1), all).await;
    let first = text(&sign_in(&server, rotating, "read offline_access").await, "refresh_token");
    server.clock.advance(5);
    let second = text(&refresh(&server, rotating, &first, &[]).await.json(), "refresh_token");
    for (caller, hint) in [
        (rotating, "refresh_token"),
        (rotating, "access_token"),
        (rotating, "nonsense"),
        (rotating, ""),
        (auditor, "refresh_token"),
    ] {
        let seen = hinted(&server, caller, &second, hint).await.json();
        let now = START.0 + 5;
        assert_eq!((&seen["active"], text(&seen, "client_id").as_str()), (&Value::Bool(true), "rotating"), "{seen}");
        assert_eq!((text(&seen, "aud"), text(&seen, "username")), (server.issuer.clone(), "alice".into()));
        assert_eq!(text(&seen, "scope"), "offline_access read");
        assert_eq!((seen["iat"].as_i64(), seen["exp"].as_i64()), (Some(now), Some(now + 30 * 24 * 3600)));
        assert_eq!((seen.get("token_type"), seen.get("jti")), (None, None));
        let old = hinted(&server, caller, &first, hint).await;
        assert_eq!(old.seen(), r#"200 {"active":false}"#);
    }
    // Serving the resource is no reason to see a refresh token, whatever it is taken for.
    let old = hinted(&server, DEMO_API, &second, "refresh_token").await;
    assert_eq!(old.seen(), r#"200 {"active":false}"#);
    assert_eq!(server.introspect(DEMO_API, &second).await.seen(), r#"200 {"active":false}"#);
    server.clock.advance(30 * 24 * 3600);
    assert_eq!(server.introspect(rotating, &second).await.seen(), r#"200 {"active":false}"#);
}

/// As a gateway asks that takes whatever is active for an access token.
#[tokio::test]
async fn who_sees_every_token_is_shown_a_refresh_token_only_when_it_says_that_it_looks_for_one() {
    let server = demo().await;
    let gateway = ("gateway", "ocs_gateway");
    let all = ClientSettings { introspect_tokens: true, ..ClientSettings::default() };
    server.client(gateway.0, Some(gateway.1), all).await;
    let tokens = sign_in(&server, WEB, "read offline_access").await;
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    assert_eq!(server.introspect(gateway, &refresh).await.seen(), r#"200 {"active":false}"#);
    let active =
        async |token: &str, hint| hinted(&server, gateway, token, hint).await.json()["active"] == Value::Bool(true);
    for (hint, sees_refresh) in [("refresh_token", true), ("access_token", false), ("nonsense", false), ("", false)] {
        assert_eq!((active(&refresh, hint).await, active(&access, hint).await), (sees_refresh, true), "{hint}");
    }
}

#[tokio::test]
async fn revoking_any_refresh_token_of_a_sign_in_kills_all_of_its_tokens() {
    let server = demo().await;
    for current in [true, false] {
        let tokens = sign_in(&server, SPA, "read").await;
        let first = text(&tokens, "refresh_token");
        let next = refresh(&server, SPA, &first, &[]).await.json();
        let second = text(&next, "refresh_token");
        let revoked = if current { &second } else { &first };
        let hint = ("token_type_hint", "access_token");
        let mut entered = Vec::new();
        for token in [revoked, revoked, &first, &second] {
            let answer = server.form_post("/revoke", &[("token", token), hint, ("client_id", SPA.0)]).await;
            assert_eq!(answer.seen(), "200");
            entered.push(server.app.store.memory().position());
        }
        assert!(entered.iter().all(|at| *at == entered[0]), "what is dead is not killed again: {entered:?}");
        assert_eq!(refresh(&server, SPA, &second, &[]).await.field("error"), "invalid_grant");
        for token in [text(&tokens, "access_token"), text(&next, "access_token")] {
            assert!(!server.is_active(DEMO_API, &token).await);
        }
    }
}

#[tokio::test]
async fn an_id_token_comes_again_with_the_time_of_the_sign_in_and_without_a_nonce() {
    let server = demo().await;
    let tokens = sign_in(&server, WEB, "openid read").await;
    let first = claims(&text(&tokens, "id_token"));
    let token = text(&tokens, "refresh_token");
    server.clock.advance(60);
    let again = refresh(&server, WEB, &token, &[]).await.json();
    let claims = claims(&text(&again, "id_token"));
    for same in ["iss", "sub", "aud", "auth_time", "sid"] {
        assert_eq!(claims[same], first[same], "{same}");
    }
    assert_eq!((first["nonce"].as_str(), claims.get("nonce")), (Some("n"), None));
    assert_eq!((claims["auth_time"].as_i64(), claims["iat"].as_i64()), (Some(START.0), Some(START.0 + 60)));
    let without = refresh(&server, WEB, &token, &[("scope", "read")]).await.json();
    assert_eq!(without.get("id_token"), None);
}

#[tokio::test]
async fn a_client_that_loses_access_gets_less_at_the_next_refresh_and_more_when_it_has_it_again() {
    let server = demo().await;
    let first = text(&sign_in(&server, WEB, "openid read write offline_access").await, "refresh_token");
    let read = [(API.to_owned(), Scopes::parse("read").unwrap())].into();
    let all = settings(ClientKind::Confidential);
    server.update_client(WEB.0, ClientSettings { access: read, ..all.clone() }).await;
    let narrowed = refresh(&server, WEB, &first, &[]).await.json();
    assert_eq!(text(&narrowed, "scope"), "offline_access openid read");
    let seen = server.introspect(DEMO_API, &text(&narrowed, "access_token")).await.json();
    assert_eq!(text(&seen, "scope"), "read");
    server
        .update_client(WEB.0, ClientSettings { access: [].into(), default_resources: Vec::new(), ..all.clone() })
        .await;
    assert_eq!(text(&refresh(&server, WEB, &first, &[]).await.json(), "scope"), "offline_access openid");
    server.update_client(WEB.0, all.clone()).await;
    assert_eq!(text(&refresh(&server, WEB, &first, &[]).await.json(), "scope"), "offline_access openid read write");
    let grant_types = vec![GrantType::AuthorizationCode];
    server.update_client(WEB.0, ClientSettings { grant_types, ..all }).await;
    let refused = refresh(&server, WEB, &first, &[]).await;
    assert_eq!((refused.status, refused.field("error").as_str()), (400, "unauthorized_client"));
}

#[tokio::test]
async fn what_a_client_may_not_ask_for_any_more_is_refused_by_name_and_uses_nothing_up() {
    let server = demo().await;
    let first = text(&sign_in(&server, SPA, "openid read write").await, "refresh_token");
    let read = [(API.to_owned(), Scopes::parse("read").unwrap())].into();
    let all = settings(ClientKind::Public);
    server.update_client(SPA.0, ClientSettings { access: read, ..all.clone() }).await;
    let scope = refresh(&server, SPA, &first, &[("scope", "read write")]).await;
    insta::assert_snapshot!(scope.seen(), @r#"400 {"error":"invalid_scope","error_description":"scope write was not granted, or this client may not ask for it any more; a refresh can narrow, never widen"}"#);
    server.update_client(SPA.0, ClientSettings { access: [].into(), default_resources: Vec::new(), ..all }).await;
    let resource = refresh(&server, SPA, &first, &[("resource", API)]).await;
    assert_eq!((resource.status, resource.field("error").as_str()), (400, "invalid_target"));
    // Later than any grace: had one of them used it up, this were a copy.
    server.clock.advance(100);
    assert_eq!(text(&refresh(&server, SPA, &first, &[("scope", "openid")]).await.json(), "scope"), "openid");
}

#[tokio::test]
async fn beside_openid_scopes_that_nobody_knows_are_left_out_as_they_were_at_the_sign_in() {
    let server = demo().await;
    let whole = [("scope", "openid profile email address phone read")];
    let tokens = sign_in(&server, SPA, whole[0].1).await;
    assert_eq!(text(&tokens, "scope"), "email openid profile read");
    let next = refresh(&server, SPA, &text(&tokens, "refresh_token"), &whole).await.json();
    assert_eq!(text(&next, "scope"), "email openid profile read");
    assert!(next.get("id_token").is_some());
    let next = text(&next, "refresh_token");
    for wrong in ["openid write", "openid offline_access", "address phone", "read address", "email address"] {
        let refused = refresh(&server, SPA, &next, &[("scope", wrong)]).await;
        assert_eq!((refused.status, refused.field("error").as_str()), (400, "invalid_scope"), "{wrong}");
    }
    let without = text(&sign_in(&server, SPA, "read").await, "refresh_token");
    let refused = refresh(&server, SPA, &without, &[("scope", "read address")]).await;
    assert_eq!((refused.status, refused.field("error").as_str()), (400, "invalid_scope"));
    server.clock.advance(100);
    assert_eq!(refresh(&server, SPA, &next, &[]).await.status, 200, "nothing was used up");
}

#[tokio::test]
async fn with_nothing_left_a_refresh_is_refused_and_its_token_is_good_when_access_comes_back() {
    let server = demo().await;
    let all = settings(ClientKind::Public);
    let first = text(&sign_in(&server, SPA, "read write").await, "refresh_token");
    server
        .update_client(SPA.0, ClientSettings { access: [].into(), default_resources: Vec::new(), ..all.clone() })
        .await;
    for more in [&[][..], &[("scope", "read")]] {
        let refused = refresh(&server, SPA, &first, more).await;
        assert_eq!((refused.status, refused.field("error").as_str()), (400, "invalid_scope"), "{more:?}");
    }
    let refused = refresh(&server, SPA, &first, &[]).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"this client, or whoever it is for, may have nothing today of what was granted; it can ask again when that changes"}"#);
    server.update_client(SPA.0, all).await;
    // Later than any grace.
    server.clock.advance(100);
    assert_eq!(text(&refresh(&server, SPA, &first, &[]).await.json(), "scope"), "read write");
}

#[tokio::test]
async fn a_client_that_may_not_refresh_any_more_has_no_active_refresh_token_until_it_may_again() {
    let server = demo().await;
    let tokens = sign_in(&server, WEB, "openid read").await;
    let (token, access) = (text(&tokens, "refresh_token"), text(&tokens, "access_token"));
    let all = settings(ClientKind::Confidential);
    let grant_types = vec![GrantType::AuthorizationCode];
    server.update_client(WEB.0, ClientSettings { grant_types, ..all.clone() }).await;
    assert_eq!(refresh(&server, WEB, &token, &[]).await.field("error"), "unauthorized_client");
    assert!(!server.is_active(WEB, &token).await);
    assert!(server.is_active(DEMO_API, &access).await, "its access tokens live on");
    assert_eq!(why(&server, &token).await.as_deref(), Some("its client may not use refresh_token today"));
    server.update_client(WEB.0, all).await;
    assert!(server.is_active(WEB, &token).await);
    assert_eq!(refresh(&server, WEB, &token, &[]).await.status, 200);
}

#[tokio::test]
async fn a_sign_in_that_was_asked_for_too_many_combinations_keeps_what_it_had_and_dies_as_one() {
    const MANY: &str = "https://many.example/";
    let server = Server::demo().await;
    let names: Vec<String> = (0..14).map(|number| format!("s{number}")).collect();
    let every = names.join(" ");
    server.resource(MANY, &every).await;
    let access = [(MANY.to_owned(), Scopes::parse(&every).unwrap())].into();
    let settings =
        ClientSettings { access, default_resources: vec![MANY.into()], ..settings(ClientKind::Confidential) };
    server.client(WEB.0, Some(WEB.1), settings).await;
    let resource = server.app.store.find_resource(server.app.root, MANY).await.unwrap().unwrap().id;
    let combinations = (1_u32..(1 << names.len()) - 1).map(|bits| {
        let chosen = names.iter().enumerate().filter(|(at, _)| bits & 1 << at != 0).map(|(_, name)| name.as_str());
        Scopes::parse(&chosen.collect::<Vec<_>>().join(" ")).unwrap()
    });
    let of_one_child = |scopes: &Scopes| {
        child_of(&Entitlement::new(Scopes::default(), vec![(resource, scopes.clone())])).unwrap() == 7
    };
    // Beside what was granted 63 fit; then as many go to one child.
    let combinations: Vec<Scopes> = combinations.filter(of_one_child).take(2 * ENTITLEMENTS_MAX).collect();
    let (one_more, held) = combinations.split_last().unwrap();

    let token = text(&sign_in(&server, WEB, &every).await, "refresh_token");
    let narrowed = async |scopes: &Scopes| refresh(&server, WEB, &token, &[("scope", scopes.as_str())]).await;
    let mut tokens = Vec::new();
    for scopes in held {
        let answer = narrowed(scopes).await;
        assert_eq!((answer.status, answer.field("scope").as_str()), (200, scopes.as_str()));
        tokens.push((answer.field("access_token"), scopes));
    }
    let refused = narrowed(one_more).await;
    insta::assert_snapshot!(refused.seen(), @r#"400 {"error":"invalid_scope","error_description":"this sign-in was asked for too many different combinations of scopes: ask without scope, for a combination it had before, or sign the person in again"}"#);
    for (token, scopes) in &tokens {
        assert_eq!(server.introspect(WEB, token).await.field("scope"), scopes.as_str());
    }
    for scopes in [&held[0], &held[62], &held[63], held.last().unwrap()] {
        assert_eq!(narrowed(scopes).await.status, 200, "{scopes}");
    }
    assert_eq!(refresh(&server, WEB, &token, &[]).await.field("scope"), Scopes::parse(&every).unwrap().as_str());

    assert_eq!(server.form_post_as(WEB, "/revoke", &[("token", &token)]).await.status, 200);
    for (token, scopes) in &tokens {
        assert!(!server.is_active(WEB, token).await, "{scopes}");
    }
    let again = text(&sign_in(&server, WEB, &every).await, "refresh_token");
    assert_eq!(refresh(&server, WEB, &again, &[("scope", one_more.as_str())]).await.status, 200);
}
