//! The real binary under faults: killed, cut from power, out of disk, its database gone.

mod daemon;
mod killed;
mod power_cut;
mod stopped;
