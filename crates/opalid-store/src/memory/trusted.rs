//! What memory answers while it may: entities by id, and whether a grant stands.

use std::sync::Arc;

use opalid_core::alive::{self, Reason, Standing, Stands};
use opalid_core::client::Client;
use opalid_core::grant::{Ancestor, Birth, EntitlementNo};
use opalid_core::ids::{ClientId, GrantId, ResourceId, RoleId, UserId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::time::UnixTime;
use opalid_core::user::User;

use super::{Asked, Entries, Memory, Miss, RememberedGrant, StandingKey};
use crate::keys::WorkspaceRecord;

/// Proof that memory was asked whether it may answer. Kept no longer than one check.
pub struct Trusted<'m> {
    pub(super) memory: &'m Memory,
    pub(super) entries: &'m Entries,
}

impl Trusted<'_> {
    /// How an ancestor stands.
    pub fn standing(&self, ancestor: Ancestor) -> Option<Standing> {
        self.entries.standings.get(&ancestor).map(Standing::from)
    }

    /// Whether everything a grant hangs from stands: judged once, and again when some of it may have changed since.
    pub(crate) fn stands(&self, grant: &RememberedGrant, now: UnixTime) -> Result<Result<Stands, Reason>, Miss> {
        let births = grant.grant.descent.births();
        let (since, stands) = grant.stood();
        let unchanged = |birth: Birth| self.memory.changes.none_since(birth.ancestor.into(), since);
        if stands.holds(now) && births.clone().all(unchanged) {
            return Ok(Ok(stands));
        }
        // Taken before the entries are looked at: what changes meanwhile has a later one.
        let at = self.memory.position();
        let judged = alive::lineage(births, now, |ancestor| self.standing(ancestor).map(Some).ok_or(Miss))?;
        Ok(judged.inspect(|stands| grant.found_standing(at, *stands)))
    }

    /// A grant.
    pub fn grant(&self, id: GrantId) -> Option<Arc<RememberedGrant>> {
        self.entries.grants.get(&id)
    }

    /// Where a client's standing grant holds an entitlement.
    pub fn standing_grant(&self, key: &StandingKey) -> Option<(GrantId, EntitlementNo)> {
        self.entries.standing_grants.get(key)
    }

    /// A client by its row.
    pub fn client(&self, id: ClientId) -> Option<Arc<Client>> {
        self.entries.clients.get(&id)
    }

    /// A client by its name on the wire.
    pub fn client_called(&self, workspace: WorkspaceId, name: &str) -> Option<Arc<Client>> {
        let id = self.entries.client_ids.get(&Asked { workspace, name })?;
        self.entries.clients.get(&id)
    }

    /// A user.
    pub fn user(&self, id: UserId) -> Option<Arc<User>> {
        self.entries.users.get(&id)
    }

    /// A resource by its row.
    pub fn resource(&self, id: ResourceId) -> Option<Arc<Resource>> {
        self.entries.resources.get(&id)
    }

    /// A resource by its URI.
    pub fn resource_at(&self, workspace: WorkspaceId, uri: &str) -> Option<Arc<Resource>> {
        let id = self.entries.resource_uris.get(&Asked { workspace, name: uri })?;
        self.entries.resources.get(&id)
    }

    /// A role.
    pub fn role(&self, id: RoleId) -> Option<Arc<Role>> {
        self.entries.roles.get(&id)
    }

    /// A workspace by its name.
    pub fn workspace_called(&self, name: &str) -> Option<Arc<WorkspaceRecord>> {
        let id = self.entries.workspace_names.get(name)?;
        self.entries.workspaces.get(&id)
    }

    /// A workspace by its row.
    pub fn workspace(&self, id: WorkspaceId) -> Option<Arc<WorkspaceRecord>> {
        self.entries.workspaces.get(&id)
    }
}
