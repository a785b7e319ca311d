//! `opalid client`.

use clap::Subcommand;

use super::output::{Output, Table, service};
use super::reach::{Part, Reaching, Server};
use crate::manage::clients::{ClientDetail, ClientRow};
use crate::manage::{Command, Page};

/// What can be done with clients.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Lists clients, the newest first.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Shows a client with its settings.
    Show {
        /// Its client_id
        client_id: String,
    },
    /// Takes a client out of service: everything it was given dies.
    Suspend {
        /// Its client_id
        client_id: String,
    },
    /// Puts a client back in service; nothing it had before lives again.
    Resume {
        /// Its client_id
        client_id: String,
    },
}

impl Reaching for ClientCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::List { part } => Command::ListClients { paging: part.into() },
            Self::Show { client_id } => Command::ShowClient { client_id },
            Self::Suspend { client_id } => Command::SuspendClient { client_id },
            Self::Resume { client_id } => Command::ResumeClient { client_id },
        })
    }
}

pub(super) fn table(page: &Page<ClientRow>, output: &Output) -> String {
    let mut table = Table::new(["CLIENT_ID", "NAME", "KIND", "STATE", "EPOCH", "CREATED"]);
    for row in &page.rows {
        let kind = format!("{:?}", row.kind).to_lowercase();
        let epoch = row.epoch.0.to_string();
        let created = output.time(row.created_at);
        table.row([row.client_id.clone(), row.name.clone(), kind, service(row.enabled), epoch, created]);
    }
    table.page(page.next.as_deref())
}

pub(super) fn facts(detail: &ClientDetail, output: &Output) -> String {
    let mut table = Table::of_facts();
    table.row(["client_id".into(), detail.client_id.clone()]);
    table.row(["id".into(), detail.id.to_string()]);
    table.row(["state".into(), service(detail.enabled)]);
    table.row(["epoch".into(), detail.epoch.0.to_string()]);
    for end in &detail.secrets {
        let end = end.map_or_else(|| "good for ever".into(), |end| format!("good until {}", output.time(end)));
        table.row(["secret".into(), end]);
    }
    table.settings(&detail.settings);
    table.text()
}
