//! The body of a request, which says so while it waits for its client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::connections::Connection;

/// A body whose connection knows whether it is waited for.
pub struct RequestBody {
    body: Incoming,
    connection: Arc<Connection>,
    /// Whether it was asked for: hyper gives nothing before, also of what came with its headers.
    asked_for: bool,
    waited_for: bool,
}

impl RequestBody {
    /// The body of a request on this connection.
    pub(super) const fn new(body: Incoming, connection: Arc<Connection>) -> Self {
        Self { body, connection, asked_for: false, waited_for: false }
    }

    fn wait(&mut self, waits: bool) {
        if self.waited_for != waits {
            self.waited_for = waits;
            self.connection.body_waits(waits);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let asked_before = std::mem::replace(&mut self.asked_for, true);
        self.wait(asked_before && polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.wait(false);
    }
}
