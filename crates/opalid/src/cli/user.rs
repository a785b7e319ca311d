//! `opalid user`.

use clap::Subcommand;
use opalid_core::apply::{Kind, Verb};

use super::fields::{self, UserChanges, UserFields};
use super::output::{Output, Table, plain, service};
use super::reach::{Part, Reaching, Server};
use super::secret;
use crate::manage::apply::OneChange;
use crate::manage::users::{LinkMade, UserDetail, UserRow};
use crate::manage::{Command, Page};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Lists users, the newest first.
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Shows a user with what is known of the person.
    Show {
        /// What the person types to sign in
        username: String,
    },
    /// Makes a user; with --admin or --invite, prints a one-time link with which they set a password.
    #[command(mut_args(fields::of_new))]
    Create {
        /// What the person will type to sign in
        username: String,
        /// The user administers the workspace
        #[arg(long)]
        admin: bool,
        /// Print a link to set a password, good for 24 hours
        #[arg(long)]
        invite: bool,
        #[command(flatten)]
        fields: UserFields,
    },
    /// Changes what is named, and leaves the rest: sessions and tokens live on.
    Update {
        /// What the person types to sign in
        username: String,
        #[command(flatten)]
        fields: UserChanges,
    },
    /// Deletes a user: everything of theirs dies, and nobody ever has their subject again.
    Delete {
        /// What the person types to sign in
        username: String,
    },
    /// Takes a user out of service: everything of theirs dies.
    Suspend {
        /// What the person types to sign in
        username: String,
    },
    /// Puts a user back in service; nothing they had before lives again.
    Resume {
        /// What the person types to sign in
        username: String,
    },
    /// Ends all their sessions with what is bound to them; offline access lives on.
    SignOutEverywhere {
        /// What the person types to sign in
        username: String,
    },
    /// Sets a password, from a prompt or standard input: everything of the user's from before dies.
    SetPassword {
        /// What the person types to sign in
        username: String,
        /// Print a link instead, with which the person sets it; good for 24 hours
        #[arg(long)]
        link: bool,
    },
}

impl Reaching for UserCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::Update { username, fields } => {
                let change = fields::change(Kind::User, Verb::Update, username);
                return fields::run(server, OneChange { fields: fields.into_map()?, ..change });
            }
            Self::Delete { username } => {
                return fields::run(server, fields::change(Kind::User, Verb::Delete, username));
            }
            Self::List { part } => Command::ListUsers { paging: part.into() },
            Self::Show { username } => Command::ShowUser { username },
            Self::Create { username, admin, invite, fields } => {
                let mut fields = fields.into_map()?;
                if admin {
                    fields.insert("admin".into(), true.into());
                }
                Command::CreateUser { username, fields, link: admin || invite }
            }
            Self::Suspend { username } => Command::SuspendUser { username },
            Self::Resume { username } => Command::ResumeUser { username },
            Self::SignOutEverywhere { username } => Command::SignOutEverywhere { username },
            Self::SetPassword { username, link: true } => Command::LinkPassword { username },
            Self::SetPassword { username, link: false } => {
                let password = secret::ask_twice(&format!("New password of {}: ", plain(&username)))?;
                Command::SetPassword { username, password }
            }
        })
    }
}

pub(super) fn table(page: &Page<UserRow>, output: &Output) -> String {
    let mut table = Table::new(["USERNAME", "ID", "STATE", "EPOCH", "CREATED"]);
    for row in &page.rows {
        let admin = if row.admin { ", administrator" } else { "" };
        let state = format!("{}{admin}", service(row.enabled));
        let epoch = format!("{}.{}", row.epoch.0, row.credentials.0);
        table.row([row.username.clone(), row.id.to_string(), state, epoch, output.time(row.created_at)]);
    }
    table.page(page.next.as_deref())
}

pub(super) fn facts(detail: &UserDetail) -> String {
    let mut table = Table::of_facts();
    table.row(["username".into(), detail.username.clone()]);
    table.row(["id".into(), detail.id.to_string()]);
    table.row(["state".into(), service(detail.enabled)]);
    table.row(["administrator".into(), if detail.admin { "yes" } else { "no" }.into()]);
    table.row(["password".into(), if detail.has_password { "set" } else { "not set" }.into()]);
    table.row(["epoch".into(), detail.epoch.0.to_string()]);
    table.row(["credentials epoch".into(), detail.credentials.0.to_string()]);
    if !detail.roles.is_empty() {
        table.row(["roles".into(), detail.roles.join(" ")]);
    }
    table.settings(&detail.claims);
    table.text()
}

pub(super) fn link(link: &LinkMade, output: &Output) -> String {
    let (name, until) = (plain(&link.username), output.time(link.expires_at));
    let url = plain(link.url.expose());
    let console = link.console.as_deref().map(|url| format!("With it they sign in to the console: {}\n", plain(url)));
    let console = console.unwrap_or_default();
    format!("Whoever opens this link sets the password of {name}; it works once, until {until}:\n{url}\n{console}")
}
