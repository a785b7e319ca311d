//! What a read puts into memory.

use std::sync::Arc;

use opalid_core::alive::Standing;
use opalid_core::client::Client;
use opalid_core::grant::{Ancestor, EntitlementNo};
use opalid_core::ids::GrantId;
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::user::User;

use super::{Entries, Named, RememberedGrant, StandingKey};
use crate::keys::WorkspaceRecord;

/// Where a fill puts what it read.
pub(crate) struct Filling<'m>(pub(super) &'m Entries);

impl Filling<'_> {
    pub fn standing(&self, ancestor: Ancestor, standing: Standing) {
        self.0.standings.insert(ancestor, standing.into());
    }

    pub fn grant(&self, grant: &Arc<RememberedGrant>) {
        self.0.grants.insert(grant.grant.id, Arc::clone(grant));
    }

    pub fn standing_grant(&self, key: StandingKey, grant: GrantId, number: EntitlementNo) {
        self.0.standing_grants.insert(key, (grant, number));
    }

    pub fn client(&self, client: &Arc<Client>) {
        let named = Named { workspace: client.workspace, name: client.client_id.as_str().into() };
        self.0.client_ids.insert(named, client.id);
        self.0.clients.insert(client.id, Arc::clone(client));
    }

    pub fn user(&self, user: &Arc<User>) {
        self.0.users.insert(user.id, Arc::clone(user));
    }

    pub fn resource(&self, resource: &Arc<Resource>) {
        let named = Named { workspace: resource.workspace, name: resource.uri.as_str().into() };
        self.0.resource_uris.insert(named, resource.id);
        self.0.resources.insert(resource.id, Arc::clone(resource));
    }

    pub fn role(&self, role: &Arc<Role>) {
        self.0.roles.insert(role.id, Arc::clone(role));
    }

    pub fn workspace(&self, record: &Arc<WorkspaceRecord>) {
        self.0.workspace_names.insert(record.workspace.name.as_str().into(), record.workspace.id);
        self.0.workspaces.insert(record.workspace.id, Arc::clone(record));
    }
}
