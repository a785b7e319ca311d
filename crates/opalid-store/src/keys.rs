//! The keys of a workspace as they are stored: wrapped by the master key, opened by nobody here.

use opalid_core::time::UnixTime;
use opalid_core::workspace::Workspace;

use crate::engine::tx::Row;
use crate::error::StoreError;

/// What a key is for. No key serves two purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// Seals references: access tokens.
    Sealing,
    /// Seals the secrets of rows: refresh tokens, codes, session cookies, links.
    Row,
    /// Derives the successor of a refresh token.
    Refresh,
    /// Signs ID tokens.
    Signing,
    /// Binds the forms of pages to their browser.
    Page,
}

impl KeyPurpose {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Sealing, Self::Row, Self::Refresh, Self::Signing, Self::Page];

    /// The purpose of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|purpose| purpose.name() == name).copied()
    }

    /// Its name in the store and in wrapping labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sealing => "sealing",
            Self::Row => "row",
            Self::Refresh => "refresh",
            Self::Signing => "signing",
            Self::Page => "page",
        }
    }
}

/// Where a key stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, not used yet.
    Next,
    /// Seals and signs now.
    Current {
        /// Since when.
        since: UnixTime,
    },
    /// Opens and verifies what it once made.
    Previous {
        /// From when on it made nothing any more.
        until: UnixTime,
    },
}

impl KeyState {
    /// Its name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current { .. } => "current",
            Self::Previous { .. } => "previous",
        }
    }

    /// Whether it seals and signs now.
    pub const fn is_current(self) -> bool {
        matches!(self, Self::Current { .. })
    }
}

/// One key, wrapped.
#[derive(Clone)]
pub struct WorkspaceKey {
    /// What for.
    pub purpose: KeyPurpose,
    /// Its number within workspace and purpose; not reused while the key is kept.
    pub number: u8,
    /// Where it stands.
    pub state: KeyState,
    /// The signing algorithm's wire name; empty for symmetric keys.
    pub algorithm: String,
    /// The key, wrapped by the master key under a label of workspace, purpose and number.
    pub wrapped: Vec<u8>,
    /// When it was made, or brought in: a signing key is published since.
    pub created_at: UnixTime,
}

/// A key that no workspace has yet, wrapped.
#[derive(Clone)]
pub struct NewKey {
    /// What for.
    pub purpose: KeyPurpose,
    /// Its number within workspace and purpose.
    pub number: u8,
    /// The signing algorithm's wire name; empty for symmetric keys.
    pub algorithm: String,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}

/// New keys with what says which master key wrapped them: they are taken only while the store is under that one.
#[derive(Clone, Default)]
pub struct MadeKeys {
    /// What the cell says of that master key.
    pub key_check: Vec<u8>,
    /// The keys.
    pub keys: Vec<NewKey>,
}

/// A workspace and its keys, as one read gives them.
pub struct WorkspaceRecord {
    /// The workspace.
    pub workspace: Workspace,
    /// All its keys.
    pub keys: Vec<WorkspaceKey>,
}

/// The columns [`read_key`] wants.
pub(crate) const READ_KEYS: &str =
    "SELECT purpose, number, state, algorithm, wrapped, created_at, current_at, stopped_at
    FROM workspace_key WHERE workspace = $1 ORDER BY purpose, number";

/// Reads a row of [`READ_KEYS`].
pub(crate) fn read_key(row: &Row) -> Result<WorkspaceKey, StoreError> {
    let unknown = |what: &str| StoreError::Corrupt(format!("a key of unknown {what}"));
    let created_at = row.time(5)?;
    let since = |column| Ok::<_, StoreError>(row.opt(column, Row::time)?.unwrap_or(created_at));
    let state = match row.text(2)? {
        "next" => KeyState::Next,
        "current" => KeyState::Current { since: since(6)? },
        "previous" => KeyState::Previous { until: since(7)? },
        _ => return Err(unknown("state")),
    };
    Ok(WorkspaceKey {
        purpose: KeyPurpose::from_name(row.text(0)?).ok_or_else(|| unknown("purpose"))?,
        number: u8::try_from(row.int(1)?).map_err(|_| unknown("number"))?,
        state,
        algorithm: row.text(3)?.to_owned(),
        wrapped: row.blob(4)?.to_vec(),
        created_at,
    })
}
