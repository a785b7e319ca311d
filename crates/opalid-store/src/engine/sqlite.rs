//! SQLite: one writer thread that takes all waiting steps into one transaction.
//!
//! Takes: steps. Gives: each its own result, once COMMIT has returned and memory has changed.
//! Holds: WAL with `synchronous=FULL`; nobody is answered before COMMIT; a failed fsync is never retried:
//! everyone waiting gets `Unavailable` and the process ends, because what is on disk is not known.
//! Reads run on the caller's thread, on a connection of that thread.

mod copy;
mod files;
mod start;
mod tx;

use std::cell::RefCell;
use std::fs::File;
use std::future::Future;
use std::iter;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::task::{Context, Poll, Waker};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

pub(crate) use self::copy::restore;
pub use self::copy::{Copier, CopyProgress};
pub(crate) use self::files::look;
use self::files::{lock, make_private};
use self::tx::SqliteTx;
use crate::engine::Surroundings;
use crate::engine::tx::Step;
use crate::error::StoreError;
use crate::feed::{self, Change, Incarnation, Position, Touched};
use crate::observe::Committing;

const GROUP_MAX: usize = 256;
const QUEUE_MAX: usize = 16 * 1024;

/// What to do when nothing can be trusted any more; the binary ends the process.
pub type OnFatal = Arc<dyn Fn(&str) + Send + Sync>;

/// The engine.
pub struct Sqlite {
    path: PathBuf,
    number: u64,
    writer: SyncSender<Message>,
}

impl Sqlite {
    /// Opens or makes the file, refuses a second server on it, brings its tables up to date.
    pub(crate) fn open(path: &Path, around: Surroundings) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        make_private(path)?;
        let (connection, head) = start::start(path, &around)?;
        around.memory.start(head.incarnation, head.position);
        connection.set_prepared_statement_cache_capacity(256);

        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let (writer, waiting) = sync_channel(QUEUE_MAX);
        let work = Writer { connection, waiting, around, lock };
        std::thread::Builder::new()
            .name("opalid-writer".into())
            .spawn(move || work.run())
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { path: path.to_owned(), number: NUMBERS.fetch_add(1, Ordering::Relaxed), writer })
    }

    /// Runs a step; answers after COMMIT: what it gave, and whether it changed something or found it changed.
    pub(crate) async fn step<S: Step>(&self, step: S) -> Result<(S::Out, bool), StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(StepJob { step, out: None, changed: false, reply });
        self.writer
            .try_send(Message::Step(job))
            .map_err(|_| StoreError::Unavailable("too many steps are waiting".into()))?;
        answer.await.map_err(|_| StoreError::Unavailable("the writer has stopped".into()))?
    }

    /// Runs a step that only reads, here and now, on this thread's connection.
    pub(crate) fn read<S: Step>(&self, step: &S) -> Result<S::Out, StoreError> {
        thread_local! {
            static READERS: RefCell<Vec<(u64, Connection)>> = const { RefCell::new(Vec::new()) };
        }
        READERS.with_borrow_mut(|readers| {
            if !readers.iter().any(|(number, _)| *number == self.number) {
                readers.truncate(3);
                readers.insert(0, (self.number, self.open_reader()?));
            }
            let reader = readers.iter_mut().find(|(number, _)| *number == self.number).map(|(_, reader)| reader);
            let reader = reader.ok_or_else(|| StoreError::Unavailable("no reader".into()))?;
            execute(reader, "BEGIN")?;
            let mut tx = SqliteTx::new(reader);
            let out = now(step.run(&mut tx));
            let wrote = !tx.changes.is_empty() || !tx.audits.is_empty();
            execute(reader, "COMMIT")?;
            if wrote { Err(StoreError::Statement("a read made a change".into())) } else { out }
        })
    }

    /// Ends the writer behind the steps that wait, and gives the file up: from then on another may open it.
    pub(crate) async fn close(&self) {
        let (ended, end) = oneshot::channel();
        // A full queue empties; the writer alone never waits for this.
        let mut message = Message::End(ended);
        while let Err(TrySendError::Full(again)) = self.writer.try_send(message) {
            message = again;
            tokio::task::yield_now().await;
        }
        drop(end.await);
    }

    /// What copies it while it runs.
    pub(crate) fn copier(&self) -> Copier {
        Copier::new(&self.path)
    }

    fn open_reader(&self) -> Result<Connection, StoreError> {
        let reader = open_to_read(&self.path)?;
        reader.set_prepared_statement_cache_capacity(64);
        Ok(reader)
    }
}

fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags).map_err(|error| translate(&error))?;
    reader.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;").map_err(|error| translate(&error))?;
    keep_plans(&reader).map_err(|error| translate(&error))?;
    Ok(reader)
}

/// A statement's plan does not depend on its values. Without this, some statements are prepared anew each time they
/// are given others, which takes longer than to run them.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// A step that waits for the writer.
trait Job: Send {
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> Result<(), StoreError>;
    /// It did not end well after all.
    fn spoil(&mut self, error: StoreError);
    fn answer(self: Box<Self>, group: Result<(), StoreError>);
}

struct StepJob<S: Step> {
    step: S,
    out: Option<Result<S::Out, StoreError>>,
    changed: bool,
    reply: oneshot::Sender<Result<(S::Out, bool), StoreError>>,
}

impl<S: Step> Job for StepJob<S> {
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> Result<(), StoreError> {
        let out = now(self.step.run(tx));
        let done = out.as_ref().map(|_| ()).map_err(Clone::clone);
        self.out = Some(out);
        self.changed = tx.follows || !tx.changes.is_empty();
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
        drop(self.reply.send(out.map(|out| (out, self.changed))));
    }
}

/// What a step that goes wrong takes with it until it is run again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undoing {
    /// The whole group.
    Together,
    /// Nothing but itself.
    EachAlone,
}

/// What the writer is sent.
enum Message {
    Step(Box<dyn Job>),
    /// Nothing more is wanted; answered once the file is given up.
    End(oneshot::Sender<()>),
}

struct Writer {
    connection: Connection,
    waiting: Receiver<Message>,
    around: Surroundings,
    lock: File,
}

impl Writer {
    fn run(mut self) {
        let mut ended = None;
        while ended.is_none()
            && let Ok(first) = self.waiting.recv()
        {
            // Whoever shares this core has more on the way: one turn for them, and they share one sync.
            std::thread::yield_now();
            let mut group = Vec::new();
            for message in iter::once(first).chain(self.waiting.try_iter()) {
                match message {
                    Message::Step(job) => group.push(job),
                    Message::End(done) => ended = Some(done),
                }
                if ended.is_some() || group.len() >= GROUP_MAX {
                    break;
                }
            }
            if group.is_empty() {
                break;
            }
            let outcome = self.commit(&mut group);
            if let Err(error) = &outcome {
                // Each caller is told, and says so where it matters.
                tracing::debug!(%error, steps = group.len(), "a group of steps was not committed");
            }
            let fatal = matches!(&outcome, Err(error) if is_fatal(error));
            for job in group {
                job.answer(outcome.clone());
            }
            if fatal {
                // Whoever waits behind them is told so too, and whoever comes now.
                drop(self.waiting);
                (self.around.on_fatal)(
                    "the disk failed to keep what was written; ending, so that the next start reads what is really there",
                );
                return;
            }
        }
        let Self { connection, lock, .. } = self;
        drop(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
        drop((connection, lock));
        if let Some(done) = ended {
            done.send(()).ok();
        }
    }

    /// Runs every job, enters their changes into the feed, commits, then changes memory.
    ///
    /// A savepoint costs as much as a small step, and hardly ever is one needed: only if a step goes wrong is the
    /// whole group undone and run again with a savepoint for each.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let positioned = match self.attempt(group, Undoing::Together)? {
            Some(positioned) => positioned,
            None => self.attempt(group, Undoing::EachAlone)?.unwrap_or_default(),
        };
        self.around.memory.apply(&positioned);
        Ok(())
    }

    /// One transaction; `None` if a step went wrong and it was all undone.
    fn attempt(
        &mut self,
        group: &mut [Box<dyn Job>],
        undoing: Undoing,
    ) -> Result<Option<Vec<(Position, Touched)>>, StoreError> {
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let done = self.run_all(group, undoing);
        if !matches!(done, Ok(Some(_))) && !self.connection.is_autocommit() {
            let undone = execute(&self.connection, "ROLLBACK");
            return done.and_then(|none| undone.map(|()| none));
        }
        done
    }

    fn run_all(
        &mut self,
        group: &mut [Box<dyn Job>],
        undoing: Undoing,
    ) -> Result<Option<Vec<(Position, Touched)>>, StoreError> {
        let Some((changes, life)) = self.run_group(group, undoing)? else { return Ok(None) };
        let known = self.around.memory.incarnation();
        let positioned = enter_feed(&mut self.connection, (known, life.unwrap_or(known)), &changes)?;
        let committing = Committing::begin(self.around.boottime);
        commit(&self.connection)?;
        committing.end(self.around.boottime, &*self.around.observer);
        Ok(Some(positioned))
    }

    fn run_group(&mut self, group: &mut [Box<dyn Job>], undoing: Undoing) -> Result<Option<Entering>, StoreError> {
        let (mut changes, mut life) = (Vec::new(), None);
        for job in group {
            if undoing == Undoing::EachAlone {
                execute(&self.connection, "SAVEPOINT step")?;
            }
            let mut tx = SqliteTx::new(&mut self.connection);
            let done = job.run(&mut tx).and_then(|()| tx.write_audit());
            let (mut made, begun) = (tx.changes, tx.life);
            // A full disk or a failed write can roll the whole transaction back under us: then nobody's
            // step has happened, and everybody is told so.
            if self.connection.is_autocommit() {
                let why =
                    done.err().map_or_else(|| "the transaction was rolled back".into(), |error| error.to_string());
                return Err(StoreError::Unavailable(why));
            }
            match done {
                Ok(()) => {
                    changes.append(&mut made);
                    life = begun.or(life);
                }
                Err(_) if undoing == Undoing::Together => return Ok(None),
                Err(error) => {
                    job.spoil(error);
                    execute(&self.connection, "ROLLBACK TO step")?;
                }
            }
            if undoing == Undoing::EachAlone {
                execute(&self.connection, "RELEASE step")?;
            }
        }
        Ok(Some((changes, life)))
    }
}

/// What enters the feed with a group, and the incarnation that begins with it.
type Entering = (Vec<Change>, Option<Incarnation>);

/// Enters changes into the feed of the incarnation that is known, which is another one afterwards if it is to be.
fn enter_feed(
    connection: &mut Connection,
    (known, life): (Incarnation, Incarnation),
    changes: &[Change],
) -> Result<Vec<(Position, Touched)>, StoreError> {
    if changes.is_empty() && known == life {
        return Ok(Vec::new());
    }
    let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
    let mut tx = SqliteTx::new(connection);
    let head = tx.query(feed::TAKE_HEAD, &[count.into(), (&life.0).into(), (&known.0).into()])?;
    let last = head.first().ok_or(StoreError::AnotherLife)?.int(0)?;
    let first = u64::try_from(last - count + 1).map_err(|_| StoreError::Corrupt("the feed head".into()))?;
    let mut positioned = Vec::with_capacity(changes.len());
    for (n, change) in (first..).zip(changes) {
        tx.query(feed::INSERT_CHANGE, &change.values(n))?;
        positioned.push((Position(n), change.touched));
    }
    Ok(positioned)
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

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| translate(&error))?;
    statement.raw_execute().map(drop).map_err(|error| translate(&error))
}

fn translate(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory,
        ) => StoreError::Unavailable(error.to_string()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Statement(error.to_string()),
    }
}

/// Polls a future that never waits: SQLite answers at once.
fn now<F: Future<Output = Result<T, StoreError>>, T>(future: F) -> Result<T, StoreError> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(out) => out,
        Poll::Pending => Err(StoreError::Statement("a step waited for something that is not its store".into())),
    }
}
