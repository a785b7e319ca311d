//! Leases that this node grants, and when a change is settled.
//!
//! Takes: asks of holders, changes that were committed. Gives: news with leases; the word that nobody who may be believed stands
//! before a change.
//! Holds: the row of this life is durable before its first lease; a change is settled only after it is in memory here; what
//! cannot be known is an outage, never "settled".
//! Not here: the rules (`opalid_core::lease`), sockets, what a change is called by holders.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use opalid_core::lease::{
    Ask, Barrier, Committed, Granter, HolderId, Margin, Moment, News, Position, Settling, Sight, Unrenewed,
};
use tokio::sync::{Notify, OnceCell};

use crate::error::{Outage, StoreError};
use crate::feed::Touched;
use crate::steps::holder::{Holders, Join, Leave, ListHolders, RemoveUnrenewed};
use crate::{Step, Store};

/// The longest lease that anybody may grant or hold.
pub const LONGEST: Duration = Duration::from_secs(10);
/// How soon rows are read again that could not be read, or of which one is waited for.
const AGAIN: Duration = Duration::from_millis(50);

/// What a step gave, and what is left to wait for.
#[derive(Debug)]
#[must_use = "what is not settled may still be believed elsewhere"]
pub struct Done<T> {
    /// What it gave.
    pub out: T,
    /// Where the change stands, if the step made one or found it made.
    pub unsettled: Option<Unsettled>,
}

/// A change that is committed and in this node's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsettled {
    /// Where it stands.
    pub at: Position,
    after_memory: Moment,
}

/// Somebody who may believe a lease of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// Who.
    pub holder: HolderId,
    /// Up to where it acknowledged.
    pub acked: Option<Position>,
    /// For how long it may believe its lease yet, at most.
    pub left: Duration,
}

/// The leases of one life of this node.
pub(crate) struct Leases {
    own: Mutex<HolderId>,
    length: Duration,
    granter: Mutex<Granter>,
    sight: Mutex<Sight>,
    /// An acknowledgement came, or somebody left.
    heard: Notify,
    /// The same, for the engine, whose row says how far everybody is.
    more: Notify,
    joined: OnceCell<()>,
}

impl Leases {
    /// None yet. `own` was drawn for this life.
    pub fn new(own: [u8; 16], length: Duration) -> Self {
        let (own, length) = (HolderId(u128::from_be_bytes(own)), length.min(LONGEST));
        Self {
            own: Mutex::new(own),
            length,
            granter: Mutex::new(Granter::new(Margin::CLOCKS, length)),
            sight: Mutex::new(Sight::new(own, Margin::CLOCKS)),
            heard: Notify::new(),
            more: Notify::new(),
            joined: OnceCell::new(),
        }
    }

    /// The name of this life of the node.
    pub fn own(&self) -> HolderId {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on under another name, where the row of this one is gone.
    pub fn rename(&self) -> HolderId {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let next = digest(&SHA256, &own.0.to_be_bytes());
        let (bytes, _) = next.as_ref().split_first_chunk().unwrap_or((&[0; 16], &[]));
        *own = HolderId(u128::from_be_bytes(*bytes));
        *self.sight.lock().unwrap_or_else(PoisonError::into_inner) = Sight::new(*own, Margin::CLOCKS);
        *own
    }

    /// The row of this life is there: the engine keeps one anyway.
    pub fn has_row(&self) {
        self.joined.set(()).ok();
    }

    /// Up to where this node and everybody who may believe a lease of it have applied everything.
    pub fn acked(&self, now: Duration, own: Option<Position>) -> Option<Position> {
        self.granter().acked(Moment::default().after(now), own)
    }

    /// Whether somebody may believe a lease of this node.
    pub fn has_holders(&self, now: Duration) -> bool {
        self.granter().holding(Moment::default().after(now)).next().is_some()
    }

    /// Returns when somebody has acknowledged more, or left.
    pub async fn more(&self) {
        self.more.notified().await;
    }

    /// Whoever waits looks again.
    pub fn wake(&self) {
        self.heard.notify_waiters();
    }

    fn heard(&self) {
        self.heard.notify_waiters();
        self.more.notify_one();
    }

    fn granter(&self) -> MutexGuard<'_, Granter> {
        self.granter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// The moment it is, by the clock of leases.
    fn moment(&self) -> Moment {
        Moment::default().after((self.boottime)())
    }

    /// Runs a step that may write: answers after COMMIT, after memory has changed, and once nobody who may be believed stands before
    /// what it changed. Dropping the future does not stop the step.
    pub async fn run<S: Step>(&self, step: S) -> Result<S::Out, StoreError> {
        let Done { out, unsettled } = self.run_unsettled(step).await?;
        if let Some(change) = unsettled {
            Box::pin(self.settle(change)).await?;
        }
        Ok(out)
    }

    /// Where memory has what a step changed, unless it changed nothing.
    pub(crate) fn unsettled(&self, changed: bool) -> Option<Unsettled> {
        let at = changed.then(|| self.memory.at()).flatten()?;
        Some(Unsettled { at, after_memory: self.moment() })
    }

    /// Returns once nobody who may be believed stands before a change. An outage: it is committed, but who may be believed is not
    /// known; a step that finds its change made follows the feed, and so waits again.
    pub async fn settle(&self, change: Unsettled) -> Result<(), Outage> {
        let leases = &self.leases;
        let Unsettled { at, after_memory } = change;
        let mut holders = self.holders_after(after_memory).await?;
        let committed = Committed { at, own: leases.own(), after_memory, longest: leases.length };
        let mut barrier = Barrier::begin(committed, Margin::CLOCKS, &holders.rows);
        loop {
            let heard = leases.heard.notified();
            let now = self.moment();
            let (acked, next) = {
                let granter = leases.granter();
                (granter.acked(now, self.memory.at()), granter.next_end(now, at))
            };
            let until = match barrier.poll(now, acked, holders.incarnation, &holders.rows) {
                Settling::Settled => return Ok(()),
                Settling::WaitUntil(end) => next.map_or(end, |next| next.min(end)),
            };
            let of_others = holders.rows.iter().any(|row| row.id != leases.own());
            let left = now.until(until).max(Duration::from_millis(1));
            tokio::select! {
                () = heard => {}
                () = tokio::time::sleep(if of_others { left.min(AGAIN) } else { left }) => {}
            }
            if of_others && let Ok(read) = self.read(ListHolders).await {
                holders = read;
            }
        }
    }

    /// The rows as they are after a change was in memory: asked for until the longest lease would be over.
    async fn holders_after(&self, after_memory: Moment) -> Result<Holders, Outage> {
        let over = after_memory.after(Margin::CLOCKS.beyond(LONGEST));
        loop {
            match self.read(ListHolders).await {
                Ok(holders) => return Ok(holders),
                Err(error) if self.moment() >= over => return Err(error),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Answers a holder that asks: what it lacks, and a lease while this node may grant one. Nothing while memory has heard nothing.
    pub async fn grant(&self, ask: &Ask) -> Result<Option<News<Touched>>, Outage> {
        let leases = &self.leases;
        let joining = || self.run(Join { id: leases.own(), length: leases.length });
        leases.joined.get_or_try_init(joining).await?;
        let news = {
            let mut granter = leases.granter();
            let own_ends_at = self.memory.believed_until();
            self.memory.with_holder(|own| granter.grant(self.moment(), own, own_ends_at, ask))
        };
        leases.heard();
        Ok(news)
    }

    /// What a holder has not been told yet, without a lease.
    pub fn push(&self, holder: HolderId) -> Option<News<Touched>> {
        let mut granter = self.leases.granter();
        self.memory.with_holder(|own| granter.push(own, holder))
    }

    /// A holder says that it believes no lease of this node any more.
    pub fn leave(&self, holder: HolderId) {
        self.leases.granter().leave(holder);
        self.leases.heard();
    }

    /// Everybody who may believe a lease of this node.
    pub fn holding(&self) -> Vec<Holding> {
        let now = self.moment();
        let granter = self.leases.granter();
        let holding = granter.holding(now);
        holding.map(|(holder, acked, over_at)| Holding { holder, acked, left: now.until(over_at) }).collect()
    }

    /// The name of this life of the node.
    pub fn life(&self) -> HolderId {
        self.leases.own()
    }

    /// How long a lease of this node is at most.
    pub fn lease_length(&self) -> Duration {
        self.leases.length
    }

    /// Forgets holders whose leases are over, and removes the rows of lives that nobody can believe any more.
    pub async fn tend_leases(&self) -> Result<(), Outage> {
        self.leases.granter().sweep(self.moment());
        let Holders { rows, .. } = self.read(ListHolders).await?;
        let over: Vec<Unrenewed> = {
            let mut sight = self.leases.sight.lock().unwrap_or_else(PoisonError::into_inner);
            sight.observe(self.moment(), &rows)
        };
        if over.is_empty() { Ok(()) } else { self.run(RemoveUnrenewed(over)).await }
    }

    /// Takes this life's row away if nobody can believe a lease of it any more; else it stays, and the next life waits for it.
    pub(crate) async fn leave_leases(&self) {
        if !self.leases.has_holders((self.boottime)())
            && self.leases.joined.initialized()
            && let Err(error) = self.run(Leave(self.leases.own())).await
        {
            tracing::debug!(%error, "the row of this life stays");
        }
    }
}
