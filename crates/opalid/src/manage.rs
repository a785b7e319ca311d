//! What operators ask of a running server, and what it answers.
//!
//! Takes: a [`Request`], from whoever has been let in: over the command socket file permissions decide that.
//! Gives: a typed [`Reply`] or a [`ManageError`] that says what to do.
//! Holds: an unknown field is refused; every change is a step of the store and is audited as `operator`'s.
//! Not here: how requests travel (`socket`) and how replies look to a person (`cli`).

pub mod socket;
pub mod workspaces;

use std::sync::Arc;

use opalid_core::ids::WorkspaceId;
use opalid_store::keys::WorkspaceRecord;
use opalid_store::steps::Stamp;
use serde::{Deserialize, Serialize};

use crate::app::{App, IssuerError};

/// Who the audit log says it was.
pub const INITIATOR: &str = "operator";

/// One thing asked of the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The name of the workspace it is about; the root's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// What to do there.
    pub command: Command,
}

/// What can be asked. Variants have braces even when empty, for only those refuse unknown fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// All workspaces.
    ListWorkspaces {},
    /// The workspace of the request.
    ShowWorkspace {},
}

/// What the server answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", content = "is", rename_all = "snake_case")]
pub enum Reply {
    /// Workspaces.
    Workspaces(Page<workspaces::WorkspaceRow>),
    /// One workspace.
    Workspace(Box<workspaces::WorkspaceDetail>),
}

/// Part of a long list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// What to give as `after` for the next part; nothing after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Why there is no reply, in words that say what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "message", rename_all = "snake_case")]
pub enum ManageError {
    /// The request is not one.
    #[error("{0}")]
    NotUnderstood(String),
    /// What it names does not exist.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be done as asked.
    #[error("{0}")]
    Refused(String),
    /// The server could not do it now; nothing is known to have changed.
    #[error("{0}")]
    Unavailable(String),
}

impl From<opalid_store::StoreError> for ManageError {
    fn from(error: opalid_store::StoreError) -> Self {
        Self::Unavailable(format!("{error}; try again when it is back"))
    }
}

impl From<IssuerError> for ManageError {
    fn from(error: IssuerError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// A request on its way: the workspace it is about, as it was read.
pub struct Operation<'a> {
    /// What every request shares.
    pub app: &'a App,
    /// The workspace.
    pub record: Arc<WorkspaceRecord>,
}

impl<'a> Operation<'a> {
    async fn begin(app: &'a App, workspace: Option<&str>) -> Result<Self, ManageError> {
        let found = match workspace {
            None => app.store.find_workspace_by_id(app.root).await?,
            Some(name) => app.store.find_workspace(name).await?,
        };
        let record = found.ok_or_else(|| {
            let name = workspace.unwrap_or("the root");
            ManageError::Unknown(format!("there is no workspace {name:?}; see: opalid workspace list"))
        })?;
        Ok(Self { app, record })
    }

    /// The row of its workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.record.workspace.id
    }

    /// The stamp of a step that an operator takes now.
    pub fn stamp(&self) -> Stamp {
        self.app.stamp(self.workspace(), INITIATOR)
    }
}

/// Does what is asked.
pub async fn handle(app: &App, request: Request) -> Result<Reply, ManageError> {
    let operation = Operation::begin(app, request.workspace.as_deref()).await?;
    match request.command {
        Command::ListWorkspaces {} => workspaces::list(&operation).await,
        Command::ShowWorkspace {} => workspaces::show(&operation).await,
    }
}

#[cfg(test)]
mod tests;
