//! `opalid events`.

use clap::Args;
use opalid_core::visible::escaped_json;

use super::output::{Format, Output, Table, json, write};
use super::reach::{Reaching, Server};
use crate::manage::events::Event;
use crate::manage::{Command, Page, Paging, Reply};
use crate::words;

/// Shows what happened in one workspace, the newest last.
#[derive(Debug, Args)]
pub struct EventsCommand {
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
    /// Show the events before this one; with --follow, all after it (those of the 10 s before it may come again, so that
    /// none is lost) and then what happens
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// How many of the last ones, 1,000 at most; with --follow --after it does not count
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Reaching for EventsCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let paging = Paging { after: self.after, limit: Some(self.limit) };
        if !self.follow {
            return server.show(Command::Events { follow: false, paging });
        }
        for reply in server.stream_in(None, Command::Events { follow: true, paging })? {
            print_more(&server.output, &reply?)?;
        }
        anyhow::bail!("the server has stopped")
    }
}

/// Prints part of a stream: a line an event, so that the next ones can come below.
fn print_more(output: &Output, reply: &Reply) -> anyhow::Result<()> {
    let Reply::Events(page) = reply else { return output.print(reply) };
    match output.format {
        Format::Table => write(&lines(&page.rows).text()),
        Format::Json => {
            let mut document = json(reply)?;
            let rows = document.get_mut("rows").map(serde_json::Value::take);
            let rows = rows.as_ref().and_then(serde_json::Value::as_array).into_iter().flatten();
            write(&escaped_json(&rows.map(|row| format!("{row}\n")).collect::<String>()))
        }
    }
}

fn lines(events: &[Event]) -> Table {
    let mut table = Table::of_facts();
    for event in events {
        let Event { at, action, target, initiator, detail, .. } = event;
        table.row([words::date(*at), action.clone(), target.clone(), format!("by {initiator}"), detail.clone()]);
    }
    table
}

pub(super) fn text(page: &Page<Event>) -> String {
    let more = page.next.as_ref().map(|next| format!("There are older ones: --after {next}\n"));
    let events = if page.rows.is_empty() { "There are none.\n".into() } else { lines(&page.rows).text() };
    format!("{}{events}", more.unwrap_or_default())
}
