//! `opalid inspect`.

use std::fmt::Write as _;

use clap::Args;

use super::output::{Output, Table, plain};
use super::reach::{Reaching, Server};
use super::secret;
use crate::manage::Command;
use crate::manage::inspect::{AncestorState, Inspection};

/// Says what a token refers to, how everything it hangs from stands, and why it is dead if it is.
#[derive(Debug, Args)]
pub struct InspectCommand {
    /// The token; - reads it from standard input, where nobody sees it in a list of processes
    token: String,
}

impl Reaching for InspectCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        server.show(Command::Inspect { token: secret::argument_or_stdin(self.token)? })
    }
}

pub(super) fn text(inspection: &Inspection, output: &Output) -> String {
    let mut text = match &inspection.why {
        None => format!("This {} is alive.\n", plain(&inspection.kind)),
        Some(why) => format!("This {} is dead: {}.\n", plain(&inspection.kind), plain(why)),
    };
    let mut facts = Table::of_facts();
    if let Some(key) = inspection.key {
        facts.row(["sealed under key".into(), key.to_string()]);
    }
    for (name, value) in &inspection.facts {
        facts.row([name.clone(), value.clone()]);
    }
    for (name, at) in &inspection.times {
        facts.row([name.clone(), output.time(*at)]);
    }
    if let Some(grant) = &inspection.grant {
        facts.row(["grant".into(), grant.id.to_string()]);
        facts.row(["client".into(), grant.client_id.clone()]);
        facts.row(["user".into(), grant.username.clone().unwrap_or_else(|| "none: the client itself".into())]);
        facts.row(["granted".into(), output.time(grant.created_at)]);
    }
    text.push_str(&facts.text());
    if !inspection.may.is_empty() {
        let mut table = Table::new(["RESOURCE", "SCOPES", "ALLOWED TODAY"]);
        for part in &inspection.may {
            let today = part.today.as_ref().map_or_else(
                || "nothing: it is gone, not for this client, or no role permits it".into(),
                ToString::to_string,
            );
            table.row([part.resource.clone(), part.scopes.to_string(), today]);
        }
        _ = write!(text, "\n{}", table.text());
    }
    if !inspection.ancestors.is_empty() {
        let mut table = Table::new(["HANGS FROM", "NAME", "EPOCH THEN", "EPOCH TODAY", "STATE"]);
        for ancestor in &inspection.ancestors {
            let today = ancestor.today.map_or_else(|| "-".into(), |today| today.0.to_string());
            let then = ancestor.born_under.0.to_string();
            table.row([ancestor.kind.clone(), ancestor.name.clone(), then, today, state(ancestor, output)]);
        }
        _ = write!(text, "\n{}", table.text());
    }
    text
}

fn state(ancestor: &AncestorState, output: &Output) -> String {
    let is_session = ancestor.kind == "session";
    let expired = ancestor.ends_at.filter(|end| *end <= output.now);
    match (ancestor.today, expired) {
        (None, _) => return "gone".into(),
        (Some(_), _) if is_session && !ancestor.enabled => return "ended".into(),
        (Some(_), Some(end)) => return format!("expired {}", output.time(end)),
        (Some(_), None) => {}
    }
    let mut words = vec![if ancestor.enabled { "in service" } else { "out of service" }.to_owned()];
    if ancestor.today.is_some_and(|today| today != ancestor.born_under) {
        words.push("cut since".into());
    }
    words.extend(ancestor.ends_at.map(|end| format!("ends {}", output.time(end))));
    words.join(", ")
}
