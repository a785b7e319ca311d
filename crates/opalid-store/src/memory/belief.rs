//! Whether memory may answer: nothing that was committed is unknown, and the lease has not run out.
//!
//! Holds: the lease is looked at first, with the clock read inside the check; a doubt that came up while an
//! older one was being cleared is not cleared with it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use opalid_core::lease::Moment;

/// A clock that counts from the machine's start, suspend included (`CLOCK_BOOTTIME`).
pub type BootTime = fn() -> Duration;

/// How many doubts there have been. Clearing them takes the number seen before looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doubts(u64);

const FOREVER: u64 = u64::MAX;

pub(super) struct Belief {
    believed: AtomicBool,
    doubts: AtomicU64,
    lease_until: AtomicU64,
    boottime: BootTime,
}

impl Belief {
    /// Believes nothing yet; holds a lease without an end.
    pub fn new(boottime: BootTime) -> Self {
        Self {
            believed: AtomicBool::new(false),
            doubts: AtomicU64::new(0),
            lease_until: AtomicU64::new(FOREVER),
            boottime,
        }
    }

    pub fn holds(&self) -> bool {
        let until = self.lease_until.load(Ordering::SeqCst);
        (until == FOREVER || nanos((self.boottime)()) < until) && self.believed.load(Ordering::SeqCst)
    }

    pub fn lease_until(&self, until: Duration) {
        self.lease_until.store(nanos(until).min(FOREVER - 1), Ordering::SeqCst);
    }

    pub fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::SeqCst);
        self.believed.store(false, Ordering::SeqCst);
    }

    pub fn doubts(&self) -> Doubts {
        Doubts(self.doubts.load(Ordering::SeqCst))
    }

    /// Believes again, unless there has been a doubt since `seen`.
    pub fn clear(&self, seen: Doubts) {
        self.believed.store(true, Ordering::SeqCst);
        // Whoever doubts counts first and then stops the belief; looked at again after believing, so that
        // one of the two sees the other.
        if self.doubts() != seen {
            self.believed.store(false, Ordering::SeqCst);
        }
    }

    /// When it ends by itself; it has, while there is a doubt.
    pub fn ends_at(&self) -> Moment {
        let ends_at = self.lease_until.load(Ordering::SeqCst);
        Moment(if self.is_in_doubt() { 0 } else { ends_at })
    }

    pub fn is_in_doubt(&self) -> bool {
        !self.believed.load(Ordering::SeqCst)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(FOREVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_by_the_clock() {
        static NOW: AtomicU64 = AtomicU64::new(100);
        let belief = Belief::new(|| Duration::from_nanos(NOW.load(Ordering::SeqCst)));
        belief.clear(belief.doubts());
        belief.lease_until(Duration::from_nanos(110));
        assert!(belief.holds());
        NOW.store(110, Ordering::SeqCst);
        assert!(!belief.holds());
        belief.lease_until(Duration::from_nanos(120));
        assert!(belief.holds());
    }

    #[test]
    fn clearing_an_old_doubt_leaves_a_new_one() {
        let belief = Belief::new(|| Duration::ZERO);
        let seen = belief.doubts();
        belief.doubt();
        belief.clear(seen);
        assert!(!belief.holds());
        belief.clear(belief.doubts());
        assert!(belief.holds());
    }
}
