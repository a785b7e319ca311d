//! Workspaces: listed and shown.

use opalid_core::grant::Epoch;
use opalid_core::ids::WorkspaceId;
use opalid_core::workspace::{Workspace, WorkspaceSettings};
use opalid_store::steps::keys::{COUNTED, CountSealed};
use opalid_store::steps::workspace::ListWorkspaces;
use serde::{Deserialize, Serialize};

use crate::app::App;

use super::{ManageError, Operation, Page, Reply};

/// A workspace in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkspaceRow {
    /// Its row.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// Its issuer URL.
    pub issuer: String,
    /// Whether its issuer has no path.
    pub root: bool,
    /// Whether it is in service.
    pub enabled: bool,
    /// Its epoch today.
    pub epoch: Epoch,
}

/// A workspace with its settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkspaceDetail {
    /// As in a list.
    #[serde(flatten)]
    pub row: WorkspaceRow,
    /// Its settings.
    pub settings: WorkspaceSettings,
}

fn row(operation: &Operation<'_>, workspace: &Workspace) -> WorkspaceRow {
    let app = operation.app;
    let root = workspace.id == app.root;
    WorkspaceRow {
        id: workspace.id,
        name: workspace.name.clone(),
        issuer: app.issuer_url(workspace),
        root,
        enabled: workspace.enabled,
        epoch: workspace.epoch,
    }
}

/// What lives in a workspace, as far as it has rows.
pub(super) async fn what_dies(app: &App, workspace: WorkspaceId) -> Result<String, ManageError> {
    let (chains, sessions) = app.store.read(CountSealed(workspace)).await?;
    let (chains, sessions) = (counted(chains), counted(sessions));
    Ok(format!("{sessions} sessions, {chains} refresh tokens, and every access token, which nobody counts"))
}

/// A number, as far as it was counted.
pub(super) fn counted(number: u32) -> String {
    if number >= COUNTED { format!("{COUNTED} or more") } else { number.to_string() }
}

pub(super) async fn list(operation: &Operation<'_>) -> Result<Reply, ManageError> {
    let all = operation.app.store.read(ListWorkspaces).await?;
    let rows = all.iter().map(|workspace| row(operation, workspace)).collect();
    Ok(Reply::Workspaces(Page { rows, next: None }))
}

pub(super) async fn show(operation: &Operation<'_>) -> Result<Reply, ManageError> {
    let workspace = &operation.record.workspace;
    let detail = WorkspaceDetail { row: row(operation, workspace), settings: workspace.settings.clone() };
    Ok(Reply::Workspace(Box::new(detail)))
}
