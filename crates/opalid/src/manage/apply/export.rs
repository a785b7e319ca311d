//! What is, written as a document that applies to nothing new.

use opalid_core::apply::{Document, WorkspaceEntry};
use opalid_store::steps::workspace::ListWorkspaces;
use tokio::sync::watch;

use super::super::{ManageError, Operation, Reply};
use super::state::{Reading, Select, read};

/// The workspace of the operation, or every one. Secrets and passwords are not in it: what holds them knows
/// only digests. How many entries are read is told to `so_far`.
pub(in crate::manage) async fn export(
    operation: &Operation<'_>,
    (only, users): (bool, bool),
    so_far: &watch::Sender<u64>,
) -> Result<Reply, ManageError> {
    let app = operation.app;
    let mut workspaces: Vec<WorkspaceEntry> = Vec::new();
    for workspace in app.store.read(ListWorkspaces).await? {
        if only && workspace.id != operation.workspace() {
            continue;
        }
        let users = if users { Select::All } else { Select::Nothing };
        let mut entry = read(Reading { app, so_far: Some(so_far) }, &workspace, Select::All, users).await?;
        entry.sort();
        workspaces.push(entry);
    }
    Ok(Reply::Document(Box::new(Document { workspaces: Some(workspaces) })))
}
