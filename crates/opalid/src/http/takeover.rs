//! Connections that are taken over from HTTP (RFC 9110 §7.8).
//!
//! Takes: a request whose client asks for another protocol. Gives: its connection to whoever goes on with it.
//! Holds: who takes over does so on the connection's own thread and in its place in the table, until the server drains; others keep
//! half of the places.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::connections::Connection;

/// What goes on with a connection after HTTP.
pub(super) type Next = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether a connection was taken over, and by what.
#[derive(Default)]
pub(super) struct Takeover {
    taken: AtomicBool,
    next: Mutex<Option<Next>>,
}

impl Takeover {
    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Relaxed)
    }

    /// What goes on with it once the answer that ends HTTP on it has left.
    pub(super) fn next(&self) -> Option<Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The right to take a connection over, where its client has asked for that.
#[derive(Clone)]
pub struct MayTakeOver(pub(super) Arc<Connection>);

impl MayTakeOver {
    /// Goes on with `next` when the answer has left. `false`: too many connections are taken over already.
    pub fn with(&self, next: impl Future<Output = ()> + Send + 'static) -> bool {
        let Takeover { taken, next: place } = &self.0.takeover;
        if taken.load(Relaxed) || !self.0.room_for_takeover() {
            return false;
        }
        taken.store(true, Relaxed);
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(next));
        true
    }
}
