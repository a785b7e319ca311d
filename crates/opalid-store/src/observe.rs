//! Telling somebody how the store does, without knowing what they make of it.

use std::time::Duration;

use crate::memory::BootTime;

/// Who is told. Called in the middle of the work: it counts, and does not wait.
pub trait Observer: Send + Sync {
    /// A transaction that may have written was made durable; COMMIT took this long.
    fn committed(&self, took: Duration);
    /// A step was handed to the engine.
    fn step_begun(&self);
    /// Its caller waits no more.
    fn step_ended(&self);
}

/// Nobody.
impl Observer for () {
    fn committed(&self, _: Duration) {}
    fn step_begun(&self) {}
    fn step_ended(&self) {}
}

/// A step whose caller waits.
pub(crate) struct Waiting<'o>(&'o dyn Observer);

impl<'o> Waiting<'o> {
    pub fn begin(observer: &'o dyn Observer) -> Self {
        observer.step_begun();
        Self(observer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.step_ended();
    }
}

/// When a COMMIT began.
pub(crate) struct Committing(Duration);

impl Committing {
    pub fn begin(boottime: BootTime) -> Self {
        Self(boottime())
    }

    /// It was answered.
    pub fn end(self, boottime: BootTime, observer: &dyn Observer) {
        observer.committed(boottime().saturating_sub(self.0));
    }
}
