//! The real binary under faults: killed, cut from power, out of disk, its database gone.

pub mod daemon;
mod killed;
mod power_cut;
mod stopped;
