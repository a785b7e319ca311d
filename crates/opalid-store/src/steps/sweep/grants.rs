//! Sweeping of grants: what they hang from stands in their lineage, so that each row is looked at.
//!
//! Holds: a grant goes when the session or grant that it hangs from is gone, or its user or client (ids are never used
//! again); or, of a person, when no chain is left and the last token that can have come of it has expired. Codes need
//! no look: one lives a minute and is made with its grant. A standing grant lives as long as what it hangs from.

use opalid_core::grant::{Ancestor, Lineage};
use opalid_core::ids::WorkspaceId;

use super::{KEPT, Sweep, SweepPosition, Swept, TOKENS_KEPT};
use crate::engine::tx::{Row, Tx, Value};
use crate::error::StoreError;
use crate::steps::evidence::find_standing;

/// The next grants: whether each has stood for a while, and whether it is over by what SQL can see.
const LOOK: &str = "SELECT workspace, id, lineage,
        CASE WHEN created_at < $1 THEN 1 ELSE 0 END,
        CASE WHEN NOT EXISTS (
                SELECT 1 FROM client WHERE client.workspace = grants.workspace AND client.id = grants.client)
            OR user_id IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM users WHERE users.workspace = grants.workspace AND users.id = grants.user_id)
            OR user_id IS NOT NULL AND standing IS NULL AND created_at < $2 AND NOT EXISTS (
                SELECT 1 FROM chain WHERE chain.workspace = grants.workspace AND chain.grant_id = grants.id)
            THEN 1 ELSE 0 END
    FROM grants WHERE (workspace, id) > ($3, $4) ORDER BY workspace, id LIMIT $5";

/// Looks at the next grants and removes those that are over, with their chains and killed tokens.
pub(super) async fn sweep<T: Tx>(tx: &mut T, batch: &Sweep) -> Result<Swept, StoreError> {
    let after = batch.after.unwrap_or_default();
    let values: [Value; 5] = [
        batch.now.minus(KEPT).into(),
        batch.now.minus(TOKENS_KEPT).into(),
        (&after.workspace).into(),
        (&after.id).into(),
        batch.limit.into(),
    ];
    let rows = tx.run(LOOK, &values).await?;
    let mut swept = Swept { removed: 0, next: None };
    for row in &rows {
        let position = SweepPosition { workspace: row.bytes(0)?, id: row.bytes(1)?, ..SweepPosition::default() };
        swept.next = batch.next(rows.len(), position);
        if row.bool(3)? && (row.bool(4)? || hangs_from_nothing(tx, row).await?) {
            remove(tx, position).await?;
            swept.removed += 1;
        }
    }
    Ok(swept)
}

/// Whether the session that a grant is bound to, or the grant that it is a child of, is gone.
async fn hangs_from_nothing<T: Tx>(tx: &mut T, row: &Row) -> Result<bool, StoreError> {
    let workspace: WorkspaceId = row.id(0)?;
    let lineage = Lineage::from_bytes(row.blob(2)?).ok_or_else(|| StoreError::Corrupt("a lineage".into()))?;
    for birth in lineage.births() {
        let comes_and_goes = matches!(birth.ancestor, Ancestor::Session(_) | Ancestor::Grant(_));
        if comes_and_goes && find_standing(tx, workspace, birth.ancestor).await?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn remove<T: Tx>(tx: &mut T, SweepPosition { workspace, id, .. }: SweepPosition) -> Result<(), StoreError> {
    let key: [Value; 2] = [(&workspace).into(), (&id).into()];
    tx.send("DELETE FROM grants WHERE workspace = $1 AND id = $2", &key).await?;
    tx.send("DELETE FROM chain WHERE workspace = $1 AND grant_id = $2", &key).await?;
    tx.send("DELETE FROM killed WHERE workspace = $1 AND grant_id = $2", &key).await
}
