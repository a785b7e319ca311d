//! `opalid resource`.

use clap::Subcommand;
use opalid_core::apply::{Kind, Verb};

use super::fields::{self, ResourceFields};
use super::output::{Output, Table};
use super::reach::{Part, Reaching, Server};
use crate::manage::apply::OneChange;
use crate::manage::resources::{ResourceDetail, ResourceRow};
use crate::manage::{Command, Page};

/// What can be asked about resources.
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// Lists resources, the newest first.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Makes a resource.
    #[command(mut_args(fields::of_new))]
    Create {
        /// Its URI: the `aud` of its tokens, byte for byte
        uri: String,
        #[command(flatten)]
        fields: ResourceFields,
    },
    /// Changes what is named, and leaves the rest; tokens lose the scopes that are taken away.
    Update {
        /// Its URI
        uri: String,
        #[command(flatten)]
        fields: ResourceFields,
    },
    /// Deletes a resource: no token opens it any more.
    Delete {
        /// Its URI
        uri: String,
    },
    /// Shows a resource with its scopes.
    Show {
        /// Its URI
        uri: String,
    },
}

impl Reaching for ResourceCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::Create { uri, fields } => {
                let change = fields::change(Kind::Resource, Verb::Create, uri);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Update { uri, fields } => {
                let change = fields::change(Kind::Resource, Verb::Update, uri);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Delete { uri } => return fields::run(server, fields::change(Kind::Resource, Verb::Delete, uri)),
            Self::List { part } => Command::ListResources { paging: part.into() },
            Self::Show { uri } => Command::ShowResource { uri },
        })
    }
}

pub(super) fn table(page: &Page<ResourceRow>, output: &Output) -> String {
    let mut table = Table::new(["URI", "NAME", "SCOPES", "CREATED"]);
    for row in &page.rows {
        table.row([row.uri.clone(), row.name.clone(), row.scopes.to_string(), output.time(row.created_at)]);
    }
    table.page(page.next.as_deref())
}

pub(super) fn facts(detail: &ResourceDetail) -> String {
    let mut table = Table::of_facts();
    table.row(["uri".into(), detail.uri.clone()]);
    table.row(["id".into(), detail.id.to_string()]);
    table.settings(&detail.settings);
    table.text()
}
