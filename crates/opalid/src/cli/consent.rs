//! `opalid consent`.

use clap::Subcommand;

use super::output::{Output, Table};
use super::reach::{Part, Reaching, Server};
use crate::manage::consents::ConsentEntry;
use crate::manage::{Command, Page};

/// What can be done with consents.
#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// Lists consents, the newest first.
    List {
        /// Only what this user has agreed to
        #[arg(long, value_name = "USERNAME")]
        user: Option<String>,
        #[command(flatten)]
        part: Part,
    },
    /// Takes a consent back: what hangs from it dies, and the person is asked again.
    Withdraw {
        /// Its id, from: opalid consent list
        id: String,
    },
}

impl Reaching for ConsentCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(match self {
            Self::List { user, part } => Command::ListConsents { user, paging: part.into() },
            Self::Withdraw { id } => Command::WithdrawConsent { id },
        })
    }
}

pub(super) fn table(page: &Page<ConsentEntry>, output: &Output) -> String {
    let mut table = Table::new(["ID", "USERNAME", "CLIENT_ID", "AGREED TO", "SINCE"]);
    for row in &page.rows {
        let resources = row.resources.iter().map(|(uri, scopes)| format!("{uri} ({scopes})"));
        let openid = (!row.openid.is_empty()).then(|| row.openid.to_string());
        let given: Vec<_> = openid.into_iter().chain(resources).collect();
        let (name, client) = (row.username.clone(), row.client_id.clone());
        table.row([row.id.to_string(), name, client, given.join(", "), output.time(row.created_at)]);
    }
    table.page(page.next.as_deref())
}
