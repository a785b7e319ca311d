//! Who follows the feed of this server: under which names, and what they call what changes.
//!
//! Takes: clients that were authenticated, and the names their processes drew. Gives: holders, tags, and who they are for people.
//! Holds: the same process of a client is the same holder at each connection of it, and nobody can be another client's.
//! Not here: leases (`opalid_store::leases`), the wire (`feed`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opalid_core::client::Client;
use opalid_core::ids::WorkspaceId;
use opalid_core::lease::HolderId;
use opalid_core::mirror::{DigestKey, TagKey};
use opalid_core::time::UnixTime;

use crate::app::App;

/// All that are connected.
pub struct Followers {
    tag_key: [u8; 16],
    known: Mutex<HashMap<u64, Follower>>,
}

/// One connection, for people.
#[derive(Debug, Clone)]
pub struct Follower {
    /// Which holder.
    pub holder: HolderId,
    /// Of which workspace.
    pub workspace: WorkspaceId,
    /// The client that it is authenticated as.
    pub client_id: String,
    /// Where it comes from.
    pub address: IpAddr,
    /// Since when.
    pub since: UnixTime,
}

/// A connection's place among them, for as long as it is held.
pub struct Place {
    app: Arc<App>,
    number: u64,
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

    /// Those that are connected now.
    pub fn all(&self) -> Vec<Follower> {
        self.known().values().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<u64, Follower>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Enters one.
    pub fn of(app: &Arc<App>, follower: Follower) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        app.followers.known().insert(number, follower);
        Self { app: Arc::clone(app), number }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.followers.known().remove(&self.number);
    }
}
