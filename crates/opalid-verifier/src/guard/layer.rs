//! A guard around a service of `tower`.
//!
//! Takes: any service that takes `http` requests and gives `http` responses, of whatever body is made from text:
//! `String`, `axum::body::Body`, `http_body_util::Full<Bytes>`.
//! Gives: a service that answers refusals itself, and gives the other requests on with [`Admitted`] and `Arc<Token>`
//! among their extensions.
//! Holds: what is refused never reaches the service within.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

#[cfg(doc)]
use super::Admitted;
use super::Guard;
use crate::verdict::Verify;

impl<S, V: Verify> Layer<S> for Guard<V> {
    type Service = Guarded<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, guard: self.clone() }
    }
}

/// A service that a guard stands before.
#[derive(Debug, Clone)]
pub struct Guarded<S, V> {
    inner: S,
    guard: Guard<V>,
}

impl<S, V, B, R> Service<Request<B>> for Guarded<S, V>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    V: Verify,
    B: Send + 'static,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that said it is ready; its clone has yet to say so.
        let spare = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, spare);
        let guard = self.guard.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match guard.admit(&parts).await {
                Ok(admitted) => {
                    parts.extensions.insert(Arc::clone(admitted.token()));
                    parts.extensions.insert(admitted);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(refusal) => Ok(refusal.answer()),
            }
        })
    }
}
