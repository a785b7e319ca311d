//! Requests that wait for a person: to sign in, or to sign out.
//!
//! Holds: so many wait in a workspace at most, and they are counted in the transactions that begin and end them. Each is
//! counted in one part of sixteen, by its id, so that not everybody waits for one row. What is over stays over. A request
//! belongs to the first browser that comes with it. When a part is full, the oldest of those that no person
//! has answered anything for makes room. Ids are in the order of time.
//! Not here: how many one address may begin.

use std::collections::BTreeMap;

use opalid_core::ids::{RequestId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;

/// The most requests that wait in one workspace.
pub const WAITING_MAX: u32 = 100_000;
/// How many rows count them.
pub const PARTS: u32 = 16;

/// How often another request is chosen to make room, when somebody else took the one before.
const ATTEMPTS: u32 = 32;

/// Keeps a request that just came. The document is the caller's.
#[derive(Debug, Clone)]
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
        let sql = "INSERT INTO waiting (workspace, part, n) VALUES ($1, $2, 1)
                   ON CONFLICT (workspace, part) DO UPDATE SET n = waiting.n + 1 WHERE waiting.n < $3 RETURNING n";
        let counting = [self.workspace.as_bytes().into(), self.part(), (self.most / PARTS).into()];
        if tx.find(sql, &counting).await?.is_none() {
            return Ok(Begun::Full);
        }
        self.insert(tx).await?;
        Ok(Begun::Kept)
    }
}

impl BeginRequest {
    fn part(&self) -> Value {
        let [.., last] = *self.id.as_bytes();
        (u32::from(last) % PARTS).into()
    }

    async fn insert<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        let sql = "INSERT INTO request (workspace, id, request, expires_at, part) VALUES ($1, $2, $3, $4, $5)";
        let (workspace, id) = (self.workspace.as_bytes().into(), self.id.as_bytes().into());
        let values = [workspace, id, self.document.as_str().into(), self.expires_at.into(), self.part()];
        tx.write(sql, &values).await.map(drop)
    }
}

/// Keeps a request that just came in the place of another, where [`BeginRequest`] found no room. As many wait afterwards
/// as before, so the row that counts them is not touched: who ends a request holds that before they wait for this.
pub struct BeginInstead(pub BeginRequest);

impl Step for BeginInstead {
    type Out = Begun;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Begun, StoreError> {
        let workspace: Value = self.0.workspace.as_bytes().into();
        let oldest = "SELECT id FROM request WHERE workspace = $1 AND part = $2 AND answered IS NULL
                      ORDER BY id LIMIT 1";
        let delete = "DELETE FROM request WHERE workspace = $1 AND id = $2 AND answered IS NULL";
        for _ in 0..ATTEMPTS {
            let Some(row) = tx.find(oldest, &[workspace.clone(), self.0.part()]).await? else { break };
            // None: somebody else ended it, or a person answered it, since it was read.
            if tx.write(delete, &[workspace.clone(), row.blob(0)?.into()]).await? > 0 {
                self.0.insert(tx).await?;
                return Ok(Begun::Kept);
            }
        }
        Ok(Begun::Full)
    }
}

/// Keeps what has become of a request, or only whose it is: `false` if it is over, or another browser's.
pub struct SaveRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Its row.
    pub id: RequestId,
    /// The browser that comes with it.
    pub browser: SecretDigest,
    /// The document, if it is another one now: a person has answered something.
    pub document: Option<String>,
    /// Until when it is kept, if longer now.
    pub expires_at: Option<UnixTime>,
}

impl Step for SaveRequest {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "UPDATE request SET request = COALESCE($1, request), answered = COALESCE($2, answered),
                   expires_at = COALESCE($3, expires_at), browser = $4
                   WHERE workspace = $5 AND id = $6 AND (browser IS NULL OR browser = $4)";
        let values = [
            self.document.as_deref().into(),
            self.document.is_some().then_some(1_i64).into(),
            self.expires_at.into(),
            (&self.browser.0).into(),
            self.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
        ];
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

/// A request that waits.
#[derive(Debug)]
pub struct WaitingRow {
    /// The document.
    pub document: String,
    /// The browser that it belongs to, once one came with it.
    pub browser: Option<SecretDigest>,
    /// Until when it is kept.
    pub expires_at: UnixTime,
}

/// Reads a request that has not expired.
pub struct FindRequest {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: RequestId,
    /// Today.
    pub now: UnixTime,
}

impl Step for FindRequest {
    type Out = Option<WaitingRow>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql =
            "SELECT request, expires_at, browser FROM request WHERE workspace = $1 AND id = $2 AND expires_at > $3";
        let values = [self.workspace.as_bytes().into(), self.id.as_bytes().into(), self.now.into()];
        let found = tx.find(sql, &values).await?;
        let Some(row) = found else { return Ok(None) };
        let browser = row.opt(2, Row::bytes)?.map(SecretDigest);
        Ok(Some(WaitingRow { document: row.text(0)?.to_owned(), browser, expires_at: row.time(1)? }))
    }
}
