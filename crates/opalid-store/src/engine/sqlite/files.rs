//! The files of a store: made for their owner alone, locked, looked at without a change.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::config::DbConfig;

use super::tx::SqliteTx;
use super::{now, open_to_read, translate};
use crate::engine::tx::Step;
use crate::error::StoreError;
use crate::steps::cell::{Cell, FindCell};

/// Takes the file's lock, which lies beside it.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = path.with_extension("lock");
    let open = File::options().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
    let file = open.map_err(|error| StoreError::Refused(format!("cannot open {}: {error}", lock_path.display())))?;
    file.try_lock()
        .map_err(|_| StoreError::Refused(format!("another server is running on {}; stop it first", path.display())))?;
    Ok(file)
}

/// Makes the file, if it is not there, with mode 0600; SQLite gives its `-wal` and `-shm` the mode of the file.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    match File::options().create_new(true).write(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::Refused(format!("cannot make {}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// What the store in a file says of itself: `None` if there is none yet. Changes neither the file nor its `-wal`.
pub(crate) fn look(path: &Path) -> Result<Option<Cell>, StoreError> {
    if std::fs::metadata(path).is_ok_and(|found| found.len() == 0) || !path.exists() {
        return Ok(None);
    }
    let refused = |error: StoreError| StoreError::Refused(format!("cannot open {}: {error}", path.display()));
    let mut connection = open_to_read(path).map_err(refused)?;
    // Else who closes it last brings the `-wal` into the file.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(|error| translate(&error))?;
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'cell'";
    let tables: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(|error| refused(translate(&error)))?;
    if tables == 0 { Ok(None) } else { now(FindCell.run(&mut SqliteTx::new(&mut connection))) }
}
