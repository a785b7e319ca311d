//! Resources.

use opalid_core::ids::{ResourceId, WorkspaceId};
use opalid_core::resource::{Resource, ResourceSettings};

use crate::engine::tx::{Row, Step, Tx, Value};
use crate::error::StoreError;
use crate::steps::{Stamp, to_json};

/// By what a resource is looked up.
#[derive(Debug, Clone)]
pub enum ByResource {
    /// Its row.
    Id(ResourceId),
    /// Its URI, byte for byte.
    Uri(String),
}

/// Reads a resource.
pub struct FindResource {
    /// Where.
    pub workspace: WorkspaceId,
    /// Which.
    pub by: ByResource,
}

pub(crate) fn read(row: &Row, workspace: WorkspaceId) -> Result<Resource, StoreError> {
    Ok(Resource { id: row.id(0)?, workspace, uri: row.text(1)?.to_owned(), settings: row.json(2)? })
}

impl Step for FindResource {
    type Out = Option<Resource>;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<Self::Out, StoreError> {
        let workspace: Value = self.workspace.as_bytes().into();
        let row = match &self.by {
            ByResource::Id(id) => {
                let sql = "SELECT id, uri, settings FROM resource WHERE workspace = $1 AND id = $2";
                tx.find(sql, &[workspace, id.as_bytes().into()]).await?
            }
            ByResource::Uri(uri) => {
                let sql = "SELECT id, uri, settings FROM resource WHERE workspace = $1 AND uri = $2";
                tx.find(sql, &[workspace, uri.as_str().into()]).await?
            }
        };
        row.map(|row| read(&row, self.workspace)).transpose()
    }
}

/// Makes a resource. `false` if the URI is taken.
pub struct CreateResource {
    /// When, where, by whom.
    pub stamp: Stamp,
    /// Its row.
    pub id: ResourceId,
    /// Its URI.
    pub uri: String,
    /// Its scopes and name.
    pub settings: ResourceSettings,
}

impl Step for CreateResource {
    type Out = bool;

    async fn run<T: Tx>(&self, tx: &mut T) -> Result<bool, StoreError> {
        let sql = "INSERT INTO resource (workspace, id, uri, settings, created_at) VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (workspace, uri) DO NOTHING RETURNING id";
        let values = [
            self.stamp.workspace.as_bytes().into(),
            self.id.as_bytes().into(),
            self.uri.as_str().into(),
            to_json(&self.settings)?.into(),
            self.stamp.now.into(),
        ];
        let made = tx.find(sql, &values).await?.is_some();
        if made {
            self.stamp.audit(tx, "resource.created", format!("resource {}", self.uri), "");
        }
        Ok(made)
    }
}
