//! JWT access tokens (RFC 9068): issued where the settings say so, introspected and revoked like opaque ones.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use opalid::manage::{Command, Request, handle};
use opalid_core::client::ClientSettings;
use opalid_core::jwt::{AccessTokenClaims, SigningAlgorithm, TYP_ACCESS_TOKEN};
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::time::Seconds;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};
use opalid_store::steps::client::ClientEvent;
use opalid_store::steps::user::UserEvent;
use serde_json::{Value, json};

use super::id_token::verified;
use crate::support::browser::Browser;
use crate::support::http::Answer;
use crate::support::person::{API, API_SERVER, APP, Ask, CALLBACK, OTHER_APP, refusal, web_app};
use crate::support::server::START;
use crate::support::{CLIENT_CREDENTIALS, Server, machine, serving};

const MACHINE: (&str, &str) = ("machine", "ocs_machine");
const INACTIVE: &str = r#"200 {"active":false}"#;

fn nothing() -> TokenOverrides {
    TokenOverrides::default()
}

fn jwt() -> TokenOverrides {
    TokenOverrides { access_token_format: Some(AccessTokenFormat::Jwt), ..nothing() }
}

fn scopes(text: &str) -> Scopes {
    Scopes::parse(text).unwrap()
}

/// An API whose tokens are JWTs and whose server introspects them, an application, a machine, people.
async fn server() -> Server {
    let server = Server::with_people().await;
    let settings = ResourceSettings {
        scopes: scopes("read write"),
        introspects_jwts: true,
        tokens: jwt(),
        ..ResourceSettings::default()
    };
    server.set_resource(API, settings).await;
    server.client(MACHINE.0, Some(MACHINE.1), machine(&[(API, "read write")])).await;
    server
}

/// The answer to a person's sign-in, with a token for the API.
async fn signed_in(server: &Server) -> Answer {
    let ask = Ask::new().with("scope", "openid read").with("resource", API);
    let code = Browser::new().code(server, &ask, "alice").await;
    server.tokens(&code).await
}

fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

#[tokio::test]
async fn a_machines_jwt_says_who_what_where_and_how_long_and_nothing_else() {
    let server = server().await;
    let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS, ("scope", "read")]).await.json();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let token = answer["access_token"].as_str().unwrap();
    let (header, mut claims) = verified(token, &server.get("/jwks").await.json());
    assert_eq!((&header["typ"], &header["alg"]), (&json!(TYP_ACCESS_TOKEN), &json!("RS256")));
    assert_eq!(header.as_object().unwrap().len(), 3, "typ, alg and kid: {header}");
    let jti = claims["jti"].take();
    assert!(jti.as_str().is_some_and(|jti| jti.len() > 80), "a sealed reference: {jti}");
    let expected = json!({
        "iss": server.issuer, "sub": "machine", "aud": API, "client_id": "machine", "scope": "read", "jti": null,
        "iat": START.0, "exp": START.0 + 3600,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_persons_jwt_says_how_they_signed_in_and_opens_userinfo() {
    let server = server().await;
    let answer = signed_in(&server).await;
    let token = answer.field("access_token");
    let keys = server.get("/jwks").await.json();
    let (_, claims) = verified(&token, &keys);
    let (_, id_token) = verified(&answer.field("id_token"), &keys);
    for name in ["sub", "auth_time", "acr", "amr", "iss"] {
        assert_eq!(claims[name], id_token[name], "{name}");
    }
    assert_eq!((&claims["scope"], &claims["aud"]), (&json!("openid read"), &json!(API)));
    assert!(server.knows(&token).await);
    assert!(server.is_active(APP, &token).await && server.is_active(API_SERVER, &token).await);
}

#[tokio::test]
async fn introspection_says_of_a_jwt_what_it_says_itself_and_to_each_what_is_theirs() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    let (_, claims) = verified(&token, &server.get("/jwks").await.json());
    let seen = server.introspect(API_SERVER, &token).await.json();
    for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti"] {
        assert_eq!(seen[name], claims[name], "{name}");
    }
    assert_eq!((&seen["active"], &seen["token_type"]), (&json!(true), &json!("Bearer")));
    let elsewhere = server.introspect(OTHER_APP, &token).await;
    assert_eq!(elsewhere.seen(), INACTIVE, "a stranger learns nothing");
    let jti = seen["jti"].as_str().unwrap();
    assert_eq!(server.introspect(MACHINE, jti).await.seen(), INACTIVE, "its jti is no token");
    assert!(!server.knows(jti).await);
}

#[tokio::test]
async fn a_revoked_jwt_is_dead_at_once_and_alone() {
    let server = server().await;
    let (one, other) = (server.token_of(MACHINE).await, server.token_of(MACHINE).await);
    let refused = server.form_post_as(OTHER_APP, "/revoke", &[("token", &one)]).await;
    assert_eq!(refusal(&refused), (400, "invalid_grant".into()), "another client's");
    assert!(server.is_active(API_SERVER, &one).await);
    for _ in 0..2 {
        assert_eq!(server.form_post_as(MACHINE, "/revoke", &[("token", &one)]).await.status, 200);
        assert_eq!(server.introspect(API_SERVER, &one).await.seen(), INACTIVE);
    }
    assert!(server.is_active(API_SERVER, &other).await);
    let server = server.restart().await;
    assert!(!server.is_active(API_SERVER, &one).await && server.is_active(API_SERVER, &other).await);
}

#[tokio::test]
async fn a_revoked_signing_key_takes_the_jwts_that_it_signed_and_no_others() {
    let server = server().await;
    let before = server.token_of(MACHINE).await;
    let key = verified(&before, &server.get("/jwks").await.json()).0["kid"].as_str().unwrap().to_owned();
    let rotate = Command::RotateKeys { purpose: None, algorithm: Some("RS256".into()), now: true };
    let revoke = Command::RevokeKey { key, yes: true };
    handle(&server.app, Request { workspace: None, command: rotate }).await.unwrap();
    let after = server.token_of(MACHINE).await;
    assert!(server.is_active(API_SERVER, &before).await && server.is_active(API_SERVER, &after).await);
    handle(&server.app, Request { workspace: None, command: revoke }).await.unwrap();
    assert_eq!(server.introspect(API_SERVER, &before).await.seen(), INACTIVE);
    assert!(server.is_active(API_SERVER, &after).await);
}

#[tokio::test]
async fn what_cuts_an_opaque_token_cuts_a_jwt() {
    for cut in ["user", "client", "refresh token"] {
        let server = server().await;
        let answer = signed_in(&server).await;
        let token = answer.field("access_token");
        assert!(server.is_active(API_SERVER, &token).await && server.knows(&token).await);
        match cut {
            "user" => server.touch_user("alice", UserEvent::Revoked).await,
            "client" => server.touch_client(APP.0, ClientEvent::Revoked).await,
            _ => {
                let refresh = answer.field("refresh_token");
                assert_eq!(server.form_post_as(APP, "/revoke", &[("token", &refresh)]).await.status, 200);
            }
        }
        assert!(!server.is_active(API_SERVER, &token).await && !server.knows(&token).await, "{cut}");
    }
}

#[tokio::test]
async fn a_jwt_expires_by_the_clock_as_it_says() {
    let server = server().await;
    let token = server.token_of(MACHINE).await;
    server.clock.advance(3599);
    assert!(server.is_active(API_SERVER, &token).await);
    server.clock.advance(1);
    assert!(!server.is_active(API_SERVER, &token).await);
}

#[tokio::test]
async fn a_jwt_that_says_more_than_it_may_is_dead_until_it_may_again() {
    let server = server().await;
    let answer = signed_in(&server).await;
    let token = answer.field("access_token");
    let app = web_app("The App", &[CALLBACK]);
    let less = ClientSettings { access: [(API.to_owned(), scopes("write"))].into(), ..app.clone() };
    server.update_client(APP.0, less).await;
    assert!(!server.is_active(API_SERVER, &token).await && !server.knows(&token).await);
    let more = ClientSettings { access: [(API.to_owned(), scopes("read"))].into(), ..app };
    server.update_client(APP.0, more).await;
    assert!(server.is_active(API_SERVER, &token).await && server.knows(&token).await);
    // The resource itself.
    let settings =
        ResourceSettings { scopes: scopes("write"), introspects_jwts: true, tokens: jwt(), ..Default::default() };
    server.set_resource(API, settings).await;
    assert!(!server.is_active(APP, &token).await);
}

#[tokio::test]
async fn what_a_jwt_did_not_say_nobody_learns_from_it_later() {
    let server = server().await;
    let app = web_app("The App", &[CALLBACK]);
    let less = ClientSettings { access: [(API.to_owned(), scopes("read"))].into(), ..app.clone() };
    let ask = Ask::new().with("scope", "openid read write").with("resource", API);
    let code = Browser::new().code(&server, &ask, "alice").await;
    server.update_client(APP.0, less).await;
    let token = server.tokens(&code).await.field("access_token");
    server.update_client(APP.0, app).await;
    let seen = server.introspect(API_SERVER, &token).await.json();
    assert_eq!(seen["scope"], "read", "it was issued while it could do no more");
}

#[tokio::test]
async fn a_jwt_that_nobody_asks_about_lives_no_longer_than_its_resource_accepts() {
    let server = server().await;
    let resource = |offline_window, introspects_jwts| ResourceSettings {
        scopes: scopes("read write"),
        offline_window,
        introspects_jwts,
        tokens: jwt(),
        ..ResourceSettings::default()
    };
    for (window, introspects, expected) in [
        (None, false, 300),
        (Some(Seconds(60)), false, 60),
        (Some(Seconds(60)), true, 3600),
        (Some(Seconds(7200)), false, 3600),
    ] {
        server.set_resource(API, resource(window, introspects)).await;
        let answer = server.form_post_as(MACHINE, "/token", &[CLIENT_CREDENTIALS]).await.json();
        assert_eq!(answer["expires_in"], expected);
        let (_, claims) = verified(answer["access_token"].as_str().unwrap(), &server.get("/jwks").await.json());
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), expected);
    }
}

#[tokio::test]
async fn the_client_decides_before_the_resource_and_the_resource_before_the_workspace() {
    let server = server().await;
    let form = [CLIENT_CREDENTIALS];
    let token = async |server: &Server| server.form_post_as(MACHINE, "/token", &form).await.field("access_token");
    let before = token(&server).await;
    assert!(is_jwt(&before), "the resource");
    let own = |format| TokenOverrides { access_token_format: Some(format), ..nothing() };
    let client = |tokens| ClientSettings { tokens, ..machine(&[(API, "read write")]) };
    server.update_client(MACHINE.0, client(own(AccessTokenFormat::Opaque))).await;
    assert!(!is_jwt(&token(&server).await), "the client");
    assert!(server.is_active(API_SERVER, &before).await, "what is out already stays what it is");
    server.update_client(MACHINE.0, client(nothing())).await;
    server.settings("access_token_format = \"jwt\"\naccess_token_signing_alg = \"ES256\"").await.unwrap();
    server
        .set_resource(API, ResourceSettings { tokens: nothing(), scopes: scopes("read write"), ..Default::default() })
        .await;
    let now = token(&server).await;
    let (header, _) = verified(&now, &server.get("/jwks").await.json());
    assert_eq!(header["alg"], "ES256", "the workspace");
    server.settings("access_token_format = \"opaque\"").await.unwrap();
    assert!(!is_jwt(&token(&server).await));
    assert!(server.is_active(API_SERVER, &now).await && server.is_active(API_SERVER, &before).await);
}

#[tokio::test]
async fn every_algorithm_signs_access_tokens() {
    let server = server().await;
    let keys = server.get("/jwks").await.json();
    for &alg in SigningAlgorithm::ALL {
        let tokens = TokenOverrides { access_token_signing_alg: Some(alg), ..nothing() };
        server.update_client(MACHINE.0, ClientSettings { tokens, ..machine(&[(API, "read")]) }).await;
        let token = server.token_of(MACHINE).await;
        assert_eq!(verified(&token, &keys).0["alg"], alg.wire_name());
        assert!(server.is_active(API_SERVER, &token).await);
        assert_eq!(server.form_post_as(MACHINE, "/revoke", &[("token", &token)]).await.status, 200);
        assert!(!server.is_active(API_SERVER, &token).await);
    }
}

/// The other form of an ECDSA signature on P-256: of the same message by the same key, with n − s for s (SEC 1 §4.1).
fn with_the_other_signature(jwt: &str) -> String {
    const N: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (message, signature) = jwt.rsplit_once('.').unwrap();
    let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrowed = false;
    for (byte, of_n) in signature[32..].iter_mut().zip(N).rev() {
        let (less, one) = of_n.overflowing_sub(*byte);
        let (less, other) = less.overflowing_sub(u8::from(borrowed));
        (*byte, borrowed) = (less, one || other);
    }
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_jwt_whose_ecdsa_signature_is_written_in_its_other_form_says_the_same_and_dies_with_it() {
    let server = server().await;
    let tokens = TokenOverrides { access_token_signing_alg: Some(SigningAlgorithm::Es256), ..jwt() };
    server.update_client(MACHINE.0, ClientSettings { tokens, ..machine(&[(API, "read write")]) }).await;
    let [one, two] = [server.token_of(MACHINE).await, server.token_of(MACHINE).await];
    for (token, presented) in [(&one, &with_the_other_signature(&one)), (&with_the_other_signature(&two), &two)] {
        assert_ne!(token, presented);
        let seen = server.introspect(API_SERVER, token).await;
        assert_eq!(seen.seen(), server.introspect(API_SERVER, presented).await.seen());
        assert_eq!(seen.json()["active"], true);
        assert_eq!(server.form_post_as(MACHINE, "/revoke", &[("token", presented)]).await.status, 200);
        assert!(!server.is_active(API_SERVER, token).await && !server.is_active(API_SERVER, presented).await);
    }
}

/// A token with these claims, signed by the server's own key.
async fn forged(server: &Server, typ: &str, change: impl FnOnce(&mut Value)) -> String {
    let issuer = server.app.find_issuer(None).await.unwrap().unwrap();
    let token = server.token_of(MACHINE).await;
    let claims: AccessTokenClaims = issuer.public.verify_access_token(&token, &server.issuer).unwrap();
    let mut claims = serde_json::to_value(claims).unwrap();
    change(&mut claims);
    issuer.signing_key(SigningAlgorithm::Rs256).unwrap().sign(typ, &claims).unwrap()
}

#[tokio::test]
async fn no_other_jwt_passes_for_an_access_token() {
    let server = server().await;
    let answer = signed_in(&server).await;
    let opaque = {
        server.set_resource(API, ResourceSettings { scopes: scopes("read write"), ..Default::default() }).await;
        server.token_of(MACHINE).await
    };
    server
        .set_resource(API, ResourceSettings { scopes: scopes("read write"), tokens: jwt(), ..Default::default() })
        .await;
    let good = forged(&server, TYP_ACCESS_TOKEN, |_| ()).await;
    assert!(server.is_active(API_SERVER, &good).await);
    let mut cut_short = forged(&server, TYP_ACCESS_TOKEN, |_| ()).await;
    cut_short.pop();
    let bad = [
        ("an ID token", answer.field("id_token")),
        ("another typ", forged(&server, "JWT", |_| ()).await),
        (
            "another issuer",
            forged(&server, TYP_ACCESS_TOKEN, |claims| claims["iss"] = "https://x.example".into()).await,
        ),
        (
            "an opaque token as jti",
            forged(&server, TYP_ACCESS_TOKEN, |claims| claims["jti"] = opaque.clone().into()).await,
        ),
        (
            "no jti",
            forged(&server, TYP_ACCESS_TOKEN, |claims| drop(claims.as_object_mut().unwrap().remove("jti"))).await,
        ),
        ("more scope", forged(&server, TYP_ACCESS_TOKEN, |claims| claims["scope"] = "read admin".into()).await),
        (
            "another audience",
            forged(&server, TYP_ACCESS_TOKEN, |claims| claims["aud"] = "https://b.example/".into()).await,
        ),
        ("cut short", cut_short),
        ("a dot more", format!("{good}.")),
        ("dots alone", "..".into()),
    ];
    for (what, token) in bad {
        assert_eq!(server.introspect(MACHINE, &token).await.seen(), INACTIVE, "{what}");
        assert!(!server.knows(&token).await, "{what}");
        assert_eq!(server.form_post_as(MACHINE, "/revoke", &[("token", &token)]).await.status, 200, "{what}");
    }
    assert!(server.is_active(API_SERVER, &good).await);
}

#[tokio::test]
async fn a_client_of_another_workspace_sees_nothing_of_a_jwt() {
    let server = server().await;
    let acme = server.workspace("acme").await;
    server.resource_in(acme, API, "read write").await;
    server.client_in(acme, MACHINE.0, Some(MACHINE.1), machine(&[(API, "read")])).await;
    server.client_in(acme, API_SERVER.0, Some(API_SERVER.1), serving(&[API])).await;
    let token = server.token_of(MACHINE).await;
    let answer = server.form_post_as(API_SERVER, "/acme/introspect", &[("token", &token)]).await;
    assert_eq!(answer.seen(), INACTIVE);
    assert_eq!(server.form_post_as(MACHINE, "/acme/revoke", &[("token", &token)]).await.status, 200);
    assert!(server.is_active(API_SERVER, &token).await);
}

#[tokio::test]
async fn a_clients_refresh_limits_and_sessions_are_its_own() {
    let server = server().await;
    let tokens = TokenOverrides {
        refresh_idle: Some(Seconds(100)),
        refresh_absolute: Some(Seconds(1000)),
        code_lifetime: Some(Seconds(20)),
        id_token_lifetime: Some(Seconds(77)),
        rotate_refresh_tokens: Some(true),
        session_idle: Some(Seconds(500)),
        ..nothing()
    };
    server.update_client(APP.0, ClientSettings { tokens, ..web_app("The App", &[CALLBACK]) }).await;
    let mut browser = Browser::new();
    let ask = Ask::new().with("scope", "openid offline_access").with("prompt", "consent");
    let code = browser.code(&server, &ask, "alice").await;
    let first = server.tokens(&code).await;
    let (_, id_token) = verified(&first.field("id_token"), &server.get("/jwks").await.json());
    assert_eq!(id_token["exp"].as_i64().unwrap() - id_token["iat"].as_i64().unwrap(), 77);
    let refresh = async |server: &Server, token: &str| {
        server.form_post_as(APP, "/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    };
    server.clock.advance(99);
    let second = refresh(&server, &first.field("refresh_token")).await;
    assert_ne!(second.field("refresh_token"), first.field("refresh_token"), "it rotates");
    server.clock.advance(100);
    assert_eq!(refusal(&refresh(&server, &second.field("refresh_token")).await).1, "invalid_grant");

    let silent = Ask::new().with("prompt", "none");
    let late = browser.silent_code(&server, &silent).await;
    server.clock.advance(20);
    assert_eq!(refusal(&server.redeem(APP, &late, &[]).await).1, "invalid_grant", "a code of twenty seconds");
    server.clock.advance(481);
    assert_eq!(browser.error(&server, &silent).await, "login_required", "this client wants a fresher session");
    let other = silent.with("client_id", OTHER_APP.0);
    assert_eq!(browser.error(&server, &other).await, "consent_required", "another one does not");
}

#[tokio::test]
async fn a_shorter_rest_holds_from_the_next_use_of_a_refresh_token_and_ends_none_that_is_out() {
    let server = server().await;
    let ask = Ask::new().with("scope", "openid offline_access").with("prompt", "consent");
    let code = Browser::new().code(&server, &ask, "alice").await;
    let token = server.tokens(&code).await.field("refresh_token");
    server.settings("refresh_idle = 100").await.unwrap();
    let refresh = async |server: &Server| {
        server.form_post_as(APP, "/token", &[("grant_type", "refresh_token"), ("refresh_token", &token)]).await.status
    };
    server.clock.advance(1000);
    assert_eq!(refresh(&server).await, 200, "it was given out to rest for thirty days");
    server.clock.advance(99);
    assert_eq!(refresh(&server).await, 200);
    server.clock.advance(100);
    assert_eq!(refresh(&server).await, 400);
}
