//! The one place that reads a clock.
//!
//! Gives: moments of a clock that never steps and goes on while the machine is suspended.
//! Not here: waiting, which is the runtime's; its timers stand still with the machine, so no lease is judged by them.

use opalid_core::lease::Moment;
use rustix::time::{ClockId, clock_gettime};

/// Where moments come from: [`boottime`], or a test that moves them.
pub type Clock = fn() -> Moment;

/// How long the machine has been up, suspend included.
#[must_use]
pub fn boottime() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    Moment(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boottime_never_goes_back() {
        let before = boottime();
        assert!(boottime() >= before);
    }
}
