//! `opalid resource`.

use clap::Subcommand;

use super::output::{Output, Table};
use super::reach::{Part, Reaching, Server};
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
    /// Shows a resource with its scopes.
    Show {
        /// Its URI
        uri: String,
    },
}

impl Reaching for ResourceCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
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
