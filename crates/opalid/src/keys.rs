//! The keys of a workspace: made, and changed by whoever says so (a schedule in `keeper`, an operator).
//!
//! Takes: a workspace as it was read. Gives: its keys changed, in one step of the store.
//! Holds: a signing key is published before it signs; what a key has made can be opened and verified until nothing of it
//! lives any more (`kept`), unless the key was revoked. Symmetric keys are known here alone, so they need no
//! publication and have no next one. RSA keys are made off the threads that answer.
//! Not here: which keys a request uses; see `issuer`.

pub mod keeper;
pub mod kept;
pub mod rewrap;
pub mod shared;

use std::sync::Arc;

use opalid_core::ids::WorkspaceId;
use opalid_core::jwt::{SigningAlgorithm, SigningKey};
use opalid_core::time::{Seconds, UnixTime};
use opalid_store::keys::{KeyPurpose, KeyState, MadeKeys, NewKey, WorkspaceKey, WorkspaceRecord};
use opalid_store::steps::Stamp;
use opalid_store::steps::keys::{AddedAs, ChangeKeys, ChangedKeys, KeyChange, KeyEvent, SeenKeys, Thumbprints};
use opalid_store::{Step, StoreError};
use zeroize::Zeroizing;

use crate::app::App;
use crate::master_key::{CheckedKey, MasterKeys};
use crate::random;

/// How long a signing key is published before it signs by schedule: far beyond what clients keep of the JWK Set.
pub const PUBLISHED: Seconds = Seconds(24 * 3600);
/// How long it has to have been when an operator rotates by hand: the set is answered with `max-age=300`, and clients
/// that hold more than an hour on it are told to look again by the `kid` that they do not know.
pub const PUBLISHED_AT_LEAST: Seconds = Seconds(3600);

/// Why keys were not changed, in words.
#[derive(Debug, thiserror::Error)]
pub enum KeysUnchanged {
    /// It is not to be done so.
    #[error("{0}")]
    Refused(String),
    /// Somebody else was faster.
    #[error("the keys have changed meanwhile; run it again")]
    Moved,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store has not said whether it did.
    #[error("{0}")]
    Unknown(String),
    /// A key could not be made.
    #[error("a key could not be made: {0}")]
    Making(String),
}

/// Which keys stand in for one another: those of a purpose, of signing keys those of an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    /// Signing keys of this algorithm.
    Signing(SigningAlgorithm),
    /// Keys that are known here alone.
    Symmetric(KeyPurpose),
}

impl Ring {
    /// All that a workspace has.
    pub fn all() -> impl Iterator<Item = Self> {
        let signing = SigningAlgorithm::ALL.iter().copied().map(Self::Signing);
        let others = KeyPurpose::ALL.iter().copied().filter(|purpose| *purpose != KeyPurpose::Signing);
        signing.chain(others.map(Self::Symmetric))
    }

    /// That of a key.
    pub fn holding(key: &WorkspaceKey) -> Self {
        SigningAlgorithm::from_wire(&key.algorithm).map_or(Self::Symmetric(key.purpose), Self::Signing)
    }

    /// What its keys are for.
    pub const fn purpose(self) -> KeyPurpose {
        match self {
            Self::Signing(_) => KeyPurpose::Signing,
            Self::Symmetric(purpose) => purpose,
        }
    }

    const fn algorithm(self) -> &'static str {
        match self {
            Self::Signing(algorithm) => algorithm.wire_name(),
            Self::Symmetric(_) => "",
        }
    }

    /// Its keys among those of a workspace.
    pub fn of(self, keys: &[WorkspaceKey]) -> impl Iterator<Item = &WorkspaceKey> {
        keys.iter().filter(move |key| key.purpose == self.purpose() && key.algorithm == self.algorithm())
    }

    /// The one in use, and since when.
    pub fn current(self, keys: &[WorkspaceKey]) -> Option<(&WorkspaceKey, UnixTime)> {
        self.of(keys).find_map(|key| match key.state {
            KeyState::Current { since } => Some((key, since)),
            _ => None,
        })
    }

    /// The one that follows.
    pub fn next(self, keys: &[WorkspaceKey]) -> Option<&WorkspaceKey> {
        self.of(keys).find(|key| key.state == KeyState::Next)
    }

    /// For people.
    pub fn name(self) -> String {
        match self {
            Self::Signing(algorithm) => format!("signing keys ({})", algorithm.wire_name()),
            Self::Symmetric(purpose) => format!("{} keys", purpose.name()),
        }
    }
}

/// What happens to the key that was in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// What it made goes on.
    Kept,
    /// What it made is dead.
    Revoked,
}

/// Changes the keys of a workspace.
pub struct Changing<'a> {
    /// What every request shares.
    pub app: &'a App,
    /// The workspace as it was read.
    pub record: Arc<WorkspaceRecord>,
    /// When.
    pub now: UnixTime,
    /// On whose behalf.
    pub initiator: &'static str,
}

impl Changing<'_> {
    fn keys(&self) -> &[WorkspaceKey] {
        &self.record.keys
    }

    /// Makes the key in use where there is none.
    pub async fn make_current(&self, ring: Ring) -> Result<(), KeysUnchanged> {
        let number = free_number(self.keys(), ring.purpose())?;
        let changes = vec![KeyChange::Add(number, AddedAs::Current)];
        self.change(ring, changes, (KeyEvent::Made, format!("{} {number}", ring.name()))).await
    }

    /// Makes the key that follows, where a ring has them and there is none.
    pub async fn make_next(&self, ring: Ring) -> Result<(), KeysUnchanged> {
        let number = free_number(self.keys(), ring.purpose())?;
        let changes = vec![KeyChange::Add(number, AddedAs::Next)];
        self.change(ring, changes, (KeyEvent::Made, format!("{} {number}", ring.name()))).await
    }

    /// The next key is used; it makes a next one anew. Whether it was published for long enough, the caller has seen to.
    pub async fn rotate(&self, ring: Ring, former: Former) -> Result<(), KeysUnchanged> {
        let (changes, event) = self.rotation(ring, former)?;
        self.change(ring, changes, event).await
    }

    fn rotation(&self, ring: Ring, former: Former) -> Result<(Vec<KeyChange>, (KeyEvent, String)), KeysUnchanged> {
        let Plan { changes, used, gone } = plan(self.keys(), ring, former)?;
        let was = ring.current(self.keys()).map_or_else(|| "none".to_owned(), |(key, _)| key.number.to_string());
        let event = if former == Former::Kept { KeyEvent::Rotated } else { KeyEvent::Revoked };
        let gone = gone.map_or_else(String::new, |gone| format!("; without {}, for its number", gone.number));
        Ok((changes, (event, format!("{} {was}, then {used}{gone}", ring.name()))))
    }

    /// The key that goes, too, when the one in use is revoked, because another needs its number.
    pub fn goes_too(&self, ring: Ring) -> Option<&WorkspaceKey> {
        plan(self.keys(), ring, Former::Revoked).ok()?.gone
    }

    /// Takes away a key that makes nothing now.
    pub async fn remove(&self, key: &WorkspaceKey, event: KeyEvent) -> Result<(), KeysUnchanged> {
        let (changes, event) = self.removal(key, event);
        self.change(Ring::holding(key), changes, event).await
    }

    /// Where it was to follow, another is made to.
    fn removal(&self, key: &WorkspaceKey, event: KeyEvent) -> (Vec<KeyChange>, (KeyEvent, String)) {
        let ring = Ring::holding(key);
        let mut changes = vec![KeyChange::Remove(key.number)];
        if key.state == KeyState::Next {
            let number = free_numbers(self.keys(), ring.purpose()).next();
            changes.extend(number.map(|number| KeyChange::Add(number, AddedAs::Next)));
        }
        (changes, (event, format!("{} {}", ring.name(), key.number)))
    }

    /// A signing key from outside follows; one that was made to follow goes, for it has signed nothing. One that was
    /// revoked here does not come back, with what it signed. One that went because nobody needed it any more may:
    /// everything that it signed has ended by then (`kept`).
    pub async fn import(&self, algorithm: SigningAlgorithm, pkcs8: &[u8]) -> Result<(), KeysUnchanged> {
        let ring = Ring::Signing(algorithm);
        let number = free_number(self.keys(), ring.purpose())?;
        let mut changes: Vec<_> =
            ring.next(self.keys()).map(|next| KeyChange::Remove(next.number)).into_iter().collect();
        changes.push(KeyChange::Add(number, AddedAs::Next));
        let master = self.app.master.current();
        let key = wrap(self.record.workspace.id, &master, (ring, number), pkcs8)?;
        let made = MadeKeys { key_check: master.check().to_vec(), keys: vec![key] };
        let imported = Some(shared::thumbprint(algorithm, pkcs8)?);
        let thumbprints = Thumbprints { imported, ..Thumbprints::default() };
        let event = (KeyEvent::Imported, format!("{} {number}", ring.name()));
        self.store(self.step(ring, made, (changes, thumbprints), event)).await
    }

    /// Makes what enters, then changes.
    async fn change(
        &self,
        ring: Ring,
        changes: Vec<KeyChange>,
        event: (KeyEvent, String),
    ) -> Result<(), KeysUnchanged> {
        self.store(self.prepared(ring, changes, event).await?).await
    }

    async fn prepared(
        &self,
        ring: Ring,
        changes: Vec<KeyChange>,
        event: (KeyEvent, String),
    ) -> Result<ChangeKeys, KeysUnchanged> {
        let master = self.app.master.current();
        let mut keys = Vec::new();
        for change in &changes {
            if let KeyChange::Add(number, _) = change {
                keys.push(make(self.record.workspace.id, &master, (ring, *number)).await?);
            }
        }
        let is_revoked = event.0 == KeyEvent::Revoked && ring.purpose() == KeyPurpose::Signing;
        let revoked = if is_revoked { self.thumbprints(&changes)? } else { Vec::new() };
        let thumbprints = Thumbprints { revoked, imported: None };
        let made = MadeKeys { key_check: master.check().to_vec(), keys };
        Ok(self.step(ring, made, (changes, thumbprints), event))
    }

    fn step(
        &self,
        ring: Ring,
        made: MadeKeys,
        (changes, thumbprints): (Vec<KeyChange>, Thumbprints),
        event: (KeyEvent, String),
    ) -> ChangeKeys {
        let stamp = Stamp { now: self.now, ..self.app.stamp(self.record.workspace.id, self.initiator) };
        let seen = SeenKeys::of(self.keys(), ring.purpose());
        ChangeKeys { stamp, purpose: ring.purpose(), seen, made, changes, thumbprints, event }
    }

    async fn store(&self, step: impl Step<Out = ChangedKeys>) -> Result<(), KeysUnchanged> {
        match self.app.store.run(step).await? {
            ChangedKeys::Done => Ok(()),
            ChangedKeys::Moved => Err(KeysUnchanged::Moved),
            ChangedKeys::Revoked(at) => {
                Err(refused(format!("this key was revoked on {}; make another", crate::words::date(at))))
            }
        }
    }
}

/// What a rotation does.
struct Plan<'a> {
    changes: Vec<KeyChange>,
    /// The number of the key that is used from then on.
    used: u8,
    /// The key that goes for its number.
    gone: Option<&'a WorkspaceKey>,
}

/// A key that follows is used, or a new one; where a number is left, one is made to follow (else the schedule makes it when
/// there is). No number is taken that a key has which goes in the same step: what that made must not meet another
/// key under its number. But a key in use can be revoked even where all are taken: then the oldest that is kept goes, too.
fn plan(keys: &[WorkspaceKey], ring: Ring, former: Former) -> Result<Plan<'_>, KeysUnchanged> {
    let end = |number| if former == Former::Kept { KeyChange::Stop(number) } else { KeyChange::Remove(number) };
    let mut changes: Vec<_> = ring.current(keys).map(|(key, _)| end(key.number)).into_iter().collect();
    let mut free = free_numbers(keys, ring.purpose());
    if let Some(next) = ring.next(keys) {
        changes.push(KeyChange::Use(next.number));
        changes.extend(free.next().map(|number| KeyChange::Add(number, AddedAs::Next)));
        return Ok(Plan { changes, used: next.number, gone: None });
    }
    let number = free.next();
    let gone = if number.is_none() && former == Former::Revoked { oldest_kept(keys, ring) } else { None };
    changes.extend(gone.map(|gone| KeyChange::Remove(gone.number)));
    let used = number.or(gone.map(|gone| gone.number)).ok_or_else(|| all_taken(ring.purpose()))?;
    changes.push(KeyChange::Add(used, AddedAs::Current));
    if matches!(ring, Ring::Signing(_)) {
        changes.extend(free.next().map(|number| KeyChange::Add(number, AddedAs::Next)));
    }
    Ok(Plan { changes, used, gone })
}

/// Of the keys of a ring that are in use no more the oldest; where it has none, of those that share its numbers.
fn oldest_kept(keys: &[WorkspaceKey], ring: Ring) -> Option<&WorkspaceKey> {
    let kept = keys.iter().filter(|key| key.purpose == ring.purpose()).filter_map(|key| match key.state {
        KeyState::Previous { until } => Some((Ring::holding(key) != ring, until, key.created_at, key)),
        _ => None,
    });
    kept.min_by_key(|(other, until, created_at, key)| (*other, *until, *created_at, key.number)).map(|(.., key)| key)
}

/// The numbers that no key of this purpose has: after the newest one, so that a number comes back as late as can be.
fn free_numbers(keys: &[WorkspaceKey], purpose: KeyPurpose) -> impl Iterator<Item = u8> {
    let of_purpose = move || keys.iter().filter(move |key| key.purpose == purpose);
    let newest = of_purpose().max_by_key(|key| (key.created_at, key.number)).map_or(0, |key| key.number);
    let is_free = move |number: &u8| of_purpose().all(|key| key.number != *number);
    let after = newest.checked_add(1).map(|first| first..=u8::MAX);
    after.into_iter().flatten().chain(1..=newest).filter(is_free)
}

fn free_number(keys: &[WorkspaceKey], purpose: KeyPurpose) -> Result<u8, KeysUnchanged> {
    free_numbers(keys, purpose).next().ok_or_else(|| all_taken(purpose))
}

fn all_taken(purpose: KeyPurpose) -> KeysUnchanged {
    refused(format!(
        "all 255 numbers of {} keys are taken by keys that are still needed; a new one can be made when one of them is not \
         (opalid key list), or is revoked",
        purpose.name()
    ))
}

fn refused(why: String) -> KeysUnchanged {
    KeysUnchanged::Refused(why)
}

/// What a wrapped key is bound to, so that no two can be swapped.
pub(crate) fn label(workspace: WorkspaceId, purpose: KeyPurpose, number: u8) -> String {
    format!("{workspace}/{}/{number}", purpose.name())
}

/// The first keys of a new workspace: one of each symmetric kind, one signing key per algorithm, all in use at once.
pub fn first_keys(workspace: WorkspaceId, masters: &MasterKeys) -> anyhow::Result<MadeKeys> {
    first_keys_under(workspace, &masters.current())
}

/// The same under this master key.
pub(crate) fn first_keys_under(workspace: WorkspaceId, master: &CheckedKey) -> anyhow::Result<MadeKeys> {
    let mut keys: Vec<NewKey> = Vec::new();
    for (ring, made) in generate_all()? {
        let taken = keys.iter().filter(|key| key.purpose == ring.purpose()).count();
        let number = u8::try_from(taken + 1)?;
        keys.push(wrap(workspace, master, (ring, number), &made)?);
    }
    Ok(MadeKeys { key_check: master.check().to_vec(), keys })
}

/// A key for each ring, all made at the same time: two of them are RSA keys, and each of those is a matter of luck.
fn generate_all() -> anyhow::Result<Vec<(Ring, Zeroizing<Vec<u8>>)>> {
    std::thread::scope(|scope| {
        let making: Vec<_> = Ring::all().map(|ring| scope.spawn(move || anyhow::Ok((ring, generate(ring)?)))).collect();
        let died = |_| anyhow::anyhow!("a thread that makes a key died");
        making.into_iter().map(|thread| thread.join().map_err(died)?).collect()
    })
}

fn generate(ring: Ring) -> Result<Zeroizing<Vec<u8>>, KeysUnchanged> {
    match ring {
        Ring::Signing(algorithm) => {
            SigningKey::generate(algorithm).map_err(|error| KeysUnchanged::Making(error.to_string()))
        }
        Ring::Symmetric(_) => Ok(Zeroizing::new(Zeroizing::new(random::bytes::<32>()).to_vec())),
    }
}

/// A new key, made where it keeps nobody waiting.
async fn make(
    workspace: WorkspaceId,
    master: &CheckedKey,
    (ring, number): (Ring, u8),
) -> Result<NewKey, KeysUnchanged> {
    let made = tokio::task::spawn_blocking(move || generate(ring)).await;
    let made = made.map_err(|error| KeysUnchanged::Making(error.to_string()))??;
    wrap(workspace, master, (ring, number), &made)
}

fn wrap(
    workspace: WorkspaceId,
    master: &CheckedKey,
    (ring, number): (Ring, u8),
    bytes: &[u8],
) -> Result<NewKey, KeysUnchanged> {
    let label = label(workspace, ring.purpose(), number);
    let wrapped = master.key().wrap(&label, random::bytes(), bytes);
    let wrapped = wrapped.map_err(|error| KeysUnchanged::Making(error.to_string()))?;
    Ok(NewKey { purpose: ring.purpose(), number, algorithm: ring.algorithm().to_owned(), wrapped })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8, created_at: i64) -> WorkspaceKey {
        WorkspaceKey {
            purpose: KeyPurpose::Row,
            number,
            state: KeyState::Previous { until: UnixTime(created_at) },
            algorithm: String::new(),
            wrapped: Vec::new(),
            created_at: UnixTime(created_at),
        }
    }

    fn free(keys: &[WorkspaceKey]) -> Option<u8> {
        free_number(keys, KeyPurpose::Row).ok()
    }

    #[test]
    fn a_number_follows_the_newest_and_none_that_is_taken_is_given_again() {
        assert_eq!(free(&[]), Some(1));
        assert_eq!(free(&[key(1, 10), key(2, 20)]), Some(3));
        assert_eq!(free(&[key(255, 20), key(1, 10)]), Some(2));
        assert_eq!(free_number(&[key(1, 10)], KeyPurpose::Sealing).ok(), Some(1));
        let mut all: Vec<_> = (1..=255).map(|number| key(number, i64::from(number))).collect();
        let why = free_number(&all, KeyPurpose::Row).unwrap_err().to_string();
        assert!(why.starts_with("all 255 numbers of row keys are taken"), "{why}");
        all.remove(6);
        assert_eq!(free(&all), Some(7));
    }

    const CURRENT: KeyState = KeyState::Current { since: UnixTime(300) };

    /// All numbers but one, the newest in use.
    fn row_keys(count: u8) -> Vec<WorkspaceKey> {
        let mut keys: Vec<_> = (1..=count).map(|number| key(number, i64::from(number))).collect();
        keys.last_mut().unwrap().state = CURRENT;
        keys
    }

    fn planned(keys: &[WorkspaceKey], ring: Ring, former: Former) -> (Vec<KeyChange>, Option<u8>) {
        let plan = plan(keys, ring, former).unwrap_or_else(|why| panic!("{why}"));
        (plan.changes, plan.gone.map(|key| key.number))
    }

    #[test]
    fn one_number_is_enough_for_a_key_that_nobody_else_knows() {
        let ring = Ring::Symmetric(KeyPurpose::Row);
        let (last, add) = (row_keys(254), KeyChange::Add(255, AddedAs::Current));
        assert_eq!(planned(&last, ring, Former::Kept), (vec![KeyChange::Stop(254), add], None));
        assert_eq!(planned(&last, ring, Former::Revoked), (vec![KeyChange::Remove(254), add], None));
    }

    #[test]
    fn where_all_numbers_are_taken_the_key_in_use_is_revoked_all_the_same_and_its_number_is_not_the_next_ones() {
        use KeyChange::{Add, Remove, Use};
        let ring = Ring::Symmetric(KeyPurpose::Row);
        let mut all = row_keys(255);
        assert!(plan(&all, ring, Former::Kept).is_err());
        all.swap(0, 100);
        let changes = vec![Remove(255), Remove(1), Add(1, AddedAs::Current)];
        assert_eq!(planned(&all, ring, Former::Revoked), (changes, Some(1)));

        // Signing keys share their numbers: the one that goes is of the same algorithm, if there is one.
        let signing = |number: u8, algorithm: SigningAlgorithm| WorkspaceKey {
            purpose: KeyPurpose::Signing,
            algorithm: algorithm.wire_name().into(),
            ..key(number, i64::from(number))
        };
        let mut all: Vec<_> = (1..=254).map(|number| signing(number, SigningAlgorithm::EdDsa)).collect();
        let (eddsa, es256) = (Ring::Signing(SigningAlgorithm::EdDsa), Ring::Signing(SigningAlgorithm::Es256));
        all.push(WorkspaceKey { state: CURRENT, ..signing(255, SigningAlgorithm::Es256) });
        let alone = vec![Remove(255), Remove(1), Add(1, AddedAs::Current)];
        assert_eq!(planned(&all, es256, Former::Revoked), (alone, Some(1)));
        all[9] = signing(10, SigningAlgorithm::Es256);
        let own = vec![Remove(255), Remove(10), Add(10, AddedAs::Current)];
        assert_eq!(planned(&all, es256, Former::Revoked), (own, Some(10)));
        // One that follows has its number already.
        all[8].state = KeyState::Next;
        all[7].state = CURRENT;
        assert_eq!(planned(&all, eddsa, Former::Revoked), (vec![Remove(8), Use(9)], None));
        all.pop();
        let more = vec![Remove(8), Use(9), Add(255, AddedAs::Next)];
        assert_eq!(planned(&all, eddsa, Former::Revoked), (more, None));
    }
}
