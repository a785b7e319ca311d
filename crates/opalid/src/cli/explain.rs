//! `opalid explain`.

use clap::Args;

use super::output::{Table, plain};
use super::reach::{Reaching, Server};
use crate::manage::Command;
use crate::manage::explain::Explanation;

/// Says which settings hold for the tokens of a client, and why.
#[derive(Debug, Args)]
pub struct ExplainCommand {
    /// The client
    #[arg(long, value_name = "CLIENT_ID")]
    client: String,
    /// What the tokens are for; repeated for several; what the client gets by default if absent
    #[arg(long, value_name = "URI")]
    resource: Vec<String>,
}

impl Reaching for ExplainCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(Command::Explain { client_id: self.client, resources: self.resource })
    }
}

pub(super) fn text(explanation: &Explanation) -> String {
    let resources = if explanation.resources.is_empty() {
        // What it gets beside that is an error, and never comes here.
        "the issuer alone, with scope openid: no resource is named, so none of its access is in them".to_owned()
    } else {
        explanation.resources.join(", ")
    };
    let mut table = Table::new(["SETTING", "VALUE", "FROM", "WHY"]);
    for explained in &explanation.settings {
        let value = explained.value.as_str().map_or_else(|| explained.value.to_string(), str::to_owned);
        table.row([explained.setting.clone(), value, explained.from.clone(), explained.why.clone()]);
    }
    format!("Tokens of {} for {}\n\n{}", plain(&explanation.client_id), plain(&resources), table.text())
}
