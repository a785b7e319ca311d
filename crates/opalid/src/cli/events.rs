//! `opalid events`.

use clap::Args;

use super::output::{Format, Output, Table, json, write};
use super::reach::{Part, Reaching, Server};
use super::words;
use crate::manage::events::Event;
use crate::manage::{Command, Page, Paging, Reply};

/// Shows what happened, the newest last.
#[derive(Debug, Args)]
pub struct EventsCommand {
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    part: Part,
}

impl Reaching for EventsCommand {
    fn run(self, server: &Server) -> anyhow::Result<()> {
        let paging: Paging = self.part.into();
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
            write(&rows.map(|row| format!("{row}\n")).collect::<String>())
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
