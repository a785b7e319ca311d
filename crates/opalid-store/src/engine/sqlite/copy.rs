//! A copy of a store while it runs, and a store made of a copy.
//!
//! Holds: a copy is one moment of the store, writers wait for nothing; it is whole under its name or not there
//! at all, for its owner alone, and replaces nothing; nobody else puts a file of theirs in its place. A copy becomes a
//! store under the store's lock, whole and with its restoring step committed, or not at all.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rustix::process::geteuid;

use super::files::lock;
use super::start::migrate;
use super::tx::SqliteTx;
use super::{enter_feed, execute, now, open_to_read, translate};
use crate::engine::tx::Step;
use crate::error::StoreError;
use crate::feed::Incarnation;
use crate::folder::{Use, why_unsafe};
use crate::steps::cell::FindCell;
use crate::steps::restore::{Restore, Restored};

/// How many pages are copied between two words about progress.
const PAGES_AT_ONCE: i32 = 1024;

const FOLDER_OF_COPY: Use =
    Use { name: "the folder", harm: "put a file of their own in the place of the copy", sticky_will_do: true };

/// How far a copy is, in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// What is copied.
    pub done: u64,
    /// What there is.
    pub total: u64,
}

/// Copies a store that may be running. Made by [`crate::Store::copier`].
#[derive(Debug, Clone)]
pub struct Copier {
    path: PathBuf,
}

impl Copier {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Writes the store as it is now to `to`, which must not exist. It takes its time on the calling thread;
    /// `goes_on` hears of progress, and ends it by saying `false`.
    pub fn copy(&self, to: &Path, goes_on: &mut dyn FnMut(CopyProgress) -> bool) -> Result<(), StoreError> {
        refuse_existing(to)?;
        refuse_unsafe_folder_of(to)?;
        let part = beside(to, ".part");
        let made = make_new(&part)?;
        let copied = copy_pages(&self.path, &part, goes_on)
            .and_then(|()| still_ours(&made, &part))
            // Unlike a rename, a link never replaces what somebody put there meanwhile.
            .and_then(|()| fs::hard_link(&part, to).map_err(|error| cannot_write(to, &error)))
            .and_then(|()| sync_folder_of(to));
        drop(fs::remove_file(&part));
        copied
    }
}

/// Makes a store at `path` of a copy, with `step` committed in it; `copied` hears of progress.
pub(crate) fn restore(
    from: &Path,
    path: &Path,
    (step, copied): (&Restore, &mut dyn FnMut(CopyProgress)),
) -> Result<Restored, StoreError> {
    refuse_unsafe_folder_of(path)?;
    let _lock = lock(path)?;
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let of_another = |refused| format!("{refused}; move the store that lies there away first: {}*", path.display());
        refuse_existing(&beside(path, suffix)).map_err(|refused| StoreError::Refused(of_another(refused)))?;
    }
    let part = beside(path, ".restoring");
    // Under the lock nobody else restores: what lies there is of one that broke off.
    for suffix in ["", "-journal"] {
        drop(fs::remove_file(beside(&part, suffix)));
    }
    let restored = make_new(&part)
        .and_then(|made| {
            copy_pages(from, &part, &mut |at| {
                copied(at);
                true
            })?;
            still_ours(&made, &part)?;
            let restored = declare(&part, step)?;
            still_ours(&made, &part).map(|()| restored)
        })
        .and_then(|restored| fs::rename(&part, path).map(|()| restored).map_err(|error| cannot_write(path, &error)))
        .and_then(|restored| sync_folder_of(path).map(|()| restored));
    if restored.is_err() {
        drop(fs::remove_file(&part));
    }
    restored
}

/// Copies within one read: what is committed meanwhile is not in it, and does not make it begin again.
fn copy_pages(from: &Path, to: &Path, goes_on: &mut dyn FnMut(CopyProgress) -> bool) -> Result<(), StoreError> {
    let source = open_to_read(from)?;
    execute(&source, "BEGIN")?;
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(|error| translate(&error))?;
    let mut target = Connection::open(to).map_err(|error| translate(&error))?;
    target.execute_batch("PRAGMA synchronous = FULL").map_err(|error| translate(&error))?;
    let backup = Backup::new(&source, &mut target).map_err(|error| translate(&error))?;
    loop {
        let step = backup.step(PAGES_AT_ONCE).map_err(|error| translate(&error))?;
        let progress = backup.progress();
        let [left, total] = [progress.remaining, progress.pagecount].map(|pages| u64::try_from(pages).unwrap_or(0));
        if !goes_on(CopyProgress { done: total.saturating_sub(left), total }) {
            return Err(StoreError::Unavailable("the copy was given up".into()));
        }
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            // Nobody else has the new file, and a read within one snapshot waits for nobody.
            _ => return Err(StoreError::Unavailable("somebody else holds the file of the copy".into())),
        }
    }
    drop(backup);
    // One file, with nothing beside it that could be left behind.
    target.execute_batch("PRAGMA journal_mode = DELETE").map_err(|error| translate(&error))?;
    target.close().map_err(|(_, error)| translate(&error))?;
    File::open(to).and_then(|file| file.sync_all()).map_err(|error| cannot_write(to, &error))
}

/// Checks what was copied, brings its tables up to date, and takes the step.
fn declare(part: &Path, step: &Restore) -> Result<Restored, StoreError> {
    let not_a_store = |why: &str| StoreError::Refused(format!("this is not a whole copy of a store: {why}"));
    let mut connection = Connection::open(part).map_err(|error| translate(&error))?;
    connection.execute_batch("PRAGMA synchronous = FULL").map_err(|error| translate(&error))?;
    let sound: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(|error| translate(&error))?;
    if sound != "ok" {
        return Err(not_a_store(&sound));
    }
    migrate(&mut connection)?;
    if now(FindCell.run(&mut SqliteTx::new(&mut connection)))?.is_none() {
        return Err(not_a_store("it does not say whose it is"));
    }
    execute(&connection, "BEGIN IMMEDIATE")?;
    let mut tx = SqliteTx::new(&mut connection);
    let restored = now(step.run(&mut tx)).and_then(|restored| tx.write_audit().map(|()| restored))?;
    let known = tx.query("SELECT incarnation FROM feed_head WHERE one = 1", &[])?;
    let known = Incarnation(known.first().ok_or_else(|| not_a_store("it has no feed"))?.bytes(0)?);
    let (changes, life) = (tx.changes, tx.life);
    enter_feed(&mut connection, (known, life.unwrap_or(known)), &changes)?;
    execute(&connection, "COMMIT")?;
    connection.close().map_err(|(_, error)| translate(&error))?;
    Ok(restored)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::Refused(format!("cannot look at {}: {error}", path.display()))),
        Ok(_) => Err(StoreError::Refused(format!("{} is there already; nothing is overwritten", path.display()))),
    }
}

fn make_new(path: &Path) -> Result<File, StoreError> {
    let made = File::options().create_new(true).write(true).mode(0o600).open(path);
    made.map_err(|error| cannot_write(path, &error))
}

/// SQLite opens a file by its path: what lies there must still be the file that was made, for us alone.
fn still_ours(made: &File, path: &Path) -> Result<(), StoreError> {
    let found = made.metadata().and_then(|made| fs::symlink_metadata(path).map(|there| (made, there)));
    let (made, there) = found.map_err(|error| cannot_write(path, &error))?;
    let is_same = (made.dev(), made.ino()) == (there.dev(), there.ino());
    if is_same && there.uid() == geteuid().as_raw() && there.mode() & 0o7777 == 0o600 {
        return Ok(());
    }
    let path = path.display();
    Err(StoreError::Refused(format!(
        "somebody put another file at {path} while it was written, or opened it to others"
    )))
}

fn refuse_unsafe_folder_of(path: &Path) -> Result<(), StoreError> {
    match why_unsafe(folder_of(path), FOLDER_OF_COPY).map_err(|error| cannot_write(path, &error))? {
        Some(why) => Err(StoreError::Refused(why)),
        None => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Refused(format!("cannot write {}: {error}", path.display()))
}

fn sync_folder_of(path: &Path) -> Result<(), StoreError> {
    File::open(folder_of(path)).and_then(|folder| folder.sync_all()).map_err(|error| cannot_write(path, &error))
}
