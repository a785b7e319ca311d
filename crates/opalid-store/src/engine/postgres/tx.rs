//! One transaction on the wire: statements are sent without waiting where nobody needs the answer.
//!
//! Holds: every statement's answer is read before COMMIT counts; the feed head is taken, and its answer
//! read, before COMMIT is sent, so that whoever takes the head next knows what became of it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio_postgres::{Error, Statement};

use super::connect::{Session, is_certain, own, translate};
use super::{Shared, node};
use crate::engine::tx::{Row, Tx, Value};
use crate::error::StoreError;
use crate::feed::{self, AuditRow, Change, Incarnation, Position, Touched};
use crate::observe::Committing;

/// A write; each statement ends by itself long after its caller has given up.
pub(super) const WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 4000";
/// A read of several statements that see the same.
pub(super) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 4000";

type Sent = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A transaction.
pub(super) struct PgTx {
    session: Session,
    sent: Vec<Sent>,
    pub changes: Vec<Change>,
    pub audits: Vec<AuditRow>,
    /// The incarnation that begins with it.
    life: Option<Incarnation>,
    /// Whether memory has to follow the feed before the steps are answered, though they write nothing.
    follows: bool,
    /// The first statement error: it poisons the step.
    failed: Option<StoreError>,
    /// The server may be gone: what it did is not known.
    lost: bool,
}

impl PgTx {
    /// Begins, without waiting.
    pub async fn begin(session: Session, how: &'static str) -> Self {
        let (sent, changes, audits) = (Vec::new(), Vec::new(), Vec::new());
        let mut tx = Self { session, sent, changes, audits, life: None, follows: false, failed: None, lost: false };
        tx.simple(how).await;
        tx
    }

    /// Sends a statement without values, without waiting.
    pub async fn simple(&mut self, sql: &'static str) {
        let client = Arc::clone(&self.session.client);
        self.start(Box::pin(async move { client.batch_execute(sql).await })).await;
    }

    async fn start(&mut self, mut sent: Sent) {
        match poll_once(sent.as_mut()).await {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => self.note(&error),
            Poll::Pending => self.sent.push(sent),
        }
    }

    fn note(&mut self, error: &Error) {
        self.lost |= !is_certain(error);
        if self.failed.is_none() {
            self.failed = Some(translate(error));
        }
    }

    /// Reads the answers of all that was sent.
    async fn drain(&mut self) {
        for sent in std::mem::take(&mut self.sent) {
            if let Err(error) = sent.await {
                self.note(&error);
            }
        }
    }

    fn check(&self) -> Result<(), StoreError> {
        self.failed.as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }

    async fn statement(&mut self, sql: &'static str, locking: bool, values: &[Value]) -> Result<Statement, StoreError> {
        self.check()?;
        let known = self.session.known(sql, locking);
        let statement = if let Some(statement) = known {
            statement
        } else {
            self.drain().await;
            self.check()?;
            let prepared = self.session.prepare(sql, locking, values).await;
            prepared.map_err(|error| {
                self.note(&error);
                translate(&error)
            })?
        };
        if !fits(&statement, values) {
            let error = StoreError::Statement(format!("values of other types than its parameters for: {sql}"));
            self.failed = Some(error.clone());
            return Err(error);
        }
        Ok(statement)
    }

    async fn query(&mut self, sql: &'static str, locking: bool, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let statement = self.statement(sql, locking, values).await?;
        let client = Arc::clone(&self.session.client);
        let query = async {
            let rows = client.query_raw(&statement, values.iter()).await?;
            futures_util::TryStreamExt::try_collect::<Vec<_>>(rows).await
        };
        let rows = self.answer_to(query).await?;
        rows.iter().map(|row| own(row).map_err(|error| StoreError::Corrupt(error.to_string()))).collect()
    }

    /// Sends a statement and awaits its answer.
    async fn answer_to<T>(&mut self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, StoreError> {
        let mut asked = pin!(asked);
        // On its way first; then the answers of those before it, then its own.
        let started = poll_once(asked.as_mut()).await;
        self.drain().await;
        let answer = match started {
            Poll::Ready(answer) => answer,
            Poll::Pending => asked.await,
        };
        if let Err(error) = &answer {
            self.note(error);
        }
        self.check()?;
        answer.map_err(|error| translate(&error))
    }

    /// Ends a step's part: its audit rows, and every answer.
    pub async fn settle(&mut self) -> Result<(), StoreError> {
        for row in std::mem::take(&mut self.audits) {
            self.send(feed::INSERT_AUDIT, &row.values()).await?;
        }
        self.drain().await;
        self.check()
    }

    /// Undoes what came after the savepoint, and heals the step's poison.
    pub async fn roll_back_step(&mut self) {
        self.drain().await;
        self.failed = None;
        self.audits.clear();
        self.simple("ROLLBACK TO step").await;
    }

    /// Enters the feed and commits; memory follows. Gives where in the feed it is complete, if anything entered or a
    /// step found something done already.
    pub async fn finish(&mut self, shared: &Arc<Shared>) -> Result<Option<Position>, StoreError> {
        for row in std::mem::take(&mut self.audits) {
            self.send(feed::INSERT_AUDIT, &row.values()).await?;
        }
        let batch = self.enter_feed(shared).await?;
        // What enters stands behind all that was committed before.
        let follows = if self.follows && batch.is_empty() { Some(self.head(shared).await?) } else { None };
        // From here until the answer nobody knows whether it is committed. Dropped on the way, this says so.
        let doubt = (!batch.is_empty()).then(|| Doubt { shared, armed: true });
        let committing = Committing::begin(shared.around.boottime);
        self.simple("COMMIT").await;
        self.drain().await;
        if !self.lost
            && let Some(doubt) = doubt
        {
            doubt.resolve();
        }
        self.check()?;
        committing.end(shared.around.boottime, &*shared.around.observer);
        shared.around.memory.apply(&batch);
        if batch.last().is_some_and(|(last, _)| shared.around.memory.position() < *last) {
            // Others' changes before it have to be read first.
            shared.wake.notify_one();
        }
        Ok(batch.last().map(|(position, _)| *position).max(follows))
    }

    /// Where the feed ends. Not locked: what is under way still was not there when the steps looked.
    async fn head(&mut self, shared: &Shared) -> Result<Position, StoreError> {
        let known = shared.around.memory.incarnation();
        let head = self.query(feed::SEE_HEAD, false, &[(&known.0).into()]).await?;
        let head = head.first().ok_or_else(|| shared.another_life())?.int(0)?;
        let head = u64::try_from(head).map(Position).map_err(|_| StoreError::Corrupt("the feed head".into()))?;
        if shared.around.memory.position() < head {
            shared.wake.notify_one();
        }
        Ok(head)
    }

    async fn enter_feed(&mut self, shared: &Shared) -> Result<Vec<(Position, Touched)>, StoreError> {
        self.check()?;
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() && self.life.is_none() {
            return Ok(Vec::new());
        }
        let count = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        let known = shared.around.memory.incarnation();
        let life = self.life.unwrap_or(known);
        // A hint to other nodes; those that miss it look by themselves.
        self.send(node::NOTIFY, &[node::name(shared.around.leases.own()).into()]).await?;
        let taken = [count.into(), (&life.0).into(), (&known.0).into()];
        let head = self.query(feed::TAKE_HEAD, false, &taken).await?;
        let last = head.first().ok_or_else(|| shared.another_life())?.int(0)?;
        let first = u64::try_from(last - count + 1).map_err(|_| StoreError::Corrupt("the feed head".into()))?;
        let mut positioned = Vec::with_capacity(changes.len());
        for (n, change) in (first..).zip(&changes) {
            self.send(feed::INSERT_CHANGE, &change.values(n)).await?;
            positioned.push((Position(n), change.touched));
        }
        Ok(positioned)
    }

    /// Commits something of the engine's own that enters no feed.
    pub async fn commit_plain(&mut self) -> Result<(), StoreError> {
        self.simple("COMMIT").await;
        self.drain().await;
        self.check()
    }

    /// Rolls back, and gives the connection back if it is still of use.
    pub async fn roll_back(mut self) -> Option<Session> {
        self.failed = None;
        self.simple("ROLLBACK").await;
        self.drain().await;
        self.into_session()
    }

    /// Ends a read, which must have changed nothing.
    pub async fn end_read(&mut self) -> Result<(), StoreError> {
        if self.changes.is_empty() && self.audits.is_empty() {
            return self.commit_plain().await;
        }
        Err(StoreError::Statement("a read made a change".into()))
    }

    /// The connection, if it is still of use.
    pub fn into_session(self) -> Option<Session> {
        (!self.lost && self.failed.is_none() && self.sent.is_empty() && !self.session.is_closed())
            .then_some(self.session)
    }

    /// Whether the server may be gone.
    pub const fn is_lost(&self) -> bool {
        self.lost
    }
}

fn fits(statement: &Statement, values: &[Value]) -> bool {
    let types = statement.params();
    types.len() == values.len() && types.iter().zip(values).all(|(ty, value)| value.fits(ty))
}

/// A COMMIT without an answer.
struct Doubt<'s> {
    shared: &'s Arc<Shared>,
    armed: bool,
}

impl Doubt<'_> {
    fn resolve(mut self) {
        self.armed = false;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if self.armed {
            tracing::warn!("a COMMIT was not answered; memory waits until the feed is read past it");
            self.shared.around.memory.distrust();
            self.shared.wake.notify_one();
        }
    }
}

async fn poll_once<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

impl Tx for PgTx {
    async fn run(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.query(sql, false, values).await
    }

    async fn run_locking(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.query(sql, true, values).await
    }

    async fn write(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, StoreError> {
        let statement = self.statement(sql, false, values).await?;
        let client = Arc::clone(&self.session.client);
        self.answer_to(client.execute_raw(&statement, values.iter())).await
    }

    async fn send(&mut self, sql: &'static str, values: &[Value]) -> Result<(), StoreError> {
        let statement = self.statement(sql, false, values).await?;
        let client = Arc::clone(&self.session.client);
        let values = values.to_vec();
        self.start(Box::pin(async move { client.execute_raw(&statement, values).await.map(drop) })).await;
        self.check()
    }

    fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    fn follow_feed(&mut self) {
        self.follows = true;
    }

    fn begin_life(&mut self, incarnation: Incarnation) {
        self.life = Some(incarnation);
    }

    fn audit(&mut self, row: AuditRow) {
        self.audits.push(row);
    }
}
