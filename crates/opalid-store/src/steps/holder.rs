//! Rows of nodes that hold or grant leases, and the key under which holders call what answers hang from.
//!
//! Holds: each life of a node has a row of its own, committed before anybody may believe anything because of it; a row is
//! removed by its node, or by whoever saw it unchanged for long enough and only if it still is.
//! Not here: who waits for whom (`opalid_core::lease`).

use std::time::Duration;

use opalid_core::lease::{HolderId, HolderRow, Incarnation, Position, Unrenewed};

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;

/// All rows, and the life of the store in which they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// Rows that acknowledge something of another one acknowledge nothing.
    pub incarnation: Incarnation,
    /// Every row.
    pub rows: Vec<HolderRow>,
}

/// Reads all rows.
pub struct ListHolders;

impl Step for ListHolders {
    type Out = Holders;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Holders, StoreError> {
        let head = tx.find("SELECT incarnation FROM feed_head WHERE one = 1", &[]).await?;
        let head = head.ok_or_else(|| StoreError::Corrupt("there is no feed head".into()))?;
        let rows = tx.run("SELECT id, length_ms, renewals, incarnation, acked FROM holder", &[]).await?;
        Ok(Holders { incarnation: incarnation(&head, 0)?, rows: rows.iter().map(read).collect::<Result<_, _>>()? })
    }
}

fn incarnation(row: &Row, column: usize) -> Result<Incarnation, StoreError> {
    row.bytes(column).map(|bytes| Incarnation(u128::from_be_bytes(bytes)))
}

fn read(row: &Row) -> Result<HolderRow, StoreError> {
    let whole = |column| u64::try_from(row.int(column)?).map_err(|_| StoreError::Corrupt("a holder's row".into()));
    let acked = match (row.is_null(3), row.is_null(4)) {
        (false, false) => Some(Position { incarnation: incarnation(row, 3)?, n: whole(4)? }),
        _ => None,
    };
    Ok(HolderRow {
        id: HolderId(u128::from_be_bytes(row.bytes(0)?)),
        length: Duration::from_millis(whole(1)?),
        acked,
        renewals: whole(2)?,
    })
}

/// Adds the row of a life that begins.
pub struct Join {
    /// Drawn for it.
    pub id: HolderId,
    /// How long its leases are at most.
    pub length: Duration,
}

impl Step for Join {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        insert(tx, (self.id, self.length)).await
    }
}

/// Adds a row that acknowledges nothing.
pub(crate) async fn insert<T: Tx>(tx: &mut T, (id, length): (HolderId, Duration)) -> Result<(), StoreError> {
    let millis = i64::try_from(length.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX);
    let values: [Value; 2] = [(&id.0.to_be_bytes()).into(), millis.into()];
    let sql = "INSERT INTO holder (id, length_ms, renewals) VALUES ($1, $2, 0)";
    tx.write(sql, &values).await.map(drop)
}

/// Removes the row of a life that ends with nobody left who believes a lease of it.
pub struct Leave(pub HolderId);

impl Step for Leave {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        tx.write("DELETE FROM holder WHERE id = $1", &[(&self.0.0.to_be_bytes()).into()]).await.map(drop)
    }
}

/// Removes rows that nobody renewed, each if it still was not.
pub struct RemoveUnrenewed(pub Vec<Unrenewed>);

impl Step for RemoveUnrenewed {
    type Out = ();

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<(), StoreError> {
        for Unrenewed { id, renewals } in &self.0 {
            let renewals = i64::try_from(*renewals).unwrap_or(i64::MAX);
            let values: [Value; 2] = [(&id.0.to_be_bytes()).into(), renewals.into()];
            tx.send("DELETE FROM holder WHERE id = $1 AND renewals = $2", &values).await?;
        }
        Ok(())
    }
}

/// Reads the key of tags, having made it if there is none: the same at every node and for the life of the store.
pub struct TagKey {
    /// Drawn for it.
    pub fresh: [u8; 16],
}

impl Step for TagKey {
    type Out = [u8; 16];

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<[u8; 16], StoreError> {
        tx.send("UPDATE feed_head SET tag_key = $1 WHERE one = 1 AND tag_key IS NULL", &[(&self.fresh).into()]).await?;
        let row = tx.find("SELECT tag_key FROM feed_head WHERE one = 1", &[]).await?;
        row.ok_or_else(|| StoreError::Corrupt("there is no feed head".into()))?.bytes(0)
    }
}
