//! The one place that reads clocks.
//!
//! `Clock::now` is wall time for what is written down (`issued_at`, `expires_at`); `boottime` is for leases and
//! lengths of time: it never steps and counts the time a machine was suspended.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use opalid_core::time::UnixTime;
use rustix::time::{ClockId, clock_gettime};

/// Where the time of day comes from: the machine, or a test that moves it.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// Seconds since 1970 that only a test changes.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now` until it is moved.
    #[must_use]
    pub fn manual(now: UnixTime) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.0)))
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        match self {
            Self::System => UnixTime(clock_gettime(ClockId::Realtime).tv_sec),
            Self::Manual(seconds) => UnixTime(seconds.load(Ordering::SeqCst)),
        }
    }

    /// The time of day with the milliseconds that an id carries.
    #[must_use]
    pub fn now_with_millis(&self) -> (UnixTime, u16) {
        match self {
            Self::System => {
                let time = clock_gettime(ClockId::Realtime);
                (UnixTime(time.tv_sec), u16::try_from(time.tv_nsec / 1_000_000).unwrap_or(0))
            }
            Self::Manual(_) => (self.now(), 0),
        }
    }

    /// Moves a manual clock by `seconds`; the machine's own clock stays as it is.
    pub fn advance(&self, seconds: i64) {
        if let Self::Manual(now) = self {
            now.fetch_add(seconds, Ordering::SeqCst);
        }
    }
}

/// How long the machine has been up, suspend included; for lengths of time, never for dates.
#[must_use]
pub fn boottime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_it_is_moved() {
        let clock = Clock::manual(UnixTime(1_000));
        let same = clock.clone();
        clock.advance(5);
        assert_eq!(same.now(), UnixTime(1_005));
        assert_eq!(same.now_with_millis(), (UnixTime(1_005), 0));
    }

    #[test]
    fn boottime_never_goes_back() {
        let before = boottime();
        assert!(boottime() >= before);
    }
}
