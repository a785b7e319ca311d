//! `opalid workspace`.

use clap::Subcommand;

use super::output::{Table, service};
use super::reach::{Reaching, Server};
use crate::manage::{Command, Reply};

/// What can be asked about workspaces.
#[derive(Debug, Subcommand)]
pub enum WorkspaceCommand {
    /// Lists all workspaces.
    List,
    /// Shows one workspace with its settings.
    Show {
        /// Its name [default: that of -w, else the root workspace]
        name: Option<String>,
    },
}

impl Reaching for WorkspaceCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let (workspace, command) = match self {
            Self::List => (None, Command::ListWorkspaces {}),
            Self::Show { name } => (name, Command::ShowWorkspace {}),
        };
        let reply = server.ask_in(workspace, command)?;
        server.output.print(&reply, |_| text(&reply))
    }
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Workspaces(page) => {
            let mut table = Table::new(["NAME", "ISSUER", "STATE", "EPOCH"]);
            for row in &page.rows {
                table.row([row.name.clone(), row.issuer.clone(), service(row.enabled), row.epoch.0.to_string()]);
            }
            table.page(page.next.as_deref())
        }
        Reply::Workspace(detail) => {
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
    }
}
