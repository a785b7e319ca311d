//! Sweeping of killed tokens: their rows lie beside each other by grant, and carry the time they are kept beyond their end.
//!
//! Holds: no index leads to them by time, which would cost every revocation a page of its own; each row is looked at.

use std::collections::BTreeMap;

use super::{Sweep, SweepPosition, Swept};
use crate::engine::tx::{Tx, Value};
use crate::error::StoreError;

const KEYS: &str = "SELECT workspace, grant_id, jti FROM killed WHERE (workspace, grant_id, jti) > ($1, $2, $3)
    ORDER BY workspace, grant_id, jti LIMIT $4";

const REMOVE: &str = "DELETE FROM killed WHERE (workspace, grant_id, jti) > ($1, $2, $3)
    AND (workspace, grant_id, jti) <= ($4, $5, $6) AND expires_at < $7 RETURNING workspace, grant_id";

const COUNT_OFF: &str = "UPDATE grants SET kills = kills - $1 WHERE workspace = $2 AND id = $3 AND user_id IS NULL";

/// Looks at the next rows and removes those whose time is over, counted off their grants where those have a count.
pub(super) async fn sweep<T: Tx>(tx: &mut T, batch: &Sweep) -> Result<Swept, StoreError> {
    let from = key(&batch.after.unwrap_or_default());
    let rows = tx.run(KEYS, &[from.as_slice(), &[batch.limit.into()]].concat()).await?;
    let Some(last) = rows.last() else { return Ok(Swept { removed: 0, next: None }) };
    let last = SweepPosition { workspace: last.bytes(0)?, id: last.bytes(1)?, token: last.bytes(2)? };
    let removed = tx.run(REMOVE, &[from.as_slice(), &key(&last), &[batch.now.into()]].concat()).await?;
    let mut of_grants: BTreeMap<([u8; 16], [u8; 16]), i64> = BTreeMap::new();
    for row in &removed {
        *of_grants.entry((row.bytes(0)?, row.bytes(1)?)).or_default() += 1;
    }
    for ((workspace, grant), count) in of_grants {
        tx.send(COUNT_OFF, &[count.into(), (&workspace).into(), (&grant).into()]).await?;
    }
    Ok(Swept { removed: removed.len(), next: batch.next(rows.len(), last) })
}

fn key(at: &SweepPosition) -> [Value; 3] {
    [(&at.workspace).into(), (&at.id).into(), (&at.token).into()]
}
