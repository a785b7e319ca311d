//! The steps of the protocol: one transaction each, written once over `Tx`.

pub mod cell;
pub mod client;
pub mod client_secret;
pub mod code;
pub mod consent;
pub mod delete;
pub mod events;
pub mod evidence;
pub mod first_keys;
pub mod holder;
pub mod inspect;
pub mod keys;
pub mod list;
pub mod password;
pub mod refresh;
pub mod request;
pub mod resource;
pub mod restore;
pub mod revoke;
pub mod role;
pub mod session;
pub mod settings;
pub mod settle_rewrap;
pub mod shared_key;
pub mod standing;
pub mod sweep;
pub mod user;
pub mod workspace;

use opalid_core::ids::{EventId, WorkspaceId};
use opalid_core::time::UnixTime;

use crate::engine::tx::Tx;
use crate::feed::{AuditRow, Change, Touched};

/// When a step happens, where, and on whose behalf: what its change and audit row say.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Where.
    pub workspace: WorkspaceId,
    /// When.
    pub now: UnixTime,
    /// The id of its audit row.
    pub event: EventId,
    /// Who made it happen, such as `client app`, `user 0197…` or `operator`.
    pub initiator: String,
}

impl Stamp {
    /// Enters the feed.
    pub(crate) fn change<T: Tx>(&self, tx: &mut T, touched: Touched, reason: &'static str) {
        tx.change(Change { workspace: self.workspace, touched, reason, at: self.now });
    }

    /// Writes the audit row.
    pub(crate) fn audit<T: Tx>(
        &self,
        tx: &mut T,
        action: &'static str,
        target: impl Into<String>,
        detail: impl Into<String>,
    ) {
        tx.audit(AuditRow {
            id: self.event,
            workspace: self.workspace,
            action,
            target: target.into(),
            initiator: self.initiator.clone(),
            detail: detail.into(),
            at: self.now,
        });
    }
}

/// A document that is stored as JSON text.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, crate::error::StoreError> {
    serde_json::to_string(value).map_err(|error| crate::error::StoreError::Statement(error.to_string()))
}
