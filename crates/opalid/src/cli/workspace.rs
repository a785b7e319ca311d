//! `opalid workspace`.

use clap::Subcommand;
use opalid_core::apply::{Kind, Verb};

use super::fields::{self, AnyFields};
use super::output::{Table, service};
use super::reach::{Reaching, Server};
use crate::manage::apply::OneChange;
use crate::manage::workspaces::{WorkspaceDetail, WorkspaceRow};
use crate::manage::{Command, Page};

/// What can be asked about workspaces.
#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Lists all workspaces.
    List,
    /// Makes a workspace, with keys of its own.
    Create {
        /// Its name: the path of its issuer
        name: String,
        #[command(flatten)]
        fields: AnyFields,
    },
    /// Changes the settings that are named, and leaves the rest: for what is issued from now on.
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: AnyFields,
    },
    /// Deletes a workspace with its keys and everything in it.
    Delete {
        /// Its name
        name: String,
        /// Delete it; without this, it is said what goes
        #[arg(long)]
        yes: bool,
    },
    /// Shows one workspace with its settings.
    Show {
        /// Its name [default: that of -w, else the root workspace]
        name: Option<String>,
    },
}

impl Reaching for WorkspaceCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        match &self {
            Self::List => server.no_workspace("all workspaces are listed")?,
            Self::Create { .. } => server.no_workspace("the new workspace is named once")?,
            Self::Update { name, .. } | Self::Delete { name, .. } => server.names(name)?,
            Self::Show { name } => name.iter().try_for_each(|name| server.names(name))?,
        }
        let reply = match self {
            Self::Create { name, fields } => {
                let change = fields::change(Kind::Workspace, Verb::Create, name);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Update { name, fields } => {
                let change = fields::change(Kind::Workspace, Verb::Update, name);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Delete { name, yes } => {
                let change = fields::change(Kind::Workspace, Verb::Delete, name);
                return fields::run(server, OneChange { yes, ..change });
            }
            Self::List => server.ask_in(None, Command::ListWorkspaces {})?,
            Self::Show { name } => server.ask_in(name, Command::ShowWorkspace {})?,
        };
        server.output.print(&reply)
    }
}

pub(super) fn table(page: &Page<WorkspaceRow>) -> String {
    let mut table = Table::new(["NAME", "ISSUER", "STATE", "EPOCH"]);
    for row in &page.rows {
        table.row([row.name.clone(), row.issuer.clone(), service(row.enabled), row.epoch.0.to_string()]);
    }
    table.page(page.next.as_deref())
}

pub(super) fn facts(detail: &WorkspaceDetail) -> String {
    let row = &detail.row;
    let mut table = Table::of_facts();
    table.row(["name".into(), row.name.clone()]);
    table.row(["id".into(), row.id.to_string()]);
    table.row(["issuer".into(), row.issuer.clone()]);
    table.row(["state".into(), service(row.enabled)]);
    table.row(["epoch".into(), row.epoch.0.to_string()]);
    table.settings(&detail.settings);
    table.text()
}
