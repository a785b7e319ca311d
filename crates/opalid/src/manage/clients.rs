//! Clients: listed, shown, suspended, resumed.

use opalid_core::client::{Client, ClientKind, ClientSettings};
use opalid_core::grant::Epoch;
use opalid_core::ids::ClientId;
use opalid_core::time::UnixTime;
use opalid_store::steps::client::{ByClient, ClientEvent, FindClient, TouchClient};
use opalid_store::steps::list::ListClients;
use serde::{Deserialize, Serialize};

use crate::metrics::Revoked;

use super::{ManageError, Operation, Page, Paging, Reply, roles};

/// A client in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientRow {
    /// Its row.
    pub id: ClientId,
    /// Its name on the wire.
    pub client_id: String,
    /// What people read.
    pub name: String,
    /// Whether it can keep a secret.
    pub kind: ClientKind,
    /// Whether it is in service.
    pub enabled: bool,
    /// Its epoch today.
    pub epoch: Epoch,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A client with its settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientDetail {
    /// Its row.
    pub id: ClientId,
    /// Its name on the wire.
    pub client_id: String,
    /// Whether it is in service.
    pub enabled: bool,
    /// Its epoch today.
    pub epoch: Epoch,
    /// Until when each of its secrets is good; nothing means for ever.
    pub secrets: Vec<Option<UnixTime>>,
    /// What it may do.
    pub settings: ClientSettings,
    /// The roles it holds for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

pub(super) async fn list(operation: &Operation<'_>, paging: &Paging) -> Result<Reply, ManageError> {
    let rows = operation.app.store.read(ListClients(operation.part(paging)?)).await?;
    let rows = rows.into_iter().map(|listed| ClientRow {
        id: listed.it.id,
        client_id: listed.it.client_id,
        name: listed.it.settings.name,
        kind: listed.it.settings.kind,
        enabled: listed.it.enabled,
        epoch: listed.it.epoch,
        created_at: listed.created_at,
    });
    Ok(Reply::Clients(Page::new(rows.collect(), paging, |row: &ClientRow| row.id.to_string())))
}

pub(super) async fn show(operation: &Operation<'_>, client_id: &str) -> Result<Reply, ManageError> {
    let client = load(operation, client_id).await?;
    let roles = roles::names(&operation.app.store, operation.workspace(), &client.roles).await?;
    Ok(Reply::Client(Box::new(ClientDetail {
        id: client.id,
        enabled: client.enabled,
        epoch: client.epoch,
        secrets: client.secrets.iter().map(|secret| secret.expires_at).collect(),
        client_id: client.client_id,
        settings: client.settings,
        roles,
    })))
}

pub(super) async fn touch(
    operation: &Operation<'_>,
    client_id: &str,
    event: ClientEvent,
) -> Result<Reply, ManageError> {
    let client = load(operation, client_id).await?;
    if !operation.app.store.run(TouchClient { stamp: operation.stamp(), id: client.id, event }).await? {
        return Err(unknown(operation, client_id));
    }
    if event != ClientEvent::Resumed {
        operation.app.metrics.revocations.count(Revoked::Client);
    }
    Ok(Reply::done(match event {
        ClientEvent::Revoked => format!("Everything client {client_id} was given is dead; it stays in service."),
        ClientEvent::Suspended => format!("Client {client_id} is suspended; everything it was given is dead."),
        ClientEvent::Resumed => format!("Client {client_id} is back in service; nothing it had before lives again."),
    }))
}

/// The client of this name, as it is today.
pub(super) async fn load(operation: &Operation<'_>, client_id: &str) -> Result<Client, ManageError> {
    let step = FindClient { workspace: operation.workspace(), by: ByClient::Name(client_id.to_owned()) };
    operation.app.store.read(step).await?.ok_or_else(|| unknown(operation, client_id))
}

fn unknown(operation: &Operation<'_>, client_id: &str) -> ManageError {
    operation.unknown("client", client_id)
}
