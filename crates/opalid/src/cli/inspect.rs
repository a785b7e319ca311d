//! `opalid inspect`.

use std::fmt::Write as _;

use clap::Args;

use super::output::{self, Format, Output, Table, plain};
use super::reach::{Reaching, Server};
use super::secret;
use crate::manage::inspect::Inspection;
use crate::manage::{Command, Reply};
use crate::test_jwt::{self, TestJwt};

/// Says what a token refers to, how everything it hangs from stands, and why it is dead if it is.
///
/// A JWT is decoded and explained whoever made it. With --make a test JWT is made and signed with a throw-away key;
/// no server takes it, and none is asked.
#[derive(Debug, Args)]
pub struct InspectCommand {
    /// The token; - reads it from standard input, where nobody sees it in a list of processes
    #[arg(required_unless_present = "make", conflicts_with = "make")]
    token: Option<String>,
    /// Make a JWT for tests, signed with a key that is made for it and thrown away
    #[arg(long)]
    make: bool,
    /// Claims of the test JWT, beside and instead of those that it has by itself; null takes one away
    #[arg(long, value_name = "JSON", conflicts_with = "token")]
    claims: Option<String>,
    /// What to sign the test JWT with
    #[arg(long, value_name = "ALG", conflicts_with = "token", default_value = "ES256")]
    alg: String,
}

impl Reaching for InspectCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let Some(token) = self.token else { return make(&self.alg, self.claims.as_deref(), &server.output) };
        let mut reply = server.ask(Command::Inspect { token: secret::argument_or_stdin(token)? })?;
        if let Reply::Inspected(inspection) = &mut reply {
            for cut in &mut inspection.cut {
                cut.command = server.advise(&cut.command);
            }
        }
        server.output.print(&reply)
    }
}

fn make(alg: &str, claims: Option<&str>, output: &Output) -> anyhow::Result<()> {
    let made = TestJwt::make(alg, claims, output.now)?;
    output::write(&match output.format {
        Format::Table => {
            format!("{}\n\n{}\n\nThe JWK Set that verifies it:\n{}\n", test_jwt::FOR_TESTS, made.token, made.jwks)
        }
        Format::Json => format!("{:#}\n", serde_json::json!({ "token": made.token, "jwks": made.jwks })),
    })
}

pub(super) fn text(inspection: &Inspection, output: &Output) -> String {
    let mut text = format!("{}\n", plain(&inspection.headline()));
    let mut facts = Table::of_facts();
    if let Some(signature) = &inspection.signature {
        facts.row(["signature".into(), signature.clone()]);
    }
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
        if let Some(whole) = grant.part_of {
            facts.row(["part of grant".into(), whole.to_string()]);
        }
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
            table.row([ancestor.kind.clone(), ancestor.name.clone(), then, today, ancestor.words(output.now)]);
        }
        _ = write!(text, "\n{}", table.text());
    }
    text.push_str(&decoded(inspection, output));
    if !inspection.cut.is_empty() {
        let mut table = Table::new(["TO CUT", "COMMAND"]);
        for cut in &inspection.cut {
            table.row([cut.what.clone(), cut.command.clone()]);
        }
        _ = write!(text, "\n{}", table.text());
    }
    text
}

/// What stands in a JWT, and what is odd about it.
fn decoded(inspection: &Inspection, output: &Output) -> String {
    let Some(jwt) = &inspection.jwt else { return String::new() };
    let mut text = String::new();
    for (title, members) in [("HEADER", &jwt.header), ("CLAIM", &jwt.claims)] {
        if members.is_empty() {
            continue;
        }
        let mut table = Table::new([title, "VALUE", "WHAT IT IS", "SECTION"]);
        for member in members {
            let value = member.time.map_or_else(|| member.value.clone(), |at| output.time(at));
            table.row([member.name.clone(), value, member.means.to_string(), member.section.to_string()]);
        }
        _ = write!(text, "\n{}", table.text());
    }
    if jwt.encrypted {
        text.push_str("\nIt is encrypted: its reader alone sees what is in it.\n");
    }
    if !jwt.odd.is_empty() {
        text.push_str("\nOdd about it:\n");
        for odd in &jwt.odd {
            _ = writeln!(text, "- {}", plain(odd));
        }
    }
    text
}
