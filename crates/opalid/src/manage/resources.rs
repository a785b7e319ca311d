//! Resources: listed and shown.

use opalid_core::ids::ResourceId;
use opalid_core::resource::{Resource, ResourceSettings};
use opalid_core::scope::Scopes;
use opalid_core::time::UnixTime;
use opalid_store::steps::list::ListResources;
use opalid_store::steps::resource::{ByResource, FindResource};
use serde::{Deserialize, Serialize};

use super::{ManageError, Operation, Page, Paging, Reply};

/// A resource in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResourceRow {
    /// Its row.
    pub id: ResourceId,
    /// Its URI.
    pub uri: String,
    /// What people read.
    pub name: String,
    /// The scopes that belong to it.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: UnixTime,
}

/// A resource with its settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResourceDetail {
    /// Its row.
    pub id: ResourceId,
    /// Its URI.
    pub uri: String,
    /// Its scopes and name.
    pub settings: ResourceSettings,
}

pub(super) async fn list(operation: &Operation<'_>, paging: &Paging) -> Result<Reply, ManageError> {
    let rows = operation.app.store.read(ListResources(operation.part(paging)?)).await?;
    let rows = rows.into_iter().map(|listed| ResourceRow {
        id: listed.it.id,
        uri: listed.it.uri,
        name: listed.it.settings.name,
        scopes: listed.it.settings.scopes,
        created_at: listed.created_at,
    });
    Ok(Reply::Resources(Page::new(rows.collect(), paging, |row: &ResourceRow| row.id.to_string())))
}

pub(super) async fn show(operation: &Operation<'_>, uri: &str) -> Result<Reply, ManageError> {
    let step = FindResource { workspace: operation.workspace(), by: ByResource::Uri(uri.to_owned()) };
    let found = operation.app.store.read(step).await?;
    let Resource { id, uri, settings, .. } = found.ok_or_else(|| operation.unknown("resource", uri))?;
    Ok(Reply::Resource(Box::new(ResourceDetail { id, uri, settings })))
}
