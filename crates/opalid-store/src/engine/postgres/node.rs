//! Being one of the nodes of a store: a row of one's own, the feed followed, and a lease while both go on.
//!
//! Takes: the feed, as others write it; hints that there is something new. Gives: memory that follows, and until when it may be
//! believed.
//! Holds: the row is committed before the feed is read for the first time; the lease is counted from before the row was renewed, and
//! the feed read to its end after that; after a doubt (a COMMIT without an answer) memory answers only once the feed has been read
//! past it, with its head locked: who took the head before has then ended. Where the database has lost what was committed, memory
//! answers nothing until somebody declares that.
//! Not here: who waits for whom (`crate::leases`).

use std::sync::Arc;
use std::time::Duration;

use opalid_core::lease::{HolderId, Position as At};
use tokio::sync::oneshot;

use super::Shared;
use super::connect::{Session, bounded};
use super::tx::{self, PgTx};
use crate::engine::tx::{Row, Tx};
use crate::error::StoreError;
use crate::feed::{self, Incarnation, Position};
use crate::leases::LONGEST;
use crate::steps::holder;

/// How long memory may be believed after its row was renewed.
const LEASE: Duration = LONGEST;
/// How often the row is renewed.
const RENEWED_EVERY: Duration = Duration::from_secs(3);
/// How often the feed is looked at, though nobody said that there is something.
const LOOKED_EVERY: Duration = Duration::from_millis(500);
/// How soon after something failed.
const AGAIN: Duration = Duration::from_millis(300);
/// How long an answer may take before the connection is given up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// What the advisory lock is called that nodes share, and that whoever puts a store back has alone: `opalid`, 1.
const LOCK_KEY: i64 = 0x6f70_616c_6964_0001;
/// Tells the other nodes that there is something: `$1` who says so.
pub(super) const NOTIFY: &str = "SELECT pg_notify('opalid', $1)::text";
/// Hears of that.
pub(super) const LISTEN: &str = "LISTEN opalid";

const HEAD: &str = "SELECT n, incarnation FROM feed_head WHERE one = 1";

/// What stands in the feed head.
struct Head {
    position: Position,
    incarnation: Incarnation,
}

fn read_head(row: &Row) -> Result<Head, StoreError> {
    let position = u64::try_from(row.int(0)?).map_err(|_| StoreError::Corrupt("the feed head".into()))?;
    Ok(Head { position: Position(position), incarnation: Incarnation(row.bytes(1)?) })
}

/// What a node is called in notifications.
pub(super) fn name(id: HolderId) -> String {
    format!("{:032x}", id.0)
}

/// Takes the lock that nodes share, or says what is in the way; with `alone`, keeps all others out.
pub(super) async fn lock(session: &mut Session, alone: bool) -> Result<(), StoreError> {
    let taken = if alone { try_lock_alone(session).await? } else { try_lock(session).await? };
    if taken {
        return Ok(());
    }
    let why = if alone {
        "another server is running on this database; stop it first"
    } else {
        "this database is being put back, or a server of an earlier version runs on it; let that end first"
    };
    Err(StoreError::Refused(why.into()))
}

async fn try_lock(session: &mut Session) -> Result<bool, StoreError> {
    let rows = session.query("SELECT pg_try_advisory_lock_shared($1)", &[LOCK_KEY.into()]).await?;
    rows.first().ok_or_else(|| StoreError::Corrupt("no answer to a lock".into()))?.bool(0)
}

/// Whether this session has the lock now, and nobody else.
pub(super) async fn try_lock_alone(session: &mut Session) -> Result<bool, StoreError> {
    let rows = session.query("SELECT pg_try_advisory_lock($1)", &[LOCK_KEY.into()]).await?;
    rows.first().ok_or_else(|| StoreError::Corrupt("no answer to a lock".into()))?.bool(0)
}

/// One node, from its start to its end.
pub(super) struct Node {
    shared: Arc<Shared>,
    session: Option<Session>,
    renew_at: Duration,
    /// What the row says.
    acked: Option<At>,
    /// Up to where others' changes were applied that the row does not acknowledge yet.
    owed: u64,
    was_well: bool,
}

/// Commits a row of our own; only then memory begins, at the end of the feed.
pub(super) async fn join(shared: &Arc<Shared>, session: Session) -> Result<Node, StoreError> {
    let around = &shared.around;
    // Others count from when they see the row, so the first lease is counted from before it is there.
    let asked = (around.boottime)();
    let mut tx = PgTx::begin(session, tx::WRITE).await;
    tx.simple("SET LOCAL lock_timeout = 10000; SET LOCAL statement_timeout = 15000").await;
    let sql = "INSERT INTO feed_head (one, incarnation, n, owner, left_cleanly) VALUES (1, $1, 0, $2, 1) ON CONFLICT DO NOTHING";
    tx.write(sql, &[(&around.fresh.0).into(), (&around.owner).into()]).await?;
    // A server of an earlier version had no row: whoever it left behind may be believed for as long as its lease.
    let former = tx.write("UPDATE feed_head SET left_cleanly = 1 WHERE one = 1 AND left_cleanly = 0", &[]).await?;
    let own = around.leases.own();
    if former > 0 {
        holder::insert(&mut tx, (HolderId(!own.0), LEASE)).await?;
    }
    holder::insert(&mut tx, (own, LEASE)).await?;
    tx.commit_plain().await?;
    let lost = || StoreError::Unavailable("the node's connection is lost".into());
    let session = Some(tx.into_session().ok_or_else(lost)?);
    around.leases.has_row();
    let (shared, renew_at) = (Arc::clone(shared), Duration::ZERO);
    let mut node = Node { shared, session, renew_at, acked: None, owed: 0, was_well: true };
    node.begin(asked).await?;
    Ok(node)
}

impl Node {
    /// Memory begins at the end of the feed.
    async fn begin(&mut self, asked: Duration) -> Result<(), StoreError> {
        let memory = &self.shared.around.memory;
        let seen = memory.doubts();
        let mut session = self.session.take().ok_or_else(|| StoreError::Unavailable("no connection".into()))?;
        let head = session.query(HEAD, &[]).await?;
        let head = read_head(head.first().ok_or_else(|| StoreError::Corrupt("there is no feed head".into()))?)?;
        memory.restart(head.incarnation, head.position);
        memory.lease_until(asked + LEASE);
        memory.believe(seen);
        self.session = Some(session);
        Ok(())
    }

    /// Goes on until `stop` says so (a reply there means: left) or is dropped.
    pub async fn keep(mut self, mut stop: oneshot::Receiver<oneshot::Sender<()>>) {
        loop {
            let well = self.turn().await;
            let pause = if well { LOOKED_EVERY } else { AGAIN };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.shared.wake.notified() => {}
                () = self.shared.around.leases.more() => {}
                leave = &mut stop => {
                    self.shared.around.memory.distrust();
                    if let Ok(left) = leave {
                        self.leave().await;
                        let _ = left.send(());
                    }
                    return;
                }
            }
        }
    }

    /// Follows the feed, and renews the row if it is time or others wait for it. Whether all went well.
    async fn turn(&mut self) -> bool {
        let done = bounded(ANSWERED_WITHIN, async {
            self.connect().await?;
            self.follow().await?;
            if self.session.is_some() && self.is_due() { self.renew().await } else { Ok(()) }
        });
        let done = done.await;
        let is_well = done.is_ok() && !self.shared.around.memory.is_in_doubt();
        if let Err(error) = done {
            if self.was_well {
                tracing::error!(%error, "the feed cannot be followed; memory answers until its lease is over");
            }
            if !matches!(error, StoreError::Unavailable(_)) {
                self.shared.around.memory.distrust();
            }
            self.session = None;
        } else if is_well && !self.was_well {
            tracing::info!("the feed is followed again");
        }
        self.was_well = is_well;
        // Whoever waits for others' rows looks at them.
        self.shared.around.leases.wake();
        is_well
    }

    /// A connection that shares the lock and hears of what is new.
    async fn connect(&mut self) -> Result<(), StoreError> {
        if self.session.as_ref().is_some_and(|session| !session.is_closed()) {
            return Ok(());
        }
        let mut session = self.shared.keepers.open().await?;
        lock(&mut session, false).await?;
        self.session = Some(session);
        Ok(())
    }

    /// Whether the row has to be renewed: its time has come, or it may acknowledge more of what others wait for.
    fn is_due(&self) -> bool {
        let acked = self.acked_now().map_or(0, |acked| acked.n);
        let said = self.acked.map_or(0, |acked| acked.n);
        (self.shared.around.boottime)() >= self.renew_at || (said < self.owed && said < acked)
    }

    fn acked_now(&self) -> Option<At> {
        self.shared.around.leases.acked((self.shared.around.boottime)(), self.shared.around.memory.at())
    }

    /// Renews the row, and with it the lease; joins anew where the row is gone.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let lost = || StoreError::Unavailable("the node's connection is lost".into());
        let (shared, asked, acked) = (Arc::clone(&self.shared), (self.shared.around.boottime)(), self.acked_now());
        let leases = &shared.around.leases;
        let session = self.session.take().ok_or_else(lost)?;
        // Durable like everything else: a row, or a count, that a crash takes back would be missed by whoever counts on it.
        let mut tx = PgTx::begin(session, tx::WRITE).await;
        let mut own = leases.own();
        let (incarnation, n) = match acked {
            Some(at) => (Some(at.incarnation.0.to_be_bytes().to_vec()), Some(i64::try_from(at.n).unwrap_or(i64::MAX))),
            None => (None, None),
        };
        let values = [incarnation.into(), n.into(), (&own.0.to_be_bytes()).into()];
        let sql = "UPDATE holder SET renewals = renewals + 1, incarnation = $1, acked = $2 WHERE id = $3";
        if tx.write(sql, &values).await? == 0 {
            own = leases.rename();
            holder::insert(&mut tx, (own, LEASE)).await?;
        }
        tx.send(NOTIFY, &[name(own).into()]).await?;
        tx.commit_plain().await?;
        self.session = Some(tx.into_session().ok_or_else(lost)?);
        // To its end, after the row: what was committed before it was asked for is applied.
        if self.follow().await? && !shared.around.memory.is_in_doubt() {
            shared.around.memory.lease_until(asked + LEASE);
            self.renew_at = asked + RENEWED_EVERY;
            self.acked = acked;
        }
        Ok(())
    }

    /// Reads the feed to its end; after a doubt with the head locked. `false`: somebody holds the head, it is tried again, and a
    /// doubt stays.
    async fn follow(&mut self) -> Result<bool, StoreError> {
        let lost = || StoreError::Unavailable("the node's connection is lost".into());
        let shared = Arc::clone(&self.shared);
        let memory = &shared.around.memory;
        let (seen, is_in_doubt) = (memory.doubts(), memory.is_in_doubt());
        // Before anything is looked at: all of it was committed by then.
        let known = (memory.incarnation(), memory.position());
        let session = self.session.take().ok_or_else(lost)?;
        let mut tx = PgTx::begin(session, if is_in_doubt { tx::WRITE } else { tx::READ }).await;
        if is_in_doubt {
            // A transaction in doubt holds the head; it ends soon, or its server's time-out ends it.
            tx.simple("SET LOCAL lock_timeout = 2000").await;
        }
        match self.read_feed(&mut tx, is_in_doubt, known).await {
            Ok(()) => {
                tx.commit_plain().await?;
                if is_in_doubt {
                    memory.believe(seen);
                }
                self.session = Some(tx.into_session().ok_or_else(lost)?);
                Ok(true)
            }
            Err(StoreError::Serialization(_)) => {
                self.session = tx.roll_back().await;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn read_feed(
        &mut self,
        tx: &mut PgTx,
        locking: bool,
        known: (Incarnation, Position),
    ) -> Result<(), StoreError> {
        let rows = if locking { tx.run_locking(HEAD, &[]).await? } else { tx.run(HEAD, &[]).await? };
        let head = read_head(rows.first().ok_or_else(|| StoreError::Corrupt("there is no feed head".into()))?)?;
        let memory = Arc::clone(&self.shared.around.memory);
        if head.incarnation != memory.incarnation() {
            tracing::warn!("the store was put back from a copy; nothing remembered is of use");
            memory.restart(head.incarnation, head.position);
        } else if head.incarnation == known.0 && head.position < known.1 {
            return Err(StoreError::Refused(
                "the database has lost what was committed, as by a fail-over to a standby that was behind: stop every server, \
                 and declare it: opalid restore"
                    .into(),
            ));
        }
        while memory.position() < head.position {
            let after = i64::try_from(memory.position().0).unwrap_or(i64::MAX);
            let rows = tx.run(feed::READ_AFTER, &[after.into()]).await?;
            let before = memory.position();
            for row in &rows {
                memory.apply(&[feed::read_change(row)?]);
            }
            if memory.position() == before {
                // What comes next is not there any more.
                memory.restart(head.incarnation, head.position);
            }
            self.owed = memory.position().0;
        }
        Ok(())
    }

    /// Takes the row away, if nobody can believe a lease of this node any more; its memory answers nothing since before.
    async fn leave(&mut self) {
        let leases = &self.shared.around.leases;
        if leases.has_holders((self.shared.around.boottime)()) {
            return;
        }
        let own = leases.own();
        let left = bounded(ANSWERED_WITHIN, async {
            self.connect().await?;
            let session = self.session.as_mut().ok_or_else(|| StoreError::Unavailable("no connection".into()))?;
            session.query("DELETE FROM holder WHERE id = $1", &[(&own.0.to_be_bytes()).into()]).await?;
            session.query(NOTIFY, &[name(own).into()]).await
        });
        if let Err(error) = left.await {
            tracing::warn!(%error, "this node's row stays; revocations elsewhere wait until its lease is over");
        }
    }
}
