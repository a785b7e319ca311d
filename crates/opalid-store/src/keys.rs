//! The keys of a workspace as they are stored: wrapped by the master key, opened by nobody here.

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
    Current,
    /// Opens and verifies what it once made.
    Previous,
}

impl KeyState {
    /// Its name in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// One key, wrapped.
#[derive(Clone)]
pub struct WorkspaceKey {
    /// What for.
    pub purpose: KeyPurpose,
    /// Its number within workspace and purpose; not reused while anything it made can live.
    pub number: u8,
    /// Where it stands.
    pub state: KeyState,
    /// The signing algorithm's wire name; empty for symmetric keys.
    pub algorithm: String,
    /// The key, wrapped by the master key under a label of workspace, purpose and number.
    pub wrapped: Vec<u8>,
}

/// A workspace and its keys, as one read gives them.
pub struct WorkspaceRecord {
    /// The workspace.
    pub workspace: Workspace,
    /// All its keys.
    pub keys: Vec<WorkspaceKey>,
}

/// The columns [`read_key`] wants.
pub(crate) const READ_KEYS: &str = "SELECT purpose, number, state, algorithm, wrapped FROM workspace_key WHERE workspace = $1 ORDER BY purpose, number";

/// Reads a row of [`READ_KEYS`].
pub(crate) fn read_key(row: &Row) -> Result<WorkspaceKey, StoreError> {
    let unknown = |what: &str| StoreError::Corrupt(format!("a key of unknown {what}"));
    let purpose = row.text(0)?;
    let state = row.text(2)?;
    Ok(WorkspaceKey {
        purpose: KeyPurpose::ALL.iter().find(|p| p.name() == purpose).copied().ok_or_else(|| unknown("purpose"))?,
        number: u8::try_from(row.int(1)?).map_err(|_| unknown("number"))?,
        state: [KeyState::Next, KeyState::Current, KeyState::Previous]
            .into_iter()
            .find(|s| s.name() == state)
            .ok_or_else(|| unknown("state"))?,
        algorithm: row.text(3)?.to_owned(),
        wrapped: row.blob(4)?.to_vec(),
    })
}
