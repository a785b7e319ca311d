//! The rows behind refresh tokens and codes, as an inspector sees them: never a digest.

use opalid_core::code::CodeBinding;
use opalid_core::grant::{EntitlementNo, Epoch};
use opalid_core::ids::{ChainId, CodeId, GrantId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Row, Step, Tx};
use crate::error::StoreError;

/// A refresh chain.
#[derive(Debug, Clone)]
pub struct ChainFacts {
    /// The grant it belongs to.
    pub grant: GrantId,
    /// The grant's epoch when the chain began.
    pub grant_epoch: Epoch,
    /// What its access tokens may do.
    pub entitlement: EntitlementNo,
    /// The generation that is good now.
    pub generation: u32,
    /// Whether the secret presented is that generation's.
    pub is_current: bool,
    /// Whether it is the one's before.
    pub is_previous: bool,
    /// When it was last used.
    pub used_at: UnixTime,
    /// When it began.
    pub created_at: UnixTime,
    /// When it ends at the latest.
    pub expires_at: UnixTime,
}

/// Reads a refresh chain.
pub struct InspectChain {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub id: ChainId,
    /// The digest of the secret presented.
    pub digest: SecretDigest,
}

impl Step for InspectChain {
    type Out = Option<ChainFacts>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let sql =
            "SELECT grant_id, grant_epoch, entitlement, generation, current, previous, used_at, created_at, expires_at
                   FROM chain WHERE workspace = $1 AND id = $2";
        let Some(row) = tx.find(sql, &[self.workspace.as_bytes().into(), self.id.as_bytes().into()]).await? else {
            return Ok(None);
        };
        let previous = row.opt(5, |row, at| row.bytes(at).map(SecretDigest))?;
        Ok(Some(ChainFacts {
            grant: row.id(0)?,
            grant_epoch: row.epoch(1)?,
            entitlement: EntitlementNo(row.u32(2)?),
            generation: row.u32(3)?,
            is_current: SecretDigest(row.bytes(4)?).matches(&self.digest),
            is_previous: previous.is_some_and(|previous| previous.matches(&self.digest)),
            used_at: row.time(6)?,
            created_at: row.time(7)?,
            expires_at: row.time(8)?,
        }))
    }
}

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
