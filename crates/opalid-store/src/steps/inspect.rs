//! The row behind a code, as an inspector sees it: never a digest.

use opalid_core::code::CodeBinding;
use opalid_core::grant::{EntitlementNo, Epoch};
use opalid_core::ids::{CodeId, GrantId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Row, Step, Tx};
use crate::error::StoreError;

/// An authorization code.
#[derive(Debug, Clone)]
pub struct CodeFacts {
    /// The grant it was issued with.
    pub grant: GrantId,
    /// The grant's epoch then.
    pub grant_epoch: Epoch,
    /// What it gives.
    pub entitlement: EntitlementNo,
    /// Whether the secret presented is its.
    pub secret_matches: bool,
    /// When it was redeemed.
    pub redeemed_at: Option<UnixTime>,
    /// Until when it can be.
    pub expires_at: UnixTime,
}

/// Reads a code.
pub struct InspectCode {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: CodeId,
    /// The digest of the secret presented.
    pub digest: SecretDigest,
}

impl Step for InspectCode {
    type Out = Option<CodeFacts>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql = "SELECT grant_id, grant_epoch, digest, binding, redeemed_at, expires_at FROM code
                   WHERE workspace = $1 AND id = $2";
        let Some(row) = tx.find(sql, &[self.workspace.as_bytes().into(), self.id.as_bytes().into()]).await? else {
            return Ok(None);
        };
        let binding: CodeBinding = row.json(3)?;
        Ok(Some(CodeFacts {
            grant: row.id(0)?,
            grant_epoch: row.epoch(1)?,
            entitlement: binding.entitlement,
            secret_matches: SecretDigest(row.bytes(2)?).matches(&self.digest),
            redeemed_at: row.opt(4, Row::time)?,
            expires_at: row.time(5)?,
        }))
    }
}
