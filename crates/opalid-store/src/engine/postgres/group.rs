//! Steps that always enter the feed: all that wait go into one transaction, a savepoint each, because they
//! would wait for one another at the feed head anyway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::connect::bounded;
use super::tx::{self, PgTx};
use super::{RUNS_MAX, STEP_WITHIN, Shared};
use crate::engine::tx::Step;
use crate::error::StoreError;
use crate::feed::Position;

/// How many steps go into one transaction.
const GROUP_MAX: usize = 128;

/// What a step gives, and where in the feed it is complete.
pub(super) type Done<T> = Result<(T, Option<Position>), StoreError>;

/// A step that waits for the group.
pub(super) trait Job: Send {
    fn run<'a>(&'a mut self, tx: &'a mut PgTx) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;
    /// It did not end well after all.
    fn spoil(&mut self, error: StoreError);
    /// Whether it met another transaction, and is to run again.
    fn met_another(&self) -> bool;
    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool;
    fn answer(self: Box<Self>, group: Result<Option<Position>, StoreError>);
}

pub(super) struct StepJob<S: Step> {
    step: S,
    out: Option<Result<S::Out, StoreError>>,
    reply: oneshot::Sender<Done<S::Out>>,
}

impl<S: Step> StepJob<S> {
    pub const fn new(step: S, reply: oneshot::Sender<Done<S::Out>>) -> Self {
        Self { step, out: None, reply }
    }
}

impl<S: Step> Job for StepJob<S> {
    fn run<'a>(&'a mut self, tx: &'a mut PgTx) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>> {
        Box::pin(async move {
            let out = self.step.run(tx).await;
            let done = out.as_ref().map(|_| ()).map_err(Clone::clone);
            self.out = Some(out);
            done
        })
    }

    fn spoil(&mut self, error: StoreError) {
        self.out = Some(Err(error));
    }

    fn met_another(&self) -> bool {
        matches!(self.out, Some(Err(StoreError::Serialization(_))))
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn answer(self: Box<Self>, group: Result<Option<Position>, StoreError>) {
        let nothing = || Err(StoreError::Unavailable("the step did not run".into()));
        let Self { out, reply, .. } = *self;
        let done = group.and_then(|position| out.unwrap_or_else(nothing).map(|out| (out, position)));
        drop(reply.send(done));
    }
}

/// Runs groups until nobody can bring a step any more.
pub(super) async fn run(shared: Arc<Shared>, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
        group.retain(|job| !job.is_abandoned());
        if group.is_empty() {
            continue;
        }
        let mut jobs = std::mem::take(&mut group);
        let outcome = attempt(&shared, &mut jobs).await;
        if let Err(error) = &outcome {
            // Each caller is told, and says so where it matters.
            tracing::debug!(%error, steps = jobs.len(), "a group of steps was not committed");
        }
        let together = matches!(outcome, Err(StoreError::Serialization(_)));
        for job in jobs {
            if together || (outcome.is_ok() && job.met_another()) {
                alone(&shared, job).await;
            } else {
                job.answer(outcome.clone());
            }
        }
    }
}

/// Runs a step again that met another transaction, without neighbours.
async fn alone(shared: &Arc<Shared>, job: Box<dyn Job>) {
    let mut jobs = [job];
    // What its first run gave was rolled back.
    let mut outcome = Err(StoreError::Unavailable("nobody waits for the step any more".into()));
    let _alone = shared.alone.lock().await;
    for _ in 1..RUNS_MAX {
        let [job] = &jobs;
        if job.is_abandoned() {
            break;
        }
        outcome = attempt(shared, &mut jobs).await;
        let [job] = &jobs;
        if !job.met_another() && !matches!(outcome, Err(StoreError::Serialization(_))) {
            break;
        }
    }
    let [job] = jobs;
    job.answer(outcome);
}

async fn attempt(shared: &Arc<Shared>, jobs: &mut [Box<dyn Job>]) -> Result<Option<Position>, StoreError> {
    bounded(STEP_WITHIN, async {
        let (_turn, session) = shared.feeders.take().await?;
        let mut tx = PgTx::begin(session, tx::WRITE).await;
        let outcome = match run_all(&mut tx, jobs).await {
            Ok(()) => tx.finish(shared).await,
            Err(error) => Err(error),
        };
        shared.feeders.put(if outcome.is_ok() { tx.into_session() } else { tx.roll_back().await });
        outcome
    })
    .await
}

/// Each in its savepoint. What one of them does wrong is undone and told to it alone.
async fn run_all(tx: &mut PgTx, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    for job in jobs {
        tx.simple("SAVEPOINT step").await;
        let before = tx.changes.len();
        let mut done = job.run(tx).await;
        if done.is_ok() {
            done = tx.settle().await;
        }
        if let Err(error) = done {
            if tx.is_lost() {
                return Err(error);
            }
            job.spoil(error);
            tx.changes.truncate(before);
            tx.roll_back_step().await;
        }
        tx.simple("RELEASE step").await;
    }
    Ok(())
}
