//! `opalid role`.

use clap::Subcommand;
use opalid_core::apply::{Kind, Verb};

use super::fields::{self, RoleFields};
use super::output::{Output, Table};
use super::reach::{Part, Reaching, Server};
use crate::manage::apply::OneChange;
use crate::manage::roles::{RoleDetail, RoleRow};
use crate::manage::{Command, Page};

/// What can be done with roles.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Lists roles, the newest first.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Makes a role; nobody holds it yet.
    #[command(mut_args(fields::of_new))]
    Create {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: RoleFields,
    },
    /// Changes what is named, and leaves the rest; tokens lose at once what it permits no more.
    Update {
        /// Its name
        name: String,
        #[command(flatten)]
        fields: RoleFields,
    },
    /// Deletes a role: whoever held it loses at once what it permitted, for good.
    Delete {
        /// Its name
        name: String,
    },
    /// Shows a role with what it permits.
    Show {
        /// Its name
        name: String,
    },
}

impl Reaching for RoleCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::Create { name, fields } => {
                let change = fields::change(Kind::Role, Verb::Create, name);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Update { name, fields } => {
                let change = fields::change(Kind::Role, Verb::Update, name);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Delete { name } => return fields::run(server, fields::change(Kind::Role, Verb::Delete, name)),
            Self::List { part } => Command::ListRoles { paging: part.into() },
            Self::Show { name } => Command::ShowRole { name },
        })
    }
}

pub(super) fn table(page: &Page<RoleRow>, output: &Output) -> String {
    let mut table = Table::new(["NAME", "DESCRIPTION", "RESOURCES", "CREATED"]);
    for row in &page.rows {
        let created = output.time(row.created_at);
        table.row([row.name.clone(), row.description.clone(), row.resources.to_string(), created]);
    }
    table.page(page.next.as_deref())
}

pub(super) fn facts(detail: &RoleDetail) -> String {
    let mut table = Table::of_facts();
    table.row(["name".into(), detail.name.clone()]);
    table.row(["id".into(), detail.id.to_string()]);
    table.settings(&detail.settings);
    table.text()
}
