//! Values that are whole numbers, each within its bounds.

use std::time::Duration;

use opalid_core::time::Seconds;
use opalid_store::leases::LONGEST;

/// How long something is kept, from days.
pub(super) fn days(text: &str) -> Result<Seconds, String> {
    let count = text.parse().ok().filter(|count| (1..=36_500).contains(count));
    count.map(|count: u32| Seconds(count * 24 * 3600)).ok_or_else(|| "expected a whole number from 1 to 36500".into())
}

/// How long a lease is, from seconds.
pub(super) fn lease(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::from_secs);
    let seconds = seconds.filter(|length| (Duration::from_secs(1)..=LONGEST).contains(length));
    seconds.ok_or_else(|| format!("expected a whole number from 1 to {}", LONGEST.as_secs()))
}

/// How many threads.
pub(super) fn worker_count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_024).contains(count));
    count.ok_or_else(|| "expected a whole number from 1 to 1024".into())
}
