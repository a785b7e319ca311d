//! When something was last changed, by the hash of its id: a table so small that the core keeps it at hand.
//!
//! Holds: a change is in the table before its position is published; of what shares a place, all count as changed; a
//! place never goes back, also where the feed does.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::feed::{Position, Touched};

/// Half a megabyte. A change has one of 65,536 asked for again in vain.
const PLACES: usize = 1 << 16;

pub(super) struct Changes(Box<[AtomicU64]>);

impl Changes {
    pub fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }

    /// Notes that this changed there. A killed token changes nothing that others hang from.
    pub fn note(&self, touched: Touched, at: Position) {
        if let (false, Some(place)) = (matches!(touched, Touched::Token { .. }), self.of(touched)) {
            place.fetch_max(at.0, Ordering::SeqCst);
        }
    }

    /// Notes that everything may have changed.
    pub fn note_all(&self, at: Position) {
        for place in &self.0 {
            place.fetch_max(at.0, Ordering::SeqCst);
        }
    }

    /// Whether this certainly has not changed since.
    pub fn none_since(&self, touched: Touched, since: Position) -> bool {
        self.of(touched).is_some_and(|place| place.load(Ordering::SeqCst) <= since.0)
    }

    fn of(&self, touched: Touched) -> Option<&AtomicU64> {
        // The end of an id is random (RFC 9562 §5.7).
        let [.., one, other] = *touched.id();
        self.0.get(usize::from(u16::from_be_bytes([one, other])))
    }
}
