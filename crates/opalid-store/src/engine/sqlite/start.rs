//! Starting on a file: with nothing left over from the last life, its tables up to date, the feed its own.

use std::path::Path;

use rusqlite::Connection;

use super::{execute, keep_plans, translate};
use crate::engine::Surroundings;
use crate::engine::migrate::{self, Dialect};
use crate::error::StoreError;
use crate::feed::{Incarnation, Position};

const DIALECT: Dialect = Dialect { int: "INTEGER", blob: "BLOB", text: "TEXT", clustered: " STRICT, WITHOUT ROWID" };

/// What stands in the feed head when a store is opened.
pub(super) struct Head {
    pub(super) incarnation: Incarnation,
    pub(super) position: Position,
}

/// Opens a file whose lock is held.
pub(super) fn start(path: &Path, around: &Surroundings) -> Result<(Connection, Head), StoreError> {
    let refused = |error: rusqlite::Error| StoreError::Refused(format!("cannot open {}: {error}", path.display()));
    let mut connection = Connection::open(path).map_err(refused)?;
    let set =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 1000;";
    connection.execute_batch(set).map_err(refused)?;
    empty_wal(&connection, path)?;
    // A page that several steps have changed since the last time is brought into the file once: 64 MB of log.
    let set = "PRAGMA busy_timeout = 5000; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16384;";
    connection.execute_batch(set).map_err(refused)?;
    keep_plans(&connection).map_err(refused)?;
    migrate(&mut connection)?;
    let head = take_over(&mut connection, around.owner, around.fresh)?;
    Ok((connection, head))
}

/// The log of the last life may have a hole on disk, where a sync failed: nothing is written behind it.
fn empty_wal(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| Ok(row.get::<_, i64>(0)? == 0));
    let why = match emptied {
        Ok(true) => return Ok(()),
        Ok(false) => "another program is reading it; end that, then start again".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(StoreError::Refused(format!("cannot open {}: {why}", path.display())))
}

/// Brings the tables up to date.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let made = "CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, checksum BLOB NOT NULL)";
    execute(connection, made)?;
    let applied = {
        let mut statement = connection.prepare("SELECT number, checksum FROM migration").map_err(|e| translate(&e))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(|e| translate(&e))?;
        rows.collect::<Result<Vec<(u32, Vec<u8>)>, _>>().map_err(|e| translate(&e))?
    };
    for migration in migrate::pending(&DIALECT, &applied)? {
        let transaction = connection.transaction().map_err(|e| translate(&e))?;
        transaction.execute_batch(&migration.sql).map_err(|e| translate(&e))?;
        let record = "INSERT INTO migration (number, checksum) VALUES (?1, ?2)";
        transaction.execute(record, (migration.number, &migration.checksum)).map_err(|e| translate(&e))?;
        transaction.commit().map_err(|e| translate(&e))?;
    }
    Ok(())
}

/// Owns the feed from now on.
fn take_over(connection: &mut Connection, owner: [u8; 16], fresh: Incarnation) -> Result<Head, StoreError> {
    let sql = "INSERT INTO feed_head (one, incarnation, n, owner) VALUES (1, ?1, 0, ?2)
               ON CONFLICT (one) DO UPDATE SET owner = excluded.owner RETURNING n, incarnation";
    let head =
        connection.query_row(sql, (fresh.0, owner), |row| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 16]>(1)?)));
    let (n, incarnation) = head.map_err(|error| translate(&error))?;
    Ok(Head { incarnation: Incarnation(incarnation), position: Position(u64::try_from(n).unwrap_or(0)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::place::{Place, boottime};
    use crate::conformance::world::World;

    #[tokio::test]
    async fn nothing_is_written_behind_a_log_that_cannot_be_emptied() {
        let place = Place::sqlite();
        let Place::Sqlite(path) = &place else { unreachable!("made as such") };
        let world = World::new(&place).await;
        let reader = Connection::open(path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM users").unwrap();
        // What this reader does not see stands in the log until it ends.
        world.interned().await;
        world.store.close().await;
        let refused = place.try_open(boottime).await.err();
        assert!(
            matches!(&refused, Some(StoreError::Refused(why)) if why.contains("another program is reading")),
            "{refused:?}"
        );
        reader.execute_batch("COMMIT").unwrap();
        drop(place.try_open(boottime).await.unwrap());
        place.remove().await;
    }
}
