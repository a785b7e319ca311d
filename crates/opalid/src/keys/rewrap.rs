//! Rotation of the master key while the server runs: every key of every workspace is wrapped anew, in one transaction.
//!
//! Takes: the new master key, or none where it is to be made. Gives: what there is to know afterwards.
//! Holds: nothing is committed that was not read back; at every moment a start finds a key that the store is under (in
//! the file, or beside it); requests find keys that open before, during and after.
//! Not here: where a key that lies elsewhere is put, which is its operator's work.

use std::path::PathBuf;
use std::sync::Arc;

use opalid_core::wrap::MasterKey;
use opalid_store::StoreError;
use opalid_store::steps::Stamp;
use opalid_store::steps::cell::FindCell;
use opalid_store::steps::keys::{ChangedKeys, ListWrapped, RewrapKeys, WrappedKey};

use super::{KeysUnchanged, label};
use crate::app::App;
use crate::master_key::{CheckedKey, Replacing, opens};
use crate::random;

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The new key lies beside the file, where it lies in the data folder.
    Written,
    /// The store is under it.
    Committed,
    /// The old key has another name, too.
    FormerKept,
    /// The new key has the file's name.
    Replaced,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many keys were wrapped anew.
    pub keys: usize,
    /// Where the old master key lies now, if it lay in the data folder.
    pub former: Option<PathBuf>,
}

/// How often keys may change under it before it gives up.
const TRIES: usize = 10;

/// Rotates the master key.
pub async fn rotate(app: &App, new: Option<MasterKey>, stamp: Stamp) -> Result<Rewrapped, KeysUnchanged> {
    rotate_until(app, new, stamp, &mut |_| true).await
}

/// The same; where `reached` says no, everything is left as a crash leaves it.
pub(crate) async fn rotate_until(
    app: &App,
    new: Option<MasterKey>,
    stamp: Stamp,
    reached: &mut (dyn FnMut(Stage) -> bool + Send),
) -> Result<Rewrapped, KeysUnchanged> {
    let _alone = app.master.rotating.lock().await;
    let incoming = Arc::new(incoming(app, new).await?);
    let begin = || Replacing::begin(&app.data, incoming.key());
    let replacing = app.master_key_in_data.then(begin).transpose().map_err(refused)?;
    if !reached(Stage::Written) {
        return Err(broken_off());
    }
    app.master.expect(Arc::clone(&incoming));
    let when = stamp.now.0.to_string();
    let keys = match wrap_anew(app, &incoming, stamp).await {
        Ok(keys) => keys,
        Err(Failed::NotMade(why)) => {
            app.master.give_up();
            replacing.map(|replacing| replacing.give_up()).transpose().map_err(refused)?;
            return Err(why);
        }
        Err(Failed::Unknown(why)) => return Err(why),
    };
    app.master.advance();
    if !reached(Stage::Committed) {
        return Err(broken_off());
    }
    let Some(replacing) = replacing else { return Ok(Rewrapped { keys, former: None }) };
    let unfinished = |error: anyhow::Error| {
        KeysUnchanged::Refused(format!(
            "the store is under the new master key, but that has not taken its file's name ({error:#}); see to that, \
             and restart the server: it finds the key beside the file, and ends what is left to do"
        ))
    };
    let former = replacing.keep_former(&when).map_err(unfinished)?;
    if !reached(Stage::FormerKept) {
        return Err(broken_off());
    }
    replacing.finish().map_err(unfinished)?;
    reached(Stage::Replaced);
    Ok(Rewrapped { keys, former: Some(former) })
}

fn refused(error: anyhow::Error) -> KeysUnchanged {
    KeysUnchanged::Refused(format!("{error:#}"))
}

fn broken_off() -> KeysUnchanged {
    KeysUnchanged::Refused("it broke off".into())
}

async fn incoming(app: &App, new: Option<MasterKey>) -> Result<CheckedKey, KeysUnchanged> {
    let key = match new {
        Some(key) => key,
        None if app.master_key_in_data => MasterKey::generate_from(random::bytes()),
        None => {
            return Err(KeysUnchanged::Refused(format!(
                "the master key of this server comes from {}, so a new one has to be made where it can stay, and be named: \
                 --file, --env or --command",
                app.master_key_place
            )));
        }
    };
    let cell = app.store.read(FindCell).await?;
    if let Some(cell) = &cell {
        app.master.agree_with(cell);
    }
    if cell.is_some_and(|cell| opens(&key, &cell)) {
        return Err(KeysUnchanged::Refused("that is the master key in use; name a new one".into()));
    }
    CheckedKey::new(key).map_err(|error| KeysUnchanged::Making(error.to_string()))
}

enum Failed {
    /// The store is under the old key.
    NotMade(KeysUnchanged),
    /// Nobody can say under which one.
    Unknown(KeysUnchanged),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::NotMade(error.into())
    }
}

/// Puts the store under the new key; gives how many keys that were.
async fn wrap_anew(app: &App, incoming: &CheckedKey, stamp: Stamp) -> Result<usize, Failed> {
    let current = app.master.current();
    for _ in 0..TRIES {
        let keys = app.store.read(ListWrapped).await?;
        let count = keys.len();
        let keys = keys.into_iter().map(|key| anew(&current, incoming, key)).collect::<Result<_, _>>();
        let key_check = (current.check().to_vec(), incoming.check().to_vec());
        let step = RewrapKeys { stamp: stamp.clone(), key_check, keys: keys.map_err(Failed::NotMade)? };
        match app.store.run(step).await {
            Ok(ChangedKeys::Done) => return Ok(count),
            Ok(ChangedKeys::Moved) => {}
            Err(error) => return after_failure(app, (incoming, count), error).await,
        }
    }
    Err(Failed::NotMade(KeysUnchanged::Moved))
}

/// One key wrapped anew, and read back.
fn anew(from: &CheckedKey, to: &CheckedKey, key: WrappedKey) -> Result<(WrappedKey, Vec<u8>), KeysUnchanged> {
    let label = label(key.workspace, key.purpose, key.number);
    let wrong =
        || KeysUnchanged::Refused(format!("key {label} does not open under the master key; nothing was changed"));
    let plain = from.key().unwrap(&label, &key.wrapped).map_err(|_| wrong())?;
    let wrapped = to.key().wrap(&label, random::bytes(), &plain);
    let wrapped = wrapped.map_err(|error| KeysUnchanged::Making(error.to_string()))?;
    let back = to.key().unwrap(&label, &wrapped).map_err(|_| wrong())?;
    if *back == *plain { Ok((key, wrapped)) } else { Err(wrong()) }
}

/// A commit that was not answered may have been made: the cell says.
async fn after_failure(app: &App, (incoming, count): (&CheckedKey, usize), error: StoreError) -> Result<usize, Failed> {
    match app.store.read(FindCell).await {
        Ok(Some(cell)) if opens(incoming.key(), &cell) => Ok(count),
        Ok(_) => Err(Failed::NotMade(error.into())),
        Err(_) => Err(Failed::Unknown(KeysUnchanged::Refused(format!(
            "the store did not say whether it is under the new master key ({error}); keep both keys, and restart the \
             server when it is back: the right one opens it"
        )))),
    }
}

#[cfg(test)]
mod tests;
