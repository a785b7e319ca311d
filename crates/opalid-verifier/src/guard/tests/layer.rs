//! The guard as a layer, around a service that counts what reaches it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use http::Response;
use tower_layer::Layer;
use tower_service::Service;

use super::*;

/// A service that has to be asked for readiness before each call, as many services of `tower` have to.
#[derive(Default)]
struct Inner {
    reached: Arc<AtomicUsize>,
    is_ready: bool,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Self { reached: Arc::clone(&self.reached), is_ready: false }
    }
}

impl Service<Request<&'static str>> for Inner {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<&'static str>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "it is called without having said that it is ready");
        self.reached.fetch_add(1, Ordering::Relaxed);
        let token = request.extensions().get::<Arc<Token>>().unwrap();
        let admitted = request.extensions().get::<Admitted>().unwrap();
        assert!(Arc::ptr_eq(token, admitted.token()));
        ready(Ok(Response::new(format!("{} {}", token.subject, request.body()))))
    }
}

async fn call(
    service: &mut impl Service<Request<&'static str>, Response = Response<String>>,
    with: &str,
) -> (u16, String) {
    let parts = parts(Method::POST, with);
    assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    let answer = service.call(Request::from_parts(parts, "body")).await.ok().unwrap();
    (answer.status().as_u16(), answer.into_body())
}

#[tokio::test]
async fn what_is_admitted_reaches_the_service_within_with_its_token_and_body() {
    let inner = Inner::default();
    let mut guarded = Guard::builder(scripted()).resource(RESOURCE).build().unwrap().layer(inner.clone());
    for _ in 0..2 {
        assert_eq!(call(&mut guarded, "Bearer writer").await, (200, "alice body".into()));
    }
    assert_eq!(inner.reached.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_is_refused_never_reaches_the_service_within() {
    let inner = Inner::default();
    let guard = Guard::builder(scripted()).resource(RESOURCE).scope("write").build().unwrap();
    let mut guarded = guard.layer(inner.clone());
    for (with, status) in [
        ("", 401),
        ("Basic d3JpdGVyOg==", 401),
        ("Bearer", 400),
        ("Bearer dead", 401),
        ("Bearer elsewhere", 401),
        ("Bearer dpop", 401),
        ("Bearer reader", 403),
        ("Bearer away", 503),
    ] {
        assert_eq!(call(&mut guarded, with).await.0, status, "{with}");
    }
    assert_eq!(inner.reached.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn metadata_is_a_service() {
    let mut metadata = ResourceMetadata::builder(RESOURCE).authorization_server("https://id.example").build().unwrap();
    let answer = metadata.call(Request::get("/").body(()).unwrap()).await.unwrap();
    assert_eq!(answer.body(), metadata.json());
}
