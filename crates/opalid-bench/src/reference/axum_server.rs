//! A reference on axum: a router with one route, extractors, `axum::serve`.

use super::Work;
use super::hyper_server::response;
use anyhow::Result;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Router, serve as serve_axum};
use http::{HeaderMap, Response};
use tokio::net::TcpListener;

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, work: Work) -> Result<()> {
    let router = Router::new();
    let router = if work.reads_body() {
        router.route("/introspect", post(honest))
    } else {
        router.route("/introspect", post(constant))
    };
    // A socket that refuses the option only gets slower answers.
    let listener = listener.tap_io(|stream| {
        let _refused = stream.set_nodelay(true);
    });
    Ok(serve_axum(listener, router.with_state(work)).await?)
}

async fn constant(State(work): State<Work>) -> Response<Body> {
    response(work.reply(&HeaderMap::new(), &[]))
}

async fn honest(State(work): State<Work>, headers: HeaderMap, form: Bytes) -> Response<Body> {
    response(work.reply(&headers, &form))
}
