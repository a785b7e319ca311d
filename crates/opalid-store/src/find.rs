//! Entities, from memory or by one read.
//!
//! Reads are boxed: a request that memory answers carries no room for what it does not do.

use std::sync::Arc;
use std::time::Duration;

use opalid_core::client::Client;
use opalid_core::ids::{ClientId, ResourceId, UserId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::user::User;

use tokio::sync::OwnedSemaphorePermit;

use crate::engine::tx::{Step, Tx};
use crate::error::Outage;
use crate::feed::Touched;
use crate::keys::WorkspaceRecord;
use crate::steps::client::{ByClient, FindClient};
use crate::steps::resource::{ByResource, FindResource};
use crate::steps::user::FindUser;
use crate::steps::workspace::{ByWorkspace, FindWorkspace};
use crate::{Store, StoreError};

/// How many clients that memory does not know are looked up by name at once. Anybody can ask for names that nobody has;
/// this leaves readers to everybody else.
pub(crate) const STRANGERS: usize = 4;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_millis(900);

/// A read that keeps its turn until it has ended, whoever still waits for it.
struct InTurn<S>(S, #[expect(dead_code, reason = "it is given back by being dropped")] OwnedSemaphorePermit);

impl<S: Step> Step for InTurn<S> {
    type Out = S::Out;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<S::Out, StoreError> {
        self.0.run(tx).await
    }
}

type Found<T> = Result<Option<Arc<T>>, Outage>;

impl Store {
    /// A workspace by its name.
    pub async fn find_workspace(&self, name: &str) -> Found<WorkspaceRecord> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.workspace_called(name)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_workspace(ByWorkspace::Name(name.to_owned()))).await
    }

    /// A workspace by its row.
    pub async fn find_workspace_by_id(&self, id: WorkspaceId) -> Found<WorkspaceRecord> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.workspace(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_workspace(ByWorkspace::Id(id))).await
    }

    async fn read_workspace(&self, by: ByWorkspace) -> Found<WorkspaceRecord> {
        let at = self.memory.begin();
        let found = self.read(FindWorkspace(by)).await?.map(Arc::new);
        if let Some(record) = &found {
            self.memory.fill(at, Touched::Workspace(record.workspace.id), |filling| filling.workspace(record));
        }
        Ok(found)
    }

    /// A client by its name on the wire.
    pub async fn find_client(&self, workspace: WorkspaceId, name: &str) -> Found<Client> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.client_called(workspace, name)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_stranger(workspace, name)).await
    }

    async fn read_stranger(&self, workspace: WorkspaceId, name: &str) -> Found<Client> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.strangers).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Outage::Unavailable("too many clients are asked for that are not known here".into()));
        };
        self.read_client(InTurn(FindClient { workspace, by: ByClient::Name(name.to_owned()) }, turn)).await
    }

    /// A client by its row.
    pub async fn find_client_by_id(&self, workspace: WorkspaceId, id: ClientId) -> Found<Client> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.client(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_client(FindClient { workspace, by: ByClient::Id(id) })).await
    }

    async fn read_client(&self, step: impl Step<Out = Option<Client>>) -> Found<Client> {
        let at = self.memory.begin();
        let found = self.read(step).await?.map(Arc::new);
        if let Some(client) = &found {
            self.memory.fill(at, Touched::Client(client.id), |filling| filling.client(client));
        }
        Ok(found)
    }

    /// A resource by its URI.
    pub async fn find_resource(&self, workspace: WorkspaceId, uri: &str) -> Found<Resource> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.resource_at(workspace, uri)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_resource(workspace, ByResource::Uri(uri.to_owned()))).await
    }

    /// A resource by its row.
    pub async fn find_resource_by_id(&self, workspace: WorkspaceId, id: ResourceId) -> Found<Resource> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.resource(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_resource(workspace, ByResource::Id(id))).await
    }

    async fn read_resource(&self, workspace: WorkspaceId, by: ByResource) -> Found<Resource> {
        let at = self.memory.begin();
        let found = self.read(FindResource { workspace, by }).await?.map(Arc::new);
        if let Some(resource) = &found {
            self.memory.fill(at, Touched::Resource(resource.id), |filling| filling.resource(resource));
        }
        Ok(found)
    }

    /// A user by row.
    pub async fn find_user(&self, workspace: WorkspaceId, id: UserId) -> Found<User> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.user(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_user(workspace, id)).await
    }

    async fn read_user(&self, workspace: WorkspaceId, id: UserId) -> Found<User> {
        let at = self.memory.begin();
        let found = self.read(FindUser { workspace, id }).await?.map(Arc::new);
        if let Some(user) = &found {
            self.memory.fill(at, Touched::User(user.id), |filling| filling.user(user));
        }
        Ok(found)
    }
}
