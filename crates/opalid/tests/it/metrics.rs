//! /metrics, on its own listener.

use std::net::SocketAddr;
use std::sync::Arc;

use opalid::http::listen::{self, ListenAddress};
use opalid::metrics::serve_metrics;
use tokio::sync::watch;

use crate::support::{DEMO_API, Server, http};

/// What a series says.
async fn value(at: SocketAddr, series: &str) -> f64 {
    let answer = http::request(at, "GET", "/metrics", &[], b"").await;
    assert_eq!(answer.status, 200);
    let line =
        answer.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).unwrap_or_else(|| {
            panic!("no {series} in\n{}", answer.text());
        });
    line.parse().unwrap()
}

#[tokio::test]
async fn a_revocation_shows_as_one_commit_that_took_its_time() {
    let server = Server::demo().await;
    let sockets = listen::bind(&[ListenAddress::Address(([127, 0, 0, 1], 0).into())]).unwrap();
    let at = sockets[0].local_addr().unwrap();
    let (stopping, stop) = watch::channel(false);
    let serving = tokio::spawn(serve_metrics(sockets, Arc::clone(&server.app.metrics), stop));
    let token = server.token_of(DEMO_API).await;
    let (count, sum) = ("opalid_commit_seconds_count", "opalid_commit_seconds_sum");
    let before = (value(at, count).await, value(at, sum).await);
    assert!(server.is_active(DEMO_API, &token).await);
    assert_eq!(value(at, count).await, before.0, "what only reads commits nothing");
    assert_eq!(server.form_post_as(DEMO_API, "/revoke", &[("token", &token)]).await.status, 200);
    let after = (value(at, count).await, value(at, sum).await);
    assert_eq!(after.0, before.0 + 1.0);
    assert!(after.1 > before.1, "{before:?} {after:?}");
    assert_eq!(value(at, "opalid_revocations_total{what=\"token\"}").await, 1.0);
    assert_eq!(value(at, "opalid_store_steps_waiting").await, 0.0);
    stopping.send_replace(true);
    serving.await.unwrap();
}
