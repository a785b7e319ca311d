//! Requests that wait for a person: to sign in, or to sign out.
//!
//! Holds: so many wait in a workspace at most, and they are counted in the transactions that begin and end them. Each is
//! counted in one part of sixteen, by its id, so that not everybody waits for one row. What is over stays over.
//! Not here: how many one address may begin.

use std::collections::BTreeMap;

use opalid_core::ids::{RequestId, WorkspaceId};
use opalid_core::time::UnixTime;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;

/// The most requests that wait in one workspace.
pub const WAITING_MAX: u32 = 100_000;
/// How many rows count them.
pub const PARTS: u32 = 16;

/// Keeps a request that just came. The document is the caller's.
pub struct BeginRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Its row.
    pub id: RequestId,
    /// The document.
    pub document: String,
    /// Until when it is kept.
    pub expires_at: UnixTime,
    /// How many may wait in the workspace; each part takes its share.
    pub most: u32,
}

/// What became of a request that just came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It waits.
    Kept,
    /// Too many wait already.
    Full,
}

impl Step for BeginRequest {
    type Out = Begun;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Begun, StoreError> {
        let workspace: Value = self.workspace.as_bytes().into();
        let [.., last] = *self.id.as_bytes();
        let part: Value = (u32::from(last) % PARTS).into();
        let sql = "INSERT INTO waiting (workspace, part, n) VALUES ($1, $2, 1)
                   ON CONFLICT (workspace, part) DO UPDATE SET n = waiting.n + 1 WHERE waiting.n < $3 RETURNING n";
        let counting = [workspace.clone(), part.clone(), (self.most / PARTS).into()];
        if tx.find(sql, &counting).await?.is_none() {
            return Ok(Begun::Full);
        }
        let sql = "INSERT INTO request (workspace, id, request, expires_at, part) VALUES ($1, $2, $3, $4, $5)";
        let id = self.id.as_bytes().into();
        tx.write(sql, &[workspace, id, self.document.as_str().into(), self.expires_at.into(), part]).await?;
        Ok(Begun::Kept)
    }
}

/// Keeps what has become of a request, or only that somebody works on it: `false` if it is over.
pub struct SaveRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Its row.
    pub id: RequestId,
    /// The document, if it is another one now.
    pub document: Option<String>,
    /// Until when it is kept.
    pub expires_at: UnixTime,
}

impl Step for SaveRequest {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql =
            "UPDATE request SET request = COALESCE($1, request), expires_at = $2 WHERE workspace = $3 AND id = $4";
        let document = self.document.as_deref().into();
        let values = [document, self.expires_at.into(), self.workspace.as_bytes().into(), self.id.as_bytes().into()];
        Ok(tx.write(sql, &values).await? > 0)
    }
}

/// Says that a request is over: it was answered. `false` if it was already.
pub struct EndRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: RequestId,
}

impl Step for EndRequest {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let Some(ended) = end(tx, self.workspace, self.id).await? else { return Ok(false) };
        ended.count(tx).await?;
        Ok(true)
    }
}

/// Requests that are over in a transaction which has still to count them: last, for others wait for those rows.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Ended(BTreeMap<([u8; 16], i64), i64>);

/// Takes a request away; `None` if it was over before.
pub(crate) async fn end<T: Tx>(tx: &mut T, workspace: WorkspaceId, id: RequestId) -> Result<Option<Ended>, StoreError> {
    let sql = "DELETE FROM request WHERE workspace = $1 AND id = $2 RETURNING workspace, part";
    let rows = tx.run(sql, &[workspace.as_bytes().into(), id.as_bytes().into()]).await?;
    if rows.is_empty() { Ok(None) } else { Ended::of(&rows).map(Some) }
}

impl Ended {
    /// Of deleted rows, each with its workspace and its part, which those from an earlier version do not have.
    pub(crate) fn of(rows: &[Row]) -> Result<Self, StoreError> {
        let mut ended = Self::default();
        for row in rows {
            if let Some(part) = row.opt(1, Row::int)? {
                *ended.0.entry((row.bytes(0)?, part)).or_default() += 1;
            }
        }
        Ok(ended)
    }

    /// Counts them off. The rows are taken in order, so that nobody waits in a circle.
    pub(crate) async fn count<T: Tx>(self, tx: &mut T) -> Result<(), StoreError> {
        for ((workspace, part), n) in self.0 {
            let sql = "UPDATE waiting SET n = n - $1 WHERE workspace = $2 AND part = $3";
            tx.write(sql, &[n.into(), (&workspace).into(), part.into()]).await?;
        }
        Ok(())
    }
}

/// How many requests wait, in all workspaces.
pub struct CountWaiting;

impl Step for CountWaiting {
    type Out = i64;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<i64, StoreError> {
        let row = tx.find("SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM waiting", &[]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    }
}

/// Reads a request that has not expired, and until when it is kept.
pub struct FindRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: RequestId,
    /// Today.
    pub now: UnixTime,
}

impl Step for FindRequest {
    type Out = Option<(String, UnixTime)>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT request, expires_at FROM request WHERE workspace = $1 AND id = $2 AND expires_at > $3";
        let values = [self.workspace.as_bytes().into(), self.id.as_bytes().into(), self.now.into()];
        let found = tx.find(sql, &values).await?;
        found.map(|row| Ok((row.text(0)?.to_owned(), row.time(1)?))).transpose()
    }
}
