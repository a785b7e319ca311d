//! A grant as memory keeps it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use once_cell::race::OnceBox;
use opalid_core::alive::Stands;
use opalid_core::grant::Grant;
use opalid_core::time::UnixTime;
use opalid_core::token::Jti;

use super::locked;
use crate::feed::Position;

/// A grant as it is remembered: with the tokens of it that were revoked one by one.
#[derive(Debug)]
pub struct RememberedGrant {
    /// The grant.
    pub grant: Grant,
    /// Most grants have none: then it is a null pointer.
    killed: OnceBox<Mutex<HashSet<Jti>>>,
    stood: Stood,
}

impl RememberedGrant {
    /// A grant just read, with its killed tokens.
    pub fn new(grant: Grant, killed: HashSet<Jti>) -> Self {
        let known = OnceBox::new();
        if !killed.is_empty() {
            known.get_or_init(|| Box::new(Mutex::new(killed)));
        }
        Self { grant, killed: known, stood: Stood::default() }
    }

    /// Whether this very token was revoked.
    pub fn has_killed(&self, jti: &Jti) -> bool {
        self.killed.get().is_some_and(|killed| locked(killed).contains(jti))
    }

    /// Where in the feed its lineage was last found standing, and what that is worth.
    pub(super) fn stood(&self) -> (Position, Stands) {
        self.stood.read()
    }

    /// Its lineage was found standing by entries looked at after everything up to `at` was applied.
    pub(super) fn found_standing(&self, at: Position, stands: Stands) {
        self.stood.write(at, stands);
    }

    pub(super) fn kill(&self, jti: Jti) {
        locked(self.killed.get_or_init(Box::default)).insert(jti);
    }
}

/// A position and the end that belongs to it, in one word, so that nobody reads the one with the other's: 40 bits of
/// position, then 24 of time by 256 seconds, rounded down. All of them set is no end.
#[derive(Debug, Default)]
struct Stood(AtomicU64);

const TIME_BITS: u32 = 24;
const NO_END: u64 = (1 << TIME_BITS) - 1;
const STEP_BITS: u32 = 8;

impl Stood {
    fn read(&self) -> (Position, Stands) {
        let word = self.0.load(Ordering::SeqCst);
        let end = word & NO_END;
        let until = (end != NO_END).then(|| UnixTime::from(u32::try_from(end << STEP_BITS).unwrap_or(0)));
        (Position(word >> TIME_BITS), Stands { until })
    }

    /// Keeps nothing of a position that has no room: a store with a million million changes is asked each time.
    fn write(&self, Position(at): Position, stands: Stands) {
        let end = stands.until.map_or(NO_END, |end| u64::from(end.as_u32() >> STEP_BITS).min(NO_END - 1));
        if at >> (u64::BITS - TIME_BITS) == 0 {
            self.0.store(at << TIME_BITS | end, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_with_its_counters_has_128_bytes() {
        assert_eq!(size_of::<RememberedGrant>() + 2 * size_of::<usize>(), 128);
    }

    #[test]
    fn what_stood_is_kept_with_an_end_that_is_never_later() {
        let stood = Stood::default();
        let (at, stands) = stood.read();
        assert_eq!((at, stands.holds(UnixTime(0))), (Position(0), false));
        for (end, kept) in [(None, None), (Some(1_800_000_255), Some(1_800_000_000)), (Some(0), Some(0))] {
            stood.write(Position(7), Stands { until: end.map(UnixTime) });
            assert_eq!(stood.read(), (Position(7), Stands { until: kept.map(UnixTime) }));
        }
        stood.write(Position(7), Stands { until: Some(UnixTime(i64::MAX)) });
        assert!(stood.read().1.until.is_some());
        let most = Position((1 << 40) - 1);
        stood.write(most, Stands { until: None });
        stood.write(Position(1 << 40), Stands { until: None });
        assert_eq!(stood.read(), (most, Stands { until: None }));
    }
}
