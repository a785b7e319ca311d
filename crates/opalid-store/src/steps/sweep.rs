//! Sweeping: rows that can never count again go, a few at a time, by key range.
//!
//! Holds: what is swept is dead by other rules already (expired, or what it hung from is gone), so that
//! nothing enters the feed and no answer changes. `SweepAged` takes what goes by its time, the oldest first, by an
//! index: as many batches as there are rows. `Sweep` looks at every row: keys are time-ordered, and it goes through
//! a table from its start and begins again at its end.
//! Not here: when sweeps run. The server calls `Sweep` for one table after another, handing each table's `next` to
//! its next batch.

mod grants;
mod killed;

use opalid_core::time::{Seconds, UnixTime};
use opalid_core::workspace::SEALED_LIFETIME_MAX;

use crate::engine::tx::{Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Position;
use crate::steps::request::Ended;

/// How long a row is kept beyond its end: clocks step back, and a code that comes a second time still cuts
/// its grant.
pub const KEPT: Seconds = Seconds(24 * 3600);
/// How long a grant or chain is kept beyond the last moment at which a token can have come of it: until that token
/// has expired, however long it was made to live.
pub const TOKENS_KEPT: Seconds = Seconds(SEALED_LIFETIME_MAX.0 + KEPT.0);
/// How long a change stays in the feed: for whoever follows it and was away for some days.
pub const FEED_KEPT: Seconds = Seconds(7 * 24 * 3600);

/// Where a sweep stands: the last key it looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepPosition {
    workspace: [u8; 16],
    id: [u8; 16],
    /// The third part of the key of [`SweptTable::Killed`].
    token: [u8; 12],
}

/// What is swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SweptTable {
    /// Authorization codes, some time after they expired.
    Codes,
    /// Refresh chains that are over, with the last token that came of them.
    Chains,
    /// Sessions that are over, or whose user is gone.
    Sessions,
    /// One-time links that are over, or whose user is gone.
    PasswordLinks,
    /// Consents whose user or client is gone.
    Consents,
    /// Grants that are over: what they hung from is gone, or nothing is left that tokens could come of, and the last
    /// one has expired.
    Grants,
    /// Killed tokens; their rows carry the time they are kept beyond their end.
    Killed,
    /// Clients whose workspace is gone.
    Clients,
    /// Resources whose workspace is gone.
    Resources,
    /// Roles whose workspace is gone.
    Roles,
    /// Users whose workspace is gone.
    Users,
}

macro_rules! swept {
    ($table:literal, $over:expr) => {
        (
            concat!(
                "SELECT workspace, id FROM ",
                $table,
                " WHERE (workspace, id) > ($1, $2) ORDER BY workspace, id LIMIT $3"
            ),
            concat!(
                "DELETE FROM ",
                $table,
                " WHERE (workspace, id) > ($1, $2) AND (workspace, id) <= ($3, $4) AND (",
                $over,
                ") RETURNING id"
            ),
        )
    };
}
macro_rules! no_user {
    ($of:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM users WHERE users.workspace = ",
            $of,
            ".workspace AND users.id = ",
            $of,
            ".user_id)"
        )
    };
}
macro_rules! no_client {
    ($of:literal) => {
        concat!(
            "NOT EXISTS (SELECT 1 FROM client WHERE client.workspace = ",
            $of,
            ".workspace AND client.id = ",
            $of,
            ".client)"
        )
    };
}
macro_rules! no_workspace {
    ($of:literal) => {
        concat!("created_at < $5 AND NOT EXISTS (SELECT 1 FROM workspace WHERE workspace.id = ", $of, ".workspace)")
    };
}

impl SweptTable {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Codes,
        Self::Chains,
        Self::Sessions,
        Self::PasswordLinks,
        Self::Consents,
        Self::Grants,
        Self::Killed,
        Self::Clients,
        Self::Resources,
        Self::Roles,
        Self::Users,
    ];

    /// How long its rows are kept beyond their end.
    const fn kept(self) -> Seconds {
        match self {
            Self::Chains => TOKENS_KEPT,
            _ => KEPT,
        }
    }

    /// How to find the next keys, and how to remove what is over among them; `None` for grants and
    /// killed tokens, which take more.
    const fn sql(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::Codes => swept!("code", "expires_at < $5"),
            Self::Chains => swept!("chain", "expires_at < $5"),
            Self::Sessions => swept!("session", concat!("expires_at < $5 OR ", no_user!("session"))),
            Self::PasswordLinks => swept!("password_link", concat!("expires_at < $5 OR ", no_user!("password_link"))),
            Self::Consents => swept!(
                "consent",
                concat!("created_at < $5 AND (", no_user!("consent"), " OR ", no_client!("consent"), ")")
            ),
            Self::Grants | Self::Killed => return None,
            Self::Clients => swept!("client", no_workspace!("client")),
            Self::Resources => swept!("resource", no_workspace!("resource")),
            Self::Roles => swept!("role", no_workspace!("role")),
            Self::Users => swept!("users", no_workspace!("users")),
        })
    }
}

/// Looks at the next rows of a table and removes what is over among them.
pub struct Sweep {
    /// The table.
    pub table: SweptTable,
    /// Where the batch before ended; the start, if absent.
    pub after: Option<SweepPosition>,
    /// How many rows to look at.
    pub limit: u32,
    /// When.
    pub now: UnixTime,
}

/// What a batch did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many rows went.
    pub removed: usize,
    /// Where the next batch begins; `None` at the end of the table.
    pub next: Option<SweepPosition>,
}

impl Step for Sweep {
    type Out = Swept;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Swept, StoreError> {
        let Some((keys, remove)) = self.table.sql() else {
            return if self.table == SweptTable::Killed {
                killed::sweep(tx, self).await
            } else {
                grants::sweep(tx, self).await
            };
        };
        let SweepPosition { workspace, id, .. } = self.after.unwrap_or_default();
        let from: [Value; 2] = [(&workspace).into(), (&id).into()];
        let [after_workspace, after_id] = from.clone();
        let rows = tx.run(keys, &[after_workspace, after_id, self.limit.into()]).await?;
        let Some(last) = rows.last() else { return Ok(Swept { removed: 0, next: None }) };
        let last = SweepPosition { workspace: last.bytes(0)?, id: last.bytes(1)?, ..SweepPosition::default() };
        let [workspace, id] = from;
        let cutoff = self.now.minus(self.table.kept()).into();
        let values = [workspace, id, (&last.workspace).into(), (&last.id).into(), cutoff];
        let removed = tx.run(remove, &values).await?.len();
        Ok(Swept { removed, next: self.next(rows.len(), last) })
    }
}

impl Sweep {
    /// Where the next batch begins, after one that looked at so many rows.
    fn next(&self, looked_at: usize, last: SweepPosition) -> Option<SweepPosition> {
        u32::try_from(looked_at).is_ok_and(|found| found >= self.limit).then_some(last)
    }
}

/// What goes by its time alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aged {
    /// Requests that wait for a person no more.
    Requests,
    /// Changes that memory has applied up to this position: what it may still have to read stays, however old.
    Feed(Position),
    /// Audit rows older than this.
    Audit(Seconds),
}

/// Removes rows whose time is over, the oldest first. Gives how many: as long as it is `limit`, there may be more.
pub struct SweepAged {
    /// Of what.
    pub what: Aged,
    /// How many at most.
    pub limit: u32,
    /// When.
    pub now: UnixTime,
}

impl SweepAged {
    /// Requests are counted off those that wait.
    async fn sweep_requests<T: Tx>(&self, tx: &mut T) -> Result<usize, StoreError> {
        let sql = "DELETE FROM request WHERE expires_at < $1 AND (workspace, id) IN (
                       SELECT workspace, id FROM request WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
                   RETURNING workspace, part";
        let rows = tx.run(sql, &[self.now.into(), self.limit.into()]).await?;
        Ended::of(&rows)?.count(tx).await?;
        Ok(rows.len())
    }
}

impl Step for SweepAged {
    type Out = usize;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<usize, StoreError> {
        match self.what {
            Aged::Requests => self.sweep_requests(tx).await,
            Aged::Audit(kept) => {
                let sql = "DELETE FROM audit WHERE (workspace, id) IN (
                               SELECT workspace, id FROM audit WHERE at < $1 ORDER BY at LIMIT $2) RETURNING at";
                Ok(tx.run(sql, &[self.now.minus(kept).into(), self.limit.into()]).await?.len())
            }
            Aged::Feed(applied) => {
                // In feed order, which is the order of time but where a clock stepped.
                let sql = "DELETE FROM feed WHERE at < $1 AND n IN (
                               SELECT n FROM feed WHERE n <= $2 ORDER BY n LIMIT $3) RETURNING n";
                let applied = i64::try_from(applied.0).unwrap_or(i64::MAX);
                let values = [self.now.minus(FEED_KEPT).into(), applied.into(), self.limit.into()];
                Ok(tx.run(sql, &values).await?.len())
            }
        }
    }
}

#[cfg(test)]
mod tests;
