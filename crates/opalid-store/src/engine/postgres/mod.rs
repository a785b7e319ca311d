//! PostgreSQL: a transaction per step on a small pool; steps that always enter the feed in groups.
//!
//! Takes: steps. Gives: each its own result, once COMMIT has been answered and memory has changed.
//! Holds: a step runs detached from its caller; nobody waits longer than [`STEP_WITHIN`] for a server that
//! is gone or slow; a COMMIT without an answer is `Unavailable`, and memory answers nothing until the feed
//! has been read past it; who knows another incarnation of the store commits no change.

mod address;
mod connect;
mod group;
mod node;
mod pool;
mod start;
mod tx;
mod value;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

pub use self::address::Address;
use self::address::Ear;
use self::connect::{Connector, bounded};
use self::group::{Done, Job, StepJob};
use self::pool::Pool;
use self::tx::PgTx;
use crate::engine::Surroundings;
use crate::engine::tx::Step;
use crate::error::StoreError;

pub(crate) use self::start::look;

/// How long a step may take before its caller is told that the store is not available.
const STEP_WITHIN: Duration = Duration::from_millis(900);
/// How often a step runs that meets other transactions.
const RUNS_MAX: usize = 5;
const QUEUE_MAX: usize = 16 * 1024;

/// How many connections there are at most. A server that hangs keeps those it has; so reads, which need a server that
/// answers and no more, do not wait for connections whose COMMIT hangs.
const WRITERS: u16 = 16;
const READERS: u16 = 8;
/// One is in use; the other is for when that one hangs.
const FEEDERS: u16 = 2;
const KEEPERS: usize = 2;

/// The engine.
pub struct Postgres {
    shared: Arc<Shared>,
    /// Empty once the store is closed.
    doors: Mutex<Option<Doors>>,
}

struct Doors {
    group: mpsc::Sender<Box<dyn Job>>,
    grouping: tokio::task::JoinHandle<()>,
    stop: oneshot::Sender<oneshot::Sender<()>>,
}

/// What all tasks of the engine share.
pub(super) struct Shared {
    around: Surroundings,
    writers: Pool,
    readers: Pool,
    /// For steps that enter the feed in groups.
    feeders: Pool,
    /// For the row, the lease and the feed of others.
    keepers: Connector,
    /// Held by a step that runs again.
    alone: tokio::sync::Mutex<()>,
    /// There is something to follow, or a COMMIT without an answer.
    wake: Arc<Notify>,
}

impl Shared {
    /// The store was put back: what is remembered of the life before is of no use.
    fn another_life(&self) -> StoreError {
        self.around.memory.distrust();
        self.wake.notify_one();
        StoreError::AnotherLife
    }
}

impl Postgres {
    /// Connects, brings the tables up to date, joins the nodes that are there.
    pub(crate) async fn open(address: Address, around: Surroundings) -> Result<Self, StoreError> {
        let wake = Arc::new(Notify::new());
        let ear = Ear { wake: Arc::clone(&wake), leases: Arc::clone(&around.leases) };
        let shared = Arc::new(Shared {
            around,
            writers: Pool::new(address.clone(), WRITERS),
            readers: Pool::new(address.clone(), READERS),
            feeders: Pool::new(address.clone(), FEEDERS),
            keepers: Connector::new(address, KEEPERS).listening(ear),
            alone: tokio::sync::Mutex::new(()),
            wake,
        });
        let session = start::start(&shared).await?;
        let node = node::join(&shared, session).await?;
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(node.keep(stopped));
        let (group, waiting) = mpsc::channel(QUEUE_MAX);
        let grouping = tokio::spawn(group::run(Arc::clone(&shared), waiting));
        Ok(Self { shared, doors: Mutex::new(Some(Doors { group, grouping, stop })) })
    }

    /// Runs a step; answers after COMMIT, and after memory has changed: what it gave, and whether it changed something or found
    /// it changed.
    pub(crate) async fn step<S: Step>(&self, step: S) -> Result<(S::Out, bool), StoreError> {
        let (reply, answer) = oneshot::channel();
        if S::ENTERS_FEED {
            let full = || StoreError::Unavailable("too many steps are waiting".into());
            self.group()?.try_send(Box::new(StepJob::new(step, reply))).map_err(|_| full())?;
        } else {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { drop(reply.send(bounded(STEP_WITHIN, shared.write(&step)).await)) });
        }
        // Detached: who waits no more because of the time is told apart from who hung up, whose step still runs.
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move { shared.answered(answer).await }).await.map_err(|_| closed())?
    }

    /// Runs a step that only reads.
    pub(crate) async fn read<S: Step>(&self, step: S) -> Result<S::Out, StoreError> {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::spawn(async move { bounded(STEP_WITHIN, shared.read(&step)).await });
        reading.await.map_err(|_| closed())?
    }

    /// Lets what runs end, gives up the store cleanly. Nothing is answered afterwards.
    pub(crate) async fn close(&self) {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Doors { group, grouping, stop }) = doors else { return };
        drop(group);
        let ended = async {
            drop(grouping.await);
            self.shared.writers.close().await;
            self.shared.readers.close().await;
            self.shared.feeders.close().await;
        };
        drop(tokio::time::timeout(STEP_WITHIN * 2, ended).await);
        let (left, leaving) = oneshot::channel();
        if stop.send(left).is_ok() {
            drop(leaving.await);
        }
    }

    fn group(&self) -> Result<mpsc::Sender<Box<dyn Job>>, StoreError> {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.as_ref().map(|doors| doors.group.clone()).ok_or_else(closed)
    }
}

impl Shared {
    /// What a step gave, once memory has followed.
    async fn answered<T>(&self, answer: oneshot::Receiver<Done<T>>) -> Result<(T, bool), StoreError> {
        let done = bounded(STEP_WITHIN, async {
            let (out, position) = answer.await.map_err(|_| closed())??;
            if let Some(position) = position {
                self.around.memory.applied(position).await;
            }
            Ok((out, position.is_some()))
        });
        done.await.map_err(met)
    }

    /// A step in a transaction of its own, run again when it meets another.
    async fn write<S: Step>(self: &Arc<Self>, step: &S) -> Done<S::Out> {
        let mut done = self.write_once(step).await;
        for _ in 1..RUNS_MAX {
            if !matches!(done, Err(StoreError::Serialization(_))) {
                break;
            }
            // Two that met would meet again if both ran again at once.
            let _alone = self.alone.lock().await;
            done = self.write_once(step).await;
        }
        done
    }

    async fn write_once<S: Step>(self: &Arc<Self>, step: &S) -> Done<S::Out> {
        let (_turn, session) = self.writers.take().await?;
        let mut tx = PgTx::begin(session, tx::WRITE).await;
        let done = match step.run(&mut tx).await {
            Ok(out) => tx.finish(self).await.map(|position| (out, position)),
            Err(error) => Err(error),
        };
        self.writers.put(if done.is_ok() { tx.into_session() } else { tx.roll_back().await });
        done
    }

    async fn read<S: Step>(&self, step: &S) -> Result<S::Out, StoreError> {
        let (_turn, session) = self.readers.take().await?;
        let mut tx = PgTx::begin(session, tx::READ).await;
        let done = match step.run(&mut tx).await {
            Ok(out) => tx.end_read().await.map(|()| out),
            Err(error) => Err(error),
        };
        self.readers.put(if done.is_ok() { tx.into_session() } else { tx.roll_back().await });
        done
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

/// Who met others again and again is told to come back later.
fn met(error: StoreError) -> StoreError {
    match error {
        StoreError::Serialization(why) => StoreError::Unavailable(why),
        other => other,
    }
}
