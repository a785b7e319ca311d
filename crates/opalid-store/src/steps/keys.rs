//! The keys of workspaces as they change: made, used, stopped, removed; and all of them wrapped anew.
//!
//! Holds: a change is made only where the keys of its purpose stand as whoever decided it saw them, so that of two who
//! rotate at once one does; a key enters only under the master key that the store is under. Whoever changes keys holds
//! the cell's row: such changes are rare, and one after the other. A signing key that was revoked never comes back,
//! in no workspace: its thumbprint outlives the one it was of.
//! Not here: what is due, and how keys are made.

use opalid_core::ids::WorkspaceId;
use opalid_core::time::UnixTime;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::{Change, Touched};
use crate::keys::{KeyPurpose, MadeKeys, NewKey, WorkspaceKey};
use crate::steps::Stamp;

/// As what a new key enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddedAs {
    /// Published, not used yet.
    Next,
    /// In use at once.
    Current,
}

/// One thing that happens to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// The new key of that number enters.
    Add(u8, AddedAs),
    /// The next one is used from now on.
    Use(u8),
    /// The current one makes nothing any more.
    Stop(u8),
    /// It goes: what it made opens and verifies no more.
    Remove(u8),
}

/// What happened, for the feed and the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEvent {
    /// One was made that was missing.
    Made,
    /// One took the place of another.
    Rotated,
    /// One was brought in from outside.
    Imported,
    /// One that was not to be trusted any more was taken away.
    Revoked,
    /// One that nobody needs any more was taken away.
    Removed,
}

impl KeyEvent {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Made => "key.made",
            Self::Rotated => "key.rotated",
            Self::Imported => "key.imported",
            Self::Revoked => "key.revoked",
            Self::Removed => "key.removed",
        }
    }
}

/// What a decision about keys was made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenKeys(Vec<(u8, &'static str)>);

impl SeenKeys {
    /// The keys of one purpose among all of a workspace.
    pub fn of(keys: &[WorkspaceKey], purpose: KeyPurpose) -> Self {
        let seen = keys.iter().filter(|key| key.purpose == purpose).map(|key| (key.number, key.state.name()));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        Self(seen)
    }

    fn are(&self, rows: &[Row]) -> Result<bool, StoreError> {
        let mut rows = rows.iter().map(|row| Ok::<_, StoreError>((row.int(0)?, row.text(1)?)));
        let same = self.0.iter().try_fold(true, |same, (number, state)| {
            let row = rows.next().transpose()?;
            Ok::<_, StoreError>(same && row == Some((i64::from(*number), *state)))
        })?;
        Ok(same && rows.next().is_none())
    }
}

/// The thumbprints of signing keys that a change is about (RFC 7638).
#[derive(Debug, Clone, Default)]
pub struct Thumbprints {
    /// Those that are revoked: known from then on in the whole cell, so that none of these keys comes back, not even where its
    /// workspace was deleted and made anew.
    pub revoked: Vec<String>,
    /// That of the one that is brought in.
    pub imported: Option<String>,
}

/// Changes the keys of one purpose, in the order given.
pub struct ChangeKeys {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Of what purpose.
    pub purpose: KeyPurpose,
    /// How they stood when this was decided.
    pub seen: SeenKeys,
    /// The keys that enter.
    pub made: MadeKeys,
    /// What happens.
    pub changes: Vec<KeyChange>,
    /// Of which signing keys to remember that they were revoked, and which must not have been.
    pub thumbprints: Thumbprints,
    /// What that is called, and to which key it happens, in words.
    pub event: (KeyEvent, String),
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangedKeys {
    /// It is made.
    Done,
    /// The keys, or the master key, are not as they were seen: nothing was done.
    Moved,
    /// The key that is brought in was revoked here, then: nothing was done.
    Revoked(UnixTime),
}

impl Step for ChangeKeys {
    type Out = ChangedKeys;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<ChangedKeys, StoreError> {
        Ok(match self.hindrance(tx).await? {
            Some(hindered) => hindered,
            None => self.make_all(tx).await?,
        })
    }
}

impl ChangeKeys {
    /// Why it cannot be made, if it cannot; from here on nobody else changes keys.
    pub(crate) async fn hindrance<T: Tx>(&self, tx: &mut T) -> Result<Option<ChangedKeys>, StoreError> {
        if !lock_master(tx, &self.made.key_check).await? {
            return Ok(Some(ChangedKeys::Moved));
        }
        let sql = "SELECT number, state FROM workspace_key WHERE workspace = $1 AND purpose = $2 ORDER BY number";
        let of: [Value; 2] = [self.stamp.workspace.as_bytes().into(), self.purpose.name().into()];
        if !self.seen.are(&tx.run(sql, &of).await?)? {
            return Ok(Some(ChangedKeys::Moved));
        }
        // Else keys could be left behind by a workspace that is being deleted.
        let there = "SELECT id FROM workspace WHERE id = $1";
        if tx.run_locking(there, &[self.stamp.workspace.as_bytes().into()]).await?.is_empty() {
            return Ok(Some(ChangedKeys::Moved));
        }
        Ok(self.revoked_at(tx).await?.map(ChangedKeys::Revoked))
    }

    /// Makes it, once nothing hinders.
    pub(crate) async fn make_all<T: Tx>(&self, tx: &mut T) -> Result<ChangedKeys, StoreError> {
        for change in &self.changes {
            self.make(tx, *change).await?;
        }
        for kid in &self.thumbprints.revoked {
            let sql = "INSERT INTO revoked_thumbprint (kid, revoked_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            tx.send(sql, &[kid.as_str().into(), self.stamp.now.into()]).await?;
        }
        let (event, target) = &self.event;
        self.stamp.change(tx, Touched::Workspace(self.stamp.workspace), event.name());
        self.stamp.audit(tx, event.name(), target.as_str(), "");
        Ok(ChangedKeys::Done)
    }

    /// When the key that is brought in was revoked.
    async fn revoked_at<T: Tx>(&self, tx: &mut T) -> Result<Option<UnixTime>, StoreError> {
        let Some(kid) = &self.thumbprints.imported else { return Ok(None) };
        let sql = "SELECT revoked_at FROM revoked_thumbprint WHERE kid = $1";
        let found = tx.find(sql, &[kid.as_str().into()]).await?;
        found.map(|row| row.time(0)).transpose()
    }

    async fn make<T: Tx>(&self, tx: &mut T, change: KeyChange) -> Result<(), StoreError> {
        let (sql, number) = match change {
            KeyChange::Add(number, added) => {
                let key = self.made.keys.iter().find(|key| key.number == number);
                let key = key.ok_or_else(|| StoreError::Statement("a key that was not made".into()))?;
                return insert_key(tx, &self.stamp, (key, added)).await;
            }
            KeyChange::Remove(number) => {
                let sql = "DELETE FROM workspace_key WHERE workspace = $1 AND purpose = $2 AND number = $3";
                let [workspace, purpose, number] = self.key(number);
                return tx.send(sql, &[workspace, purpose, number]).await;
            }
            KeyChange::Use(number) => (
                "UPDATE workspace_key SET state = 'current', current_at = $1
                 WHERE workspace = $2 AND purpose = $3 AND number = $4",
                number,
            ),
            KeyChange::Stop(number) => (
                "UPDATE workspace_key SET state = 'previous', stopped_at = $1
                 WHERE workspace = $2 AND purpose = $3 AND number = $4",
                number,
            ),
        };
        let [workspace, purpose, number] = self.key(number);
        tx.send(sql, &[self.stamp.now.into(), workspace, purpose, number]).await
    }

    fn key(&self, number: u8) -> [Value; 3] {
        [self.stamp.workspace.as_bytes().into(), self.purpose.name().into(), u32::from(number).into()]
    }
}

/// Holds the cell's row; whether the store is under the master key of which it says this. A store that is just being
/// made says nothing yet.
pub(crate) async fn lock_master<T: Tx>(tx: &mut T, key_check: &[u8]) -> Result<bool, StoreError> {
    let rows = tx.run_locking("SELECT key_check FROM cell WHERE one = 1", &[]).await?;
    rows.first().map_or(Ok(true), |row| Ok(row.blob(0)? == key_check))
}

pub(crate) async fn insert_key<T: Tx>(
    tx: &mut T,
    stamp: &Stamp,
    (key, added): (&NewKey, AddedAs),
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO workspace_key (workspace, purpose, number, state, algorithm, wrapped, created_at, current_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (state, current_at) = match added {
        AddedAs::Next => ("next", None),
        AddedAs::Current => ("current", Some(stamp.now)),
    };
    let values = [
        stamp.workspace.as_bytes().into(),
        key.purpose.name().into(),
        u32::from(key.number).into(),
        state.into(),
        key.algorithm.as_str().into(),
        key.wrapped.clone().into(),
        stamp.now.into(),
        current_at.into(),
    ];
    tx.send(sql, &values).await
}

/// Of the rows of a workspace that hold the digest of a sealed secret (refresh chains, sessions, codes, links), when the
/// oldest was made; `None` if there are none. Ids are time-ordered, and each table lies in their order.
pub struct FindOldestSealed(pub WorkspaceId);

impl Step for FindOldestSealed {
    type Out = Option<UnixTime>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let mut oldest = None;
        for sql in [
            "SELECT id FROM chain WHERE workspace = $1 ORDER BY id LIMIT 1",
            "SELECT id FROM session WHERE workspace = $1 ORDER BY id LIMIT 1",
            "SELECT id FROM code WHERE workspace = $1 ORDER BY id LIMIT 1",
            "SELECT id FROM password_link WHERE workspace = $1 ORDER BY id LIMIT 1",
        ] {
            if let Some(row) = tx.find(sql, &[self.0.as_bytes().into()]).await? {
                let made = made_at(row.bytes(0)?);
                oldest = Some(oldest.map_or(made, |oldest: UnixTime| oldest.min(made)));
            }
        }
        Ok(oldest)
    }
}

/// When an id was made (RFC 9562 §5.7).
fn made_at(id: [u8; 16]) -> UnixTime {
    let millis = id.iter().take(6).fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
    UnixTime(millis / 1000)
}

/// How many refresh chains and sessions a workspace has, each counted up to [`COUNTED`].
pub struct CountSealed(pub WorkspaceId);

/// So far is counted.
pub const COUNTED: u32 = 100_000;

impl Step for CountSealed {
    type Out = (u32, u32);

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let chains = "SELECT count(*) FROM (SELECT 1 FROM chain WHERE workspace = $1 LIMIT $2) AS counted";
        let sessions = "SELECT count(*) FROM (SELECT 1 FROM session WHERE workspace = $1 LIMIT $2) AS counted";
        let values: [Value; 2] = [self.0.as_bytes().into(), COUNTED.into()];
        let count = |row: Option<Row>| row.map_or(Ok(0), |row| row.u32(0));
        Ok((count(tx.find(chains, &values).await?)?, count(tx.find(sessions, &values).await?)?))
    }
}

/// One key of all workspaces, as it is wrapped.
#[derive(Clone)]
pub struct WrappedKey {
    /// Whose.
    pub workspace: WorkspaceId,
    /// What for.
    pub purpose: KeyPurpose,
    /// Its number.
    pub number: u8,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}

const WRAPPED: &str =
    "SELECT workspace, purpose, number, wrapped FROM workspace_key ORDER BY workspace, purpose, number";

/// Reads the keys of all workspaces.
pub struct ListWrapped;

impl Step for ListWrapped {
    type Out = Vec<WrappedKey>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        tx.run(WRAPPED, &[]).await?.iter().map(read_wrapped).collect()
    }
}

fn read_wrapped(row: &Row) -> Result<WrappedKey, StoreError> {
    let corrupt = || StoreError::Corrupt("a key of unknown purpose or number".into());
    Ok(WrappedKey {
        workspace: row.id(0)?,
        purpose: KeyPurpose::from_name(row.text(1)?).ok_or_else(corrupt)?,
        number: u8::try_from(row.int(2)?).map_err(|_| corrupt())?,
        wrapped: row.blob(3)?.to_vec(),
    })
}

/// Puts every key under another master key, and the cell's check with them.
pub struct RewrapKeys {
    /// When, by whom; its `workspace` is the one whose audit log says so.
    pub stamp: Stamp,
    /// What the cell says of the master key now, and what it is to say.
    pub key_check: (Vec<u8>, Vec<u8>),
    /// All keys as [`ListWrapped`] gave them, each with how it is wrapped anew.
    pub keys: Vec<(WrappedKey, Vec<u8>)>,
}

impl Step for RewrapKeys {
    type Out = ChangedKeys;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<ChangedKeys, StoreError> {
        let (from, to) = &self.key_check;
        if !lock_master(tx, from).await? {
            return Ok(ChangedKeys::Moved);
        }
        let rows = tx.run(WRAPPED, &[]).await?;
        let same = |(row, (key, _)): (&Row, &(WrappedKey, Vec<u8>))| {
            let found = read_wrapped(row)?;
            let place = |key: &WrappedKey| (key.workspace, key.purpose, key.number);
            Ok::<_, StoreError>(place(&found) == place(key) && found.wrapped == key.wrapped)
        };
        let same = rows.iter().zip(&self.keys).map(same).collect::<Result<Vec<_>, _>>()?;
        if rows.len() != self.keys.len() || same.contains(&false) {
            return Ok(ChangedKeys::Moved);
        }
        let sql = "UPDATE workspace_key SET wrapped = $1 WHERE workspace = $2 AND purpose = $3 AND number = $4";
        for (key, wrapped) in &self.keys {
            let (purpose, number) = (key.purpose.name().into(), u32::from(key.number).into());
            tx.send(sql, &[wrapped.clone().into(), key.workspace.as_bytes().into(), purpose, number]).await?;
        }
        tx.send("UPDATE cell SET key_check = $1 WHERE one = 1", &[to.clone().into()]).await?;
        let mut workspaces: Vec<WorkspaceId> = self.keys.iter().map(|(key, _)| key.workspace).collect();
        workspaces.dedup();
        for workspace in workspaces {
            let touched = Touched::Workspace(workspace);
            tx.change(Change { workspace, touched, reason: "master_key.rotated", at: self.stamp.now });
        }
        self.stamp.audit(tx, "master_key.rotated", "the master key", "");
        Ok(ChangedKeys::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_made() {
        let at = UnixTime(2_000_000_000);
        assert_eq!(made_at(opalid_core::ids::uuid_v7(at, 999, [0xff; 10])), at);
    }
}
