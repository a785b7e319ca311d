//! `/revoke` (RFC 7009): dead at once, for good, and only by its own client.

use opalid::manage::inspect::Whose;
use opalid::manage::{Command, Handed, ManageError, Reply, Request, handle};
use opalid_core::resource::ResourceSettings;
use opalid_core::scope::Scopes;
use opalid_core::token_settings::{AccessTokenFormat, TokenOverrides};

use crate::support::{DEMO_API, Server, machine};

const API: &str = "https://api.demo.example/";
const OTHER: (&str, &str) = ("other", "ocs_other");

async fn revoke(server: &Server, client: (&str, &str), token: &str) -> crate::support::http::Answer {
    server.form_post_as(client, "/revoke", &[("token", token)]).await
}

#[tokio::test]
async fn a_revoked_token_is_dead_at_once_and_the_answer_is_empty() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let other = server.token_of(DEMO_API).await;
    assert!(server.is_active(DEMO_API, &token).await);
    let answer = revoke(&server, DEMO_API, &token).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    assert_eq!((answer.header("content-type"), answer.header("content-length")), (None, Some("0")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(server.introspect(DEMO_API, &token).await.seen(), r#"200 {"active":false}"#);
    assert!(server.is_active(DEMO_API, &other).await, "one token is revoked, not the others of its grant");
}

#[tokio::test]
async fn a_token_never_seen_before_by_this_process_is_revoked_too() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let server = server.restart().await;
    assert_eq!(revoke(&server, DEMO_API, &token).await.seen(), "200");
    assert!(!server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_answered_the_same() {
    let server = Server::demo().await;
    server.token_of(DEMO_API).await;
    let before = (server.app.store.steps(), server.app.store.reads());
    for unknown in ["x", "oat_AAAA", "ort_AAAA", "ü", &"A".repeat(20_000)] {
        let answer = revoke(&server, DEMO_API, unknown).await;
        assert_eq!((answer.seen().as_str(), answer.header("content-type")), ("200", None), "{unknown}");
    }
    assert_eq!((server.app.store.steps(), server.app.store.reads()), before, "steps and reads");
}

#[tokio::test]
async fn another_clients_token_is_refused_and_stays_alive() {
    let server = Server::demo().await;
    server.client(OTHER.0, Some(OTHER.1), machine(&[(API, "read")])).await;
    let token = server.token_of(OTHER).await;
    // The demo client serves the token's resource; that lets it introspect, not revoke.
    let answer = revoke(&server, DEMO_API, &token).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_grant","error_description":"this token was issued to another client"}"#);
    let public = server.form_post("/revoke", &[("token", &token), ("client_id", "demo-app")]).await;
    insta::assert_snapshot!(public.seen(), @r#"400 {"error":"invalid_grant","error_description":"this token was issued to another client"}"#);
    assert!(server.is_active(DEMO_API, &token).await && server.is_active(OTHER, &token).await);
}

#[tokio::test]
async fn revoking_again_is_fine_and_so_is_revoking_what_has_expired() {
    let server = Server::demo().await;
    let (token, expired) = (server.token_of(DEMO_API).await, server.token_of(DEMO_API).await);
    let mut entered = Vec::new();
    for _ in 0..3 {
        assert_eq!(revoke(&server, DEMO_API, &token).await.seen(), "200");
        assert!(!server.is_active(DEMO_API, &token).await);
        entered.push(server.app.store.memory().position());
    }
    assert!(entered.iter().all(|at| *at == entered[0]), "what is dead is not killed again: {entered:?}");
    server.clock.advance(3_600);
    assert_eq!(revoke(&server, DEMO_API, &expired).await.seen(), "200");
}

#[tokio::test]
async fn a_wrong_hint_still_revokes() {
    let server = Server::demo().await;
    for hint in ["refresh_token", "id_token", "nonsense"] {
        let token = server.token_of(DEMO_API).await;
        let fields = [("token", token.as_str()), ("token_type_hint", hint)];
        assert_eq!(server.form_post_as(DEMO_API, "/revoke", &fields).await.seen(), "200", "{hint}");
        assert!(!server.is_active(DEMO_API, &token).await, "{hint}");
    }
}

#[tokio::test]
async fn a_token_is_required() {
    let server = Server::demo().await;
    let answer = server.form_post_as(DEMO_API, "/revoke", &[("token", "")]).await;
    insta::assert_snapshot!(answer.seen(), @r#"400 {"error":"invalid_request","error_description":"parameter token is missing or has no value"}"#);
}

#[tokio::test]
async fn without_authentication_nothing_is_revoked() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    assert_eq!(server.form_post("/revoke", &[("token", &token)]).await.status, 401);
    assert_eq!(revoke(&server, (DEMO_API.0, "ocs_wrong"), &token).await.status, 401);
    assert!(server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn revocations_at_the_same_time_are_all_done() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let live = server.token_of(DEMO_API).await;
    let (one, two, three) = tokio::join!(
        revoke(&server, DEMO_API, &token),
        revoke(&server, DEMO_API, &token),
        revoke(&server, DEMO_API, &token)
    );
    assert_eq!([one.seen(), two.seen(), three.seen()], ["200", "200", "200"]);
    assert!(!server.is_active(DEMO_API, &token).await && server.is_active(DEMO_API, &live).await);
}

/// The demo, whose API takes JWTs.
async fn with_jwts() -> Server {
    let server = Server::demo().await;
    let tokens = TokenOverrides { access_token_format: Some(AccessTokenFormat::Jwt), ..TokenOverrides::default() };
    let scopes = Scopes::parse("read").unwrap();
    server.set_resource(API, ResourceSettings { scopes, introspects_jwts: true, tokens, ..Default::default() }).await;
    server.client(OTHER.0, Some(OTHER.1), machine(&[(API, "read")])).await;
    server
}

/// Asks as an operator.
async fn ask(server: &Server, command: Command) -> Result<Reply, ManageError> {
    handle(&server.app, Request { workspace: None, command }).await
}

fn revoke_token(token: &str) -> Command {
    Command::RevokeToken { token: Handed::new(token.to_owned()) }
}

#[tokio::test]
async fn a_jwt_of_a_former_issuer_is_revoked_and_stays_dead_when_the_issuer_is_put_back() {
    let server = with_jwts().await;
    let (one, two, live) =
        (server.token_of(DEMO_API).await, server.token_of(DEMO_API).await, server.token_of(DEMO_API).await);
    assert!(one.contains('.') && server.is_active(DEMO_API, &one).await);
    let server = server.restart_under("https").await;
    assert!(!server.is_active(DEMO_API, &one).await, "its iss is another's now");
    let seen = crate::manage::inspected(&server, &one).await;
    assert!(!seen.active && seen.whose == Whose::Ours && seen.grant.is_some() && !seen.cut.is_empty(), "{seen:?}");
    assert!(seen.headline().contains("lives again if the other URL is put back, unless it is cut"), "{seen:?}");
    let answer = revoke(&server, DEMO_API, &one).await;
    assert_eq!((answer.status, answer.text()), (200, ""));
    let seen = crate::manage::inspected(&server, &one).await;
    assert!(!seen.headline().contains("lives again"), "{seen:?}");
    ask(&server, revoke_token(&two)).await.unwrap();
    let server = server.restart_under("http").await;
    assert!(!server.is_active(DEMO_API, &one).await && !server.is_active(DEMO_API, &two).await);
    assert!(server.is_active(DEMO_API, &live).await);
}

#[tokio::test]
async fn a_jwt_is_killed_by_its_jti_when_the_key_that_signed_it_is_gone_or_its_signature_is() {
    let server = with_jwts().await;
    let token = server.token_of(DEMO_API).await;
    let rotate = Command::RotateKeys { purpose: None, algorithm: Some("RS256".into()), now: true };
    ask(&server, rotate).await.unwrap();
    let kids = server.get("/jwks").await.json();
    let header = token.split('.').next().unwrap();
    let kid = kids["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
    let kid = kid.into_iter().find(|kid| decoded(header).contains(kid.as_str())).unwrap();
    ask(&server, Command::RevokeKey { key: kid, yes: true }).await.unwrap();
    let before = server.app.store.memory().position();
    assert_eq!(revoke(&server, DEMO_API, &token).await.seen(), "200");
    let killed = server.app.store.memory().position();
    assert_ne!(killed, before, "it is written down");
    assert_eq!(revoke(&server, DEMO_API, &token).await.seen(), "200");
    assert_eq!(server.app.store.memory().position(), killed, "once");

    let token = server.token_of(DEMO_API).await;
    let (message, _) = token.rsplit_once('.').unwrap();
    assert_eq!(revoke(&server, DEMO_API, &format!("{message}.AAAA")).await.seen(), "200");
    assert!(!server.is_active(DEMO_API, &token).await, "whoever holds its jti holds it, but for the signature");
}

fn decoded(part: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn of_a_jwt_that_does_not_verify_nobody_learns_whose_it_is() {
    let server = with_jwts().await;
    let token = server.token_of(OTHER).await;
    assert_eq!(revoke(&server, DEMO_API, &token).await.status, 400, "another client's");
    let (message, _) = token.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let position = server.app.store.memory().position();
    for unproved in [format!("{message}.AAAA"), format!("{message}."), format!("e30.{payload}.")] {
        let answer = revoke(&server, DEMO_API, &unproved).await;
        assert_eq!((answer.status, answer.text()), (200, ""), "{unproved}");
    }
    let (steps, reads) = (server.app.store.steps(), server.app.store.reads());
    for nothing in [format!("{header}.e30."), format!("{message}.x.y"), format!("{header}.{payload}"), payload.into()] {
        assert_eq!(revoke(&server, DEMO_API, &nothing).await.seen(), "200", "{nothing}");
    }
    assert_eq!((server.app.store.steps(), server.app.store.reads()), (steps, reads), "no jti opens");
    assert_eq!(server.app.store.memory().position(), position);
    assert!(server.is_active(OTHER, &token).await);
}
