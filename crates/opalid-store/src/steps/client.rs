//! Clients: found by name or row, made, changed, suspended, deleted.

use opalid_core::client::{Client, ClientSecretDigest, ClientSettings};
use opalid_core::grant::Epoch;
use opalid_core::ids::{ClientId, RoleId, WorkspaceId};
use opalid_core::time::UnixTime;
use opalid_core::token::SecretDigest;

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::feed::Touched;
use crate::steps::{Stamp, to_json};

/// By what a client is looked up.
#[derive(Debug, Clone)]
pub enum ByClient {
    /// Its row.
    Id(ClientId),
    /// Its name on the wire.
    Name(String),
}

/// Reads a client with its secrets.
pub struct FindClient {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub by: ByClient,
}

pub(crate) fn read(row: &Row, workspace: WorkspaceId) -> Result<Client, StoreError> {
    Ok(Client {
        id: row.id(0)?,
        workspace,
        client_id: row.text(1)?.to_owned(),
        epoch: row.epoch(2)?,
        enabled: row.bool(3)?,
        settings: row.json(4)?,
        secrets: Vec::new(),
        roles: row.json(5)?,
    })
}

impl Step for FindClient {
    type Out = Option<Client>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let workspace: Value = self.workspace.as_bytes().into();
        let found = match &self.by {
            ByClient::Id(id) => {
                let sql = "SELECT id, client_id, epoch, enabled, settings, roles FROM client WHERE workspace = $1 AND id = $2";
                tx.find(sql, &[workspace.clone(), id.as_bytes().into()]).await?
            }
            ByClient::Name(name) => {
                let sql = "SELECT id, client_id, epoch, enabled, settings, roles FROM client WHERE workspace = $1 AND client_id = $2";
                tx.find(sql, &[workspace.clone(), name.as_str().into()]).await?
            }
        };
        let Some(row) = found else { return Ok(None) };
        let mut client = read(&row, self.workspace)?;
        let sql = "SELECT digest, expires_at FROM client_secret WHERE workspace = $1 AND client = $2 ORDER BY created_at DESC";
        for row in tx.run(sql, &[workspace, client.id.as_bytes().into()]).await? {
            let digest = SecretDigest(row.bytes(0)?);
            client.secrets.push(ClientSecretDigest { digest, expires_at: row.opt(1, Row::time)? });
        }
        Ok(Some(client))
    }
}

/// Makes a client. `false` if the `client_id` is taken.
pub struct CreateClient {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Its row.
    pub id: ClientId,
    /// Its name on the wire.
    pub client_id: String,
    /// What it may do.
    pub settings: ClientSettings,
    /// The roles it holds for itself.
    pub roles: Vec<RoleId>,
    /// Its first secret, if it is confidential.
    pub secret: Option<SecretDigest>,
}

impl Step for CreateClient {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "INSERT INTO client (workspace, id, client_id, epoch, enabled, settings, roles, created_at)
                   VALUES ($1, $2, $3, $4, 1, $5, $6, $7) ON CONFLICT (workspace, client_id) DO NOTHING RETURNING id";
        let values: [Value; 7] = [
            self.stamp.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.client_id.as_str().into(),
            Epoch::FIRST.into(),
            to_json(&self.settings)?.into(),
            to_json(&self.roles)?.into(),
            self.stamp.now.into(),
        ];
        if tx.find(sql, &values).await?.is_none() {
            return Ok(false);
        }
        if let Some(digest) = &self.secret {
            insert_secret(tx, &self.stamp, self.id, digest, None).await?;
        }
        self.stamp.audit(tx, "client.created", format!("client {}", self.client_id), "");
        Ok(true)
    }
}

pub(crate) async fn insert_secret<T: Tx>(
    tx: &mut T,
    stamp: &Stamp,
    client: ClientId,
    digest: &SecretDigest,
    expires_at: Option<UnixTime>,
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO client_secret (workspace, client, digest, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (workspace, client, digest) DO UPDATE SET expires_at = excluded.expires_at";
    let values = [
        stamp.workspace.as_bytes().into(),
        client.as_bytes().into(),
        (&digest.0).into(),
        stamp.now.into(),
        expires_at.into(),
    ];
    tx.run(sql, &values).await.map(drop)
}

/// What happens to a client as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientEvent {
    /// Everything it was given dies; it stays in service.
    Revoked,
    /// Out of service; everything it was given dies.
    Suspended,
    /// Back in service; revives nothing.
    Resumed,
}

/// Bumps a client's epoch. `false` if there is none.
pub struct TouchClient {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Which.
    pub id: ClientId,
    /// What happens.
    pub event: ClientEvent,
}

impl Step for TouchClient {
    type Out = bool;
    const ENTERS_FEED: bool = true;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let (sql, action) = match self.event {
            ClientEvent::Revoked => (
                "UPDATE client SET epoch = epoch + 1 WHERE workspace = $1 AND id = $2 RETURNING client_id",
                "client.revoked",
            ),
            ClientEvent::Suspended => (
                "UPDATE client SET epoch = epoch + 1, enabled = 0 WHERE workspace = $1 AND id = $2 RETURNING client_id",
                "client.suspended",
            ),
            ClientEvent::Resumed => (
                "UPDATE client SET epoch = epoch + 1, enabled = 1 WHERE workspace = $1 AND id = $2 RETURNING client_id",
                "client.resumed",
            ),
        };
        let Some(row) = tx.find(sql, &[self.stamp.workspace.as_bytes().into(), self.id.as_bytes().into()]).await?
        else {
            return Ok(false);
        };
        self.stamp.change(tx, Touched::Client(self.id), action);
        self.stamp.audit(tx, action, format!("client {}", row.text(0)?), "");
        Ok(true)
    }
}
