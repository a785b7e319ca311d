//! Owning the store: an advisory lock held for life on a connection of its own, and the feed head that
//! names its owner.
//!
//! Holds: memory answers only within one lease of the last question on the lock's connection that was
//! *answered*, counted from before it was asked; after a doubt (a COMMIT without an answer, a lost lock) it
//! answers only once the feed has been read past it, with the feed head locked: who took the head before
//! has then ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Shared;
use super::connect::{Session, bounded};
use super::tx::{self, PgTx};
use crate::engine::tx::{Row, Tx};
use crate::error::StoreError;
use crate::feed::{self, Incarnation, Position};

/// How long memory may be believed after a question was asked.
pub(super) const LEASE: Duration = Duration::from_secs(10);
/// How often the question is asked.
const ASKED_EVERY: Duration = Duration::from_secs(3);
/// How soon it is asked again after it failed.
const ASKED_AGAIN: Duration = Duration::from_millis(300);
/// How long an answer may take before the connection is given up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// What the advisory lock is called: `opalid`, 1.
pub(crate) const LOCK_KEY: i64 = 0x6f70_616c_6964_0001;

const HEAD: &str = "SELECT n, incarnation, owner, left_cleanly FROM feed_head WHERE one = 1";

/// What stands in the feed head.
struct Head {
    position: Position,
    incarnation: Incarnation,
    owner: [u8; 16],
    left_cleanly: bool,
}

fn read_head(row: &Row) -> Result<Head, StoreError> {
    Ok(Head {
        position: Position(u64::try_from(row.int(0)?).map_err(|_| StoreError::Corrupt("the feed head".into()))?),
        incarnation: Incarnation(row.bytes(1)?),
        owner: row.bytes(2)?,
        left_cleanly: row.bool(3)?,
    })
}

/// Takes the lock, or says who is in the way.
pub(super) async fn lock(session: &mut Session) -> Result<(), StoreError> {
    if try_lock(session).await? {
        return Ok(());
    }
    Err(StoreError::Refused("another server is running on this database; stop it first".into()))
}

/// Whether this session has the lock now.
pub(super) async fn try_lock(session: &mut Session) -> Result<bool, StoreError> {
    let rows = session.query("SELECT pg_try_advisory_lock($1)", &[LOCK_KEY.into()]).await?;
    rows.first().ok_or_else(|| StoreError::Corrupt("no answer to a lock".into()))?.bool(0)
}

/// Makes the feed head name us; memory begins there. The session holds the lock.
pub(super) async fn take_over(shared: &Shared, session: Session, fresh: Incarnation) -> Result<Session, StoreError> {
    let seen = shared.around.memory.doubts();
    let asked = (shared.around.boottime)();
    let mut tx = PgTx::begin(session, tx::WRITE).await;
    // Whoever still writes under the former owner's name ends first; that takes as long as it takes.
    tx.simple("SET LOCAL lock_timeout = 10000; SET LOCAL statement_timeout = 15000").await;
    let former = tx.run_locking(HEAD, &[]).await?.first().map(read_head).transpose()?;
    let owner = shared.around.owner.as_slice();
    let head = match former {
        Some(head) => {
            tx.run("UPDATE feed_head SET owner = $1, left_cleanly = 0 WHERE one = 1", &[owner.into()]).await?;
            head
        }
        None => {
            let sql = "INSERT INTO feed_head (one, incarnation, n, owner, left_cleanly) VALUES (1, $1, 0, $2, 0)";
            tx.run(sql, &[(&fresh.0).into(), owner.into()]).await?;
            Head { position: Position(0), incarnation: fresh, owner: shared.around.owner, left_cleanly: true }
        }
    };
    tx.commit_plain().await?;
    if !head.left_cleanly {
        // The former owner may answer from memory until its lease has ended: nothing counts as revoked
        // everywhere before. One per cent is the most by which two clocks differ in rate.
        shared.settle_no_sooner_than((shared.around.boottime)() + LEASE + LEASE / 100);
    }
    shared.around.memory.restart(head.incarnation, head.position);
    shared.around.memory.lease_until(asked + LEASE);
    shared.around.memory.believe(seen);
    tx.into_session().ok_or_else(|| StoreError::Unavailable("the lock's connection is lost".into()))
}

/// Keeps the lock until `stop` says so (a reply there means: left cleanly) or is dropped.
pub(super) async fn keep(shared: Arc<Shared>, session: Session, mut stop: oneshot::Receiver<oneshot::Sender<()>>) {
    let mut held = Some(session);
    loop {
        let pause = if held.is_some() && !shared.around.memory.is_in_doubt() { ASKED_EVERY } else { ASKED_AGAIN };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.doubt.notified() => {}
            leave = &mut stop => {
                shared.around.memory.distrust();
                if let (Ok(left), Some(session)) = (leave, held) {
                    leave_cleanly(&shared, session).await;
                    let _ = left.send(());
                }
                return;
            }
        }
        let was_held = held.is_some();
        held = match ask(&shared, held).await {
            Ok(session) => Some(session),
            Err(error @ StoreError::Unavailable(_)) => {
                // Who takes the lock now lets our lease run out before anything counts as revoked.
                if was_held {
                    tracing::error!(%error, "the store's lock is not sure; memory answers until its lease is over");
                }
                None
            }
            Err(error) => {
                shared.around.memory.distrust();
                tracing::error!(%error, "the store's lock is lost; memory answers nothing");
                None
            }
        };
    }
}

/// One question; a doubt is cleared with it. Without a session the lock is taken anew.
async fn ask(shared: &Shared, held: Option<Session>) -> Result<Session, StoreError> {
    bounded(ANSWERED_WITHIN, async {
        let asked = (shared.around.boottime)();
        let mut session = match held {
            Some(session) => session,
            None => {
                let mut session = shared.keepers.open().await?;
                if !try_lock(&mut session).await? {
                    return Err(StoreError::NotOwner);
                }
                // Others may have been here, or the database is another than it was.
                shared.around.memory.distrust();
                session
            }
        };
        let rows = session.query(HEAD, &[]).await?;
        let head = rows.first().map(read_head).transpose()?.ok_or(StoreError::NotOwner)?;
        if head.owner != shared.around.owner {
            // Somebody owned it while our lock was lost, and is gone: begin as at a start.
            shared.around.memory.distrust();
            return take_over(shared, session, head.incarnation).await;
        }
        if shared.around.memory.is_in_doubt() {
            session = catch_up(shared, session).await?;
        }
        shared.around.memory.lease_until(asked + LEASE);
        Ok(session)
    })
    .await
}

/// Reads the feed past everything, with its head locked. While somebody holds the head the doubt stays.
async fn catch_up(shared: &Shared, session: Session) -> Result<Session, StoreError> {
    let seen = shared.around.memory.doubts();
    let mut tx = PgTx::begin(session, tx::WRITE).await;
    // A transaction in doubt holds the head; it ends soon, or its server's time-out ends it.
    tx.simple("SET LOCAL lock_timeout = 2000").await;
    let lost = || StoreError::Unavailable("the lock's connection is lost".into());
    match read_feed(shared, &mut tx).await {
        Ok(()) => {
            tx.commit_plain().await?;
            shared.around.memory.believe(seen);
            tx.into_session().ok_or_else(lost)
        }
        Err(StoreError::Serialization(_)) => tx.roll_back().await.ok_or_else(lost),
        Err(error) => Err(error),
    }
}

async fn read_feed(shared: &Shared, tx: &mut PgTx) -> Result<(), StoreError> {
    let rows = tx.run_locking(HEAD, &[]).await?;
    let head = rows.first().map(read_head).transpose()?.ok_or(StoreError::NotOwner)?;
    let memory = &shared.around.memory;
    if head.incarnation != memory.incarnation() || head.position < memory.position() {
        tracing::error!("the database went back behind what was committed; nothing remembered is of use");
        memory.restart(head.incarnation, head.position);
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
    }
    Ok(())
}

async fn leave_cleanly(shared: &Shared, mut session: Session) {
    let sql = "UPDATE feed_head SET left_cleanly = 1 WHERE one = 1 AND owner = $1";
    let left = bounded(ANSWERED_WITHIN, async {
        session.query(sql, &[shared.around.owner.as_slice().into()]).await?;
        session.query("SELECT pg_advisory_unlock($1)", &[LOCK_KEY.into()]).await
    });
    if let Err(error) = left.await {
        tracing::warn!(%error, "the store was not left cleanly; the next server's first revocation waits");
    }
}
