//! Numbered migrations, one text for both engines, each in a transaction of its own and checksummed.
//!
//! Migrations only add; what is dropped goes one version after its last reader. A store with a migration
//! that this build does not know, or knows differently, is refused.

use aws_lc_rs::digest;

use crate::error::StoreError;

/// Every migration, in order.
const ALL: &[(u32, &str)] = &[
    (1, include_str!("../migrations/0001_first.sql")),
    (2, include_str!("../migrations/0002_sweeping.sql")),
    (3, include_str!("../migrations/0003_waiting.sql")),
    (4, include_str!("../migrations/0004_browser.sql")),
    (5, include_str!("../migrations/0005_issuer.sql")),
    (6, include_str!("../migrations/0006_fewer_indexes.sql")),
    (7, include_str!("../migrations/0007_chain_idle.sql")),
    (8, include_str!("../migrations/0008_key_times.sql")),
    (9, include_str!("../migrations/0009_roles.sql")),
    (10, include_str!("../migrations/0010_revoked_keys.sql")),
    (11, include_str!("../migrations/0011_revoked_keys_of_all.sql")),
    (12, include_str!("../migrations/0012_holders.sql")),
];

/// What stands for the type tokens of a migration's text.
pub(crate) struct Dialect {
    /// 64-bit integers.
    pub int: &'static str,
    /// Bytes.
    pub blob: &'static str,
    /// Texts, compared byte by byte.
    pub text: &'static str,
    /// What follows a table whose rows lie in the order of their key.
    pub clustered: &'static str,
}

/// One migration that still has to run.
pub(crate) struct Pending {
    /// Its number.
    pub number: u32,
    /// Its checksum, kept beside the number.
    pub checksum: Vec<u8>,
    /// Its statements in the engine's own words.
    pub sql: String,
}

/// The migrations that are not among `applied` (number and checksum).
pub(crate) fn pending(dialect: &Dialect, applied: &[(u32, Vec<u8>)]) -> Result<Vec<Pending>, StoreError> {
    let newest = ALL.last().map_or(0, |(number, _)| *number);
    if let Some((number, _)) = applied.iter().find(|(number, _)| *number > newest) {
        let text = format!("the store was written by a newer version (migration {number}; this one knows {newest})");
        return Err(StoreError::Refused(text));
    }
    let mut pending = Vec::new();
    for (number, text) in ALL {
        let checksum = digest::digest(&digest::SHA256, text.as_bytes()).as_ref().to_vec();
        match applied.iter().find(|(done, _)| done == number) {
            Some((_, known)) if *known == checksum => {}
            Some(_) => {
                return Err(StoreError::Refused(format!(
                    "migration {number} of this store is not the one this version knows"
                )));
            }
            None => pending.push(Pending { number: *number, checksum, sql: translate(dialect, text) }),
        }
    }
    Ok(pending)
}

fn translate(dialect: &Dialect, text: &str) -> String {
    text.replace("{int}", dialect.int)
        .replace("{blob}", dialect.blob)
        .replace("{text}", dialect.text)
        .replace("{clustered}", dialect.clustered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_revoked_in_a_workspace_before_is_known_in_all_of_them() {
        let dialect = Dialect { int: "INTEGER", blob: "BLOB", text: "TEXT", clustered: " WITHOUT ROWID" };
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let (before, since): (Vec<_>, Vec<_>) =
            pending(&dialect, &[]).unwrap().into_iter().partition(|migration| migration.number <= 10);
        before.iter().for_each(|migration| connection.execute_batch(&migration.sql).unwrap());
        let had = "INSERT INTO revoked_key (workspace, kid, revoked_at) VALUES (x'01', 'one', 7), (x'02', 'one', 5)";
        connection.execute_batch(had).unwrap();
        since.iter().for_each(|migration| connection.execute_batch(&migration.sql).unwrap());
        let sql = "SELECT kid, revoked_at FROM revoked_thumbprint";
        let known = connection.query_row(sql, (), |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
        assert_eq!(known.unwrap(), ("one".into(), 5));
    }
}
