//! `opalid holders`.

use clap::Args;

use super::output::{Output, Table};
use super::reach::{Reaching, Server};
use crate::manage::holders::HolderEntry;
use crate::manage::{Command, Page};

/// Shows who remembers answers of this server under a lease, of every workspace, and how far each has followed.
#[derive(Debug, Args)]
pub struct HoldersCommand {}

impl Reaching for HoldersCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(Command::ListHolders {})
    }
}

pub(super) fn table(page: &Page<HolderEntry>, output: &Output) -> String {
    let mut table = Table::new(["CLIENT_ID", "WORKSPACE", "FROM", "SINCE", "FOLLOWED", "LEASE"]);
    for row in &page.rows {
        let followed = match row.behind {
            None => "nothing yet".to_owned(),
            Some(0) => "everything".to_owned(),
            Some(1) => "all but 1 change".to_owned(),
            Some(behind) => format!("all but {behind} changes"),
        };
        let (seconds, tenths) = (row.lease_left_ms / 1000, row.lease_left_ms % 1000 / 100);
        let lease = match (row.lease_left_ms, row.connected) {
            (0, _) => "none".to_owned(),
            (_, true) => format!("{seconds}.{tenths} s"),
            (_, false) => format!("{seconds}.{tenths} s, connection lost"),
        };
        let (client, workspace, from) = (row.client_id.clone(), row.workspace.clone(), row.address.to_string());
        table.row([client, workspace, from, output.time(row.since), followed, lease]);
    }
    table.page(page.next.as_deref())
}
