//! How answers are printed: tables for people, JSON for programs.
//!
//! Holds: nothing that came from outside can move the terminal's cursor or turn a line round: what cannot be seen is
//! spelled out, in JSON as JSON escapes it.

use std::io::{Write, stdout};

use clap::ValueEnum;
use opalid_core::time::UnixTime;
use opalid_core::visible::{escaped_json, spelled_out};

use super::{apply, client, consent, events, explain, holders, inspect, key, resource, role, session, user, workspace};
use crate::clock::Clock;
use crate::manage::Reply;
use crate::words;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// Where answers go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// How to print.
    pub format: Format,
    /// When, for times in words.
    pub now: UnixTime,
}

impl Output {
    /// To standard output, now.
    pub fn new(format: Format) -> Self {
        Self { format, now: Clock::System.now() }
    }

    /// Prints a reply.
    pub fn print(&self, reply: &Reply) -> anyhow::Result<()> {
        write(&match self.format {
            Format::Table => self.text(reply),
            Format::Json => escaped_json(&format!("{:#}\n", json(reply)?)).into_owned(),
        })
    }

    /// What people see of a reply.
    pub fn text(&self, reply: &Reply) -> String {
        match reply {
            Reply::Workspaces(page) => workspace::table(page),
            Reply::Workspace(detail) => workspace::facts(detail),
            Reply::Clients(page) => client::table(page, self),
            Reply::Client(detail) => client::facts(detail, self),
            Reply::Resources(page) => resource::table(page, self),
            Reply::Resource(detail) => resource::facts(detail),
            Reply::Roles(page) => role::table(page, self),
            Reply::Role(detail) => role::facts(detail),
            Reply::Users(page) => user::table(page, self),
            Reply::User(detail) => user::facts(detail),
            Reply::Link(link) => user::link(link, self),
            Reply::Sessions(page) => session::table(page, self),
            Reply::Grants(page) => session::grants(page, self),
            Reply::Consents(page) => consent::table(page, self),
            Reply::Holders(page) => holders::table(page, self),
            Reply::Inspected(inspection) => inspect::text(inspection, self),
            Reply::Explained(explanation) => explain::text(explanation),
            Reply::Keys(page) => key::table(page, self),
            Reply::Events(page) => events::text(page),
            Reply::Planned(changes) => apply::plan(changes),
            Reply::Begins(next) => apply::Making::new(Format::Table).begins(next).unwrap_or_default(),
            Reply::Made {} => String::new(),
            Reply::Applied(applied) => apply::applied(applied),
            Reply::Document(document) => apply::document(document),
            Reply::SecretRotated(rotated) => apply::rotated(rotated, self),
            Reply::Read { entries } => format!("{entries} entries\n"),
            Reply::Copied { done, total } => format!("{done} of {total} pages\n"),
            Reply::Done { message } => format!("{}\n", plain(message)),
        }
    }

    /// A point in time, in words.
    pub fn time(&self, time: UnixTime) -> String {
        words::time(time, self.now)
    }
}

/// Writes to standard output, at once.
pub fn write(text: &str) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// What a program wants of a reply.
pub fn json(reply: &Reply) -> serde_json::Result<serde_json::Value> {
    Ok(serde_json::to_value(reply)?.get_mut("is").map(serde_json::Value::take).unwrap_or_default())
}

/// Columns with a header.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headers.
    pub fn new<const N: usize>(headers: [&str; N]) -> Self {
        Self { rows: vec![headers.map(str::to_owned).into()] }
    }

    /// A table without headers: names and what they are.
    pub fn of_facts() -> Self {
        Self { rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| plain(&cell)).into());
    }

    /// Adds a row for each field of a document.
    pub fn settings(&mut self, document: &impl serde::Serialize) {
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(document) else { return };
        for (name, value) in fields {
            let text = match value {
                serde_json::Value::String(text) => text,
                serde_json::Value::Array(items) if items.iter().all(serde_json::Value::is_string) => {
                    items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join(" ")
                }
                other => other.to_string(),
            };
            self.row([name, text]);
        }
    }

    /// The text: two blanks between columns, none at the end of a line.
    pub fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        };
        self.rows.iter().map(line).collect()
    }

    /// The text, with how to see the rest of a long list.
    pub fn page(&self, next: Option<&str>) -> String {
        match next {
            Some(next) => format!("{}There are more; the next ones: --after {next}\n", self.text()),
            None if self.rows.len() <= 1 => "There are none.\n".into(),
            None => self.text(),
        }
    }
}

/// `text` with what cannot be seen in it spelled out.
pub fn plain(text: &str) -> String {
    spelled_out(text).into_owned()
}

/// `text` with what cannot be seen in it spelled out, but for the ends of lines.
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// In or out of service.
pub fn service(enabled: bool) -> String {
    if enabled { "in service".into() } else { "suspended".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_headers_and_nothing_moves_the_cursor() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["ä\u{1b}[2J".into(), "in service".into()]);
        table.row(["b\u{202e}".into(), String::new()]);
        assert_eq!(table.page(None), "NAME        STATE\nä\\u{1b}[2J  in service\nb\\u{202e}\n");
        assert!(table.page(Some("x")).ends_with("--after x\n"));
        assert_eq!(Table::new(["NAME"]).page(None), "There are none.\n");
    }
}
