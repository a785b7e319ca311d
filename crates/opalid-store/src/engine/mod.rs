//! The engines: SQL text and parameters in, rows out.

pub mod migrate;
pub mod postgres;
pub mod sqlite;
pub mod tx;

use std::sync::Arc;

use crate::feed::Incarnation;
use crate::leases::Leases;
use crate::memory::{BootTime, Memory};
use crate::observe::Observer;

/// What an engine is opened with, whichever it is.
pub(crate) struct Surroundings {
    /// Drawn for this start.
    pub owner: [u8; 16],
    /// The incarnation of a store that is made now.
    pub fresh: Incarnation,
    /// Whether nobody else may be on the store.
    pub alone: bool,
    /// Leases that others hold of this node.
    pub leases: Arc<Leases>,
    /// What changes once a change is committed.
    pub memory: Arc<Memory>,
    /// The clock of leases and of lengths of time.
    pub boottime: BootTime,
    /// Who is told how it does.
    pub observer: Arc<dyn Observer>,
    /// What to do when what is on disk is not known any more.
    pub on_fatal: sqlite::OnFatal,
}
