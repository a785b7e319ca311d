//! Moments of one machine's clock, and how far two such clocks drift apart.

use std::time::Duration;

/// A moment in nanoseconds on the monotonic clock of one machine, one that goes on while the machine is suspended
/// (`CLOCK_BOOTTIME`). Moments of two machines say nothing of each other, and none is a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// So much later. What would be beyond the clock's end is its end.
    #[must_use]
    pub fn after(self, length: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long it is until `later`; nothing if that is past.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// By how much two clocks' rates differ at most, in thousandths. Added once, by whoever waits for somebody else's lease to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Margin(u32);

impl Margin {
    /// One in a hundred: twenty times what a clock drifts before its machine is called broken (NTP slews by 0.05 % at most).
    pub const CLOCKS: Self = Self(10);

    /// So many thousandths.
    #[must_use]
    pub const fn permille(thousandths: u32) -> Self {
        Self(thousandths)
    }

    /// How long to wait by one clock until `length` is over by any other: rounded up to whole nanoseconds.
    #[must_use]
    pub fn beyond(self, length: Duration) -> Duration {
        let more = length.as_nanos().saturating_mul(u128::from(self.0)).div_ceil(1000);
        length.saturating_add(Duration::from_nanos(u64::try_from(more).unwrap_or(u64::MAX)))
    }
}
