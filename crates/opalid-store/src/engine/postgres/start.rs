//! Starting on a database: only a real PostgreSQL, with its tables up to date.

use super::address::Address;
use super::connect::{Connector, Session, translate};
use super::tx::{self, PgTx};
use super::{Shared, node};
use crate::engine::migrate::{self, Dialect};
use crate::engine::tx::Step;
use crate::error::StoreError;
use crate::steps::cell::{Cell, FindCell};

const DIALECT: Dialect = Dialect { int: "BIGINT", blob: "BYTEA", text: "TEXT COLLATE \"C\"", clustered: "" };

/// Names by which look-alikes give themselves away in `version()`.
const LOOK_ALIKES: &[&str] =
    &["-YB-", "Cockroach", "Redshift", "Greenplum", "openGauss", "QuestDB", "Materialize", "CrateDB", "RisingWave"];

/// Only one brings the tables up to date: `opalid`, 2.
const MIGRATION_KEY: i64 = 0x6f70_616c_6964_0002;

/// Connects, refuses what is not PostgreSQL or not free, and brings the tables up to date. The session
/// holds the lock, and hears of what is new.
pub(super) async fn start(shared: &Shared) -> Result<Session, StoreError> {
    let (connector, alone) = (&shared.keepers, shared.around.alone);
    let mut session = connector.open_at_start().await?;
    let sql = "SELECT version(), current_setting('server_version_num'), current_setting('server_encoding')";
    let rows = session.query(sql, &[]).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt("no answer to version()".into()))?;
    check_version(row.text(0)?, row.text(1)?)?;
    if row.text(2)? != "UTF8" {
        return Err(StoreError::Refused(format!("the database's encoding is {}; it has to be UTF8", row.text(2)?)));
    }
    node::lock(&mut session, alone).await?;
    let mut second = connector.open_at_start().await?;
    if node::try_lock_alone(&mut second).await? {
        return Err(StoreError::Refused(
            "this database's advisory locks keep nobody out (a look-alike of PostgreSQL, or a pooler in between)"
                .into(),
        ));
    }
    drop(second);
    session.query("SELECT pg_advisory_lock($1)::text", &[MIGRATION_KEY.into()]).await?;
    migrate(&mut session).await.map_err(|error| connector.explain_rights(error))?;
    session.query("SELECT pg_advisory_unlock($1)::text", &[MIGRATION_KEY.into()]).await?;
    Ok(session)
}

/// What the store in a database says of itself: `None` if there is none yet. Changes nothing.
pub(crate) async fn look(address: &Address) -> Result<Option<Cell>, StoreError> {
    let connector = Connector::new(address.clone(), 1);
    let mut session = connector.open_at_start().await?;
    let rows = session.query("SELECT to_regclass('cell') IS NULL", &[]).await?;
    if rows.first().ok_or_else(|| StoreError::Corrupt("no answer to to_regclass".into()))?.bool(0)? {
        return Ok(None);
    }
    let mut tx = PgTx::begin(session, tx::READ).await;
    let cell = FindCell.run(&mut tx).await.map_err(|error| connector.explain_rights(error))?;
    tx.end_read().await?;
    Ok(cell)
}

fn check_version(version: &str, number: &str) -> Result<(), StoreError> {
    let real = version.starts_with("PostgreSQL ") && !LOOK_ALIKES.iter().any(|name| version.contains(name));
    if !real {
        return Err(StoreError::Refused(format!("this is not PostgreSQL: {version}")));
    }
    if number.parse().unwrap_or(0) < 150_000 {
        return Err(StoreError::Refused(format!("PostgreSQL 15 or later is needed; this is {version}")));
    }
    Ok(())
}

/// Under the lock: nobody else migrates.
async fn migrate(session: &mut Session) -> Result<(), StoreError> {
    let made = "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, checksum BYTEA NOT NULL)";
    session.client.batch_execute(made).await.map_err(|error| translate(&error))?;
    let rows = session.query("SELECT number, checksum FROM migration ORDER BY number", &[]).await?;
    let applied =
        rows.iter().map(|row| Ok((row.u32(0)?, row.blob(1)?.to_vec()))).collect::<Result<Vec<_>, StoreError>>()?;
    for migration in migrate::pending(&DIALECT, &applied)? {
        let checksum: String = migration.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = 10000; {} INSERT INTO migration (number, checksum) VALUES ({}, '\\x{checksum}'); COMMIT",
            migration.sql, migration.number
        );
        session.client.batch_execute(&sql).await.map_err(|error| translate(&error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_and_old_versions_are_refused() {
        let refused = |version, number| matches!(check_version(version, number), Err(StoreError::Refused(_)));
        assert!(refused("CockroachDB CCL v23.1.11 (x86_64-pc-linux-gnu)", "130000"));
        assert!(refused("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu", "150002"));
        assert!(refused("PostgreSQL 14.9 on x86_64-pc-linux-gnu", "140009"));
        assert!(!refused("PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu", "150018"));
    }
}
