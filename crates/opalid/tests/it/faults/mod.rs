//! The real binary under faults: killed, cut from power, out of disk, its database gone.

// One file for the tests of the store and of the server.
#[path = "../../../../opalid-store/src/conformance/cluster.rs"]
pub mod cluster;
pub mod daemon;
mod killed;
mod master_key;
mod postgres;
mod power_cut;
mod stopped;
mod trickle;
