//! What a restart keeps.

use opalid::config::LogFormat;

use crate::support::log::Log;
use crate::support::{DEMO_API, Server};

#[tokio::test]
async fn a_start_with_another_issuer_than_the_last_one_says_so_once() {
    let (log, _listening) = Log::listen(LogFormat::Text, "warn");
    let said = || log.text().matches("the issuer was ").count();
    let server = Server::empty().await.restart().await;
    let former = server.issuer.clone();
    assert_eq!(said(), 0);
    let server = server.restart_under("https").await;
    let text = log.text();
    assert!(text.contains(&format!("the issuer was {former} and is {} now", server.issuer)), "{text}");
    server.restart().await;
    assert_eq!(said(), 1);
}

#[tokio::test]
async fn a_token_outlives_a_restart_of_the_server() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    assert!(server.is_active(DEMO_API, &token).await);
    let server = server.restart().await;
    assert!(server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn a_revoked_token_stays_dead_after_any_number_of_restarts() {
    let mut server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    let other = server.token_of(DEMO_API).await;
    assert_eq!(server.form_post_as(DEMO_API, "/revoke", &[("token", &token)]).await.status, 200);
    for _ in 0..3 {
        server = server.restart().await;
        assert!(!server.is_active(DEMO_API, &token).await && server.is_active(DEMO_API, &other).await);
    }
}

#[tokio::test]
async fn the_clock_stepping_back_revives_no_revoked_token() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    server.clock.advance(60);
    assert_eq!(server.form_post_as(DEMO_API, "/revoke", &[("token", &token)]).await.status, 200);
    server.clock.advance(-50);
    assert!(!server.is_active(DEMO_API, &token).await);
    let server = server.restart().await;
    assert!(!server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn a_token_revoked_after_its_end_stays_dead_when_the_clock_steps_back() {
    let server = Server::demo().await;
    let token = server.token_of(DEMO_API).await;
    server.clock.advance(3_700);
    assert_eq!(server.form_post_as(DEMO_API, "/revoke", &[("token", &token)]).await.status, 200);
    server.clock.advance(-3_690);
    assert!(!server.is_active(DEMO_API, &token).await);
    let server = server.restart().await;
    assert!(!server.is_active(DEMO_API, &token).await);
}

#[tokio::test]
async fn the_keys_and_the_demo_are_the_same_after_a_restart() {
    let server = Server::demo().await;
    let keys = server.get("/jwks").await.json();
    let server = server.restart().await;
    assert_eq!(server.get("/jwks").await.json(), keys);
    let clients = [DEMO_API];
    for client in clients {
        server.token_of(client).await;
    }
}
