//! Entities, from memory or by one read.
//!
//! Reads are boxed: a request that memory answers carries no room for what it does not do.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opalid_core::client::Client;
use opalid_core::ids::{ClientId, ResourceId, RoleId, UserId, WorkspaceId};
use opalid_core::resource::Resource;
use opalid_core::role::Role;
use opalid_core::user::User;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::engine::tx::{Step, Tx};
use crate::error::Outage;
use crate::feed::Touched;
use crate::keys::WorkspaceRecord;
use crate::steps::client::{ByClient, FindClient};
use crate::steps::request::{FindRequest, WaitingRow};
use crate::steps::resource::{ByResource, FindResource};
use crate::steps::role::{ByRole, FindRole};
use crate::steps::user::FindUser;
use crate::steps::workspace::{ByWorkspace, FindWorkspace};
use crate::{Store, StoreError};

/// How many clients, resources and workspaces that memory does not know are looked up by name at once. Anybody can ask for names that
/// nobody has; this leaves readers to everybody else.
const STRANGERS: usize = 4;
/// How many stored requests are looked up at once: those are in no memory, and anybody can ask for one that there is not.
const REQUESTS: usize = 2;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_millis(900);
/// How often it is said that turns did not come.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// The turns of reads that anybody can make us do.
pub(crate) struct Turns {
    strangers: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    refused: Mutex<Refused>,
}

/// Whose turn did not come: since it was last said, and when that was.
#[derive(Default)]
struct Refused {
    since: u64,
    said_at: Option<Instant>,
}

impl Turns {
    pub(crate) fn new() -> Self {
        let turns = |most| Arc::new(Semaphore::new(most));
        Self { strangers: turns(STRANGERS), requests: turns(REQUESTS), refused: Mutex::default() }
    }

    /// Counts one that was refused, and says how many there were, once in a while: a flood fills no log.
    fn refuse(&self, now: Instant) {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).count(now);
        if let Some(refused) = refused {
            tracing::warn!(
                refused,
                "too much is asked for that is not known here; those who ask are told to come again"
            );
        }
    }
}

impl Refused {
    /// One more; how many there were, if it is time to say so.
    fn count(&mut self, now: Instant) -> Option<u64> {
        self.since += 1;
        let is_time = self.said_at.is_none_or(|said_at| now.duration_since(said_at) >= SAID_EVERY);
        is_time.then(|| {
            self.said_at = Some(now);
            std::mem::take(&mut self.since)
        })
    }
}

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
    /// This read when its turn has come, or an outage.
    async fn in_turn<S: Step>(&self, turns: &Arc<Semaphore>, step: S) -> Result<InTurn<S>, Outage> {
        match tokio::time::timeout(PATIENCE, Arc::clone(turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(InTurn(step, turn)),
            _ => {
                self.turns.refuse(Instant::now());
                Err(Outage::Crowded)
            }
        }
    }

    /// A workspace by its name.
    pub async fn find_workspace(&self, name: &str) -> Found<WorkspaceRecord> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.workspace_called(name)) {
            return Ok(Some(found));
        }
        Box::pin(async {
            let step = FindWorkspace(ByWorkspace::Name(name.to_owned()));
            self.read_workspace(self.in_turn(&self.turns.strangers, step).await?).await
        })
        .await
    }

    /// A workspace by its row.
    pub async fn find_workspace_by_id(&self, id: WorkspaceId) -> Found<WorkspaceRecord> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.workspace(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_workspace(FindWorkspace(ByWorkspace::Id(id)))).await
    }

    async fn read_workspace(&self, step: impl Step<Out = Option<WorkspaceRecord>>) -> Found<WorkspaceRecord> {
        let at = self.memory.begin();
        let found = self.read(step).await?.map(Arc::new);
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
        Box::pin(async {
            let step = FindClient { workspace, by: ByClient::Name(name.to_owned()) };
            self.read_client(self.in_turn(&self.turns.strangers, step).await?).await
        })
        .await
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
        Box::pin(async {
            let step = FindResource { workspace, by: ByResource::Uri(uri.to_owned()) };
            self.read_resource(self.in_turn(&self.turns.strangers, step).await?).await
        })
        .await
    }

    /// A resource by its row.
    pub async fn find_resource_by_id(&self, workspace: WorkspaceId, id: ResourceId) -> Found<Resource> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.resource(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_resource(FindResource { workspace, by: ByResource::Id(id) })).await
    }

    async fn read_resource(&self, step: impl Step<Out = Option<Resource>>) -> Found<Resource> {
        let at = self.memory.begin();
        let found = self.read(step).await?.map(Arc::new);
        if let Some(resource) = &found {
            self.memory.fill(at, Touched::Resource(resource.id), |filling| filling.resource(resource));
        }
        Ok(found)
    }

    /// A stored request that has not expired.
    pub async fn find_request(&self, step: FindRequest) -> Result<Option<WaitingRow>, Outage> {
        self.read(self.in_turn(&self.turns.requests, step).await?).await
    }

    /// A role by its row.
    pub async fn find_role(&self, workspace: WorkspaceId, id: RoleId) -> Found<Role> {
        if let Some(found) = self.memory.trust().and_then(|memory| memory.role(id)) {
            return Ok(Some(found));
        }
        Box::pin(self.read_role(workspace, id)).await
    }

    async fn read_role(&self, workspace: WorkspaceId, id: RoleId) -> Found<Role> {
        let at = self.memory.begin();
        let found = self.read(FindRole { workspace, by: ByRole::Id(id) }).await?.map(Arc::new);
        if let Some(role) = &found {
            self.memory.fill(at, Touched::Role(role.id), |filling| filling.role(role));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_that_is_refused_is_said_once_in_ten_seconds_with_its_count() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        assert_eq!(refused.count(start), Some(1));
        for millis in 0..500 {
            assert_eq!(refused.count(start + Duration::from_millis(millis)), None);
        }
        assert_eq!(refused.count(start + SAID_EVERY), Some(501));
    }
}
