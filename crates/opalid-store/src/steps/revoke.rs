//! Revocation: one token, or a grant with everything that hangs from it.
//!
//! Holds: what is dead already is not killed again: whoever repeats a revocation gets the same answer, once memory
//! knows of the first, and nothing is written.

use opalid_core::grant::Epoch;
use opalid_core::ids::GrantId;
use opalid_core::time::UnixTime;
use opalid_core::token::Jti;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::Stamp;

/// How many tokens of a grant are killed one by one before the grant is cut instead. What is swept counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillLimits {
    /// Of a person's grant.
    pub of_person: i64,
    /// Of the grant of a client that asks for itself.
    pub of_client: i64,
}

impl Default for KillLimits {
    fn default() -> Self {
        Self { of_person: 1_000, of_client: 100_000 }
    }
}

/// How long a killed token's row is kept beyond its end: clocks step back.
pub const KILLED_KEPT: opalid_core::time::Seconds = opalid_core::time::Seconds(24 * 3600);

/// How many tokens of a grant were killed one by one. Of a person's there are few: they are counted, so that to kill one
/// writes its row and no other. The grant of a client that asks for itself has a count of its own.
macro_rules! kills {
    () => {
        "CASE WHEN user_id IS NULL THEN kills ELSE (SELECT COUNT(*) FROM killed
             WHERE killed.workspace = grants.workspace AND killed.grant_id = grants.id) END"
    };
}
pub(crate) use kills;

/// What a revocation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// Done now, or done before: dead either way.
    Dead,
    /// There is no such grant.
    Unknown,
}

/// Kills one token.
pub struct KillToken {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// The grant it hangs from.
    pub grant: GrantId,
    /// The epoch of the grant that it carries; under another one it is dead.
    pub epoch: Epoch,
    /// Which.
    pub jti: Jti,
    /// When it would have expired.
    pub expires_at: UnixTime,
    /// How many before it are too many.
    pub limits: KillLimits,
}

impl Step for KillToken {
    type Out = Revoked;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Revoked, StoreError> {
        let workspace = self.stamp.workspace;
        let of_grant: [Value; 2] = [workspace.as_bytes().into(), self.grant.as_bytes().into()];
        let Some(Locked { epoch, kills, of_person }) = lock_grant(tx, &of_grant).await? else {
            return Ok(unknown(tx));
        };
        if epoch != self.epoch {
            return Ok(dead_already(tx));
        }
        let sql = "INSERT INTO killed (workspace, grant_id, jti, expires_at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT DO NOTHING";
        let [first, second] = of_grant.clone();
        let killed =
            tx.write(sql, &[first, second, (&self.jti.0).into(), self.expires_at.plus(KILLED_KEPT).into()]).await?;
        if killed == 0 {
            return Ok(dead_already(tx));
        }
        if !of_person {
            tx.send("UPDATE grants SET kills = kills + 1 WHERE workspace = $1 AND id = $2", &of_grant).await?;
        }
        if kills >= if of_person { self.limits.of_person } else { self.limits.of_client } {
            cut(tx, &self.stamp, self.grant, "too many tokens of the grant were revoked one by one").await?;
        } else {
            self.stamp.audit(tx, "token.revoked", format!("grant {}", self.grant), format!("token {}", self.jti));
        }
        self.stamp.change(tx, Touched::Token { grant: self.grant, jti: self.jti }, "token.revoked");
        Ok(Revoked::Dead)
    }
}

/// Cuts a grant: all its tokens, codes, chains and children die.
pub struct CutGrant {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub grant: GrantId,
    /// The epoch of the grant that what was presented carries: under another one that is dead, and nothing is
    /// written. None: it is cut as it stands.
    pub of_epoch: Option<Epoch>,
    /// Why, for the audit log.
    pub reason: &'static str,
}

impl Step for CutGrant {
    type Out = Revoked;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Revoked, StoreError> {
        let of_grant = [self.stamp.workspace.as_bytes().into(), self.grant.as_bytes().into()];
        let Some(locked) = lock_grant(tx, &of_grant).await? else { return Ok(unknown(tx)) };
        if self.of_epoch.is_some_and(|epoch| epoch != locked.epoch) {
            return Ok(dead_already(tx));
        }
        cut(tx, &self.stamp, self.grant, self.reason).await?;
        Ok(Revoked::Dead)
    }
}

/// Another step has done it: memory must know of that before anybody is told.
fn dead_already<T: Tx>(tx: &mut T) -> Revoked {
    tx.follow_feed();
    Revoked::Dead
}

/// It may have gone with what it hung from, which others must know before anybody is told.
fn unknown<T: Tx>(tx: &mut T) -> Revoked {
    tx.follow_feed();
    Revoked::Unknown
}

/// Writes nothing: it is answered once everybody knows of all that was committed before. For who finds that what they were to take away
/// is gone already.
pub struct FollowFeed;

impl Step for FollowFeed {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.follow_feed();
        Ok(())
    }
}

/// A grant whose row is locked.
struct Locked {
    epoch: Epoch,
    /// How many tokens of it are killed.
    kills: i64,
    of_person: bool,
}

/// Locks a grant's row, which is what orders refresh, revocation and redemption on one grant.
async fn lock_grant<T: Tx>(tx: &mut T, of_grant: &[Value; 2]) -> Result<Option<Locked>, StoreError> {
    let sql = concat!("SELECT epoch, ", kills!(), ", user_id FROM grants WHERE workspace = $1 AND id = $2");
    let rows = tx.run_locking(sql, of_grant).await?;
    let read = |row: &Row| Ok(Locked { epoch: row.epoch(0)?, kills: row.int(1)?, of_person: !row.is_null(2) });
    rows.first().map(read).transpose()
}

/// Cuts a grant whose row is locked. A standing grant makes room for a new one.
pub(crate) async fn cut<T: Tx>(tx: &mut T, stamp: &Stamp, grant: GrantId, reason: &str) -> Result<(), StoreError> {
    let sql = "UPDATE grants SET epoch = epoch + 1, standing = NULL WHERE workspace = $1 AND id = $2";
    tx.run(sql, &[stamp.workspace.as_bytes().into(), grant.as_bytes().into()]).await?;
    stamp.change(tx, Touched::Grant(grant), "grant.cut");
    stamp.audit(tx, "grant.cut", format!("grant {grant}"), reason);
    Ok(())
}
