//! Putting a store back: SQLite from a file, PostgreSQL after `pg_restore`.
//!
//! Takes: where the copy is and where the store goes. Gives: what a person has to know now.
//! Holds: the copy belongs to the master key of the data folder, where there is one; no server runs on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use opalid_core::ids::{EventId, uuid_v7};
use opalid_core::wrap::MasterKey;
use opalid_store::leases::LONGEST;
use opalid_store::memory::Capacity;
use opalid_store::steps::cell::Cell;
use opalid_store::steps::restore::{Restore, Restored};
use opalid_store::{CopyProgress, Location, Opening, Store};

use crate::clock::{self, Clock};
use crate::data_folder;
use crate::manage::INITIATOR;
use crate::master_key::{self, CheckedKey, MASTER_KEY};
use crate::random;

/// What is put back, and where.
pub struct Restoring {
    /// The data folder.
    pub data: PathBuf,
    /// The database, if the store is not a file in the data folder.
    pub location: Option<Location>,
    /// The master key, if it does not lie in the data folder.
    pub master_key: Option<MasterKey>,
    /// The copy, if the store is a file.
    pub file: Option<PathBuf>,
}

/// Puts it back; `copied` hears how far the file is.
pub async fn put_back(
    restoring: Restoring,
    copied: &mut (dyn FnMut(CopyProgress) + Send),
) -> anyhow::Result<Vec<String>> {
    let Restoring { data, location, master_key, file } = restoring;
    let found = match (&file, &location) {
        (Some(file), _) if !file.exists() => bail!("there is no file {}", file.display()),
        (Some(file), _) => Location::Sqlite(file.clone()).look().await?,
        (None, Some(location)) => location.look().await?,
        (None, None) => bail!("there is nothing to put back"),
    };
    // Before its master key is believed.
    data_folder::refuse_unsafe(&data)?;
    let cell = found.context("what is put back is not a store of Opalid")?;
    let key_path = data.join(MASTER_KEY);
    let is_there = master_key.is_some() || key_path.exists();
    if is_there {
        admit(&data, master_key, &cell)?;
    }
    let step = step();
    let restored = match (file, location) {
        (Some(file), _) => {
            data_folder::make(&data)?;
            Location::Sqlite(data.join("opalid.db")).restore_from(&file, &step, copied)?
        }
        (None, Some(location)) => declare(location, step).await?,
        (None, None) => bail!("there is nothing to put back"),
    };
    let mut said = words(&restored);
    if !is_there {
        let path = key_path.display();
        said.push(format!("The master key is not here yet: put the one that the copy was made under at {path}."));
    }
    Ok(said)
}

/// Refuses a copy that is under another master key than the one that will be there.
fn admit(data: &Path, given: Option<MasterKey>, cell: &Cell) -> anyhow::Result<()> {
    let (found, place) = match given {
        Some(key) => (CheckedKey::of(key, cell), "the setting master_key".into()),
        None => (master_key::find(data, cell)?, data.join(MASTER_KEY).display().to_string()),
    };
    if found.is_some() {
        return Ok(());
    }
    let former = master_key::find_former(data, cell);
    let former = former.map(|path| format!(" (it lies at {})", path.display())).unwrap_or_default();
    bail!("this copy was made under another master key than {place}; put the one it was made under there first{former}")
}

fn step() -> Restore {
    let now = Clock::System.now();
    Restore {
        incarnation: random::bytes(),
        owner: random::bytes(),
        now,
        event: EventId::from_bytes(uuid_v7(now, 0, random::bytes())),
        initiator: INITIATOR.into(),
    }
}

/// Takes the step on a database that was put back, as the only one there. It is not left cleanly: the next
/// server counts with memories of the store that was there before.
async fn declare(location: Location, step: Restore) -> anyhow::Result<Restored> {
    let opening = Opening {
        location,
        owner: step.owner,
        alone: true,
        incarnation: step.incarnation,
        capacity: Capacity { grants: 1, entities: 1 },
        lease: LONGEST,
        boottime: clock::boottime,
        observer: Arc::new(()),
        on_fatal: Arc::new(|_| {}),
    };
    Ok(Store::open(opening).await?.run(step).await?)
}

fn words(restored: &Restored) -> Vec<String> {
    let names = restored.workspaces.join(", ");
    vec![
        format!("The store is put back. Everyone signs in again, and clients get new tokens, in: {names}."),
        "Every key is made anew at the next start: no JWT that was signed before now verifies any more, and a signing key \
         that was brought in has to be imported again (not one that was revoked since the copy was made)."
            .into(),
        "Nothing that was issued before now is alive. What was changed since is as it was \
         in the copy: passwords, secrets, settings, who is suspended, what was agreed to."
            .into(),
    ]
}
