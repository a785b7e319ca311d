//! Which core a thread may run on.
//!
//! The server under test has one core to itself and the load another: otherwise the figures say how well
//! the two share.

use anyhow::Result;

/// Binds the calling thread, and the threads it starts later, to one core.
#[cfg(target_os = "linux")]
pub fn pin(cpu: usize) -> Result<()> {
    use anyhow::Context;
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {cpu} alone"))
}

/// Elsewhere threads are not bound; the report's ratios are still of the same run.
#[cfg(not(target_os = "linux"))]
pub fn pin(_cpu: usize) -> Result<()> {
    Ok(())
}
