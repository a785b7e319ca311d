//! SQLite's floor: one writer takes all waiting steps into one transaction (WAL, `synchronous=FULL`).

use super::{BODY, CHAINS, INSERT, StepInput, UPDATE, measure};
use crate::cpu;
use crate::load::Shape;
use crate::stats::Sample;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rusqlite::{Connection, params};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// A step on its way to the writer, and where its submitter waits.
struct Job {
    input: StepInput,
    done: oneshot::Sender<Result<(), String>>,
}

/// Measures in a folder of its own under `parent`, which is removed afterwards. With `server_cpu`, writer and submitters
/// share that core, as the whole of a server under test does.
pub fn run(parent: &Path, shape: Shape, server_cpu: Option<usize>) -> Result<Sample> {
    let pinned = || {
        server_cpu.map(cpu::pin).transpose()?;
        run_here(parent, shape)
    };
    // A thread of its own: the caller's, which is the load's, stays where it is.
    std::thread::scope(|scope| scope.spawn(pinned).join()).map_err(|_| anyhow!("the floor panicked"))?
}

fn run_here(parent: &Path, shape: Shape) -> Result<Sample> {
    let folder = Folder::under(parent)?;
    let writer = Writer::start(&folder.0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let sample = runtime.block_on(measure(shape, async |input| writer.submit(input).await));
    writer.stop()?;
    sample
}

/// The thread that writes, and the way to it.
pub struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    thread: JoinHandle<Result<()>>,
}

impl Writer {
    /// Makes a file in a folder and starts to write.
    pub fn start(folder: &Path) -> Result<Self> {
        let connection = open(&folder.join("floor.db"))?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        Ok(Self { jobs, thread: std::thread::spawn(move || write(connection, waiting)) })
    }

    /// Returns once the step is committed.
    pub async fn submit(&self, input: StepInput) -> Result<()> {
        let (done, committed) = oneshot::channel();
        self.jobs.send(Job { input, done }).map_err(|_| anyhow!("the writer is gone"))?;
        committed.await.context("the writer is gone")?.map_err(|error| anyhow!(error))
    }

    fn stop(self) -> Result<()> {
        drop(self.jobs);
        self.thread.join().map_err(|_| anyhow!("the writer panicked"))?
    }
}

fn open(file: &Path) -> Result<Connection> {
    let connection = Connection::open(file)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "journal mode {mode}");
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         CREATE TABLE opalid_bench_chain (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, hash BLOB NOT NULL);
         CREATE TABLE opalid_bench_log (n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, body BLOB NOT NULL);
         BEGIN",
    )?;
    let last = i64::try_from(CHAINS)?;
    for id in 0..last {
        connection.execute("INSERT INTO opalid_bench_chain VALUES ($1, 0, $2)", params![id, [0_u8; 32]])?;
    }
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(connection)
}

/// Takes steps until nobody can send one any more.
fn write(connection: Connection, mut waiting: mpsc::UnboundedReceiver<Job>) -> Result<()> {
    let mut group = Vec::new();
    while let Some(first) = waiting.blocking_recv() {
        group.push(first);
        while let Ok(next) = waiting.try_recv() {
            group.push(next);
        }
        let outcome = commit(&connection, &group).map_err(|error| error.to_string());
        for job in group.drain(..) {
            // A submitter that has measured enough no longer listens.
            let _gone = job.done.send(outcome.clone());
        }
    }
    Ok(())
}

fn commit(connection: &Connection, group: &[Job]) -> Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let mut update = connection.prepare_cached(UPDATE)?;
    let mut insert = connection.prepare_cached(INSERT)?;
    for Job { input, .. } in group {
        ensure!(update.execute(params![1, input.hash, input.chain])? == 1, "no row {}", input.chain);
        for _ in 0..input.inserts {
            insert.execute(params![1, BODY])?;
        }
    }
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

/// A folder that goes when it is dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A new folder; its name is the process and what the parent already holds.
    pub fn under(parent: &Path) -> Result<Self> {
        std::fs::create_dir_all(parent)?;
        let name = |number: u32| parent.join(format!("{}-{number}", std::process::id()));
        for folder in (0..).map(name) {
            match std::fs::create_dir(&folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => return Ok(made.map(|()| Self(folder))?),
            }
        }
        bail!("no free name in {}", parent.display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays under target/, where anyone would look for it.
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn folders_that_are_made_at_once_are_several() {
        let parent = Folder::under(&std::env::temp_dir().join("opalid-bench-test")).unwrap();
        let made = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| Folder::under(&parent.0).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let names: std::collections::HashSet<_> = made.iter().map(|folder| folder.0.clone()).collect();
        assert_eq!(names.len(), 16);
    }

    #[test]
    fn a_measurement_commits_steps_and_removes_its_folder() {
        let parent = Folder::under(&std::env::temp_dir().join("opalid-bench-test")).unwrap();
        let shape = Shape { connections: 4, warm_up: Duration::ZERO, measured: Duration::from_millis(50) };
        let sample = run(&parent.0, shape, None).unwrap();
        assert!(sample.answers > 0);
        assert_eq!(std::fs::read_dir(&parent.0).unwrap().count(), 0);
    }

    #[test]
    fn a_group_is_one_transaction_with_an_update_and_an_insert_per_step() {
        let parent = Folder::under(&std::env::temp_dir().join("opalid-bench-test")).unwrap();
        let connection = open(&parent.0.join("floor.db")).unwrap();
        let job = |chain| Job { input: StepInput { chain, hash: [1; 32], inserts: 1 }, done: oneshot::channel().0 };
        commit(&connection, &[job(1), job(2), job(2)]).unwrap();
        let sums = "SELECT (SELECT sum(generation) FROM opalid_bench_chain), (SELECT count(*) FROM opalid_bench_log)";
        let sums: (i64, i64) = connection.query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(sums, (3, 3));
    }
}
