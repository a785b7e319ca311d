//! One thing that is asked, on its way: where, and by whom.
//!
//! Holds: the workspace is read once, and every step is stamped with who asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use opalid_core::ids::{UserId, WorkspaceId};
use opalid_store::keys::WorkspaceRecord;
use opalid_store::steps::Stamp;
use opalid_store::steps::list::Part;

use super::{INITIATOR, ManageError, Paging, no_workspace};
use crate::app::App;

/// A request on its way: the workspace it is about, as it was read.
pub struct Operation<'a> {
    /// What every request shares.
    pub app: &'a App,
    /// The workspace.
    pub record: Arc<WorkspaceRecord>,
    /// Who the audit log says it was.
    initiator: String,
}

impl<'a> Operation<'a> {
    /// What an operator asks of a workspace; the root's if it names none.
    pub(super) async fn begin(app: &'a App, workspace: Option<&str>) -> Result<Self, ManageError> {
        let found = match workspace {
            None => app.store.find_workspace_by_id(app.root).await?,
            Some(name) => app.store.find_workspace(name).await?,
        };
        let record = found.ok_or_else(|| no_workspace(workspace.unwrap_or("the root")))?;
        Ok(Self { app, record, initiator: INITIATOR.into() })
    }

    /// What a user asks of their own workspace. Whether they may is for the caller to have seen.
    pub fn by_user(app: &'a App, record: Arc<WorkspaceRecord>, user: UserId) -> Self {
        Self { app, record, initiator: format!("user {user}") }
    }

    /// The row of its workspace.
    pub fn workspace(&self) -> WorkspaceId {
        self.record.workspace.id
    }

    /// The stamp of a step that is taken now.
    pub fn stamp(&self) -> Stamp {
        self.app.stamp(self.workspace(), self.initiator.clone())
    }

    /// The part of a list that is asked for, and one row more.
    pub(super) fn part<Id: FromStr>(&self, paging: &Paging) -> Result<Part<Id>, ManageError> {
        let parse = |text: &String| text.parse::<Id>().ok();
        let before = paging.after.as_ref().map(parse);
        if matches!(before, Some(None)) {
            return Err(ManageError::Refused("--after takes what the list before named for the next ones".into()));
        }
        let limit = u32::try_from(paging.limit()).unwrap_or(50) + 1;
        Ok(Part { workspace: self.workspace(), before: before.flatten(), limit })
    }

    /// What is named does not exist here.
    pub(super) fn unknown(&self, what: &str, name: impl fmt::Display) -> ManageError {
        let (workspace, list) = (&self.record.workspace.name, self.command(&format!("{what} list")));
        ManageError::Unknown(format!("workspace {workspace} has no {what} {name}; see: {list}"))
    }

    /// A command as a person would type it for this workspace.
    pub(super) fn command(&self, words: &str) -> String {
        let workspace = &self.record.workspace;
        let elsewhere = if workspace.id == self.app.root { String::new() } else { format!(" -w {}", workspace.name) };
        format!("opalid {words}{elsewhere}")
    }
}
