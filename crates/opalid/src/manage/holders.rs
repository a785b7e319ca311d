//! Holders: who remembers answers of this server, and may believe them.

use std::net::IpAddr;

use opalid_core::time::UnixTime;
use serde::{Deserialize, Serialize};

use super::{ManageError, Operation, Page, Paging, Reply};

/// A holder in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HolderEntry {
    /// The name that this server has for it.
    pub id: String,
    /// The workspace of its client.
    pub workspace: String,
    /// The client that it is authenticated as.
    pub client_id: String,
    /// Where it came from.
    pub address: IpAddr,
    /// Since when it is known.
    pub since: UnixTime,
    /// Whether it is connected.
    pub connected: bool,
    /// How many changes it has not acknowledged; None: it has acknowledged nothing that counts.
    pub behind: Option<u64>,
    /// For how long it may believe its lease yet, in milliseconds.
    pub lease_left_ms: u64,
}

/// Everybody who holds a lease of this server or is connected to it, of every workspace: a revocation waits for them all.
pub(super) async fn list(operation: &Operation<'_>) -> Result<Reply, ManageError> {
    let app = operation.app;
    let (now, holding) = (app.store.memory().at(), app.store.holding());
    let mut rows = Vec::new();
    for (id, follower) in app.followers.all() {
        let workspace = app.store.find_workspace_by_id(follower.workspace).await?;
        let held = holding.iter().find(|held| held.holder == id);
        let acked = held.and_then(|held| held.acked);
        let same_life = acked.zip(now).filter(|(acked, now)| acked.incarnation == now.incarnation);
        rows.push(HolderEntry {
            id: format!("{:032x}", id.0),
            workspace: workspace.map_or_else(|| "(deleted)".into(), |record| record.workspace.name.clone()),
            client_id: follower.client_id,
            address: follower.address,
            since: follower.since,
            connected: follower.connections > 0,
            behind: same_life.map(|(acked, now)| now.n.saturating_sub(acked.n)),
            lease_left_ms: held.map_or(0, |held| u64::try_from(held.left.as_millis()).unwrap_or(u64::MAX)),
        });
    }
    rows.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
    let whole = Paging { after: None, limit: None };
    Ok(Reply::Holders(Page::new(rows, &whole, |row: &HolderEntry| row.id.clone())))
}
