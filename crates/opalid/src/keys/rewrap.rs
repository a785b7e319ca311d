//! Rotation of the master key while the server runs: every key of every workspace is wrapped anew, in one transaction.
//!
//! Takes: the new master key, or none where it is to be made. Gives: what there is to know afterwards.
//! Holds: nothing is committed that was not read back; at every moment a start finds a key that the store is under (in
//! the file, or beside it); requests find keys that open before, during and after. A COMMIT that was not answered is
//! neither made nor not made until the store has said so while nobody else holds the cell: until then both keys are
//! kept, on disk and in memory.
//! Not here: where a key that lies elsewhere is put, which is its operator's work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use opalid_core::wrap::MasterKey;
use opalid_store::StoreError;
use opalid_store::steps::Stamp;
use opalid_store::steps::cell::FindCell;
use opalid_store::steps::keys::{ChangedKeys, ListWrapped, RewrapKeys, WrappedKey};
use opalid_store::steps::settle_rewrap::{SettleRewrap, SettledUnder};

use super::{KeysUnchanged, label};
use crate::app::App;
use crate::master_key::{Begun, CheckedKey, Replacing, opens};
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
    /// Whether that was an earlier rotation, of which it was not known, and no other was begun.
    pub earlier: bool,
}

/// How often keys may change under it before it gives up.
const TRIES: usize = 10;
/// How often the store is asked what became of a rotation before its operator is told that it is not known.
const ASKED: usize = 6;
/// How long between two questions; each of them waits for its answer, too.
const PAUSE: Duration = Duration::from_millis(500);

/// Who says no where a rotation should break off.
type Reached<'a> = &'a mut (dyn FnMut(Stage) -> bool + Send);

/// Rotates the master key. Where the rotation before has not ended, that ends first.
pub async fn rotate(app: &App, new: Option<MasterKey>, stamp: Stamp) -> Result<Rewrapped, KeysUnchanged> {
    rotate_until(app, new, stamp, &mut |_| true).await
}

/// The same; where `reached` says no, everything is left as a crash leaves it.
pub(crate) async fn rotate_until(
    app: &App,
    new: Option<MasterKey>,
    stamp: Stamp,
    reached: Reached<'_>,
) -> Result<Rewrapped, KeysUnchanged> {
    // What is begun stays in there, whoever hangs up, until it is known what became of it.
    let mut begun = app.master.rotating.lock().await;
    if let Some(done) = settle(app, &mut begun, reached).await? {
        return Ok(Rewrapped { earlier: true, ..done });
    }
    let rotation = begin(app, new, &stamp).await?;
    if !reached(Stage::Written) {
        return Err(broken_off());
    }
    app.master.expect(Arc::clone(&rotation.incoming));
    let wrapped = wrap_anew(app, begun.insert(rotation), stamp).await;
    let outcome = match wrapped {
        Ok(()) => begun.take().map(|rotation| made(app, rotation, reached)).transpose()?,
        Err(Failed::NotMade(why)) => {
            if let Some(rotation) = begun.take() {
                not_made(app, &rotation, &rotation.former)?;
            }
            return Err(why);
        }
        Err(Failed::NotAnswered(why)) => {
            let settled = settle(app, &mut begun, reached).await?;
            return settled.ok_or_else(|| why.into());
        }
    };
    outcome.ok_or_else(broken_off)
}

/// Asks what became of a rotation that was not answered, in the background.
pub(crate) async fn settle_begun(app: &App) {
    let Ok(mut begun) = app.master.rotating.try_lock() else { return };
    if begun.is_none() {
        return;
    }
    match settle(app, &mut begun, &mut |_| true).await {
        Ok(Some(_)) => tracing::warn!("the rotation of the master key that was not answered was made after all"),
        Ok(None) => tracing::warn!("the rotation of the master key that was not answered was not made"),
        Err(error) => tracing::warn!(%error, "the rotation of the master key has not ended"),
    }
}

/// Ends what was begun: made, or taken back (`None`). While the store does not say which, nothing is touched.
async fn settle(
    app: &App,
    begun: &mut Option<Begun>,
    reached: Reached<'_>,
) -> Result<Option<Rewrapped>, KeysUnchanged> {
    let Some(rotation) = begun.as_ref() else { return Ok(None) };
    let under = settled(app, rotation).await.map_err(|error| unknown(app, rotation, &error))?;
    let Some(rotation) = begun.take() else { return Ok(None) };
    match under {
        SettledUnder::New => made(app, rotation, reached).map(Some),
        SettledUnder::Former => not_made(app, &rotation, &rotation.staying).map(|()| None),
    }
}

/// Asks the store until it answers, though not for ever.
async fn settled(app: &App, rotation: &Begun) -> Result<SettledUnder, StoreError> {
    let mut asked = 0;
    loop {
        let step = SettleRewrap {
            stamp: app.stamp(app.root, "server"),
            key_check: (rotation.former.check().to_vec(), rotation.incoming.check().to_vec()),
            staying: rotation.staying.check().to_vec(),
        };
        asked += 1;
        match app.store.run(step).await {
            Err(_) if asked < ASKED => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

fn unknown(app: &App, rotation: &Begun, error: &StoreError) -> KeysUnchanged {
    let place = &app.master_key_place;
    let keep = match &rotation.replacing {
        Some(replacing) => format!("Leave {place} and {} where they are", replacing.incoming().display()),
        None => format!("Throw neither away, the key from {place} and the new one"),
    };
    KeysUnchanged::Unknown(format!(
        "it is not known yet whether the store is under the new master key ({error}). {keep}: either may be the one that \
         opens it. This server goes on with both. When the store answers again, the same command says what became of it; \
         so does the next start, which refuses a key that the store is not under"
    ))
}

/// The store is under the new key: it takes its file's name.
fn made(app: &App, rotation: Begun, reached: Reached<'_>) -> Result<Rewrapped, KeysUnchanged> {
    let Begun { incoming, replacing, when, keys, .. } = rotation;
    app.master.advance(&incoming);
    if !reached(Stage::Committed) {
        return Err(broken_off());
    }
    let Some(replacing) = replacing else { return Ok(Rewrapped { keys, former: None, earlier: false }) };
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
    Ok(Rewrapped { keys, former: Some(former), earlier: false })
}

/// The store is under the former key, and stays so.
fn not_made(app: &App, rotation: &Begun, former: &Arc<CheckedKey>) -> Result<(), KeysUnchanged> {
    app.master.stay(former);
    rotation.replacing.as_ref().map_or(Ok(()), |replacing| replacing.give_up().map_err(refused))
}

fn refused(error: anyhow::Error) -> KeysUnchanged {
    KeysUnchanged::Refused(format!("{error:#}"))
}

fn broken_off() -> KeysUnchanged {
    KeysUnchanged::Refused("it broke off".into())
}

/// Everything that a rotation needs; a new key that lies in the data folder is there for good.
async fn begin(app: &App, new: Option<MasterKey>, stamp: &Stamp) -> Result<Begun, KeysUnchanged> {
    let incoming = incoming(app, new).await?;
    let former = app.master.current();
    let staying = former.with_other_check().map_err(|error| KeysUnchanged::Making(error.to_string()))?;
    let begin = || Replacing::begin(&app.data, incoming.key());
    let replacing = app.master_key_in_data.then(begin).transpose().map_err(refused)?;
    let (staying, incoming, when) = (Arc::new(staying), Arc::new(incoming), stamp.now.0.to_string());
    Ok(Begun { former, staying, incoming, replacing, when, keys: 0 })
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
    /// The store is under the old key: nothing was sent to it, or it said so.
    NotMade(KeysUnchanged),
    /// It did not say.
    NotAnswered(StoreError),
}

/// Puts the store under the new key.
async fn wrap_anew(app: &App, rotation: &mut Begun, stamp: Stamp) -> Result<(), Failed> {
    let (former, incoming) = (&rotation.former, &rotation.incoming);
    for _ in 0..TRIES {
        let keys = app.store.read(ListWrapped).await.map_err(|error| Failed::NotMade(error.into()))?;
        rotation.keys = keys.len();
        let keys = keys.into_iter().map(|key| anew(former, incoming, key)).collect::<Result<_, _>>();
        let key_check = (former.check().to_vec(), incoming.check().to_vec());
        let step = RewrapKeys { stamp: stamp.clone(), key_check, keys: keys.map_err(Failed::NotMade)? };
        match app.store.run(step).await {
            Ok(ChangedKeys::Done) => return Ok(()),
            Ok(ChangedKeys::Moved | ChangedKeys::Revoked(_)) => {}
            Err(error) => return Err(Failed::NotAnswered(error)),
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

#[cfg(test)]
mod tests;
