//! The clock of the benches, and the only place that waits.
//!
//! Monotonic time is enough to measure with: nothing measured lives longer than the process that measures it.

use opalid_core::lease::Moment;
use opalid_core::time::UnixTime;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// This moment.
#[expect(clippy::disallowed_methods, reason = "a bench measures elapsed time; no lease depends on it")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits between two questions to a child that is starting or stopping.
#[expect(clippy::disallowed_methods, reason = "a child process gives no other sign that it is listening or gone")]
pub fn pause(valid_for: Duration) {
    std::thread::sleep(valid_for);
}

/// The time of day, for what lies in a token.
#[expect(clippy::disallowed_methods, reason = "the server reads the same clock to judge what is sealed here")]
pub fn time_of_day() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

/// This moment on the clock of leases, as a verifier reads it within a check.
pub fn boottime() -> Moment {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Moment::default().after(Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default()))
}
