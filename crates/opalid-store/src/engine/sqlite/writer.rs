//! The writer: all waiting steps in one transaction, a savepoint each; nobody is answered before COMMIT.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::tx::SqliteTx;
use super::{OnFatal, execute, now, translate};
use crate::engine::tx::Step;
use crate::error::StoreError;
use crate::feed::{self, Change, Position, Touched};
use crate::memory::Memory;

const GROUP_MAX: usize = 256;

/// A step that waits for the writer.
pub(super) trait Job: Send {
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> Result<(), StoreError>;
    /// It did not end well after all.
    fn spoil(&mut self, error: StoreError);
    fn answer(self: Box<Self>, group: Result<(), StoreError>);
}

pub(super) struct StepJob<S: Step> {
    pub(super) step: S,
    pub(super) out: Option<Result<S::Out, StoreError>>,
    pub(super) reply: oneshot::Sender<Result<S::Out, StoreError>>,
}

impl<S: Step> Job for StepJob<S> {
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> Result<(), StoreError> {
        let out = now(self.step.run(tx));
        let done = out.as_ref().map(|_| ()).map_err(Clone::clone);
        self.out = Some(out);
        done
    }

    fn spoil(&mut self, error: StoreError) {
        self.out = Some(Err(error));
    }

    fn answer(self: Box<Self>, group: Result<(), StoreError>) {
        let out = match group {
            Ok(()) => self.out.unwrap_or_else(|| Err(StoreError::Unavailable("the step did not run".into()))),
            Err(error) => Err(error),
        };
        drop(self.reply.send(out));
    }
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) waiting: Receiver<Box<dyn Job>>,
    pub(super) owner: [u8; 16],
    pub(super) memory: Arc<Memory>,
    pub(super) fatal: OnFatal,
}

impl Writer {
    pub(super) fn run(mut self) {
        while let Ok(first) = self.waiting.recv() {
            let mut group = vec![first];
            while let Ok(next) = self.waiting.try_recv() {
                group.push(next);
                if group.len() >= GROUP_MAX {
                    break;
                }
            }
            let outcome = self.commit(&mut group);
            if let Err(error) = &outcome {
                tracing::error!(%error, steps = group.len(), "a group of steps was not committed");
            }
            let fatal = matches!(&outcome, Err(error) if is_fatal(error));
            for job in group {
                job.answer(outcome.clone());
            }
            if fatal {
                (self.fatal)(
                    "the disk failed to keep what was written; ending, so that the next start reads what is really there",
                );
                return;
            }
        }
        drop(self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    }

    /// Runs every job in a savepoint, enters their changes into the feed, commits, then changes memory.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        match self.run_all(group) {
            Ok(positioned) => {
                self.memory.apply(&positioned);
                Ok(())
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    drop(execute(&self.connection, "ROLLBACK"));
                }
                Err(error)
            }
        }
    }

    fn run_all(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<(Position, Touched)>, StoreError> {
        let changes = self.run_group(group)?;
        let positioned = self.enter_feed(&changes)?;
        commit(&self.connection)?;
        Ok(positioned)
    }

    fn run_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        for job in group {
            execute(&self.connection, "SAVEPOINT step")?;
            let mut tx = SqliteTx::new(&mut self.connection);
            let done = job.run(&mut tx).and_then(|()| tx.write_audit());
            let mut made = tx.changes;
            // A full disk or a failed write can roll the whole transaction back under us: then nobody's
            // step has happened, and everybody is told so.
            if self.connection.is_autocommit() {
                let why =
                    done.err().map_or_else(|| "the transaction was rolled back".into(), |error| error.to_string());
                return Err(StoreError::Unavailable(why));
            }
            match done {
                Ok(()) => changes.append(&mut made),
                Err(error) => {
                    job.spoil(error);
                    execute(&self.connection, "ROLLBACK TO step")?;
                }
            }
            execute(&self.connection, "RELEASE step")?;
        }
        Ok(changes)
    }

    fn enter_feed(&mut self, changes: &[Change]) -> Result<Vec<(Position, Touched)>, StoreError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        let mut tx = SqliteTx::new(&mut self.connection);
        let head = tx.query(feed::TAKE_HEAD, &[count.into(), self.owner.as_slice().into()])?;
        let last = head.first().ok_or(StoreError::NotOwner)?.int(0)?;
        let first = u64::try_from(last - count + 1).map_err(|_| StoreError::Corrupt("the feed head".into()))?;
        let mut positioned = Vec::with_capacity(changes.len());
        for (n, change) in (first..).zip(changes) {
            tx.query(feed::INSERT_CHANGE, &change.values(n))?;
            positioned.push((Position(n), change.touched));
        }
        Ok(positioned)
    }
}

const FATAL: &str = "fatal: ";

fn is_fatal(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(why) if why.starts_with(FATAL))
}

fn commit(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("COMMIT").map_err(|error| match error.sqlite_error_code() {
        // A write that failed cleanly leaves the file as it was; a failed fsync leaves it unknown.
        Some(ErrorCode::SystemIoFailure) => StoreError::Unavailable(format!("{FATAL}{error}")),
        _ => translate(&error),
    })
}
