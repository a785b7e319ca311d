//! Who follows the feed of this server: under which names, and what they call what changes.
//!
//! Takes: clients that were authenticated, and the names their processes drew. Gives: holders, tags, and who they are for people.
//! Holds: the same process of a client is the same holder at each connection of it, and nobody can be another client's.
//! Not here: leases (`opalid_store::leases`), the wire (`feed`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opalid_core::client::Client;
use opalid_core::ids::WorkspaceId;
use opalid_core::lease::HolderId;
use opalid_core::mirror::{DigestKey, TagKey};
use opalid_core::time::UnixTime;
use opalid_store::leases::Holding;

use crate::app::App;

/// All that are connected.
pub struct Followers {
    tag_key: [u8; 16],
    known: Mutex<HashMap<HolderId, Follower>>,
}

/// One of them, for people.
#[derive(Debug, Clone)]
pub struct Follower {
    /// How many connections it has now; who has none may believe its lease yet.
    pub connections: usize,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The client that it is authenticated as.
    pub client_id: String,
    /// Where it comes from.
    pub address: IpAddr,
    /// Since when this server knows it.
    pub since: UnixTime,
}

/// A connection's place among them, for as long as it is held.
pub struct Place {
    app: Arc<App>,
    holder: HolderId,
}

impl Followers {
    /// Nobody yet. `tag_key` is the store's.
    pub fn new(tag_key: [u8; 16]) -> Self {
        Self { tag_key, known: Mutex::default() }
    }

    /// The holder that a process of a client is: `drawn` is the name it drew for itself.
    pub fn holder(&self, client: &Client, drawn: u128) -> HolderId {
        HolderId(DigestKey::new(self.tag_key).of(&format!("{} {drawn:032x}", client.id)).0)
    }

    /// The key of the tags that a client's processes are told.
    pub fn tags_of(&self, client: &Client) -> TagKey {
        TagKey::new(&self.tag_key, client.id.as_bytes())
    }

    /// Everybody who is connected, or was and may believe its lease yet.
    pub fn all(&self) -> Vec<(HolderId, Follower)> {
        self.known().iter().map(|(holder, follower)| (*holder, follower.clone())).collect()
    }

    /// Forgets those who are not connected and hold nothing any more.
    pub fn tend(&self, holding: &[Holding]) {
        let holds = |holder: &HolderId| holding.iter().any(|one| one.holder == *holder);
        self.known().retain(|holder, follower| follower.connections > 0 || holds(holder));
    }

    fn known(&self) -> MutexGuard<'_, HashMap<HolderId, Follower>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Enters one more connection of a holder.
    pub fn of(app: &Arc<App>, holder: HolderId, follower: Follower) -> Self {
        let mut known = app.followers.known();
        known.entry(holder).or_insert(follower).connections += 1;
        drop(known);
        Self { app: Arc::clone(app), holder }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(follower) = self.app.followers.known().get_mut(&self.holder) {
            follower.connections = follower.connections.saturating_sub(1);
        }
    }
}
