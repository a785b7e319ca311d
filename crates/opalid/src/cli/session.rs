//! `opalid session` and `opalid grant`.

use clap::Subcommand;

use super::output::{Output, Table};
use super::reach::{Part, Reaching, Server};
use crate::manage::sessions::{GrantEntry, SessionEntry};
use crate::manage::{Command, Page};

/// What can be asked about sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Lists sessions, the newest first.
    List {
        /// Only those of this user
        #[arg(long, value_name = "USERNAME")]
        user: Option<String>,
        #[command(flatten)]
        part: Part,
    },
}

impl Reaching for SessionCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let Self::List { user, part } = self;
        server.show(Command::ListSessions { user, paging: part.into() })
    }
}

/// What can be asked about grants.
#[derive(Debug, Subcommand)]
pub enum GrantCommand {
    /// Lists grants, the newest first.
    List {
        /// Only what this user has given
        #[arg(long, value_name = "USERNAME", conflicts_with = "client")]
        user: Option<String>,
        /// Only what this client was given
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        #[command(flatten)]
        part: Part,
    },
}

impl Reaching for GrantCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let Self::List { user, client, part } = self;
        server.show(Command::ListGrants { user, client, paging: part.into() })
    }
}

fn life(dead: Option<&String>) -> String {
    dead.map_or_else(|| "live".into(), |why| format!("dead: {why}"))
}

pub(super) fn table(page: &Page<SessionEntry>, output: &Output) -> String {
    let mut table = Table::new(["ID", "USERNAME", "SIGNED IN", "LAST USED", "ENDS", "STATE"]);
    for row in &page.rows {
        let (signed_in, used, ends) = (row.authentication.auth_time, row.used_at, row.expires_at);
        let [signed_in, used, ends] = [signed_in, used, ends].map(|time| output.time(time));
        let state = if row.rests { "live, but rests: asks for a sign-in".into() } else { life(row.dead.as_ref()) };
        table.row([row.id.to_string(), row.username.clone(), signed_in, used, ends, state]);
    }
    table.page(page.next.as_deref())
}

pub(super) fn grants(page: &Page<GrantEntry>, output: &Output) -> String {
    let mut table = Table::new(["ID", "CLIENT_ID", "USERNAME", "BOUND TO", "CREATED", "STATE"]);
    for row in &page.rows {
        let username = row.username.clone().unwrap_or_else(|| "-".into());
        let bound = match (&row.username, row.session_bound) {
            (None, _) => "client",
            (_, true) => "session",
            (_, false) => "user (offline)",
        };
        let (created, state) = (output.time(row.created_at), life(row.dead.as_ref()));
        table.row([row.id.to_string(), row.client_id.clone(), username, bound.into(), created, state]);
    }
    table.page(page.next.as_deref())
}
