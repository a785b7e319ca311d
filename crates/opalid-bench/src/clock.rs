//! The clock of the benches, and the only place that waits.
//!
//! Monotonic time is enough here: nothing measured lives longer than the process that measures it.

use std::time::{Duration, Instant};

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
