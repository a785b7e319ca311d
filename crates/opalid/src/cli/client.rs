//! `opalid client`.

use std::path::PathBuf;

use clap::Subcommand;
use opalid_core::apply::{Kind, Verb};
use opalid_core::time::Seconds;

use super::fields::{self, ClientFields};
use super::output::{Output, Table, service};
use super::reach::{Part, Reaching, Server};
use crate::manage::apply::OneChange;
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
    /// Makes a client; the secret of a confidential one is drawn and shown once, unless it is given.
    #[command(mut_args(fields::of_new))]
    Create {
        /// Its client_id
        client_id: String,
        #[command(flatten)]
        fields: ClientFields,
        /// A file with its secret, instead of one that is drawn
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
    /// Changes what is named, and leaves the rest; tokens live on, with what the client may still do.
    Update {
        /// Its client_id
        client_id: String,
        #[command(flatten)]
        fields: ClientFields,
    },
    /// Deletes a client: everything it was given dies.
    Delete {
        /// Its client_id
        client_id: String,
    },
    /// Gives a client a new secret, drawn and shown once; the old ones stay good for a while.
    RotateSecret {
        /// Its client_id
        client_id: String,
        /// For how many seconds the old ones stay good [default: 86400]; 0 ends them now
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
        /// A file with the new secret, instead of one that is drawn
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
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
            Self::Create { client_id, fields, secret_file } => {
                let secret = secret_file.as_deref().map(fields::secret_of).transpose()?;
                let change = OneChange { secret, ..fields::change(Kind::Client, Verb::Create, client_id) };
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Update { client_id, fields } => {
                let change = fields::change(Kind::Client, Verb::Update, client_id);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Delete { client_id } => {
                return fields::run(server, fields::change(Kind::Client, Verb::Delete, client_id));
            }
            Self::RotateSecret { client_id, overlap, secret_file } => {
                let secret = secret_file.as_deref().map(fields::secret_of).transpose()?.map(|(_, secret)| secret);
                Command::RotateSecret { client_id, secret, overlap: overlap.map(Seconds) }
            }
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
        // As people see it on the pages.
        let name = if row.name.is_empty() { &row.client_id } else { &row.name };
        table.row([row.client_id.clone(), name.clone(), kind, service(row.enabled), epoch, created]);
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
    if !detail.roles.is_empty() {
        table.row(["roles".into(), detail.roles.join(" ")]);
    }
    table.settings(&detail.settings);
    table.text()
}
