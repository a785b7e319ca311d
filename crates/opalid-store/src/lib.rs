//! Durable state: steps of the protocol, one transaction each, on SQLite or PostgreSQL.
//!
//! Takes: steps (`Store::run`) and look-ups. Gives: what they say, once it is durable.
//! Holds: COMMIT, then memory, then the answer. A failure is an error, never "inactive" or "not found".

pub mod check;
#[cfg(test)]
mod conformance;
pub mod engine;
mod error;
pub mod feed;
mod find;
pub mod folder;
pub mod keys;
pub mod leases;
pub mod memory;
mod observe;
mod outages;
pub mod steps;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use engine::sqlite::{Copier, CopyProgress, OnFatal};
pub use engine::tx::{Row, Step, Tx, Value};
pub use error::{Outage, StoreError};
pub use observe::Observer;

use crate::engine::Surroundings;
use crate::engine::postgres::Postgres;
use crate::engine::sqlite::Sqlite;
use crate::feed::Incarnation;
use crate::leases::{Done, Leases};
use crate::memory::{BootTime, Capacity, Memory};
use crate::observe::Waiting;
use crate::outages::Outages;
use crate::steps::cell::Cell;
use crate::steps::restore::{Restore, Restored};

/// Where a store lies.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database; see [`Location::postgres`].
    Postgres(Box<engine::postgres::Address>),
}

impl Location {
    /// A PostgreSQL database by its URL. A password stands beside it, never in it.
    pub fn postgres(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        engine::postgres::Address::parse(url, password).map(|address| Self::Postgres(Box::new(address)))
    }

    /// Makes a store there of the copy `from`, with `step` taken in it; refused where there is one, or a server.
    /// `copied` hears of progress.
    pub fn restore_from(
        &self,
        from: &Path,
        step: &Restore,
        copied: &mut dyn FnMut(CopyProgress),
    ) -> Result<Restored, StoreError> {
        match self {
            Self::Sqlite(path) => engine::sqlite::restore(from, path, (step, copied)),
            Self::Postgres(_) => Err(StoreError::Refused("a PostgreSQL database is put back by pg_restore".into())),
        }
    }

    /// What the store there says of itself, without changing anything in it: `None` where none was made yet.
    pub async fn look(&self) -> Result<Option<Cell>, StoreError> {
        match self {
            Self::Sqlite(path) => engine::sqlite::look(path),
            Self::Postgres(address) => engine::postgres::look(address).await,
        }
    }
}

/// How a store is opened.
pub struct Opening {
    /// Where it lies.
    pub location: Location,
    /// Drawn for this start: the name of this life.
    pub owner: [u8; 16],
    /// Whether nobody else may be on the store: to put it back. SQLite has never more than one.
    pub alone: bool,
    /// The incarnation, if the store is made now.
    pub incarnation: [u8; 16],
    /// How much is remembered.
    pub capacity: Capacity,
    /// How long a lease is that is granted to others, at most [`leases::LONGEST`].
    pub lease: Duration,
    /// The clock of leases: counts from the machine's start, suspend included.
    pub boottime: BootTime,
    /// Who is told how it does.
    pub observer: Arc<dyn Observer>,
    /// What to do when what is on disk is not known any more.
    pub on_fatal: OnFatal,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Box<Postgres>),
}

/// The store.
pub struct Store {
    engine: Engine,
    memory: Arc<Memory>,
    observer: Arc<dyn Observer>,
    steps: AtomicU64,
    reads: AtomicU64,
    turns: find::Turns,
    outages: Outages,
    boottime: BootTime,
    leases: Arc<Leases>,
}

impl Store {
    /// Opens or makes a store, owns it, and brings its tables up to date.
    pub async fn open(opening: Opening) -> Result<Self, StoreError> {
        let memory = Arc::new(Memory::new(opening.capacity, opening.boottime));
        let leases = Arc::new(Leases::new(opening.owner, opening.lease));
        let surroundings = Surroundings {
            alone: opening.alone,
            leases: Arc::clone(&leases),
            owner: opening.owner,
            fresh: Incarnation(opening.incarnation),
            memory: Arc::clone(&memory),
            boottime: opening.boottime,
            observer: Arc::clone(&opening.observer),
            on_fatal: opening.on_fatal,
        };
        let engine = match opening.location {
            Location::Sqlite(path) => Engine::Sqlite(Sqlite::open(&path, surroundings)?),
            Location::Postgres(address) => Engine::Postgres(Box::new(Postgres::open(*address, surroundings).await?)),
        };
        let (steps, reads) = (AtomicU64::new(0), AtomicU64::new(0));
        let turns = find::Turns::new();
        let store = Self {
            engine,
            memory,
            observer: opening.observer,
            steps,
            reads,
            turns,
            outages: Outages::default(),
            boottime: opening.boottime,
            leases,
        };
        // From this first look on it is counted how long the rows of former lives stand unchanged.
        store.tend_leases().await?;
        Ok(store)
    }

    /// Runs a step that may write: answers after COMMIT, and after memory has changed; others may believe what they knew before.
    /// Dropping the future does not stop the step.
    pub async fn run_unsettled<S: Step>(&self, step: S) -> Result<Done<S::Out>, StoreError> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting::begin(&*self.observer);
        let done = match &self.engine {
            Engine::Sqlite(engine) => engine.step(step).await,
            Engine::Postgres(engine) => engine.step(step).await,
        };
        self.outages.hear(self.boottime, &done);
        done.map(|(out, changed)| Done { out, unsettled: self.unsettled(changed) })
    }

    /// Runs a step that only reads.
    pub async fn read<S: Step>(&self, step: S) -> Result<S::Out, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let read = match &self.engine {
            Engine::Sqlite(engine) => engine.read(&step),
            Engine::Postgres(engine) => engine.read(step).await,
        };
        self.outages.hear(self.boottime, &read);
        read
    }

    /// Lets what runs end and gives the store up cleanly, so that the next server need not wait for this
    /// one's memory. A store that is dropped without it is left as by a crash.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite(engine) => {
                self.leave_leases().await;
                engine.close().await;
            }
            Engine::Postgres(engine) => engine.close().await,
        }
    }

    /// What copies it while it runs; refused for PostgreSQL, which has better tools of its own.
    pub fn copier(&self) -> Result<Copier, StoreError> {
        match &self.engine {
            Engine::Sqlite(engine) => Ok(engine.copier()),
            Engine::Postgres(_) => Err(StoreError::Refused(
                "this store is a PostgreSQL database; copy it with pg_dump, and after pg_restore run: opalid restore"
                    .into(),
            )),
        }
    }

    /// What is remembered.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// How many steps were handed to the engine since it was opened.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// How many reads went to the engine since it was opened; what memory answered is not among them.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}
